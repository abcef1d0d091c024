"""What is saved is there: after kills, restarts, moves and deletions."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import Client, RpcError, opened, until_gone


async def test_variables_survive_kill_nine_of_the_daemon(folder: Path) -> None:
    async with opened(folder) as first:
        run = await first.run("a.py", "def double(v): return v * factor\nfactor = 2\nnumbers = [1, 2]\nalias = numbers")
        assert run["state"]["status"] == "saved"
        await first.kill()
    await until_gone(folder)
    async with opened(folder) as second:
        assert sorted(await second.variables("a.py")) == ["alias", "double", "factor", "numbers"]
        code = "alias.append(3)\nfactor = 10\nanswer = [double(v) for v in numbers]"
        assert (await second.run("a.py", code))["status"] == "ok"
        assert await second.value("a.py", "answer, alias is numbers") == "([10, 20, 30], True)"
        restored = await second.notified("holdfast/state/restored")
        assert restored["variableCount"] == 4
        assert restored["version"] == 1


async def test_variables_survive_kill_nine_of_the_kernel(daemon: Client) -> None:
    await daemon.run("a.py", "x = {'deep': [1, 2]}")
    os.kill((await daemon.session("a.py"))["pid"], signal.SIGKILL)
    assert await daemon.value("a.py", "x") == "{'deep': [1, 2]}"


async def test_large_arrays_come_back_in_memory_that_is_aligned(daemon: Client) -> None:
    # Names and lengths of many kinds, so that nothing ends where the next should begin by chance.
    for number in range(3):
        await daemon.run(
            "a.py",
            f"import numpy\na{number} = numpy.arange(10_001 + {number}.)\n"
            f"longer_name{number} = numpy.ones(100_001 + {number}, 'u1')\nb{number} = numpy.arange(70_001, dtype='f4')",
        )
    os.kill((await daemon.session("a.py"))["pid"], signal.SIGKILL)
    arrays = "[value for value in list(globals().values()) if isinstance(value, numpy.ndarray)]"
    assert await daemon.value("a.py", f"{{(a.flags.aligned, a.ctypes.data % 16) for a in {arrays}}}") == "{(True, 0)}"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", ["SIGSEGV"]),
        ("import os; os._exit(7)", ["exit code 7"]),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", ["SIGKILL"]),
        ("import ctypes; ctypes.string_at(0)", ["SIGSEGV"]),
    ],
)
async def test_a_dying_kernel_is_reported_with_its_cause_and_replaced(
    daemon: Client, code: str, words: list[str]
) -> None:
    await daemon.run("a.py", "kept = 'yes'")
    before = (await daemon.session("a.py"))["pid"]
    run = await daemon.run(
        "a.py", f"lost = 1\nprint('last words', flush=True)\n{code}", options={"collectOutputs": True}
    )
    assert run["status"] == "died"
    assert all(word in run["error"]["cause"] for word in words), run["error"]
    assert "memory had reached" in run["error"]["cause"]
    assert run["outputs"][0]["text"] == "last words\n"
    session = await daemon.idle("a.py")
    assert session["pid"] != before
    assert await daemon.value("a.py", "kept, 'lost' in globals()") == "('yes', False)"


async def test_listing_and_state_need_no_kernel(folder: Path) -> None:
    async with opened(folder) as first:
        await first.run("a.py", "x = 1\ntext = 'hello'")
        await first.shutdown()
    async with opened(folder) as second:
        state = await second.state("a.py")
        assert state["hasSavedState"] is True
        assert state["variableNames"] == ["text", "x"]
        assert state["variableCount"] == 2
        assert state["trusted"] is True
        assert state["pickleProtocol"] == 5
        assert state["fileSizeBytes"] > 0
        assert state["stateFileExists"] is True
        assert state["checksum"]
        assert state["environment"]["python"]
        variables = await second.variables("a.py", match="te*")
        assert variables["text"]["preview"] == "'hello'"
        assert variables["text"]["loaded"] is False
        history = await second.request("holdfast/state/history", second.document("a.py"))
        assert [version["code"] for version in history] == ["x = 1\ntext = 'hello'"]
        assert (await second.session("a.py"))["status"] == "cold"


async def test_an_unpicklable_variable_is_named_and_costs_the_others_nothing(daemon: Client) -> None:
    run = await daemon.run(
        "a.py", "good = [1]\nbad = (lambda g: (next(g), g)[1])(i for i in range(-1, 3))\nboth = [good, bad]"
    )
    assert run["state"]["status"] == "saved"
    skipped = {lost["name"]: lost for lost in run["state"]["skipped"]}
    assert set(skipped) == {"bad", "both"}
    assert all(lost["reason"] and lost["remedy"] and lost["type"] for lost in skipped.values())
    assert (await daemon.state("a.py"))["variableNames"] == ["good"]
    assert (await daemon.variables("a.py"))["bad"]["saved"] == "skipped"


async def test_a_deleted_variable_stays_deleted(folder: Path) -> None:
    async with opened(folder) as first:
        await first.run("a.py", "x = 1\ny = 2")
        run = await first.run("a.py", "del x")
        assert run["state"]["removed"] == ["x"]
        await first.kill()
    async with opened(folder) as second:
        assert await second.value("a.py", "sorted(n for n in globals() if not n.startswith('_'))") == "['y']"


async def test_history_lists_every_version_newest_first(daemon: Client) -> None:
    for number in range(5):
        await daemon.run("a.py", f"x = {number}")
    everything = await daemon.request("holdfast/state/history", daemon.document("a.py"))
    assert [version["version"] for version in everything] == [5, 4, 3, 2, 1]
    assert everything[0]["parent"] == 4
    page = await daemon.request("holdfast/state/history", {**daemon.document("a.py"), "limit": 2, "before": 4})
    assert [version["version"] for version in page] == [3, 2]


async def test_an_older_version_can_be_restored_and_is_what_comes_back_next_time(folder: Path) -> None:
    async with opened(folder) as first:
        await first.run("a.py", "x = 1")
        await first.run("a.py", "x = 2\ny = 2")
        restored = await first.request("holdfast/state/restore", {**first.document("a.py"), "version": 1})
        assert restored["success"] is True
        assert restored["version"] == 1
        assert restored["restored"] == ["x"]
        assert await first.value("a.py", "x, 'y' in globals()") == "(1, False)"
        await first.kill()
    async with opened(folder) as second:
        assert await second.value("a.py", "x, 'y' in globals()") == "(1, False)"
        versions = await second.request("holdfast/state/history", second.document("a.py"))
        assert [version["version"] for version in versions] == [2, 1]


async def test_single_names_can_be_restored_from_an_older_version(daemon: Client) -> None:
    await daemon.run("a.py", "x = 1\ny = 1")
    await daemon.run("a.py", "x = 2\ny = 2")
    restored = await daemon.request("holdfast/state/restore", {**daemon.document("a.py"), "version": 1, "names": ["x"]})
    assert restored["restored"] == ["x"]
    assert await daemon.value("a.py", "x, y") == "(1, 2)"
    os.kill((await daemon.session("a.py"))["pid"], signal.SIGKILL)
    assert await daemon.value("a.py", "x, y") == "(1, 2)"


async def test_restoring_what_is_not_there_is_a_clear_error(daemon: Client) -> None:
    await daemon.run("a.py", "x = 1")
    with pytest.raises(RpcError) as caught:
        await daemon.request("holdfast/state/restore", {**daemon.document("a.py"), "version": 99})
    assert caught.value.code == -32014
    with pytest.raises(RpcError):
        await daemon.request("holdfast/state/restore", {**daemon.document("a.py"), "names": ["nope"]})
    nothing = await daemon.request("holdfast/state/restore", daemon.document("other.py"))
    assert nothing["success"] is False
    assert await daemon.value("a.py", "x") == "1"


async def test_restore_and_clear_are_refused_while_a_cell_runs(daemon: Client) -> None:
    await daemon.run("a.py", "x = 1")
    _, running = daemon.start_request(
        "holdfast/execute", {**daemon.document("a.py"), "code": "print('on')\nwhile True: pass"}
    )
    await daemon.notified("holdfast/output", lambda params: params["output"].get("text") == "on\n")
    for method in ("restore", "clear"):
        with pytest.raises(RpcError) as caught:
            await daemon.request(f"holdfast/state/{method}", daemon.document("a.py"))
        assert caught.value.code == -32015
    await daemon.request("holdfast/interrupt", daemon.document("a.py"))
    assert (await running)["status"] == "interrupted"


async def test_clear_goes_to_the_trash_and_restore_brings_it_back(daemon: Client) -> None:
    await daemon.run("a.py", "x = 1")
    cleared = await daemon.request("holdfast/state/clear", daemon.document("a.py"))
    assert cleared["success"] is True
    await daemon.notified("holdfast/state/cleared")
    assert (await daemon.state("a.py"))["hasSavedState"] is False
    assert await daemon.variables("a.py") == {}
    restored = await daemon.request("holdfast/state/restore", daemon.document("a.py"))
    assert restored["restored"] == ["x"]
    assert await daemon.value("a.py", "x") == "1"


async def test_clear_with_forget_is_for_good(daemon: Client) -> None:
    await daemon.run("a.py", "x = 1")
    await daemon.request("holdfast/state/clear", {**daemon.document("a.py"), "forget": True})
    restored = await daemon.request("holdfast/state/restore", daemon.document("a.py"))
    assert restored["success"] is False
    run = await daemon.run("a.py", "y = 1")
    assert run["executionCount"] == 1
    assert sorted(await daemon.variables("a.py")) == ["y"]


async def test_restart_keeps_the_saved_variables_or_drops_them(daemon: Client) -> None:
    await daemon.run("a.py", "x = 1")
    before = (await daemon.session("a.py"))["pid"]
    session = await daemon.request("holdfast/restart", daemon.document("a.py"))
    assert session["status"] == "idle"
    assert session["pid"] != before
    assert await daemon.value("a.py", "x") == "1"
    await daemon.request("holdfast/restart", {**daemon.document("a.py"), "restore": False})
    assert await daemon.variables("a.py") == {}
    assert (await daemon.state("a.py"))["variableNames"] == ["x"]
    await daemon.run("a.py", "y = 1")
    assert (await daemon.state("a.py"))["variableNames"] == ["y"]


async def test_flush_returns_once_all_is_durable_and_writes_metadata_for_people(daemon: Client) -> None:
    await daemon.run("sub dir/a.py", "x = 1")
    state = await daemon.flush("sub dir/a.py")
    assert state["version"] == 1
    found = list((daemon.folder / ".state").rglob("metadata.json"))
    assert len(found) == 1
    described = json.loads(found[0].read_text())
    assert described["variableCount"] == 1
    assert isinstance(await daemon.request("holdfast/state/flush", {}), list)


async def test_a_large_save_says_saving_and_then_saved(daemon: Client) -> None:
    run = await daemon.run("a.py", "import os\nblob = os.urandom(12_000_000)")
    assert run["state"]["status"] in {"saving", "saved"}
    if run["state"]["status"] == "saving":
        settled = await daemon.notified("holdfast/state/saved", lambda params: params["runId"] == run["runId"])
        assert settled["state"]["status"] == "saved"
    state = await daemon.flush("a.py")
    assert state["variableNames"] == ["blob", "os"]
    run = await daemon.run("a.py", "len(blob)", options={"collectOutputs": True})
    assert run["outputs"][0]["data"]["text/plain"] == "12000000"


async def test_a_removed_state_folder_is_noticed_and_the_next_run_saves_everything(folder: Path) -> None:
    async with opened(folder) as first:
        await first.run("a.py", "x = 1")
        await first.run("a.py", "y = 2")
        shutil.rmtree(folder / ".state")
        await first.notified("holdfast/state/cleared")
        run = await first.run("a.py", "z = 3")
        assert run["state"]["status"] == "saved"
        await first.kill()
    async with opened(folder) as second:
        assert await second.value("a.py", "x, y, z") == "(1, 2, 3)"


async def test_a_state_folder_that_cannot_be_used_fails_the_save_and_not_the_run(folder: Path) -> None:
    (folder / ".state").write_text("I am a file")
    async with opened(folder) as client:
        run = await client.run("a.py", "x = 1")
        assert run["status"] == "ok"
        assert run["state"]["status"] == "failed"
        assert run["state"]["reason"]
        (folder / ".state").unlink()
        run = await client.run("a.py", "y = 2")
        assert run["state"]["status"] == "saved"
        assert sorted(run["state"]["changed"]) == ["x", "y"]


@pytest.mark.parametrize("track_files", [False, True])
async def test_a_state_folder_that_is_a_link_to_elsewhere_is_not_followed(
    folder: Path, tmp_path: Path, track_files: bool
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (folder / ".state").symlink_to(elsewhere)
    async with opened(folder, options={"trackFiles": track_files}) as client:
        run = await client.run("a.py", "x = 1")
        assert run["status"] == "ok"
        assert run["state"]["status"] == "failed"
        assert not list(elsewhere.iterdir())


async def test_state_signed_by_somebody_else_is_not_unpickled(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(folder) as first:
        await first.run("a.py", "x = 1")
        await first.shutdown()
    monkeypatch.setenv("HOLDFAST_CONFIG_DIR", str(folder.parent / "another-user"))
    async with opened(folder) as second:
        assert (await second.state("a.py"))["trusted"] is False
        with pytest.raises(RpcError) as caught:
            await second.request("holdfast/state/restore", second.document("a.py"))
        assert caught.value.code == -32012
        run = await second.run("a.py", "'x' in globals()", options={"collectOutputs": True})
        assert run["outputs"][0]["data"]["text/plain"] == "False"
        assert await second.notified("holdfast/state/conflict")


async def test_damaged_bytes_are_named_and_everything_else_comes_back(folder: Path) -> None:
    async with opened(folder) as first:
        await first.run("a.py", "import random; big = random.Random(1).randbytes(3_000_000)")
        await first.run("a.py", "small = [1, 2, 3]")
        await first.shutdown()
    pack = max((folder / ".state").rglob("*.pack"), key=lambda path: path.stat().st_size)
    content = bytearray(pack.read_bytes())
    content[len(content) // 2] ^= 0xFF
    pack.write_bytes(content)
    async with opened(folder) as second:
        assert await second.value("a.py", "small, 'big' in globals()") == "([1, 2, 3], False)"
        restored: dict[str, Any] = await second.notified("holdfast/state/restored", lambda params: params["failed"])
        assert [lost["name"] for lost in restored["failed"]] == ["big"]
        run = await second.run("a.py", "other = 1")
        assert run["state"]["status"] == "saved"


async def test_inspect_shows_a_value_and_refuses_nonsense(daemon: Client) -> None:
    await daemon.run("a.py", "numbers = list(range(100))")
    found = await daemon.request(
        "holdfast/inspect", {**daemon.document("a.py"), "expression": "numbers", "offset": 10, "limit": 5}
    )
    assert found["type"] == "list"
    assert found["total"] == 100
    assert len(found["rows"]) == 5
    assert "text/plain" in found["data"]
    with pytest.raises(RpcError):
        await daemon.request("holdfast/inspect", {**daemon.document("a.py"), "expression": "nope"})


async def test_names_are_inspected_while_a_cell_runs(daemon: Client) -> None:
    await daemon.run("a.py", "x = 5")
    _, running = daemon.start_request(
        "holdfast/execute", {**daemon.document("a.py"), "code": "print('on')\nwhile True: pass"}
    )
    await daemon.notified("holdfast/output", lambda params: params["output"].get("text") == "on\n")
    found = await daemon.request("holdfast/inspect", {**daemon.document("a.py"), "expression": "x"})
    assert found["data"]["text/plain"] == "5"
    assert "x" in await daemon.variables("a.py")
    await daemon.request("holdfast/interrupt", daemon.document("a.py"))
    await running


async def test_a_run_can_ask_to_be_synced(daemon: Client) -> None:
    run = await daemon.run("a.py", "x = 1", options={"durability": "synced"})
    assert run["state"]["status"] == "saved"


async def test_versions_stay_in_order_while_large_saves_are_under_way(daemon: Client) -> None:
    await daemon.run("a.py", "import os\nblob = os.urandom(12_000_000)")
    runs = await asyncio.gather(*(daemon.run("a.py", f"x = {i}") for i in range(10)))
    assert {run["state"]["status"] for run in runs} <= {"saved", "saving"}
    await daemon.flush("a.py")
    history = await daemon.request("holdfast/state/history", daemon.document("a.py"))
    assert [version["code"] for version in reversed(history)][1:] == [f"x = {i}" for i in range(10)]


def mount(*arguments: str) -> bool:
    """Mount something; False where this user may not."""
    return (
        shutil.which("mount") is not None and subprocess.run(["mount", *arguments], capture_output=True).returncode == 0
    )


async def test_a_full_disk_fails_the_save_and_the_next_run_tries_again(folder: Path) -> None:
    state = folder / ".state"
    state.mkdir()
    if sys.platform != "linux" or not mount("-t", "tmpfs", "-o", "size=2m,mode=0700", "tmpfs", str(state)):
        pytest.skip("mounting a small disk takes root on Linux")
    try:
        async with opened(folder) as client:
            assert (await client.run("a.py", "x = 1"))["state"]["status"] == "saved"
            run = await client.run("a.py", "import os\nbig = os.urandom(3_500_000)")
            assert run["status"] == "ok"
            saved = run["state"]
            assert saved["status"] == "failed"
            assert "space" in saved["reason"] or "full" in saved["reason"]
            assert (await client.session("a.py"))["dirty"] is True
            run = await client.run("a.py", "big = None\ny = 2")
            assert run["state"]["status"] == "saved", run["state"]
            assert set(run["state"]["changed"]) >= {"y", "big"}
            await client.kill()
        async with opened(folder) as client:
            assert await client.value("a.py", "x, y, big") == "(1, 2, None)"
    finally:
        subprocess.run(["umount", "-l", str(state)], check=True)


async def test_state_of_a_newer_format_is_refused_without_harm(folder: Path) -> None:
    async with opened(folder) as first:
        await first.run("a.py", "x = 1")
        await first.shutdown()
    catalog = folder / ".state" / "catalog.sqlite"
    with contextlib.closing(sqlite3.connect(catalog)) as database:
        (version,) = database.execute("PRAGMA user_version").fetchone()
        database.execute("PRAGMA user_version = 999")
    before = catalog.read_bytes()
    async with opened(folder) as second:
        for method in ("state/get", "variables", "state/history"):
            with pytest.raises(RpcError) as caught:
                await second.request(f"holdfast/{method}", second.document("a.py"))
            assert caught.value.code == -32013
            assert "newer" in caught.value.message
        run = await second.run("a.py", "y = 1")
        assert run["status"] == "ok"
        assert run["state"]["status"] == "failed"
        assert await second.notified("holdfast/state/conflict")
        await second.kill()
    assert catalog.read_bytes() == before
    with contextlib.closing(sqlite3.connect(catalog)) as database:
        database.execute(f"PRAGMA user_version = {version}")
    async with opened(folder) as third:
        assert await third.value("a.py", "x") == "1"


@contextlib.contextmanager
def memory_limit(pid: int, size: int) -> Iterator[None]:
    """Put a process into a control group with little memory; skips where this user may not."""
    root = Path("/sys/fs/cgroup")
    first = (root / "memory").is_dir()
    group = (root / "memory" if first else root) / f"holdfast-test-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"control groups take root on Linux ({error})")
    try:
        try:
            (group / ("memory.limit_in_bytes" if first else "memory.max")).write_text(str(size))
            (group / "cgroup.procs").write_text(str(pid))
        except OSError as error:
            pytest.skip(f"this machine has no control group for memory ({error})")
        yield
    finally:
        for _ in range(500):
            try:
                group.rmdir()
                break
            except OSError:
                time.sleep(0.01)  # the killed process is still being taken down


async def test_a_kernel_killed_for_memory_says_so_and_comes_back(daemon: Client) -> None:
    await daemon.run("a.py", "kept = 1")
    pid = (await daemon.session("a.py"))["pid"]
    with memory_limit(pid, 200_000_000):
        run = await daemon.run("a.py", "hoard = []\nwhile True: hoard.append(bytearray(b'x' * 1_000_000))")
    assert run["status"] == "died"
    assert "ran out of memory" in run["error"]["cause"]
    assert "memory had reached" in run["error"]["cause"]
    assert await daemon.value("a.py", "kept") == "1"


CHILDREN = "sum(len(open(path).read().split()) for path in glob.glob(f'/proc/{os.getppid()}/task/*/children'))"


async def test_no_spare_kernel_takes_the_processor_from_a_restore_and_one_stands_ready_after_it(folder: Path) -> None:
    code = "class Slow:\n    def __setstate__(self, state): import time; time.sleep(1.5)\nslow = Slow(); slow.kept = 1"
    async with opened(folder) as client:
        await client.run("a.py", f"import glob, os\n{code}")
    async with opened(folder) as client:
        assert await client.value("a.py", f"type(slow).__name__, {CHILDREN}") == "('Slow', 1)"
        async with asyncio.timeout(30):
            while await client.value("a.py", CHILDREN) != "2":
                await asyncio.sleep(0.02)
