"""What lies whole in the packs, found out from their bytes alone: every record is read, every digest computed anew."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

from blake3 import blake3

from .blobs import Location, reveal_chunk
from .encoding import VersionParts, beginning, is_event, open_payload, split_version
from .errors import UNREADABLE
from .packs import (
    CHUNK_RECORD,
    CHUNK_SIZE,
    EVENT_RECORD,
    EXTENT_RECORD,
    LISTING_RECORD,
    LOG,
    PACK_HEADER,
    RAW,
    VERSION_RECORD,
    PackFolder,
    Record,
    find_record,
    read_at,
    scan,
)
from .timeline import UNSEALED_META, UNSEALED_RECORD


class Standing(NamedTuple):
    """Where the log says that a session stands, and where it says so."""

    at: tuple[int, int, int]
    """Order and number of the pack, offset: what comes later counts."""
    key: str
    trashed: str | None
    reason: str | None


class Hole(NamedTuple):
    """Bytes of a log pack that are no whole record."""

    order: int
    pack: int
    start: int
    end: int


class Inventory:
    """The whole records of packs, by what they hold.

    Args:
        packs: the files.
        is_sealed: whether the user's own key sealed a version or a listing.

    Attributes:
        chunks: where each chunk lies that is what its digest says.
        versions: by session and number, the places of whole version records, with the digests of their metadata.
        listings: the same of listings that were made later.
        standings: what the last event of each session says.
        labels: by session and number, what the last event about it says.
        thinned: by session, the ranges of versions that were removed.
        forgotten: sessions that were removed.
        holes: bytes of log packs that are damaged.
        checked: records that were read.
        bytes: how many bytes were read.
    """

    def __init__(self, packs: PackFolder, is_sealed: Callable[[VersionParts], bool]) -> None:
        self._is_sealed = is_sealed
        self.chunks: dict[bytes, Location] = {}
        self.versions: dict[tuple[bytes, int], list[tuple[int, int, bytes]]] = {}
        self.listings: dict[tuple[bytes, int], list[tuple[int, int, bytes]]] = {}
        self.standings: dict[bytes, Standing] = {}
        self.labels: dict[tuple[bytes, int], str | None] = {}
        self.thinned: dict[bytes, list[tuple[int, int]]] = {}
        self.forgotten: set[bytes] = set()
        self.holes: list[Hole] = []
        self.checked = 0
        self.bytes = 0
        self._packs = packs
        self._events: list[tuple[tuple[int, int, int], dict[str, Any]]] = []

    def survey(self, number: int, kind: int, order: int, used: int) -> Iterator[None]:
        """Read a pack, a few hundred kilobytes with each step, whatever its header says.

        Args:
            number: which one.
            kind: `packs.LOG` or `packs.BULK`.
            order: its place in the order of the log.
            used: how much of it is part of the store.
        """
        try:
            fd = self._packs.open(number)
        except OSError:
            self._damaged(kind, order, number, PACK_HEADER.size, used)
            return
        try:
            at, expected, used = PACK_HEADER.size, used, min(used, os.fstat(fd).st_size)
            if used < expected:  # also where it was cut between two records
                self._damaged(kind, order, number, used, expected)
            self.bytes += min(at, used)
            while at < used:
                for record in scan(fd, at, used, self._packs.cipher):
                    yield from self._record(fd, number, order, record)
                    self.bytes += record.end - at
                    at = record.end
                if at >= used:
                    break
                following = find_record(fd, at + 1, used)
                end = used if following is None else following
                self._damaged(kind, order, number, at, end)
                self.bytes += end - at
                at = end
                yield
        except OSError:
            self._damaged(kind, order, number, at, used)
        finally:
            os.close(fd)

    def _damaged(self, kind: int, order: int, number: int, start: int, end: int) -> None:
        if kind == LOG:
            self.holes.append(Hole(order, number, start, end))

    def _record(self, fd: int, number: int, order: int, record: Record) -> Iterator[None]:
        self.checked += 1
        if record.kind == EXTENT_RECORD:
            for digest, at in zip(record.chunks, range(0, record.size, CHUNK_SIZE), strict=False):
                size = min(CHUNK_SIZE, record.size - at)
                self._chunk(fd, digest, Location(number, record.payload + at, size, size, RAW))
                yield
        elif record.kind == CHUNK_RECORD:
            self._chunk(fd, record.digest, Location(number, record.payload, record.stored, record.size, record.codec))
            yield
        elif record.kind in (VERSION_RECORD, LISTING_RECORD, EVENT_RECORD):
            payload = None
            if max(record.size, record.stored) <= UNSEALED_RECORD or self._begins_sealed(fd, record):
                stored = read_at(fd, record.payload, record.stored)
                payload = open_payload(self._packs.cipher, record, stored)
            if payload is None or not self._note((order, number, record.offset), record.kind, payload):
                self._damaged(LOG, order, number, record.offset, record.end)
            yield

    def _begins_sealed(self, fd: int, record: Record) -> bool:
        """Whether a large record holds something that is the user's own, told from its beginning."""
        try:
            read = partial(read_at, fd, record.payload)
            return self._is_sealed(beginning(self._packs.cipher, record, read, UNSEALED_META))
        except ValueError:
            return False

    def _chunk(self, fd: int, digest: bytes, place: Location) -> None:
        if not place.is_possible:
            return
        if reveal_chunk(self._packs.cipher, place, digest, read_at(fd, place.offset, place.stored)) is not None:
            self.chunks[digest] = place

    def _note(self, at: tuple[int, int, int], kind: int, payload: bytes) -> bool:
        """Note what a record of the log holds; whether it can be read."""
        try:
            if kind == EVENT_RECORD:
                events = json.loads(payload)
                self._events += [(at, event) for event in events if is_event(event)]
                return True
            parts = split_version(payload)
            meta = json.loads(parts.meta)
            known = self.versions if kind == VERSION_RECORD else self.listings
            place = (at[1], at[2], blake3(parts.meta).digest())
            if blake3(parts.delta).hexdigest() != meta["delta"]:
                return False
            known.setdefault((bytes.fromhex(meta["session"]), int(meta["version"])), []).append(place)
        except UNREADABLE:
            return False
        return True

    def replay(self) -> None:
        """Go through the events in their order; after all packs were read."""
        for at, event in sorted(self._events, key=lambda pair: pair[0]):
            with contextlib.suppress(*UNREADABLE):
                self._replay(at, event)

    def _replay(self, at: tuple[int, int, int], event: dict[str, Any]) -> None:
        uuid = bytes.fromhex(event["session"])
        if event.get("forgotten"):
            self.forgotten.add(uuid)
            return
        self.standings[uuid] = Standing(at, event["key"], event["trashed"], event["reason"])
        if "label" in event:
            which, label = event["label"]
            self.labels[uuid, which] = label
        for first, last in event.get("thinned", ()):
            self.thinned.setdefault(uuid, []).append((first, last))

    def was_removed(self, uuid: bytes, number: int) -> bool:
        """Whether the log says that a version was removed."""
        return uuid in self.forgotten or any(first <= number <= last for first, last in self.thinned.get(uuid, ()))
