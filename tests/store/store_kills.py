"""A process that is killed at a call that reaches the disk, counted from the beginning of what it does."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from store_making import KEY, Store

REACHES_THE_DISK = {
    "pwritev",
    "execute",
    "executemany",
    "fsync",
    "ftruncate",
    "open",
    "mkdir",
    "unlink",
    "rename",
    "replace",
}


def kill_after(calls: int) -> None:
    """Have this process killed once it has made so many calls that reach the disk; `sys.setprofile(None)` spares it."""
    left = calls

    def count(_: FrameType, event: str, called: Any) -> None:
        nonlocal left
        if event == "c_call" and called.__name__ in REACHES_THE_DISK:
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1

    sys.setprofile(count)


def killed_at(point: int, folder: Path, act: Callable[[Store], None]) -> bool:
    """Do `act` in a process that is killed at the given point; whether it came that far."""
    child = os.fork()
    if child == 0:
        try:
            store = Store.open(folder, KEY)
            kill_after(point)
            act(store)
            sys.setprofile(None)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)
