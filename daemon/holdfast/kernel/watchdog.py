"""Ends code of users and libraries that does not come back while the session is saved or restored.

A reducer that waits or loops for ever would keep the kernel from ever running another cell. As long as a capture meets
new objects nothing happens. When it does not, the thread here has the main thread interrupted, and `TookTooLong` is
raised in that code, and only there: every half a second until that code is left. Code that catches everything in a
loop without end, and C code that looks for no signals, can't be ended without the process.
"""

from __future__ import annotations

import _thread
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

from .interrupts import HERE, Interrupts, TookTooLong

SECONDS_FOR_SESSION_CODE = 5.0
SECONDS_FOR_LIBRARIES = 120.0
"""Some write gigabytes in one go, without a sign of life."""
INTERRUPTIBLE_AFTER = 1.0
"""An interrupt of the user's ends code that has kept a capture waiting for so long; an earlier one was for the cell."""
_LOOKS_EVERY = 0.5
_LOOKS_BEFORE_SLEEP = 4


class Watchdog:
    """Watches what the main thread does between `begin` and `end`.

    Args:
        namespace: the session's globals, by which its own code is known.
    """

    def __init__(self, interrupts: Interrupts, namespace: dict[str, Any]) -> None:
        self._interrupts = interrupts
        self._namespace = namespace
        self._progress: Callable[[], Any] | None = None
        self._last: Any = None
        self._since = 0.0
        self._due = False
        self.interrupted = False
        """Whether the user has sent an interrupt since `begin`."""
        self._asleep = True
        self._wake: Any = None

    def begin(self, progress: Callable[[], Any]) -> None:
        """Watch from now on; `progress` returns another value whenever there is some, and is called in a thread."""
        self._last, self._since = None, time.monotonic()
        self.interrupted = False
        self._progress = progress
        self._interrupts.on_idle = self._strike
        if self._asleep:
            self._asleep = False
            if self._wake is None:
                self._wake = _thread.allocate_lock()
                self._wake.acquire()
                # Not threading.Thread: as for the control thread.
                _thread.start_new_thread(self._look_on, ())
            else:
                self._wake.release()

    def end(self) -> None:
        """Watch no more."""
        self._progress = self._interrupts.on_idle = None
        self._due = False

    # -- a thread of its own, which only looks while there is something to see

    def _look_on(self) -> None:
        quiet = 0
        while True:
            time.sleep(_LOOKS_EVERY)
            progress = self._progress
            quiet = quiet + 1 if progress is None else 0
            if progress is not None:
                self._look(progress)
            elif quiet > _LOOKS_BEFORE_SLEEP:
                self._asleep = True
                self._wake.acquire()
                quiet = 0

    def _look(self, progress: Callable[[], Any]) -> None:
        now = progress()
        if now != self._last:
            self._last, self._since, self._due = now, time.monotonic(), False
        elif time.monotonic() - self._since >= SECONDS_FOR_SESSION_CODE:
            self._due = True
            self._interrupts.send()

    # -- the main thread

    def _strike(self, frame: FrameType | None) -> None:
        self.interrupted = self.interrupted or not self._due
        if self._progress is None or frame is None or frame.f_code.co_filename.startswith(HERE):
            return
        waited = time.monotonic() - self._since
        outermost, is_session = frame, False
        while not frame.f_code.co_filename.startswith(HERE):
            outermost, is_session = frame, is_session or frame.f_globals is self._namespace
            if frame.f_back is None:
                return
            frame = frame.f_back
        if not self._due:
            if waited >= INTERRUPTIBLE_AFTER:
                raise TookTooLong(f"it was interrupted in {outermost.f_code.co_name}() after {waited:.0f} s")
            return
        if waited < (SECONDS_FOR_SESSION_CODE if is_session else SECONDS_FOR_LIBRARIES):
            return
        raise TookTooLong(f"it took longer than {waited:.0f} s, in {outermost.f_code.co_name}()")


class Watched:
    """A context in which the watchdog looks on."""

    def __init__(self, watchdog: Watchdog, progress: Callable[[], Any]) -> None:
        self._watchdog = watchdog
        self._progress = progress

    def __enter__(self) -> None:
        self._watchdog.begin(self._progress)

    def __exit__(self, *_: object) -> None:
        self._watchdog.end()
