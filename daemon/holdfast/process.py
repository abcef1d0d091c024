"""Other processes: notice when one ends."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable

POLL = 2.0
"""Seconds between looks where the operating system cannot tell us."""


def is_alive(pid: int) -> bool:
    """Whether a process exists."""
    if pid <= 0:
        return False
    if sys.platform == "win32":
        return True  # os.kill would end it there; the closed connection has to tell
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def when_gone(pid: int, action: Callable[[], None]) -> Callable[[], None]:
    """Call `action` once when a process has ended; return a function that stops waiting.

    A process that cannot be seen from here (another PID namespace) is taken for one that never ends.
    """
    loop = asyncio.get_running_loop()
    if not is_alive(pid):
        return lambda: None
    if hasattr(os, "pidfd_open"):
        try:
            descriptor = os.pidfd_open(pid)
        except OSError:
            pass  # an old kernel, or a sandbox that forbids it
        else:
            return _wait_on(loop, descriptor, action)

    timer: list[asyncio.TimerHandle] = []

    def look() -> None:
        if is_alive(pid):
            timer[:] = [loop.call_later(POLL, look)]
        else:
            action()

    timer[:] = [loop.call_later(POLL, look)]
    return lambda: timer[0].cancel()


def _wait_on(loop: asyncio.AbstractEventLoop, descriptor: int, action: Callable[[], None]) -> Callable[[], None]:
    stopped = False

    def stop() -> None:
        nonlocal stopped
        if not stopped:
            stopped = True
            loop.remove_reader(descriptor)
            os.close(descriptor)

    def gone() -> None:
        stop()
        action()

    loop.add_reader(descriptor, gone)
    return stop
