"""The process: find the workspace, be its one daemon or join it, listen, and end cleanly."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast import endpoint
from holdfast.bridge import Bridge
from holdfast.connection import Connection, attach_stdio
from holdfast.documents import path_of_uri
from holdfast.endpoint import PASSPHRASE_VARIABLE, Claim, Endpoint, EndpointError
from holdfast.errors import InvalidParams
from holdfast.framing import MAX_MESSAGE, Body, Noise
from holdfast.server import HoldfastServer
from holdfast.settings import Settings
from holdfast.workspace import Workspace, real_folder

logger = logging.getLogger(__name__)

IDLE_TIMEOUT = 4 * 3600.0
"""Seconds without clients and without running cells after which a background daemon ends; its state is on the disk."""
IDLE_LOOK = 1.0
FIRST_MESSAGE = 1 << 20
"""Bytes that somebody may send over TCP who has not shown the token yet."""
CLAIM_TIMEOUT = 10.0
"""Seconds to wait for a daemon that holds the workspace but does not listen: it is starting, or just ending."""


@dataclass(slots=True)
class ServeOptions:
    """How `holdfast serve` was called."""

    stdio: bool = False
    socket: bool = False
    tcp: int | None = None
    background: bool = False
    folder: Path | None = None
    settings: Settings | None = None
    idle_timeout: float = IDLE_TIMEOUT


class Service:
    """One workspace's daemon: its core, its listening socket and its connections."""

    def __init__(self, claim: Claim, settings: Settings) -> None:
        # Taken out of the environment, which kernels inherit.
        self.workspace = Workspace(claim.folder, settings, os.environ.pop(PASSPHRASE_VARIABLE, None) or None)
        self._claim = claim
        self._token: str | None = None
        self._listener: asyncio.Server | None = None
        self._servers: set[HoldfastServer] = set()
        self._last_busy = time.monotonic()
        self.ended = asyncio.Event()

    async def start(self, *, tcp: int | None = None) -> Endpoint:
        """Start the core and listen; return where."""
        await self.workspace.start()
        loop = asyncio.get_running_loop()
        if tcp is None and sys.platform != "win32":
            self._claim.socket_path.unlink(missing_ok=True)
            before = os.umask(0o177)
            try:
                self._listener = await loop.create_unix_server(self._welcome, str(self._claim.socket_path))
            finally:
                os.umask(before)
            return self._claim.announce()
        self._token = endpoint.new_token()
        self._listener = await loop.create_server(self._welcome_with_token, "127.0.0.1", tcp or 0)
        host, port = self._listener.sockets[0].getsockname()[:2]
        return self._claim.announce(host=host, port=port, token=self._token)

    def serve(self, connection: Connection, on_leave: Callable[[HoldfastServer], None] | None = None) -> HoldfastServer:
        """Serve a client whose connection is there already."""

        def left(server: HoldfastServer) -> None:
            self._servers.discard(server)
            self._last_busy = time.monotonic()
            connection.close()
            if on_leave is not None:
                on_leave(server)

        server = HoldfastServer(self.workspace, connection, on_leave=left, on_stop=self.ended.set)
        self._servers.add(server)
        return server

    def _welcome(self) -> Connection:
        """Over a Unix socket the system says who comes; the socket's mode keeps others out where it does not."""
        server: HoldfastServer | None = None

        def route(connection: Connection, item: Body | Noise) -> None:
            assert server is not None
            server.received(connection, item)

        def is_welcome(connection: Connection) -> bool:
            nonlocal server
            peer = connection.peer
            if peer is not None and peer not in (os.getuid(), 0):
                logger.warning("a connection of another user (%s) was refused", peer)
                return False
            server = self.serve(connection)
            return True

        def gone(connection: Connection) -> None:
            if server is not None:
                server.disconnected(connection)

        return Connection(route, gone, self.workspace.clients.caught_up, is_welcome)

    def _welcome_with_token(self) -> Connection:
        """Over TCP a client's first message has to carry the token, as a header or in its `initializationOptions`."""
        server: HoldfastServer | None = None

        def route(connection: Connection, item: Body | Noise) -> None:
            nonlocal server
            if server is None:
                if not isinstance(item, Body) or not hmac.compare_digest(
                    _token_of(item).encode("utf-8", "surrogatepass"), (self._token or "").encode()
                ):
                    error = {
                        "code": -32600,
                        "message": "The token is missing or wrong; `holdfast serve --tcp` prints it.",
                    }
                    connection.send(json.dumps({"jsonrpc": "2.0", "id": None, "error": error}).encode())
                    connection.close()
                    return
                connection.accept_up_to(MAX_MESSAGE)
                server = self.serve(connection)
            server.received(connection, item)

        def gone(connection: Connection) -> None:
            if server is not None:
                server.disconnected(connection)

        connection = Connection(route, gone, self.workspace.clients.caught_up)
        connection.accept_up_to(FIRST_MESSAGE)
        return connection

    async def wait_until_idle(self, timeout: float) -> None:
        """Return when nobody was connected and nothing ran for `timeout` seconds, or the workspace's folder is gone."""
        while True:
            await asyncio.sleep(min(IDLE_LOOK, max(timeout / 4, 0.05)))
            if self._servers or any(session.busy for session in self.workspace.sessions.values()):
                self._last_busy = time.monotonic()
            if time.monotonic() - self._last_busy >= timeout or not self.workspace.folder.is_dir():
                return

    async def close(self) -> None:
        """End everything, flushed first; the workspace is given free last."""
        if self._listener is not None:
            self._listener.close()
        await self.workspace.close()
        for server in list(self._servers):
            await server.connection.drain(1.0)
            server.connection.close()
        self._claim.release()


