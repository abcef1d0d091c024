"""Verifying and repairing saved state through a real daemon."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from harness import TIMEOUT, Client, RpcError, opened

BIG = "import random; {name} = random.Random({seed}).randbytes(300_000)"


def spoil(folder: Path, data: bytes) -> None:
    """Flip a bit where these bytes lie in a pack."""
    for path in (folder / ".state" / "packs").iterdir():
        content = bytearray(path.read_bytes())
        at = content.find(data)
        if at >= 0:
            content[at] ^= 1
            path.write_bytes(content)


async def verify(client: Client, **params: Any) -> Any:
    """Ask for an examination."""
    return await client.request("holdfast/state/verify", params)


async def slow(client: Client) -> None:
    """Let a daemon have only a small part of the time, as on a machine that is busy with other things."""
    while True:
        client.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(0.05)
        client.process.send_signal(signal.SIGCONT)
        await asyncio.sleep(0.002)


async def test_what_is_damaged_is_named_and_repaired_while_cells_run(folder: Path) -> None:
    import random

    async with opened(folder) as client:
        assert await verify(client) == {"ok": True, "checked": 0, "problems": []}
        await client.run("a.py", BIG.format(name="lost", seed=1))
        await client.run("a.py", BIG.format(name="kept", seed=2))
        await client.run("b.py", "x = 1")
        found = await verify(client)
        assert found["ok"] and found["checked"] > 10 and found["problems"] == []
        await client.shutdown()
    spoil(folder, random.Random(1).randbytes(300_000)[:50])
    async with opened(folder) as client:
        found = await verify(client)
        assert not found["ok"]
        assert {problem["kind"] for problem in found["problems"]} == {"bytes", "lost"}
        assert "lost of a.py" in found["problems"][-1]["what"]
        assert await verify(client, **client.document("b.py")) != found
        repairing = asyncio.create_task(verify(client, repair=True))
        assert (await client.run("b.py", "y = x + 1"))["state"]["status"] == "saved"
        repaired = await repairing
        assert [(p["kind"], p["repaired"]) for p in repaired["problems"]] == [("bytes", True), ("lost", False)]
        await client.run("a.py", BIG.format(name="lost", seed=1))
        await client.run("b.py", "z = y + 1")
        await client.flush("b.py")
        assert (await verify(client))["ok"]
        await client.kill()
    async with opened(folder) as client:
        assert await client.value("b.py", "x, y, z") == "(1, 2, 3)"
        assert await client.value("a.py", "len(lost), len(kept)") == "(300000, 300000)"


async def test_a_catalog_that_cannot_be_read_is_made_anew_and_the_session_goes_on(folder: Path) -> None:
    async with opened(folder) as client:
        await client.run("a.py", "x = [1]")
        await client.shutdown()
    (folder / ".state" / "catalog.sqlite").write_bytes(b"?" * 8192)
    async with opened(folder) as client:
        found = await verify(client)
        assert [problem["kind"] for problem in found["problems"]] == ["catalog"] and not found["ok"]
        repaired = await verify(client, repair=True)
        assert repaired["ok"] and all(problem["repaired"] for problem in repaired["problems"])
        assert await client.value("a.py", "x") == "[1]"
        assert (await client.run("a.py", "x.append(2)"))["state"]["status"] == "saved"
        await client.kill()
    async with opened(folder) as client:
        assert await client.value("a.py", "x") == "[1, 2]"


async def test_an_examination_says_how_far_it_is_and_can_be_cancelled(folder: Path) -> None:
    async with opened(folder, capabilities={"window": {"workDoneProgress": True}}) as client:
        # What is done in a moment tells nothing of how far it is: the faster the machine, the more there has to be.
        for number in itertools.count():
            await client.run("a.py", f"import os; x{number} = [os.urandom(10_000_000) for _ in range(4 * 2**{number})]")
            await client.flush("a.py")
            token = f"mine-{number}"
            slowing = asyncio.ensure_future(slow(client))
            identity, answer = client.start_request("holdfast/state/verify", {"workDoneToken": token})
            telling = asyncio.ensure_future(
                client.notified("$/progress", lambda params, token=token: params["token"] == token)
            )
            await asyncio.wait({answer, telling}, return_when=asyncio.FIRST_COMPLETED)
            if telling.done():
                client.notify("$/cancelRequest", {"id": identity})
            await asyncio.wait({answer})
            slowing.cancel()
            client.process.send_signal(signal.SIGCONT)
            telling.cancel()
            if answer.exception() is not None:
                break
        shown = telling.result()
        assert shown["value"]["kind"] == "begin" and shown["value"]["title"] == "Verifying"
        with pytest.raises(RpcError) as caught:
            await answer
        assert caught.value.code == -32800
        assert (await client.run("a.py", "done = True"))["status"] == "ok"
        assert (await verify(client, **client.document("b.py")))["ok"]


async def test_what_is_kept_of_files_is_verified_and_repaired_as_well(folder: Path) -> None:
    async with opened(folder, options={"trackFiles": True}) as client:
        await client.run("a.py", "open('out.csv', 'w').write('1,2,3' * 1000)")
        await client.run("a.py", "open('out.csv', 'w').write('4,5,6' * 1000)")
        await client.flush("a.py")
        assert (await verify(client))["ok"]
        await client.shutdown()
    kept = sorted((folder / ".state" / "files" / "packs").iterdir())
    kept[0].write_bytes(bytes(16) + kept[0].read_bytes()[16:])
    async with opened(folder, options={"trackFiles": True}) as client:
        found = await verify(client)
        assert [problem["kind"] for problem in found["problems"]] == ["pack"]
        assert found["problems"][0]["what"].endswith("(of the files that runs wrote)")
        assert (await verify(client, repair=True))["ok"]


async def test_a_verification_after_kill_nine_finds_nothing(folder: Path) -> None:
    async with opened(folder) as client:
        await client.run("a.py", "x = 1")
        await client.run("b.py", "y = 1")
        await client.run("b.py", "y = 2")
        await client.flush("a.py")
        await client.kill()
    # As if the kill had come before the daemon could describe what it had saved.
    path = folder / ".state" / "sessions" / "b.py" / "metadata.json"
    path.write_text(path.read_text().replace('"version": 2', '"version": 1'))
    (folder / ".state" / "sessions" / "a.py" / "metadata.json").unlink()
    async with opened(folder) as client:
        assert (await verify(client))["problems"] == []
    assert [variable["preview"] for variable in json.loads(path.read_text())["variables"]] == ["2"]


async def test_a_daemon_that_starts_removes_what_repairs_took_out_long_ago(folder: Path) -> None:
    async with opened(folder, options={"trackFiles": True}) as client:
        await client.run("a.py", "open('out.csv', 'w').write('1,2,3')")
        await client.shutdown()
    repairs = [
        state / "trash" / "2020-01-01T00-00-00-0123" for state in (folder / ".state", folder / ".state" / "files")
    ]
    for repair in repairs:
        repair.mkdir(parents=True)
        (repair / "catalog.sqlite").touch()
        os.utime(repair, (0, 0))
    async with opened(folder, options={"trackFiles": True}), asyncio.timeout(TIMEOUT):
        while any(repair.exists() for repair in repairs):
            await asyncio.sleep(0.02)
