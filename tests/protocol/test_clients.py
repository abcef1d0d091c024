"""Several clients, one daemon: shared sessions, joining, leaving, vanishing, and a daemon that dies under a bridge."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from daemons import in_background
from harness import Client, RpcError, opened, processes_in, until_dead, until_gone

BRIDGE = ("connect", "--stdio")


def daemons() -> list[int]:
    """Return the pids of all daemons of this test's runtime folder."""
    return [
        json.loads(path.read_text())["pid"]
        for path in Path(os.environ["HOLDFAST_RUNTIME_DIR"]).glob("*.lock")
        if path.read_text()
    ]


async def stop(client: Client) -> None:
    """End the background daemon that a bridge started."""
    await client.request("holdfast/stop", None)
    await client.kill()
    await until_gone(client.folder)


async def test_an_editor_and_a_script_share_variables_and_both_get_the_outputs(folder: Path) -> None:
    async with opened(folder, *BRIDGE) as editor:
        async with opened(folder, *BRIDGE) as script:
            await share(editor, script)
        assert len(daemons()) == 1
        await stop(editor)


async def share(editor: Client, script: Client) -> None:
    """Run in one client, and see it in both."""
    await editor.run("a.py", "x = 41")
    run = await script.run("a.py", "print(x + 1)")
    for client in (editor, script):
        output = await client.notified("holdfast/output", lambda params: params["runId"] == run["runId"])
        assert output["output"] == {"output_type": "stream", "name": "stdout", "text": "42\n"}


async def test_reloading_the_editor_finds_the_variables_warm(folder: Path) -> None:
    in_background(folder)
    async with opened(folder, *BRIDGE) as editor:
        await editor.run("a.py", "x = object()")
        pid = (await editor.session("a.py"))["pid"]
        assert await editor.shutdown() == 0
    async with opened(folder, *BRIDGE) as editor:
        assert (await editor.session("a.py"))["pid"] == pid
        assert await editor.value("a.py", "type(x).__name__") == "'object'"
        await stop(editor)


async def test_a_vanished_editor_leaves_the_daemon_and_its_sessions_alone(folder: Path) -> None:
    in_background(folder)
    async with opened(folder, *BRIDGE) as editor:
        await editor.run("a.py", "x = 1")
        await editor.kill()
    async with opened(folder, *BRIDGE) as editor:
        assert await editor.value("a.py", "x") == "1"
        await stop(editor)


async def test_a_bridge_outlives_the_daemon_and_the_variables_are_there(folder: Path) -> None:
    async with opened(folder, *BRIDGE) as editor:
        text = "x = 41\n# %%\ny = x + 1\n"
        item = {"uri": editor.uri("a.py"), "languageId": "python", "version": 1, "text": text}
        editor.notify("textDocument/didOpen", {"textDocument": item})
        await editor.run("a.py", cell={"index": 0})
        (daemon,) = daemons()
        _, running = editor.start_request(
            "holdfast/execute", {**editor.document("a.py"), "code": "print('on')\nwhile True: pass"}
        )
        await editor.notified("holdfast/output", lambda params: params["output"].get("text") == "on\n")
        os.kill(daemon, signal.SIGKILL)
        with pytest.raises(RpcError) as caught:
            await running
        assert caught.value.data["kind"] == "daemonLost"
        run = await editor.run("a.py", cell={"index": 1})
        assert run["status"] == "ok"
        assert await editor.value("a.py", "y") == "42"
        assert daemons() != [daemon]
        await stop(editor)


async def test_a_second_serve_on_the_same_folder_joins_the_first(folder: Path) -> None:
    async with opened(folder) as first, opened(folder) as second:
        await first.run("a.py", "x = 1")
        assert await second.value("a.py", "x") == "1"
        assert daemons() == [first.process.pid]
        assert await first.shutdown() == 0
        assert await second.value("a.py", "x") == "1"
        assert len(daemons()) == 1
        await stop(second)


async def test_shutdown_and_exit_end_everything_with_code_zero(folder: Path) -> None:
    client = await Client.open(folder)
    await client.run("a.py", "x = 1")
    assert await client.shutdown() == 0
    await until_gone(folder)
    assert daemons() == []


