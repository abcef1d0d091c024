"""A real daemon over real standard input and output, and a client that knows nothing but JSON-RPC."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import select
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from daemons import FORKS, Daemon, started

TIMEOUT = 60.0
"""Seconds after which a wait is a failure; only a hang comes near it."""


class RpcError(Exception):
    """The daemon answered with an error."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error["message"])
        self.code: int = error["code"]
        self.message: str = error["message"]
        self.data: Any = error.get("data")


class Client:
    """One `holdfast` process and the conversation with it."""

    def __init__(self, folder: Path, process: asyncio.subprocess.Process | Daemon) -> None:
        self.folder = folder
        self.process = process
        self.notifications: list[tuple[str, dict[str, Any]]] = []
        self.input_answers: list[str] = []
        self.inputs: list[dict[str, Any]] = []
        self.created: list[Any] = []
        """Tokens of progress that the daemon has asked us to show."""
        self.noise: list[dict[str, Any]] = []
        self.capabilities: dict[str, Any] = {}
        self.refreshes = 0
        """How often it was asked to look at code lenses again."""
        self.reading = asyncio.Event()
        """Cleared by a test that plays a client which does not read."""
        self.reading.set()
        self._ids = itertools.count(1)
        self._waiting: dict[Any, asyncio.Future[Any]] = {}
        self._arrived = asyncio.Condition()
        self._reader = asyncio.create_task(self._read())

    # ------------------------------------------------------------------ start and end

    @classmethod
    async def start(cls, folder: Path, *arguments: str, env: dict[str, str] | None = None) -> Client:
        """Start `holdfast serve --stdio` (or what `arguments` say) without greeting it.

        Args:
            env: more environment variables, for an interpreter that is started with them.
        """
        if FORKS and env is None:
            return cls(folder, await started(folder, arguments or ("serve", "--stdio")))
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "holdfast",
            *(arguments or ("serve", "--stdio")),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=folder,
            env={**os.environ, **(env or {})},
        )
        return cls(folder, process)

    @classmethod
    async def open(cls, folder: Path, *arguments: str, options: dict[str, Any] | None = None, **more: Any) -> Client:
        """Start and initialize."""
        client = await cls.start(folder, *arguments)
        await client.initialize(options, **more)
        return client

    async def initialize(self, options: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        """Send `initialize` and `initialized`; return the result."""
        result: dict[str, Any] = await self.request(
            "initialize",
            {
                "processId": os.getpid(),
                "rootUri": self.folder.as_uri(),
                "capabilities": {},
                "initializationOptions": {"holdfast": options or {}},
                **more,
            },
        )
        self.capabilities = result["capabilities"]
        self.notify("initialized", {})
        return result

    async def shutdown(self) -> int:
        """Leave as the protocol says; return the exit code."""
        await self.request("shutdown", None)
        self.notify("exit", None)
        return await self.ended()

    async def ended(self) -> int:
        """Wait for the process to end."""
        code = await asyncio.wait_for(self.process.wait(), TIMEOUT)
        with contextlib.suppress(asyncio.CancelledError):
            await self._reader
        return code

    async def kill(self) -> None:
        """`kill -9` the process."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGKILL)
        await self.ended()

    # ------------------------------------------------------------------ messages

    def send_bytes(self, data: bytes) -> None:
        """Write raw bytes."""
        assert self.process.stdin is not None
        self.process.stdin.write(data)

    def send(self, message: Any) -> None:
        """Frame and write one message."""
        content = json.dumps(message).encode()
        self.send_bytes(b"Content-Length: %d\r\n\r\n%b" % (len(content), content))

    def notify(self, method: str, params: Any) -> None:
        """Send a notification."""
        self.send({"jsonrpc": "2.0", "method": method, "params": params})

    def start_request(self, method: str, params: Any) -> tuple[int, asyncio.Future[Any]]:
        """Send a request; return its id and the future of its answer."""
        identity = next(self._ids)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[identity] = future
        self.send({"jsonrpc": "2.0", "id": identity, "method": method, "params": params})
        return identity, future

    async def request(self, method: str, params: Any) -> Any:
        """Send a request and wait for the answer."""
        return await asyncio.wait_for(self.start_request(method, params)[1], TIMEOUT)

    async def _read(self) -> None:
        stream = self.process.stdout
        assert stream is not None
        try:
            while True:
                await self.reading.wait()
                length = 0
                while line := (await stream.readline()).strip():
                    name, _, value = line.partition(b":")
                    if name.lower() == b"content-length":
                        length = int(value)
                if not length:
                    break
                await self._received(json.loads(await stream.readexactly(length)))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the process was killed in the middle of a message
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(ConnectionError("the daemon closed the connection"))
                future.exception()
        async with self._arrived:
            self._arrived.notify_all()

    async def _received(self, message: dict[str, Any]) -> None:
        if "method" in message and "id" in message:
            self._asked(message)
        elif "method" in message:
            self.notifications.append((message["method"], message["params"]))
        else:
            future = self._waiting.pop(message["id"], None)
            if future is None:
                self.noise.append(message)
            elif not future.done() and "error" in message:
                future.set_exception(RpcError(message["error"]))
            elif not future.done():
                future.set_result(message.get("result"))
        async with self._arrived:
            self._arrived.notify_all()

    def _asked(self, message: dict[str, Any]) -> None:
        if message["method"] == "holdfast/input":
            self.inputs.append(message["params"])
            if self.input_answers:
                self.send({"jsonrpc": "2.0", "id": message["id"], "result": {"value": self.input_answers.pop(0)}})
            return
        if message["method"] == "window/workDoneProgress/create":
            self.created.append(message["params"]["token"])
            self.send({"jsonrpc": "2.0", "id": message["id"], "result": None})
            return
        if message["method"] in ("workspace/codeLens/refresh", "workspace/inlayHint/refresh"):
            self.refreshes += 1
            self.send({"jsonrpc": "2.0", "id": message["id"], "result": None})
            return
        self.send({"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32601, "message": "not here"}})

    async def until(self, condition: Callable[[], Any]) -> Any:
        """Wait until something holds of what was received; return it."""
        async with asyncio.timeout(TIMEOUT):
            async with self._arrived:
                while not (found := condition()):
                    await self._arrived.wait()
        return found

    async def notified(self, method: str, matching: Callable[[dict[str, Any]], bool] = lambda params: True) -> Any:
        """Wait for a notification (also one that came already); return its params."""

        def look() -> Any:
            return next((params for name, params in self.notifications if name == method and matching(params)), None)

        return await self.until(look)

    # ------------------------------------------------------------------ Holdfast

    def uri(self, name: str) -> str:
        """Return the URI of a file of the workspace."""
        return (self.folder / name).as_uri()

    def document(self, name: str) -> dict[str, Any]:
        """Return the `textDocument` of a file."""
        return {"textDocument": {"uri": name if ":" in name else self.uri(name)}}

    async def run(self, name: str, code: str | None = None, **more: Any) -> dict[str, Any]:
        """Run code in a file's session and wait for the result; options are passed as `options=`."""
        params = {**self.document(name), **more}
        if code is not None:
            params["code"] = code
        result: dict[str, Any] = await self.request("holdfast/execute", params)
        return result

    async def value(self, name: str, expression: str) -> Any:
        """Return the `repr` of an expression's value in a session, without saving anything."""
        result = await self.run(
            name, f"print(repr(({expression})))", options={"collectOutputs": True, "persist": False}
        )
        assert result["status"] == "ok", result["error"]
        return text_of(result).removesuffix("\n")

    async def variables(self, name: str, **more: Any) -> dict[str, dict[str, Any]]:
        """Return the variables by name."""
        found = await self.request("holdfast/variables", {**self.document(name), **more})
        return {variable["name"]: variable for variable in found}

    async def state(self, name: str) -> dict[str, Any]:
        """Return what is saved of a file."""
        result: dict[str, Any] = await self.request("holdfast/state/get", self.document(name))
        return result

    async def flush(self, name: str) -> dict[str, Any]:
        """Wait until a file's state is durable."""
        result: dict[str, Any] = await self.request("holdfast/state/flush", self.document(name))
        return result

    async def session(self, name: str) -> dict[str, Any]:
        """Return one session of the listing."""
        sessions = await self.request("holdfast/sessions", None)
        found: dict[str, Any] = next(
            entry for entry in sessions if entry["textDocument"]["uri"] == self.document(name)["textDocument"]["uri"]
        )
        return found

    async def idle(self, name: str) -> dict[str, Any]:
        """Wait until a session is idle; return it."""
        while (found := await self.session(name))["status"] != "idle":
            await asyncio.sleep(0.02)
        return found

    def stream(self, run_id: str | None = None, name: str = "stdout") -> str:
        """Return what a run has written to a stream so far."""
        return "".join(
            params["output"]["text"]
            for method, params in self.notifications
            if method == "holdfast/output"
            and params["output"].get("name") == name
            and (run_id is None or params["runId"] == run_id)
        )


@contextlib.asynccontextmanager
async def opened(folder: Path, *arguments: str, **more: Any) -> AsyncIterator[Client]:
    """A greeted daemon that is ended, one way or the other, when the block is left."""
    client = await Client.open(folder, *arguments, **more)
    try:
        yield client
    finally:
        await client.kill()


def text_of(run: dict[str, Any], name: str = "stdout") -> str:
    """Return what a run with collected outputs wrote to a stream."""
    return "".join(
        output["text"] for output in run["outputs"] if output["output_type"] == "stream" and output["name"] == name
    )


def processes_in(folder: Path) -> list[int]:
    """Return the processes whose working directory, or command line, lies in a folder (Linux)."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            here = (entry / "cwd").readlink().is_relative_to(folder)
            if state != "Z" and (here or os.fsencode(folder) in (entry / "cmdline").read_bytes()):
                found.append(int(entry.name))
    return found


async def until_dead(pid: int) -> None:
    """Wait until the last thread of a process has ended, and what it had locked is free (Linux)."""
    with contextlib.suppress(ProcessLookupError), os.fdopen(os.pidfd_open(pid), "rb", 0) as process:
        async with asyncio.timeout(TIMEOUT):
            while not select.select([process], [], [], 0)[0]:
                await asyncio.sleep(0.005)


async def until_gone(folder: Path) -> None:
    """Wait until no process of a folder is left."""
    async with asyncio.timeout(TIMEOUT):
        while processes_in(folder):
            await asyncio.sleep(0.02)
