"""Which large buffers changed, in which chunks, and the fingerprints made of components.

A buffer from `LARGE` bytes on is looked at in chunks of `CHUNK` bytes. A chunk is hashed when it may have been written
to: where the operating system tells which pages were (see `userfault`), only those chunks; elsewhere all of them. What
is remembered belongs to a range of addresses and not to an object: memory that is freed and used again is still right.
"""

from __future__ import annotations

import functools
import os
from bisect import bisect_left, insort
from collections.abc import Container, Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

from ..wire import CHUNK as CHUNK
from ..wire import LARGE as LARGE
from .regions import DIGEST_BYTES, PAGE, Region, digest_of
from .userfault import WriteTracker

DOUBT = "HOLDFAST_DOUBT"
"""Environment variable: hash everything, and fail when that disagrees with what the operating system says."""
_MARKS = ":"
_NOWHERE = -1
"""The address of what is made anew for every save."""
_SERIALS_OF_COPY = 1 << 20


class Disagreement(AssertionError):
    """A chunk changed that nobody was said to have written to. Only looked for in doubt mode."""


class Memory(NamedTuple):
    """The large buffers of a component as they were when it was sent.

    Attributes:
        fingerprint: of the component.
        serial: chunks that changed later have a higher one.
        places: address and size of each large buffer.
        indexes: which of the component's buffers they are.
    """

    fingerprint: str
    serial: int
    places: tuple[tuple[int, int], ...]
    indexes: tuple[int, ...]

    @property
    def marks(self) -> list[str]:
        """What stands for each large buffer's content."""
        return marks_of(self.fingerprint)


class Large(NamedTuple):
    """A large buffer of a component that is sent.

    Attributes:
        position: which of the component's buffers.
        view: all of it.
        base: which of the buffers that the store has it is but for `runs`; None: all of it is in `runs`.
        runs: (start, end) in bytes, on the boundaries of chunks.
    """

    position: int
    view: memoryview
    base: int | None
    runs: list[tuple[int, int]]

    def pieces(self) -> Iterator[memoryview]:
        """Yield the bytes of `runs`."""
        for start, end in self.runs:
            yield self.view[start:end]


