"""Saves that a copy of the kernel makes while the session goes on."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from harness import TIMEOUT, Client, opened

pytestmark = pytest.mark.skipif(not Path("/proc/self/pagemap").exists(), reason="kernels make no copies here")

SLOW = """
import os, time
KERNEL = os.getpid()
class Slow:
    def __reduce__(self):
        if os.getpid() != KERNEL:
            with open(".copy.part", "w") as file:
                file.write(str(os.getpid()))
            os.rename(".copy.part", ".copy")
            while not os.path.exists(".go"):
                time.sleep(0.005)
        return Slow, ()
"""
BIG = "big = [Slow(), *range(200_000)]"


async def copy_at_work(folder: Path) -> int:
    """Wait until a copy waits in the middle of its work; return its process id."""
    async with asyncio.timeout(TIMEOUT):
        while not (folder / ".copy").exists():
            await asyncio.sleep(0.01)
    return int((folder / ".copy").read_text())


def let_go(folder: Path) -> None:
    (folder / ".go").touch()


async def saved(client: Client, run: dict[str, Any]) -> dict[str, Any]:
    """Return what became of a save that was under way."""
    params = await client.notified("holdfast/state/saved", lambda params: params["runId"] == run["runId"])
    state: dict[str, Any] = params["state"]
    return state


async def test_the_next_cells_run_while_a_copy_saves_and_every_version_is_what_it_was(folder: Path) -> None:
    async with opened(folder) as client:
        await client.run("a.py", SLOW)
        first = await client.run("a.py", BIG)
        assert first["state"]["status"] == "saving"
        await copy_at_work(folder)
        second = await client.run("a.py", "big.append('later')")
        third = await client.run("a.py", "x = 1")
        assert [run["status"] for run in (second, third)] == ["ok", "ok"]
        assert {run["state"]["status"] for run in (second, third)} == {"saving"}
        assert (await client.variables("a.py"))["big"]["saved"] == "saving"
        let_go(folder)
        versions = [(await saved(client, run))["version"] for run in (first, second, third)]
        assert versions == sorted(versions)
        assert (await client.flush("a.py"))["variableNames"].count("big") == 1
        assert (await client.variables("a.py"))["big"]["saved"] == "saved"
        for version, length, has_x in zip(versions, (200_001, 200_002, 200_002), (False, False, True), strict=True):
            await client.request("holdfast/state/restore", {**client.document("a.py"), "version": version})
            assert await client.value("a.py", "len(big), 'x' in globals()") == repr((length, has_x))


async def test_when_the_copy_is_killed_the_kernel_itself_saves(folder: Path) -> None:
    async with opened(folder) as client:
        await client.run("a.py", SLOW)
        run = await client.run("a.py", BIG)
        os.kill(await copy_at_work(folder), signal.SIGKILL)
        assert (await saved(client, run))["status"] == "saved"
        newest, *_ = await client.request("holdfast/state/history", client.document("a.py"))
        assert newest["code"] == BIG
    let_go(folder)  # in another process, the kernel itself is not what `KERNEL` says
    async with opened(folder) as client:
        assert await client.value("a.py", "len(big), type(big[0]) is Slow") == "(200001, True)"


async def test_when_the_kernel_is_killed_while_a_copy_saves_the_version_before_is_there(folder: Path) -> None:
    async with opened(folder) as client:
        await client.run("a.py", f"{SLOW}\nbig = 'before'")
        run = await client.run("a.py", BIG)
        copy = await copy_at_work(folder)
        os.kill((await client.session("a.py"))["pid"], signal.SIGKILL)
        assert (await saved(client, run))["status"] == "failed"
        assert await client.value("a.py", "big") == "'before'"
        with pytest.raises(ProcessLookupError):
            while True:
                os.kill(copy, 0)
                await asyncio.sleep(0.01)


async def test_a_flush_waits_for_what_copies_save(folder: Path) -> None:
    async with opened(folder) as client:
        await client.run("a.py", SLOW)
        await client.run("a.py", BIG)
        await copy_at_work(folder)
        _, flushed = client.start_request("holdfast/state/flush", client.document("a.py"))
        await client.run("a.py", "x = 1")
        assert not flushed.done()
        let_go(folder)
        assert "big" in (await asyncio.wait_for(flushed, TIMEOUT))["variableNames"]


async def test_a_failing_run_while_a_copy_saves_changes_no_version(folder: Path) -> None:
    async with opened(folder) as client:
        await client.run("a.py", SLOW)
        first = await client.run("a.py", BIG)
        await copy_at_work(folder)
        assert (await client.run("a.py", "big.clear(); 1 / 0"))["status"] == "error"
        let_go(folder)
        assert (await saved(client, first))["status"] == "saved"
    async with opened(folder) as client:
        assert await client.value("a.py", "len(big)") == "200001"


async def test_what_has_open_files_is_saved_by_the_kernel_itself(folder: Path) -> None:
    async with opened(folder) as client:
        run = await client.run(
            "a.py", "file = open('notes.txt', 'w'); file.write('one'); both = [file, *range(200_000)]"
        )
        assert run["state"]["status"] == "saved" or (await saved(client, run))["status"] == "saved"
        assert (folder / "notes.txt").read_text() == "one"
        again = await client.run("a.py", "file.write('two'); both.append(file.tell())")
        assert again["state"]["status"] == "saved" or (await saved(client, again))["status"] == "saved"
        assert await client.value("a.py", "both[-1], both[0] is file") == "(6, True)"
    assert (folder / "notes.txt").read_text() == "onetwo"


async def test_a_large_array_is_saved_aside_and_its_changed_row_by_itself(folder: Path) -> None:
    pytest.importorskip("numpy")
    async with opened(folder) as client:
        run = await client.run("a.py", "import numpy\na = numpy.random.default_rng(1).random((64, 65536))")
        assert run["state"]["status"] == "saved" or (await saved(client, run))["status"] == "saved"
        row = await client.run("a.py", "a[3] = numpy.random.default_rng(2).random(65536)")
        state = row["state"] if row["state"]["status"] == "saved" else await saved(client, row)
        assert 512 << 10 <= state["bytes"] < 1 << 20
        total = await client.value("a.py", "a.sum()")
        await client.flush("a.py")
    async with opened(folder) as client:
        assert await client.value("a.py", "a.sum()") == total


async def test_definitions_made_in_the_cell_of_a_large_value_stay_what_they_are(folder: Path) -> None:
    cell = """
