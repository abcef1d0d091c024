"""Going through the versions of a document: back, forward, beside, and names for the places worth coming back to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from lsprotocol.types import TextDocumentIdentifier

from holdfast import comparison, differences, protocol, stored
from holdfast.documents import Place
from holdfast.errors import Busy, InvalidParams, NoVersion
from holdfast.protocol import Restored, Version
from holdfast.saving import visible
from holdfast.session import Session
from holdfast.store.records import ComponentEntry
from holdfast.store.store import Store
from holdfast.translation import store_errors

if TYPE_CHECKING:
    from holdfast.workspace import Workspace

T = TypeVar("T")


class TimeTravel:
    """Answers the requests that move documents between versions.

    Raises, from every method: NoVersion, NotTrusted, StateDamaged, HoldfastError: as they say; nothing was changed.
    """

    def __init__(self, house: Workspace) -> None:
        self._house = house

    async def undo(self, params: protocol.StepParams) -> Restored:
        """Take back a document's last run."""
        return await self._step(params, Session.undo)

    async def redo(self, params: protocol.StepParams) -> Restored:
        """Go again to what was taken back last."""
        return await self._step(params, Session.redo)

    async def _step(self, params: protocol.StepParams, step: Callable[[Session], Awaitable[Restored]]) -> Restored:
        session = self._house.attach(params.text_document)
        return await self._house.file_travel.along(session.place, step(session), do=params.files)

    async def diff(self, params: protocol.DiffParams) -> protocol.Diff:
        """Compare a version of a document with another one, or with memory.

        Told from what was noted of the values; where details are asked for, the values that differ are loaded aside.
        """
        place = self._house.place(params.text_document)
        await self._settled(place)
        before = await self._work(place, lambda store: store.listing(place.key, params.from_))
        session = self._house.sessions.get(place.key)
        found = await session.beside(_marks(before)) if params.to is None and session is not None else None
        if found is not None:
            diff = differences.beside(before, *found)
        else:
            after = await self._work(place, lambda store: store.listing(place.key, params.to))
            diff = differences.between(before, after)
        if params.names is not None:
            wanted = {*params.names}
            diff.added = [name for name in diff.added if name in wanted]
            diff.removed = [name for name in diff.removed if name in wanted]
            diff.changed = [change for change in diff.changed if change.name in wanted]
        if params.details and diff.changed:
            await self._add_details(place, params, diff, session if found is not None else None)
        return diff

    async def _add_details(
        self, place: Place, params: protocol.DiffParams, diff: protocol.Diff, living: Session | None
    ) -> None:
        """Look into the values that differ.

        Args:
            living: whose memory `diff` is about; None: it is about two versions.
        """
        names = {change.name for change in diff.changed}
        to = params.to
        if to is None:
            head = await self._work(place, lambda store: store.head(place.key))
            assert head is not None
            to = head.version
        if living is not None:
            entries = await self._work(place, lambda store: store.listing(place.key, to))
            found = await living.beside(_marks(entries))
            same = found[0] if found is not None else entries.keys()
            names &= {name for identity in same for name in visible(entries[identity].members)}
        told: dict[str, dict[str, Any]] = {}
        if names:
            with store_errors():
                told = await comparison.details(self._house, place, params.from_, to, names)
        for change in diff.changed:
            change.details = told.get(change.name, comparison.unsaved())

    async def origin(self, params: protocol.OriginParams) -> list[Version]:
        """List the runs that made and changed a variable, the one that made it first."""
        place = self._house.place(params.text_document)
        await self._settled(place)
        return await self._work(place, lambda store: stored.origin_of(store, place.key, params.name))

    async def branch(self, params: protocol.BranchParams) -> protocol.Session:
        """Let another document start from a version of this one; both go on side by side.

        What the other had saved stays in its history.
        """
        target = TextDocumentIdentifier(uri=params.to)
        source, place = self._house.place(params.text_document), self._house.place(target)
        if source.key == place.key:
            raise InvalidParams("A document cannot branch into itself; `restore` brings back a version of its own.")
        await self._settled(source)
        there = self._house.sessions.get(place.key)
        if there is not None and there.busy:
            raise Busy(f"A cell of {place.key} runs, so nothing was branched into it. Wait for it, or interrupt it.")
        await self._settled(place)
        await self._work(source, lambda store: store.branch(source.key, params.version, place.key))
        self._house.archive.touched(place.key)
        session = self._house.attach(target)
        await session.stand_on_head()
        return session.describe(memory=True)

    async def label(self, params: protocol.LabelParams) -> Version:
        """Give a version a name, or take it away."""
        place = self._house.place(params.text_document)
        await self._settled(place)

        def work(store: Store) -> Version:
            store.set_label(place.key, params.version, params.label)
            return stored.version_of(store.version(place.key, params.version))

        return await self._work(place, work)

    async def _settled(self, place: Place) -> None:
        session = self._house.sessions.get(place.key)
        if session is not None:
            await session.saver.settled()

    async def _work(self, place: Place, work: Callable[[Store], T]) -> T:
        with store_errors():
            if await self._house.archive.readable() is None:
                raise NoVersion(f"Nothing is saved for {place.key}.")
            return await self._house.archive.run(work, create=False)


def _marks(entries: Mapping[str, ComponentEntry]) -> dict[str, str]:
    return {identity: entry.fingerprint for identity, entry in entries.items()}