class Pages:
    """What is known of the large buffers of one process."""

    def __init__(self) -> None:
        self.serial = 0
        self._regions: dict[tuple[int, int], Region] = {}
        self._starts: list[tuple[int, int]] = []
        self._largest = 0
        self._tracker: WriteTracker | None = None
        self._probed = False
        self._frozen = False
        self._flying: dict[int, dict[tuple[int, int], set[int]]] = {}
        """For each copy of the process what it has to hash."""
        self._limit = 64
        self._doubt = bool(os.environ.get(DOUBT))

    @property
    def tracks(self) -> bool:
        """Whether the operating system tells which pages were written to."""
        if not self._probed:
            self._probed = True
            self._tracker = WriteTracker.make()
        return self._tracker is not None

    # -- looking

    def measure(
        self, views: Sequence[memoryview], stored: Memory | None, passing: Container[int] = ()
    ) -> tuple[list[str], list[Large], Memory]:
        """Hash what may have changed; return marks that stand for the contents, what to send, and what to remember.

        Args:
            views: the component's buffers; those that are not large are left out.
            stored: what the store has of the component.
            passing: ids of objects whose memory is not worth watching: they are made anew for every save.
        """
        self.serial += 1
        places, indexes, marks, larges = [], [], [], []
        known = {} if stored is None else dict(zip(stored.marks, stored.indexes, strict=True))
        for index, view in enumerate(views):
            if view.nbytes < LARGE:
                continue
            key = (address_of(view), view.nbytes)
            if id(view.obj) in passing:
                places.append((_NOWHERE, view.nbytes))
                mark, at = _mark_of_all(view), None
            else:
                places.append(key)
                region = self._look_at(key)
                at = stored.places.index(key) if stored is not None and key in stored.places else None
                if at is None:  # Of what was adopted some chunks are unknown, and there is nothing to start from.
                    region.pending.update(chunk for chunk, digest in enumerate(region.digests) if digest is None)
                self._hash(region, view)
                mark = self._mark(region, None, ()) if at is None else ""
            indexes.append(index)
            if stored is None or at is None:
                # What moved, and is as it was, the store has.
                base = known.get(mark)
                marks.append(mark)
                larges.append(Large(index, view, base, [(0, view.nbytes)] if base is None else []))
            else:
                since = stored.serial
                changed = region.changed_since(since)
                marks.append(self._mark(region, stored.marks[at], changed))
                larges.append(Large(index, view, stored.indexes[at], list(_runs(changed, view.nbytes))))
        return marks, larges, Memory("", self.serial, tuple(places), tuple(indexes))

    def watch(self, views: Iterable[memoryview]) -> None:
        """Begin to watch buffers that a copy of this process is going to save."""
        self.serial += 1
        for view in views:
            if view.nbytes >= LARGE:
                self._look_at((address_of(view), view.nbytes))

    def pending_bytes(self, memory: Memory) -> int:
        """Return how much of a component's large buffers has to be hashed."""
        total = 0
        for key in memory.places:
            region = self._regions.get(key)
            if region is not None:
                self._scan(region)
            total += key[1] if region is None else min(len(region.pending) * CHUNK, key[1])
        return total

    def adopt(self, views: Sequence[memoryview], fingerprint: str) -> Memory | None:
        """Take note of the buffers of a component as they were just loaded; None if there is nothing to note.

        Those that can't be watched are hashed when they are saved again, and not sent if they are as they were.
        """
        large = {index: view for index, view in enumerate(views) if view.nbytes >= LARGE}
        if not large or self._frozen or len(marks_of(fingerprint)) != len(large):
            return None
        self.serial += 1
        places = []
        for view in large.values():
            key = (address_of(view), view.nbytes)
            region = self._look_at(key) if self.tracks else None
            if region is None or not region.watched:
                places.append((_NOWHERE, view.nbytes))
                continue
            region.pending.clear()
            for chunk in range(len(region.digests)) if self._doubt else region.edges():
                region.learn(chunk, digest_of(view, chunk))
            places.append(key)
        return Memory(fingerprint, self.serial, tuple(places), tuple(large))

    def _look_at(self, key: tuple[int, int]) -> Region:
        region = self._regions.get(key)
        if region is None:
            region = Region(*key, self.serial)
            self._regions[key] = region
            insort(self._starts, key)
            self._largest = max(self._largest, key[1])
        self._scan(region)
        return region

    def _scan(self, region: Region) -> None:
        """Find out which chunks may have been written to, of this region and of those that share pages with it."""
        if self._frozen:
            return
        start, size = region.pages
        tracker = self._tracker if self.tracks else None
        written = tracker.written(start, size) if tracker is not None and region.watched else None
        if written is not None:
            for first, end in written:
                for other in self._overlapping(first, end):
                    other.touch(first, end)
            return
        # What others knew of these pages counts no more either: they were not watched all the time.
        for other in self._overlapping(start, start + size):
            other.touch(start, start + size)
        region.touch_all()
        region.watched = tracker is not None and tracker.watch(start, size)

    def _overlapping(self, start: int, end: int) -> Iterator[Region]:
        at = bisect_left(self._starts, (start - self._largest, 0))
        while at < len(self._starts) and self._starts[at][0] < end:
            region = self._regions[self._starts[at]]
            if region.start + region.size > start:
                yield region
            at += 1

    # -- hashing

    def _hash(self, region: Region, view: memoryview) -> None:
        if self._doubt and not self._frozen:
            self._compare(region, view)
        key = (region.start, region.size)
        pending = region.pending.union(*(flying.get(key, ()) for flying in self._flying.values()))
        for chunk in pending:
            region.note(chunk, digest_of(view, chunk), self.serial)
        region.pending.clear()

    def _compare(self, region: Region, view: memoryview) -> None:
        for chunk, known in enumerate(region.digests):
            if known is not None and chunk not in region.pending and digest_of(view, chunk) != known:
                # It may have been written to by another thread just now.
                self._scan(region)
                if chunk not in region.pending:
                    raise Disagreement(
                        f"bytes {chunk * CHUNK} and following of the {region.size} at {region.start:#x} changed, "
                        "and no write to them was noticed"
                    )

    def _mark(self, region: Region, base: str | None, changed: Sequence[int]) -> str:
        if not region.unknown:
            return region.mark()
        assert base is not None  # Only of what was adopted some chunks are unknown.
        if not changed:
            return base
        mark = blake2b(base.encode(), digest_size=DIGEST_BYTES)
        for chunk in changed:
            mark.update(chunk.to_bytes(8, "little") + (region.digests[chunk] or b""))
        return mark.hexdigest()

    # -- what is not needed any more

    def forget_others(self, used: Iterable[Memory]) -> None:
        """Forget the buffers that no component has, if there are many of them."""
        if len(self._regions) <= self._limit:
            return
        kept = {place for memory in used for place in memory.places}
        for key in self._regions.keys() - kept:
            region = self._regions.pop(key)
            if region.watched and self._tracker is not None and not self._frozen:
                start, size = region.pages
                if not any(other is not region for other in self._overlapping_kept(start, start + size)):
                    self._tracker.release(start, size)
        self._starts = sorted(self._regions)
        self._limit = max(64, 2 * len(self._regions))

    def _overlapping_kept(self, start: int, end: int) -> Iterator[Region]:
        return (
            region
            for region in self._regions.values()
            if region.start < end + PAGE and region.start + region.size > start - PAGE
        )

    # -- copies of the process

    def before_copy(self) -> int:
        """Find out what may have been written to so far, for a copy of the process to hash; return where it begins.

        `after_copy` has to follow.
        """
        for region in list(self._regions.values()):
            self._scan(region)
        begin = self.serial
        self.serial += _SERIALS_OF_COPY
        return begin

    def in_copy(self, begin: int) -> None:
        """Be those of the copy: its memory stays as it is, and the original's is not to be touched."""
        self.serial, self._frozen = begin, True

    def in_original(self, begin: int) -> None:
        """Be those of the original: what the copy hashes is the copy's business."""
        self._flying[begin] = {}
        for key, region in self._regions.items():
            if region.pending:
                self._flying[begin][key], region.pending = region.pending, set()

    def findings(self, begin: int) -> list[tuple[tuple[int, int], int, bytes | None]]:
        """In a copy: return the chunks that it found changed, as region, chunk, digest."""
        return [
            (key, chunk, region.digests[chunk])
            for key, region in self._regions.items()
            for chunk in region.changed_since(begin)
        ]

    def after_copy(self, begin: int, findings: Iterable[tuple[tuple[int, int], int, bytes | None]] | None) -> None:
        """Take in what a copy found; None: it came to nothing, and what it had to hash is to be hashed here."""
        flying = self._flying.pop(begin, {})
        if findings is None:
            for key, chunks in flying.items():
                if key in self._regions:
                    self._regions[key].pending |= chunks
            return
        for key, chunk, digest in findings:
            if key not in self._regions:
                # Met by the copy first: what was written since the copy was made nobody knows.
                self._look_at(key).born = begin
            region = self._regions[key]
            if digest is not None and (region.changed[chunk] <= begin or region.digests[chunk] is None):
                region.note(chunk, digest, begin + 1)


