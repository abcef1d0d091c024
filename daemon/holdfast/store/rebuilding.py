"""Making a catalog anew that cannot be read: from the packs, and from whatever of the old one still can be."""

from __future__ import annotations

import contextlib
import json
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from blake3 import blake3

from . import mending
from .blobs import Location
from .catalog import CATALOG_NAME
from .core import Core
from .errors import UNREADABLE, Damaged, StoreError, StoreUnavailable
from .findings import LenientPacks
from .folder import PACKS_NAME, FolderLock, prepare
from .keyslots import read_envelope
from .ledger import listing_row
from .recovery import told_by_packs
from .rows import SessionRow, VersionRow, from_blob, session_row, shown, version_id, version_row
from .trash import Trash


def make_way(folder: Path) -> Path:
    """Move a catalog that cannot be read to the trash folder, so that the next opening makes it anew.

    Returns:
        Where it is now.

    Raises:
        StoreError: somebody uses the folder, or it cannot be written to.
    """
    prepare(folder, create=False)
    lock = FolderLock(folder)
    try:
        trash = Trash(folder)
        for name in (f"{CATALOG_NAME}-shm", f"{CATALOG_NAME}-wal", CATALOG_NAME):
            with contextlib.suppress(FileNotFoundError):
                trash.take(folder / name)
        _restore_headers(folder / PACKS_NAME)
    finally:
        lock.release()
    return trash.path / CATALOG_NAME


def _restore_headers(packs: Path) -> None:
    """Write headers anew that are damaged, of packs with records in them: a rebuild reads only what has one."""
    told = told_by_packs(packs)
    store_id = secrets.token_bytes(16) if told is None else told.store_id
    encrypted = told.is_encrypted if told is not None else read_envelope(packs.parent) is not None
    files = LenientPacks(packs, store_id)
    for number in files.numbers():
        try:
            files.header(number)
        except Damaged:
            kind = mending.holds_records(files.path(number))
            if kind:
                mending.restore_header(files.path(number), number, kind, store_id, encrypted=encrypted)
        except (OSError, StoreUnavailable):
            continue  # not to be read; or of a newer Holdfast, and as it should be
    files.close()


class Salvage:
    """Takes from an old catalog what the new one lacks: versions whose record is damaged, places, names.

    Args:
        core: the store, with its new catalog.
        path: the old one.
    """

    def __init__(self, core: Core, path: Path) -> None:
        self._core = core
        self._path = path

    def run(self) -> Iterator[None]:
        """Do it, some rows with each step."""
        if not self._path.exists():
            return
        db = sqlite3.connect(self._path, isolation_level=None)
        try:
            with contextlib.suppress(sqlite3.Error):
                db.execute("PRAGMA trusted_schema = OFF")
                db.execute("PRAGMA writable_schema = ON")  # else one broken definition keeps all tables from being read
            sessions = dict(self._sessions(db))
            yield
            for row in self._rows(db, "SELECT digest, pack, offset, stored, size, codec FROM chunks", "digest"):
                self._chunk(row)
                yield
            columns = ", ".join(VersionRow._fields)
            for row in self._rows(db, f"SELECT {columns}, delta FROM versions", "id"):
                self._version(sessions, row)
                yield
            for row in self._rows(db, "SELECT id, pack, offset, signer, seal, meta, delta FROM listings", "id"):
                self._listing(sessions, row)
                yield
        finally:
            db.close()

    def _rows(self, db: sqlite3.Connection, sql: str, key: str) -> Iterator[Sequence[Any]]:
        """Yield what can be read of a table, from the front and then from the back."""
        seen: set[Any] = set()
        for order in ("ASC", "DESC"):
            try:
                for row in db.execute(f"{sql} ORDER BY {key} {order}"):
                    if row[0] not in seen:
                        seen.add(row[0])
                        yield row
                return
            except (sqlite3.Error, *UNREADABLE):
                continue

    def _sessions(self, db: sqlite3.Connection) -> Iterator[tuple[int, SessionRow]]:
        core = self._core
        for fields in self._rows(db, f"SELECT {', '.join(SessionRow._fields)} FROM sessions", "id"):
            with contextlib.suppress(StoreError, *UNREADABLE):
                old = session_row(fields, core.catalog.cipher)
                key = from_blob(old.key)
                found = core.catalog.session_by_uuid(old.uuid)
                if found is None or from_blob(found.key).startswith("unnamed-"):
                    told = old.trashed, old.reason
                    trashed, reason = (None if part is None else from_blob(part) for part in told)
                    mending.put_in_place(core, old.uuid, key, trashed, reason)
                    found = core.catalog.session_by_uuid(old.uuid)
                if found is not None:
                    yield old.id, found

    def _chunk(self, row: Sequence[Any]) -> None:
        core = self._core
        with contextlib.suppress(StoreError, *UNREADABLE):
            (digest,), place = core.catalog.cipher.uncover(row[:1]), Location(*row[1:])
            if not isinstance(digest, bytes) or digest in core.locate([digest]):
                return
            if core.reader.holds(digest, place):
                mending.place_chunks(core, [(digest, place)])

    def _version(self, sessions: dict[int, SessionRow], fields: Sequence[Any]) -> None:
        core = self._core
        with contextlib.suppress(StoreError, *UNREADABLE):
            cipher = core.catalog.cipher
            row, delta = version_row(fields[:-1], cipher), shown(cipher, "delta", fields[-1]) or b""
            session = sessions.get(row.id >> 32)
            if session is None or core.catalog.version(session.id, row.number) is not None:
                return
            meta = json.loads(row.meta)
            right = (
                blake3(row.meta).digest() == row.digest
                and meta["session"] == session.uuid.hex()
                and meta["version"] == row.number
                and blake3(delta).hexdigest() == meta["delta"]
            )
            if not right:
                return
            with core.writing():
                core.catalog.add_versions([(row._replace(id=version_id(session.id, row.number)), delta)])
                current = core.catalog.session_by_uuid(session.uuid)
                if current is not None and (current.head is None or current.next <= row.number):
                    moved = current._replace(
                        head=row.number if current.head is None else current.head,
                        tip=row.number if current.tip is None else current.tip,
                        next=max(current.next, row.number + 1),
                    )
                    core.catalog.update_position(core.sealed(moved))
            mending.append_version(core, session.uuid, row.number)

    def _listing(self, sessions: dict[int, SessionRow], fields: Sequence[Any]) -> None:
        core = self._core
        with contextlib.suppress(StoreError, *UNREADABLE):
            row = listing_row(fields, core.catalog.cipher)
            session = sessions.get(row.id >> 32)
            if session is None or core.catalog.history.listing(session.id, row.id & 0xFFFFFFFF) is not None:
                return
            if json.loads(row.meta)["delta"] == blake3(row.delta).hexdigest():
                here = row._replace(id=version_id(session.id, row.id & 0xFFFFFFFF))
                with core.writing():
                    core.catalog.history.add_listing(here)
                mending.append_listing(core, here)
