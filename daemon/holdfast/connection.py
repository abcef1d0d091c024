"""One client's byte stream: reads messages, writes answers, and knows when the client does not keep up."""

from __future__ import annotations

import asyncio
import logging
import os
import stat
import sys
import threading
import time
from collections.abc import Callable
from typing import IO, cast

from holdfast.endpoint import peer_of
from holdfast.framing import Body, Noise, Parser, encode

logger = logging.getLogger(__name__)

HIGH_WATER = 4 << 20
"""Bytes waiting for a client above which its sessions' output is held back at the source."""
LOW_WATER = 1 << 20


class Connection(asyncio.Protocol):
    """A client over a socket, or over a pair of pipes (then one instance serves both transports).

    Args:
        on_message: Called with each message and with noise, in order.
        on_close: Called once, when the client is gone.
        on_writable: Called when a client that did not keep up does again.
        is_welcome: Asked when the connection is there; if not, it is closed and nothing of it is read.
    """

    def __init__(
        self,
        on_message: Callable[[Connection, Body | Noise], None],
        on_close: Callable[[Connection], None],
        on_writable: Callable[[], None] = lambda: None,
        is_welcome: Callable[[Connection], bool] = lambda connection: True,
    ) -> None:
        self._is_welcome = is_welcome
        self._on_message = on_message
        self._on_close = on_close
        self._on_writable = on_writable
        self._parser = Parser()
        self._writer: asyncio.WriteTransport | None = None
        self._reader: asyncio.ReadTransport | None = None
        self._paused_since: float | None = None
        self._drained = asyncio.Event()
        self._drained.set()
        self.closed = asyncio.Event()

    # ------------------------------------------------------------------ asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a transport; a pair of pipes brings two."""
        if hasattr(transport, "write"):
            self._writer = cast(asyncio.WriteTransport, transport)
            self._writer.set_write_buffer_limits(HIGH_WATER, LOW_WATER)
        if hasattr(transport, "pause_reading"):
            self._reader = cast(asyncio.ReadTransport, transport)
        if not self._is_welcome(self):
            self._lost()

    def data_received(self, data: bytes) -> None:
        """Cut what arrived into messages."""
        if self.closed.is_set():
            return
        for item in self._parser.feed(data):
            if self.closed.is_set():
                return
            self._on_message(self, item)
            if isinstance(item, Noise) and item.fatal:
                self.close()
                return

    def eof_received(self) -> bool:
        """The client has stopped sending: it is gone."""
        self._lost()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """One of the transports has closed."""
        self._lost()

    def pause_writing(self) -> None:
        """The client does not read as fast as it is sent to."""
        self._paused_since = time.monotonic()
        self._drained.clear()

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._paused_since = None
        self._drained.set()
        self._on_writable()

    # ------------------------------------------------------------------ our side

    def accept_up_to(self, size: int) -> None:
        """Take no message from now on that is larger."""
        self._parser.limit = size

    @property
    def peer(self) -> int | None:
        """The user at the other end of a Unix socket; None where the system does not say."""
        sock = None if self._writer is None else self._writer.get_extra_info("socket")
        return None if sock is None else peer_of(sock)

    @property
    def paused_for(self) -> float:
        """Seconds for which the client has not kept up; 0 when it does."""
        return 0.0 if self._paused_since is None else time.monotonic() - self._paused_since

    def write(self, message: bytes) -> None:
        """Send bytes that are already framed; silently dropped once the client is gone."""
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(message)

    def send(self, content: bytes) -> None:
        """Frame and send one message."""
        self.write(encode(content))

    async def drain(self, timeout: float) -> None:
        """Wait until what was sent is on its way, or the client is gone, or the time is over."""
        deadline = time.monotonic() + timeout
        while self._writer is not None and not self.closed.is_set() and time.monotonic() < deadline:
            if not self._writer.is_closing() and not self._writer.get_write_buffer_size():
                return
            await asyncio.sleep(0.005)

    def close(self) -> None:
        """Close after sending what is buffered."""
        for transport in {self._reader, self._writer}:
            if transport is not None and not transport.is_closing():
                transport.close()

    def _lost(self) -> None:
        if not self.closed.is_set():
            self.closed.set()
            self._paused_since = None
            self._drained.set()
            self.close()
            self._on_close(self)


def _is_pollable(descriptor: int) -> bool:
    mode = os.fstat(descriptor).st_mode
    # Of the other character devices some are not (/dev/null).
    return sys.platform != "win32" and (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(descriptor))


async def attach_stdio(connection: Connection) -> None:
    """Connect a `Connection` to this process's standard input and output.

    Standard output is taken away from everybody else first: a stray ``print`` goes to standard error and cannot
    spoil the protocol.
    """
    loop = asyncio.get_running_loop()
    sys.stdout.flush()
    source = os.fdopen(os.dup(0), "rb", buffering=0)
    sink = os.fdopen(os.dup(1), "wb", buffering=0)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    if _is_pollable(sink.fileno()):
        await loop.connect_write_pipe(lambda: connection, sink)
    else:
        connection.connection_made(_BlockingWriter(sink))
    if _is_pollable(source.fileno()):
        await loop.connect_read_pipe(lambda: connection, source)
    else:
        threading.Thread(target=_pump, args=(source, connection, loop), name="holdfast-stdin", daemon=True).start()


def _pump(source: IO[bytes], connection: Connection, loop: asyncio.AbstractEventLoop) -> None:
    """Read from what cannot be polled (a file; pipes on Windows) in a thread."""
    while True:
        received = os.read(source.fileno(), 1 << 16)
        if not received:
            loop.call_soon_threadsafe(connection.eof_received)
            return
        loop.call_soon_threadsafe(connection.data_received, received)


class _BlockingWriter(asyncio.WriteTransport):
    """Writes at once to what cannot be polled (a file; pipes on Windows)."""

    def __init__(self, sink: IO[bytes]) -> None:
        super().__init__()
        self._sink = sink
        self._closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._sink.fileno(), view) :]

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Nothing is ever buffered here."""

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._sink.close()
