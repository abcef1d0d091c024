"""Pack files: append-only logs of checksummed records, as `docs/format.md` describes them.

Two kinds. A *log* pack holds small chunks, version records and session events: everything a lost catalog is rebuilt
from, in the order in which it happened. A *bulk* pack holds large chunks, so that a long write of one session does not
stand in the way of small commits of others.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import struct
import threading
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from blake3 import blake3

from .cipher import CLEAR, ENCRYPTED, OVERHEAD, Cipher
from .errors import Damaged, StoreUnavailable
from .records import Buffer

PACK_MAGIC = b"HOLDPACK"
PACK_FORMAT, COPY_FORMAT, ENCRYPTED_FORMAT = 1, 2, 3
"""Packs as they are written to, and those that a compaction made of others: a reader that does not know these would
take their records for younger than they are. And those of an encrypted store, be they either."""
PACK_HEADER = struct.Struct("<8sHHI16sI12x16s")
"""Magic, format, kind, number, store id, place in the order of the log, reserved, first half of the BLAKE3 of what
precedes."""
LOG, BULK = 1, 2

RECORD_MAGIC = b"HFrc"
RECORD_HEADER = struct.Struct("<4sBBHIII32s8xI")
"""Magic, kind, codec, padding, count, size, stored size, digest, reserved, CRC-32 of what precedes."""
CHUNK_RECORD, VERSION_RECORD, EVENT_RECORD, EXTENT_RECORD, LISTING_RECORD = 1, 2, 3, 4, 5
RAW, ZSTD = 0, 1

CHUNK_SIZE = 256 * 1024
"""Large buffers are cut at multiples of this. Writing one number into a gigabyte costs one chunk, so smaller is
cheaper; below this the index grows (a gigabyte has 4,096 chunks) and compression gets worse. A multiple of every
page size in use (4, 16, 64 KiB), so that chunks can be mapped."""
ALIGNMENT = 4096
EXTENT_CHUNKS = 128
"""Chunks in one extent: 32 MiB that lie together in the file and can be mapped with one call."""

LOG_PACK_LIMIT = 64 * 1024 * 1024
BULK_PACK_LIMIT = 1024 * 1024 * 1024
"""Large enough that a terabyte needs a thousand files, small enough to rewrite when most of it is garbage."""

_IOV_BATCH = 256  # well under IOV_MAX (1024) of Linux and macOS
try:
    import fcntl

    _FULL_FLUSH: int | None = getattr(fcntl, "F_FULLFSYNC", None)
except ImportError:  # Windows, where `fsync` flushes the disk
    _FULL_FLUSH = None

_position_lock = threading.Lock()
"""Windows has no pread: there, seek and read must not be torn apart by another thread."""
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
_NO_WAITING = getattr(os, "O_NONBLOCK", 0)
MAX_RECORD = 1 << 30
"""No record of the log is larger, stored or not."""


class Record(NamedTuple):
    """A record found in a pack."""

    kind: int
    codec: int
    offset: int
    """Where its header starts."""
    payload: int
    """Where its payload starts."""
    stored: int
    size: int
    digest: bytes
    chunks: tuple[bytes, ...]
    """Digests of an extent's chunks, in order; empty for other kinds."""

    @property
    def end(self) -> int:
        """Where the next record starts."""
        return self.payload + self.stored


class PackHeader(NamedTuple):
    """What a pack says about itself."""

    kind: int
    store_id: bytes
    is_copy: bool
    """A compaction made it of other packs."""
    order: int
    """Where its records come among those of the log packs: the number of the first one it was made of, or its own."""
    is_encrypted: bool = False


def open_plain(path: Path, flags: int) -> int:
    """Open a file of the state folder without following a link, and without waiting at a pipe.

    Raises:
        OSError: it is not there, may not be opened, or is something else than a file.
    """
    fd = os.open(path, flags | _NO_FOLLOW | _NO_WAITING)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "it is not a file", str(path))
    return fd


