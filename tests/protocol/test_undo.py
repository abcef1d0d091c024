"""Undo and redo: memory and the saved state go to another version together, and nothing is lost on the way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from harness import Client, RpcError, opened, until_gone


async def undo(client: Client, file: str = "a.py") -> dict[str, Any]:
    """Take back the last run."""
    restored: dict[str, Any] = await client.request("holdfast/state/undo", client.document(file))
    return restored


async def redo(client: Client, file: str = "a.py") -> dict[str, Any]:
    """Go again to what was taken back last."""
    restored: dict[str, Any] = await client.request("holdfast/state/redo", client.document(file))
    return restored


async def test_undo_goes_back_run_by_run_and_redo_forward_again(daemon: Client) -> None:
    for number in range(1, 4):
        await daemon.run("a.py", f"x = {number}\nn{number} = x")
    pid = (await daemon.session("a.py"))["pid"]
    for number in (2, 1):
        restored = await undo(daemon)
        assert restored["success"]
        assert restored["version"] == number
        assert await daemon.value("a.py", "x") == str(number)
        assert f"n{number + 1}" not in await daemon.variables("a.py")
    for number in (2, 3):
        assert (await redo(daemon))["version"] == number
        assert await daemon.value("a.py", f"x, n{number}") == repr((number, number))
    assert not (await redo(daemon))["success"]
    assert await daemon.value("a.py", "x") == "3"
    assert (await daemon.session("a.py"))["pid"] == pid


async def test_undo_takes_back_a_failed_run_before_it_takes_back_a_saved_one(daemon: Client) -> None:
    await daemon.run("a.py", "x = [1]")
    await daemon.run("a.py", "x.append(2)")
    assert (await daemon.run("a.py", "x.append(3)\ny = 1\n1 / 0"))["status"] == "error"
    assert (await undo(daemon))["version"] == 2
    assert await daemon.value("a.py", "x, 'y' in globals()") == "([1, 2], False)"
    assert (await undo(daemon))["version"] == 1
    assert await daemon.value("a.py", "x") == "[1]"


async def test_a_run_after_an_undo_starts_a_branch_and_loses_nothing(daemon: Client) -> None:
    await daemon.run("a.py", "x = 1")
    await daemon.run("a.py", "x = 2")
    await undo(daemon)
    run = await daemon.run("a.py", "y = x")
    assert run["state"]["version"] == 3
    history = await daemon.request("holdfast/state/history", daemon.document("a.py"))
    assert [(version["version"], version.get("parent")) for version in history] == [(3, 1), (2, 1), (1, None)]
    assert not (await redo(daemon))["success"]
    await daemon.request("holdfast/state/restore", {**daemon.document("a.py"), "version": 2})
    assert await daemon.value("a.py", "x, 'y' in globals()") == "(2, False)"
    await daemon.request("holdfast/state/restore", {**daemon.document("a.py"), "version": 3})
    assert await daemon.value("a.py", "x, y") == "(1, 1)"


async def test_what_was_undone_stays_undone_after_kill_nine_and_can_be_redone(folder: Path) -> None:
    async with opened(folder) as first:
        await first.run("a.py", "x = 1")
        await first.run("a.py", "x = 2")
        await undo(first)
        await first.kill()
    await until_gone(folder)
    async with opened(folder) as second:
        assert await second.value("a.py", "x") == "1"
        assert (await redo(second))["version"] == 2
        assert await second.value("a.py", "x") == "2"


async def test_the_file_that_describes_the_state_follows_an_undo_a_redo_a_restore_and_a_branch(daemon: Client) -> None:
    async def described(file: str = "a.py") -> tuple[int, list[str]]:
        await daemon.flush(file)
        told = json.loads((daemon.folder / ".state" / "sessions" / file / "metadata.json").read_text())
        return told["version"], [variable["name"] for variable in told["variables"]]

    await daemon.run("a.py", "x = 1")
    await daemon.run("a.py", "y = 2")
    assert await described() == (2, ["x", "y"])
    await undo(daemon)
    assert await described() == (1, ["x"])
    await redo(daemon)
    assert await described() == (2, ["x", "y"])
    await daemon.request("holdfast/state/restore", {**daemon.document("a.py"), "version": 1})
    assert await described() == (1, ["x"])
    await daemon.request("holdfast/state/branch", {**daemon.document("a.py"), "version": 2, "to": daemon.uri("b.py")})
    assert await described("b.py") == (1, ["x", "y"])
    await undo(daemon)
    assert (await daemon.request("holdfast/state/verify", {}))["problems"] == []


async def test_undo_needs_no_living_kernel(folder: Path) -> None:
    async with opened(folder) as first:
        await first.run("a.py", "x = 1")
        await first.run("a.py", "x = 2")
    async with opened(folder) as second:
        assert (await undo(second))["version"] == 1
        assert await second.value("a.py", "x") == "1"


async def test_what_an_undo_does_not_concern_stays_the_same_object(daemon: Client) -> None:
    await daemon.run("a.py", "import threading\nbig = bytearray(8 << 20)\nx = [1]\nseen = id(big)")
    await daemon.run("a.py", "x.append(2)")
    await undo(daemon)
    assert await daemon.value("a.py", "id(big) == seen, x") == "(True, [1])"


async def test_what_cannot_be_saved_lives_on_through_an_undo_of_a_run_that_did_not_make_it(daemon: Client) -> None:
    await daemon.run("a.py", "import socket\none, other = socket.socketpair()")
    await daemon.run("a.py", "x = [1]")
    await daemon.run("a.py", "x.append(2)")
    await undo(daemon)
    assert await daemon.value("a.py", "x, one.send(b'hello'), other.recv(9)") == "([1], 5, b'hello')"
    await daemon.run("a.py", "one.close()\none = 'closed'")
    await undo(daemon)
    assert await daemon.value("a.py", "'one' in globals(), x") == "(False, [1])"


async def test_there_is_nothing_before_the_first_version(daemon: Client) -> None:
    nothing = await undo(daemon, "new.py")
    assert not nothing["success"]
    assert "Nothing is saved" in nothing["message"]
    await daemon.run("a.py", "x = 1")
    first = await undo(daemon)
    assert not first["success"]
    assert "the first" in first["message"]
    assert await daemon.value("a.py", "x") == "1"


async def test_another_window_on_the_same_file_has_variables_of_its_own(folder: Path) -> None:
    (folder / "my a.py").write_text("# %%\nx.append(__file__[-6:])\n")
    async with opened(folder) as client:
        window = client.uri("my a.py").replace("file://", "holdfast://") + "?second"
        await client.run("my a.py", "x = []")
        await client.run("my a.py", "x = [0]")
        params = {**client.document("my a.py"), "version": 1, "to": window}
        session = await client.request("holdfast/state/branch", params)
        assert session["textDocument"]["uri"] == window
        await client.run(window, cell={"index": 0})
        assert await client.value(window, "x") == "['y a.py']"
        assert await client.value("my a.py", "x") == "[0]"
        client.process.kill()
        await client.process.wait()
    await until_gone(folder)
    async with opened(folder) as client:
        assert await client.value(window, "x") == "['y a.py']"
        for wrong in (window.partition("?")[0], "holdfast://host/a.py?b"):
            with pytest.raises(RpcError, match="names no window"):
                await client.run(wrong, "1")


async def test_undo_is_refused_while_a_cell_runs(daemon: Client) -> None:
    await daemon.run("a.py", "x = 1")
    await daemon.run("a.py", "x = 2")
    code = "print('on')\nwhile True: pass"
    _, running = daemon.start_request("holdfast/execute", {**daemon.document("a.py"), "code": code})
    await daemon.notified("holdfast/output")
    with pytest.raises(RpcError) as caught:
        await undo(daemon)
    assert caught.value.code == -32015
    await daemon.request("holdfast/interrupt", daemon.document("a.py"))
    assert (await running)["status"] == "interrupted"


async def test_with_the_setting_a_failed_run_leaves_nothing_unless_it_says_otherwise(folder: Path) -> None:
    async with opened(folder, options={"rollbackOnError": True}) as client:
        await client.run("a.py", "x = [1]")
        await client.run("a.py", "x.append(2)\n1 / 0")
        assert await client.value("a.py", "x") == "[1]"
        await client.run("a.py", "x.append(2)\n1 / 0", options={"rollbackOnError": False})
        assert await client.value("a.py", "x") == "[1, 2]"


async def test_a_branch_starts_from_any_version_and_both_go_on_side_by_side(daemon: Client) -> None:
    await daemon.run("a.py", "x = [1]; y = x")
    await daemon.run("a.py", "x.append(2)")
    to = daemon.uri("b.py")
    session = await daemon.request("holdfast/state/branch", {**daemon.document("a.py"), "to": to, "version": 1})
    assert session["textDocument"]["uri"] == to
    await daemon.run("b.py", "x.append('b')")
    assert await daemon.value("b.py", "x, y is x") == "([1, 'b'], True)"
    assert await daemon.value("a.py", "x, y is x") == "([1, 2], True)"
    await undo(daemon, "b.py")
    assert await daemon.value("b.py", "x") == "[1]"


async def test_a_branch_into_a_document_with_variables_replaces_them_and_keeps_its_history(daemon: Client) -> None:
    await daemon.run("a.py", "x = 'a'")
    await daemon.run("b.py", "x = 'b'; own = 1")
    await daemon.request("holdfast/state/branch", {**daemon.document("a.py"), "to": daemon.uri("b.py")})
    assert await daemon.value("b.py", "x, 'own' in globals()") == "('a', False)"
    history = await daemon.request("holdfast/state/history", daemon.document("b.py"))
    assert [version["version"] for version in history] == [2, 1]
    await daemon.request("holdfast/state/restore", {**daemon.document("b.py"), "version": 1})
    assert await daemon.value("b.py", "x, own") == "('b', 1)"


async def test_a_branch_of_nothing_or_into_itself_is_refused(daemon: Client) -> None:
    await daemon.run("a.py", "x = 1")
    for params, code in (
        ({**daemon.document("a.py"), "to": daemon.uri("b.py"), "version": 9}, -32014),
        ({**daemon.document("c.py"), "to": daemon.uri("b.py")}, -32014),
        ({**daemon.document("a.py"), "to": daemon.uri("a.py")}, -32602),
    ):
        with pytest.raises(RpcError) as caught:
            await daemon.request("holdfast/state/branch", params)
        assert caught.value.code == code
    assert await daemon.value("a.py", "x") == "1"


async def diff(client: Client, before: int, to: int | None = None) -> dict[str, Any]:
    """Compare a version of a.py with another one, or with memory."""
    params = {**client.document("a.py"), "from": before, "to": to}
    found: dict[str, Any] = await client.request("holdfast/state/diff", params)
    return found


async def test_a_diff_tells_what_came_went_and_changed_between_versions_and_to_memory(daemon: Client) -> None:
    await daemon.run("a.py", "x = 1; gone = 2; same = [1, 2]; big = bytes(1 << 20)")
    await daemon.run("a.py", "x = 'one'; new = 3; del gone")
    expected = {
        "added": ["new"],
        "removed": ["gone"],
        "changed": [
            {
                "name": "x",
                "before": {"type": "int", "preview": "1", "bytes": 28},
                "after": {"type": "str", "preview": "'one'", "length": 3, "bytes": 52},
            }
        ],
    }
    assert await diff(daemon, 1, 2) == expected
    assert await diff(daemon, 1) == expected
    assert await diff(daemon, 2) == {"added": [], "removed": [], "changed": []}
    await daemon.run("a.py", "same.append(3); 1 / 0")
    found = await diff(daemon, 2)
    assert [(one["name"], one["after"]["preview"]) for one in found["changed"]] == [("same", "[1, 2, 3]")]
    with pytest.raises(RpcError) as caught:
        await diff(daemon, 9)
    assert caught.value.code == -32014


async def test_a_diff_needs_no_kernel(folder: Path) -> None:
    async with opened(folder) as first:
        await first.run("a.py", "x = 1")
        await first.run("a.py", "x = 2")
    async with opened(folder) as second:
        found = await diff(second, 1)
        assert [one["name"] for one in found["changed"]] == ["x"]
        assert (await second.request("holdfast/sessions", None))[0]["status"] == "cold"


async def test_the_runs_that_made_and_changed_a_variable_are_told_with_their_code(daemon: Client) -> None:
    for code in ("x = [0]", "y = 1", "x.append(y)", "del x", "x = [1]", "y = 2", "x.append(y)"):
        await daemon.run("a.py", code)
    await daemon.run("a.py", "x.append(9)")
    await undo(daemon)
    await daemon.run("a.py", "z = 1")
    runs = await daemon.request("holdfast/state/origin", {**daemon.document("a.py"), "name": "x"})
    assert [(run["version"], run["code"]) for run in runs] == [(5, "x = [1]"), (7, "x.append(y)")]
    assert await daemon.request("holdfast/state/origin", {**daemon.document("a.py"), "name": "nothing"}) == []


async def test_versions_have_names_that_survive_kill_nine(folder: Path) -> None:
    async with opened(folder) as first:
        await first.run("a.py", "x = 1")
        await first.run("a.py", "x = 2")
        params = {**first.document("a.py"), "version": 1, "label": "good"}
        labelled = await first.request("holdfast/state/label", params)
        assert (labelled["version"], labelled["label"]) == (1, "good")
        await first.kill()
    await until_gone(folder)
    async with opened(folder) as second:
        history = await second.request("holdfast/state/history", second.document("a.py"))
        assert [version.get("label") for version in history] == [None, "good"]


async def test_undo_and_redo_are_commands_as_well(daemon: Client) -> None:
    await daemon.run("a.py", "x = 1")
    await daemon.run("a.py", "x = 2")
    for command, expected in (("holdfast.undo", "1"), ("holdfast.redo", "2")):
        await daemon.request("workspace/executeCommand", {"command": command, "arguments": [daemon.document("a.py")]})
        assert await daemon.value("a.py", "x") == expected
