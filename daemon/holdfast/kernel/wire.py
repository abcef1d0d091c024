"""Frames between daemon and kernel: a small JSON header and raw byte buffers, never a pickle.

This is the one file that daemon and kernel both import. A frame is a fixed prefix, a JSON object (ASCII) and its
buffers, whose lengths the header lists under ``"buffers"``. In a frame with buffers the header is filled up with blanks
and each buffer with zeros to a multiple of 16 bytes, so that arrays can live where they are received: memory that is
not aligned is slow, and libraries add it up in another order, which shows in the last digits::

    offset  size  what
    0       2     magic, b"HF"
    2       1     version of the framing, 1
    3       1     reserved, 0
    4       4     length of the JSON header in bytes, big endian
    8       8     length of all buffers together in bytes, what they are filled up with included, big endian

Received buffers are writable views of one bytearray per frame: whoever keeps one of them keeps them all.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

MAGIC = b"HF"
VERSION = 1
PREFIX = struct.Struct("!2sBBIQ")
MAX_HEADER = 1 << 30
"""A header larger than 1 GiB is taken for noise on the line."""
SCRATCH = 1 << 16
"""Bytes received at a time between large frames."""
JOINED = 1 << 12
"""Bytes of buffers up to which a frame is put together in one piece: cheaper to copy than to hand over apart."""
LARGE = 1 << 20
"""Buffers of snapshots from this size on (bytes) may be sent in parts, of which each begins on a boundary of chunks."""
CHUNK = 1 << 18
"""Bytes; what the store cuts large buffers into."""
ALIGNMENT = 16
"""Of buffers in a frame; what memory allocators give, so what arrays have that were made in a process."""
IOV_BATCH = 64
"""Buffers handed to one ``sendmsg``: well under the smallest IOV_MAX (1024 on Linux, 16 guaranteed by POSIX)."""


class WireError(Exception):
    """The other side sent something that is not a frame; the connection is of no further use."""


class Message(NamedTuple):
    """A received frame: the JSON header and its buffers."""

    header: dict[str, Any]
    buffers: list[memoryview]


def _dumps(value: Any) -> bytes:
    return _encoder.encode(value).encode("ascii")


def _loads(data: bytearray) -> Any:
    return json.loads(data.decode())


def encode(
    header: dict[str, Any], buffers: Sequence[Any] = (), dumps: Callable[[Any], bytes] = _dumps
) -> list[memoryview]:
    """Return the frame as a list of byte views to be written one after the other; large buffers are not copied.

    Args:
        dumps: writes the header as JSON in UTF-8.
    """
    views = [memoryview(buffer).cast("B") for buffer in buffers]
    if views:
        header = {**header, "buffers": [view.nbytes for view in views]}
    text = dumps(header)
    if views:
        text += b" " * (-len(text) % ALIGNMENT)
        for index in range(len(views) - 1, -1, -1):
            if missing := -views[index].nbytes % ALIGNMENT:
                views.insert(index + 1, _ZEROS[:missing])
    size = sum([view.nbytes for view in views])
    prefix = PREFIX.pack(MAGIC, VERSION, 0, len(text), size)
    if size <= JOINED:
        return [memoryview(b"".join((prefix, text, *views)))]
    return [memoryview(prefix + text), *views]


_ZEROS = memoryview(bytes(ALIGNMENT))
_encoder = json.JSONEncoder(separators=(",", ":"))


class Decoder:
    """Cuts frames out of a byte stream: ask for a buffer, fill it, say how much was filled.

    Small frames arrive several at a time in one scratch buffer; a large one is received where it is to stay, without
    being copied. The shape is that of `asyncio.BufferedProtocol`, and serves blocking sockets as well.

    Args:
        loads: reads a header.
    """

    def __init__(self, loads: Callable[[bytearray], Any] = _loads) -> None:
        self._loads = loads
        self._scratch = bytearray(SCRATCH)
        self._scratch_view = memoryview(self._scratch)
        self._start = 0
        self._end = 0
        self._large: bytearray | None = None
        self._large_filled = 0
        self._large_header = 0

    def get_buffer(self) -> memoryview:
        """Return where the next received bytes belong; never empty."""
        if self._large is not None:
            return memoryview(self._large)[self._large_filled :]
        if self._start == self._end:
            self._start = self._end = 0
        elif self._end == SCRATCH:
            rest = self._end - self._start
            self._scratch[:rest] = self._scratch[self._start : self._end]
            self._start, self._end = 0, rest
        return self._scratch_view[self._end :]

    def buffer_updated(self, count: int) -> list[Message]:
        """Take note that `count` bytes were filled in; return the messages that are complete.

        Raises:
            WireError: the bytes are not a frame of this version.
        """
        if self._large is not None:
            self._large_filled += count
            if self._large_filled < len(self._large):
                return []
            large, self._large = self._large, None
            return [_message(large, self._large_header, self._loads)]
        self._end += count
        messages = []
        while self._end - self._start >= PREFIX.size:
            magic, version, _, header_length, body_length = PREFIX.unpack_from(self._scratch, self._start)
            if magic != MAGIC or version != VERSION or not 2 <= header_length <= MAX_HEADER:
                raise WireError("the other side of the kernel connection does not speak this protocol")
            start, length = self._start + PREFIX.size, header_length + body_length
            if self._end - start >= length:
                self._start = start + length
                messages.append(_message(self._scratch[start : self._start], header_length, self._loads))
                continue
            if PREFIX.size + length > SCRATCH:
                self._large, self._large_header = bytearray(length), header_length
                self._large_filled = self._end - start
                self._large[: self._large_filled] = self._scratch_view[start : self._end]
                self._start = self._end = 0
            break
        return messages


def _message(frame: bytearray, header_length: int, loads: Callable[[bytearray], Any]) -> Message:
    """Take a frame without its prefix apart."""
    try:
        header = loads(frame[:header_length])
    except ValueError as error:
        raise WireError("a frame's header is not JSON") from error
    if not isinstance(header, dict):
        raise WireError("a frame's header is not an object")
    lengths = header.pop("buffers", None)
    if lengths is None:
        if len(frame) != header_length:
            raise WireError("a frame's buffers do not add up to its length")
        return Message(header, [])
    view, views, start = memoryview(frame), [], header_length
    for length in lengths:
        views.append(view[start : start + length])
        start += length + -length % ALIGNMENT
    if start != len(frame):
        raise WireError("a frame's buffers do not add up to its length")
    return Message(header, views)


class Channel:
    """A frame connection over a blocking socket: many threads may send, one receives."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._decoder = Decoder()
        self._ready: deque[Message] = deque()
        self._lock = threading.Lock()

    def fileno(self) -> int:
        """Return the descriptor of the socket."""
        return self._socket.fileno()

    def send(self, header: dict[str, Any], buffers: Sequence[Any] = ()) -> None:
        """Send one frame; blocks until the kernel of the operating system has taken all of it.

        Raises:
            OSError: the other side is gone.
        """
        frame = encode(header, buffers)
        with self._lock:
            if len(frame) == 1 or not hasattr(self._socket, "sendmsg"):
                for view in frame:
                    self._socket.sendall(view)
                return
            for start in range(0, len(frame), IOV_BATCH):
                batch = frame[start : start + IOV_BATCH]
                while batch:
                    sent = self._socket.sendmsg(batch)
                    while batch and sent >= batch[0].nbytes:
                        sent -= batch.pop(0).nbytes
                    if batch and sent:
                        batch[0] = batch[0][sent:]

    def receive(self) -> Message | None:
        """Wait for the next frame; None when the other side has closed the connection.

        Raises:
            WireError: what arrived is not a frame.
        """
        while not self._ready:
            try:
                count = self._socket.recv_into(self._decoder.get_buffer())
            except ConnectionError:
                return None
            if not count:
                return None
            self._ready.extend(self._decoder.buffer_updated(count))
        return self._ready.popleft()

    def close(self) -> None:
        """Close the socket; a waiting `receive` returns None."""
        self._socket.close()
