"""What a repair does, one function for each thing that an examination can find. What is taken out goes to the trash.

Each is one transaction, or the move of one file, so whenever a repair ends, what is there is whole.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from blake3 import blake3

from holdfast.quick_json import dumps

from .blobs import Location
from .core import Core, describe, now
from .encoding import VersionParts, decode_delta, encode_delta, listing_record, version_record
from .ledger import ListingRow
from .packs import (
    CHUNK_RECORD,
    EXTENT_RECORD,
    LISTING_RECORD,
    LOG,
    PACK_HEADER,
    VERSION_RECORD,
    open_plain,
    pack_header,
    read_at,
    scan,
    write_at,
)
from .recovery import version_row_of
from .rows import SessionRow, from_blob, to_blob, version_id
from .trash import Trash

PARTIAL = "incomplete: what it builds on is lost"
"""The label of versions that hold no more than what was changed after a version that is lost."""


# ---------------------------------------------------------------------------------------------- packs


def header_for(path: Path, number: int, kind: int, store_id: bytes, *, encrypted: bool) -> bytes:
    """Return the header that a pack had: of those that are possible, the one most like the bytes that are there."""
    fd = open_plain(path, os.O_RDONLY)
    try:
        damaged = read_at(fd, 0, PACK_HEADER.size)
    finally:
        os.close(fd)
    kinds = [kind] if kind else [1, 2]
    orders = range(number)  # 0: it is no copy
    candidates = [pack_header(each, number, store_id, at, encrypted=encrypted) for each in kinds for at in orders]
    return max(candidates, key=lambda head: sum(a == b for a, b in zip(head, damaged, strict=False)))


def holds_records(path: Path) -> int:
    """Return the kind of pack that a file looks like by what lies behind its header, 0 for none."""
    fd = open_plain(path, os.O_RDONLY)
    try:
        records = list(zip(range(50), scan(fd, PACK_HEADER.size, os.fstat(fd).st_size), strict=False))
    finally:
        os.close(fd)
    kinds = {record.kind for _, record in records}
    return 0 if not kinds else LOG if kinds - {CHUNK_RECORD, EXTENT_RECORD} else 2


def restore_header(path: Path, number: int, kind: int, store_id: bytes, *, encrypted: bool) -> None:
    """Write a pack's header anew; its records stay as they are.

    Args:
        path: the pack.
        number: its number.
        kind: of pack; 0: not known.
        store_id: whose it is.
        encrypted: whether that store is.

    Raises:
        OSError: it could not be written.
    """
    header = header_for(path, number, kind, store_id, encrypted=encrypted)
    fd = open_plain(path, os.O_RDWR)
    try:
        write_at(fd, [header], 0)
        os.fsync(fd)
    finally:
        os.close(fd)


def note_length(core: Core, number: int, kind: int, length: int) -> None:
    """Have the catalog note what is left of a pack that became shorter, or that there is nothing left."""
    with core.writing():
        if length:
            core.catalog.set_pack(number, kind, length)
        else:
            core.catalog.retire_pack(number)
    core.short.pop(number, None)


# ---------------------------------------------------------------------------------------------- chunks


def place_chunks(core: Core, rows: Sequence[tuple[bytes, Location]]) -> None:
    """Have the catalog point to where chunks were found."""
    with core.writing():
        core.catalog.add_chunks(rows)
        core.swept += 1


def forget_chunks(core: Core, rows: Sequence[tuple[bytes, Location]]) -> None:
    """Have the catalog forget chunks whose bytes are lost, so that they are stored anew when they are saved again."""
    with core.writing():
        core.catalog.history.remove_chunks(rows)
        core.swept += 1


# ---------------------------------------------------------------------------------------------- versions


def rewrite_version(core: Core, uuid: bytes, number: int, places: Sequence[tuple[int, int, bytes]]) -> None:
    """Make a version's row anew from its record in the log, also if there is none, or no session."""
    for pack, offset, _ in reversed(places):
        parts = core.timeline.parts(pack, offset, VERSION_RECORD)
        if parts is None:
            continue
        with core.writing():
            session = core.catalog.session_by_uuid(uuid)
            if session is None:
                session = core.catalog.add_session(uuid, to_blob(f"unnamed-{uuid.hex()[:8]}"))
            before = core.catalog.version(session.id, number)
            end = offset + len(version_record(core.packs.cipher, parts))
            row = version_row_of(core.catalog, session, json.loads(parts.meta), parts, (pack, offset, end))
            if before is not None:
                row = row._replace(label=before.label)
            core.catalog.add_versions([(row, parts.delta)])
            # What somebody else signed of where their session stands is not signed by us.
            if session.next <= number and session.signer in (b"", core.seal.key_id):
                session = session._replace(next=number + 1)
                core.catalog.update_position(core.sealed(session))
        return


