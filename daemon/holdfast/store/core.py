"""What an open store consists of, and the one way to write to it: bytes first, then a transaction that needs them."""

from __future__ import annotations

import contextlib
import functools
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from .appending import BulkWrites, PackAppender, gone
from .backlog import Backlog, NewVersion
from .blobs import Location
from .catalog import Catalog, Checkpointer
from .durability import WAL_VALVE, Durability
from .encoding import event_record
from .errors import SaveFailed, StoreError, StoreUnavailable
from .folder import FolderLock
from .packs import BULK, BULK_PACK_LIMIT, LOG, LOG_PACK_LIMIT, PackFolder
from .pins import Pins
from .reading import ChunkReader
from .rows import SessionRow, VersionRow, from_blob
from .seal import Seal
from .timeline import Timeline, position
from .trusts import Trusts

_DATE_LENGTH = len("2000-01-01T00:00:00")


def now() -> str:
    """Return the time as it is written down: ISO 8601, local, with offset."""
    second, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    date, offset = _second(second)
    return f"{date}.{nanoseconds // 1_000_000:03}{offset}"


@functools.lru_cache(maxsize=1)
def _second(second: int) -> tuple[str, str]:
    """Return the local time of a second, and its offset; asking is dear for every commit."""
    text = datetime.fromtimestamp(second).astimezone().isoformat(timespec="seconds")
    return text[:_DATE_LENGTH], text[_DATE_LENGTH:]


