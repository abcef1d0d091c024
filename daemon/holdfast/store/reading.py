"""Putting blobs together again, and believing no byte whose digest was not computed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from blake3 import blake3

from .blobs import FANOUT, INLINE, STORED_MANIFEST, BlobRef, Location, decode_refs, reveal_chunk
from .errors import Damaged, StoreError
from .packs import CHUNK_SIZE, PackFolder
from .splicing import Segment, decode_segments


class ChunkReader:
    """Puts blobs together again, and believes no byte whose digest it has not computed.

    Args:
        packs: Where the bytes lie.
        locate: Looks up chunks; those that the store does not have are missing in the answer.
        on_rotten: Told of a digest whose bytes are missing or wrong, so that the next commit stores them anew.
    """

    def __init__(
        self,
        packs: PackFolder,
        locate: Callable[[Sequence[bytes]], dict[bytes, Location]],
        on_rotten: Callable[[bytes], None],
    ) -> None:
        self.on_rotten = on_rotten
        self._packs = packs
        self._locate = locate

    def content(self, encoded: bytes, digest: bytes, what: str) -> tuple[bytes, list[bytes]]:
        """Return stream and buffers of a component.

        Raises:
            Damaged: naming `what`.
        """
        try:
            refs = self.refs(encoded, digest, what)
            stream, *buffers = (self.blob(ref, what) for ref in refs)
        except ValueError as error:
            raise damaged_content(what, f"its list of contents is not readable: {error}") from error
        return stream, buffers

    def refs(self, encoded: bytes, digest: bytes, what: str) -> list[BlobRef]:
        """Return the references to a component's stream and buffers.

        Raises:
            Damaged: naming `what`.
            ValueError: they are not well formed.
        """
        manifest = encoded[1:]
        if encoded[:1] == STORED_MANIFEST:
            (ref,) = decode_refs(manifest)
            manifest = self.blob(ref, what)
        if blake3(manifest).digest() != digest:
            raise ValueError("it does not match its digest")
        return decode_refs(manifest)

    def top_refs(self, encoded: bytes) -> list[BlobRef]:
        """Return what the content names itself.

        Raises:
            ValueError: it is not well formed.
        """
        return decode_refs(encoded[1:])

    def holds(self, digest: bytes, place: Location) -> bool:
        """Whether a chunk is what its digest says.

        Raises:
            Damaged: the pack cannot be read there.
        """
        return self._read(digest, place) is not None

    def top_digests(self, encoded: bytes) -> list[bytes]:
        """Return the digests that the content names itself, without reading any of them."""
        return [ref.value for ref in decode_refs(encoded[1:]) if ref.level != INLINE]

    def deep_digests(self, ref: BlobRef, what: str) -> Iterable[bytes]:
        """Yield every digest that a blob needs; reads its lists.

        Raises:
            Damaged: a list is missing or wrong.
        """
        if ref.level == INLINE:
            return
        yield ref.value
        if ref.is_splice:
            for segment in self.segments(ref, what):
                yield from self.deep_digests(segment.ref, what)
            return
        for level in range(ref.level, 0, -1):
            for digests in self._lists(ref, level, what):
                yield from digests

    def list_of(self, digest: bytes, what: str) -> list[bytes]:
        """Return the digests that one list holds.

        Raises:
            Damaged: it is missing or wrong.
        """
        (text,) = self._chunks([digest], what)
        if len(text) % 32:
            raise damaged_content(what, "a list of its chunks has the wrong length")
        return [text[at : at + 32] for at in range(0, len(text), 32)]

    def chunk_lists(self, ref: BlobRef, what: str) -> list[bytes]:
        """Return the lists of the chunks of a blob that has more than one.

        Raises:
            Damaged: a list is missing or wrong.
        """
        return [b"".join(digests) for digests in self._lists(ref, 1, what)]

    def _lists(self, ref: BlobRef, down_to: int, what: str) -> Iterable[list[bytes]]:
        """Yield, one list at a time, the digests that the lists of level `down_to` hold."""
        total = -(-ref.size // CHUNK_SIZE)
        frontier = [ref.value]
        for level in range(ref.level, down_to - 1, -1):
            # How many digests all lists of this level hold together follows from the size: nothing is taken on trust.
            expected = -(-total // FANOUT ** (level - 1))
            found: list[bytes] = []
            for at in range(0, len(frontier), FANOUT):
                for text in self._chunks(frontier[at : at + FANOUT], what):
                    found += [text[i : i + 32] for i in range(0, len(text), 32)]
            if len(found) != expected or any(len(digest) != 32 for digest in found[-1:]):
                raise damaged_content(what, "a list of its chunks has the wrong length")
            frontier = found
        for at in range(0, len(frontier), FANOUT):
            yield frontier[at : at + FANOUT]

    def lists(self, ref: BlobRef, what: str) -> Iterable[list[bytes]]:
        """Yield the digests of a blob's chunks in order, one list of them at a time; not of a splice.

        Raises:
            Damaged: a list is missing or wrong.
        """
        return self._lists(ref, 1, what)

    def segments(self, ref: BlobRef, what: str) -> list[Segment]:
        """Return what a splice consists of.

        Raises:
            Damaged: that cannot be read.
        """
        (text,) = self._chunks([ref.value], what)
        try:
            return decode_segments(text, ref.size)
        except ValueError as error:
            raise damaged_content(what, f"what it consists of is not readable: {error}") from error

    def pieces(self, ref: BlobRef, what: str) -> Iterable[list[tuple[bytes, int]]]:
        """Yield digest and size of a blob's chunks in order, some at a time.

        Raises:
            Damaged: a list is missing or wrong.
        """
        if ref.is_splice:
            for segment in self.segments(ref, what):
                yield list(self._part(segment, what))
            return
        left = ref.size
        for digests in [[ref.value]] if ref.level == 0 else self._lists(ref, 1, what):
            yield [(digest, min(CHUNK_SIZE, left - at * CHUNK_SIZE)) for at, digest in enumerate(digests)]
            left -= len(digests) * CHUNK_SIZE

    def _part(self, segment: Segment, what: str) -> Iterator[tuple[bytes, int]]:
        at, last = 0, segment.first + segment.count
        for page in self.pieces(segment.ref, what):
            yield from page[max(0, segment.first - at) : max(0, last - at)]
            at += len(page)

    def locate(self, digests: Sequence[bytes]) -> dict[bytes, Location]:
        """Return where chunks lie; those that the store does not have are missing."""
        return self._locate(digests)

    def blob(self, ref: BlobRef, what: str) -> bytes:
        """Return a blob's bytes.

        Raises:
            Damaged: naming `what`.
        """
        if ref.level == INLINE:
            return ref.value
        if ref.level == 0:
            (data,) = self._chunks([ref.value], what)
        else:
            parts: list[bytes] = []
            for page in self.pieces(ref, what):
                for at in range(0, len(page), FANOUT):
                    parts += self._chunks([digest for digest, _ in page[at : at + FANOUT]], what)
            data = b"".join(parts)
        if len(data) != ref.size:
            raise damaged_content(what, "its length is not what it was")
        return data

    def _chunks(self, digests: Sequence[bytes], what: str) -> list[bytes]:
        places = self._locate(digests)
        chunks = []
        for digest in digests:
            try:
                data = self._chunk(digest, places.get(digest), what)
            except StoreError as error:
                self.on_rotten(digest)
                if isinstance(error, Damaged) and error.kind == "content":
                    raise
                raise damaged_content(what, error.message) from error
            chunks.append(data)
        return chunks

    def _chunk(self, digest: bytes, place: Location | None, what: str) -> bytes:
        if place is None:
            raise damaged_content(what, "a part of it is missing")
        try:
            data = self._read(digest, place)
        except StoreError:
            moved = self._locate([digest]).get(digest)
            if moved is None or moved == place:
                raise
            data = self._read(digest, moved)  # a compaction put it elsewhere, and removed the file
        if data is None:
            raise damaged_content(what, "a part of it is not what was written")
        return data

    def _read(self, digest: bytes, place: Location) -> bytes | None:
        if not place.is_possible:
            return None
        stored = self._packs.read(place.pack, place.offset, place.stored)
        return reveal_chunk(self._packs.cipher, place, digest, stored)


def damaged_content(what: str, why: str) -> Damaged:
    """Return the error for bytes that cannot be read."""
    return Damaged(
        "content",
        what,
        f"The saved bytes of {what} are damaged ({why}). It cannot be restored from this version; everything else can. "
        f"Restore an older version of it, or run the cell that made it again.",
    )
