"""The SQLite catalog: sessions, versions, packs, and where each chunk lies.

Only SQL and the meaning of SQLite's errors live here. Text is kept as BLOB (UTF-8, surrogates passed through), since
file names and code may hold what SQLite's TEXT cannot.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .blobs import Location
from .cipher import CLEAR, OVERHEAD, Cipher
from .errors import StoreError
from .failures import damaged_catalog, translate, translated
from .ledger import HistoryTables
from .packs import MAX_RECORD
from .rows import (
    LONGEST,
    META_MAX,
    SessionRow,
    VersionRow,
    from_blob,
    hidden,
    session_row,
    shown,
    to_blob,
    version_id,
    version_row,
)

CATALOG_NAME = "catalog.sqlite"
APPLICATION_ID = 0x484F4C44  # "HOLD"
FORMAT, ENCRYPTED_FORMAT = 2, 3
BUSY_SECONDS = 2.0
WAL_LIMIT = 1 << 20
"""The write-ahead log is cut to this size when it starts over."""
_LOOKUP_BATCH = 128

SCHEMA = {
    "meta": "CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID",
    "signers": "CREATE TABLE signers (key_id BLOB PRIMARY KEY, name BLOB, since BLOB) WITHOUT ROWID",
    "packs": "CREATE TABLE packs (number INTEGER PRIMARY KEY, kind INTEGER, used INTEGER)",
    "chunks": "CREATE TABLE chunks (digest BLOB PRIMARY KEY, pack INTEGER, offset INTEGER, stored INTEGER,"
    " size INTEGER, codec INTEGER) WITHOUT ROWID",
    "sessions": "CREATE TABLE sessions (id INTEGER PRIMARY KEY, uuid BLOB, key BLOB, trashed BLOB, reason BLOB,"
    " head INTEGER, tip INTEGER, next INTEGER, written INTEGER, signer BLOB, seal BLOB)",
    "live": "CREATE UNIQUE INDEX live ON sessions (key) WHERE trashed IS NULL",
    "versions": "CREATE TABLE versions (id INTEGER PRIMARY KEY, parent INTEGER, base INTEGER, depth INTEGER,"
    " weight INTEGER, listing INTEGER, pack INTEGER, offset INTEGER, written INTEGER, label BLOB, signer BLOB,"
    " seal BLOB, digest BLOB, meta BLOB, delta BLOB)",
    "listings": "CREATE TABLE listings (id INTEGER PRIMARY KEY, pack INTEGER, offset INTEGER, signer BLOB, seal BLOB,"
    " meta BLOB, delta BLOB)",
    "thinned": "CREATE TABLE thinned (id INTEGER PRIMARY KEY, last INTEGER, at BLOB)",
}
"""What the catalog has to look like, word for word: triggers or views smuggled in would run inside our transactions."""
_FORMAT = "format"
_HARDENED = "hardened"
_ENVELOPE = "encryption"
MOST_HARDENED = 64
"""Packs of which it is noted how far they are on the disk; those before are."""
_SINCE_FORMAT_2 = ("listings", "thinned")


_BYTES = {"uuid", "key", "trashed", "reason", "label", "signer", "seal", "digest"}


def _bounded(name: str) -> str:
    """Return a column, or nothing in place of what is larger than anything that is written there: its length is told
    without reading it."""
    limit = META_MAX if name == "meta" else LONGEST if name in _BYTES else None
    return name if limit is None else f"CASE WHEN length({name}) <= {limit} THEN {name} END"


_SESSION = f"SELECT {', '.join(map(_bounded, SessionRow._fields))} FROM sessions "
_VERSION = f"SELECT {', '.join(map(_bounded, VersionRow._fields))} FROM versions "
_ADD_VERSION = f"INSERT OR REPLACE INTO versions VALUES ({','.join('?' * (len(VersionRow._fields) + 1))})"


class Hardened(NamedTuple):
    """How far packs were on the disk, and in which run of the system that was so."""

    boot: bytes
    packs: dict[int, int]


class Catalog:
    """An open catalog. Not thread-safe by itself: the store holds its lock around every call.

    Args:
        path: The file, which exists (possibly empty).
        cipher: How what tells of sessions stands in it.
    """

    def __init__(self, path: Path, cipher: Cipher = CLEAR) -> None:
        self.path = path
        self.cipher = cipher
        self._db = sqlite3.connect(
            path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        self._durable = False
        self.history = HistoryTables(self._db, cipher)
        try:
            with translated(saving=False):
                self._configure()
        except BaseException:
            self._db.close()
            raise

    def use(self, cipher: Cipher) -> None:
        """Read and write with a cipher from now on."""
        self.cipher = self.history.cipher = cipher

    @property
    def format(self) -> int:
        """Which format is written."""
        return ENCRYPTED_FORMAT if self.cipher.encrypts else FORMAT

    def _configure(self) -> None:
        for pragma in (
            "fullfsync = ON",
            "checkpoint_fullfsync = ON",
            "trusted_schema = OFF",
            "cell_size_check = ON",
            "mmap_size = 0",
            "foreign_keys = OFF",
        ):
            self._db.execute(f"PRAGMA {pragma}")

    def identity(self) -> tuple[int, int, bool]:
        """Return application id, format, and whether there are no tables yet."""
        with translated(saving=False):
            (application,) = self._db.execute("PRAGMA application_id").fetchone()
            (form,) = self._db.execute("PRAGMA user_version").fetchone()
            (tables,) = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        return application, form, tables == 0

    def prepare(self) -> None:
        """Switch to write-ahead logging as the store uses it."""
        with translated(saving=True):
            self._db.execute("PRAGMA auto_vacuum = INCREMENTAL")  # only takes effect before anything is written
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.execute("PRAGMA wal_autocheckpoint = 0")
            self._db.execute(f"PRAGMA journal_size_limit = {WAL_LIMIT}")

    def create(self, store_id: bytes, now: str, *, rebuilding: bool) -> None:
        """Make the tables, all or none.

        Args:
            store_id: the store's random identity, which its packs carry too.
            now: the time.
            rebuilding: there are packs already; remembered until `rebuilt`.
        """
        with self.transaction():
            for statement in SCHEMA.values():
                self._db.execute(statement)
            self._db.execute("INSERT INTO meta VALUES ('store_id', ?), ('created', ?)", (store_id, to_blob(now)))
            self.note_format()
            self.note_hardened(b"")
            if rebuilding:
                self._db.execute("INSERT INTO meta VALUES ('rebuilding', x'01')")
            self._db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            self._db.execute(f"PRAGMA user_version = {self.format}")

    def upgrade(self, form: int) -> None:
        """Bring a catalog of an earlier format to this one, or leave it as it is."""
        if form < FORMAT:
            with self.transaction():
                for name in _SINCE_FORMAT_2:
                    self._db.execute(SCHEMA[name])
                self._db.execute(f"PRAGMA user_version = {FORMAT}")
                self.note_format()

    def note_format(self) -> None:
        """Write the format down a second time, so that damage to the number is not taken for another format."""
        noted = b"%d" % self.format
        if self.meta(_FORMAT) != noted:
            self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_FORMAT, noted))

    def is_misnumbered(self, form: int) -> bool:
        """Whether the format is written down twice, and not the same; False where it cannot be told."""
        try:
            noted = self.meta(_FORMAT)
        except StoreError:
            return False
        return noted is not None and noted != b"%d" % form

    def note_hardened(self, boot: bytes) -> None:
        """Note how far the packs are on the disk: as far as they are filled now. For a durable transaction.

        Args:
            boot: tells this run of the system from others.
        """
        self._db.execute(
            f"INSERT OR REPLACE INTO meta SELECT '{_HARDENED}',"
            " CAST(? || coalesce(group_concat(entry, ' '), '') AS BLOB)"
            " FROM (SELECT number || ':' || used AS entry FROM packs WHERE kind > 0 ORDER BY number DESC LIMIT ?)",
            (boot.decode("ascii", "replace") + " ", MOST_HARDENED),
        )

    def hardened(self) -> Hardened | None:
        """Return what `note_hardened` noted last; None if it never did, or that cannot be read."""
        noted = self.meta(_HARDENED)
        try:
            boot, *entries = (noted or b"").decode("ascii").split(" ")
            pairs = (entry.split(":") for entry in entries if entry)
            packs = {int(number): int(used) for number, used in pairs}
        except ValueError:
            return None
        return None if noted is None else Hardened(boot.encode("ascii"), packs)

    def rebuilt(self) -> None:
        """Everything that the packs hold is in the catalog."""
        self._db.execute("DELETE FROM meta WHERE name = 'rebuilding'")

    def check_schema(self, form: int = FORMAT) -> bool:
        """Whether the tables are those of a format, and nothing in the catalog acts by itself."""
        with translated(saving=False):
            rows = self._db.execute("SELECT type, name, tbl_name, sql FROM sqlite_master").fetchall()
        found = {name: (kind, sql) for kind, name, _, sql in rows}
        for kind, name, table, sql in rows:
            acts = kind not in ("table", "index") or str(sql).upper().startswith("CREATE VIRTUAL")
            # An index on what is computed is computed whenever something is written.
            if acts or (kind == "index" and sql is not None and table in SCHEMA and name not in SCHEMA):
                return False
        expected = {name: sql for name, sql in SCHEMA.items() if form > 1 or name not in _SINCE_FORMAT_2}
        return all(found.get(name, ("", ""))[1] == statement for name, statement in expected.items())

    def faults(self) -> list[str]:
        """Return what is wrong with the structure of the file, as SQLite sees it; reads all of it."""
        return [str(text) for (text,) in self._all("PRAGMA integrity_check(10)", ()) if text != "ok"]

    # ------------------------------------------------------------------ transactions

    @contextlib.contextmanager
    def transaction(self, *, durable: bool = False) -> Iterator[None]:
        """All or nothing. `durable`: on the disk when this returns, together with every transaction before.

        Raises:
            SaveFailed: nothing of it happened.
            Damaged: the catalog's own structure is broken.
        """
        if durable != self._durable:
            with translated(saving=True):
                self._db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._durable = durable
        with translated(saving=True):
            self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            with translated(saving=True):
                self._db.execute("COMMIT")
        except BaseException as error:
            with contextlib.suppress(sqlite3.Error):
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                raise translate(error, saving=True) from error
            raise

    @contextlib.contextmanager
    def preview(self) -> Iterator[None]:
        """A transaction that is taken back at its end: whoever reads in it sees what could not be written.

        Raises:
            SaveFailed: the catalog does not even take that.
        """
        with translated(saving=True):
            self._db.execute("PRAGMA cache_spill = OFF")  # nothing of it may need room on the disk
            self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            with contextlib.suppress(sqlite3.Error):
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                self._db.execute("PRAGMA cache_spill = ON")

    def touch(self) -> None:
        """Write something, so that a durable transaction has something to make durable."""
        self._db.execute("INSERT OR REPLACE INTO meta VALUES ('synced', randomblob(8))")

    # ------------------------------------------------------------------ store-wide

    def meta(self, name: str) -> bytes | None:
        """Return a value of the store itself."""
        row = self._one("SELECT value FROM meta WHERE name = ?", (name,))
        return row[0] if row is not None and isinstance(row[0], bytes) else None

    def envelope(self) -> bytes | None:
        """Return the copy of what holds the store's key."""
        return self.meta(_ENVELOPE)

    def note_envelope(self, envelope: bytes) -> None:
        """Keep a copy of what holds the store's key, in a transaction."""
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_ENVELOPE, envelope))

    def note_signer(self, key_id: bytes, name: str, now: str, folder: str) -> None:
        """Remember who a key belongs to and where they work, for messages; proves nothing."""
        told = (self.cipher.hide("signers", to_blob(text)) for text in (name, now))
        self._db.execute("INSERT OR IGNORE INTO signers VALUES (?, ?, ?)", (key_id, *told))
        if self.signer_folder(key_id) != folder:
            self._note_folder(key_id, folder)

    def signers(self) -> list[tuple[bytes, bytes, bytes, str | None]]:
        """Return for each key who it belongs to, since when, and where they work, as they said."""
        rows = self._all("SELECT key_id, name, since FROM signers", ())
        told = ((key_id, *(shown(self.cipher, "signers", text) or b"" for text in row)) for key_id, *row in rows)
        return [(key_id, name, since, self.signer_folder(key_id)) for key_id, name, since in told]

    def trial(self, cipher: Cipher) -> Iterator[bool]:
        """Yield for some of what is encrypted here whether a cipher shows it."""
        for (name,) in self._all("SELECT name FROM signers WHERE length(name) < 512 LIMIT 8", ()):
            yield shown(cipher, "signers", name) is not None
        for (key,) in self._all(f"SELECT key FROM sessions WHERE length(key) <= {LONGEST} LIMIT 8", ()):
            yield isinstance(key, bytes) and cipher.show_name(key) is not None

    def add_signer(self, key_id: bytes, name: bytes, since: bytes, folder: str | None) -> None:
        """Note what another catalog has of a signer."""
        self._db.execute(
            "INSERT INTO signers VALUES (?, ?, ?)",
            (key_id, *(self.cipher.hide("signers", text) for text in (name, since))),
        )
        if folder is not None:
            self._note_folder(key_id, folder)

    def _note_folder(self, key_id: bytes, folder: str) -> None:
        place = self.cipher.hide("folder", to_blob(folder))
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (f"folder:{key_id.hex()}", place))

    def signer(self, key_id: bytes) -> str | None:
        """Return who a key belongs to, as they said."""
        row = self._one("SELECT name FROM signers WHERE key_id = ? AND length(name) < 512", (key_id,))
        return _told(None if row is None else shown(self.cipher, "signers", row[0]))

    def signer_folder(self, key_id: bytes) -> str | None:
        """Return where the owner of a key works, as they said."""
        name = f"folder:{key_id.hex()}"
        row = self._one("SELECT value FROM meta WHERE name = ? AND length(value) < 8192", (name,))
        return _told(None if row is None else shown(self.cipher, "folder", row[0]))

    def packs(self) -> dict[int, tuple[int, int]]:
        """Return for each pack its kind and how much of it is part of the store."""
        rows = self._all("SELECT number, kind, used FROM packs ORDER BY number", ())
        # A row that is not readable is as good as none: what lies in the pack is then found out anew.
        return {
            number: (kind, used)
            for number, kind, used in rows
            if isinstance(kind, int) and isinstance(used, int) and kind > 0
        }

    def retired(self) -> list[int]:
        """Return the packs that nothing needs any more, and whose files may still be there."""
        return [number for (number,) in self._all("SELECT number FROM packs WHERE kind < 0 ORDER BY number", ())]

    def newest_pack(self) -> int:
        """Return the highest number that a pack has or had."""
        row = self._one("SELECT max(number) FROM packs", ())
        return row[0] if row is not None and isinstance(row[0], int) else 0

    def retire_pack(self, number: int) -> None:
        """Nothing points into a pack any more: its file is to be removed."""
        self._db.execute("UPDATE packs SET kind = -kind WHERE number = ? AND kind > 0", (number,))

    def drop_pack(self, number: int) -> None:
        """A retired pack's file is gone. The highest number stays noted, so that none is ever used twice."""
        self._db.execute(
            "DELETE FROM packs WHERE number = ? AND kind < 0 AND number < (SELECT max(number) FROM packs)", (number,)
        )

    def referenced(self, number: int) -> int:
        """Return how far a pack is pointed into by chunks and versions. Reads all of them: for recoveries only."""
        chunks = self._one("SELECT max(offset + stored) FROM chunks WHERE pack = ?", (number,))
        versions = self._one("SELECT max(offset + 1) FROM versions WHERE pack = ?", (number,))
        return max(end if isinstance(end, int) else 0 for (end,) in (chunks, versions))

    def set_pack(self, number: int, kind: int, used: int) -> None:
        """Note how far a pack is filled."""
        self._db.execute("INSERT OR REPLACE INTO packs VALUES (?, ?, ?)", (number, kind, used))

    def extend_pack(self, number: int, kind: int, used: int) -> None:
        """Note how far a pack is filled at least."""
        self._db.execute(
            "INSERT INTO packs VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET used = max(used, excluded.used)",
            (number, kind, used),
        )

    def data_version(self) -> int:
        """Return a number that changes when another connection writes."""
        try:  # asked by every commit, and `translated` takes as long as the question
            row = self._db.execute("PRAGMA data_version").fetchone()
        except sqlite3.Error as error:
            raise translate(error, saving=False) from error
        return int(row[0]) if row else 0

    # ------------------------------------------------------------------ chunks

    def locate(self, digests: Sequence[bytes]) -> dict[bytes, Location]:
        """Look up chunks."""
        found: dict[bytes, Location] = {}
        for at in range(0, len(digests), _LOOKUP_BATCH):
            batch = digests[at : at + _LOOKUP_BATCH]
            covered = self.cipher.cover(batch)
            plain = dict(zip(covered, batch, strict=True)) if self.cipher.encrypts else None
            marks = ",".join("?" * len(batch))
            # Thousands at a time, before the first variable of a restore is there.
            for digest, pack, offset, stored, size, codec in self._all(
                f"SELECT * FROM chunks WHERE digest IN ({marks})", covered
            ):
                if type(pack) is type(offset) is type(stored) is type(size) is type(codec) is int:
                    found[digest if plain is None else plain[digest]] = Location(pack, offset, stored, size, codec)
        return found

    def add_chunks(self, rows: Sequence[tuple[bytes, Location]]) -> None:
        """Add chunks; a place known before is replaced, for then it was found wanting."""
        self._db.executemany(
            "INSERT OR REPLACE INTO chunks VALUES (?, ?, ?, ?, ?, ?)",
            ((digest, *place) for digest, (_, place) in zip(self._covered(rows), rows, strict=True)),
        )

    def _covered(self, rows: Sequence[tuple[bytes, Location]]) -> Sequence[bytes]:
        return self.cipher.cover([digest for digest, _ in rows])

    # ------------------------------------------------------------------ sessions

    def live(self, key: bytes) -> SessionRow | None:
        """Return the session of a key."""
        return self._session("WHERE key = ? AND trashed IS NULL", (self.cipher.hide_name(key),))

    def session_by_uuid(self, uuid: bytes) -> SessionRow | None:
        """Return a session, live or trashed."""
        return self._session("WHERE uuid = ?", (uuid,))

    def sessions(self, where: str = "trashed IS NULL") -> list[SessionRow]:
        """Return sessions, ordered by key."""
        rows = [session_row(row, self.cipher) for row in self._all(f"{_SESSION} WHERE {where}", ())]
        return sorted(rows, key=lambda row: (row.key, row.id))

    def add_session(self, uuid: bytes, key: bytes) -> SessionRow:
        """Make a session without versions."""
        cursor = self._db.execute(
            "INSERT INTO sessions (uuid, key, next, written, signer, seal) VALUES (?, ?, 1, 0, x'', x'')",
            (uuid, self.cipher.hide_name(key)),
        )
        assert cursor.lastrowid is not None
        return SessionRow(cursor.lastrowid, uuid, key, None, None, None, None, 1, 0, b"", b"")

    def put_session(self, row: SessionRow) -> None:
        """Write down a session of another catalog, under the same id."""
        told = row._replace(
            key=self.cipher.hide_name(row.key),
            trashed=hidden(self.cipher, "trashed", row.trashed),
            reason=hidden(self.cipher, "reason", row.reason),
        )
        marks = ",".join("?" * len(SessionRow._fields))
        self._db.execute(f"INSERT INTO sessions ({', '.join(SessionRow._fields)}) VALUES ({marks})", told)

    def update_position(self, row: SessionRow) -> None:
        """Write where a session stands."""
        self._db.execute(
            "UPDATE sessions SET head = ?, tip = ?, next = ?, written = ?, signer = ?, seal = ? WHERE id = ?",
            (row.head, row.tip, row.next, row.written, row.signer, row.seal, row.id),
        )

    def update_place(self, row: SessionRow) -> None:
        """Write a session's key and whether it is in the trash."""
        told = hidden(self.cipher, "trashed", row.trashed), hidden(self.cipher, "reason", row.reason)
        self._db.execute(
            "UPDATE sessions SET key = ?, trashed = ?, reason = ? WHERE id = ?",
            (self.cipher.hide_name(row.key), *told, row.id),
        )

    def remove_session(self, session: int) -> None:
        """Forget a session and its versions."""
        self._db.execute(
            "DELETE FROM versions WHERE id BETWEEN ? AND ?",
            (version_id(session, 0), version_id(session + 1, 0) - 1),
        )
        self.history.remove_session(session)
        self._db.execute("DELETE FROM sessions WHERE id = ?", (session,))

    def _session(self, where: str, values: Sequence[Any]) -> SessionRow | None:
        row = self._one(f"{_SESSION} {where}", values)
        return None if row is None else session_row(row, self.cipher)

    # ------------------------------------------------------------------ versions

    def add_versions(self, versions: Sequence[tuple[VersionRow, bytes]]) -> None:
        """Make versions exist, each a row and its delta; what somebody else put in their places goes."""
        self._db.executemany(_ADD_VERSION, (self._hidden_version(row, delta) for row, delta in versions))

    def _hidden_version(self, row: VersionRow, delta: bytes) -> tuple[Any, ...]:
        cipher = self.cipher
        if not cipher.encrypts:
            return (*row, delta)
        row = row._replace(
            label=hidden(cipher, "label", row.label),
            digest=cipher.cover((row.digest,))[0],
            meta=cipher.hide("meta", row.meta),
        )
        return (*row, cipher.hide("delta", delta))

    def version(self, session: int, number: int) -> VersionRow | None:
        """Return a version without its delta."""
        row = self._one(f"{_VERSION} WHERE id = ?", (version_id(session, number),))
        return None if row is None else version_row(row, self.cipher)

    def delta(self, session: int, number: int, limit: int = MAX_RECORD) -> bytes | None:
        """Return a version's delta, if it has no more than so many bytes."""
        question = "SELECT delta FROM versions WHERE id = ? AND length(delta) <= ?"
        longest = limit + OVERHEAD if self.cipher.encrypts else limit
        row = self._one(question, (version_id(session, number), longest))
        return None if row is None else shown(self.cipher, "delta", row[0])

    def numbers(self, session: int, before: int, limit: int) -> list[int]:
        """Return the numbers of up to `limit` versions below `before`, newest first."""
        low, high = version_id(session, 0), version_id(session, before)
        rows = self._all(
            "SELECT id FROM versions WHERE id >= ? AND id < ? ORDER BY id DESC LIMIT ?", (low, high, limit)
        )
        return [identity & 0xFFFFFFFF for (identity,) in rows]

    def newest(self, session: int) -> int:
        """Return the highest number among a session's versions, 0 if there are none."""
        row = self._one(
            "SELECT max(id) FROM versions WHERE id >= ? AND id < ?",
            (version_id(session, 0), version_id(session + 1, 0)),
        )
        return 0 if row is None or row[0] is None else int(row[0]) & 0xFFFFFFFF

    def set_label(self, session: int, number: int, label: bytes | None) -> None:
        """Write a version's label."""
        told = hidden(self.cipher, "label", label)
        self._db.execute("UPDATE versions SET label = ? WHERE id = ?", (told, version_id(session, number)))

    # ------------------------------------------------------------------

    def _one(self, sql: str, values: Sequence[Any]) -> Any:
        with translated(saving=False):
            return self._db.execute(sql, values).fetchone()

    def _all(self, sql: str, values: Sequence[Any]) -> list[Any]:
        with translated(saving=False):
            return self._db.execute(sql, values).fetchall()

    def close(self) -> None:
        """Close; what is in the write-ahead log stays there unless this is the last connection."""
        with contextlib.suppress(sqlite3.Error):
            self._db.close()


