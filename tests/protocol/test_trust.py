"""State that somebody else saved: refused with what to do, shown with who and when, restored once it is trusted."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from harness import Client, RpcError, opened


@pytest.fixture
async def theirs(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace whose state was saved by somebody else, with a pickle that leaves a trace when it is loaded."""
    mine = os.environ["HOLDFAST_CONFIG_DIR"]
    monkeypatch.setenv("HOLDFAST_CONFIG_DIR", str(tmp_path / "theirs"))
    async with opened(folder) as client:
        await client.run("a.py", "x = [1, 2]")
        await client.run(
            "a.py",
            "import os\n"
            "class Bomb:\n"
            f"    def __reduce__(self): return os.system, ('touch {tmp_path / 'canary'}',)\n"
            "bomb = Bomb()",
        )
        await client.shutdown()
    (tmp_path / "canary").unlink(missing_ok=True)  # what is saved was tried
    monkeypatch.setenv("HOLDFAST_CONFIG_DIR", mine)
    return folder


def conflicts(client: Client) -> list[str]:
    return [params["reason"] for method, params in client.notifications if method == "holdfast/state/conflict"]


async def trust(client: Client, name: str = "a.py", **more: Any) -> dict[str, Any]:
    state: dict[str, Any] = await client.request("holdfast/state/trust", {**client.document(name), **more})
    return state


async def test_what_others_saved_runs_no_code_until_it_is_trusted(theirs: Path, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    async with opened(theirs) as client:
        state = await client.state("a.py")
        assert not state["trusted"]
        assert state["variableNames"] == []
        (signer,) = state["signers"]
        assert signer["folder"] == str(theirs / ".state")
        assert signer["versions"] == 2
        assert not signer["trusted"]
        assert signer["python"].startswith("3.")
        for method in ("restore", "undo", "branch", "diff"):
            more = {"branch": {"to": client.uri("b.py")}, "diff": {"from": 1}}.get(method, {})
            with pytest.raises(RpcError) as caught:
                await client.request(f"holdfast/state/{method}", {**client.document("a.py"), **more})
            assert caught.value.code == -32012, method
            assert "holdfast trust" in caught.value.message
        run = await client.run("a.py", "y = 3")
        assert run["status"] == "ok"
        assert (await client.state("a.py"))["trusted"]
        assert (await client.state("a.py"))["signersDigest"] == state["signersDigest"]
        assert "holdfast trust" in conflicts(client)[0]
        assert not canary.exists()

        await client.request("holdfast/restart", {**client.document("a.py"), "restore": False})
        with pytest.raises(RpcError) as caught:
            await trust(client, digest="00" * 32)
        assert caught.value.data["detail"] == "changed"
        state = await trust(client, digest=state["signersDigest"])
        assert all(signer["trusted"] for signer in state["signers"])
        restored = await client.request("holdfast/state/restore", {**client.document("a.py"), "version": 2})
        assert "x" in restored["restored"]
        assert canary.exists()


async def test_what_is_trusted_comes_back_by_itself_and_not_any_more_when_that_is_taken_back(
    theirs: Path, tmp_path: Path
) -> None:
    async with opened(theirs) as client:
        await trust(client)
        assert await client.value("a.py", "x") == "[1, 2]"
        assert (await client.run("a.py", "y = 5"))["state"]["status"] == "saved"
        await client.kill()
    (tmp_path / "canary").unlink()
    async with opened(theirs) as client:
        state = await trust(client, revoke=True)
        assert not state["trusted"]
        assert await client.value("a.py", "'x' in globals()") == "False"
        assert not (tmp_path / "canary").exists()


async def test_memory_lives_on_when_trust_is_taken_back_and_is_saved_as_ones_own(theirs: Path) -> None:
    async with opened(theirs) as client:
        await trust(client)
        await client.run("a.py", "y = x; del bomb, Bomb")
        await trust(client, revoke=True)
        run = await client.run("a.py", "z = 1")
        assert run["state"]["status"] == "saved", run["state"]
        assert (await client.state("a.py"))["trusted"]
        await client.kill()
    async with opened(theirs) as client:
        assert await client.value("a.py", "y, z") == "([1, 2], 1)"


async def test_what_waits_to_be_loaded_is_refused_by_name_when_trust_is_taken_back(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, canary = os.environ["HOLDFAST_CONFIG_DIR"], tmp_path / "canary"
    bomb = f"class Bomb:\n    def __reduce__(self): return os.system, ('touch {canary}',)\n"
    monkeypatch.setenv("HOLDFAST_CONFIG_DIR", str(tmp_path / "theirs"))
    async with opened(folder) as client:
        await client.run("a.py", f"import os, pathlib, time\nx = 1\n{bomb}late = [Bomb(), *range(200_000)]")
        await client.shutdown()
    monkeypatch.setenv("HOLDFAST_CONFIG_DIR", mine)
    async with opened(folder) as client:
        await trust(client)
        while True:
            (folder / "go").unlink(missing_ok=True)
            canary.unlink(missing_ok=True)
            running = asyncio.ensure_future(
                client.run("a.py", "y = x\nwhile not pathlib.Path('go').exists(): time.sleep(0.01)")
            )
            while "x" not in (found := await client.variables("a.py")) or not found["x"]["loaded"]:
                await asyncio.sleep(0.01)
            if not found["late"]["loaded"]:
                break
            (folder / "go").touch()  # it had time to load it before it heard of the run
            await running
            await client.request("holdfast/restart", client.document("a.py"))
        await trust(client, revoke=True)
        (folder / "go").touch()
        assert (await running)["status"] == "ok"
        told = await client.notified("holdfast/state/restored", lambda params: bool(params["failed"]))
        assert [lost["name"] for lost in told["failed"]] == ["late"]
        assert "trust" in told["failed"][0]["reason"]
        run = await client.run("a.py", "z = late")
        assert run["error"]["ename"] == "NameError"
        run = await client.run("a.py", "z = y")
        assert run["state"]["status"] == "saved", run["state"]
        assert "late" in [lost["name"] for lost in run["state"]["skipped"]]
        assert not canary.exists()
        await client.kill()
    async with opened(folder) as client:
        assert await client.value("a.py", "y, z, 'late' in globals()") == "(1, 1, False)"
        assert not canary.exists()


def holdfast(folder: Path, *arguments: str, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "holdfast", *arguments], cwd=folder, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


async def test_the_command_shows_what_it_is_about_to_trust(theirs: Path) -> None:
    (theirs / "a.py").write_text("")
    try:
        shown = holdfast(theirs, "trust", "a.py", "--list")
        assert "2 versions signed with key" in shown
        assert str(theirs / ".state") in shown
        assert "nothing proves it" in shown
        assert "holdfast trust" in holdfast(theirs, "restore", "a.py", code=5)
        told = holdfast(theirs, "exec", "a.py", "-c", "y = 1", "--no-persist")
        assert "The session starts without it" in told
        assert "--yes" in holdfast(theirs, "trust", "a.py", code=2)
        assert "can be restored" in holdfast(theirs, "trust", "a.py", "--yes")
        assert "Restored" in holdfast(theirs, "restore", "a.py")
        assert "trusted     since" in holdfast(theirs, "trust", "a.py", "--list")
        assert "not restored any more" in holdfast(theirs, "trust", "a.py", "--revoke")
    finally:
        holdfast(theirs, "stop")
