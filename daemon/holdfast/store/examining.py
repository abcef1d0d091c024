"""Deriving everything anew from the disk, and saying of whatever does not agree what a repair would do about it."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Collection, Iterator
from functools import partial
from pathlib import Path

from . import mending, metadata
from .blobs import Location
from .chronicle import Chronicle
from .core import Core
from .errors import Damaged, NoSuchVersion, StoreError, StoreUnavailable, Untrusted
from .findings import Findings, LenientPacks, count
from .folder import SESSIONS_NAME
from .holdings import Holdings
from .inventory import Inventory
from .packs import read_pack_header
from .rows import SessionRow, from_blob
from .timeline import Timeline
from .trash import Trash

_PAGE = 500


class Examiner:
    """One examination of a store. Its caller sees to it that no other upkeep is under way.

    Args:
        core: the store.
        folder: the state folder.
        describe: returns what a session's `metadata.json` should say; None: there should be none.
        write: writes it.
        keys: the sessions that are looked into; none: all.
        waiting: whether a session's `metadata.json` is going to be written.

    Attributes:
        findings: what is wrong.
        checked: records, rows and files that were looked at.
        total: how many bytes there are to be read, once that is known.
        broken: the catalog cannot be read: it has to be made anew.
    """

    def __init__(
        self,
        core: Core,
        folder: Path,
        describe: Callable[[str], dict[str, object] | None],
        write: Callable[[str], None],
        keys: Collection[str] | None = None,
        waiting: Callable[[str], bool] = lambda key: False,
    ) -> None:
        self.findings = Findings()
        self.checked = 0
        self.total = 0
        self.broken = False
        self._core = core
        self._folder = folder
        self._describe = describe
        self._write = write
        self._keys = keys
        self._waiting = waiting
        self._packs = LenientPacks(core.packs.folder, core.packs.store_id, core.packs.cipher)
        self._inventory = Inventory(self._packs, core.timeline.is_sealed)
        self._holdings = Holdings(core, self._packs, self._inventory)
        self._trash = Trash(folder, core.packs.cipher)
        self._gone: list[tuple[bytes, Location]] = []

    @property
    def read(self) -> int:
        """How many bytes were read."""
        return self._inventory.bytes

    def run(self) -> Iterator[None]:
        """Examine everything, a little with each step; between steps the store may be used in any way.

        Raises:
            StoreError: it could not go on.
        """
        try:
            with self._core.view() as view:
                yield from self._examine(view)
        except Damaged as error:
            if error.kind != "catalog":
                raise
            self._break(error.message)
        except UnicodeDecodeError:
            self._break("a name in it is not text")
        finally:
            self._packs.close()

    def _break(self, why: str) -> None:
        self.broken = True
        self.findings.note_broken_catalog(why)

    def _examine(self, view: Timeline) -> Iterator[None]:
        core = self._core
        faults = view.catalog.faults()
        if faults:
            self._break("; ".join(faults[:3]))
            return
        yield
        with core.lock:
            core.settle()
            told, known, retired = core.told, core.catalog.packs(), core.catalog.retired()
            newest = core.catalog.newest_pack()
            sessions = core.catalog.sessions("1")
            others = [number for number in core.packs.numbers() if number not in known and number not in retired]
        self.total = sum(used for _, used in known.values())
        for number, (kind, used) in known.items():
            order = self._header(number, kind, used)
            yield from self._inventory.survey(number, kind, order, used)
        for number in others:
            if number <= newest:
                yield from self._inventory.survey(number, 0, number, core.packs.length(number))
        self._inventory.replay()
        yield from self._chunks(view)
        chosen = [row for row in sessions if self._keys is None or from_blob(row.key) in self._keys]
        chronicle = Chronicle(core, view, self._packs, self._inventory, self._holdings, self.findings, self._trash)
        yield from chronicle.missing(sessions, told)
        yield from chronicle.examine(chosen)
        if self._keys is None:
            yield from chronicle.compare(sessions, told)
        self._contents(chosen)
        yield
        for session in chosen:
            if session.trashed is None and not core.packs.cipher.encrypts:
                self._metadata(session)
                yield
        self._strays()
        self.checked += self._inventory.checked + chronicle.checked

    # ------------------------------------------------------------------ packs and chunks

    def _header(self, number: int, kind: int, used: int) -> int:
        """Look at a pack as a whole; return its place in the order of the log."""
        packs = self._core.packs
        path, length = packs.path(number), packs.length(number)
        self.checked += 1
        if length < used:
            self.findings.note(
                "pack",
                path.name,
                "This file of the state folder is missing or shorter than it was. Put it back from a backup if there "
                "is one. What can be told of what it held is listed here by name.",
                partial(mending.note_length, self._core, number, kind, length),
            )
        if not length:
            return number
        try:
            fd = packs.open(number)
            try:
                return read_pack_header(fd, number, packs.store_id).order
            finally:
                os.close(fd)
        except StoreUnavailable:
            raise  # a newer Holdfast wrote it: nothing of it is damaged
        except (StoreError, OSError):
            self.findings.note(
                "pack",
                path.name,
                "The header of this file is damaged. Repair writes it anew; what is in the file stays as it is.",
                partial(mending.restore_header, path, number, kind, packs.store_id, encrypted=packs.cipher.encrypts),
            )
        return number

    def _chunks(self, view: Timeline) -> Iterator[None]:
        found, moved = self._inventory.chunks, []
        for page in view.catalog.history.chunks(_PAGE):
            for digest, place in page:
                self.checked += 1
                if found.get(digest) == place or self._holdings.reads(digest, place):
                    continue
                if digest in found:
                    moved.append((digest, found[digest]))
                else:
                    self._gone.append((digest, place))
            yield
        if moved:
            self.findings.note(
                "place",
                "catalog.sqlite",
                f"The catalog points to wrong places for {count(len(moved), 'piece')} of what is saved; the bytes are "
                f"there. Repair puts that right.",
                partial(mending.place_chunks, self._core, moved),
            )

    def _contents(self, sessions: Collection[SessionRow]) -> None:
        """Tell of the variables that lack bytes, and of the places that do not matter to any."""
        unplaced = list(self._holdings.unplaced.items())
        if unplaced:
            self.findings.note(
                "place",
                "catalog.sqlite",
                f"The catalog has no place for {count(len(unplaced), 'piece')} of what is saved; the bytes are there. "
                f"Repair notes where.",
                partial(mending.place_chunks, self._core, unplaced),
            )
        if self._gone:
            self.findings.note(
                "bytes",
                count(len(self._gone), "piece") + " of the packs",
                "They are not what was written, or missing. What lacks them is listed here by name. Repair has the "
                "catalog forget them, so that they are stored anew when they are saved again.",
                partial(mending.forget_chunks, self._core, self._gone),
            )
        current = {session.uuid: self._current(session) for session in sessions}
        for loss in self._holdings.losses.values():
            numbers = ", ".join(map(str, loss.versions[:8])) + (" …" if len(loss.versions) > 8 else "")
            key = from_blob(loss.session.key)
            comes_back = not loss.contents.isdisjoint(current[loss.session.uuid])
            self.findings.note(
                "lost",
                f"{loss.names} of {key}, as saved by version {numbers}",
                "Its bytes are lost, and it does not come back when the file is opened; all others do. Run the cell "
                "that made it again, or restore an older version of it."
                if comes_back
                else "Its bytes are lost. Only older versions lack it: the newest state is not concerned.",
            )

    def _current(self, session: SessionRow) -> set[bytes]:
        """Return what a session's head holds."""
        with contextlib.suppress(Damaged, Untrusted, NoSuchVersion):
            if session.head is not None:
                return {entry.content for entry in self._core.timeline.listing(session, session.head).values()}
        return set()

    # ------------------------------------------------------------------ other files

    def _metadata(self, session: SessionRow) -> None:
        self.checked += 1
        key = from_blob(session.key)
        with self._core.reading():
            current = self._core.catalog.session_by_uuid(session.uuid)
        if current is None or current._replace(seal=b"") != session._replace(seal=b"") or self._waiting(key):
            return  # used meanwhile, or a moment ago
        try:
            expected = self._describe(key)
        except (Damaged, Untrusted, NoSuchVersion):
            return  # told of already
        path = metadata.metadata_folder(self._folder / SESSIONS_NAME, key) / metadata.METADATA_NAME
        try:
            found = json.loads(path.read_bytes())
        except (OSError, ValueError, RecursionError):
            found = None
        if expected is None or (isinstance(found, dict) and _same(found, expected)):
            return
        self.findings.note(
            "metadata",
            f"metadata.json of {key}",
            "It is missing, or does not describe what is saved; nothing depends on it. Repair writes it anew.",
            partial(self._write, key),
        )

    def _strays(self) -> None:
        """Tell of files among the packs that are none of the store's."""
        for path in mending.strays(self._core):
            self.findings.note(
                "orphan",
                f"packs/{path.name}",
                "Nothing in the store refers to this file. Repair moves it to the trash folder.",
                partial(mending.take_stray, self._core, self._trash, path),
            )


def _same(found: dict[str, object], expected: dict[str, object]) -> bool:
    """Whether a description says what it should; how much room the state takes changes without it."""
    again = json.loads(json.dumps(expected, default=str))
    return {**found, "sizes": None} == {**again, "sizes": None}