def record_header(kind: int, codec: int, size: int, stored: int, digest: bytes, count: int = 0, pad: int = 0) -> bytes:
    """Return a record's header with its checksum."""
    head = RECORD_HEADER.pack(RECORD_MAGIC, kind, codec, pad, count, size, stored, digest, 0)[:-4]
    return head + zlib.crc32(head).to_bytes(4, "little")


def make_record(
    cipher: Cipher, kind: int, codec: int, size: int, digest: bytes, payload: Buffer
) -> tuple[bytes, Buffer, int]:
    """Return a record as it is written: its header, its payload, and that one's codec.

    Args:
        cipher: the store's.
        kind: what it is.
        codec: `RAW` or `ZSTD`.
        size: of the payload, uncompressed.
        digest: the same.
        payload: what is to be written.
    """
    if cipher.encrypts:
        codec |= ENCRYPTED
        payload = cipher.close(kind, codec, size, digest, payload)
    (covered,) = cipher.cover((digest,))
    return record_header(kind, codec, size, memoryview(payload).nbytes, covered), payload, codec


def extent_header(offset: int, digests: Sequence[bytes], size: int) -> bytes:
    """Return header, table and padding of an extent at `offset`; its payload starts on a page boundary."""
    table = b"".join(digests)
    unpadded = offset + RECORD_HEADER.size + len(table)
    pad = -unpadded % ALIGNMENT
    head = record_header(EXTENT_RECORD, RAW, size, size, blake3(table).digest(), len(digests), pad)
    return head + table + bytes(pad)


def write_at(fd: int, views: Sequence[Buffer], offset: int) -> int:
    """Write all of `views`, one after the other; return the number of bytes.

    Raises:
        OSError: not everything could be written; what lies behind `offset` is then undefined.
    """
    queue = [view for view in (memoryview(v).cast("B") for v in views) if view.nbytes]
    start = offset
    if len(queue) > 1 and sum(view.nbytes for view in queue) <= 1 << 20:
        queue = [memoryview(b"".join(queue))]
    while queue:
        if hasattr(os, "pwritev"):
            written = os.pwritev(fd, queue[:_IOV_BATCH], offset)
        else:
            with _position_lock:
                os.lseek(fd, offset, os.SEEK_SET)
                written = os.write(fd, queue[0][: 1 << 24])
        if written == 0:
            raise OSError(errno.EIO, "the file system took no bytes")
        offset += written
        while queue and written >= queue[0].nbytes:
            written -= queue.pop(0).nbytes
        if written:
            queue[0] = queue[0][written:]
    return offset - start


