"""While the kernel is idle, a forked copy of it tries whether what was saved comes back as it was.

The copy has the values as they are and the modules that made them; whatever it does to them, the session does not
notice. It says nothing to anybody but us, through a pipe, and a timer of the operating system ends it when it hangs.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import sys
import threading
import warnings
from typing import Any, NoReturn

from .copies import can_fork, close_connections, fork_silently, withdraw
from .outbox import Outbox

IDLE_AFTER = 0.3
"""Seconds without a message after which the kernel counts as idle."""
POLL = 0.02
"""Seconds between looks at the pipe while a copy works."""
TIME_LIMIT = 10.0
"""Seconds after which a copy is ended, whatever it is at."""
MAX_BYTES = 256 << 20
"""What one copy loads at most, unless a single component is larger: it takes memory of its own."""


class Verifier:
    """Makes such copies and takes in what they found; everything happens on the main thread."""

    def __init__(self, outbox: Outbox, lock: threading.Lock) -> None:
        self._outbox = outbox
        self._lock = lock
        self._asked: list[Any] = []
        self._copy: _Copy | None = None
        self._batch: list[Any] = []
        self._left: list[Any] = []

    def ask(self, request: Any) -> None:
        """Begin at once, and answer the request when nothing is left to be tried."""
        self._asked.append(request)

    def idle_seconds(self, capture: Any) -> float | None:
        """Return after how many seconds without a message `work` is to be called; None if there is nothing to do."""
        if self._copy is not None:
            return POLL
        if self._asked:
            return 0.0
        if self._left or (capture is not None and capture.is_unverified):
            return IDLE_AFTER
        return None

    def work(self, capture: Any) -> None:
        """Go on: begin, or take in what is there."""
        if self._copy is not None:
            self._take_in(self._copy, capture)
        elif capture is not None:
            self._begin(capture)
        if self._copy is None and not self._left and not (capture is not None and capture.is_unverified):
            asked, self._asked = self._asked, []
            for request in asked:
                self._outbox.send({"type": "verified", "id": request})

    def _begin(self, capture: Any) -> None:
        possible = can_fork()
        with self._lock:
            self._left = [*(self._left if possible else ()), *capture.checks(possible=possible)]
        if not self._left:
            return
        count, size = 0, 0
        while count < len(self._left) and (not count or size + self._left[count].bytes <= MAX_BYTES):
            size += self._left[count].bytes
            count += 1
        self._batch, self._left = self._left[:count], self._left[count:]
        try:
            self._copy = _Copy.make(capture, self._batch)
        except OSError as error:
            self._outbox.log("warning", f"what was saved could not be tried: {error}")
            self._left = []

    def _take_in(self, copy: _Copy, capture: Any) -> None:
        for answer in copy.answers():
            check = self._batch.pop(0)
            with self._lock:
                lost = capture.judge(check, answer)
            if lost:
                self._outbox.send({"type": "unfaithful", "run": check.run, "members": lost})
        if copy.is_over():
            self._copy = None
            # If it ended early, it was at the first of what is left of the batch: that can't be tried.
            self._left = self._batch[1:] + self._left


class _Copy:
    """A forked copy at work."""

    def __init__(self, pid: int, pipe: int) -> None:
        self._pid = pid
        self._pipe = pipe
        self._rest = b""
        self._closed = False

    @classmethod
    def make(cls, capture: Any, checks: list[Any]) -> _Copy:
        """Fork; the copy tries each of `checks` and does not return.

        Raises:
            OSError: the operating system does not allow another process or pipe.
        """
        read, write = os.pipe()
        os.set_blocking(read, False)
        try:
            pid = fork_silently()
        except OSError:
            os.close(read)
            os.close(write)
            raise
        if pid == 0:
            _try_all(capture, checks, write)
        os.close(write)
        return cls(pid, read)

    def answers(self) -> list[dict[str, Any]]:
        """Return the verdicts that arrived since."""
        while not self._closed:
            try:
                part = os.read(self._pipe, 1 << 16)
            except BlockingIOError:
                break
            self._rest += part
            self._closed = not part
        *lines, self._rest = self._rest.split(b"\n")
        return [json.loads(line) for line in lines]

    def is_over(self) -> bool:
        """Whether the copy has ended; tidies up after it."""
        if not self._closed:
            return False
        os.close(self._pipe)
        with contextlib.suppress(ChildProcessError):  # user code that waits for any child has taken it
            os.waitpid(self._pid, 0)
        return True


# -- in the copy


def _try_all(capture: Any, checks: list[Any], pipe: int) -> NoReturn:
    try:
        _withdraw(pipe)
        for check in checks:
            answer = capture.attempt(check)
            os.write(pipe, json.dumps(answer).encode() + b"\n")
    finally:
        os._exit(0)


def _withdraw(pipe: int) -> None:
    """Become a process that does no harm: silent, without connections, in nobody's way, and of limited life."""
    nowhere = withdraw(TIME_LIMIT)
    sys.stdout = sys.stderr = open(nowhere, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - to the end
    tracker: Any = sys.modules.get("multiprocessing.resource_tracker")
    # Another one would be started, and take what the session shares for left behind.
    tracked = None if tracker is None else tracker._resource_tracker._fd
    close_connections({pipe} if tracked is None else {pipe, tracked})
    _open_files_anew({0, 1, 2, nowhere}, nowhere)
    warnings.simplefilter("ignore")
    logging: Any = sys.modules.get("logging")
    if logging is not None:
        logging.disable(logging.CRITICAL)


def _open_files_anew(kept: set[int], nowhere: int) -> None:
    """Share no open file with the session: no position to move, no buffer to write out."""
    for descriptor in {int(name) for name in os.listdir("/proc/self/fd")} - kept:  # noqa: PTH208 - just the names
        # The descriptor of the listing itself is gone.
        with contextlib.suppress(OSError):
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                _open_anew(descriptor, nowhere)


def _open_anew(descriptor: int, nowhere: int) -> None:
    import fcntl

    if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY:
        os.dup2(nowhere, descriptor)
        return
    position = os.lseek(descriptor, 0, os.SEEK_CUR)
    own = os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY)
    os.lseek(own, position, os.SEEK_SET)
    os.dup2(own, descriptor)
    os.close(own)
