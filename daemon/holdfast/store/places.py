"""Where sessions live: keys, moves, the trash. A session is a random identity; its key is a label that moves."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from .core import Core, now
from .errors import NoSuchVersion
from .records import TrashedSession
from .rows import SessionRow, from_blob, to_blob


class Places:
    """Gives sessions other keys, and takes keys from them."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def find(self, key: str) -> SessionRow | None:
        """Return the live session of a key."""
        with self._core.reading():
            return self._core.catalog.live(to_blob(key))

    def require(self, key: str) -> SessionRow:
        """Return the live session of a key.

        Raises:
            NoSuchVersion: there is none.
        """
        session = self.find(key)
        if session is None:
            raise NoSuchVersion(key, None)
        return session

    def keys(self) -> list[str]:
        """Return the keys of the live sessions that have a version."""
        with self._core.reading():
            return [from_blob(row.key) for row in self._core.catalog.sessions("trashed IS NULL AND head IS NOT NULL")]

    # ------------------------------------------------------------------ moves

    def move(self, old: str, new: str) -> list[tuple[str, str]]:
        """Give a session another key; what lived there goes to the trash. Return what moved: old key, new key."""
        with self._core.writing():
            session = self._core.catalog.live(to_blob(old))
            if session is None or old == new:
                return []
            self._relabel(session, new)
        return [(old, new)]

    def move_folder(self, old: str, new: str) -> list[tuple[str, str]]:
        """Move every session below a folder; return what moved: old key, new key."""
        low, high = to_blob(old.rstrip("/") + "/"), to_blob(old.rstrip("/") + "0")  # "0" is the character after "/"
        target = to_blob(new.rstrip("/") + "/")
        moved = []
        with self._core.writing():
            if low == target:
                return []
            for session in self._core.catalog.sessions():
                if not low <= session.key < high:
                    continue
                key = from_blob(target + session.key[len(low) :])
                self._relabel(session, key)
                moved.append((from_blob(session.key), key))
        return moved

    def _relabel(self, session: SessionRow, key: str) -> None:
        occupant = self._core.catalog.live(to_blob(key))
        if occupant is not None:
            self._discard(occupant, f"{from_blob(session.key)} was moved to its place")
        self._put(session._replace(key=to_blob(key)))

    # ------------------------------------------------------------------ trash

    def trash(self, key: str, reason: str) -> bool:
        """Put a session into the trash; whether there was one."""
        with self._core.writing():
            session = self._core.catalog.live(to_blob(key))
            if session is None:
                return False
            self._discard(session, reason)
        return True

    def _discard(self, session: SessionRow, reason: str) -> None:
        self._put(session._replace(trashed=to_blob(now()), reason=to_blob(reason)))

    def _put(self, session: SessionRow) -> None:
        self._core.log_event(session)
        self._core.catalog.update_place(session)

    def trashed(self, key: str | None) -> list[TrashedSession]:
        """Return what is in the trash, newest first."""
        with self._core.reading():
            rows = self._trash(key)
        return [
            TrashedSession(
                key=from_blob(row.key),
                trashed_at=from_blob(row.trashed or b""),
                reason=from_blob(row.reason or b""),
                version=row.head,
                bytes=row.written,
            )
            for row in rows
        ]

    def _trash(self, key: str | None) -> list[SessionRow]:
        name = None if key is None else to_blob(key)
        found = self._core.catalog.sessions("trashed IS NOT NULL")
        # Rows come in the order of their ids, and Python's sort is stable: of two trashed in the same millisecond
        # the younger session comes first.
        rows = [row for row in reversed(found) if name is None or row.key == name]
        return sorted(rows, key=lambda row: _moment(row.trashed), reverse=True)

    def recover(self, key: str) -> bool:
        """Bring back what was trashed last under this key; what lives there now takes its place in the trash."""
        with self._core.writing():
            candidates = [row for row in self._trash(key) if row.head is not None]
            if not candidates:
                return False
            self._relabel(candidates[0]._replace(trashed=None, reason=None), key)
        return True

    def forget(self, key: str) -> int:
        """Remove a key's sessions for good, live and trashed; return how many."""
        with self._core.writing():
            live = self._core.catalog.live(to_blob(key))
            return self._remove([*([live] if live else []), *self._trash(key)])

    def expire(self, days: float) -> int:
        """Remove for good what has been in the trash for longer than this; return how many sessions."""
        limit = datetime.now().astimezone() - timedelta(days=days)
        with self._core.writing():
            return self._remove([row for row in self._trash(None) if _moment(row.trashed) < limit])

    def _remove(self, sessions: Iterable[SessionRow]) -> int:
        count = 0
        for session in sessions:
            self._core.log_event(session, forgotten=True)
            self._core.catalog.remove_session(session.id)
            self._core.removals += 1
            count += 1
        return count


def _moment(when: bytes | None) -> datetime:
    """Return when something was trashed; what cannot be read is as young as can be, so that it does not expire."""
    try:
        return datetime.fromisoformat(from_blob(when or b""))
    except ValueError:
        return datetime.max.replace(tzinfo=datetime.now().astimezone().tzinfo)
