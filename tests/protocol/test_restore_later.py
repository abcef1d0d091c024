"""A restore maps what is large and loads the rest when it is needed; nothing of that is noticed, but for the time."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from pathlib import Path
from typing import Any

from harness import Client, opened

ARRAY = "import numpy as np; big = np.random.default_rng(1).random(1 << 21)"
"""16 MiB that cannot be compressed: raw in the packs, and mapped."""
MANY = "many = [(n, str(n)) for n in range(60_000)]; twin = {'many': many}"
"""A large pickle, in one component with two variables."""


def packs(folder: Path) -> list[Path]:
    """Return the pack files, the largest first."""
    return sorted((folder / ".state").rglob("*.pack"), key=lambda path: -path.stat().st_size)


async def mapped_files(client: Client, name: str) -> str:
    """Return the mappings of a session's kernel."""
    pid = (await client.session(name))["pid"]
    return Path(f"/proc/{pid}/maps").read_text(encoding="utf-8")


async def saved(folder: Path, *cells: str) -> None:
    """Run cells in one life of a daemon."""
    async with opened(folder) as client:
        for cell in cells:
            assert (await client.run("a.py", cell))["status"] == "ok"
        await client.shutdown()


async def test_a_large_array_is_mapped_and_what_is_written_to_it_reaches_no_file(folder: Path) -> None:
    await saved(folder, ARRAY, "total = float(big.sum())")
    before = {path: path.read_bytes() for path in packs(folder)}
    async with opened(folder) as client:
        assert await client.value("a.py", "float(big.sum()) == total, big.flags.writeable") == "(True, True)"
        assert packs(folder)[0].name in await mapped_files(client, "a.py")
        await client.run("a.py", "big[:] = 1.0")
        await client.flush("a.py")
        assert all(path.read_bytes().startswith(content) for path, content in before.items())
        await client.shutdown()
    async with opened(folder) as client:
        assert await client.value("a.py", "float(big.sum())") == "2097152.0"
        assert (await client.request("holdfast/state/restore", {**client.document("a.py"), "version": 1}))["success"]
        assert await client.value("a.py", "float(big.sum()) > 0, float(big[0]) == 1.0") == "(True, False)"


async def test_packs_that_are_removed_after_a_restore_stay_readable_for_it(folder: Path) -> None:
    await saved(folder, ARRAY, MANY, "small = 1")
    async with opened(folder) as client:
        assert await client.value("a.py", "small") == "1"
        for path in packs(folder):
            path.unlink()
        assert await client.value("a.py", "len(many), twin['many'] is many, big.shape") == "(60000, True, (2097152,))"


async def test_everything_is_saved_again_when_the_folder_goes_though_not_all_was_loaded(folder: Path) -> None:
    await saved(folder, ARRAY, MANY, "small = 1")
    async with opened(folder) as client:
        await client.run("a.py", "small = 2")
        (folder / ".state").rename(folder / "moved")
        assert (await client.run("a.py", "small = 3"))["state"]["status"] in {"saved", "saving"}
        await client.flush("a.py")
        await client.shutdown()
    async with opened(folder) as client:
        assert await client.value("a.py", "small, len(many), big.shape") == "(3, 60000, (2097152,))"


async def test_what_is_not_loaded_yet_is_listed_looked_at_deleted_and_bound_anew(folder: Path) -> None:
    await saved(folder, MANY, "other = [(n, str(n)) for n in range(60_000)]", "small = 1")
    async with opened(folder) as client:
        restored = await client.request("holdfast/state/restore", client.document("a.py"))
        assert set(restored["restored"]) == {"many", "twin", "other", "small"}
        assert "loaded when they are needed" in restored["message"]
        listed = await client.variables("a.py")
        assert listed["many"]["length"] == 60_000 and listed["small"]["loaded"]
        assert listed["many"]["saved"] == "saved"
        look = await client.request("holdfast/inspect", {**client.document("a.py"), "expression": "other", "limit": 1})
        assert look["total"] == 60_000
        assert (await client.variables("a.py"))["other"]["loaded"]
        await client.run("a.py", "del many")
        await client.run("a.py", "other = 5")
        await client.shutdown()
    async with opened(folder) as client:
        look = "'many' in globals(), len(twin['many']), other, small"
        assert await client.value("a.py", look) == "(False, 60000, 5, 1)"