class PackFolder:
    """The pack files of one store. Opening and numbering; what lies in them is the business of others.

    Args:
        folder: where they are.
        store_id: which store's.
        cipher: how what lies in them is written.
    """

    def __init__(self, folder: Path, store_id: bytes, cipher: Cipher = CLEAR) -> None:
        self.folder = folder
        self.store_id = store_id
        self.cipher = cipher
        self._fds: dict[int, int] = {}
        self._identities: dict[int, tuple[str, int, int]] = {}
        self._removed: set[int] = set()
        self._settled = False

    def path(self, number: int) -> Path:
        """Return the file of a pack."""
        return self.folder / f"{number:06d}.pack"

    def numbers(self) -> list[int]:
        """Return the numbers of the packs on disk, in order."""
        found = (p.stem for p in self.folder.iterdir() if p.suffix == ".pack")
        return sorted(int(stem) for stem in found if len(stem) >= 6 and stem.isascii() and stem.isdigit())

    def is_shared(self, number: int) -> bool:
        """Whether the file has another name as well: then nothing is written to it, since it may be somebody else's.

        Raises:
            OSError, Damaged: it cannot be opened.
        """
        return os.fstat(self.fd(number)).st_nlink > 1

    def create(self, number: int, kind: int) -> int:
        """Create a pack with nothing but its header; return the length of that.

        Raises:
            OSError: no room, no rights, or a file of that name exists.
        """
        path = self.path(number)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _NO_FOLLOW, 0o600)
        try:
            write_at(fd, [pack_header(kind, number, self.store_id, encrypted=self.cipher.encrypts)], 0)
        except OSError:
            os.close(fd)
            path.unlink(missing_ok=True)
            raise
        self._fds[number] = fd
        return PACK_HEADER.size

    def fd(self, number: int) -> int:
        """Return a descriptor that reads and, where the file system lets us, writes the pack.

        Raises:
            OSError: the file is gone or may not be read.
            Damaged: it is not this pack.
        """
        fd = self._fds.get(number)
        if fd is None:
            fd = self.open(number)
            try:
                self._accept(fd, number)
            except BaseException:
                os.close(fd)
                raise
            # Two threads may get here at once: the first one's descriptor stays, for it may be in use.
            kept = self._fds.setdefault(number, fd)
            if kept != fd:
                os.close(fd)
            fd = kept
        return fd

    def open(self, number: int) -> int:
        """Return a new descriptor of the file, whatever it holds.

        Raises:
            OSError: the file is gone or may not be read.
        """
        path = self.path(number)
        try:
            return open_plain(path, os.O_RDWR)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise
            return open_plain(path, os.O_RDONLY)

    def _accept(self, fd: int, number: int) -> None:
        if read_pack_header(fd, number, self.store_id).is_encrypted != self.cipher.encrypts:
            raise damaged_pack(self.path(number), "it belongs to another place")

    def length(self, number: int) -> int:
        """Return the size of the file, 0 if there is none (a symbolic link is none)."""
        try:
            status = self.path(number).lstat()
        except OSError:
            return 0
        return status.st_size if (status.st_mode & 0o170000) == 0o100000 else 0

    def is_current(self, number: int) -> bool:
        """Whether the file we hold open is still the one that the path names."""
        known = self._identities.get(number)
        if known is None:
            fd = self._fds.get(number)
            if fd is None:
                return True
            here = os.fstat(fd)
            known = self._identities[number] = (str(self.path(number)), here.st_ino, here.st_dev)
        path, inode, device = known
        try:
            there = os.lstat(path)  # called for every commit, and Path.lstat takes twice as long
        except OSError:
            return False
        return there.st_ino == inode and there.st_dev == device

    def read(self, number: int, offset: int, size: int) -> bytes:
        """Return `size` bytes.

        Raises:
            Damaged: the pack is missing, shorter, or unreadable.
        """
        try:
            got = read_at(self.fd(number), offset, size)
        except OSError as error:
            raise damaged_pack(self.path(number), error.strerror or str(error)) from error
        if len(got) != size:
            raise damaged_pack(self.path(number), "it is shorter than it was")
        return got

    def cut(self, number: int, length: int) -> None:
        """Take back what was appended behind `length` and never became part of a version; best effort.

        What cannot be cut off is overwritten by the next append.
        """
        with contextlib.suppress(OSError):
            if not self.is_shared(number):
                os.ftruncate(self.fd(number), length)

    def sync(self, numbers: Sequence[int]) -> None:
        """Make the packs and the folder's list of them durable.

        Raises:
            OSError: the disk could not.
        """
        for number in numbers:
            try:
                if number not in self._removed:
                    flush(self.fd(number))
            except OSError:
                if number not in self._removed:  # meanwhile
                    raise
        sync_folder(self.folder)
        if not self._settled:
            # That the state folder exists at all is in the folder above it.
            sync_folder(self.folder.parent)
            sync_folder(self.folder.parent.parent)
            self._settled = True

    def header(self, number: int) -> PackHeader:
        """Return what a pack says about itself.

        Raises:
            OSError, Damaged: it cannot be read.
        """
        return read_pack_header(self.fd(number), number, self.store_id)

    def draft(self, number: int) -> Path:
        """Return the file that becomes a pack when all of it is written."""
        return self.folder / f"{number:06d}.copy"

    def clear_drafts(self) -> None:
        """Remove what a compaction that was killed had not finished."""
        for path in self.folder.glob("*.copy"):
            with contextlib.suppress(OSError):
                path.unlink()

    def clear_unbegun(self, number: int) -> None:
        """Remove a pack whose writer was killed, or lost its power, before the header was there; any other stays.

        Nobody may be writing to the folder.
        """
        path = self.path(number)
        with contextlib.suppress(OSError):
            fd = open_plain(path, os.O_RDONLY)
            try:
                status, begun = os.fstat(fd), read_at(fd, 0, PACK_HEADER.size)
            finally:
                os.close(fd)
            if status.st_nlink == 1 and status.st_size == len(begun) and self._is_unbegun(number, begun):
                path.unlink()

    def _is_unbegun(self, number: int, begun: bytes) -> bool:
        if len(begun) == PACK_HEADER.size:
            return not any(begun)  # the file's length reached the disk, and its bytes did not
        return any(
            pack_header(kind, number, self.store_id, encrypted=self.cipher.encrypts).startswith(begun)
            for kind in (LOG, BULK)
        )

    def remove(self, number: int) -> bool:
        """Delete a pack that nothing needs any more; whether it is gone. Where it is mapped, its bytes stay until then.

        On Windows a file that somebody has open or mapped stays: to be tried again.
        """
        self._removed.add(number)
        fd = self._fds.pop(number, None)
        self._identities.pop(number, None)
        if fd is not None:
            os.close(fd)
        try:
            self.path(number).unlink(missing_ok=True)
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Close all files."""
        fds, self._fds = self._fds, {}
        self._identities.clear()
        for fd in fds.values():
            os.close(fd)


def pack_header(kind: int, number: int, store_id: bytes, copy_of: int = 0, *, encrypted: bool = False) -> bytes:
    """Return the first bytes of a pack; `copy_of`: the place in the log's order of what was copied into it."""
    form = ENCRYPTED_FORMAT if encrypted else COPY_FORMAT if copy_of else PACK_FORMAT
    head = PACK_HEADER.pack(PACK_MAGIC, form, kind, number, store_id, copy_of, bytes(16))[:-16]
    return head + blake3(head).digest()[:16]


