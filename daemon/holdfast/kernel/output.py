"""The kernel's stdout and stderr: two pipes that the daemon reads, and their order.

Text goes straight to the descriptors, so it keeps its place among what C code and subprocesses print. Between the two
pipes, and between them and frames, order is kept by waiting until the daemon has taken what is in the other pipe.
"""

from __future__ import annotations

import io
import os
import select
import sys
import time
from collections.abc import Callable
from typing import Any, TextIO

try:
    import fcntl
    import termios

    _ioctl, _FIONREAD = fcntl.ioctl, termios.FIONREAD
except ImportError:  # Windows: bytes arrive all the same, only their order across the two pipes is not kept.
    fcntl = termios = None  # type: ignore[assignment]
_NOTHING = bytes(4)

PIPE_SIZE = 1 << 20
"""As much as Linux allows without privileges: a burst of output does not wait for the daemon's next turn."""


class Pipes:
    """The two output pipes: their streams, their private descriptors, and the order between them.

    Attributes:
        last: whose turn it is: the stream written to last.
        others: for each stream the private descriptor of the other's pipe, None if it can't be measured.
    """

    def __init__(self, stdout_fd: int = 1, stderr_fd: int = 2) -> None:
        # Private copies: whatever user code does to 1 and 2, we still know our pipes.
        self._private = [os.dup(stdout_fd), os.dup(stderr_fd)]
        self._public = [stdout_fd, stderr_fd]
        self.last: PipeWriter | None = None
        self.others: list[int | None] = [None, None]
        self._streams: list[TextIO] = []
        for fd in self._private:
            _enlarge(fd)
        self._measurable = fcntl is not None and all(_pending(fd) is not None for fd in self._private)
        if self._measurable:
            self.others = [self._private[1], self._private[0]]

    def install(self) -> None:
        """Make our streams sys.stdout and sys.stderr."""
        self._streams = [self._stream(0, "<stdout>"), self._stream(1, "<stderr>")]
        sys.stdout = sys.__stdout__ = self._streams[0]  # type: ignore[misc,assignment]
        sys.stderr = sys.__stderr__ = self._streams[1]  # type: ignore[misc,assignment]

    def repair(self) -> None:
        """Before a run: give back streams and descriptors that the one before has closed."""
        for public, private in zip(self._public, self._private, strict=True):
            try:
                os.fstat(public)
            except OSError:
                os.dup2(private, public, inheritable=True)
        for index, name in enumerate(("stdout", "stderr")):
            if _is_closed(self._streams[index]):
                self._streams[index] = self._stream(index, f"<{name}>")
                setattr(sys, f"__{name}__", self._streams[index])
            if _is_closed(getattr(sys, name, None)):
                setattr(sys, name, self._streams[index])

    def flush(self) -> None:
        """Flush whatever stands for stdout and stderr now; a stream that can't be flushed is the user's affair."""
        for name in ("stdout", "stderr"):
            try:
                getattr(sys, name).flush()
            except Exception:  # noqa: BLE001 - may be any object of the user's
                continue
        _flush_c_stdout()

    def drain(self) -> None:
        """Wait until the daemon has taken everything that was in the pipes when this was called."""
        for fd in self._private:
            self._wait_until_taken(fd)

    def abandon(self) -> None:
        """In a forked child: go on printing, but know nothing of the order and keep no pipe open."""
        for fd in self._private:
            os.close(fd)
        self._private = []
        self._measurable = False
        self.others = [None, None]

    def turn_to(self, writer: PipeWriter) -> None:
        """The stream changes: what the other pipe holds comes first."""
        self.last = writer
        if self._measurable:
            self._wait_until_taken(self._private[1 - writer.index])

    def _stream(self, index: int, name: str) -> TextIO:
        writer: Any = PipeWriter(self, index, self._public[index], name)
        stream = io.TextIOWrapper(writer, encoding="utf-8", errors="backslashreplace", newline="", write_through=True)
        stream.mode = "w"  # type: ignore[misc]
        return stream

    def _wait_until_taken(self, fd: int) -> None:
        if not self._measurable:
            return
        before = first = _pending(fd)
        taken = tries = 0
        while before:
            tries += 1
            _pause(tries)
            now = _pending(fd)
            if not now:
                return
            # A background process may go on filling the pipe for ever; it is enough that as much as was there is gone.
            taken += max(0, before - now)
            if first is not None and taken >= first:
                return
            before = now


