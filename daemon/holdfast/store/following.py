"""A large blob that arrives piece by piece, compared on its way with the one whose place it takes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

from blake3 import blake3

from .blobs import BlobRef
from .packs import CHUNK_SIZE
from .splicing import Before, Segment, cut

if TYPE_CHECKING:
    from .chunks import ChunkWriter


class Follower:
    """Finds the chunks of an earlier blob in a later one of another size, reading that once from the front.

    Up to the first difference they lie where they lay. What is the same behind the last one lies further on, or nearer,
    by the difference of the sizes. What lies between is new.

    Args:
        before: the earlier blob.
        size: of the later one.
    """

    def __init__(self, before: Before, size: int) -> None:
        self._before = before
        self._shift = size - before.size
        self._starts = list(accumulate((length for _, length in before.pieces), initial=0))
        self._held = bytearray()
        """What has arrived and is not told apart yet; less than a chunk, between two calls."""
        self._at = 0
        """Where that begins."""
        self._piece = 0
        """The first piece of the earlier blob that was not passed yet."""
        self._moved = False
        """Whether the first difference was met."""
        self._new = bytearray()
        self._digests: list[bytes] = []
        self._new_size = 0
        self._segments: list[Segment] = []
        self._covered: tuple[int, int] | None = None
        self.shared = 0
        """Bytes found behind the first difference."""

    def feed(self, data: memoryview, writer: ChunkWriter, *, last: bool = False) -> None:
        """Take in the bytes that come next.

        Args:
            data: the bytes.
            writer: stores what is new.
            last: there are no more.
        """
        self._held += data
        view = memoryview(self._held)
        used = 0
        while used < len(view):
            step = self._step(view[used:], writer, last)
            if not step:
                break
            used += step
            self._at += step
        view.release()
        del self._held[:used]

    def _step(self, view: memoryview, writer: ChunkWriter, last: bool) -> int:
        """Tell the next bytes apart; return how many, 0 if it takes more to do so."""
        pieces, starts = self._before.pieces, self._starts
        shift = self._shift if self._moved else 0
        while self._moved and self._piece < len(pieces) and starts[self._piece] + shift < self._at:
            self._piece += 1
        if self._piece == len(pieces):
            return self._add(view, writer)
        ahead = starts[self._piece] + shift - self._at
        if ahead > 0:
            return self._add(view[:ahead], writer)
        digest, size = pieces[self._piece]
        if len(view) < size and not last:
            return 0
        # What is the same at the beginning is to stay cut at fixed places, so that it stays one blob.
        fits = size == CHUNK_SIZE or self._moved or len(self._before.segments) > 1
        if fits and len(view) >= size and blake3(view[:size]).digest() == digest:
            return self._cover(size, writer)
        if not self._moved:
            self._moved = True
            return self._step(view, writer, last)
        self._piece += 1
        return self._add(view[:size], writer)

    def _cover(self, size: int, writer: ChunkWriter) -> int:
        self._close(writer)
        if self._covered is not None and self._covered[1] != self._piece:
            self._end_covered()  # something was taken out, and nothing put in its place
        first = self._piece if self._covered is None else self._covered[0]
        self._piece += 1
        self._covered = first, self._piece
        self.shared += size if self._moved else 0
        return size

    def _add(self, view: memoryview, writer: ChunkWriter) -> int:
        self._end_covered()
        self._new += view
        self._new_size += len(view)
        whole = len(self._new) - len(self._new) % CHUNK_SIZE
        if whole:
            self._digests += writer.add_pieces(memoryview(bytes(self._new[:whole])))
            del self._new[:whole]
        return len(view)

    def _end_covered(self) -> None:
        if self._covered is not None:
            self._segments += cut(self._before.segments, *self._covered)
            self._covered = None

    def _close(self, writer: ChunkWriter) -> None:
        """What was new so far is a blob of its own."""
        if not self._new_size:
            return
        self._flush(writer)
        ref = writer.tree(self._new_size, self._digests)
        self._segments.append(Segment(ref, 0, len(self._digests)))
        self._digests, self._new_size = [], 0

    def _flush(self, writer: ChunkWriter) -> None:
        if self._new:
            self._digests += writer.add_pieces(memoryview(bytes(self._new)))
            self._new.clear()

    def finish(self, writer: ChunkWriter) -> tuple[BlobRef | None, Sequence[Segment]]:
        """Return the later blob: whole, if nothing behind the first difference was found, else as segments."""
        self.feed(memoryview(b""), writer, last=True)
        if not self.shared and len(self._before.segments) == 1:
            # No more than a beginning: so all of it is cut at fixed places.
            self._flush(writer)
            count = self._covered[1] if self._covered else sum(segment.count for segment in self._segments)
            digests = [digest for digest, _ in self._before.pieces[:count]] + self._digests
            size = self._at
            return writer.tree(size, digests), ()
        self._close(writer)
        self._end_covered()
        return None, self._segments
