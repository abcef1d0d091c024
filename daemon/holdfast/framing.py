"""LSP's base protocol as bytes: cut a stream into messages, and survive what is not one.

Specification: Language Server Protocol 3.17, "Base Protocol".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

MAX_MESSAGE = 1 << 30
"""A message announced as larger than 1 GiB is refused: nothing a client sends is that large."""
MAX_HEADERS = 1 << 14
"""Headers longer than 16 KiB are noise."""


@dataclass(frozen=True, slots=True)
class Noise:
    """Bytes that are not a message; `fatal` when the stream cannot be followed any further."""

    reason: str
    fatal: bool = False


@dataclass(frozen=True, slots=True)
class Body:
    """The content of one message, and the headers it came with (names in lower case)."""

    content: bytes
    headers: dict[str, str]


def encode(content: bytes) -> bytes:
    """Return the message as it travels."""
    return b"Content-Length: %d\r\n\r\n%b" % (len(content), content)


class Parser:
    """Feed it what arrives; it yields the messages, and `Noise` where there was something else.

    Attributes:
        limit: bytes of the largest message that is taken.
    """

    def __init__(self) -> None:
        self.limit = MAX_MESSAGE
        self._pending = bytearray()
        self._headers: dict[str, str] = {}
        self._read = 0
        """Bytes of the headers that are being read."""
        self._wanted: int | None = None

    def feed(self, received: bytes) -> Iterator[Body | Noise]:
        """Take bytes from the stream and yield what is complete."""
        self._pending += received
        while True:
            if self._wanted is None:
                noise = self._read_headers()
                if noise is not None:
                    yield noise
                    if noise.fatal:
                        self._pending.clear()
                        return
                    continue
            if self._wanted is None or len(self._pending) < self._wanted:
                return
            content = bytes(memoryview(self._pending)[: self._wanted])
            del self._pending[: self._wanted]
            headers, self._headers, self._wanted = self._headers, {}, None
            yield Body(content, headers)

    def _read_headers(self) -> Noise | None:
        while True:
            end = self._pending.find(b"\n")
            if end < 0:
                if len(self._pending) > MAX_HEADERS:
                    self._pending.clear()
                    return Noise("the stream holds no message header")
                return None
            line = bytes(self._pending[:end]).rstrip(b"\r")
            del self._pending[: end + 1]
            self._read = self._read + len(line) if line else 0
            if self._read > MAX_HEADERS:
                self._headers, self._read = {}, 0
                return Noise("the headers of a message have no end")
            if line:
                name, colon, value = line.partition(b":")
                if not colon or not name.strip().replace(b"-", b"").isalnum():
                    return Noise("a line that is no header stands between two messages")
                self._headers[name.strip().decode("ascii").lower()] = value.strip().decode("latin-1")
                continue
            if not self._headers:
                continue
            if "content-length" not in self._headers:
                if "holdfast-token" in self._headers:
                    continue
                self._headers = {}
                return Noise("a message has no Content-Length")
            length = self._headers["content-length"]
            if not (length.isascii() and length.isdigit() and len(length) < 20) or int(length) > self.limit:
                self._headers = {}
                # Without a length there is no telling where the next message starts.
                return Noise(
                    f"Content-Length {length[:40]!r} is not a usable length",
                    fatal=len(length) < 20 and length.isdigit(),
                )
            self._wanted = int(length)
            return None
