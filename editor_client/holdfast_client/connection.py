"""A connection to a workspace's daemon, in JSON: handshake, runs and their outputs, notifications,
``input()``.

`Client` puts types on top. What starts in a hurry (the command line) uses this layer as it is.
"""

from __future__ import annotations

import asyncio
import os
import uuid
import weakref
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from holdfast import __version__, endpoint
from holdfast_client.errors import ConnectionLost, HoldfastError, NotConnected
from holdfast_client.execution import Execution
from holdfast_client.jsonrpc import METHOD_NOT_FOUND, JsonRpc

SHUTDOWN_TIMEOUT = 10.0
"""Seconds that the daemon gets to answer ``shutdown``; it may flush first."""

OPEN_ATTEMPTS = 5
OPEN_PAUSE = 0.1
"""Seconds between attempts to greet a daemon that went away meanwhile."""

OnInput = Callable[[dict[str, Any]], Awaitable[str]]
"""Answers ``holdfast/input``: params in, the typed text out."""


class Subscription(AsyncIterator[tuple[str, Any]]):
    """Notifications from the moment of subscribing on: pairs of method and params.

    Iterating ends when this client closes the connection, and raises `ConnectionLost` when the daemon went
    away.
    """

    def __init__(self, rpc: JsonRpc, methods: Collection[str]) -> None:
        self._rpc = rpc
        self._methods = frozenset(methods)
        self._fresh: deque[tuple[str, Any]] = deque()
        self._stirred = asyncio.Event()
        # Not through `self`: a subscription nobody iterates any more must not be kept by the connection.
        stirred = self._stirred
        rpc.closed.add_done_callback(lambda _: stirred.set())

    def put(self, method: str, params: Any) -> None:
        """Take a notification that has just come."""
        if not self._methods or method in self._methods:
            self._fresh.append((method, params))
            self._stirred.set()

    def arrived(self) -> list[tuple[str, Any]]:
        """Take what has come so far, without waiting for more."""
        found = list(self._fresh)
        self._fresh.clear()
        return found

    async def __anext__(self) -> tuple[str, Any]:
        while not self._fresh:
            if self._rpc.closed.done():
                if self._rpc.left:
                    raise StopAsyncIteration
                raise ConnectionLost("while waiting for notifications")
            self._stirred.clear()
            await self._stirred.wait()
        return self._fresh.popleft()


class Connection:
    """An initialized connection; made by `open`.

    Attributes:
        folder: The workspace.
        server: What ``initialize`` answered.
    """

    def __init__(
        self,
        folder: Path,
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        on_input: OnInput | None,
    ):
        self.folder = folder
        self.server: dict[str, Any] = {}
        self._on_input = on_input
        self._rpc = JsonRpc(*streams, on_notification=self._notified, on_request=self._asked)
        self._executions: weakref.WeakValueDictionary[str, Execution] = weakref.WeakValueDictionary()
        self._subscriptions: weakref.WeakSet[Subscription] = weakref.WeakSet()

    @classmethod
    async def open(
        cls,
        folder: Path,
        *,
        start: bool = True,
        on_input: OnInput | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Connection:
        """Connect to the daemon of a workspace.

        Args:
            folder: The workspace's folder.
            start: Start the daemon if there is none.
            on_input: Answers ``input()`` and ``getpass()`` of the runs; without it they fail in the cell.
            options: The ``initializationOptions.holdfast`` of the protocol.

        Raises:
            NotConnected: there is no daemon, or it did not come up.
            ConnectionLost: daemons come up but die at once.
        """
        folder = folder.resolve()
        for _ in range(OPEN_ATTEMPTS - 1):
            try:
                return await cls._open(folder, start, on_input, options)
            except ConnectionLost:
                # A daemon that has just been killed can still be found for a moment, and connected to.
                await asyncio.sleep(OPEN_PAUSE)
        return await cls._open(folder, start, on_input, options)

    @classmethod
    async def _open(
        cls, folder: Path, start: bool, on_input: OnInput | None, options: Mapping[str, Any] | None
    ) -> Connection:
        try:
            streams = await endpoint.open_streams(folder, start_daemon=start)
        except (endpoint.EndpointError, OSError) as error:
            raise NotConnected(str(error)) from error
        connection = cls(folder, streams, on_input)
        try:
            connection.server = await connection.request(
                "initialize",
                {
                    "processId": os.getpid(),
                    "clientInfo": {"name": "holdfast_client", "version": __version__},
                    "rootUri": folder.as_uri(),
                    "workspaceFolders": [{"uri": folder.as_uri(), "name": folder.name}],
                    "capabilities": {},
                    "initializationOptions": {"holdfast": dict(options or {})},
                },
            )
        except BaseException:
            await connection._rpc.close()
            raise
        connection._rpc.notify("initialized", {})
        return connection

    def uri(self, path: str | os.PathLike[str]) -> str:
        """Return a document's URI: relative paths count from the workspace, URIs stay as they are."""
        text = os.fspath(path)
        if "://" in text:
            return text
        # Not resolved: a link to a script is a document of its own, with the name that the user gave it.
        return Path(os.path.normpath(self.folder / text)).as_uri()

    async def request(self, method: str, params: Any = None) -> Any:
        """Send a request and return its result; cancelling the awaiting task cancels the request.

        Raises:
            HoldfastError: the daemon answered with an error.
            ConnectionLost: the daemon went away.
        """
        return await self._rpc.request(method, params)

    def execute(self, params: dict[str, Any], *, live: bool = True) -> Execution:
        """Send ``holdfast/execute`` at once and return the run under way.

        Args:
            params: As the protocol says. The run gets its name from here, so that its outputs are told apart
                from those of other clients' runs of the document.
            live: Whether its outputs are going to be iterated over.
        """
        run_id = uuid.uuid4().hex
        answer = self._rpc.request("holdfast/execute", {**params, "runId": run_id})
        uri = params["textDocument"]["uri"]
        execution = Execution(answer, self._rpc.closed, uri=uri, run_id=run_id, live=live)
        self._executions[run_id] = execution
        return execution

    def subscribe(self, *methods: str) -> Subscription:
        """Return the notifications with these methods (none: all), from now on."""
        subscription = Subscription(self._rpc, methods)
        self._subscriptions.add(subscription)
        return subscription

    async def close(self) -> None:
        """Say goodbye; the daemon goes on for its other clients and ends by itself when idle."""
        if self._rpc.lost is None:
            # Leaving whatever the answer is: nothing that was reported saved depends on it.
            with suppress(HoldfastError, TimeoutError):
                await asyncio.wait_for(self._rpc.request("shutdown"), SHUTDOWN_TIMEOUT)
            self._rpc.notify("exit")
        await self._rpc.close()

    def _notified(self, method: str, params: Any) -> None:
        if method == "holdfast/output":
            execution = self._executions.get(params["runId"])
            if execution is not None:
                execution.put(params["output"])
        elif method == "holdfast/state/saved":
            execution = self._executions.get(params["runId"])
            if execution is not None:
                execution.settle(params["state"])
        for subscription in self._subscriptions:
            subscription.put(method, params)

    async def _asked(self, method: str, params: Any) -> Any:
        if method == "holdfast/input":
            if self._on_input is None:
                raise HoldfastError(METHOD_NOT_FOUND, "This client does not answer input().")
            return {"value": await self._on_input(params)}
        if method == "workspace/configuration":
            return [None for _ in params["items"]]
        if method in (
            "window/workDoneProgress/create",
            "client/registerCapability",
            "client/unregisterCapability",
        ):
            return None
        raise HoldfastError(METHOD_NOT_FOUND, f"This client does not know {method}.")
