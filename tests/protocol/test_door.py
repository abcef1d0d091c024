"""Who may talk to the daemon: its owner over the socket, whoever has the token over TCP, and nobody before that."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from harness import opened, until_gone

NOBODY = 65534


def framed(message: Any, *headers: bytes) -> bytes:
    content = json.dumps(message).encode()
    lines = [*headers, b"Content-Length: %d" % len(content)]
    return b"\r\n".join(lines) + b"\r\n\r\n" + content


def hello(folder: Path, **options: Any) -> dict[str, Any]:
    params = {"processId": None, "rootUri": folder.as_uri(), "capabilities": {}, "initializationOptions": options}
    return {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}


def answer_to_another_user(path: Path, message: bytes) -> bytes:
    """Connect as another user, send, and return the beginning of what comes back."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        with contextlib.suppress(BaseException):
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            with socket.socket(socket.AF_UNIX) as sock:
                sock.connect(str(path))
                os.write(writer, b"connected:")
                with contextlib.suppress(ConnectionError):
                    sock.sendall(message)
                    os.write(writer, sock.recv(200))
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as told:
        found = told.read()
    os.waitpid(child, 0)
    return found


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only the administrator can be somebody else")
@pytest.mark.skipif(not hasattr(socket, "SO_PEERCRED"), reason="the system does not say who connects")
async def test_another_user_who_gets_at_the_socket_is_not_served(folder: Path) -> None:
    async with opened(folder) as client:
        runtime = Path(os.environ["HOLDFAST_RUNTIME_DIR"])
        (path,) = runtime.glob("*.sock")
        runtime.parent.chmod(0o755)
        runtime.chmod(0o755)
        path.chmod(0o666)
        told = await asyncio.to_thread(answer_to_another_user, path, framed(hello(folder)))
        assert told == b"connected:"
        assert await client.value("a.py", "1") == "1"


@contextlib.asynccontextmanager
async def over_tcp(folder: Path) -> AsyncIterator[dict[str, Any]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "holdfast", "serve", "--tcp", "0", "--folder", str(folder), stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        yield json.loads(await process.stdout.readline())
    finally:
        process.terminate()
        await process.wait()
        await until_gone(folder)


async def test_nothing_large_is_taken_over_tcp_from_who_has_not_shown_the_token(folder: Path) -> None:
    async with over_tcp(folder) as where:
        for begin in (
            b"Content-Length: 900000000\r\n\r\n{",
            b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n",
            b"".join(b"X-%d: y\r\n" % number for number in range(100_000)),
            framed(hello(folder, holdfast={"token": "\ud800"})),
            framed({"jsonrpc": "2.0", "id": 1, "method": "holdfast/sessions"}, b"Holdfast-Token: wrong"),
        ):
            reader, writer = await asyncio.open_connection(where["host"], where["port"])
            with contextlib.suppress(ConnectionError):
                writer.write(begin)
                answer = await asyncio.wait_for(reader.read(), 30)
                assert b"token is missing or wrong" in answer, begin[:60]
            writer.close()
        reader, writer = await asyncio.open_connection(where["host"], where["port"])
        writer.write(framed(hello(folder), b"Holdfast-Token: " + where["token"].encode()))
        assert b'"capabilities"' in await asyncio.wait_for(reader.readuntil(b'"capabilities"'), 30)
        large = {"jsonrpc": "2.0", "id": 2, "method": "holdfast/nothing", "params": "x" * (2 << 20)}
        writer.write(framed(large))
        await asyncio.wait_for(reader.readuntil(b'"error"'), 30)
        writer.close()