async def test_exit_without_shutdown_is_code_one_and_loses_nothing(folder: Path) -> None:
    client = await Client.open(folder)
    await client.run("a.py", "x = 1")
    client.notify("exit", None)
    assert await client.ended() == 1
    await until_gone(folder)
    async with opened(folder) as again:
        assert await again.value("a.py", "x") == "1"


async def test_a_closed_standard_input_ends_the_daemon_even_while_a_cell_runs(folder: Path) -> None:
    client = await Client.open(folder)
    await client.run("a.py", "x = 1")
    client.start_request("holdfast/execute", {**client.document("a.py"), "code": "print('on')\nwhile True: pass"})
    await client.notified("holdfast/output")
    assert client.process.stdin is not None
    client.process.stdin.close()
    await client.ended()
    await until_gone(folder)


async def test_a_standard_input_that_has_nothing_ends_the_daemon(folder: Path) -> None:
    command = [sys.executable, "-m", "holdfast", "serve", "--stdio", "--folder", str(folder)]
    process = await asyncio.create_subprocess_exec(*command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        assert await asyncio.wait_for(process.wait(), 30) == 0
    finally:
        if process.returncode is None:
            process.kill()


async def test_the_end_of_the_process_that_the_client_named_ends_the_daemon(folder: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    client = await Client.start(folder)
    await client.initialize(processId=parent.pid)
    await client.run("a.py", "x = 1")
    parent.kill()
    await client.ended()
    parent.wait()
    await until_gone(folder)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_the_daemon_cleanly(folder: Path, number: signal.Signals) -> None:
    client = await Client.open(folder)
    await client.run("a.py", "x = 1")
    client.process.send_signal(number)
    await client.ended()
    await until_gone(folder)


async def test_kernels_end_when_the_daemon_is_killed_even_while_they_run(folder: Path) -> None:
    client = await Client.open(folder)
    await client.run("a.py", "import subprocess\nchild = subprocess.Popen(['sleep', '1000'])")
    client.start_request("holdfast/execute", {**client.document("a.py"), "code": "print('on')\nwhile True: pass"})
    await client.notified("holdfast/output")
    assert processes_in(folder)
    await client.kill()
    await until_gone(folder)


async def test_a_stale_lock_and_socket_are_recognised(folder: Path) -> None:
    in_background(folder)
    async with opened(folder, *BRIDGE) as client:
        await client.run("a.py", "x = 1")
        (daemon,) = daemons()
        # The bridge would start another daemon.
        await client.kill()
        os.kill(daemon, signal.SIGKILL)
        await until_dead(daemon)
    assert daemons() == [daemon]
    async with opened(folder) as client:
        assert await client.value("a.py", "x") == "1"
        assert daemons() == [client.process.pid]


async def test_the_socket_and_its_folder_are_for_the_user_alone(folder: Path) -> None:
    async with opened(folder) as client:
        await client.run("a.py", "x = 1")
        runtime = Path(os.environ["HOLDFAST_RUNTIME_DIR"])
        assert runtime.stat().st_mode & 0o777 == 0o700
        (sock,) = runtime.glob("*.sock")
        assert sock.stat().st_mode & 0o777 == 0o600


async def test_an_idle_background_daemon_ends_by_itself(folder: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "holdfast", "serve", "--background", "--folder", str(folder), "--idle-timeout", "0.2"
    )
    assert await asyncio.wait_for(process.wait(), 30) == 0
    await until_gone(folder)


async def test_tcp_needs_the_token(folder: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "holdfast", "serve", "--tcp", "0", "--folder", str(folder), stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    where = json.loads(await process.stdout.readline())
    assert where["host"] == "127.0.0.1"
    hello = {"processId": None, "rootUri": folder.as_uri(), "capabilities": {}}

    async def greet(token: str) -> bytes:
        reader, writer = await asyncio.open_connection(where["host"], where["port"])
        params = {**hello, "initializationOptions": {"holdfast": {"token": token}}}
        content = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}).encode()
        writer.write(b"Content-Length: %d\r\n\r\n%b" % (len(content), content))
        answer = await reader.readuntil(b"}")
        writer.close()
        return answer

    assert b"token" in await greet("wrong")
    assert b'"result"' in await greet(where["token"])
    process.terminate()
    assert await process.wait() == 0
    await until_gone(folder)