def point_to(core: Core, table: str, identity: int, pack: int, offset: int) -> None:
    """Have a version or listing point to its record in the log."""
    with core.writing():
        core.catalog.history.move_records(table, [(identity, pack, offset)])


def append_version(core: Core, uuid: bytes, number: int) -> None:
    """Write a version to the log again, whose record there is damaged; the catalog has it whole."""
    with core.writing():
        session = core.catalog.session_by_uuid(uuid)
        row = None if session is None else core.catalog.version(session.id, number)
        delta = None if session is None else core.catalog.delta(session.id, number)
        if session is None or row is None or delta is None:
            return
        record = version_record(core.packs.cipher, VersionParts(row.signer, row.seal, row.meta, delta))
        pack, offset = core.log.position(len(record))
        core.log.append([record])
        core.catalog.history.move_records("versions", [(row.id, pack, offset)])
        # Whoever rebuilds the catalog takes the last version in the log for the head, until told otherwise.
        label = None if row.label is None else from_blob(row.label)
        core.log_event(session, **({} if label is None else {"label": [number, label]}))


def append_listing(core: Core, row: ListingRow) -> None:
    """Write a listing to the log again, whose record there is damaged."""
    with core.writing():
        record = listing_record(core.packs.cipher, VersionParts(row.signer, row.seal, row.meta, row.delta))
        pack, offset = core.log.position(len(record))
        core.log.append([record])
        core.catalog.history.move_records("listings", [(row.id, pack, offset)])


def rewrite_listing(core: Core, identity: int, places: Sequence[tuple[int, int, bytes]]) -> None:
    """Make a listing's row anew from its record in the log."""
    for pack, offset, _ in reversed(places):
        parts = core.timeline.parts(pack, offset, LISTING_RECORD)
        if parts is not None:
            with core.writing():
                core.catalog.history.add_listing(
                    ListingRow(identity, pack, offset, parts.signer, parts.seal, parts.meta, parts.delta)
                )
            return


def strays(core: Core) -> list[Path]:
    """Return the files among the packs that are none of the store's, nor of a save or an upload under way."""
    with core.lock:
        core.settle()
        numbers = {*core.catalog.packs(), *core.catalog.retired(), *core.pins.packs()}
        numbers |= {number for number in (core.log.current, core.bulk.current) if number is not None}
        numbers |= {*core.log.touched, *core.bulk.touched}
        known, newest = {core.packs.path(number).name for number in numbers}, core.catalog.newest_pack()
    found = (path for path in core.packs.folder.iterdir() if path.name not in known)
    return sorted(path for path in found if not (path.stem.isdigit() and int(path.stem) > newest))


def take_stray(core: Core, trash: Trash, path: Path) -> None:
    """Move a file that is none of the store's to the trash."""
    if path in strays(core):
        trash.take(path)


def drop_listing(core: Core, trash: Trash, row: ListingRow) -> None:
    """Remove a listing that cannot be read."""
    if core.catalog.history.listing(row.id >> 32, row.id & 0xFFFFFFFF) != row:
        return  # made anew meanwhile
    trash.keep(f"listing-{row.id & 0xFFFFFFFF}-{row.id >> 32}", b"\n".join((row.meta, row.delta)))
    with core.writing():
        core.catalog.history.remove_listing(row.id)
    core.removals += 1


def put_aside(core: Core, trash: Trash, uuid: bytes, number: int) -> None:
    """Take a version that cannot be read out of the history; what is left of it goes to the trash."""
    session = core.catalog.session_by_uuid(uuid)
    row = None if session is None else core.catalog.version(session.id, number)
    if session is None or row is None:
        return
    left: dict[str, Any] = {
        "document": from_blob(session.key),
        "session": uuid.hex(),
        "version": number,
        "meta": row.meta.decode("utf-8", "replace"),
        "delta": (core.catalog.delta(session.id, number) or b"").decode("utf-8", "replace"),
        "seal": row.seal.hex(),
        "signer": row.signer.hex(),
    }
    trash.keep(f"version-{number}-of-{uuid.hex()[:8]}.json", json.dumps(left, indent=2).encode("ascii"))
    with core.writing():
        current = core.catalog.session_by_uuid(uuid)
        if current is not None:
            at = now()
            core.log_event(current, thinned=[(number, number)], cuts=[], at=at)
            core.catalog.history.remove_versions(current.id, [(number, number)], at)
    core.removals += 1


