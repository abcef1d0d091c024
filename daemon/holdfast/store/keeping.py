"""What keeps a store small, and says what its room is used for: the part of `Store` that works in steps."""

from __future__ import annotations

import contextlib
from abc import abstractmethod
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .committing import is_listing_due
from .compacting import Collected, Collector, is_due
from .core import Core
from .errors import Damaged, StoreError
from .ledger import Gap, VersionStub
from .places import Places
from .rows import SessionRow, from_blob
from .thinning import Thinner, stays
from .timeline import Timeline
from .usage import Surveyor, Usage, within

if TYPE_CHECKING:
    from .examining import Examiner
    from .findings import Finding


class Keeping:
    """Upkeep of a store. All that goes in steps may be given up between two of them."""

    folder: Path
    _core: Core
    _places: Places

    @abstractmethod
    def description(self, key: str) -> dict[str, Any] | None:
        """See `Store`."""

    @abstractmethod
    def write_metadata(self, key: str) -> None:
        """See `Store`."""

    def thin(self, key: str, keep: int, also: Collection[int] = ()) -> Iterator[int]:
        """Remove a session's old versions, a few milliseconds with each step; what is yielded counts those removed.

        The head, what redo leads to, versions with a label and those at which branches part stay. Whatever stays can
        be read as before. Only one thread may do upkeep at a time; all else may go on meanwhile.

        Args:
            key: the session.
            keep: how many of the newest versions stay.
            also: further ones that stay.

        Raises:
            Damaged: a version that stays builds on one that cannot be read, so none is removed.
            StoreError: it could not go on; what is there is whole.
        """
        session = self._places.find(key)
        if session is not None:
            with self._core.view() as view:
                stubs = view.catalog.history.stubs(session.id)
                yield from self._thin(session, view, stubs, stays(session, stubs, max(1, keep), also))

    def listing_is_due(self, key: str) -> bool:
        """Whether a session of many variables should get a complete listing, which `relist` makes in idle time."""
        with self._core.reading():
            session = self._places.find(key)
            if session is None or session.head is None:
                return False
            row = self._core.catalog.version(session.id, session.head)
            return row is not None and is_listing_due(row)

    def relist(self, key: str) -> Iterator[None]:
        """Give a session's head a complete listing, so that reading it stays quick; a little with each step.

        Raises:
            Damaged, Untrusted: what it holds cannot be told.
            StoreError: it could not be written.
        """
        session = self._places.find(key)
        if session is not None and session.head is not None:
            with self._core.view() as view:
                yield from Thinner(self._core, view).list(session, session.head)

    def _thin(
        self, session: SessionRow, view: Timeline, stubs: Sequence[VersionStub], kept: Collection[int]
    ) -> Iterator[int]:
        thinner = Thinner(self._core, view)
        for _ in thinner.thin(session, stubs, kept):
            yield thinner.removed
        if thinner.problem is not None:
            raise Damaged("version", from_blob(session.key), thinner.problem)

    def usage(self, keys: Collection[str] | None = None) -> Iterator[Usage]:
        """Find out what the room is used for, a few milliseconds with each step; what is yielded last is the answer.

        Args:
            keys: the sessions that are told of; none: all.
        """
        surveyor = Surveyor(self._core, keys)
        for _ in surveyor.run():
            yield surveyor.found
        yield surveyor.found

    def fit(self, quota: int, keep: int) -> Iterator[int]:
        """Remove the oldest versions of all sessions until what stays takes no more than `quota`, as far as possible.

        The newest version of each session stays, and what `thin` leaves. What is yielded counts those removed; their
        bytes are given back by `collect`.

        Args:
            quota: bytes.
            keep: no more versions of each session than this stay.

        Raises:
            StoreError: it could not go on; what is there is whole.
        """
        surveyor = Surveyor(self._core)
        for _ in surveyor.run():
            yield 0
        removed = 0
        with self._core.view() as view:
            for identity, count in within(surveyor.accounts, quota, keep).items():
                session = next(one.session for one in surveyor.accounts if one.session.id == identity)
                stubs = view.catalog.history.stubs(identity)
                done = 0
                with contextlib.suppress(Damaged):  # of this one nothing can go; others may
                    for done in self._thin(session, view, stubs, stays(session, stubs, count)):
                        yield removed + done
                removed += done
        yield removed

    @property
    def used(self) -> int:
        """Bytes that the packs take."""
        with self._core.reading():
            return sum(used for _, used in self._core.catalog.packs().values())

    def count(self, key: str) -> int:
        """Return how many versions a session has, as far as numbers tell."""
        with self._core.reading():
            session = self._places.find(key)
            if session is None:
                return 0
            gaps = self._core.catalog.history.gaps(session.id)
            return session.next - 1 - sum(gap.last - gap.first + 1 for gap in gaps)

    def thinned(self, key: str) -> list[Gap]:
        """Return which versions `thin` removed, oldest first."""
        with self._core.reading():
            session = self._places.find(key)
            return [] if session is None else self._core.catalog.history.gaps(session.id)

    @property
    def collection_is_due(self) -> bool:
        """Whether so much was written since the last collection that garbage may be worth a look."""
        return is_due(self._core)

    def collect(self, *, asked: bool = True) -> Iterator[Collected]:
        """Give back to the disk what no version needs, a few milliseconds with each step.

        Only one thread may do upkeep at a time; all else may go on meanwhile.

        Args:
            asked: somebody waits for the room; else only what pays is rewritten.

        Raises:
            StoreError: it could not go on; what is there is whole.
        """
        collector = Collector(self._core, asked=asked)
        for _ in collector.run():
            yield collector.done
        yield collector.done

    def examine(
        self, keys: Collection[str] | None = None, waiting: Callable[[str], bool] = lambda key: False
    ) -> Iterator[Examiner]:
        """Derive everything anew from the disk, a little with each step; what is yielded knows what was found so far.

        Only one thread may do upkeep at a time; all else may go on meanwhile.

        Args:
            keys: the sessions that are looked into; none: all.
            waiting: whether a session's `metadata.json` is going to be written, and says nothing yet.

        Raises:
            StoreError: it could not go on.
        """
        from .examining import (
            Examiner,
        )  # with its modules: rarely used, and every start of a daemon would wait for them

        examiner = Examiner(self._core, self.folder, self.description, self.write_metadata, keys, waiting)
        for _ in examiner.run():
            yield examiner
        yield examiner

    def mend(self, findings: Sequence[Finding]) -> Iterator[list[str]]:
        """Repair what was found, one thing with each step; what is yielded says what could not be done.

        What this store remembers of what it held does not hold any more: close it, and open it anew.
        """
        undone: list[str] = []
        for finding in findings:
            if finding.mend is not None:
                try:
                    finding.mend()
                except (StoreError, OSError) as error:  # what remains is found by the next examination
                    undone.append(f"{finding.problem.what}: {error}")
                yield undone
        yield undone

    def salvage(self, old: Path) -> Iterator[None]:
        """Take from a catalog that was moved away what this one lacks."""
        from .rebuilding import Salvage

        yield from Salvage(self._core, old).run()
