"""The files that runs write: told in the history, with `trackFiles` brought back by undo, never over others' work."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from harness import Client, RpcError, opened

WRITE = "from pathlib import Path\ndef write(name, text):\n    Path(name).write_text(text)\n"


@pytest_asyncio.fixture
async def tracking(folder: Path) -> AsyncIterator[Client]:
    """A daemon that keeps what is in the files, and a session that has a function to write some."""
    async with opened(folder, options={"trackFiles": True, "trackFilesLimit": 1000}) as client:
        await client.run("a.py", WRITE)
        yield client


async def step(client: Client, way: str, **more: Any) -> dict[str, Any]:
    """Undo or redo."""
    restored: dict[str, Any] = await client.request(f"holdfast/state/{way}", {**client.document("a.py"), **more})
    assert restored["success"], restored["message"]
    return restored


async def history(client: Client) -> dict[int, Any]:
    """Return the files that the runs of each version wrote."""
    versions = await client.request("holdfast/state/history", client.document("a.py"))
    return {version["version"]: version.get("files") for version in versions}


def told(actions: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """Return what is said of files, without the reasons."""
    return [(action["path"], action["action"], action["status"]) for action in actions]


async def test_history_names_the_files_that_each_run_wrote(daemon: Client, folder: Path) -> None:
    (folder / ".gitignore").write_text("*.log\n")
    (folder / "old.csv").write_text("1")
    (folder / "gone.csv").write_text("1")
    begin = await until_files_are_watched(daemon)
    # The clock of a file system stands still for some milliseconds: runs that are closer cannot be told apart.
    await daemon.run(
        "a.py", f"import os, time\n{SLOWLY}write('new.csv', 'a'); write('old.csv', '2'); write('x.log', '')"
    )
    await daemon.run("a.py", f"{SLOWLY}os.remove('gone.csv')")
    async with asyncio.timeout(30):
        while not ((found := await history(daemon))[begin + 1] and found[begin + 2]):
            await asyncio.sleep(0.05)
    assert found[begin + 1] == {"created": ["new.csv"], "changed": ["old.csv"], "deleted": []}
    assert found[begin + 2] == {"created": [], "changed": [], "deleted": ["gone.csv"]}


SLOWLY = "n = time.time(); time.sleep(0.05); "


async def until_files_are_watched(client: Client) -> int:
    """Have runs write a file until one is told, as the watcher starts beside the first runs; return the version."""
    async with asyncio.timeout(60):
        while True:
            run = await client.run("a.py", f"{WRITE}\nimport time; probe = time.time(); write('probe.txt', str(probe))")
            version: int = run["state"]["version"]
            for _ in range(40):
                if (await history(client))[version]:
                    return version
                await asyncio.sleep(0.05)


async def test_files_that_no_run_wrote_are_no_part_of_the_history(tracking: Client, folder: Path) -> None:
    (folder / "mine.txt").write_text("by hand")
    await tracking.run("a.py", "x = 1; write('out.txt', 'by a run')")
    assert (await history(tracking))[2] == {"created": ["out.txt"], "changed": [], "deleted": []}


async def test_undo_offers_files_and_touches_none_until_it_is_asked_to(tracking: Client, folder: Path) -> None:
    (folder / "data.csv").write_text("before")
    await tracking.run("a.py", "import os; write('data.csv', 'after'); write('new.csv', 'new')")
    offered = await step(tracking, "undo")
    assert told(offered["files"]) == [("data.csv", "write", "offered"), ("new.csv", "delete", "offered")]
    assert (folder / "data.csv").read_text() == "after"
    shown = await tracking.request("holdfast/state/files", tracking.document("a.py"))
    assert shown["files"] == offered["files"]
    done = await tracking.request("holdfast/state/files", {**tracking.document("a.py"), "apply": True})
    assert told(done["files"]) == [("data.csv", "write", "done"), ("new.csv", "delete", "done")]
    assert (folder / "data.csv").read_text() == "before"
    assert not (folder / "new.csv").exists()
    assert (await tracking.request("holdfast/state/files", tracking.document("a.py")))["files"] == []


async def test_undo_and_redo_take_files_along_run_by_run(tracking: Client, folder: Path) -> None:
    data = folder / "sub" / "data.csv"
    await tracking.run("a.py", "import os; os.mkdir('sub'); write('sub/data.csv', 'one')")
    data.chmod(0o640)
    await tracking.run("a.py", "write('sub/data.csv', 'two')")
    await tracking.run("a.py", "os.remove('sub/data.csv'); os.rmdir('sub')")
    for expected in ("two", "one"):
        await step(tracking, "undo", files=True)
        assert data.read_text() == expected
    assert data.stat().st_mode & 0o777 == 0o640
    await step(tracking, "undo", files=True)
    assert not data.exists()
    for expected in ("one", "two"):
        await step(tracking, "redo", files=True)
        assert data.read_text() == expected
    await step(tracking, "redo", files=True)
    assert not data.exists()


async def test_a_run_that_only_wrote_files_is_undone_by_itself(tracking: Client, folder: Path) -> None:
    await tracking.run("a.py", "x = 1")
    run = await tracking.run("a.py", "write('only.txt', 'file')")
    assert (run["state"]["status"], run["state"]["version"], run["state"]["changed"]) == ("saved", 3, [])
    await step(tracking, "undo", files=True)
    assert not (folder / "only.txt").exists()
    assert await tracking.value("a.py", "x") == "1"


async def test_a_restore_of_an_older_version_brings_the_files_of_then(tracking: Client, folder: Path) -> None:
    for number in (2, 3, 4):
        await tracking.run("a.py", f"n = {number}; write('n.txt', str(n)); write(f'{{n}}.txt', '')")
    params = {**tracking.document("a.py"), "version": 2, "files": True}
    restored = await tracking.request("holdfast/state/restore", params)
    assert told(restored["files"]) == [
        ("3.txt", "delete", "done"),
        ("4.txt", "delete", "done"),
        ("n.txt", "write", "done"),
    ]
    assert (folder / "n.txt").read_text() == "2"
    back = await tracking.request("holdfast/state/restore", {**params, "version": 4})
    assert told(back["files"]) == [("3.txt", "create", "done"), ("4.txt", "create", "done"), ("n.txt", "write", "done")]
    assert (folder / "n.txt").read_text() == "4"


async def test_what_a_failed_run_wrote_is_taken_back_first(tracking: Client, folder: Path) -> None:
    await tracking.run("a.py", "write('data.csv', 'good'); x = [1]")
    await tracking.run("a.py", "write('data.csv', 'half'); x.append(2); 1 / 0")
    restored = await step(tracking, "undo", files=True)
    assert restored["version"] == 2
    assert (folder / "data.csv").read_text() == "good"
    await step(tracking, "undo", files=True)
    assert not (folder / "data.csv").exists()


async def test_a_file_that_changed_since_by_another_hand_is_left_alone(tracking: Client, folder: Path) -> None:
    (folder / "data.csv").write_text("before")
    await tracking.run("a.py", "write('data.csv', 'after'); write('other.csv', 'x')")
    (folder / "data.csv").write_text("the user's own")
    restored = await step(tracking, "undo", files=True)
    assert told(restored["files"]) == [("data.csv", "write", "left"), ("other.csv", "delete", "done")]
    assert "something else" in restored["files"][0]["reason"]
    assert (folder / "data.csv").read_text() == "the user's own"


async def test_ignored_and_large_files_and_documents_are_not_brought_back(tracking: Client, folder: Path) -> None:
    (folder / ".gitignore").write_text("*.log\ncache/\n")
    (folder / "cache").mkdir()
    (folder / "large.bin").write_text("x" * 2000)
    await tracking.run(
        "a.py", "write('x.log', ''); write('cache/y', ''); write('large.bin', 'y' * 3000); write('a.py', '# cell')"
    )
    restored = await step(tracking, "undo", files=True)
    assert told(restored["files"]) == [("large.bin", "write", "left")]
    assert "too large" in restored["files"][0]["reason"]
    assert (folder / "x.log").exists()
    assert (folder / "large.bin").stat().st_size == 3000


async def test_files_come_back_after_kill_nine_of_the_daemon(folder: Path) -> None:
    async with opened(folder, options={"trackFiles": True}) as first:
        (folder / "data.csv").write_text("before")
        await first.run("a.py", WRITE)
        await first.run("a.py", "write('data.csv', 'after')")
        first.process.kill()
        await first.process.wait()
    async with opened(folder, options={"trackFiles": True}) as second:
        await step(second, "undo", files=True)
        assert (folder / "data.csv").read_text() == "before"


@pytest.mark.skipif(os.name != "posix", reason="links need rights on Windows")
async def test_nothing_is_written_through_a_link_that_leads_out_of_the_workspace(
    tracking: Client, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    await tracking.run("a.py", "import os; os.mkdir('sub'); write('sub/f.txt', 'old')")
    await tracking.run("a.py", "os.remove('sub/f.txt')")
    (folder / "sub").rmdir()
    (folder / "sub").symlink_to(outside)
    restored = await step(tracking, "undo", files=True)
    assert told(restored["files"]) == [("sub/f.txt", "create", "left")]
    assert list(outside.iterdir()) == []


async def test_files_that_were_not_kept_are_refused_in_words(daemon: Client) -> None:
    await daemon.run("a.py", "x = 1")
    with pytest.raises(RpcError, match="trackFiles"):
        await daemon.request("holdfast/state/files", daemon.document("a.py"))
