"""SIGINT, and the user's own signal handlers, kept away from code that must not be cut in two.

A KeyboardInterrupt is raised only where user code runs, and at safe points of ours that it calls. In the middle of ours
(a frame being sent, an import hook) it is deferred: to the end of the shield, or else a small thread sends the signal
again until it meets user code or the run is over. Handlers which user code installed are in force while user code runs.
Otherwise their signals are noted, and the handlers called (except for SIGINT) when the kernel is idle: whatever they
raise, they can't raise it in the middle of something.
"""

# pathlib would be a tenth of the time it takes to start.
# ruff: noqa: PTH100, PTH120

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import _thread
import os
import signal
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep
"""Code from this folder is ours; everything else that runs on the main thread is the user's."""

_OUTPUT = HERE + "output.py"
"""A print() or a wait for the daemon to read may end anywhere, and a cell that only prints is hardly ever elsewhere."""

_HANDLED = tuple(
    getattr(signal, name)
    for name in (
        "SIGINT",
        "SIGALRM",
        "SIGVTALRM",
        "SIGPROF",
        "SIGUSR1",
        "SIGUSR2",
        "SIGTERM",
        "SIGHUP",
        "SIGCHLD",
    )
    if hasattr(signal, name)
)
"""Signals for which programs install handlers in Python."""


class TooSlow(BaseException):
    """Pickling takes longer than the user is to wait: a copy of the process is to do it."""


class TookTooLong(BaseException):
    """Raised in code of users and libraries that keeps a capture or a restore waiting; see `watchdog`."""


def _held_back(signals: Any, *, exactly: bool = False) -> Any:
    """Have the system hold back these signals too, or `exactly` these; return those that it held back before."""
    if _set_mask is None:
        return ()
    return _set_mask(signal.SIG_SETMASK if exactly else signal.SIG_BLOCK, signals)


# The function behind `signal.pthread_sigmask`, which spends most of its time on making enumeration members.
_set_mask: Any = getattr(_signal, "pthread_sigmask", None)


