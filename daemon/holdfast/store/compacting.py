"""Finding bytes that no version needs any more, and giving them back to the disk.

Needed is what some version of some session leads to (`marking`), and what an upload under way counts on (`pins`). What
is needed of a pack that is mostly garbage is copied into a new one (`copying`), which becomes part of the store before
the old one stops being it; files that may be mapped are never written to. In this order:

1. The copy is written under another name, put on the disk, and renamed. A kill up to here leaves a file that nothing
   refers to.
2. The catalog's places are changed from the old pack to the copy, a few in each transaction, and what is not needed is
   forgotten. Whatever a kill leaves, each place is right.
3. The old pack is marked as retired, and the catalog put on the disk, with all before.
4. The old file is removed; when the folder is opened, if a kill came before, or later, if somebody is about to open it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from .blobs import Location
from .copying import Needed, PackCopy, is_needed
from .core import Core
from .errors import Damaged, StoreError
from .marking import Marker
from .packs import (
    ALIGNMENT,
    BULK,
    BULK_PACK_LIMIT,
    CHUNK_RECORD,
    CHUNK_SIZE,
    EXTENT_RECORD,
    LOG,
    LOG_PACK_LIMIT,
    PACK_HEADER,
    RECORD_HEADER,
    scan,
)
from .timeline import Timeline

PAYS_SHARE, PAYS_BYTES = 0.25, 16 << 20
"""In idle time packs are rewritten of which this share is garbage, once all garbage of such packs makes this many
bytes: then no more than three bytes are copied for each that is won."""
ASKED_SHARE, ASKED_BYTES = 0.05, 1 << 16
"""The same when somebody asks for it."""
_SLICE = 200
_PAGE = 500
_PAGES = 64
_TRIES = 3
_LIVE = "collected"


@dataclass(slots=True)
class Collected:
    """What a collection did.

    Attributes:
        garbage: bytes that nothing needs, as found.
        freed: bytes by which the packs became smaller.
        problem: why some garbage stays, for people; None if nothing stood in the way.
    """

    garbage: int = 0
    freed: int = 0
    problem: str | None = None


@dataclass(slots=True)
class _Pack:
    """A pack as a collection sees it."""

    number: int
    kind: int
    order: int
    used: int
    live: int = PACK_HEADER.size
    needed: Needed = field(default_factory=lambda: Needed({}, {}, {}))
    dead: list[tuple[bytes, Location]] = field(default_factory=list)

    @property
    def garbage(self) -> int:
        return max(0, self.used - self.live)


def is_due(core: Core) -> bool:
    """Whether so much was written since the last collection that a look may pay."""
    with core.reading():
        used = sum(used for _, used in core.catalog.packs().values())
        live = core.catalog.history.noted(_LIVE) or 0
    return used - live >= max(PAYS_BYTES, PAYS_SHARE * used)


class Collector:
    """One collection of garbage. Its caller sees to it that there is only one at a time.

    Args:
        core: the store.
        asked: somebody asked for it; else only what pays is done.
    """

    def __init__(self, core: Core, *, asked: bool) -> None:
        self.done = Collected()
        self._core = core
        self._asked = asked

    def run(self) -> Iterator[None]:
        """Collect, a few milliseconds with each step; between steps the store may be used in any way.

        Raises:
            StoreError: it could not go on. What is there is whole.
        """
        core = self._core
        remove_retired(core)
        if self._asked:
            self._turn_over()
        with core.pins.watching(), core.view() as view:
            for _ in range(_TRIES):
                removals = core.removals
                marker = Marker(core, view)
                try:
                    yield from marker.everything()
                except Damaged as error:
                    self.done.problem = f"{error.message} Until it is removed, all bytes are taken for needed."
                    return
                # Versions made since are pinned, or lead to what others led to; unless such were removed before
                # they were followed.
                with core.lock:
                    core.settle()
                    if removals == core.removals:
                        break
            else:
                return  # busy times; there will be others
            packs = self._packs()
            yield from self._survey_records(view, packs)
            yield from self._survey_chunks(view, packs, marker.live)
            for group in self._groups(self._choose(packs), packs):
                yield from self._rewrite(group)
        with core.writing():
            used = sum(used for _, used in core.catalog.packs().values())
            core.catalog.history.note(_LIVE, used)
        yield
        yield from self._give_back()

    def _turn_over(self) -> None:
        """Have the next writes go to new packs, so that those of now can be looked into."""
        core = self._core
        with core.lock:
            core.settle()
            core.log.leave(PACK_HEADER.size + ASKED_BYTES)
        if core.bulk_lock.acquire(blocking=False):  # else an upload is writing there
            try:
                core.bulk.leave(PACK_HEADER.size + ASKED_BYTES)
            finally:
                core.bulk_lock.release()

    def _give_back(self) -> Iterator[None]:
        left = 1
        while left:
            with self._core.lock:
                self._core.settle()
                before, left = left, self._core.catalog.history.give_back(_PAGES)
            yield
            self._core.relieve()
            yield
            if left == before:
                return

    # ------------------------------------------------------------------ what there is

    def _packs(self) -> dict[int, _Pack]:
        """Return the packs that nobody writes to and that can be read."""
        core, found = self._core, {}
        with core.lock:
            written = {core.log.current, core.bulk.current, *core.log.touched, *core.bulk.touched}
            written |= core.pins.packs()
            known = core.catalog.packs()
        for number, (kind, used) in known.items():
            if number in written or core.packs.length(number) < used:
                continue
            try:
                found[number] = _Pack(number, kind, core.packs.header(number).order, used)
            except (OSError, StoreError) as error:
                self.done.problem = str(error)
        return found

    def _survey_records(self, view: Timeline, packs: dict[int, _Pack]) -> Iterator[None]:
        """Find out which versions and listings lie in log packs, and how much of these packs is needed for them."""
        for table in ("versions", "listings"):
            for page in view.catalog.history.places(table, _PAGE):
                for identity, number, offset in page:
                    pack = packs.get(number)
                    if pack is not None:
                        needed = pack.needed.versions if table == "versions" else pack.needed.listings
                        needed[offset] = identity
                yield
        for pack in packs.values():
            if pack.kind != LOG:
                continue
            for count, record in enumerate(scan(self._core.packs.fd(pack.number), PACK_HEADER.size, pack.used)):
                # Chunks are counted by their places in the catalog.
                if record.kind not in (CHUNK_RECORD, EXTENT_RECORD) and is_needed(record, pack.needed):
                    pack.live += record.end - record.offset
                if count % _SLICE == 0:
                    yield

    def _survey_chunks(self, view: Timeline, packs: dict[int, _Pack], live: set[bytes]) -> Iterator[None]:
        for page in view.catalog.history.chunks(_PAGE):
            for digest, place in page:
                pack = packs.get(place.pack)
                if pack is None:
                    continue
                if digest in live or self._core.pins.live(digest):
                    pack.needed.chunks[place.offset] = digest, place
                    # A chunk of its own on a page boundary comes with padding.
                    alone = place.offset % ALIGNMENT == 0 and place.size < CHUNK_SIZE
                    pack.live += place.stored + (ALIGNMENT if alone else RECORD_HEADER.size)
                else:
                    pack.dead.append((digest, place))
            yield

    def _choose(self, packs: dict[int, _Pack]) -> list[_Pack]:
        share, least = (ASKED_SHARE, ASKED_BYTES) if self._asked else (PAYS_SHARE, PAYS_BYTES)
        victims = [pack for pack in packs.values() if pack.garbage > share * pack.used]
        self.done.garbage = sum(pack.garbage for pack in victims)
        return victims if self.done.garbage >= least else []

    @staticmethod
    def _groups(victims: list[_Pack], packs: dict[int, _Pack]) -> list[list[_Pack]]:
        """Return victims in groups that become one pack each: of the log, only neighbours, since order counts there."""
        groups: list[list[_Pack]] = []
        for kind, limit in ((LOG, LOG_PACK_LIMIT), (BULK, BULK_PACK_LIMIT)):
            chosen = {pack.number for pack in victims if pack.kind == kind}
            group: list[_Pack] = []
            for pack in sorted((p for p in packs.values() if p.kind == kind), key=lambda p: (p.order, p.number)):
                joins = pack.number in chosen
                full = sum(member.live for member in group) + pack.live > limit
                if group and (full or (not joins and kind == LOG)):
                    groups.append(group)
                    group = []
                if joins:
                    group.append(pack)
            if group:
                groups.append(group)
        return groups

    # ------------------------------------------------------------------ from old packs to a new one

    def _rewrite(self, group: Sequence[_Pack]) -> Iterator[None]:
        core = self._core
        copy: PackCopy | None = None
        if any(pack.kind == LOG or pack.needed.chunks for pack in group):
            copy = PackCopy(core.packs, core.reserve_number(), group[0].kind, group[0].order)
            try:
                for pack in group:
                    yield from copy.take(pack.number, pack.used, pack.needed)
                copy.finish()
            except (Damaged, OSError) as error:
                self.done.problem = str(error)
                return
            finally:
                copy.give_up()
            yield
            yield from self._move(copy, group[0].kind)
        held = False
        for pack in group:
            for at in range(0, len(pack.dead), _SLICE):
                held |= self._forget(pack.dead[at : at + _SLICE])
                yield
        if held:
            return  # bytes that somebody counts on since: the next collection copies them
        with core.writing():
            for pack in group:
                core.catalog.retire_pack(pack.number)
        yield
        self.done.freed += sum(pack.used for pack in group) - (copy.end if copy is not None else 0)
        remove_retired(core)
        yield

    def _move(self, copy: PackCopy, kind: int) -> Iterator[None]:
        core, moves = self._core, copy.moves
        with core.writing():
            core.catalog.set_pack(copy.number, kind, copy.end)
        for at in range(0, len(moves.chunks), _SLICE):
            with core.writing():
                core.catalog.history.move_chunks(moves.chunks[at : at + _SLICE])
            yield
        for table, places in (("versions", moves.versions), ("listings", moves.listings)):
            for at in range(0, len(places), _SLICE // 4):
                with core.writing():
                    core.catalog.history.move_records(table, places[at : at + _SLICE // 4])
                yield
                core.relieve()
                yield

    def _forget(self, dead: Sequence[tuple[bytes, Location]]) -> bool:
        """Forget chunks; whether some stay, since somebody counts on them by now."""
        core = self._core
        with core.writing():
            gone = [(digest, place) for digest, place in dead if not core.pins.live(digest)]
            core.catalog.history.remove_chunks(gone)
            core.swept += bool(gone)
        return len(gone) < len(dead)


def remove_retired(core: Core) -> None:
    """Delete the files of packs that nothing points into any more, unless somebody is about to open some.

    Raises:
        StoreError: it could not be made sure that the catalog will not point there again after a power cut.
    """
    with core.lock:
        core.require_current()
        numbers = core.catalog.retired()
        strays = [] if core.short else _strays(core)
    if not numbers and not strays:
        return
    core.harden()
    if core.pins.files_held:
        return
    with core.writing():
        for number in numbers:
            if core.packs.remove(number):
                core.catalog.drop_pack(number)
        for number in strays:
            core.packs.remove(number)


def _strays(core: Core) -> list[int]:
    """Return copies that a killed compaction made and the catalog never heard of: all of it is elsewhere."""
    known = {*core.catalog.packs(), *core.catalog.retired()}
    found = []
    for number in core.packs.numbers():
        if number not in known:
            with contextlib.suppress(OSError, StoreError):
                if core.packs.header(number).is_copy:
                    found.append(number)
    return found