class Point:
    def __init__(self, x): self.x = x
    def twice(self): return helper(self.x)
def helper(x): return x * factor
factor = 2
points = [Point(n) for n in range(20_000)]
by_name = {str(p.x): p for p in points}
"""
    async with opened(folder) as client:
        run = await client.run("a.py", cell)
        assert run["state"]["status"] == "saved" or (await saved(client, run))["status"] == "saved"
        await client.run("a.py", "factor = 3; points[0].x = 5")
        await client.flush("a.py")
    async with opened(folder) as client:
        look = "points[0].twice(), by_name['0'] is points[0], type(points[9]) is Point, len(by_name)"
        assert await client.value("a.py", look) == "(15, True, True, 20000)"


async def test_random_generators_that_a_copy_saves_go_on_where_they_were(folder: Path) -> None:
    async with opened(folder) as client:
        cell = "import random\nrandom.seed(7)\nown = random.Random(3)\nbig = [random.random, own, *range(200_000)]"
        run = await client.run("a.py", cell)
        assert (await saved(client, run))["status"] == "saved"
        drawn = await client.value("a.py", "big[0](), big[1].random(), own.random()")
    async with opened(folder) as client:
        assert await client.value("a.py", "big[0](), big[1].random(), own.random()") == drawn


async def test_the_same_bytes_in_two_variables_of_one_run_are_stored_once(folder: Path) -> None:
    async with opened(folder) as client:
        run = await client.run("a.py", "import os\na = os.urandom(8 << 20)\nb = bytearray(a)")
        state = run["state"] if run["state"]["status"] == "saved" else await saved(client, run)
        assert state["bytes"] < 9 << 20
    async with opened(folder) as client:
        assert await client.value("a.py", "a == b, len(a)") == "(True, 8388608)"
