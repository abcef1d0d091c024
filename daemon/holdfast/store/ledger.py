"""The catalog's tables of what became of old versions, and the questions that upkeep asks of all tables.

As for `catalog.Catalog`, whoever asks holds the store's lock, or has a connection of their own.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

from .blobs import Location
from .cipher import CLEAR, Cipher
from .failures import translated
from .rows import VersionRow, shown, to_blob, version_id

Row = TypeVar("Row", bound=tuple[Any, ...])

_LISTING = "SELECT id, pack, offset, signer, seal, meta, delta FROM listings "


class ListingRow(NamedTuple):
    """A complete listing that was made of a version after the fact."""

    id: int
    """That of the version."""
    pack: int
    offset: int
    signer: bytes
    seal: bytes
    meta: bytes
    delta: bytes


def listing_row(row: Sequence[Any], cipher: Cipher) -> ListingRow:
    """Return a listing's row, with nothing in place of what cannot be read."""
    identity, pack, offset = (part if isinstance(part, int) else 0 for part in row[:3])
    signer, seal = (part if isinstance(part, bytes) else b"" for part in row[3:5])
    meta, delta = shown(cipher, "listing meta", row[5]), shown(cipher, "listing delta", row[6])
    return ListingRow(identity, pack, offset, signer, seal, meta or b"", delta or b"")


class Gap(NamedTuple):
    """Versions that retention removed: from `first` to `last`, as far as they existed."""

    first: int
    last: int
    at: str


class VersionStub(NamedTuple):
    """What deciding about a version takes."""

    number: int
    parent: int | None
    base: bool
    labelled: bool