def read_pack_header(fd: int, number: int, store_id: bytes | None) -> PackHeader:
    """Return what a pack says about itself.

    Raises:
        Damaged: the header is not that of this pack of this store (of any store, when `store_id` is None).
        StoreUnavailable: kind ``newer``.
    """
    head = read_at(fd, 0, PACK_HEADER.size)
    name = f"{number:06d}.pack"
    if len(head) < PACK_HEADER.size or head[:8] != PACK_MAGIC or blake3(head[:-16]).digest()[:16] != head[-16:]:
        raise damaged_pack(Path(name), "its header is not that of a pack")
    _, form, kind, said, owner, order, _ = PACK_HEADER.unpack(head)
    if form > ENCRYPTED_FORMAT:
        raise StoreUnavailable(
            "newer",
            f"{name} was written by a newer Holdfast. Nothing was changed; update Holdfast to read this state.",
        )
    if said != number or (store_id is not None and owner != store_id) or kind not in (LOG, BULK):
        raise damaged_pack(Path(name), "it belongs to another place")
    is_encrypted = form == ENCRYPTED_FORMAT
    is_copy = form == COPY_FORMAT or (is_encrypted and order > 0)
    return PackHeader(kind, owner, is_copy, order if is_copy else number, is_encrypted)


def read_at(fd: int, offset: int, size: int) -> bytes:
    """Return up to `size` bytes from `offset`, fewer only at the end of the file."""
    parts = []
    while size:
        part = os.pread(fd, size, offset) if hasattr(os, "pread") else _seek_and_read(fd, offset, size)
        if not part:
            break
        parts.append(part)
        offset += len(part)
        size -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _seek_and_read(fd: int, offset: int, size: int) -> bytes:
    with _position_lock:
        os.lseek(fd, offset, os.SEEK_SET)
        return os.read(fd, size)


