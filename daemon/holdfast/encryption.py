"""What clients ask about encrypted state: open it, encrypt what is not, or decrypt it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from holdfast import protocol
from holdfast.errors import HoldfastError, InvalidParams, NoSession
from holdfast.protocol import Encrypted
from holdfast.store.folder import TRASH_NAME
from holdfast.store.keyslots import KEYRING, MODES, NONE, PASSPHRASE, Encryption
from holdfast.translation import store_errors

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from holdfast.archive import Archive
    from holdfast.store.store import Store
    from holdfast.workspace import Workspace


class EncryptionRequests:
    """Answers the requests about the encryption of a workspace's state.

    Args:
        house: the workspace.
        take_up: called once state can be read that could not be.

    Raises, from every method: StateDamaged, HoldfastError: it could not be done; what is saved is as it was.
    """

    def __init__(self, house: Workspace, take_up: Callable[[], Awaitable[None]]) -> None:
        self._house = house
        self._take_up = take_up
        self._turn = asyncio.Lock()

    async def unlock(self, params: protocol.UnlockParams) -> Encrypted:
        """Open encrypted state with its passphrase; from then on it is read and saved until the daemon ends.

        Raises:
            NoSession: nothing is saved.
        """
        archive, encryption = self._house.archive, self._house.encryption
        async with self._turn:
            await archive.existing()  # an opening that is under way knows nothing of the passphrase yet
            encryption.passphrase = params.passphrase
            try:
                with store_errors():
                    store = await archive.readable()
            finally:
                encryption.passphrase = None
        if store is None:
            raise NoSession(f"Nothing is saved in {archive.folder}, so there is nothing to unlock.")
        await self._take_up()
        state = "is unlocked: what is saved in it comes back" if store.is_encrypted else "is not encrypted"
        told = f"{archive.folder} {state}{self._but_for(store)}."
        return Encrypted(store.is_encrypted, str(archive.folder), told, [])

    def _but_for(self, store: Store) -> str:
        """Say what does not come back by itself: sessions whose cells ran while nothing of them could be read."""
        sessions = self._house.sessions.items()
        ran = [key for key, session in sessions if session.saver.dirty and session.saver.version is None]
        ran = [key for key in ran if store.is_live(key)]
        if not ran:
            return ""
        return (
            f", but for {', '.join(ran)}, where cells ran meanwhile: that stays in memory and is saved as another "
            f"version, and `holdfast restore` with --version brings back what was saved before"
        )

    async def encrypt(self, params: protocol.EncryptParams) -> Encrypted:
        """Encrypt what is saved, have another passphrase or the keyring open it, or decrypt it.

        Raises:
            InvalidParams: there is no such mode, or no passphrase.
        """
        if params.mode not in MODES:
            raise InvalidParams(f'`mode` has to be "none", "passphrase" or "keyring", not {params.mode!r}.')
        if params.mode == PASSPHRASE and not params.passphrase:
            raise InvalidParams("An empty passphrase hides nothing; nothing was changed.")
        main, files = self._house.archive, self._house.files.archive
        with store_errors():
            async with self._turn:
                if params.mode == NONE:
                    await self._decrypt(main, files)
                else:
                    await self._encrypt(main, files, params)
        if params.mode == NONE:
            return Encrypted(False, str(main.folder), f"{main.folder} is not encrypted.", [])
        trashes = (archive.folder / TRASH_NAME for archive in (main, files))
        left = [str(trash) for trash in trashes if trash.is_dir()]
        opens = "the keyring of the system" if params.mode == KEYRING else "its passphrase"
        return Encrypted(True, str(main.folder), f"{main.folder} is encrypted, and {opens} opens it.", left)

    async def _decrypt(self, main: Archive, files: Archive) -> None:
        encryption = self._house.encryption
        encryption.leaving = True
        try:
            for archive in (files, main):  # what lies in an encrypted folder is encrypted with its key
                if archive is main or await archive.readable() is not None:
                    await archive.rewrite(decrypt=True)
            encryption.wanted = NONE
        finally:
            encryption.leaving = False

    async def _encrypt(self, main: Archive, files: Archive, params: protocol.EncryptParams) -> None:
        encryption, before = self._house.encryption, self._house.encryption.wanted
        encryption.wanted, encryption.new_passphrase, encryption.made = params.mode, params.passphrase, None
        try:
            await self._rewrite(main)
        except BaseException:
            encryption.wanted = before
            raise
        finally:
            encryption.new_passphrase = None
        if encryption.made is None:  # it has a key already, which something else opens
            chosen = Encryption(params.mode, new_passphrase=params.passphrase, cost=encryption.cost)
            await main.run(lambda store: store.change_key(chosen))
            encryption.learn(chosen)
        if await files.readable() is not None:
            await self._rewrite(files)

    @staticmethod
    async def _rewrite(archive: Archive) -> None:
        """Have an archive encrypted, if it is not.

        Raises:
            HoldfastError: it could not be done.
        """
        if not (await archive.opened()).is_encrypted:
            await archive.rewrite()
        store = await archive.opened()
        if store.in_clear is not None:
            raise HoldfastError(f"{archive.folder} is not encrypted. {store.in_clear}", kind="notEncrypted")
