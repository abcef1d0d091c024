"""The typed client: `connect` to a workspace, `Client.open` a document, run code in its `Session`."""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast import protocol
from holdfast.protocol import InputParams, State
from holdfast_client.connection import Connection, OnInput, Subscription
from holdfast_client.session import Session, call, converter

InputCallback = Callable[[InputParams], str | Awaitable[str]]
"""Answers ``input()`` and ``getpass()`` in a cell. A plain function is called in a thread and may block."""


@dataclass(frozen=True, slots=True)
class Event:
    """A notification of the daemon.

    Attributes:
        method: For example `holdfast.protocol.STATE_RESTORED`.
        params: The protocol's class for the method; plain JSON for methods that this client does not know.
    """

    method: str
    params: Any


class Events(AsyncIterator[Event]):
    """The daemon's notifications: they end when the client leaves; `ConnectionLost` if the daemon dies."""

    def __init__(self, subscription: Subscription) -> None:
        self._subscription = subscription

    async def __anext__(self) -> Event:
        method, params = await self._subscription.__anext__()
        known = protocol.NOTIFICATIONS.get(method)
        return Event(method, params if known is None else converter().structure(params, known))


class Client:
    """A connection to a workspace's daemon; made by `connect`.

    Attributes:
        folder: The workspace.
    """

    def __init__(self, connection: Connection) -> None:
        self.folder = connection.folder
        self._connection = connection

    async def open(self, path: str | os.PathLike[str]) -> Session:
        """Return the session of a document: a path (relative ones count from the workspace) or a URI.

        Nothing is started or restored before the session's first use.
        """
        return Session(self._connection, self._connection.uri(path))

    async def sessions(self) -> list[protocol.Session]:
        """Return the workspace's sessions."""
        return await call(self._connection, protocol.SESSIONS, None, list[protocol.Session])

    async def flush(self) -> list[State]:
        """Wait until all that was saved in any session would survive a power cut."""
        return await call(self._connection, protocol.STATE_FLUSH, protocol.OptionalDocumentParams(), list[State])

    async def verify(self, *, repair: bool = False) -> protocol.Verified:
        """Derive everything that is saved anew from the disk, and with `repair` put right what is wrong."""
        params = protocol.VerifyParams(repair=repair)
        return await call(self._connection, protocol.STATE_VERIFY, params, protocol.Verified)

    async def unlock(self, passphrase: str) -> protocol.Encrypted:
        """Open encrypted state with its passphrase, until the daemon ends."""
        return await call(
            self._connection, protocol.STATE_UNLOCK, protocol.UnlockParams(passphrase), protocol.Encrypted
        )

    async def encrypt(self, mode: str = "passphrase", passphrase: str | None = None) -> protocol.Encrypted:
        """Encrypt what is saved, change what opens it, or decrypt it.

        Args:
            mode: ``passphrase``, ``keyring``, or ``none`` to decrypt it.
            passphrase: What opens it from now on.
        """
        params = protocol.EncryptParams(mode, passphrase)
        return await call(self._connection, protocol.STATE_ENCRYPT, params, protocol.Encrypted)

    def events(self, *methods: str) -> Events:
        """Return the daemon's notifications with these methods (none: all), from this call on."""
        return Events(self._connection.subscribe(*methods))

    async def request(self, method: str, params: Any = None) -> Any:
        """Send any request of the protocol as JSON and return its result as JSON."""
        return await self._connection.request(method, params)

    async def stop(self) -> None:
        """End the daemon for all its clients, everything flushed first."""
        await self._connection.request(protocol.STOP)


@asynccontextmanager
async def connect(
    folder: str | os.PathLike[str] = ".",
    *,
    start: bool = True,
    on_input: InputCallback | None = None,
    options: Mapping[str, Any] | None = None,
) -> AsyncIterator[Client]:
    """Connect to the daemon of a workspace for the length of an ``async with``; the daemon outlives it.

    Args:
        folder: The workspace's folder.
        start: Start the daemon if there is none.
        on_input: Answers ``input()`` in cells which this client runs; without it ``input()`` fails there.
        options: ``initializationOptions.holdfast`` of the protocol, as ``{"interpreter":
            "/usr/bin/python3"}``.

    Raises:
        NotConnected: there is no daemon, or it did not come up.
    """
    answer = None if on_input is None else _answering(on_input)
    connection = await Connection.open(Path(folder), start=start, on_input=answer, options=options)
    try:
        yield Client(connection)
    finally:
        await connection.close()


def _answering(callback: InputCallback) -> OnInput:
    async def answer(params: dict[str, Any]) -> str:
        question = converter().structure(params, InputParams)
        if inspect.iscoroutinefunction(callback):
            typed: str = await callback(question)
            return typed
        result = await asyncio.to_thread(callback, question)
        return await result if inspect.isawaitable(result) else result

    return answer