class HistoryTables:
    """Listings and gaps, and pages of rows."""

    def __init__(self, db: sqlite3.Connection, cipher: Cipher = CLEAR) -> None:
        self.cipher = cipher
        self._db = db

    # ------------------------------------------------------------------ listings made later

    def listings_of(self, session: int) -> list[int]:
        """Return the numbers of a session's versions that have a listing of their own."""
        rows = self._all(
            "SELECT id FROM listings WHERE id >= ? AND id < ?", (version_id(session, 0), version_id(session + 1, 0))
        )
        return [identity & 0xFFFFFFFF for (identity,) in rows]

    def listing(self, session: int, number: int) -> ListingRow | None:
        """Return a version's own listing."""
        rows = self._all(f"{_LISTING} WHERE id = ?", (version_id(session, number),))
        if not rows:
            return None
        return listing_row(rows[0], self.cipher)

    def add_listing(self, row: ListingRow) -> None:
        """Note a version's own listing."""
        told = row._replace(
            meta=self.cipher.hide("listing meta", row.meta), delta=self.cipher.hide("listing delta", row.delta)
        )
        self._db.execute("INSERT OR REPLACE INTO listings VALUES (?, ?, ?, ?, ?, ?, ?)", told)

    def remove_listing(self, identity: int) -> None:
        """Forget a version's own listing."""
        self._db.execute("DELETE FROM listings WHERE id = ?", (identity,))

    def lighten(self, listed: VersionRow, size: int) -> None:
        """Count deltas and their weight from a version on that got a listing of its own, of so many bytes."""
        last = version_id((listed.id >> 32) + 1, 0)
        self._db.execute(
            "UPDATE versions SET depth = depth - ?, weight = weight - ?, listing = ?"
            " WHERE id >= ? AND id < coalesce((SELECT min(id) FROM versions WHERE id > ? AND base), ?) AND depth >= ?"
            " AND id < ?",
            (listed.depth, listed.weight, size, listed.id, listed.id, last, listed.depth, last),
        )

    # ------------------------------------------------------------------ thinning

    def stubs(self, session: int, first: int = 0, last: int = (1 << 32) - 1) -> list[VersionStub]:
        """Return the versions of a session, oldest first."""
        rows = self._all(
            "SELECT id, parent, base, label IS NOT NULL FROM versions WHERE id BETWEEN ? AND ? ORDER BY id",
            (version_id(session, first), version_id(session, last)),
        )
        return [
            VersionStub(identity & 0xFFFFFFFF, parent if isinstance(parent, int) else None, bool(base), bool(labelled))
            for identity, parent, base, labelled in rows
        ]

    def has_other_signers(self, session: int, key_id: bytes) -> bool:
        """Whether a session has versions that another key signed."""
        place = version_id(session, 0), version_id(session + 1, 0)
        question = "SELECT 1 FROM versions WHERE id >= ? AND id < ? AND signer IS NOT ? LIMIT 1"
        return bool(self._all(question, (*place, key_id)))

    def remove_versions(self, session: int, ranges: Sequence[tuple[int, int]], at: str) -> None:
        """Remove versions, and note that they were there.

        Args:
            session: their session.
            ranges: first and last number of each run of neighbours; what lies between is all of it.
            at: the time.
        """
        for first, last in ranges:
            place = version_id(session, first), version_id(session, last)
            self._db.execute("DELETE FROM versions WHERE id BETWEEN ? AND ?", place)
            self._db.execute("DELETE FROM listings WHERE id BETWEEN ? AND ?", place)
            self.note_gap(session, first, last, at)

    def note_gap(self, session: int, first: int, last: int, at: str) -> None:
        """Note that versions were removed, all between these two."""
        # What touches it becomes one with it: rows stay few however long a session lives.
        low, high = version_id(session, 0), version_id(session + 1, 0)
        touching = self._db.execute(
            "SELECT id, last FROM thinned WHERE id >= ? AND id < ? AND id <= ? AND last >= ?",
            (low, high, version_id(session, last + 1), first - 1),
        ).fetchall()
        for identity, end in touching:
            first, last = min(first, identity & 0xFFFFFFFF), max(last, end)
            self._db.execute("DELETE FROM thinned WHERE id = ?", (identity,))
        self._db.execute("INSERT INTO thinned VALUES (?, ?, ?)", (version_id(session, first), last, to_blob(at)))

    def gaps(self, session: int) -> list[Gap]:
        """Return what was removed from a session's history, oldest first."""
        rows = self._all(
            "SELECT id, last, at FROM thinned WHERE id >= ? AND id < ? ORDER BY id",
            (version_id(session, 0), version_id(session + 1, 0)),
        )
        return [
            Gap(identity & 0xFFFFFFFF, last, at.decode("utf-8", "replace") if isinstance(at, bytes) else "")
            for identity, last, at in rows
            if isinstance(last, int)
        ]

    def remove_session(self, session: int) -> None:
        """Forget a session's listings and gaps."""
        place = version_id(session, 0), version_id(session + 1, 0) - 1
        self._db.execute("DELETE FROM listings WHERE id BETWEEN ? AND ?", place)
        self._db.execute("DELETE FROM thinned WHERE id BETWEEN ? AND ?", place)

    # ------------------------------------------------------------------ pages of all there is

    def version_ids(self, size: int) -> Iterator[list[int]]:
        """Yield the ids of the versions of all sessions, ascending, so many at a time."""
        for page in self._pages("SELECT id FROM versions WHERE id > ? ORDER BY id LIMIT ?", 0, size):
            yield [identity for (identity,) in page]

    def chunks(self, size: int) -> Iterator[list[tuple[bytes, Location]]]:
        """Yield all chunks in the order of their digests, so many at a time."""
        for page in self._pages("SELECT * FROM chunks WHERE digest > ? ORDER BY digest LIMIT ?", b"", size):
            yield self._chunks(page)

    def chunks_behind(self, pack: int, start: int) -> list[tuple[bytes, Location]]:
        """Return the chunks of a pack that lie behind a place. Reads all places: for recoveries only."""
        rows = self._all("SELECT * FROM chunks WHERE pack = ? AND offset >= ?", (pack, start))
        return self._chunks(rows)

    def _chunks(self, rows: Sequence[Any]) -> list[tuple[bytes, Location]]:
        digests = self.cipher.uncover([row[0] for row in rows])
        return [(digest, Location(*place)) for digest, (_, *place) in zip(digests, rows, strict=True)]

    def places(self, table: str, size: int) -> Iterator[list[tuple[int, int, int]]]:
        """Yield (id, pack, offset) of the rows of `versions` or `listings` in the order of ids, so many at a time."""
        yield from self._pages(f"SELECT id, pack, offset FROM {table} WHERE id > ? ORDER BY id LIMIT ?", 0, size)

    def _pages(self, sql: str, after: int | bytes, size: int) -> Iterator[list[Any]]:
        while page := self._all(sql, (after, size)):
            after = page[-1][0]
            yield page
            if len(page) < size:
                return  # what is added from now on would have it go on for ever

    # ------------------------------------------------------------------ compaction

    def move_chunks(self, moves: Sequence[tuple[bytes, Location, Location]]) -> None:
        """Note where copies of chunks lie, unless these were stored anew meanwhile.

        Args:
            moves: digest, where it lay, where it lies.
        """
        self._db.executemany(
            "UPDATE chunks SET pack = ?, offset = ?, stored = ?, size = ?, codec = ?"
            " WHERE digest = ? AND pack = ? AND offset = ?",
            ((*new, covered, old.pack, old.offset) for covered, (_, old, new) in self._covered(moves)),
        )

    def _covered(self, rows: Sequence[Row]) -> Iterator[tuple[bytes, Row]]:
        """Yield rows, each with the digest that it begins with as it is written."""
        return zip(self.cipher.cover([row[0] for row in rows]), rows, strict=True)

    def remove_chunks(self, gone: Sequence[tuple[bytes, Location]]) -> None:
        """Forget chunks, unless these were stored anew meanwhile."""
        self._db.executemany(
            "DELETE FROM chunks WHERE digest = ? AND pack = ? AND offset = ?",
            ((covered, place.pack, place.offset) for covered, (_, place) in self._covered(gone)),
        )

    def move_records(self, table: str, moves: Sequence[tuple[int, int, int]]) -> None:
        """Note where the copies of records of `versions` or `listings` lie: id, pack, offset."""
        self._db.executemany(
            f"UPDATE {table} SET pack = ?, offset = ? WHERE id = ?",
            ((pack, offset, identity) for identity, pack, offset in moves),
        )

    def give_back(self, pages: int) -> int:
        """Return pages that hold nothing to the disk, up to this many; how many are left."""
        # fetchall, since a step frees a page
        self._db.execute(f"PRAGMA incremental_vacuum({pages})").fetchall()
        (auto,) = self._db.execute("PRAGMA auto_vacuum").fetchone()
        (free,) = self._db.execute("PRAGMA freelist_count").fetchone()
        return int(free) if auto == 2 else 0

    def note(self, name: str, value: int) -> None:
        """Remember a number about the store."""
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, str(value).encode("ascii")))

    def noted(self, name: str) -> int | None:
        """Return a number that was remembered."""
        rows = self._all("SELECT value FROM meta WHERE name = ?", (name,))
        try:
            return int(rows[0][0]) if rows else None
        except (TypeError, ValueError):
            return None

    def _all(self, sql: str, values: Sequence[Any]) -> list[Any]:
        with translated(saving=False):
            return self._db.execute(sql, values).fetchall()
