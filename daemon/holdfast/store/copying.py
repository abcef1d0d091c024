"""Copying what is still needed of old packs into a new one, byte by byte verified."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from blake3 import blake3

from .appending import write_error
from .blobs import Location, reveal
from .cipher import ENCRYPTED
from .packs import (
    CHUNK_RECORD,
    CHUNK_SIZE,
    EVENT_RECORD,
    EXTENT_RECORD,
    LISTING_RECORD,
    PACK_HEADER,
    RAW,
    VERSION_RECORD,
    PackFolder,
    Record,
    damaged_pack,
    extent_header,
    flush,
    make_record,
    pack_header,
    record_header,
    scan,
    write_at,
)

STEP = 1 << 20
"""Bytes copied in one step."""


class Needed(NamedTuple):
    """What of a pack is needed: places of chunks by where they begin, and where needed records begin."""

    chunks: dict[int, tuple[bytes, Location]]
    """By offset of the payload."""
    versions: dict[int, int]
    """By offset of the record: the id."""
    listings: dict[int, int]


def is_needed(record: Record, needed: Needed) -> bool:
    """Whether a record that is no extent has to be copied."""
    if record.kind == CHUNK_RECORD:
        return record.payload in needed.chunks
    if record.kind == VERSION_RECORD:
        return record.offset in needed.versions
    if record.kind == LISTING_RECORD:
        return record.offset in needed.listings
    return True  # events tell where sessions stand; other kinds are of a later Holdfast


class Moves:
    """Where what was copied lies now."""

    def __init__(self) -> None:
        self.chunks: list[tuple[bytes, Location, Location]] = []
        self.versions: list[tuple[int, int, int]] = []
        self.listings: list[tuple[int, int, int]] = []


class PackCopy:
    """A new pack that is made of old ones. Nobody sees it before `finish`.

    Args:
        packs: the files that it becomes one of.
        number: its number, which nobody else uses.
        kind: `packs.LOG` or `packs.BULK`.
        order: the place of the first pack that it is made of in the order of the log.
        source: the files that it is made of, if these are others; maybe encrypted otherwise.

    Raises:
        SaveFailed: it cannot be made.
    """

    def __init__(self, packs: PackFolder, number: int, kind: int, order: int, source: PackFolder | None = None) -> None:
        self.number = number
        self.moves = Moves()
        self._packs = packs
        self._source = packs if source is None else source
        self._path = packs.draft(number)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        try:
            self._fd = os.open(self._path, flags, 0o600)
        except OSError as error:
            raise write_error(error) from error
        self.end = 0
        self._queue: list[bytes] = []
        self._queued = 0
        self._put([pack_header(kind, number, packs.store_id, order, encrypted=packs.cipher.encrypts)])

    @property
    def position(self) -> int:
        """Where the next record goes."""
        return self.end + self._queued

    def _put(self, views: Sequence[bytes]) -> None:
        for view in views:
            self._queue.append(view)
            self._queued += len(view)

    def _flush(self) -> None:
        try:
            self.end += write_at(self._fd, self._queue, self.end)
        except OSError as error:
            raise write_error(error) from error
        self._queue, self._queued = [], 0

    def take(self, number: int, used: int, needed: Needed) -> Iterator[None]:
        """Copy what is needed of a pack, a little with each step.

        Raises:
            Damaged: something needed is not what was written; the pack must stay as it is.
            SaveFailed: there is no room.
        """
        fd, at, left = self._source.fd(number), PACK_HEADER.size, 0
        found: set[int] = set()
        for record in scan(fd, at, used, self._source.cipher):
            at = record.end
            if record.kind == EXTENT_RECORD:
                yield from self._take_extent(number, record, needed, found)
                continue
            left += 64
            if is_needed(record, needed):
                self._take_record(number, record, needed)
                found.add(record.payload)
                left += record.stored
            if left >= STEP // 4:
                left = 0
                self._flush()
                yield
        self._flush()
        if at != used or not found.issuperset(needed.chunks):
            raise damaged_pack(self._source.path(number), "what lies in it cannot be followed to its end")

    def _take_record(self, number: int, record: Record, needed: Needed) -> None:
        payload = self._source.read(number, record.payload, record.stored)
        content = reveal(self._source.cipher, record.kind, record.codec, record.size, record.digest, payload)
        known = record.kind in (CHUNK_RECORD, VERSION_RECORD, LISTING_RECORD, EVENT_RECORD)
        if known and (content is None or blake3(content).digest() != record.digest):
            raise damaged_pack(self._source.path(number), "a part of it is not what was written")
        offset = self.position
        place = self._put_record(record, payload)
        if record.kind == CHUNK_RECORD:
            digest, old = needed.chunks[record.payload]
            self.moves.chunks.append((digest, old, place))
        elif record.kind == VERSION_RECORD:
            self.moves.versions.append((needed.versions[record.offset], self.number, offset))
        elif record.kind == LISTING_RECORD:
            self.moves.listings.append((needed.listings[record.offset], self.number, offset))

    def _put_record(self, record: Record, stored: bytes) -> Location:
        """Write a record, encrypted as the new pack has it; return where its payload lies."""
        cipher, source = self._packs.cipher, self._source.cipher
        codec, payload = record.codec, stored
        if cipher is source:
            (covered,) = cipher.cover((record.digest,))
            header = record_header(record.kind, codec, record.size, record.stored, covered)
        else:
            packed = source.open(record.kind, codec, record.size, record.digest, stored)
            if packed is None:  # of a kind that only a later Holdfast knows
                raise damaged_pack(self._path, "a part of it is not what was written")
            codec = codec & ~ENCRYPTED if source.encrypts else codec
            made = make_record(cipher, record.kind, codec, record.size, record.digest, packed)
            header, payload, codec = made[0], bytes(made[1]), made[2]
        at = self.position + len(header)
        self._put([header, payload])
        return Location(self.number, at, len(payload), record.size, codec)

    def _take_extent(self, number: int, record: Record, needed: Needed, found: set[int]) -> Iterator[None]:
        """Copy the needed chunks of an extent, those that lay together together again, on page boundaries."""
        run: list[tuple[bytes, Location]] = []
        places = range(record.payload, record.payload + record.size, CHUNK_SIZE)
        for at in places:
            item = needed.chunks.get(at)
            if item is not None:
                run.append(item)
                found.add(at)
            if run and (item is None or at == places[-1]):
                yield from self._put_extent(number, run)
                run = []

    def _put_extent(self, number: int, run: Sequence[tuple[bytes, Location]]) -> Iterator[None]:
        if self._packs.cipher.encrypts:  # what is encrypted cannot be mapped: each lies by itself
            for digest, place in run:
                data = self._whole(number, digest, place)
                record = Record(CHUNK_RECORD, RAW, 0, 0, place.size, place.size, digest, ())
                self.moves.chunks.append((digest, place, self._put_record(record, data)))
                if self._queued >= STEP:
                    self._flush()
                    yield
            return
        self._flush()
        size = sum(place.size for _, place in run)
        header = extent_header(self.position, [digest for digest, _ in run], size)
        offset = self.position + len(header)
        self._put([header])
        for digest, place in run:
            self._put([self._whole(number, digest, place)])
            self.moves.chunks.append((digest, place, Location(self.number, offset, place.size, place.size, RAW)))
            offset += place.size
            if self._queued >= STEP:
                self._flush()
                yield
        self._flush()
        yield

    def _whole(self, number: int, digest: bytes, place: Location) -> bytes:
        data = self._source.read(number, place.offset, place.stored)
        if place.codec != RAW or blake3(data).digest() != digest:
            raise damaged_pack(self._source.path(number), "a part of it is not what was written")
        return data

    def finish(self) -> None:
        """Make it a pack, whole and on the disk.

        Raises:
            SaveFailed: it could not be written through.
        """
        self._flush()
        try:
            flush(self._fd)
            os.close(self._fd)
            self._fd = -1
            self._path.rename(self._packs.path(self.number))
            self._packs.sync((self.number,))
        except OSError as error:
            raise write_error(error) from error

    def give_up(self) -> None:
        """Take back what was written, if it has not become a pack."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        self._path.unlink(missing_ok=True)