def fingerprint(
    members: Sequence[str], stream: bytes, buffers: Sequence[memoryview], marks: Sequence[str] | None = None
) -> str:
    """Return what stands for a component's content: equal fingerprints mean equal content.

    Args:
        members: names.
        stream: the pickle.
        buffers: out of band.
        marks: of the large ones among them, as `Pages.measure` has them; None: they are hashed here.
    """
    if marks is None:
        marks = [_mark_of_all(view) for view in buffers if view.nbytes >= LARGE]
    digest = blake2b("\n".join(members).encode("utf-8", "surrogatepass"), digest_size=DIGEST_BYTES)
    digest.update(len(stream).to_bytes(8, "little"))
    digest.update(stream)
    for buffer in buffers:
        digest.update(buffer.nbytes.to_bytes(8, "little"))
        if buffer.nbytes < LARGE:
            digest.update(buffer)
    return digest.hexdigest() + (_MARKS + "".join(marks) if marks else "")


def _mark_of_all(view: memoryview) -> str:
    region = Region(0, view.nbytes, 0)
    region.digests = [digest_of(view, chunk) for chunk in range(len(region.digests))]
    return region.mark()


def marks_of(mark: str) -> list[str]:
    """Return what stands for each large buffer in a fingerprint."""
    _, _, marks = mark.partition(_MARKS)
    return [marks[at : at + 2 * DIGEST_BYTES] for at in range(0, len(marks), 2 * DIGEST_BYTES)]


def address_of(view: memoryview) -> int:
    """Return where the bytes of a contiguous view lie; something else that stands for its memory without ctypes."""
    try:
        import ctypes
    except ImportError:
        return id(view.obj)
    shown = _buffer_type()()
    ctypes.pythonapi.PyObject_GetBuffer(ctypes.py_object(view), ctypes.byref(shown), 0)
    try:
        return int(shown.buf or 0)
    finally:
        ctypes.pythonapi.PyBuffer_Release(ctypes.byref(shown))


@functools.cache
def _buffer_type() -> Any:
    import ctypes

    class PyBuffer(ctypes.Structure):
        """``Py_buffer`` of CPython's C API, which has had this layout since 3.0."""

        _fields_ = (
            ("buf", ctypes.c_void_p),
            ("obj", ctypes.c_void_p),
            ("len", ctypes.c_ssize_t),
            ("itemsize", ctypes.c_ssize_t),
            ("readonly", ctypes.c_int),
            ("ndim", ctypes.c_int),
            ("format", ctypes.c_char_p),
            ("shape", ctypes.c_void_p),
            ("strides", ctypes.c_void_p),
            ("suboffsets", ctypes.c_void_p),
            ("internal", ctypes.c_void_p),
        )

    return PyBuffer


def _runs(chunks: Sequence[int], size: int) -> Iterator[tuple[int, int]]:
    """Yield where stretches of consecutive chunks begin and end, in bytes."""
    first = previous = -1
    for chunk in chunks:
        if chunk != previous + 1 or previous < 0:
            if previous >= 0:
                yield first * CHUNK, (previous + 1) * CHUNK
            first = chunk
        previous = chunk
    if previous >= 0:
        yield first * CHUNK, min((previous + 1) * CHUNK, size)