class PipeWriter(io.RawIOBase):
    """The binary side of sys.stdout or sys.stderr: unbuffered, and never gives up half-way."""

    mode = "wb"

    def __init__(self, pipes: Pipes, index: int, fd: int, name: str) -> None:
        super().__init__()
        self.index = index
        self.name = name
        self._pipes = pipes
        self._fd = fd
        self._at_line_start = True

    def writable(self) -> bool:
        """Return True."""
        return True

    def fileno(self) -> int:
        """Return 1 or 2."""
        return self._fd

    def write(self, data: Any, /) -> int:
        """Write all of `data`; a print() of a million lines passes here two million times."""
        pipes = self._pipes
        if pipes.last is not self:
            pipes.turn_to(self)
        elif self._at_line_start:
            other = pipes.others[self.index]
            # C code or a subprocess may have printed to the other pipe meanwhile.
            if other is not None and _ioctl(other, _FIONREAD, _NOTHING) != _NOTHING:
                pipes.turn_to(self)
        try:
            written = os.write(self._fd, data)
        except BlockingIOError:
            written = 0
        size: int = len(data)
        if written != size or size == 0:
            view = memoryview(data).cast("B")
            size = len(view)
            self._write_rest(view[written:])
        if size:
            self._at_line_start = data[-1] == 10
        return size

    def _write_rest(self, view: memoryview) -> None:
        while view:
            try:
                view = view[os.write(self._fd, view) :]
            except BlockingIOError:
                # A subprocess that shares the pipe made it non-blocking.
                select.select([], [self._fd], [])


def wait_until_read(sock: int) -> None:
    """Wait until the other side of a socket has read everything that was sent; return at once where that is unknown."""
    tries = 0
    while _unread(sock):
        tries += 1
        _pause(tries)


def _pause(tries: int) -> None:
    # The daemon is another process: let it have the processor, then look less and less often.
    time.sleep(0 if tries < 20 else min(0.00005 * (tries - 19), 0.002))


_flush_c: Callable[[None], object] | None = None


def line_buffer_c_stdout() -> None:
    """Let what C code prints arrive line by line, as on a terminal; for a pipe libc keeps it back until it is a lot."""
    libc = _libc()
    if libc is None:
        return
    try:
        import ctypes

        line_buffered = 1  # _IOLBF in glibc, musl and Darwin
        libc.setvbuf(ctypes.c_void_p.in_dll(libc, "stdout"), None, line_buffered, 0)
    except (ValueError, AttributeError):
        return  # A libc that names things otherwise: C output comes at the end of the run.


def _flush_c_stdout() -> None:
    global _flush_c
    # Without ctypes loaded nothing is known about libc here; importing it now would cost the run 10 ms.
    if _flush_c is None and "ctypes" in sys.modules:
        _flush_c = getattr(_libc(), "fflush", None)
    if _flush_c is not None:
        _flush_c(None)


def _libc() -> Any:
    if sys.platform == "win32":
        return None
    try:
        import ctypes

        return ctypes.CDLL(None)
    except (ImportError, OSError, TypeError):
        return None  # This Python was built without ctypes.


def _pending(fd: int) -> int | None:
    """Return how many bytes wait in the pipe; None where that can't be known."""
    try:
        return int.from_bytes(_ioctl(fd, _FIONREAD, _NOTHING), sys.byteorder)
    except OSError:
        return None


def _unread(sock: int) -> int:
    """Return how many bytes sent over the socket the other side has not read; 0 where that can't be known."""
    if fcntl is None or not sys.platform.startswith("linux"):
        return 0
    try:
        # TIOCOUTQ is also SIOCOUTQ, which Unix sockets answer.
        return int.from_bytes(_ioctl(sock, termios.TIOCOUTQ, _NOTHING), sys.byteorder)
    except OSError:
        return 0


def _enlarge(fd: int) -> None:
    if fcntl is None:
        return
    try:
        fcntl.fcntl(fd, getattr(fcntl, "F_SETPIPE_SZ", 1031), PIPE_SIZE)
    except OSError:
        # Not a pipe, not Linux, or the user's quota for pipes is used up: the default size works as well.
        return


def _is_closed(stream: object) -> bool:
    if stream is None:
        return True
    try:
        return bool(stream.closed)  # type: ignore[attr-defined]
    except AttributeError:
        return False
    except Exception:  # noqa: BLE001 - any object of the user's; a detached text stream raises ValueError
        return True
