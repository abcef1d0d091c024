"""What is known of one large buffer's content: a digest for each chunk, and which changed when."""

from __future__ import annotations

import os
from bisect import insort
from collections.abc import Iterable
from hashlib import blake2b

from ..wire import CHUNK

DIGEST_BYTES = 16
_GROUP = 128
"""Chunks that have a digest in common: a change in a large buffer does not cost a look at the digests of all."""
PAGE: int = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


class Region:
    """A range of addresses.

    Attributes:
        digests: of each chunk, None where it is not known.
        changed: for each chunk the serial of the look that found it changed.
        born: the look that found the whole of it.
        log: what changed later, in the order of serials: serial, chunk.
        groups: what stands for a number of chunks each, None where it is not known.
        unknown: how many chunks have no digest.
        pending: chunks that may have been written to since they were hashed.
        watched: whether the operating system says which.
    """

    __slots__ = ("born", "changed", "digests", "groups", "log", "pending", "size", "start", "unknown", "watched")

    def __init__(self, start: int, size: int, serial: int) -> None:
        count = -(-size // CHUNK)
        self.start = start
        self.size = size
        self.digests: list[bytes | None] = [None] * count
        self.changed = [serial] * count
        self.born = serial
        self.log: list[tuple[int, int]] = []
        self.groups: list[bytes | None] = [None] * -(-count // _GROUP)
        self.unknown = count
        self.pending = set(range(count))
        self.watched = False

    @property
    def pages(self) -> tuple[int, int]:
        """Where the pages begin that it lies in, and their bytes."""
        start = self.start & ~(PAGE - 1)
        end = -(-(self.start + self.size) // PAGE) * PAGE
        return start, end - start

    def edges(self) -> set[int]:
        """Return the chunks in whose pages something else may lie: a write to those need not be a change."""
        first = {0} if self.start % PAGE else set()
        return first | ({len(self.digests) - 1} if (self.start + self.size) % PAGE else set())

    def note(self, chunk: int, digest: bytes, serial: int) -> None:
        """Take note of a chunk's content, if it is another one than before."""
        if digest == self.digests[chunk]:
            return
        self.unknown -= self.digests[chunk] is None
        self.digests[chunk], self.changed[chunk] = digest, serial
        self.groups[chunk // _GROUP] = None
        insort(self.log, (serial, chunk))
        if len(self.log) > 4 * len(self.changed) + _GROUP:
            self.log = sorted((when, one) for one, when in enumerate(self.changed) if when > self.born)

    def learn(self, chunk: int, digest: bytes) -> None:
        """Take note of the content of a chunk that has not changed."""
        self.unknown -= self.digests[chunk] is None
        self.digests[chunk] = digest
        self.groups[chunk // _GROUP] = None

    def changed_since(self, serial: int) -> list[int]:
        """Return the chunks that were found changed after a look, in order."""
        if serial < self.born:
            return list(range(len(self.changed)))
        found = set()
        for when, chunk in reversed(self.log):
            if when <= serial:
                break
            found.add(chunk)
        return sorted(found)

    def mark(self) -> str:
        """Return what stands for the content; every digest has to be known."""
        for number, group in enumerate(self.groups):
            if group is None:
                at = number * _GROUP
                self.groups[number] = _group_of(self.digests[at : at + _GROUP])
        return _group_of(self.groups).hex()

    def touch(self, start: int, end: int) -> None:
        """Bytes at addresses from `start` to `end` may have been written to."""
        first = max(start - self.start, 0) // CHUNK
        last = -(-min(end - self.start, self.size) // CHUNK)
        self.pending.update(range(first, last))

    def touch_all(self) -> None:
        """All of it may have been written to."""
        self.pending.update(range(len(self.digests)))


def digest_of(view: memoryview, chunk: int) -> bytes:
    return blake2b(view[chunk * CHUNK : (chunk + 1) * CHUNK], digest_size=DIGEST_BYTES).digest()


def _group_of(digests: Iterable[bytes | None]) -> bytes:
    return blake2b(b"".join(digest or b"" for digest in digests), digest_size=DIGEST_BYTES).digest()
