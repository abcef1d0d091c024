"""Encrypted state through a real daemon: locked, unlocked, encrypted while cells run, and decrypted again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from harness import Client, RpcError, opened

SECRET = "sesame-street"
BIG = "import random; {name} = random.Random({seed}).randbytes(3_000_000)"


async def encrypt(client: Client, passphrase: str | None = SECRET, mode: str = "passphrase") -> Any:
    """Have what is saved encrypted."""
    params = {"mode": mode} | ({} if passphrase is None else {"passphrase": passphrase})
    return await client.request("holdfast/state/encrypt", params)


async def unlock(client: Client, passphrase: str = SECRET) -> Any:
    """Say the passphrase."""
    return await client.request("holdfast/state/unlock", {"passphrase": passphrase})


@asynccontextmanager
async def started(folder: Path, env: dict[str, str], **options: Any) -> AsyncIterator[Client]:
    """Start a daemon with more in its environment."""
    client = await Client.start(folder, env=env)
    await client.initialize(options)
    try:
        yield client
    finally:
        await client.shutdown()


def found_in(folder: Path, *texts: bytes) -> list[tuple[str, bytes]]:
    """Return where in the state folder any of these bytes stand, in clear or in a file's name."""
    places = []
    for path in sorted((folder / ".state").rglob("*")):
        name = str(path.relative_to(folder)).encode()
        data = path.read_bytes() if path.is_file() else b""
        places += [(path.name, text) for text in texts if text in data or text in name]
    return places


async def test_nothing_of_a_session_is_found_in_an_encrypted_folder(folder: Path) -> None:
    big = random.Random(1).randbytes(3_000_000)
    hidden = [b"hiddenname", b"HIDDENVALUE", b"hidden.py", b"hidden.csv", big[:60], big[2_500_000:2_500_060]]
    async with opened(folder, options={"trackFiles": True}) as client:
        await client.run("hidden.py", "hiddenname = 'HIDDENVALUE'; open('hidden.csv', 'w').write('HIDDENVALUE' * 9)")
        await client.run("hidden.py", BIG.format(name="big", seed=1))
        await client.flush("hidden.py")
        await client.request("holdfast/state/files", {**client.document("hidden.py"), "version": 1, "preview": True})
        assert {text for _, text in found_in(folder, *hidden)} == set(hidden)
        answer = await encrypt(client)
        assert answer["encrypted"] and answer["left"] == []
        assert found_in(folder, *hidden) == []
        await client.run("hidden.py", "hiddenname += 'HIDDENVALUE'; open('hidden.csv', 'a').write('HIDDENVALUE')")
        await client.flush("hidden.py")
        versions = await client.request("holdfast/state/history", client.document("hidden.py"))
        assert [version["version"] for version in versions] == [3, 2, 1]
        assert versions[0]["bytes"] < 10_000  # what was saved before need not be saved again
        assert found_in(folder, *hidden) == []
        assert (await client.request("holdfast/state/verify", {}))["ok"]
        await client.request("holdfast/state/undo", client.document("hidden.py"))
        assert await client.value("hidden.py", "hiddenname") == "'HIDDENVALUE'"
        await client.shutdown()
    assert found_in(folder, *hidden) == []


async def test_cells_run_while_state_is_locked_and_it_comes_back_when_it_is_unlocked(folder: Path) -> None:
    async with opened(folder) as client:
        await client.run("a.py", "x = [1]; y = x")
        await client.run("b.py", "z = 5")
        await encrypt(client)
        await client.run("a.py", "x.append(2)")
        await client.kill()
    async with opened(folder) as client:
        with pytest.raises(RpcError) as caught:
            await client.variables("a.py")
        assert caught.value.data["kind"] == "locked"
        run = await client.run("b.py", "z = 1")
        assert run["status"] == "ok"
        assert run["state"]["status"] == "failed"
        assert "holdfast unlock" in run["state"]["reason"]
        for wrong in ("wrong", ""):
            with pytest.raises(RpcError, match="not the right one"):
                await unlock(client, wrong)
        assert (await unlock(client))["encrypted"]
        assert sorted(await client.variables("a.py")) == ["x", "y"]
        assert await client.value("a.py", "(x, x is y)") == "([1, 2], True)"
        run = await client.run("b.py", "w = 2")  # saves what could not be saved before
        assert run["state"]["status"] != "failed"
        await client.flush("b.py")
        await client.kill()
    async with opened(folder) as client:
        await unlock(client)
        assert await client.value("b.py", "(z, w)") == "(1, 2)"