def _token_of(item: Body) -> str:
    found = item.headers.get("holdfast-token")
    if found is not None:
        return found
    try:
        found = json.loads(item.content)["params"]["initializationOptions"]["holdfast"]["token"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    return found if isinstance(found, str) else ""


# ------------------------------------------------------------------------------------ standard input and output


class Front:
    """Standard input and output before it is known which workspace they are about."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._waiting: list[Body | Noise] = []
        self._route: Callable[[Connection, Body | Noise], None] | None = None
        self._on_close: Callable[[Connection], None] | None = None
        self._known: asyncio.Future[dict[str, Any] | None] = asyncio.get_running_loop().create_future()
        self.on_writable: Callable[[], None] = lambda: None
        self.connection = Connection(self._received, self._closed, lambda: self.on_writable())

    async def first_words(self) -> dict[str, Any] | None:
        """Return the client's `initialize` message; None if it left without one."""
        return await self._known

    def _received(self, connection: Connection, item: Body | Noise) -> None:
        if self._route is not None:
            self._route(connection, item)
            return
        message = None
        if isinstance(item, Body):
            with contextlib.suppress(ValueError, RecursionError):
                message = json.loads(item.content)
        method = message.get("method") if isinstance(message, dict) else None
        if self._known.done() or method == "initialize":
            self._waiting.append(item)
            if not self._known.done():
                self._known.set_result(message)
        elif method == "exit":
            self._known.set_result(None)
        elif not isinstance(message, dict):
            self._refuse(None, -32700, "This is not a JSON-RPC message.")
        elif message.get("id") is not None and method is not None:
            self._refuse(message["id"], -32002, "Send `initialize` first.")

    def _refuse(self, identity: Any, code: int, text: str) -> None:
        if not isinstance(identity, str | int):
            identity = None
        error = {"code": code, "message": text, "data": {"kind": "badMessage", "detail": None}}
        self.connection.send(json.dumps({"jsonrpc": "2.0", "id": identity, "error": error}).encode())

    def _closed(self, connection: Connection) -> None:
        if not self._known.done():
            self._known.set_result(None)
        if self._on_close is not None:
            self._on_close(connection)

    def hand_over(
        self, route: Callable[[Connection, Body | Noise], None], on_close: Callable[[Connection], None]
    ) -> None:
        """From now on messages go to `route`, those that waited first."""
        self._on_close = on_close
        waiting, self._waiting = self._waiting, []
        for item in waiting:
            route(self.connection, item)
        self._route = route
        if self.connection.closed.is_set():
            on_close(self.connection)


def _workspace_of(initialize: dict[str, Any]) -> Path:
    """Return the folder that `initialize` names, else the current one."""
    params = initialize.get("params")
    params = params if isinstance(params, dict) else {}
    folders = params.get("workspaceFolders")
    uris = [folder.get("uri") for folder in folders if isinstance(folder, dict)] if isinstance(folders, list) else []
    for uri in (*uris, params.get("rootUri")):
        path = path_of_uri(uri) if isinstance(uri, str) else None
        if path is not None and path.is_dir():
            return path
    root = params.get("rootPath")
    return Path(root) if isinstance(root, str) and Path(root).is_dir() else Path.cwd()


def _chosen(initialize: dict[str, Any]) -> dict[str, Any]:
    params = initialize.get("params")
    options = params.get("initializationOptions") if isinstance(params, dict) else None
    chosen = options.get("holdfast") if isinstance(options, dict) else None
    return chosen if isinstance(chosen, dict) else {}


async def _claim(folder: Path) -> Claim | None:
    """Claim a workspace; None when a daemon that listens has it.

    Raises:
        EndpointError: somebody has it who does not listen.
    """
    deadline = time.monotonic() + CLAIM_TIMEOUT
    while True:
        claim = Claim.attempt(folder)
        if claim is not None or endpoint.locate(folder) is not None:
            return claim
        if time.monotonic() > deadline:
            raise EndpointError(f"Another daemon holds {folder} but does not answer; `holdfast doctor` names it.")
        await asyncio.sleep(0.02)


async def _serve_stdio(options: ServeOptions) -> int:
    front = Front(options.folder)
    await attach_stdio(front.connection)
    initialize = await front.first_words()
    if initialize is None:
        return 1 if not front.connection.closed.is_set() else 0
    folder = real_folder(options.folder or _workspace_of(initialize))
    claim = await _claim(folder)
    if claim is None:
        return await _bridge(front, folder)
    settings = options.settings or Settings()
    with contextlib.suppress(InvalidParams):  # the server tells the client
        settings.update(_chosen(initialize), folder)
    service = Service(claim, settings)
    await service.start()
    left = asyncio.Event()
    server = service.serve(front.connection, lambda _: left.set())
    front.on_writable = service.workspace.clients.caught_up
    front.hand_over(server.received, server.disconnected)
    await _first(left, service.ended, *_signals())
    await service.close()
    await front.connection.drain(1.0)
    front.connection.close()
    return 1 if server.said_exit and not server.has_shut_down else 0


async def _bridge(front: Front, folder: Path, arguments: list[str] | None = None) -> int:
    bridge = Bridge(folder, front.connection, lambda where: endpoint.start(where, arguments=arguments))
    front.hand_over(bridge.from_client, bridge.client_gone)
    running = asyncio.ensure_future(bridge.run())
    stopped = asyncio.ensure_future(_first(*_signals()))
    await asyncio.wait({running, stopped}, return_when=asyncio.FIRST_COMPLETED)
    if not running.done():
        bridge.client_gone(front.connection)
    return await running


async def _serve_socket(options: ServeOptions) -> int:
    folder = real_folder(options.folder or Path.cwd())
    claim = await _claim(folder)
    if claim is None:
        found = endpoint.locate(folder)
        if not options.background:
            print(_announcement(found), flush=True)
        return 0
    service = Service(claim, options.settings or Settings())
    where = await service.start(tcp=options.tcp)
    if not options.background:
        print(_announcement(where), flush=True)
    idle = asyncio.ensure_future(service.wait_until_idle(options.idle_timeout)) if options.background else None
    stopped = asyncio.ensure_future(_first(service.ended, *_signals()))
    await asyncio.wait({stopped, idle} if idle is not None else {stopped}, return_when=asyncio.FIRST_COMPLETED)
    for task in (idle, stopped):
        if task is not None:
            task.cancel()
    await service.close()
    return 0


def _announcement(where: Endpoint | None) -> str:
    if where is None:
        return "{}"
    told = {
        "pid": where.pid,
        "folder": where.folder,
        "socket": where.socket,
        "host": where.host,
        "port": where.port,
        "token": where.token,
    }
    return json.dumps({name: value for name, value in told.items() if value is not None})


async def _first(*events: asyncio.Event) -> None:
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


def _signals() -> list[asyncio.Event]:
    """Return an event that is set when the process is asked to end."""
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in ("SIGTERM", "SIGINT", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None:
            with contextlib.suppress(NotImplementedError, RuntimeError):  # Windows has no signals in its loops
                loop.add_signal_handler(number, asked.set)
    return [asked]


def serve(options: ServeOptions) -> int:
    """Be the daemon of a workspace, or join the one that is; return the exit code.

    Raises:
        EndpointError: the workspace is held by a daemon that does not answer, or the runtime folder is not usable.
    """
    return asyncio.run(_serve_stdio(options) if options.stdio else _serve_socket(options))


async def _connect_stdio(folder: Path | None, arguments: list[str] | None) -> int:
    front = Front(folder)
    await attach_stdio(front.connection)
    initialize = await front.first_words()
    if initialize is None:
        return 1 if not front.connection.closed.is_set() else 0
    return await _bridge(front, real_folder(folder or _workspace_of(initialize)), arguments)


def connect(folder: Path | None, arguments: list[str] | None = None) -> int:
    """Bridge standard input and output to the workspace's daemon, started if there is none; return the exit code."""
    return asyncio.run(_connect_stdio(folder, arguments))
