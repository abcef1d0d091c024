"""Bytes as chunks: cut, hashed, compressed where that pays, stored once, and put together again.

A *blob* (a component's stream, one of its buffers, a run's code) is kept inline if tiny, as one chunk if small, else as
a tree: chunks of fixed size below lists of up to 128 digests, which are chunks themselves. So a page written into a
gigabyte costs one chunk and two lists.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from blake3 import blake3

from .blobs import (
    COMPRESS_MIN,
    FANOUT,
    INLINE,
    INLINE_MAX,
    MANIFEST,
    PAYS,
    SPLICE,
    STORED_MANIFEST,
    BlobRef,
    Location,
    compress,
    is_compressible,
)
from .cipher import CLEAR, Cipher
from .errors import SaveFailed
from .packs import ALIGNMENT, CHUNK_RECORD, CHUNK_SIZE, RAW, ZSTD, extent_header, make_record
from .records import Buffer, Patch
from .splicing import Before, Segment, encode_segments, splice

if TYPE_CHECKING:
    from .following import Follower
    from .patching import Base, Upload

ALIGNED_MIN = 16 * ALIGNMENT
"""Raw chunks from here on lie on page boundaries, so that they can be mapped; the padding is at most a sixteenth."""
SPILL = 1 << 20
"""Small chunks of one commit are held back up to this size, to be written together with the version."""
_MANIFEST_INLINE_MAX = 512


class BulkPacks(Protocol):
    """Where large chunks go while a commit is being prepared."""

    def position(self, size: int) -> tuple[int, int]:
        """Return the pack and the offset at which the next `size` bytes will be written."""

    def append(self, views: Sequence[Buffer]) -> None:
        """Write there."""


class ChunkWriter:
    """Turns blobs into chunks for one commit. Not thread-safe: one per commit.

    Args:
        known: Which of these digests are in the store already.
        bulk: Takes what is too large to be written with the version.
        cipher: How chunks are written.

    Attributes:
        rows: Digest and location of every chunk written to `bulk`.
        pending: Small chunks as (digest, header, payload, size, codec), to be appended with the version.
    """

    def __init__(
        self, known: Callable[[Sequence[bytes]], Collection[bytes]], bulk: BulkPacks, cipher: Cipher = CLEAR
    ) -> None:
        self.rows: list[tuple[bytes, Location]] = []
        self.pending: list[tuple[bytes, bytes, Buffer, int, int]] = []
        self.written = 0
        self._pending_size = 0
        self._known = known
        self._bulk = bulk
        self._own: set[bytes] = set()
        self._cipher = cipher

    def add_content(
        self,
        stream: Buffer | Patch,
        buffers: Sequence[Buffer | Patch],
        base: Callable[[Patch], Base],
        before: Mapping[int, Before] | None = None,
    ) -> tuple[bytes, int, bytes]:
        """Store a component's bytes; return its digest, its size, and its encoded content.

        Args:
            stream: the pickle.
            buffers: what it has out of band.
            base: returns what a patch is based on.
            before: by position (the stream's is 0), blobs of another size that stood there in the parent version.
        """
        if not buffers and not isinstance(stream, Patch) and memoryview(stream).nbytes <= INLINE_MAX:
            ref = self.add(stream)
            manifest = ref.encode()
            return blake3(manifest).digest(), ref.size, MANIFEST + manifest
        refs = [
            self._add_spliced(blob, before[at])
            if before and at in before
            else self.add_patch(blob, base)
            if isinstance(blob, Patch)
            else self.add(blob)
            for at, blob in enumerate((stream, *buffers))
        ]
        manifest = b"".join(ref.encode() for ref in refs)
        digest = blake3(manifest).digest()
        size = sum(ref.size for ref in refs)
        if len(manifest) <= _MANIFEST_INLINE_MAX:
            return digest, size, MANIFEST + manifest
        return digest, size, STORED_MANIFEST + self.add(manifest).encode()

    def add(self, data: Buffer) -> BlobRef:
        """Store a blob."""
        view = memoryview(data).cast("B") if not isinstance(data, bytes) else memoryview(data)
        size = view.nbytes
        if size <= INLINE_MAX:
            return BlobRef(size, INLINE, bytes(view))
        if size <= CHUNK_SIZE:
            digest = blake3(view).digest()
            self._add_chunks(view, [digest])
            return BlobRef(size, 0, digest)
        return self.tree(size, self.add_pieces(view))

    def add_pieces(self, view: memoryview) -> list[bytes]:
        """Store the chunks of a large blob, or of a part of one; return their digests."""
        digests: list[bytes] = []
        for start in range(0, view.nbytes, CHUNK_SIZE * FANOUT):
            window = view[start : start + CHUNK_SIZE * FANOUT]
            pieces = [blake3(window[at : at + CHUNK_SIZE]).digest() for at in range(0, window.nbytes, CHUNK_SIZE)]
            self._add_chunks(window, pieces)
            digests += pieces
        return digests

    def add_patch(self, patch: Patch, base: Callable[[Patch], Base]) -> BlobRef:
        """Store a blob of which only parts are at hand.

        Raises:
            SaveFailed: its base is not known, or a part was lost.
        """
        count = -(-patch.size // CHUNK_SIZE)
        parts: dict[int, bytes] = {}
        for offset, data in patch.runs:
            first = offset // CHUNK_SIZE
            for index, digest in enumerate(self.add_pieces(memoryview(data).cast("B")), first):
                parts[index] = digest
        upload = patch.upload
        if upload is not None:
            if upload.failure is not None:
                raise upload.failure
            if upload.follower is not None:
                return self._followed(upload, upload.follower, patch)
            parts.update(upload.digests)
            self.rows += upload.rows
            self.written += upload.written
        if patch.base is None and len(parts) != count:
            raise SaveFailed("no_base", "A part of a large value did not arrive.")
        lists: list[bytes] = []
        if patch.base is not None:
            found = base(patch)
            if not parts:
                patch.lists = found.lists or []
                return found.ref
            if found.lists is None:
                raise SaveFailed("no_base", "What a large value was before was put together of others.")
            lists = [*found.lists]
        if count == 1:
            return BlobRef(patch.size, 0, parts[0])
        touched: dict[int, bytearray] = {}
        for index, digest in parts.items():
            number, at = divmod(index, FANOUT)
            if number not in touched:
                size = 32 * min(FANOUT, count - number * FANOUT)
                touched[number] = bytearray(lists[number]) if lists else bytearray(size)
            touched[number][32 * at : 32 * at + 32] = digest
        lists = lists or [b""] * len(touched)
        for number, text in touched.items():
            lists[number] = bytes(text)
        patch.lists = lists
        digests = [blake3(text).digest() for text in lists]
        for number in touched:
            self._add_chunks(memoryview(lists[number]), [digests[number]])
        return self.tree(patch.size, digests, 1)

    def _followed(self, upload: Upload, follower: Follower, patch: Patch) -> BlobRef:
        """Finish a blob that was compared with an earlier one as it arrived."""
        ref, segments = follower.finish(self)
        self.rows += upload.rows
        self.written += upload.written
        if ref is None:
            ref = self._put_together(segments)
        if ref.size != patch.size:
            raise SaveFailed("no_base", "A part of a large value did not arrive.")
        return ref

    def tree(self, size: int, digests: list[bytes], level: int = 0) -> BlobRef:
        """Store the lists above the chunks of a blob, or above its lists; return the reference to the topmost."""
        while len(digests) > 1:
            lists = [b"".join(digests[at : at + FANOUT]) for at in range(0, len(digests), FANOUT)]
            digests = [blake3(text).digest() for text in lists]
            for text, digest in zip(lists, digests, strict=True):
                self._add_chunks(memoryview(text), [digest])
            level += 1
        return BlobRef(size, level, digests[0])

    def _add_spliced(self, blob: Buffer | Patch, before: Before) -> BlobRef:
        """Store a blob by what it has in common with an earlier one, if that is worth it."""
        data = blob.whole if isinstance(blob, Patch) else blob
        assert data is not None
        segments = splice(memoryview(data).cast("B"), before, self.add)
        if segments is not None:
            return self._put_together(segments)
        return self.add(data) if not isinstance(blob, Patch) else self.add_patch(blob, _no_base)

    def _put_together(self, segments: Sequence[Segment]) -> BlobRef:
        text = encode_segments(segments)
        digest = blake3(text).digest()
        self._add_chunks(memoryview(text), [digest])
        return BlobRef(sum(segment.size for segment in segments), SPLICE, digest)

    def _add_chunks(self, window: memoryview, digests: list[bytes]) -> None:
        """Store the chunks of a window that the store does not have."""
        known = self._known(digests)
        fresh = []
        for index, digest in enumerate(digests):
            if digest not in known and digest not in self._own:
                self._own.add(digest)
                fresh.append(index)
        if not fresh:
            return
        pays = window.nbytes < ALIGNED_MIN or is_compressible(window)
        if pays or self._cipher.encrypts:  # what is encrypted cannot be mapped
            for index in fresh:
                self._add_single(digests[index], window[index * CHUNK_SIZE : (index + 1) * CHUNK_SIZE], pays)
            return
        for first, last in _runs(fresh):
            self._write_extent(window[first * CHUNK_SIZE : last * CHUNK_SIZE], digests[first:last])

    def _add_single(self, digest: bytes, data: memoryview, pays: bool) -> None:
        payload: Buffer = data
        codec = RAW
        if pays and data.nbytes >= COMPRESS_MIN:
            packed = compress(data)
            if len(packed) <= PAYS * data.nbytes:
                payload, codec = packed, ZSTD
        header, payload, codec = make_record(self._cipher, CHUNK_RECORD, codec, data.nbytes, digest, payload)
        stored = len(payload)
        self.pending.append((digest, header, payload, data.nbytes, codec))
        self._pending_size += len(header) + stored
        self.written += len(header) + stored
        if self._pending_size > SPILL:
            self.spill()

    def spill(self) -> None:
        """Write the chunks held back to the bulk pack."""
        if not self.pending:
            return
        pack, offset = self._bulk.position(self._pending_size)
        views: list[Buffer] = []
        for digest, header, payload, size, codec in self.pending:
            offset += len(header)
            self.rows.append((digest, Location(pack, offset, len(payload), size, codec)))
            views += (header, payload)
            offset += len(payload)
        self._bulk.append(views)
        self.pending.clear()
        self._pending_size = 0

    def _write_extent(self, window: memoryview, digests: list[bytes]) -> None:
        pack, offset = self._bulk.position(window.nbytes + ALIGNMENT * 2)
        header = extent_header(offset, digests, window.nbytes)
        offset += len(header)
        for index, digest in enumerate(digests):
            size = min(CHUNK_SIZE, window.nbytes - index * CHUNK_SIZE)
            self.rows.append((digest, Location(pack, offset + index * CHUNK_SIZE, size, size, RAW)))
        self._bulk.append([header, window])
        self.written += len(header) + window.nbytes


def _runs(indexes: Sequence[int]) -> Iterable[tuple[int, int]]:
    """Yield (first, behind last) of each stretch of consecutive numbers."""
    first = previous = indexes[0]
    for index in indexes[1:]:
        if index != previous + 1:
            yield first, previous + 1
            first = index
        previous = index
    yield first, previous + 1


def _no_base(_: Patch) -> Base:
    raise SaveFailed("no_base", "A large value was to be built upon one that there is none of.")
