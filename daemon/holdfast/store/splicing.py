"""Blobs into which something was inserted, or out of which something was taken: what follows lies elsewhere now.

Chunks are cut at fixed places, so that large buffers can be mapped, and changes in place cost one chunk. But ten bytes
put into the middle of a hundred megabytes move all that follows: none of these chunks is cut where it was. If a blob
has another size than the one of the same place in the parent version, and ends as that one did, then it is kept as a
*splice*: the parent's chunks up to the change, new ones, and the parent's chunks from there on. A splice is a list of
segments, each some consecutive chunks of a blob that is cut at fixed places; never of another splice.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from blake3 import blake3

from .blobs import INLINE, INLINE_MAX, BlobRef, decode_refs, is_compressible
from .packs import CHUNK_SIZE
from .records import ComponentEntry

SPLICE_MIN = 4 * CHUNK_SIZE
"""What has to be the same for a splice to be worth it; less is stored anew."""
MAX_SEGMENTS = 64
"""More than that, and the blob is stored anew in one piece."""
_NEVER_MAPPED = {"bytes", "str", "list", "tuple", "dict", "set", "frozenset", "deque"}
"""Types of variables whose bytes are their own: a restore copies them."""
_SEGMENT = struct.Struct("<QQ")


@dataclass(frozen=True, slots=True)
class Segment:
    """Consecutive chunks of a blob."""

    ref: BlobRef
    first: int
    count: int

    @property
    def size(self) -> int:
        """Bytes of these chunks."""
        end = min(self.ref.size, (self.first + self.count) * CHUNK_SIZE)
        return end - self.first * CHUNK_SIZE


def encode_segments(segments: Sequence[Segment]) -> bytes:
    """Return what a splice refers to."""
    return b"".join(_SEGMENT.pack(segment.first, segment.count) + segment.ref.encode() for segment in segments)


def decode_segments(data: bytes, size: int) -> list[Segment]:
    """Read the segments of a splice.

    Raises:
        ValueError: they are not well formed, or do not make a blob of that size.
    """
    segments, at = [], 0
    while at < len(data):
        if at + _SEGMENT.size > len(data):
            raise ValueError("a segment is cut off")
        first, count = _SEGMENT.unpack_from(data, at)
        at += _SEGMENT.size
        length = 9 + 32
        (ref,) = decode_refs(data[at : at + length])
        at += length
        if ref.is_splice or ref.level == INLINE or not 0 < count <= -(-ref.size // CHUNK_SIZE) - first:
            raise ValueError("a segment is not part of a blob")
        segments.append(Segment(ref, first, count))
    if sum(segment.size for segment in segments) != size:
        raise ValueError("the segments do not make up the size")
    return segments


@dataclass(slots=True)
class Before:
    """A blob of the parent version, as what takes its place is compared with it.

    Attributes:
        size: its size.
        segments: what it consists of.
        pieces: digest and size of each of its chunks.
    """

    size: int
    segments: Sequence[Segment]
    pieces: Sequence[tuple[bytes, int]]


def may_splice(entry: ComponentEntry, at: int, sample: memoryview) -> bool:
    """Whether a blob of a component may become a splice: those that a restore would map have to lie on page boundaries.

    Args:
        entry: the component as it was.
        at: which of its blobs, the stream being 0.
        sample: the beginning of the blob, or all of it.
    """
    types = {str(summary.get("type", "")) for summary in entry.summaries.values()}
    return at == 0 or types <= _NEVER_MAPPED or is_compressible(sample)


def splice(view: memoryview, before: Before, add: Callable[[memoryview], BlobRef]) -> list[Segment] | None:
    """Return a blob as segments of an earlier one and of what is new; None if it is better kept for itself.

    Args:
        view: the blob.
        before: the earlier one.
        add: stores what is new.
    """
    size, pieces = view.nbytes, before.pieces
    room = min(size, before.size)
    last, end = len(pieces), size
    while last and size - end + pieces[last - 1][1] <= room and _is(view, end - pieces[last - 1][1], pieces[last - 1]):
        last -= 1
        end -= pieces[last][1]
    first, start = 0, 0
    if size - end < SPLICE_MIN and len(before.segments) == 1:
        return None  # what is the same at the beginning is cut in the same way
    while first < last and start + pieces[first][1] <= end and _is(view, start, pieces[first]):
        start += pieces[first][1]
        first += 1
    if start + size - end < max(SPLICE_MIN, size // 2):
        return None
    if 0 < end - start <= INLINE_MAX:  # a segment consists of chunks
        if last < len(pieces):
            end += pieces[last][1]
            last += 1
        else:
            first -= 1
            start -= pieces[first][1]
    segments = cut(before.segments, 0, first)
    if end > start:
        new = add(view[start:end])
        segments.append(Segment(new, 0, -(-new.size // CHUNK_SIZE)))
    segments += cut(before.segments, last, len(pieces))
    # What is referred to stays as a whole: no more of it than twice the blob.
    whole = sum({segment.ref.value: segment.ref.size for segment in segments}.values())
    return segments if len(segments) <= MAX_SEGMENTS and whole <= 2 * size else None


def _is(view: memoryview, at: int, piece: tuple[bytes, int]) -> bool:
    return blake3(view[at : at + piece[1]]).digest() == piece[0]


def cut(segments: Sequence[Segment], first: int, last: int) -> list[Segment]:
    """Return the part of segments that the chunks from `first` up to `last` make, all of them counted in order."""
    found, at = [], 0
    for segment in segments:
        low, high = max(first - at, 0), min(last - at, segment.count)
        if low < high:
            found.append(Segment(segment.ref, segment.first + low, high - low))
        at += segment.count
    return found