class Interrupts:
    """Owner of the process's signal handlers; created and used on the main thread."""

    def __init__(self, on_signal: Callable[[], None]) -> None:
        """Args: on_signal: called when a signal for a handler of the user's was noted; may be at any instant."""
        self._on_signal = on_signal
        self._main = _thread.get_ident()
        self._handler = self._on_sigint
        self._running = False
        self._pending = False
        self._waiting = False
        self._nudging = False
        # The main thread is shielded from the start, and all the time except while user code runs.
        self._shields = 1
        self._theirs: dict[int, Any] = {}
        self._noted: list[int] = []
        self.on_idle: Callable[[FrameType | None], None] | None = None
        """Called for a SIGINT while no run is on."""
        self.raised = False
        """Whether the current run was interrupted: KeyboardInterrupt was raised in it."""

    def install(self) -> None:
        """Take SIGINT."""
        signal.signal(signal.SIGINT, self._handler)

    def abandon(self) -> None:
        """In a forked child: behave as Python does."""
        self._running = False
        if signal.getsignal(signal.SIGINT) is self._handler:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def arm(self) -> None:
        """A run begins: a SIGINT from now on reaches its user code."""
        self._pending = False
        self.raised = False
        self._running = True

    def disarm(self) -> None:
        """The run's user code is over, however it ended: a late SIGINT is dropped, and the shield is up again."""
        before: Any = None
        while True:
            try:
                # With the signals held back by the system, nothing can raise between here and the next line of ours.
                if before is None:
                    before = _held_back(())
                _held_back(_HANDLED)
                self._running = self._pending = False
                self._shields = 1
                self._hold()
                _held_back(before, exactly=True)
            except BaseException:  # noqa: BLE001 - a handler of the user's raised just now; it must not break the exit
                continue
            return

    def send(self) -> None:
        """Interrupt the main thread from another one."""
        if hasattr(signal, "pthread_kill"):
            signal.pthread_kill(self._main, signal.SIGINT)
        else:
            _thread.interrupt_main()

    def shield(self) -> _Shield:
        """Return a context in which no signal handler raises."""
        return _Shield(self)

    def user_code(self) -> _UserCode:
        """Return a context, inside a shield, in which user code runs and signals reach it."""
        return _UserCode(self)

    def waiting(self) -> _Waiting:
        """Return a context in which our own code waits on the user's behalf and may be interrupted."""
        return _Waiting(self)

    def aside(self) -> _Aside:
        """Return a context in a run, before its user code, in which an interrupt is as it is between runs."""
        return _Aside(self)

    def _on_sigint(self, _signum: int, frame: FrameType | None) -> None:
        if not self._running:
            if self.on_idle is not None:
                self.on_idle(frame)
            return
        file = frame.f_code.co_filename if frame is not None else ""
        ours = file.startswith(HERE) and file != _OUTPUT
        if not self._waiting and (self._shields or ours):
            self._pending = True
            if not self._nudging:
                self._nudging = True
                # Not threading.Thread: its locks may be held by the very code that the signal arrived in.
                _thread.start_new_thread(self._nudge, ())
            return
        self._pending = False
        self.raised = True
        raise KeyboardInterrupt

    def _nudge(self) -> None:
        delay = 0.001
        while True:
            while self._pending and self._running:
                time.sleep(delay)
                delay = min(delay * 1.5, 0.05)
                if self._pending and self._running:
                    self.send()
            self._nudging = False
            if not (self._pending and self._running):
                return
            self._nudging = True

    def deliver(self) -> list[BaseException]:
        """While idle: call the user's handlers for what was noted; return what they raised."""
        raised: list[BaseException] = []
        while self._noted:
            signum = self._noted.pop(0)
            try:
                if signum in self._theirs:
                    self._theirs[signum](signum, None)
            except BaseException as error:  # noqa: BLE001 - the user's code
                raised.append(error)
        # A handler may have installed another one.
        self._hold()
        return raised

    def _note(self, signum: int, _frame: FrameType | None) -> None:
        self._noted.append(signum)
        self._on_signal()

    def _hold(self) -> None:
        """Take the user's handlers out."""
        for signum in _HANDLED:
            handler = signal.getsignal(signum)
            if signum == signal.SIGINT:
                if handler is self._handler:
                    continue
                if handler not in (signal.default_int_handler, signal.SIG_DFL, None):
                    self._theirs[signum] = handler
                signal.signal(signum, self._handler)
            elif callable(handler) and handler != self._note:
                self._theirs[signum] = handler
                signal.signal(signum, self._note)

    def _release(self) -> None:
        """Put the user's handlers back and deliver what came meanwhile."""
        for signum in list(self._theirs):
            signal.signal(signum, self._theirs.pop(signum))
        while self._noted:
            signal.raise_signal(self._noted.pop(0))


class _Shield:
    def __init__(self, interrupts: Interrupts) -> None:
        self._interrupts = interrupts
        self._entered = False

    def __enter__(self) -> None:
        it = self._interrupts
        # Signal handlers only ever run on the main thread.
        if _thread.get_ident() != it._main:
            return
        if not it._shields:
            it._hold()
        it._shields += 1
        self._entered = True

    def __exit__(self, *_: object) -> None:
        if self._entered:
            it = self._interrupts
            it._shields -= 1
            if not it._shields:
                it._release()
                if it._pending and it._running:
                    it._pending = False
                    raise KeyboardInterrupt


class _UserCode:
    def __init__(self, interrupts: Interrupts) -> None:
        self._interrupts = interrupts

    def __enter__(self) -> None:
        self._interrupts._shields = 0
        self._interrupts._release()

    def __exit__(self, *_: object) -> None:
        self._interrupts.disarm()


class _Waiting:
    def __init__(self, interrupts: Interrupts) -> None:
        self._interrupts = interrupts

    def __enter__(self) -> None:
        it = self._interrupts
        if _thread.get_ident() == it._main:
            it._waiting = True
            if it._pending:
                it._waiting = it._pending = False
                raise KeyboardInterrupt

    def __exit__(self, *_: object) -> None:
        if _thread.get_ident() == self._interrupts._main:
            self._interrupts._waiting = False


class _Aside:
    def __init__(self, interrupts: Interrupts) -> None:
        self._interrupts = interrupts
        self._running = False

    def __enter__(self) -> None:
        it = self._interrupts
        self._running, it._running = it._running, False
        if self._running and it._pending:
            it._running, it._pending, it.raised = True, False, True
            raise KeyboardInterrupt

    def __exit__(self, *_: object) -> None:
        self._interrupts._running = self._running
