"""References to bytes by what they are, and the codecs that the bytes are kept in."""

from __future__ import annotations

import struct
import threading
from typing import NamedTuple

import zstandard
from blake3 import blake3

from .cipher import ENCRYPTED, OVERHEAD, Cipher
from .packs import CHUNK_RECORD, CHUNK_SIZE, EXTENT_CHUNKS, RAW, ZSTD
from .records import Buffer

INLINE_MAX = 128
"""Up to this size bytes stand in the version itself: a chunk's record and index row alone take as much."""
FANOUT = EXTENT_CHUNKS
"""Digests per list: 4 KiB of list for 32 MiB of content."""
COMPRESS_MIN = 512
"""Below this, what zstd saves is not worth the time."""
PAYS = 0.85
"""Compressed is kept when it takes at most this share: less is not worth the loss of mapping."""
_SAMPLE_PIECES, _SAMPLE_SIZE = 8, 8192
LEVEL = 1
_compressors = threading.local()


INLINE = 0xFF
SPLICE = 0xFE
_REF = struct.Struct("<QB")
MANIFEST, STORED_MANIFEST = b"m", b"r"
"""What an encoded content begins with: the list of its blobs itself, or a reference to it."""
_MAX_BLOB = 1 << 50


class Location(NamedTuple):
    """Where a chunk lies."""

    pack: int
    offset: int
    stored: int
    size: int
    codec: int

    @property
    def is_possible(self) -> bool:
        """Whether sizes are such as are written; what is larger is never read or unpacked."""
        longest = CHUNK_SIZE + (OVERHEAD if self.codec & ENCRYPTED else 0)
        return 0 < self.size <= CHUNK_SIZE and 0 < self.stored <= longest and self.offset > 0


class BlobRef(NamedTuple):
    """Points to bytes by what they are."""

    size: int
    level: int
    """0: `value` is the digest of the one chunk; n: of a list of level n - 1; 255: `value` is the bytes themselves;
    254: the digest of a chunk that says of which parts of other blobs this one consists (`splicing`)."""
    value: bytes

    @property
    def is_splice(self) -> bool:
        """Whether it consists of parts of others."""
        return self.level == SPLICE

    def encode(self) -> bytes:
        """Return the form that `decode_refs` reads."""
        return _REF.pack(self.size, self.level) + self.value


def decode_refs(data: bytes) -> list[BlobRef]:
    """Read references that stand one after the other.

    Raises:
        ValueError: they are not well formed.
    """
    refs, at = [], 0
    while at < len(data):
        if at + _REF.size > len(data):
            raise ValueError("a reference is cut off")
        size, level = _REF.unpack_from(data, at)
        at += _REF.size
        length = size if level == INLINE else 32
        if length > INLINE_MAX or at + length > len(data) or size > _MAX_BLOB:
            raise ValueError("a reference is too long")
        if level not in (INLINE, SPLICE) and level != _level_of(size):
            raise ValueError("a reference's depth and size contradict each other")
        refs.append(BlobRef(size, level, data[at : at + length]))
        at += length
    return refs


def _level_of(size: int) -> int:
    level, reach = 0, CHUNK_SIZE
    while reach < size:
        level, reach = level + 1, reach * FANOUT
    return level


def compress(data: Buffer) -> bytes:
    """Return a zstd frame that names its content's size. Compressors are kept, one per thread: making one is dear."""
    compressor: zstandard.ZstdCompressor | None = getattr(_compressors, "it", None)
    if compressor is None:
        compressor = _compressors.it = zstandard.ZstdCompressor(level=LEVEL)
    return compressor.compress(data)


def unpack(data: bytes, codec: int, size: int) -> bytes | None:
    """Return what was packed, None if it is not that."""
    if codec == RAW:
        return data if len(data) == size else None
    if codec != ZSTD:
        return None
    try:
        if zstandard.frame_content_size(data) != size:
            return None
        return zstandard.ZstdDecompressor().decompress(data, max_output_size=size)
    except zstandard.ZstdError:
        return None


def reveal(cipher: Cipher, kind: int, codec: int, size: int, digest: bytes, stored: bytes) -> bytes | None:
    """Return what a record's payload held before it was packed, and encrypted if it is; None if it is not that.

    Args:
        cipher: the store's.
        kind: of record.
        codec: of the payload as stored.
        size: of what it held.
        digest: the same. Whether that is its digest is for the caller to find out.
        stored: the payload.
    """
    packed = cipher.open(kind, codec, size, digest, stored)
    return None if packed is None else unpack(packed, codec & ~ENCRYPTED if cipher.encrypts else codec, size)


def reveal_chunk(cipher: Cipher, place: Location, digest: bytes, stored: bytes) -> bytes | None:
    """Return a chunk, given what is stored at its place; None if it is not what its digest says."""
    data = reveal(cipher, CHUNK_RECORD, place.codec, place.size, digest, stored)
    return data if data is not None and blake3(data).digest() == digest else None


def is_compressible(window: memoryview) -> bool:
    """Whether compressing pays, judged by pieces spread over the window."""
    step = max(_SAMPLE_SIZE, window.nbytes // _SAMPLE_PIECES)
    sample = b"".join(window[at : at + _SAMPLE_SIZE] for at in range(0, window.nbytes, step))
    return len(compress(sample)) <= PAYS * len(sample)