def scan(fd: int, start: int, end: int, cipher: Cipher = CLEAR) -> Iterator[Record]:
    """Yield the records from `start`, up to `end` or the first bytes that are not a whole record.

    Headers and extents' tables are verified, payloads are not read. Digests are those of what is in the payloads, if
    `cipher` is that of the store.
    """
    offset = start
    while offset + RECORD_HEADER.size <= end:
        head = read_at(fd, offset, RECORD_HEADER.size)
        if len(head) < RECORD_HEADER.size or zlib.crc32(head[:-4]) != int.from_bytes(head[-4:], "little"):
            return
        magic, kind, codec, pad, count, size, stored, digest, _ = RECORD_HEADER.unpack(head)
        body = offset + RECORD_HEADER.size
        chunks: tuple[bytes, ...] = ()
        if magic != RECORD_MAGIC:
            return
        if kind == EXTENT_RECORD:
            if not 0 < count <= EXTENT_CHUNKS or not (count - 1) * CHUNK_SIZE < size <= count * CHUNK_SIZE:
                return
            table = read_at(fd, body, 32 * count)
            if len(table) < 32 * count or blake3(table).digest() != digest:
                return
            chunks = tuple(table[i : i + 32] for i in range(0, len(table), 32))
            body += len(table)
        else:
            (digest,) = cipher.uncover((digest,))
        record = Record(kind, codec, offset, body + pad, stored, size, digest, chunks)
        if record.end > end or not _is_possible(record):
            return
        yield record
        offset = record.end


def _is_possible(record: Record) -> bool:
    """Whether sizes are such as are written; what is larger is never read or unpacked."""
    if record.kind == EXTENT_RECORD:
        return record.stored == record.size
    longer = OVERHEAD if record.codec & ENCRYPTED else 0
    return max(record.size, record.stored - longer) <= (CHUNK_SIZE if record.kind == CHUNK_RECORD else MAX_RECORD)


def find_record(fd: int, start: int, end: int) -> int | None:
    """Return where the next record begins at or behind `start`, as far as its header tells."""
    step = 1 << 20
    while (start := _behind_hole(fd, start, end)) + RECORD_HEADER.size <= end:
        block = read_at(fd, start, min(step + RECORD_HEADER.size, end - start))
        at = block.find(RECORD_MAGIC)
        while 0 <= at <= len(block) - RECORD_HEADER.size:
            head = block[at : at + RECORD_HEADER.size]
            if zlib.crc32(head[:-4]) == int.from_bytes(head[-4:], "little"):
                return start + at
            at = block.find(RECORD_MAGIC, at + 1)
        start += step
    return None


def _behind_hole(fd: int, start: int, end: int) -> int:
    """Return where the next bytes are that were ever written: a file can be said to be of any size."""
    if not hasattr(os, "SEEK_DATA"):
        return start
    try:
        return max(start, os.lseek(fd, start, os.SEEK_DATA))
    except OSError as error:
        return end if error.errno == errno.ENXIO else start


def damaged_pack(path: Path, why: str) -> Damaged:
    """Return the error for a pack that cannot be read."""
    return Damaged(
        "pack",
        path.name,
        f"The pack file {path.name} of the saved state is damaged ({why}). Variables kept in it cannot be restored, "
        f"all others can. If a backup of .state exists, put this file back from it.",
    )


def flush(fd: int) -> None:
    """Have a file on the disk, and not only in the disk's memory (which is all that macOS' `fsync` promises).

    Raises:
        OSError: the disk could not.
    """
    if _FULL_FLUSH is not None:
        with contextlib.suppress(OSError):  # a file system that does not know it; then as elsewhere
            fcntl.fcntl(fd, _FULL_FLUSH)
            return
    os.fsync(fd)


def sync_folder(folder: Path) -> None:
    """Make the folder's entries durable, where the platform knows how (Windows does it by itself)."""
    if os.name != "posix":
        return
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
