"""A client on standard input and output, served by a daemon in another process; if that one dies, by the next one.

The client need not notice: what it had told the dead daemon (its `initialize`, its open documents) is told to the
new one, and requests
that were under way are answered with an error that says what is known.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from holdfast import endpoint
from holdfast.connection import Connection
from holdfast.framing import Body, Noise

logger = logging.getLogger(__name__)

_SYNC = {
    "textDocument/didOpen",
    "textDocument/didChange",
    "notebookDocument/didOpen",
    "notebookDocument/didChange",
}
_SYNC_END = {"textDocument/didClose", "notebookDocument/didClose"}
_LOST = (
    "The daemon ended while it worked on this, so the outcome is unknown. What was reported saved is safe, "
    "and a new daemon takes over: send the request again."
)


class Bridge:
    """Passes messages on between one client and the workspace's daemon.

    Args:
        folder: The workspace.
        client: The client's connection.
        start_daemon: Starts a daemon, or finds the one that runs.
    """

    def __init__(
        self,
        folder: Path,
        client: Connection,
        start_daemon: Callable[[Path], endpoint.Endpoint] = endpoint.start,
    ) -> None:
        self._folder = folder
        self._client = client
        self._start_daemon = start_daemon
        self._daemon: Connection | None = None
        self._queue: deque[bytes] = deque()
        self._arrived = asyncio.Event()
        self._initialize: dict[str, Any] | None = None
        self._initialized = False
        self._documents: dict[str, list[bytes]] = {}
        self._sent: dict[str | int, bytes] = {}
        """Requests that the daemon has and has not answered."""
        self._introduction: tuple[str, asyncio.Future[None]] | None = None
        self._shut_down = False
        self._exit_code: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def run(self) -> int:
        """Serve until the client is gone; return the exit code that LSP asks for."""
        pump = asyncio.create_task(self._pump())
        try:
            return await self._exit_code
        finally:
            pump.cancel()
            if self._daemon is not None:
                await self._daemon.drain(2.0)
                self._daemon.close()
            await self._client.drain(2.0)

    # ------------------------------------------------------------------ from the client

    def from_client(self, _: Connection, item: Body | Noise) -> None:
        """Take a message from the client."""
        if isinstance(item, Noise):
            self._error(None, -32700, f"This is not a message: {item.reason}.", "badMessage")
            return
        self._queue.append(item.content)
        self._arrived.set()

    def client_gone(self, _: Connection) -> None:
        """The client has closed its side."""
        self._finish(0)

    def _finish(self, code: int) -> None:
        if not self._exit_code.done():
            self._exit_code.set_result(code)

    async def _pump(self) -> None:
        while True:
            while not self._queue:
                self._arrived.clear()
                await self._arrived.wait()
            content = self._queue.popleft()
            message = _parsed(content)
            method, identity = message.get("method"), message.get("id")
            if method == "exit":
                self._finish(0 if self._shut_down else 1)
                return
            try:
                daemon = await self._reach(method)
            except (endpoint.EndpointError, OSError, TimeoutError) as error:
                if method is not None and isinstance(identity, str | int):
                    self._error(identity, -32603, f"No daemon could be reached: {error}", "daemonLost")
                continue
            self._note(content, message)
            if method is not None and isinstance(identity, str | int):
                self._sent[identity] = content
            daemon.send(content)

    def _note(self, content: bytes, message: dict[str, Any]) -> None:
        """Remember what a new daemon would have to know."""
        method, params = message.get("method"), message.get("params")
        if method == "initialize":
            self._initialize = message
        elif method == "initialized":
            self._initialized = True
        elif method == "shutdown":
            self._shut_down = True
        elif method in _SYNC | _SYNC_END and isinstance(params, dict):
            document = params.get("textDocument") or params.get("notebookDocument")
            uri = document.get("uri") if isinstance(document, dict) else None
            if isinstance(uri, str):
                if method in _SYNC_END:
                    self._documents.pop(uri, None)
                elif str(method).endswith("didOpen"):
                    self._documents[uri] = [content]
                elif uri in self._documents:
                    self._documents[uri].append(content)

    # ------------------------------------------------------------------ to the daemon

    async def _reach(self, method: str | None) -> Connection:
        """Return the connection to a living daemon, which knows what the client had told the one before."""
        while self._daemon is None or self._daemon.closed.is_set():
            again = self._daemon is not None
            self._daemon = await self._connect()
            if again and method != "initialize" and self._initialize is not None:
                try:
                    await self._introduce(self._daemon)
                except ConnectionError:
                    continue  # that was the one that is just ending
                logger.warning("the daemon for %s had ended; a new one goes on", self._folder)
        return self._daemon

    async def _connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        for _ in range(100):
            found = await asyncio.to_thread(self._start_daemon, self._folder)
            try:
                sock = await asyncio.to_thread(endpoint.connect_socket, found)
            except OSError:
                await asyncio.sleep(0.05)  # it is just ending
                continue
            sock.setblocking(False)
            connection = Connection(self._from_daemon, self._daemon_gone)
            await loop.create_connection(lambda connection=connection: connection, sock=sock)  # type: ignore[misc]
            return connection
        raise endpoint.EndpointError(f"the daemon for {self._folder} does not accept connections; try `holdfast stop`")

    async def _introduce(self, daemon: Connection) -> None:
        """Tell a new daemon what the one before it had been told.

        Raises:
            ConnectionError: it ended before it had answered.
        """
        identity = f"bridge-{id(daemon)}"
        answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._introduction = identity, answered
        daemon.send(json.dumps({**(self._initialize or {}), "id": identity}).encode())
        await asyncio.wait_for(answered, endpoint.START_TIMEOUT)
        if self._initialized:
            daemon.send(b'{"jsonrpc":"2.0","method":"initialized","params":{}}')
        for messages in self._documents.values():
            for message in messages:
                daemon.send(message)

    def _from_daemon(self, _: Connection, item: Body | Noise) -> None:
        if isinstance(item, Noise):
            return
        # Only answers matter here; they carry an id near the start, notifications none: large outputs are not parsed.
        if b'"id"' in item.content[:200] or len(item.content) < 1 << 16:
            message = _parsed(item.content)
            if "method" not in message and "id" in message:
                if self._introduction is not None and message["id"] == self._introduction[0]:
                    if not self._introduction[1].done():
                        self._introduction[1].set_result(None)
                    return
                self._sent.pop(message["id"], None)
        self._client.send(item.content)

    def _daemon_gone(self, _: Connection) -> None:
        if self._introduction is not None and not self._introduction[1].done():
            self._introduction[1].set_exception(ConnectionResetError("the daemon ended"))
        sent, self._sent = self._sent, {}
        for identity, content in sent.items():
            method = _parsed(content).get("method")
            if method == "initialize":
                self._queue.appendleft(content)  # nothing was begun yet: the next daemon answers
                self._arrived.set()
            elif method in {"shutdown", "holdfast/stop"}:
                self._client.send(json.dumps({"jsonrpc": "2.0", "id": identity, "result": None}).encode())
            else:
                self._error(identity, -32603, _LOST, "daemonLost")

    def _error(self, identity: Any, code: int, message: str, kind: str) -> None:
        error = {"code": code, "message": message, "data": {"kind": kind, "detail": None}}
        self._client.send(json.dumps({"jsonrpc": "2.0", "id": identity, "error": error}).encode())


def _parsed(content: bytes) -> dict[str, Any]:
    """Return a message as an object; an empty one when it is none (the daemon says what is wrong with it)."""
    try:
        message = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return message if isinstance(message, dict) else {}
