"""Bad input gets a clear error and loses nothing; the daemon goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from harness import Client, RpcError, opened


async def still_works(client: Client) -> None:
    """The daemon is alive and its state intact."""
    assert await client.value("a.py", "x") == "1"


@pytest.fixture
async def busy_daemon(daemon: Client) -> Client:
    """A daemon with something to lose."""
    await daemon.run("a.py", "x = 1")
    return daemon


NOISE = [
    b"Content-Length: 5\r\n\r\n{nope",
    b"Content-Length: 2\r\n\r\n[]",
    b"Content-Length: 4\r\n\r\nnull",
    b"Content-Length: 3\r\n\r\n\xff\xfe\xfd",
    b"Content-Length: banana\r\n\r\n",
    b"Content-Length: -5\r\n\r\n",
    b"No-Length: 5\r\n\r\n",
    b"complete nonsense\r\n\r\n",
    b"\x00\x01\x02\r\n\r\n",
    b'Content-Length: 16\r\n\r\n{"jsonrpc":"1.0"}'[:-1],
    b"Content-Length: 200000\r\n\r\n" + b"[" * 200_000,
]


async def test_malformed_messages_are_answered_and_survived(busy_daemon: Client) -> None:
    for number, noise in enumerate(NOISE, 1):
        busy_daemon.send_bytes(noise)
        await busy_daemon.until(lambda number=number: len(busy_daemon.noise) >= number)
        assert busy_daemon.noise[-1]["error"]["code"] in {-32700, -32600}
        await still_works(busy_daemon)


WRONG_REQUESTS: list[dict[str, Any]] = [
    {"jsonrpc": "2.0", "id": 900, "method": "no/such/method", "params": {}},
    {"jsonrpc": "2.0", "id": 900, "method": "holdfast/execute"},
    {"jsonrpc": "2.0", "id": 900, "method": "holdfast/execute", "params": 5},
    {"jsonrpc": "2.0", "id": 900, "method": "holdfast/execute", "params": []},
    {"jsonrpc": "2.0", "id": 900, "method": "holdfast/execute", "params": {"textDocument": 5}},
    {"jsonrpc": "2.0", "id": 900, "method": "holdfast/execute", "params": {"textDocument": {"uri": 5}}},
    {
        "jsonrpc": "2.0",
        "id": 900,
        "method": "holdfast/inspect",
        "params": {"textDocument": {"uri": "file:///a.py"}},
    },
    {"jsonrpc": "2.0", "id": 900, "method": "textDocument/didOpen", "params": {"textDocument": None}},
    {"jsonrpc": "2.0", "id": 900, "method": "textDocument/hover", "params": {"nope": 1}},
    {"jsonrpc": "2.0", "id": 900, "method": "workspace/executeCommand", "params": {"command": "nope"}},
    {"jsonrpc": "2.0", "id": 900, "method": "workspace/executeCommand", "params": {"command": "holdfast.runCell"}},
    {
        "jsonrpc": "2.0",
        "id": 900,
        "method": "initialize",
        "params": {"capabilities": {}, "processId": None, "rootUri": None},
    },
    {"jsonrpc": "2.0", "id": 900, "method": 5},
    {"jsonrpc": "2.0", "id": 900, "method": "$/unknown"},
]


async def test_wrong_requests_get_an_error_with_their_id(busy_daemon: Client) -> None:
    for number, message in enumerate(WRONG_REQUESTS):
        identity = 900 + number
        busy_daemon.send({**message, "id": identity})
        (answer,) = await busy_daemon.until(
            lambda identity=identity: [found for found in busy_daemon.noise if found["id"] == identity]
        )
        assert answer["error"]["message"]
        assert answer["error"]["data"]["kind"]
    await still_works(busy_daemon)


WRONG_PARAMETERS: list[dict[str, Any]] = [
    {"code": 5},
    {"code": "x = 2", "cell": {"index": 0}},
    {"cell": {"index": "one"}},
    {"cell": {"index": 99}},
    {"cell": {"index": -1}},
    {"cell": {}},
    {"range": {"start": {"line": 5, "character": 0}, "end": {"line": 1, "character": 0}}},
    {"range": {"start": {"line": 500, "character": 0}, "end": {"line": 501, "character": 0}}},
    {"range": {"start": 5}},
    {"code": "x = 2", "options": {"timeout": "soon"}},
    {"code": "x = 2", "options": {"persist": "maybe"}},
    {"code": "x = 2", "options": {"durability": "eternal"}},
    {"code": "x = 2", "options": {"timeout": -5}},
]


async def test_wrong_parameters_run_nothing(busy_daemon: Client) -> None:
    (busy_daemon.folder / "a.py").write_text("x = 3\n")
    for more in WRONG_PARAMETERS:
        with pytest.raises(RpcError) as caught:
            await busy_daemon.request("holdfast/execute", {**busy_daemon.document("a.py"), **more})
        assert caught.value.code == -32602, more
        assert caught.value.message
    await still_works(busy_daemon)


STRANGE_URIS = [
    "",
    "nonsense",
    "file:///",
    "file:///a%00b.py",
    "http://[::1",
    "file:///" + "a" * 5000 + ".py",
    "untitled:",
    "x" * 100_000,
]
METHODS = ["execute", "state/get", "variables", "interrupt", "restart", "state/clear", "state/restore", "state/history"]


async def test_strange_uris_never_kill_the_daemon(busy_daemon: Client) -> None:
    for uri in STRANGE_URIS:
        for method in METHODS:
            try:
                await busy_daemon.request(f"holdfast/{method}", {"textDocument": {"uri": uri}})
            except RpcError as error:
                assert error.message
                assert error.code in {-32602, -32010, -32011}, (uri[:50], method)
    await still_works(busy_daemon)


STRANGE_NAMES = [
    "with space.py",
    "ha#sh.py",
    "per%cent.py",
    "new\nline.py",
    "ünïcödé-日本.py",
    "que?ry.py",
    "quo'te\".py",
]


async def test_names_with_anything_in_them_work_and_come_back(folder: Path) -> None:
    async with opened(folder) as first:
        for name in STRANGE_NAMES:
            (folder / name).write_text("x = __file__\n")
            run = await first.run(name)
            assert run["status"] == "ok", (name, run["error"])
            assert run["state"]["status"] == "saved", name
        await first.kill()
    async with opened(folder) as second:
        for name in STRANGE_NAMES:
            assert await second.value(name, "x") == repr(str(folder / name))


async def test_files_outside_the_workspace_have_sessions_too(folder: Path) -> None:
    outside = folder.parent / "outside.py"
    outside.write_text("x = 5\n")
    async with opened(folder) as first:
        run = await first.request("holdfast/execute", {"textDocument": {"uri": outside.as_uri()}})
        assert run["state"]["status"] == "saved"
        await first.kill()
    async with opened(folder) as second:
        assert await second.value(outside.as_uri(), "x") == "5"


async def test_an_untitled_document_has_a_session(daemon: Client) -> None:
    assert (await daemon.run("untitled:Untitled-1", "x = 5"))["status"] == "ok"
    assert await daemon.value("untitled:Untitled-1", "x") == "5"


async def test_a_cell_of_fifty_megabytes_runs(busy_daemon: Client) -> None:
    code = "big = '" + "a" * 50_000_000 + "'"
    run = await busy_daemon.run("a.py", code, options={"persist": False})
    assert run["status"] == "ok"
    assert await busy_daemon.value("a.py", "len(big)") == "50000000"
    await still_works(busy_daemon)


STRANGE_CODE = ["x = 2\0", "\0", "x = '\ud800'", "\ufeffy = 1", "\r\n\r\n", "", "#", "if True:\n\tz = 1\n        w = 2"]


async def test_strange_code_is_the_users_error_at_most(busy_daemon: Client) -> None:
    for code in STRANGE_CODE:
        run = await busy_daemon.run("a.py", code)
        assert run["status"] in {"ok", "error"}, repr(code)
        await still_works(busy_daemon)


async def test_requests_before_initialize_and_after_shutdown_are_refused(folder: Path) -> None:
    client = await Client.start(folder)
    with pytest.raises(RpcError) as caught:
        await client.request("holdfast/sessions", None)
    assert caught.value.code == -32002
    await client.initialize()
    await client.request("shutdown", None)
    with pytest.raises(RpcError) as caught:
        await client.request("holdfast/sessions", None)
    assert caught.value.code == -32600
    client.notify("exit", None)
    assert await client.ended() == 0


async def test_an_interpreter_that_does_not_exist_is_a_clear_error(folder: Path) -> None:
    async with opened(folder, options={"interpreter": "/no/such/python"}) as client:
        with pytest.raises(RpcError) as caught:
            await client.run("a.py", "x = 1")
        assert caught.value.code == -32011
        assert "/no/such/python" in caught.value.message


async def test_wrong_settings_are_told_and_change_nothing(folder: Path) -> None:
    async with opened(folder, options={"grace": "soon", "persist": 5}) as client:
        message = await client.notified("window/showMessage")
        assert "holdfast." in message["message"]
        assert (await client.run("a.py", "x = 1"))["state"]["status"] == "saved"


async def test_the_request_for_an_unknown_session_is_refused(daemon: Client) -> None:
    with pytest.raises(RpcError) as caught:
        await daemon.request("holdfast/interrupt", daemon.document("never.py"))
    assert caught.value.code == -32010


async def test_an_answer_to_what_was_never_asked_disturbs_nothing(daemon: Client) -> None:
    await daemon.run("a.py", "import time")
    identity, running = daemon.start_request("holdfast/execute", {**daemon.document("a.py"), "code": "time.sleep(0.5)"})
    for answer in ({"id": identity, "result": 1}, {"id": identity, "error": {}}, {"id": ""}, {"id": [1]}, {}):
        daemon.send({"jsonrpc": "2.0", **answer})
    assert (await running)["status"] == "ok"
    assert await daemon.value("a.py", "1 + 1") == "2"