class Core(Durability):
    """The parts of an open store, and the locks around them.

    Two locks: `lock` around catalog and log, held shortly; `bulk_lock` around the bulk packs, held while a large commit
    writes, so that small ones and all readers pass it by. Whoever takes both takes `bulk_lock` first.
    """

    def __init__(
        self, catalog: Catalog, packs: PackFolder, seal: Seal, folder_lock: FolderLock, trusts: Trusts
    ) -> None:
        self.catalog = catalog
        self.packs = packs
        self.seal = seal
        self.lock = threading.RLock()
        self.bulk_lock = threading.Lock()
        self.log = PackAppender(packs, LOG, LOG_PACK_LIMIT, self._next_number)
        self.bulk = PackAppender(packs, BULK, BULK_PACK_LIMIT, self._next_number)
        self.reader = ChunkReader(packs, self.locate, self._note_rotten)
        self.pins = Pins(self.known)
        self.uploaded: dict[bytes, Location] = {}
        """Chunks that uploads have written and no version has yet: what comes in two of them is written once."""
        self.swept = 0
        """How often chunks were removed: what was known to be there before may not be any more."""
        self.removals = 0
        """How often versions were removed: a collection that began before one has to look again."""
        self.trusts = trusts
        self.timeline = Timeline(catalog, packs, self.reader, seal, trusts)
        self.told = 0
        """How many events were written: what was concluded from those before may not hold any more."""
        self.short: dict[int, int] = {}
        """Packs that are missing or shorter than they were, and their length: what lies behind is stored anew."""
        self.backlog = Backlog()
        self.heads: dict[str, tuple[SessionRow, VersionRow]] = {}
        """By key, sessions whose row is known to be this, and their heads, verified in this process."""
        self.verified: dict[bytes, VersionRow] = {}
        """For each session (by uuid) a version whose whole chain was verified in this process."""
        self._heads_seen = catalog.data_version()
        self.data_key: bytes | None = None
        """What an encrypted store is encrypted with."""
        self.in_clear: str | None = None
        """Why it is not encrypted, if it is to be."""
        self.boot = b""
        """Tells this run of the system from others."""
        self._previewing = False
        self._strain = 0
        self._reserved = 0
        self._views: list[Catalog] = []
        self._rotten: set[bytes] = set()
        self._unsynced: set[int] = set()
        self._events: list[dict[str, Any]] = []
        self._folder_lock = folder_lock
        self._keeps_lock = False
        self._checkpointer: Checkpointer | None = None
        self._checkpoint_lock = threading.Lock()
        self._closed = False
        self._lost = False
        self._wal = Path(f"{catalog.path}-wal")
        self._wal_size = 0
        self._valve = WAL_VALVE
        self._files = {path: _identity(path) for path in (catalog.path, self._wal)}
        self._data_version = catalog.data_version()

    def _next_number(self) -> int:
        with self.lock:
            return max([self.catalog.newest_pack(), self._reserved, *self.packs.numbers()]) + 1

    def reserve_number(self) -> int:
        """Return a number for a pack that is written before anybody knows of it; no other one will get it."""
        with self.lock:
            self._reserved = self._next_number()
            return self._reserved

    # ------------------------------------------------------------------ is it still there?

    def is_current(self) -> bool:
        """Whether the files we hold open are still those that the folder has. Cheap: a few calls of `lstat`."""
        if self._lost or self._closed:
            return False
        for path, known in self._files.items():
            found = _identity(path)
            if known is None:
                self._files[path] = found  # the write-ahead log appears with the first transaction
            elif found is None or found[:2] != known[:2]:
                return self._lose()
            if path is self._wal:
                self._wal_size = found[2] if found else 0
                if self._wal_size <= WAL_VALVE:
                    self._valve = WAL_VALVE
        if self.log.current is not None and not self.packs.is_current(self.log.current):
            return self._lose()
        return True

    @contextlib.contextmanager
    def view(self) -> Iterator[Timeline]:
        """A timeline over a connection of its own, which sees what the catalog had a moment ago: nobody waits for it.

        Raises:
            SaveFailed: the catalog does not take what was deferred.
            StoreUnavailable: closed or gone; while it is used as well.
        """
        with self.lock:
            self.require_current()
            self._settle()
            catalog = Catalog(self.catalog.path, self.packs.cipher)
            self._views.append(catalog)
        try:
            yield Timeline(catalog, self.packs, self.reader, self.seal, self.trusts)
        finally:
            with self.lock:
                if catalog in self._views:
                    self._views.remove(catalog)
            catalog.close()

    def _close_views(self) -> None:
        views, self._views = self._views, []
        for catalog in views:
            catalog.close()

    def _lose(self) -> bool:
        # This store never writes again, and a new one may be opened in the same folder. SQLite's connections have to be
        # gone before that: of what they share within a process, nothing must reach the new catalog.
        self._lost = True
        with self._checkpoint_lock:
            if self._checkpointer is not None:
                self._checkpointer.close()
            self._close_views()
            self.catalog.close()
        self._folder_lock.release()
        return False

    def require_current(self) -> None:
        """Refuse to go on with files that the folder does not have.

        Raises:
            StoreUnavailable: closed or gone.
        """
        self.require_open()
        if not self.is_current():
            raise gone()

    def require_open(self) -> None:
        """Refuse to go on after `close`, or after the folder was found gone.

        Raises:
            StoreUnavailable: closed or gone.
        """
        if self._lost:
            raise gone()
        if self._closed:
            raise StoreUnavailable(
                "closed", "The state folder was closed meanwhile. Nothing was read or saved; ask again."
            )

    def changed_outside(self) -> bool:
        """Whether somebody else wrote to the catalog since this was last asked, or put another in its place."""
        with self.lock:
            if not self._lost:
                self.require_open()
            if not self.is_current():
                return True
            before, self._data_version = self._data_version, self.catalog.data_version()
            return before != self._data_version

    # ------------------------------------------------------------------ chunks

    def locate(self, digests: Sequence[bytes]) -> dict[bytes, Location]:
        """Return where chunks lie."""
        with self.lock:
            self.require_open()
            waiting = self.backlog.chunks
            if not waiting:
                return self.catalog.locate(digests)
            found = {digest: waiting[digest] for digest in digests if digest in waiting}
            return found | self.catalog.locate([digest for digest in digests if digest not in found])

    def known(self, digests: Sequence[bytes]) -> set[bytes]:
        """Return which of these chunks need not be stored again: those here, as far as anybody knows whole."""
        return {
            digest
            for digest, place in self.locate(digests).items()
            if digest not in self._rotten
            and (place.pack not in self.short or place.offset + place.stored <= self.short[place.pack])
        }

    def _note_rotten(self, digest: bytes) -> None:
        self._rotten.add(digest)

    def note_unsynced(self, packs: Sequence[int]) -> None:
        """These packs were written to."""
        with self.lock:
            self._unsynced.update(packs)

    def heal(self, rows: Sequence[tuple[bytes, Location]]) -> None:
        """Chunks were stored anew."""
        self._rotten.difference_update(digest for digest, _ in rows)

    # ------------------------------------------------------------------ writing

    @contextlib.contextmanager
    def writing(
        self, *, durable: bool = False, bulk: BulkWrites | None = None, ends: Mapping[int, int] | None = None
    ) -> Iterator[None]:
        """One transaction, with the pack bytes it needs written before it; all of it or nothing visible.

        Args:
            durable: on the disk when this returns, with everything before it.
            bulk: large chunks which the transaction needs.
            ends: how far bulk packs were filled before with what it needs.

        Raises:
            SaveFailed: nothing of it happened.
            StoreUnavailable: the folder is gone.
        """
        with self.lock:
            self.require_current()
            self._settle()
            try:
                with self.catalog.transaction(durable=durable):
                    yield
                    self._write_events()
                    self._settle_lengths(self.log.kind, self.log.touched)
                    for number, end in (ends or {}).items():
                        self.catalog.extend_pack(number, self.bulk.kind, end)
                    if bulk is not None:
                        self._settle_lengths(self.bulk.kind, bulk.touched)
                    if durable:
                        touched = {*self._unsynced, *self.log.touched, *(bulk.touched if bulk else ())}
                        self._sync_packs(sorted(touched))
                        self.catalog.note_hardened(self.boot)
            except BaseException:
                self.log.abort()
                raise
            finally:
                self._events.clear()
            self._unsynced.update(self.log.settle())
            if bulk is not None:
                self._unsynced.update(bulk.settle())
            if durable:
                self._unsynced.clear()
            if not durable:
                self._mind_the_valve()

    def _settle_lengths(self, kind: int, touched: dict[int, int]) -> None:
        for number, end in touched.items():
            self.catalog.set_pack(number, kind, end)

    # ------------------------------------------------------------------ the log first, the catalog later

    def known_head(self, key: str) -> tuple[SessionRow, VersionRow] | None:
        """Return session and head if it is certain, without the catalog, that a version may be deferred on top of it.

        Raises:
            StoreUnavailable: closed, or the folder is gone.
        """
        self.require_open()
        current = self.log.current
        if current is None or not self.backlog.accepts:
            return None
        # What is written reaches the folder if the log lies there. Whether the rest does is asked when it is needed.
        if not self.packs.is_current(current):
            self.require_current()
            return None
        if not self.backlog.versions:  # what the first of them stands on, the next ones do
            seen = self.catalog.data_version()
            if seen != self._heads_seen:  # somebody else wrote to the catalog
                self.heads.clear()
                self._heads_seen = seen
        return self.heads.get(key)

    def defer(self, version: NewVersion) -> None:
        """What was appended to the log is a version from now on; the catalog hears of it later."""
        self.backlog.add(version, self.log.touched)
        self._unsynced.update(self.log.settle())

    def settle(self) -> None:
        """Have the catalog note the versions that were deferred.

        Raises:
            SaveFailed: it does not take them now. They are in the log, stay deferred, and are lost to nobody.
            StoreUnavailable: closed, or the folder is gone.
        """
        with self.lock:
            self.require_open()
            if self.backlog.versions:
                self.require_current()
                self._settle()
                self._mind_the_valve()

    def _settle(self) -> None:
        if not self.backlog.versions:
            return
        self.backlog.stuck = True  # unless it succeeds
        with self.catalog.transaction():
            self.backlog.note(self.catalog, self.sealed)
        self.backlog.clear()

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Look at the catalog with all deferred versions in it, also while it refuses to take them.

        Raises:
            StoreUnavailable: closed, gone, or the catalog shows no more than it has on the disk.
        """
        with self.lock:
            self.require_open()
            try:
                if not self._previewing:
                    self.settle()
            except SaveFailed as error:
                refused = error
            else:
                yield
                return
            unseen = StoreUnavailable(
                refused.kind, f"What was saved last is safe in the log, but cannot be looked at now: {refused.message}"
            )
            if refused.kind == "busy":
                raise unseen from refused  # whoever is in the way of writing is in the way of a preview
            with contextlib.ExitStack() as stack:
                try:
                    stack.enter_context(self.catalog.preview())
                    self.backlog.note(self.catalog, self.sealed)
                except (SaveFailed, sqlite3.Error) as error:
                    raise unseen from error
                self._previewing = True
                try:
                    yield
                finally:
                    self._previewing = False

    def log_event(self, session: SessionRow, **more: Any) -> None:
        """Have it written in the log where a session stands, so that a catalog can be rebuilt from there.

        All events of a transaction make one record, so that a kill between them cannot part them.
        """
        self.heads.clear()
        self._events.append(describe(session) | more)
        self.told += 1

    def _write_events(self) -> None:
        if self._events:
            record = event_record(self.packs.cipher, self._events)
            self.log.position(len(record))
            self.log.append([record])

    def lighten(self, session: SessionRow, listed: VersionRow, size: int) -> None:
        """A version got a listing of its own, of so many bytes: what was made since weighs less. In a transaction."""
        self.catalog.history.lighten(listed, size)
        self.heads.clear()
        row = self.verified.get(session.uuid)
        now_is = None if row is None else self.catalog.version(session.id, row.number)
        if row is not None and now_is is not None:
            self.verified[session.uuid] = row._replace(depth=now_is.depth, weight=now_is.weight, listing=now_is.listing)

    def sealed(self, session: SessionRow) -> SessionRow:
        """Return the session with its position signed."""
        return session._replace(signer=self.seal.key_id, seal=self.seal.sign(*position(session)))

    def keep_lock(self) -> None:
        """The folder stays locked when this is closed: whoever locked it goes on with it."""
        self._keeps_lock = True

    def close(self) -> None:
        """Write everything through and close; never raises for a folder that is gone."""
        with self.bulk_lock, self.lock:
            if self._closed:
                return
            with contextlib.suppress(StoreError):  # what is committed is safe from kills; only a power cut could matter
                self.sync()
        with self.bulk_lock, self.lock, self._checkpoint_lock:
            if self._closed:
                return
            self._closed = True
            if self._checkpointer is not None:
                self._checkpointer.close()
            self._close_views()
            self.catalog.close()
            self.packs.close()
            if not self._keeps_lock:
                self._folder_lock.release()


def describe(session: SessionRow) -> dict[str, Any]:
    """Return what the log says about where a session stands."""
    return {
        "session": session.uuid.hex(),
        "key": from_blob(session.key),
        "trashed": None if session.trashed is None else from_blob(session.trashed),
        "reason": None if session.reason is None else from_blob(session.reason),
        "head": session.head,
        "tip": session.tip,
        "next": session.next,
    }


def _identity(path: Path) -> tuple[int, int, int] | None:
    try:
        status = os.lstat(path)  # called for every commit, and Path.lstat takes twice as long
    except OSError:
        return None
    return status.st_ino, status.st_dev, status.st_size
