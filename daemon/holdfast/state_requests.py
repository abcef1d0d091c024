"""What clients ask about saved state: what there is, bring it back, take it away."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lsprotocol.types import TextDocumentIdentifier

from holdfast import protocol, stored
from holdfast.errors import HoldfastError, InvalidParams
from holdfast.protocol import Cleared, Restored, State, Variable, Version
from holdfast.store.errors import SaveFailed, StoreError
from holdfast.store.store import Store
from holdfast.translation import store_errors

if TYPE_CHECKING:
    from holdfast.workspace import Workspace


class StateRequests:
    """Answers the requests about the state of a workspace's documents.

    Raises, from every method: NotTrusted, StateDamaged, HoldfastError: it cannot be read; nothing was changed.
    """

    def __init__(self, house: Workspace) -> None:
        self._house = house

    async def _read(self, work: Callable[[Store | None], Any]) -> Any:
        with store_errors():
            if await self._house.archive.readable() is None:
                return work(None)
            return await self._house.archive.run(work, create=False)

    async def state(self, document: TextDocumentIdentifier) -> State:
        """Describe what is saved of a document."""
        key = self._house.place(document).key
        found: State = await self._read(lambda store: stored.state_of(store, key))
        return found

    async def history(self, params: protocol.HistoryParams) -> list[Version]:
        """List the versions of a document, newest first."""
        if (params.limit is not None and params.limit < 0) or (params.before is not None and params.before < 0):
            raise InvalidParams("`limit` and `before` count from 0 up; nothing was listed.")
        place = self._house.place(params.text_document)
        key = place.key
        found: list[Version] = await self._read(
            lambda store: stored.history_of(store, key, params.limit, params.before)
        )
        await self._house.file_travel.describe(place, found)
        return found

    async def variables(self, params: protocol.VariablesParams) -> list[Variable]:
        """List the variables, live where a kernel holds them, else as saved."""
        key = self._house.place(params.text_document).key
        session = self._house.sessions.get(key)
        live = await session.live_variables(params.match) if session is not None else None
        if session is not None and live is not None:
            names = session.saver.names
            return [
                stored.variable_of(
                    summary,
                    saved="skipped" if session.saver.is_wrong(summary["name"]) else summary.get("saved", "saved"),
                    version=names.get(summary["name"]),
                    loaded=bool(summary.get("loaded", True)),
                )
                for summary in live
            ]
        if session is not None and session.saver.skip_restore:
            return []
        found: list[Variable] = await self._read(lambda store: stored.variables_of(store, key, params.match))
        return found

    async def flush(self, document: TextDocumentIdentifier | None, *, verified: bool = False) -> State | list[State]:
        """Wait until everything saved so far is durable, and describe it.

        Args:
            verified: wait also until it was tried whether it comes back, unless a cell runs.
        """
        places = [session.identifier for session in self._house.sessions.values()] if document is None else [document]
        about = places[0].uri.rpartition("/")[2] if len(places) == 1 else f"{len(places)} documents"
        with self._house.progress.work("Saving", about) as work:
            for identifier in places:
                session = self._house.sessions.get(self._house.place(identifier).key)
                if session is not None:
                    with session.saver.shown(work):
                        await session.saver.settled()
                    if verified:
                        work.note(f"trying whether {session.place.name} comes back")
                        await session.verified()
            work.note("writing through to the disk")
            try:
                await self._house.archive.sync()
            except StoreError as error:
                message = f"Not everything could be made durable: {error.message}"
                raise HoldfastError(message, kind=error.kind) from error
        states = [await self.state(identifier) for identifier in places]
        return states if document is None else states[0]

    async def restore(self, params: protocol.RestoreParams) -> Restored:
        """Bring back a version, a few names of one, or what a deleted file left in the trash."""
        place = self._house.place(params.text_document)

        def look(store: Store | None) -> bool:
            """Say whether there is a state, if need be after it was brought back from the trash."""
            if store is None:
                return False
            if params.version is None and store.head(place.key) is None and store.trashed(place.key):
                store.recover(place.key)
            return store.head(place.key) is not None

        if not await self._read(look) and place.key not in self._house.sessions:
            return Restored(False, f"Nothing is saved for {place.key}, so there is nothing to restore.", 0, [])
        session = self._house.attach(params.text_document)
        restore = session.restore(params.version, params.names)
        if params.names is not None:
            return await restore
        return await self._house.file_travel.along(place, restore, do=params.files)

    async def clear(self, params: protocol.ClearParams) -> Cleared:
        """Clear a document's variables and its saved state, which goes to the trash, or for good."""
        place = self._house.place(params.text_document)
        session = self._house.sessions.get(place.key)
        if session is not None:
            await session.clear()
        had, exists = await self._read(
            lambda store: (store is not None and store.is_live(place.key), store is not None)
        )
        if had or (params.forget and exists):
            await self.discard(place.key, "cleared by the user", forget=params.forget)
        if not had:
            return Cleared(True, f"Nothing was saved for {place.key}; its variables are cleared.")
        kept = "for good" if params.forget else "; `restore` brings it back from the trash"
        self._house.clients.tell(
            protocol.STATE_CLEARED, protocol.StateEventParams(params.text_document, "cleared by the user")
        )
        return Cleared(True, f"The state of {place.key} was cleared {kept}.".replace(" ;", ";"))

    async def discard(self, key: str, reason: str, *, forget: bool = False) -> None:
        """Put a saved state into the trash, or remove it for good.

        Raises:
            HoldfastError: it stays where it is.
        """

        def work(store: Store | None) -> None:
            if store is None:
                return
            if forget:
                store.forget(key)
            elif store.is_live(key):
                store.trash(key, reason)

        try:
            await self._read(work)
        except SaveFailed as error:
            raise HoldfastError(error.message, kind=error.kind) from error
