"""The state folder stays small: old versions go when nobody looks, and nothing that stays is touched."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from harness import Client, RpcError, opened


async def history(client: Client, name: str) -> list[dict[str, Any]]:
    uri = (client.folder / name).as_uri()
    found: list[dict[str, Any]] = await client.request("holdfast/state/history", {"textDocument": {"uri": uri}})
    return found


async def numbers(client: Client, name: str) -> list[int]:
    return [version["version"] for version in await history(client, name)]


def packed(folder: Path) -> int:
    return sum(path.stat().st_size for path in (folder / ".state" / "packs").iterdir())


async def test_old_versions_go_when_idle_and_the_log_says_so(folder: Path) -> None:
    async with opened(folder, options={"keep": 5}) as client:
        for number in range(20):
            await client.run("a.py", f"x = {number}")
        while len(await numbers(client, "a.py")) > 5:
            await asyncio.sleep(0.05)
        assert await numbers(client, "a.py") == [20, 19, 18, 17, 16]
        assert [version.get("thinned") for version in await history(client, "a.py")] == [None, None, None, None, 15]
        await client.run("a.py", "y = x + 1")
    async with opened(folder) as client:
        assert await client.value("a.py", "x, y") == "(19, 20)"
        uri = (folder / "a.py").as_uri()
        await client.request("holdfast/state/restore", {"textDocument": {"uri": uri}, "version": 17})
        assert await client.value("a.py", "x") == "16"


async def test_over_the_quota_the_oldest_versions_go_and_the_newest_stays(folder: Path) -> None:
    make = "import random; big = random.Random({}).randbytes(500_000)"
    async with opened(folder, options={"quota": 3_000_000}) as client:
        for number in range(6):
            await client.run("a.py", make.format(number))
        for number in range(6, 12):
            await client.run("b.py", make.format(number))
        while packed(folder) > 3_000_000:
            await asyncio.sleep(0.05)
        assert await numbers(client, "a.py") == [6]
        left = await numbers(client, "b.py")
        assert left[0] == 6 and 2 <= len(left) <= 5
    async with opened(folder, options={"quota": 100}) as client:
        await client.run("a.py", "small = 1")
        while len(await numbers(client, "b.py")) > 1:
            await asyncio.sleep(0.05)
        for name, seed in (("a.py", 5), ("b.py", 11)):
            assert await client.value(name, f"big == __import__('random').Random({seed}).randbytes(500_000)") == "True"


async def test_cells_run_while_the_state_is_compacted(folder: Path) -> None:
    async with opened(folder) as client:
        for number in range(12):
            await client.run("a.py", f"import random; big = random.Random({number}).randbytes(300_000)")
        before = packed(folder)
        compacting = asyncio.create_task(client.request("holdfast/state/compact", {"keep": 2}))
        number = 0
        while not compacting.done() or number < 5:
            number += 1
            assert (await client.run("a.py", f"n = {number}"))["state"]["status"] == "saved"
        done = compacting.result()
        assert done["removed"] >= 10
        assert packed(folder) < before / 2
        await client.kill()
    async with opened(folder) as client:
        same = "big == __import__('random').Random(11).randbytes(300_000)"
        assert await client.value("a.py", f"n, {same}") == f"({number}, True)"


async def test_usage_tells_variables_from_their_history_and_what_they_share(folder: Path) -> None:
    async with opened(folder) as client:
        uri = (folder / "a.py").as_uri()
        about = {"textDocument": {"uri": uri}}
        assert (await client.request("holdfast/state/usage", about))["files"] == []
        await client.run("a.py", "import random; once = random.Random(0).randbytes(600_000)")
        for number in range(1, 4):
            await client.run("a.py", f"often = random.Random({number}).randbytes(500_000)")
        await client.run("b.py", "import random; same = random.Random(0).randbytes(600_000)")
        await client.run("a.py", "text = 'a' * 500_000; gone = random.Random(9).randbytes(300_000)")
        await client.run("a.py", "del gone")
        usage = await client.request("holdfast/state/usage", about)
        [file] = usage["files"]
        assert file["textDocument"]["uri"] == uri
        found = {(variable["names"] or variable["types"])[0]: variable for variable in file["variables"]}
        assert found["once"]["history"] == 0
        assert found["once"]["shared"] >= 262_144  # at least the first chunk is that of the other file
        assert 1_000_000 <= found["often"]["history"] < 1_010_000
        assert found["often"]["versions"] == 3
        assert 500_000 <= found["often"]["stored"] < 510_000
        assert found["often"]["shared"] == 0
        assert found["text"]["size"] >= 500_000 > 10_000 > found["text"]["stored"]
        assert 300_000 <= found["removed since"]["history"] < 310_000
        assert usage["garbage"] < usage["bytes"] / 20
        everything = await client.request("holdfast/state/usage", {})
        assert len(everything["files"]) == 2


async def test_a_count_that_makes_no_sense_removes_nothing(daemon: Client) -> None:
    await daemon.run("a.py", "x = 1")
    for keep in (0, -1):
        try:
            await daemon.request("holdfast/state/compact", {"keep": keep})
        except RpcError as error:
            assert error.code == -32602
        else:
            raise AssertionError("accepted")
    assert await numbers(daemon, "a.py") == [1]


async def test_what_was_put_into_a_large_value_is_saved_for_its_size_and_comes_back(folder: Path) -> None:
    async with opened(folder) as client:
        await client.run("a.py", "import random; big = random.Random(1).randbytes(6_000_000)")
        await client.flush("a.py")
        before = packed(folder)
        await client.run("a.py", "big = big[:3_000_000] + b'ten bytes!' + big[3_000_000:]")
        await client.flush("a.py")
        assert packed(folder) - before < 600_000
        await client.kill()
    async with opened(folder) as client:
        same = "random.Random(1).randbytes(6_000_000)"
        check = f"(lambda old: big == old[:3_000_000] + b'ten bytes!' + old[3_000_000:])({same})"
        assert await client.value("a.py", check) == "True"