async def test_a_save_loses_nothing_that_is_not_loaded_yet(folder: Path) -> None:
    uses = "class Point:\n    def __init__(self, x): self.x = x\npoints = [Point(n) for n in range(40_000)]"
    await saved(folder, MANY, uses, "del Point", "small = 1")
    async with opened(folder) as client:
        for number in range(3):
            assert (await client.run("a.py", f"small = {number}; str(small)"))["state"]["status"] == "saved"
        await client.kill()
    async with opened(folder) as client:
        look = "small, len(many), twin['many'] is many, points[7].x, type(points[8]) is type(points[9])"
        assert await client.value("a.py", look) == "(2, 60000, True, 7, True)"


async def test_kernels_and_daemons_that_are_killed_while_they_load_lose_nothing(folder: Path) -> None:
    await saved(folder, ARRAY, *(f"v{n} = [(i, str(i)) for i in range(30_000)]" for n in range(6)))
    for delay in (0.0, 0.1):
        async with opened(folder) as client:
            await client.run("a.py", "x = 1")
            pid = (await client.session("a.py"))["pid"]
            client.start_request("holdfast/execute", {**client.document("a.py"), "code": "exec('len(v5)')"})
            await asyncio.sleep(delay)
            os.kill(pid, signal.SIGKILL)
            assert await client.value("a.py", "len(v0) + len(v5), x") == "(60000, 1)"
            await client.run("a.py", "x = 1")
            await client.kill()


async def test_an_interrupt_ends_the_wait_for_what_is_loaded_and_it_is_loaded_later(folder: Path) -> None:
    slow = (
        "import time\n"
        "class Slow:\n"
        "    def __getstate__(self): return {'n': 1}\n"
        "    def __setstate__(self, state): time.sleep(0.02)\n"
        "slow = [Slow() for _ in range(60)]; pad = [(n, str(n)) for n in range(60_000)]; both = [slow, pad]"
    )
    await saved(folder, slow)
    async with opened(folder) as client:
        await client.run("a.py", "x = 1")
        _, run = client.start_request("holdfast/execute", {**client.document("a.py"), "code": "n = len(slow)"})
        await client.notified("holdfast/sessionStatus", lambda params: params["status"] == "busy")
        await asyncio.sleep(0.3)
        interrupted = await client.request("holdfast/interrupt", client.document("a.py"))
        if interrupted["interrupted"]:
            assert (await asyncio.wait_for(run, 60))["status"] in {"interrupted", "ok"}
        assert await client.value("a.py", "len(slow), len(both[1])") == "(60, 60000)"


async def test_damage_in_what_was_mapped_is_told_and_the_variable_is_marked(folder: Path) -> None:
    await saved(folder, ARRAY, "small = 1")
    pack = packs(folder)[0]
    content = bytearray(pack.read_bytes())
    content[len(content) // 3] ^= 0xFF
    pack.write_bytes(content)
    async with opened(folder) as client:
        assert await client.value("a.py", "big.shape") == "(2097152,)"
        told: dict[str, Any] = await client.notified("holdfast/state/conflict")
        assert "big" in told["reason"] and "damaged" in told["reason"]
        listed = await client.variables("a.py")
        assert listed["big"]["saved"] == "skipped" and listed["small"]["saved"] == "saved"


async def test_a_pack_that_was_cut_off_is_told_and_crashes_nothing(folder: Path) -> None:
    await saved(folder, ARRAY, "small = 1")
    pack = packs(folder)[0]
    os.truncate(pack, pack.stat().st_size - (1 << 20))
    async with opened(folder) as client:
        assert await client.value("a.py", "small, 'big' in globals()") == "(1, False)"
        restored = await client.notified("holdfast/state/restored", lambda params: params["failed"])
        assert [lost["name"] for lost in restored["failed"]] == ["big"]


async def test_what_cannot_be_mapped_is_read(folder: Path) -> None:
    async with opened(folder) as client:
        await client.run("a.py", ARRAY)
        await client.run("a.py", "total = float(big.sum())")
        await client.flush("a.py")
        pack = packs(folder)[0]
        shutil.copy(pack, folder / "copy")
        (folder / "copy").rename(pack)  # another file, as far as the kernel can tell
        await client.request("holdfast/restart", client.document("a.py"))
        assert await client.value("a.py", "float(big.sum()) == total, big.flags.writeable") == "(True, True)"
        assert pack.name not in await mapped_files(client, "a.py")


async def test_names_are_restored_into_a_session_that_has_not_loaded_all(folder: Path) -> None:
    await saved(folder, MANY, "small = 1", "many = 0; small = 2", "more = [(n, str(n)) for n in range(60_000)]")
    async with opened(folder) as client:
        await client.run("a.py", "x = 1")
        params = {**client.document("a.py"), "version": 1, "names": ["many"]}
        assert (await client.request("holdfast/state/restore", params))["restored"] == ["many"]
        assert await client.value("a.py", "len(many), small, len(more), x") == "(60000, 2, 60000, 1)"