def _told(value: bytes | None) -> str | None:
    """Return what somebody wrote about themselves, in one line; None if it is nothing that can be shown."""
    try:
        text = "" if value is None else from_blob(value)
    except UnicodeDecodeError:
        return None
    return "".join(character if character.isprintable() else "?" for character in text) or None


def peek(path: Path) -> tuple[int, bool] | None:
    """Return application id and emptiness of a file that may be anything, touching nothing; None if it cannot be told.

    By way of SQLite, since a file that another connection of this process has open must not be opened and closed
    behind SQLite's back: that would drop its locks.

    Raises:
        Damaged: it is not a database.
    """
    db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True, isolation_level=None)
    try:
        (application,) = db.execute("PRAGMA application_id").fetchone()
        (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        return application, tables == 0
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_NOTADB:
            raise damaged_catalog("it is not a database") from error
        return None  # what it holds may still be in its write-ahead log
    except UnicodeDecodeError:  # SQLite quotes what is damaged
        return None
    finally:
        db.close()


class Checkpointer:
    """A connection of its own that moves the write-ahead log into the catalog while others go on committing."""

    def __init__(self, path: Path) -> None:
        with translated(saving=True):
            self._db = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.execute("PRAGMA checkpoint_fullfsync = ON")
            self._db.execute("PRAGMA wal_autocheckpoint = 0")

    def run(self) -> None:
        """Move what can be moved without waiting for anyone, durably."""
        with translated(saving=True):
            self._db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

    def close(self) -> None:
        """Close."""
        with contextlib.suppress(sqlite3.Error):
            self._db.close()
