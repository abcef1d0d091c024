"""Removing old versions, so that every version that stays can be read as before.

A version that stays while its parent goes gets a complete listing of its own, sealed like the version, whose metadata
and place in the history stay as they are. Then versions go from the youngest to the oldest, a few in each transaction:
whenever a kill comes, whatever is there still has all that it builds on.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from blake3 import blake3

from holdfast.quick_json import dumps

from .core import Core, now
from .encoding import VersionParts, encode_delta, listing_record
from .errors import Damaged, NoSuchVersion, Untrusted
from .ledger import ListingRow, VersionStub
from .rows import SessionRow, version_id
from .timeline import Timeline

SLICE = 100
"""Versions removed by one transaction: commits wait no longer than that takes."""


def stays(session: SessionRow, stubs: Sequence[VersionStub], keep: int, also: Collection[int] = ()) -> set[int]:
    """Return the numbers of the versions that stay: the newest ones, the head, where redo leads, those with a label.

    Args:
        session: where it stands.
        stubs: its versions, oldest first.
        keep: how many of the newest.
        also: further ones.
    """
    chosen = {stub.number for stub in stubs[len(stubs) - keep :]} if keep < len(stubs) else {s.number for s in stubs}
    chosen.update(stub.number for stub in stubs if stub.labelled)
    chosen.update(number for number in (session.head, session.tip, *also) if number is not None)
    return with_branch_points(stubs, chosen)


def with_branch_points(stubs: Sequence[VersionStub], chosen: Collection[int]) -> set[int]:
    """Return the versions chosen, and those at which lines to them part."""
    kept: set[int] = set()
    lines: dict[int, int] = {}
    for stub in reversed(stubs):
        arriving = lines.get(stub.number, 0)
        if stub.number in chosen or arriving > 1:
            kept.add(stub.number)
        elif not arriving:
            continue
        if stub.parent is not None:
            lines[stub.parent] = lines.get(stub.parent, 0) + 1
    return kept


class Thinner:
    """Removes versions of one session at a time.

    Args:
        core: the store.
        view: a timeline over a connection of its own, so that nobody waits while a listing is read.
    """

    def __init__(self, core: Core, view: Timeline) -> None:
        self._core = core
        self._view = view
        self.removed = 0
        self.problem: str | None = None

    def thin(self, session: SessionRow, stubs: Sequence[VersionStub], kept: Collection[int]) -> Iterator[None]:
        """Remove all versions but those that are to stay, a little with each step.

        `removed` counts them. A version that would have to be listed anew and cannot be read stays with all that it
        builds on; `problem` then says so.

        Raises:
            StoreError: it could not go on; what is there is whole.
        """
        listed = self._listed(session)
        cuts = []
        for stub in stubs:
            if stub.number not in kept or stub.base or stub.parent is None or stub.parent in kept:
                continue
            if stub.number not in listed:
                try:
                    yield from self.list(session, stub.number)
                except (Damaged, Untrusted, NoSuchVersion) as error:
                    self.problem = error.message
                    return
            cuts.append(stub.number)
        going = [stub.number for stub in stubs if stub.number not in kept]
        for end in range(len(going), 0, -SLICE):
            if not self._remove(session, going[max(0, end - SLICE) : end], stubs, kept, cuts):
                return  # somebody needs what was to go; the next time sees to it
            yield
            self._core.relieve()
            yield

    def _listed(self, session: SessionRow) -> set[int]:
        with self._core.reading():
            return set(self._core.catalog.history.listings_of(session.id))

    def list(self, session: SessionRow, number: int) -> Iterator[None]:
        """Give a version a complete listing of its own.

        Raises:
            Damaged, Untrusted, NoSuchVersion: what it holds cannot be told.
        """
        core = self._core
        entries = self._view.listing(session, number)
        yield
        delta = encode_delta(entries.values(), ())
        yield
        row = self._view.version(session, number).row
        meta = dumps(
            {
                "session": session.uuid.hex(),
                "version": number,
                "digest": row.digest.hex(),
                "delta": blake3(delta).hexdigest(),
            }
        )
        seal = core.seal.sign(b"listing", blake3(meta).digest())
        record = listing_record(core.packs.cipher, VersionParts(core.seal.key_id, seal, meta, delta))
        yield
        with core.writing():
            pack, offset = core.log.position(len(record))
            core.log.append([record])
            place = (version_id(session.id, number), pack, offset)
            core.catalog.history.add_listing(ListingRow(*place, core.seal.key_id, seal, meta, delta))
            core.lighten(session, row, len(delta))
        yield

    def _remove(
        self,
        session: SessionRow,
        numbers: Sequence[int],
        stubs: Sequence[VersionStub],
        kept: Collection[int],
        cuts: Sequence[int],
    ) -> bool:
        """Remove versions in one transaction; whether that was done, and not prevented by what happened meanwhile."""
        core = self._core
        with core.writing():
            current = core.catalog.session_by_uuid(session.uuid)
            if current is None or self._needed(current, numbers, stubs[-1].number, kept):
                return False
            ranges, at = _ranges(numbers, stubs), now()
            more: dict[str, Any] = {"thinned": ranges, "cuts": list(cuts), "at": at}
            core.log_event(current, **more)
            core.catalog.history.remove_versions(session.id, ranges, at)
        core.removals += 1
        self.removed += len(numbers)
        return True

    def _needed(self, session: SessionRow, numbers: Sequence[int], newest: int, kept: Collection[int]) -> bool:
        """Whether a version got a label, the head, or children since it was decided that it goes."""
        if any(at is not None and at <= newest and at not in kept for at in (session.head, session.tip)):
            return True
        history = self._core.catalog.history
        if any(stub.labelled for stub in history.stubs(session.id, numbers[0], numbers[-1]) if stub.number in numbers):
            return True
        made = history.stubs(session.id, newest + 1)
        return any(stub.parent is not None and stub.parent <= newest and stub.parent not in kept for stub in made)


def _ranges(numbers: Sequence[int], stubs: Sequence[VersionStub]) -> list[tuple[int, int]]:
    """Return numbers as ranges of neighbours, nothing that exists lying between them."""
    gone = set(numbers)
    ranges: list[tuple[int, int]] = []
    open_range = False
    for stub in stubs:
        if stub.number not in gone:
            open_range = False
        elif open_range:
            ranges[-1] = ranges[-1][0], stub.number
        else:
            ranges.append((stub.number, stub.number))
            open_range = True
    return ranges
