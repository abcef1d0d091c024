"""What users say about the state of others: it may be restored, or not any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast import protocol
from holdfast.errors import NoSession
from holdfast.protocol import State
from holdfast.store.store import Store
from holdfast.translation import store_errors

if TYPE_CHECKING:
    from holdfast.workspace import Workspace


class TrustRequests:
    """Answers `holdfast/state/trust`."""

    def __init__(self, house: Workspace) -> None:
        self._house = house

    async def trust(self, params: protocol.TrustParams) -> State:
        """Let what others saved of a document be restored from now on, as it is now; or take that back.

        Raises:
            NoVersion: nothing is saved of it. NotTrusted: it is not what the user was shown, or nobody can be trusted
                for it, since it was changed. StateDamaged, HoldfastError: it cannot be read; nothing was changed.
        """
        place = self._house.place(params.text_document)
        session = self._house.sessions.get(place.key)
        if session is not None:
            await session.saver.settled()

        def work(store: Store) -> dict[str, frozenset[int]]:
            """Return the sessions concerned, with the versions that are not trusted any more."""
            if params.revoke:
                return {key: store.revoked(key) for key in store.distrust(place.key)}
            store.trust(place.key, params.digest)
            return {place.key: frozenset()}

        with store_errors():
            if await self._house.archive.readable() is None:
                raise NoSession(f"Nothing is saved for {place.key}, so there is nothing to trust.")
            concerned = await self._house.archive.run(work, create=False)
        for key, revoked in concerned.items():
            session = self._house.sessions.get(key)
            if session is not None:
                session.trust_changed(revoked if params.revoke else None)
        return await self._house.states.state(params.text_document)
