"""Examining the versions of sessions: both copies of each, what they build on, and that catalog and log agree."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import partial

from . import mending
from .core import Core
from .errors import Damaged, NoSuchVersion, Untrusted
from .findings import Findings, LenientPacks, count
from .holdings import Holdings
from .inventory import Inventory
from .rows import SessionRow, VersionRow, from_blob, to_blob, version_id
from .timeline import Timeline, Version
from .trash import Trash

_PAGE = 500


class Chronicle:
    """One look at all versions.

    Args:
        core: the store.
        view: a timeline over a connection of its own.
        packs: the packs, whatever their headers say.
        inventory: what lies whole in them.
        holdings: follows what versions hold.
        findings: where to note what is wrong.
        trash: where what is taken out goes.
    """

    def __init__(
        self,
        core: Core,
        view: Timeline,
        packs: LenientPacks,
        inventory: Inventory,
        holdings: Holdings,
        findings: Findings,
        trash: Trash,
    ) -> None:
        self.checked = 0
        self._core = core
        self._view = view
        self._lenient = Timeline(view.catalog, packs, holdings.reader, core.seal, core.trusts)
        self._inventory = inventory
        self._holdings = holdings
        self._findings = findings
        self._trash = trash
        self._digests: dict[int, bytes] = {}
        """By id of a version that is there: its digest."""
        self._whole: dict[int, bool] = {}
        """By the same: whether all that it builds on is there as well."""
        self._trusted: set[int] = set()
        self._listed: set[int] = set()
        self._returning: set[tuple[bytes, int]] = set()
        """Versions that a repair takes in."""

    def examine(self, sessions: Collection[SessionRow]) -> Iterator[None]:
        """Look at sessions, a version with each step."""
        chosen = {session.id: session for session in sessions}
        for page in self._view.catalog.history.places("listings", _PAGE):
            for identity, _, _ in page:
                if identity >> 32 in chosen:
                    yield from self._listing(chosen[identity >> 32], identity)
        partly: dict[int, list[int]] = {}
        for ids in self._view.catalog.history.version_ids(_PAGE):
            for identity in ids:
                session = chosen.get(identity >> 32)
                if session is None:
                    continue
                self.checked += 1
                yield from self._version(session, identity & 0xFFFFFFFF)
                if self._whole.get(identity) is False:
                    partly.setdefault(session.id, []).append(identity & 0xFFFFFFFF)
        for session in sessions:
            if session.id in partly:
                self._note_partial(session, partly[session.id])
            self._position(session)
            yield

    # ------------------------------------------------------------------ versions

    def _version(self, session: SessionRow, number: int) -> Iterator[None]:
        core, uuid = self._core, session.uuid
        row = self._view.catalog.version(session.id, number)
        if row is None:
            return  # removed meanwhile
        what = f"version {number} of {from_blob(session.key)}"
        own, copy = self._copies(session, row)
        places = self._inventory.versions.get((uuid, number), [])
        version = own or copy
        if version is None or version.delta is None:
            self._findings.note(
                "version",
                what,
                "It is lost: neither the catalog nor the packs have what was written. Repair takes it out of the "
                "history, and puts what is left of it into the trash folder.",
                partial(mending.put_aside, core, self._trash, uuid, number),
            )
            return
        if own is None:
            self._findings.note(
                "copy",
                what,
                "The catalog's copy of it is damaged. Repair makes it anew from the packs.",
                partial(mending.rewrite_version, core, uuid, number, places or [(row.pack, row.offset, b"")]),
            )
        else:
            self._second_copy(row, copy, what, uuid)
        self._trust(version, what)
        self._chain(session, version, what)
        yield
        yield from self._holdings.follow(session, version, version.delta)

    def _copies(self, session: SessionRow, row: VersionRow) -> tuple[Version | None, Version | None]:
        """Return a version as the catalog has it, if that is sound, and as the log has it, wherever that lies."""
        own, copy = self._lenient.copies(session, row)
        if own is not None and (own.row.parent != own.parent or bool(own.row.base) != own.is_base):
            own = None
        if copy is None or (own is not None and copy.row.digest != own.row.digest):
            copy = None
            for place in reversed(self._inventory.versions.get((session.uuid, row.number), [])):
                found = self._lenient.copies(session, row._replace(pack=place[0], offset=place[1]))[1]
                if found is not None and (own is None or found.row.digest == own.row.digest or found.trusted):
                    copy = found
                    break
        if own is not None and not own.trusted and copy is not None and copy.trusted:
            own = None
        return own, copy

    def _sound(self, session: SessionRow, row: VersionRow) -> Version | None:
        own, copy = self._copies(session, row)
        return own or copy

    def _second_copy(self, row: VersionRow, copy: Version | None, what: str, uuid: bytes) -> None:
        if copy is not None and (copy.row.pack, copy.row.offset) == (row.pack, row.offset):
            return
        mend = partial(mending.append_version, self._core, uuid, row.number)
        if copy is not None:
            mend = partial(mending.point_to, self._core, "versions", row.id, copy.row.pack, copy.row.offset)
        self._findings.note(
            "copy", what, "Its copy in the packs is damaged. Repair writes it anew from the catalog.", mend
        )

    def _trust(self, version: Version, what: str) -> None:
        if version.trusted:
            self._trusted.add(version.row.id)
        else:
            who = self._view.catalog.signer(version.row.signer)
            self._findings.note(
                "untrusted",
                what,
                f"It is not signed with your key{f' but by {who}' if who else ''}, so it is not restored. If you know "
                f"where it comes from, `holdfast trust FILE` lets it be; repair leaves it as it is.",
            )

    def _chain(self, session: SessionRow, version: Version, what: str) -> None:
        row = version.row
        self._digests[row.id] = row.digest
        if version.is_base or row.id in self._listed:
            self._whole[row.id] = True
            return
        if (session.uuid, version.parent) in self._returning:
            self._whole[row.id] = True
            return
        parent = None if version.parent is None else version_id(session.id, version.parent)
        if parent is not None and self._digests.get(parent, b"").hex() == version.meta.get("parentDigest"):
            self._whole[row.id] = self._whole[parent]
            return
        self._whole[row.id] = False
        self._findings.note(
            "chain",
            what,
            f"It builds on version {version.parent}, which is lost: only what was changed since then can be read. "
            f"Repair keeps that, and says so in the label of the versions concerned.",
            partial(mending.list_alone, self._core, session.uuid, row.number) if version.trusted else None,
        )

    def _note_partial(self, session: SessionRow, numbers: Sequence[int]) -> None:
        self._findings.note(
            "incomplete",
            f"{_versions(numbers)} of {from_blob(session.key)}",
            "They build on a version that is lost, and hold no more than what was changed since then. Repair says so "
            "in their labels.",
            partial(mending.mark_partial, self._core, session.uuid, numbers),
        )

    # ------------------------------------------------------------------ listings that were made later

    def _listing(self, session: SessionRow, identity: int) -> Iterator[None]:
        number = identity & 0xFFFFFFFF
        row = self._view.catalog.history.listing(session.id, number)
        said = self._view.catalog.version(session.id, number)
        if row is None or said is None:
            return
        self.checked += 1
        which = self._sound(session, said)
        if which is None:
            return  # which is told of with the version
        version = which.row
        what = f"the listing of version {number} of {from_blob(session.key)}"
        own, copy = self._lenient.listing_copies(session, version, row)
        places = self._inventory.listings.get((session.uuid, number), [])
        for pack, offset, _ in reversed(places):
            if copy is None:
                copy = self._lenient.listing_copies(session, version, row._replace(pack=pack, offset=offset))[1]
        if own is None and copy is None:
            self._findings.note(
                "listing",
                what,
                "It is damaged. Repair removes it, and lists the version anew if what it builds on is there.",
                partial(mending.drop_listing, self._core, self._trash, row),
            )
            return
        self._listed.add(identity)
        if own is None:
            self._findings.note(
                "copy",
                what,
                "The catalog's copy of it is damaged. Repair makes it anew from the packs.",
                partial(mending.rewrite_listing, self._core, identity, places or [(row.pack, row.offset, b"")]),
            )
        elif copy is None:
            self._findings.note(
                "copy",
                what,
                "Its copy in the packs is damaged. Repair writes it anew from the catalog.",
                partial(mending.append_listing, self._core, row),
            )
        found = own if own is not None else copy
        if found is not None:
            yield from self._holdings.follow(session, which, found)

    # ------------------------------------------------------------------ where sessions stand

    def _position(self, session: SessionRow) -> None:
        key = from_blob(session.key)
        numbers = sorted(identity & 0xFFFFFFFF for identity in self._trusted if identity >> 32 == session.id)
        whole = [number for number in numbers if self._whole[version_id(session.id, number)]]
        whole += [number for uuid, number in self._returning if uuid == session.uuid]
        best = max(whole or numbers, default=None)
        with self._core.reading():
            current = self._core.catalog.session_by_uuid(session.uuid)
            if current is None or current.head != session.head or current.next != session.next:
                return  # used meanwhile
            try:
                self._core.timeline.verify_position(current)
                refused = None
            except Untrusted as error:
                refused = error
        if refused is not None:
            ours = session.signer == self._core.seal.key_id or len(session.signer) != len(self._core.seal.key_id)
            remedy = (
                f"It was changed by something other than Holdfast. Repair lets {key} stand on version {best}, the "
                f"newest that can be restored."
            )
            self._findings.note(
                "head" if ours else "untrusted",
                f"the place of {key} in its history",
                remedy if ours else refused.message,
                partial(mending.stand_on, self._core, session.uuid, best) if ours else None,
            )
            return
        if not numbers and (session.head is None or version_id(session.id, session.head) in self._digests):
            return
        if session.head is None or session.head not in whole:
            self._findings.note(
                "head",
                f"the newest state of {key}",
                f"Version {session.head} cannot be restored as it was. Repair lets {key} stand on version {best}, the "
                f"newest that can be; nothing is removed from the history by that."
                if best is not None
                else f"No version of {key} can be restored. Run the file again.",
                partial(mending.stand_on, self._core, session.uuid, best),
            )

    # ------------------------------------------------------------------ the log

    def compare(self, sessions: Collection[SessionRow], told: int) -> Iterator[None]:
        """Compare what the log says with what the catalog has.

        Args:
            sessions: as they stood when `told` events had been written.
            told: if more were written since, what differs is no sign of damage.
        """
        core, inventory = self._core, self._inventory
        by_uuid = {session.uuid: session for session in sessions}
        latest = max(((hole.order, hole.pack, hole.start) for hole in inventory.holes), default=None)
        if latest is not None:
            unsure = [
                one for one in sessions if (said := inventory.standings.get(one.uuid)) is None or said.at < latest
            ]
            if unsure and core.told == told:
                self._findings.note(
                    "log",
                    core.packs.path(latest[1]).name,
                    f"What the log says about {count(len(unsure), 'session')} may be damaged; the catalog has it. "
                    f"Repair writes it down anew, so that a lost catalog can be made again.",
                    partial(mending.restate, core),
                )
            return
        for uuid, said in inventory.standings.items():
            session = by_uuid.get(uuid)
            if session is None or uuid in inventory.forgotten or core.told != told:
                continue
            key, trashed = mending.standing(session)
            if (key, trashed) != (said.key, said.trashed):
                self._findings.note(
                    "session",
                    said.key,
                    f"The catalog has it as {key}{' in the trash' if trashed is not None else ''}, the log otherwise. "
                    f"Repair believes the log.",
                    partial(mending.put_in_place, core, uuid, said.key, said.trashed, said.reason),
                )
        yield
        for (uuid, number), label in inventory.labels.items():
            session = by_uuid.get(uuid)
            row = None if session is None else core.catalog.version(session.id, number)
            if session is None or row is None or core.told != told:
                continue
            if row.label != (None if label is None else to_blob(label)):
                self._findings.note(
                    "label",
                    f"version {number} of {from_blob(session.key)}",
                    f"Its label in the catalog is not the one that was given to it ({label}). Repair puts it right.",
                    partial(mending.relabel, core, uuid, number, label),
                )

    def missing(self, known: Collection[SessionRow], told: int) -> Iterator[None]:
        """Find versions that the log has and the catalog does not; before `examine`. Arguments as for `compare`."""
        core, inventory = self._core, self._inventory
        sessions = {session.uuid: session for session in known}
        for (uuid, number), places in sorted(inventory.versions.items()):
            session = sessions.get(uuid)
            if inventory.was_removed(uuid, number) or (session is None and (inventory.holes or core.told != told)):
                continue
            yield
            if session is not None:
                try:
                    self._view.version(session, number)
                    continue
                except Damaged:
                    continue  # told of already
                except NoSuchVersion:
                    pass
                if any(gap.first <= number <= gap.last for gap in core.catalog.history.gaps(session.id)):
                    continue
            if core.told != told:
                return  # it may have been removed since
            said = inventory.standings.get(uuid)
            key = from_blob(session.key) if session is not None else said.key if said is not None else uuid.hex()
            self._returning.add((uuid, number))
            self._findings.note(
                "missing",
                f"version {number} of {key}",
                "The packs have it and the catalog does not. Repair takes it in.",
                partial(mending.rewrite_version, core, uuid, number, places),
            )
            if session is None and said is not None:
                self._findings.note(
                    "session",
                    said.key,
                    "The packs know of it and the catalog does not. Repair takes it in.",
                    partial(mending.put_in_place, core, uuid, said.key, said.trashed, said.reason),
                )


def _versions(numbers: Sequence[int]) -> str:
    if len(numbers) == 1:
        return f"version {numbers[0]}"
    return f"versions {numbers[0]} to {numbers[-1]}"
