"""Copies of the kernel's process: whether one can be made, and how it keeps out of everybody's way."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import stat
import sys
import warnings
from collections.abc import Collection
from typing import Any

SPARE_MEMORY = 256 << 20
"""Bytes that are to be left when a copy is made."""
_UNSAFE = frozenset({"cupy", "jax", "jaxlib", "mpi4py", "pyopencl", "pyspark", "ray", "tensorflow"})
"""Modules with threads or devices that a forked copy can't use."""


def fork_silently() -> int:
    """Fork; from 3.12 on Python warns of threads, of which the copy has none."""
    # Not with the functions for filters: they make warnings that were shown once appear again.
    quiet = ("ignore", None, DeprecationWarning, None, 0)
    warnings.filters.insert(0, quiet)  # type: ignore[attr-defined]
    random: Any = sys.modules.get("random")
    state = random.getstate() if random is not None else None
    try:
        pid = os.fork()
        if pid == 0 and state is not None:
            # Its generator begins anew in every child, and what is saved is the session's.
            random.setstate(state)
        return pid
    finally:
        warnings.filters.remove(quiet)  # type: ignore[attr-defined]


def can_fork() -> bool:
    """Whether a copy of this process can be made, and would be able to do what this one can."""
    # macOS has fork, and system libraries which do not survive it.
    if sys.platform != "linux" or not hasattr(os, "fork") or not _UNSAFE.isdisjoint(sys.modules):
        return False
    if signal.getsignal(signal.SIGCHLD) not in (signal.SIG_DFL, None):
        # Somebody counts this process's children.
        return False
    torch: Any = sys.modules.get("torch")
    cuda = getattr(torch, "cuda", None)
    return cuda is None or not cuda.is_initialized()


def has_memory_for(size: int) -> bool:
    """Whether the system has memory left for a copy that writes to `size` bytes, and for all others."""
    try:
        with open("/proc/meminfo", encoding="ascii") as about:  # noqa: PTH123 - a cell may patch pathlib
            for line in about:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024 > 2 * size + SPARE_MEMORY
    except (OSError, ValueError):
        return True
    return True


def withdraw(seconds: float) -> int:
    """In a copy: be silent, in nobody's way, and of limited life; return a descriptor of nothing.

    Args:
        seconds: after which the operating system ends it, unless it asks for more (`live_on`).
    """
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})
    live_on(seconds)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    os.nice(10)
    # If memory runs short, this process is the one to end.
    with open("/proc/self/oom_score_adj", "w", encoding="ascii") as adjust:  # noqa: PTH123 - a cell may patch pathlib
        adjust.write("1000")
    gc.disable()
    torch: Any = sys.modules.get("torch")
    if torch is not None:
        # The threads that it had are not there.
        torch.set_num_threads(1)
    return nowhere


def live_on(seconds: float) -> None:
    """In a copy: be ended in so many seconds and not before."""
    signal.setitimer(signal.ITIMER_REAL, seconds)


def close_connections(kept: Collection[int]) -> None:
    """In a copy: hold no end of a pipe or connection open but those in `kept`."""
    for descriptor in {int(name) for name in os.listdir("/proc/self/fd")} - {0, 1, 2, *kept}:  # noqa: PTH208 - names
        # The descriptor of the listing itself is gone.
        with contextlib.suppress(OSError):
            mode = os.fstat(descriptor).st_mode
            if stat.S_ISSOCK(mode) or stat.S_ISFIFO(mode):
                os.close(descriptor)
