"""What sessions hold at their heads, kept in memory: a complete listing is due now and then, and to read it is dear."""

from __future__ import annotations

from collections.abc import Iterable

from .records import ComponentEntry

MAX_ENTRIES = 10_000
"""Components of all sessions together that are kept. A session with more reads its listing: one is rarely due."""


class Listings:
    """For each session the version that was made last, and the components that it holds."""

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[int, dict[str, ComponentEntry]]] = {}
        self._entries = 0

    def of(self, session: bytes, version: int) -> dict[str, ComponentEntry] | None:
        """Return a copy of a version's listing if that is what is known of the session.

        Args:
            session: its uuid.
            version: the number.
        """
        known = self._known.get(session)
        return dict(known[1]) if known is not None and known[0] == version else None

    def note(self, session: bytes, version: int, listing: dict[str, ComponentEntry]) -> None:
        """Keep a listing, in place of those that were noted longest ago if there are too many."""
        self._drop(session)
        if len(listing) > MAX_ENTRIES:
            return
        while self._entries + len(listing) > MAX_ENTRIES:
            self._drop(next(iter(self._known)))
        self._known[session] = version, listing
        self._entries += len(listing)

    def follow(
        self,
        session: bytes,
        above: int | None,
        version: int,
        entries: Iterable[ComponentEntry],
        removed: Iterable[str],
    ) -> None:
        """A version was made.

        Args:
            session: its session's uuid.
            above: the version it was made from; None if it holds nothing but `entries`.
            version: its number.
            entries: what it changed.
            removed: ids of components that it removed.
        """
        if above is None:
            self.note(session, version, {entry.id: entry for entry in entries})
            return
        known = self._known.get(session)
        if known is None or known[0] != above:
            self._drop(session)
            return
        listing = known[1]
        before = len(listing)
        for gone in removed:
            listing.pop(gone, None)
        for entry in entries:
            listing[entry.id] = entry
        self._entries += len(listing) - before
        self._known[session] = version, listing

    def _drop(self, session: bytes) -> None:
        known = self._known.pop(session, None)
        if known is not None:
            self._entries -= len(known[1])