def list_alone(core: Core, uuid: bytes, number: int) -> None:
    """Give a version whose parent is lost a listing of what it changed itself: that much of it can be read."""
    with core.writing():
        session = core.catalog.session_by_uuid(uuid)
        if session is None:
            return
        version = core.timeline.version(session, number, with_delta=True)
        assert version.delta is not None
        delta = encode_delta(decode_delta(version.delta).changed, ())
        meta = dumps(
            {
                "session": uuid.hex(),
                "version": number,
                "digest": version.row.digest.hex(),
                "delta": blake3(delta).hexdigest(),
            }
        )
        seal = core.seal.sign(b"listing", blake3(meta).digest())
        record = listing_record(core.packs.cipher, VersionParts(core.seal.key_id, seal, meta, delta))
        pack, offset = core.log.position(len(record))
        core.log.append([record])
        place = version_id(session.id, number), pack, offset
        core.catalog.history.add_listing(ListingRow(*place, core.seal.key_id, seal, meta, delta))


def mark_partial(core: Core, uuid: bytes, numbers: Sequence[int]) -> None:
    """Say of versions, by their label, that they do not hold all that they held; labels of users stay."""
    with core.writing():
        session = core.catalog.session_by_uuid(uuid)
        for number in numbers if session is not None else ():
            assert session is not None
            row = core.catalog.version(session.id, number)
            if row is not None and row.label is None:
                core.log_event(session, label=[number, PARTIAL])
                core.catalog.set_label(session.id, number, to_blob(PARTIAL))


# ---------------------------------------------------------------------------------------------- sessions


def stand_on(core: Core, uuid: bytes, number: int | None) -> None:
    """Let a session stand on a version that can be restored."""
    with core.writing():
        session = core.catalog.session_by_uuid(uuid)
        if session is not None:
            following = max(session.next, core.catalog.newest(session.id) + 1)
            moved = core.sealed(session._replace(head=number, tip=number, next=following))
            core.log_event(moved)
            core.catalog.update_position(moved)


def put_in_place(core: Core, uuid: bytes, key: str, trashed: str | None, reason: str | None) -> None:
    """Have a session be called, and lie in the trash or not, as the log says."""
    with core.writing():
        session = core.catalog.session_by_uuid(uuid) or core.catalog.add_session(uuid, to_blob(key))
        occupant = core.catalog.live(to_blob(key))
        if trashed is None and occupant is not None and occupant.uuid != uuid:
            trashed, reason = now(), "found twice in the packs"
        placed = session._replace(
            key=to_blob(key),
            trashed=None if trashed is None else to_blob(trashed),
            reason=None if reason is None else to_blob(reason),
        )
        core.log_event(placed)
        core.catalog.update_place(placed)


def relabel(core: Core, uuid: bytes, number: int, label: str | None) -> None:
    """Give a version the label that the log says it has."""
    with core.writing():
        session = core.catalog.session_by_uuid(uuid)
        if session is not None:
            core.catalog.set_label(session.id, number, None if label is None else to_blob(label))


def restate(core: Core) -> None:
    """Write to the log anew where all sessions stand: what it said before is damaged."""
    with core.writing():
        for session in core.catalog.sessions("1"):
            core.log_event(session)
            gaps = core.catalog.history.gaps(session.id)
            if gaps:
                core.log_event(session, thinned=[(gap.first, gap.last) for gap in gaps], cuts=[], at=gaps[-1].at)
            for stub in core.catalog.history.stubs(session.id):
                row = core.catalog.version(session.id, stub.number) if stub.labelled else None
                if row is not None and row.label is not None:
                    core.log_event(session, label=[stub.number, from_blob(row.label)])


def standing(session: SessionRow) -> tuple[str, str | None]:
    """Return what a session is called, and since when it is in the trash."""
    told = describe(session)
    return told["key"], told["trashed"]