async def test_a_passphrase_from_the_environment_opens_state_and_kernels_do_not_get_it(folder: Path) -> None:
    env = {"HOLDFAST_PASSPHRASE": SECRET}
    async with started(folder, env, encryption="passphrase") as client:
        await client.run("a.py", "import os; seen = os.environ.get('HOLDFAST_PASSPHRASE'); x = 1")
        assert await client.value("a.py", "seen") == "None"
        assert (folder / ".state" / "encryption.json").exists()
    async with started(folder, env) as client:
        assert await client.value("a.py", "x") == "1"


async def test_a_keyring_opens_state_without_a_question(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("keyrings.alt.file")
    env = {
        "PYTHON_KEYRING_BACKEND": "keyrings.alt.file.PlaintextKeyring",
        "XDG_DATA_HOME": str(tmp_path / "keys"),
    }
    async with started(folder, env, encryption="keyring") as client:
        await client.run("a.py", "x = 'HIDDENVALUE'")
        await client.flush("a.py")
        assert found_in(folder, b"HIDDENVALUE") == []
    async with started(folder, env) as client:
        assert await client.value("a.py", "x") == "'HIDDENVALUE'"
        await encrypt(client)  # from the keyring to a passphrase
    async with opened(folder) as client:
        await unlock(client)
        assert await client.value("a.py", "x") == "'HIDDENVALUE'"


async def test_state_is_encrypted_and_decrypted_while_cells_run_and_nothing_is_lost(folder: Path) -> None:
    async with opened(folder) as client:
        await client.run("a.py", BIG.format(name="big", seed=3))
        await client.run("a.py", "n = 0")

        async def work() -> int:
            count = 0
            while not done.is_set():
                count += 1
                run = await client.run("a.py", "n += 1", options={"synced": False})
                assert run["status"] == "ok"
            return count

        done = asyncio.Event()
        working = asyncio.create_task(work())
        assert (await encrypt(client))["encrypted"]
        assert not (await encrypt(client, None, "none"))["encrypted"]
        assert (await encrypt(client))["encrypted"]
        done.set()
        count = await working
        saved = await client.run("a.py", "m = n")
        assert saved["state"]["status"] != "failed"
        await client.flush("a.py")
        await client.kill()
    async with opened(folder) as client:
        await unlock(client)
        assert await client.value("a.py", "(n, m)") == f"({count}, {count})"
        assert await client.value("a.py", "__import__('random').Random(3).randbytes(3_000_000) == big") == "True"
        await encrypt(client, None, "none")
        await client.flush("a.py")
        assert (folder / ".state" / "sessions" / "a.py" / "metadata.json").exists()
        assert (await client.request("holdfast/state/verify", {}))["ok"]


async def test_a_daemon_that_is_killed_while_it_encrypts_leaves_what_was_saved(folder: Path) -> None:
    async with opened(folder) as client:
        await client.run("a.py", BIG.format(name="big", seed=5))
        await client.run("a.py", "x = 7")
        await client.shutdown()
    for _ in range(4):
        async with opened(folder) as client:
            if (folder / ".state" / "encryption.json").exists():
                await unlock(client)
            asked, _ = client.start_request("holdfast/state/encrypt", {"mode": "passphrase", "passphrase": SECRET})
            assert asked
            state = folder / ".state"
            await client.until(lambda state=state: (state / "converting").exists() or not (state / "sessions").exists())
            await client.kill()
    async with opened(folder) as client:
        if (folder / ".state" / "encryption.json").exists():
            await unlock(client)
        assert await client.value("a.py", "(x, len(big))") == "(7, 3000000)"


async def test_what_cannot_be_encrypted_or_unlocked_is_refused_and_says_why(folder: Path) -> None:
    pytest.importorskip("keyring")
    async with started(folder, {"PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}) as client:
        with pytest.raises(RpcError, match="nothing to unlock"):
            await unlock(client)
        for params in ({"mode": "rot13"}, {"mode": "passphrase"}, {"mode": "passphrase", "passphrase": ""}):
            with pytest.raises(RpcError) as caught:
                await client.request("holdfast/state/encrypt", params)
            assert caught.value.code == -32602
        await client.run("a.py", "x = 1")
        assert not (await unlock(client))["encrypted"]
        with pytest.raises(RpcError, match="keyring") as caught:
            await encrypt(client, None, "keyring")
        assert caught.value.data["kind"] == "locked"
        run = await client.run("a.py", "x += 1")
        assert run["state"]["status"] != "failed"
        assert await client.value("a.py", "x") == "2"
        assert (await client.request("holdfast/state/verify", {}))["ok"]
