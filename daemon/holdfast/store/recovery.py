"""Bringing packs and catalog together again: after a kill, a power cut, or the loss of the catalog.

Bytes behind what the catalog knows are either whole versions, which are taken in (a power cut can take the end of the
catalog's write-ahead log and leave the packs), or the torn end of a write, which is cut off. If neither is certain they
are left alone, and the next write goes to another pack.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from blake3 import blake3

from .blobs import INLINE, MANIFEST, Location, decode_refs, reveal_chunk
from .catalog import Catalog
from .core import Core
from .encoding import VersionParts, beginning, decode_delta, field_refs, is_event, open_payload, split_version
from .errors import UNREADABLE, StoreError
from .ledger import ListingRow
from .packs import (
    CHUNK_RECORD,
    CHUNK_SIZE,
    EVENT_RECORD,
    EXTENT_RECORD,
    LISTING_RECORD,
    PACK_HEADER,
    RAW,
    VERSION_RECORD,
    PackHeader,
    Record,
    find_record,
    open_plain,
    read_pack_header,
    scan,
)
from .rows import UUID_SIZE, SessionRow, VersionRow, to_blob, version_id
from .timeline import UNSEALED_DELTA, UNSEALED_META, UNSEALED_RECORD


def told_by_packs(folder: Path) -> PackHeader | None:
    """Return what the packs in a folder say of their store: its id, and whether it is encrypted."""
    for path in sorted(folder.glob("*.pack")):
        try:
            fd = open_plain(path, os.O_RDONLY)
            try:
                return read_pack_header(fd, int(path.stem), None)
            finally:
                os.close(fd)
        except (OSError, ValueError, StoreError):
            continue  # not a pack, or a damaged one; the next may tell
    return None


def version_row_of(
    catalog: Catalog, session: SessionRow, meta: dict[str, Any], parts: VersionParts, place: tuple[int, int, int]
) -> VersionRow:
    """Return a version's row, made anew from its record.

    Args:
        catalog: has its parent, if it is there.
        session: its session.
        meta: its metadata.
        parts: what the record holds.
        place: the record's pack, where it begins and where it ends.

    Raises:
        ValueError, TypeError, KeyError: the metadata is not that of a version.
    """
    parent, base = meta["parent"], bool(meta["base"])
    above = None if parent is None else catalog.version(session.id, parent)
    fresh = base or above is None
    pack, offset, end = place
    return VersionRow(
        id=version_id(session.id, int(meta["version"])),
        parent=parent,
        base=int(base),
        depth=0 if fresh or above is None else above.depth + 1,
        weight=0 if fresh or above is None else above.weight + len(parts.delta),
        listing=len(parts.delta) if fresh or above is None else above.listing,
        pack=pack,
        offset=offset,
        written=int(meta["chunkBytes"]) + end - offset,
        label=None,
        signer=parts.signer,
        seal=parts.seal,
        digest=blake3(parts.meta).digest(),
        meta=parts.meta,
    )


class Recovery:
    """One look over all packs at opening.

    Args:
        core: the store; nobody else uses it yet.
        rebuild: the catalog is new: everything in the packs is taken in, and bytes are believed until they are read.

    Attributes:
        short: packs that lack bytes which the catalog expects, and their length.
        closed: packs that nothing must be appended to.
    """

    def __init__(self, core: Core, *, rebuild: bool) -> None:
        self.short: dict[int, int] = {}
        self.closed: set[int] = set()
        self._core = core
        self._rebuild = rebuild
        self._chunks: dict[bytes, Location] = {}
        self._log: list[tuple[int, Record]] = []
        self._ends: dict[int, int] = {}

    def run(self) -> None:
        """Do it.

        Raises:
            StoreError: the catalog could not be read or written.
        """
        known = self._core.catalog.packs()
        tails: dict[int, tuple[int, int, int]] = {}
        retired = self._core.catalog.retired()
        for number in sorted({*known, *self._core.packs.numbers()}.difference(retired), key=self._order):
            length = self._core.packs.length(number)
            kind, used = known.get(number, (0, 0))
            if length < used:
                self.short[number] = length
                self.closed.add(number)
                continue
            if length > used:
                kind = kind or self._kind(number)
                if kind and number not in known and self._is_copy(number) and not self._rebuild:
                    # A compaction was killed before the catalog had heard of it: all of this is elsewhere.
                    self.closed.add(number)
                elif kind:
                    tails[number] = (kind, max(used, PACK_HEADER.size), length)
                else:
                    self.closed.add(number)
        if not tails:
            return
        for number, (_, start, length) in tails.items():
            self._ends[number] = self._survey(number, start, length)
        with self._core.writing():
            self._core.catalog.add_chunks(list(self._chunks.items()) if self._log else [])
            cuts = self._settle(tails) if self._adopt() else self._take_back(tails)
        for number, end in cuts.items():
            self._core.packs.cut(number, end)

    def _kind(self, number: int) -> int:
        """Return the kind of a pack that the catalog does not know, 0 if it is none of ours."""
        try:
            return self._core.packs.header(number).kind
        except (OSError, StoreError):
            return 0

    def _is_copy(self, number: int) -> bool:
        return self._core.packs.header(number).is_copy

    def _order(self, number: int) -> tuple[int, int]:
        """Return where a pack comes among all: the copies of old packs are as old as these."""
        if self._rebuild:
            with contextlib.suppress(OSError, StoreError):
                return self._core.packs.header(number).order, number
        return number, number

    # ------------------------------------------------------------------ what is there

    def _survey(self, number: int, start: int, length: int) -> int:
        """Note the chunks, versions and events of a tail; return where the last whole record ends."""
        end = start
        for record in self._records(number, start, length):
            if record.kind in (VERSION_RECORD, EVENT_RECORD, LISTING_RECORD):
                self._log.append((number, record))
            elif not self._note_chunks(number, record):
                break
            end = record.end
        return end

    def _records(self, number: int, start: int, length: int) -> Iterator[Record]:
        try:
            fd = self._core.packs.fd(number)
        except (OSError, StoreError):
            self.closed.add(number)
            return
        at: int | None = start
        while at is not None:
            for record in scan(fd, at, length, self._core.packs.cipher):
                yield record
                at = record.end
            # Rebuilding, a damaged record must not hide those behind it.
            at = find_record(fd, at + 1, length) if self._rebuild and at < length else None

    def _note_chunks(self, number: int, record: Record) -> bool:
        """Note where the chunks of a record lie; whether they are whole (not looked at when rebuilding)."""
        if record.kind == CHUNK_RECORD:
            places = [(record.digest, Location(number, record.payload, record.stored, record.size, record.codec))]
        elif record.kind == EXTENT_RECORD:
            places = [
                (digest, Location(number, record.payload + at, size, size, RAW))
                for digest, at in zip(record.chunks, range(0, record.size, CHUNK_SIZE), strict=True)
                for size in (min(CHUNK_SIZE, record.size - at),)
            ]
        else:
            return True  # a kind of record that a later format adds
        for digest, place in places:
            if not self._rebuild:
                stored = self._core.packs.read(number, place.offset, place.stored)
                if reveal_chunk(self._core.packs.cipher, place, digest, stored) is None:
                    return False
            self._chunks.setdefault(digest, place)
        return True

    # ------------------------------------------------------------------ taking it in

    def _adopt(self) -> bool:
        """Take in versions and events in their order; whether there were any that could be."""
        adopted = 0
        for number, record in self._log:
            try:
                payload = self._payload(number, record)
                done = payload is not None and self._replay(number, record, payload)
            except (*UNREADABLE, StoreError):
                done = False
            if not done and not self._rebuild:
                # What follows was written after this one, and may build on it.
                self.closed.add(number)
                break
            adopted += done
        return adopted > 0

    def _payload(self, number: int, record: Record) -> bytes | None:
        """Return what a record holds, None if that is not what was written, or more than nobody vouches for."""
        packs = self._core.packs
        if max(record.size, record.stored) > (UNSEALED_RECORD if self._rebuild else UNSEALED_DELTA):
            if record.kind == EVENT_RECORD:
                return None
            parts = beginning(packs.cipher, record, partial(packs.read, number, record.payload), UNSEALED_META)
            if not self._core.timeline.is_sealed(parts):
                return None
        return open_payload(packs.cipher, record, packs.read(number, record.payload, record.stored))

    def _replay(self, number: int, record: Record, payload: bytes) -> bool:
        if record.kind == EVENT_RECORD:
            for event in json.loads(payload):
                self._replay_event(event)
            return True
        if record.kind == LISTING_RECORD:
            return self._replay_listing(number, record, payload)
        return self._replay_version(number, record, payload)

    def _replay_event(self, event: dict[str, Any]) -> None:
        catalog = self._core.catalog
        uuid = bytes.fromhex(event["session"])
        if not is_event(event):
            raise ValueError("an event is not what it should be")
        session = catalog.session_by_uuid(uuid)
        if event.get("forgotten"):
            if session is not None:
                catalog.remove_session(session.id)
            return
        trashed, reason, key = event["trashed"], event["reason"], to_blob(event["key"])
        if trashed is None:
            self._vacate(key, uuid)
        if session is None:
            session = catalog.add_session(uuid, key)
        place = session._replace(
            key=key,
            trashed=None if trashed is None else to_blob(trashed),
            reason=None if reason is None else to_blob(reason),
        )
        catalog.update_place(place)
        head = event["head"]
        if head is not None and catalog.version(session.id, head) is not None:
            catalog.update_position(self._core.sealed(place._replace(head=head, tip=event["tip"])))
        if "label" in event:
            which, label = event["label"]
            catalog.set_label(session.id, which, None if label is None else to_blob(label))
        if "thinned" in event:
            self._replay_thinning(session, event)

    def _replay_thinning(self, session: SessionRow, event: dict[str, Any]) -> None:
        catalog = self._core.catalog
        listed = catalog.history.listings_of(session.id)
        for cut in event["cuts"]:
            row = catalog.version(session.id, cut)
            if row is not None and not row.base and cut not in listed:
                return  # its listing was damaged: what it can still be read with stays, to be thinned again
        catalog.history.remove_versions(session.id, [(first, last) for first, last in event["thinned"]], event["at"])

    def _replay_listing(self, number: int, record: Record, payload: bytes) -> bool:
        parts = split_version(payload)
        meta = json.loads(parts.meta)
        session = self._core.catalog.session_by_uuid(bytes.fromhex(meta["session"]))
        if session is None or blake3(parts.delta).hexdigest() != meta["delta"]:
            return False
        row = self._core.catalog.version(session.id, meta["version"])
        if row is None or row.digest.hex() != meta["digest"]:
            return True  # of a version that was removed later
        place = (row.id, number, record.offset)
        self._core.catalog.history.add_listing(ListingRow(*place, parts.signer, parts.seal, parts.meta, parts.delta))
        return True

    def _vacate(self, key: bytes, uuid: bytes) -> None:
        """Two sessions cannot live under one key: the one that is said to be there now does."""
        occupant = self._core.catalog.live(key)
        if occupant is not None and occupant.uuid != uuid:
            self._core.catalog.update_place(occupant._replace(trashed=b"", reason=b"found twice in the packs"))

    def _replay_version(self, number: int, record: Record, payload: bytes) -> bool:
        parts = split_version(payload)
        meta = json.loads(parts.meta)
        catalog = self._core.catalog
        session = catalog.session_by_uuid(bytes.fromhex(meta["session"]))
        version = int(meta["version"])
        if not 0 < version < 1 << 32 or blake3(parts.delta).hexdigest() != meta["delta"]:
            return False
        if len(meta["session"]) != 2 * UUID_SIZE or not isinstance(meta["parent"], int | None):
            return False
        if session is None:
            if not self._rebuild:
                return False
            # The record of its making was damaged: what it was called is not known any more.
            session = catalog.add_session(bytes.fromhex(meta["session"]), to_blob(f"unnamed-{meta['session'][:8]}"))
        if not self._rebuild and not self._is_whole(session, meta, parts.delta, self._core.timeline.is_sealed(parts)):
            return False
        row = version_row_of(catalog, session, meta, parts, (number, record.offset, record.end))
        catalog.add_versions([(row, parts.delta)])
        self._advance(session, version, row.written)
        return True

    def _advance(self, session: SessionRow, version: int, size: int) -> None:
        following = max(session.next, version + 1)
        moved = session._replace(head=version, tip=version, next=following, written=session.written + size)
        self._core.catalog.update_position(self._core.sealed(moved))

    def _is_whole(self, session: SessionRow, meta: dict[str, Any], delta: bytes, trusted: bool) -> bool:
        """Whether the parent and every chunk of a version are there; of others' versions, also whether that can be told
        without reading lists, which could be of any size."""
        parent = meta["parent"]
        if parent is not None:
            above = self._core.catalog.version(session.id, parent)
            if above is None or above.digest.hex() != meta["parentDigest"]:
                return False
        if self._core.catalog.version(session.id, meta["version"]) is not None:
            return False
        refs = field_refs(meta)
        for entry in decode_delta(delta).changed:
            refs += decode_refs(entry.content[1:])
            if not trusted and (entry.content[:1] != MANIFEST or any(ref.level not in (0, INLINE) for ref in refs)):
                return False
            refs += self._core.reader.refs(entry.content, entry.digest, entry.id)
        for ref in refs:
            needed = list(self._core.reader.deep_digests(ref, "a version"))
            if len(self._core.known(needed)) < len(set(needed)):
                return False
        return True

    # ------------------------------------------------------------------ afterwards

    def _settle(self, tails: dict[int, tuple[int, int, int]]) -> dict[int, int]:
        """The tails are part of the store now, up to their last whole record; return what to cut off."""
        cuts = {}
        for number, (kind, _, length) in tails.items():
            if self._rebuild or self._core.catalog.referenced(number) > self._ends[number]:
                self.closed.add(number)
            end = length if number in self.closed else self._ends[number]
            self._core.catalog.set_pack(number, kind, end)
            if end < length:
                cuts[number] = end
        return cuts

    def _take_back(self, tails: dict[int, tuple[int, int, int]]) -> dict[int, int]:
        """Nothing in the tails could be taken in. They are cut off, unless a version is in them all the same."""
        cuts = {}
        for number, (kind, start, length) in tails.items():
            # That the catalog itself points there means that its note of the pack's end is what is wrong.
            if self._rebuild or self._log or self._core.catalog.referenced(number) > start:
                self.closed.add(number)
                self._core.catalog.set_pack(number, kind, length)
            else:
                self._core.catalog.set_pack(number, kind, start)
                cuts[number] = start
        return cuts
