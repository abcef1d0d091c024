"""Why a process ended, in words a person understands."""

from __future__ import annotations

import os
import re
import signal
from itertools import groupby
from pathlib import Path

from holdfast.runtimes.base import Death

_MEANING = {
    "SIGSEGV": "it touched memory that is not its own (a crash in compiled code, or a stack overflow)",
    "SIGBUS": "it touched memory that is no longer there (a mapped file that shrank, or a full /dev/shm)",
    "SIGABRT": "compiled code gave up (abort)",
    "SIGFPE": "an arithmetic fault in compiled code",
    "SIGILL": "compiled code needs a processor that this is not",
    "SIGTERM": "something asked it to end",
    "SIGKILL": "something killed it",
    "SIGXCPU": "its limit of processor time was reached",
}


def readable_size(size: int) -> str:
    """Return a size as people say it: 3.2 GB."""
    amount = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit in {"B", "kB"} else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def count_oom_kills() -> int | None:
    """Return how many processes the out-of-memory killer has ended on this machine (Linux), else None."""
    try:
        for line in Path("/proc/vmstat").read_text(encoding="ascii").splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    except (OSError, ValueError):
        return None
    return None


def resident_memory(pid: int) -> int | None:
    """Return a process's resident memory in bytes where /proc tells it."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


_KERNEL = f'  File "{Path(__file__).parents[1] / "kernel"}{os.sep}'
_MAX_FRAMES = 40
"""Frames of a thread that a crash report keeps: the innermost."""


def without_own_frames(report: str) -> str:
    """Return what faulthandler wrote without the frames, and the threads, that are the kernel's own."""
    parts = []
    for part in report.split("\n\n"):
        title, *lines = part.split("\n")
        frames = [line for line in lines if not line.startswith(_KERNEL)]
        if lines and lines[-1].startswith(_KERNEL) and not any(line.startswith("  File ") for line in frames):
            continue
        kept = []
        for line, same in groupby(frames[:_MAX_FRAMES]):
            count = len(list(same))
            kept.append(line if count == 1 else f"{line} ({count} times)")
        if len(frames) > _MAX_FRAMES:
            kept.append("  ...")
        parts.append("\n".join([re.sub(r"^((?:Current t|T)hread) 0x\w+", r"\1", title), *kept]))
    return "\n\n".join(parts)


def explain(
    status: int, peak_memory: int | None, *, killed_because: str | None, oom_kills: int, crash_report: str
) -> Death:
    """Turn a wait status into a `Death`.

    Args:
        status: As `os.waitpid` returns it.
        peak_memory: Bytes.
        killed_because: Why we killed it ourselves, if we did.
        oom_kills: How many processes the out-of-memory killer ended while this one lived.
        crash_report: What faulthandler wrote.
    """
    crash_report = without_own_frames(crash_report)
    memory = f"; its memory had reached {readable_size(peak_memory)}" if peak_memory else ""
    code = os.waitstatus_to_exitcode(status)
    if killed_because is not None:
        return Death(killed_because, signal=-code if code < 0 else None, peak_memory=peak_memory)
    if code >= 0:
        cause = f"the kernel process ended itself with exit code {code} (os._exit or a fatal error){memory}"
        return Death(cause, exit_code=code, peak_memory=peak_memory, crash_report=crash_report)
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    meaning = _MEANING.get(name, "")
    if name == "SIGKILL" and oom_kills > 0:
        meaning = "the operating system ran out of memory and killed it"
    elif name == "SIGKILL":
        meaning = "something killed it; if nobody did on purpose, the machine or its container ran out of memory"
    elif name == "SIGSEGV" and "Stack overflow" in crash_report:
        meaning = "the stack overflowed"
    cause = f"the kernel process died of {name} (signal {-code})" + (f": {meaning}" if meaning else "") + memory
    return Death(cause, signal=-code, peak_memory=peak_memory, crash_report=crash_report)
