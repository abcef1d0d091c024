"""The life of a session: opened, closed, saved by an editor, renamed, deleted; by notification and on the disk."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness import TIMEOUT, Client, opened


def write_in_place(path: Path, text: str) -> None:
    path.write_text(text)


def truncate_then_write(path: Path, text: str) -> None:
    with path.open("w") as file:
        file.flush()
        os.fsync(file.fileno())
        file.write(text)


def rename_over(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}.tmp")
    draft.write_text(text)
    draft.replace(path)


def rename_away_then_write(path: Path, text: str) -> None:
    path.rename(path.with_name(f"{path.name}~"))
    path.write_text(text)


def delete_then_create(path: Path, text: str) -> None:
    path.unlink()
    path.write_text(text)


SAVES: list[Callable[[Path, str], None]] = [
    write_in_place,
    truncate_then_write,
    rename_over,
    rename_away_then_write,
    delete_then_create,
]


async def eventually(look: Callable[[], Any]) -> Any:
    """Wait until an awaited look returns something true."""
    async with asyncio.timeout(TIMEOUT):
        while not (found := await look()):
            await asyncio.sleep(0.02)
    return found


async def test_an_editors_save_is_no_deletion(folder: Path) -> None:
    saves = {f"{save.__name__}.py": save for save in SAVES}
    for name in saves:
        (folder / name).write_text("# one\n")
    async with opened(folder, options={"grace": 0.2}) as client:
        await asyncio.gather(*(client.run(name, "x = 1") for name in saves))
        pids = {name: (await client.session(name))["pid"] for name in saves}
        for number in range(3):
            for name, save in saves.items():
                save(folder / name, f"# {number}\n")
            await asyncio.sleep(0.1)
        await client.run("other.py", "import time; time.sleep(1.5)")  # longer than settling and grace together
        assert not [name for name, _ in client.notifications if name == "holdfast/state/cleared"]
        for name, pid in pids.items():
            assert (await client.session(name))["pid"] == pid, name
            assert await client.value(name, "x") == "1", name
            assert (await client.state(name))["variableNames"] == ["x"], name


async def test_an_editors_save_that_takes_seconds_on_a_busy_disk_is_no_renaming(folder: Path) -> None:
    path = folder / "a.py"
    path.write_text("# one\n")
    async with opened(folder, options={"grace": 5}) as client:
        await client.run("a.py", "x = 1")
        path.rename(folder / "a.py~")
        await client.run("other.py", "import time; time.sleep(1)")
        path.write_text("# two\n")
        assert await client.value("a.py", "x") == "1"
        await client.run("other.py", "import time; time.sleep(1)")
        assert await client.value("a.py", "x") == "1"
        assert (await client.state("a.py"))["variableNames"] == ["x"]


async def test_a_file_renamed_to_another_kind_takes_its_state_along(folder: Path) -> None:
    (folder / "a.py").write_text("")
    async with opened(folder, options={"grace": 0.2}) as client:
        await client.run("a.py", "x = 1")
        (folder / "a.py").rename(folder / "a.txt")
        assert await client.value("a.txt", "x") == "1"
        assert (await client.state("a.txt"))["variableNames"] == ["x"]


async def test_a_file_renamed_on_disk_takes_its_state_along_at_once(folder: Path) -> None:
    (folder / "a.py").write_text("")
    async with opened(folder) as client:
        await client.run("a.py", "x = [1]")
        pid = (await client.session("a.py"))["pid"]
        (folder / "a.py").rename(folder / "b.py")
        assert await client.value("b.py", "x, __file__") == repr(([1], str(folder / "b.py")))
        assert (await client.session("b.py"))["pid"] == pid
        assert (await client.state("a.py"))["hasSavedState"] is False
        assert (await client.state("b.py"))["variableNames"] == ["x"]
        await client.kill()
    async with opened(folder) as client:
        assert await client.value("b.py", "x") == "[1]"


async def test_a_file_renamed_just_after_the_start_takes_its_state_along(folder: Path) -> None:
    (folder / "a.py").write_text("")
    async with opened(folder) as client:
        await client.run("a.py", "x = 1")
        await client.kill()
    async with opened(folder) as client:
        (folder / "a.py").rename(folder / "b.py")
        assert await client.value("b.py", "x") == "1"


async def test_a_file_moved_between_folders_takes_its_state_along(folder: Path) -> None:
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "a.py").write_text("")
    async with opened(folder) as client:
        await client.run("a.py", "x = 1")
        (folder / "a.py").rename(folder / "deep" / "er" / "b.py")
        await eventually(lambda: has_state(client, "deep/er/b.py"))
        assert await client.value("deep/er/b.py", "x") == "1"


async def test_a_renamed_folder_takes_the_state_of_all_its_files_along(folder: Path) -> None:
    (folder / "old" / "inner").mkdir(parents=True)
    names = ["a.py", "inner/b.py"]
    for name in names:
        (folder / "old" / name).write_text("")
    async with opened(folder) as client:
        for name in names:
            await client.run(f"old/{name}", f"x = {name!r}")
        (folder / "old").rename(folder / "new")
        for name in names:
            await eventually(lambda name=name: has_state(client, f"new/{name}"))
            assert await client.value(f"new/{name}", "x") == repr(name)


async def test_a_rename_told_by_the_editor_is_followed(folder: Path) -> None:
    (folder / "a.py").write_text("")
    (folder / "old").mkdir()
    (folder / "old" / "c.py").write_text("")
    async with opened(folder) as client:
        await client.run("a.py", "x = 1")
        await client.run("old/c.py", "y = 1")
        (folder / "a.py").rename(folder / "b.py")
        (folder / "old").rename(folder / "new")
        files = [
            {"oldUri": client.uri("a.py"), "newUri": client.uri("b.py")},
            {"oldUri": client.uri("old"), "newUri": client.uri("new")},
        ]
        client.notify("workspace/didRenameFiles", {"files": files})
        assert await client.value("b.py", "x") == "1"
        assert await client.value("new/c.py", "y") == "1"


async def has_state(client: Client, name: str) -> bool:
    return bool((await client.state(name))["hasSavedState"])


async def test_a_deleted_file_ends_its_session_after_the_grace_and_can_be_recovered(folder: Path) -> None:
    (folder / "a.py").write_text("")
    async with opened(folder, options={"grace": 0.1}) as client:
        await client.run("a.py", "x = 1")
        (folder / "a.py").unlink()
        cleared = await client.notified("holdfast/state/cleared")
        assert "deleted" in cleared["reason"]
        assert (await client.state("a.py"))["hasSavedState"] is False
        sessions = await client.request("holdfast/sessions", None)
        assert sessions == []
        (folder / "a.py").write_text("")
        restored = await client.request("holdfast/state/restore", client.document("a.py"))
        assert restored["restored"] == ["x"]
        assert await client.value("a.py", "x") == "1"


async def test_a_deleted_folder_ends_all_its_sessions(folder: Path) -> None:
    (folder / "sub").mkdir()
    for name in ("a.py", "b.py"):
        (folder / "sub" / name).write_text("")
    async with opened(folder, options={"grace": 0.1}) as client:
        for name in ("a.py", "b.py"):
            await client.run(f"sub/{name}", "x = 1")
        for name in ("a.py", "b.py"):
            (folder / "sub" / name).unlink()
        (folder / "sub").rmdir()
        for name in ("a.py", "b.py"):
            uri = client.uri(f"sub/{name}")
            await client.notified(
                "holdfast/state/cleared", lambda params, uri=uri: params["textDocument"]["uri"] == uri
            )


async def test_a_deletion_told_by_the_editor_counts_like_one_on_disk(folder: Path) -> None:
    (folder / "a.py").write_text("")
    async with opened(folder, options={"grace": 0.1}) as client:
        await client.run("a.py", "x = 1")
        (folder / "a.py").unlink()
        client.notify("workspace/didDeleteFiles", {"files": [{"uri": client.uri("a.py")}]})
        await client.notified("holdfast/state/cleared")


async def test_a_file_that_comes_back_within_the_grace_has_lost_nothing(folder: Path) -> None:
    (folder / "a.py").write_text("")
    async with opened(folder, options={"grace": 30}) as client:
        await client.run("a.py", "x = 1")
        pid = (await client.session("a.py"))["pid"]
        (folder / "a.py").unlink()
        await client.run("other.py", "import time; time.sleep(1)")
        (folder / "a.py").write_text("# back\n")
        assert await client.value("a.py", "x") == "1"
        assert (await client.session("a.py"))["pid"] == pid


async def test_a_file_that_never_existed_is_not_taken_for_deleted(folder: Path) -> None:
    async with opened(folder, options={"grace": 0.1}) as client:
        await client.run("never.py", "x = 1")
        await client.run("other.py", "import time; time.sleep(1)")
        assert await client.value("never.py", "x") == "1"
        assert not [name for name, _ in client.notifications if name == "holdfast/state/cleared"]


async def test_a_closed_file_keeps_its_state_and_its_kernel_retires_after_the_grace(folder: Path) -> None:
    async with opened(folder, options={"grace": 0.2}) as client:
        item = {"uri": client.uri("a.py"), "languageId": "python", "version": 1, "text": "x = 1\n"}
        client.notify("textDocument/didOpen", {"textDocument": item})
        await client.run("a.py")
        client.notify("textDocument/didClose", client.document("a.py"))
        await client.notified("holdfast/sessionStatus", lambda session: session["status"] == "cold")
        assert "pid" not in await client.session("a.py")
        assert sorted(await client.variables("a.py")) == ["x"]
        client.notify("textDocument/didOpen", {"textDocument": item})
        assert await client.value("a.py", "x") == "1"


async def test_a_file_opened_again_within_the_grace_keeps_its_kernel(folder: Path) -> None:
    async with opened(folder, options={"grace": 30}) as client:
        item = {"uri": client.uri("a.py"), "languageId": "python", "version": 1, "text": "x = 1\n"}
        client.notify("textDocument/didOpen", {"textDocument": item})
        await client.run("a.py")
        pid = (await client.session("a.py"))["pid"]
        client.notify("textDocument/didClose", client.document("a.py"))
        client.notify("textDocument/didOpen", {"textDocument": item})
        assert (await client.session("a.py"))["pid"] == pid


async def test_state_changed_from_outside_is_told_and_overwrites_nothing_in_memory(folder: Path) -> None:
    async with opened(folder) as client:
        await client.run("a.py", "x = 1")
        await client.flush("a.py")
        (folder / ".state").rename(folder / "aside")
        await client.run("b.py", "y = 1")
        assert await client.value("a.py", "x") == "1"
        run = await client.run("a.py", "z = 3")
        assert run["state"]["status"] == "saved"
        assert (await client.state("a.py"))["variableNames"] == ["x", "z"]


async def test_a_state_folder_replaced_by_another_copy_is_told_and_memory_is_kept(folder: Path) -> None:
    async with opened(folder) as client:
        await client.run("a.py", "x = 1")
        await client.flush("a.py")
        shutil.copytree(folder / ".state", folder / "older")
        await client.run("a.py", "x = 2\ny = 2")
        await client.flush("a.py")
        (folder / ".state").rename(folder / "newer")
        (folder / "older").rename(folder / ".state")
        conflict = await client.notified("holdfast/state/conflict")
        assert conflict["textDocument"]["uri"] == client.uri("a.py")
        assert await client.value("a.py", "x, y") == "(2, 2)"
        run = await client.run("a.py", "z = 3")
        assert run["state"]["status"] == "saved"
        await client.kill()
    async with opened(folder) as client:
        assert await client.value("a.py", "x, y, z") == "(2, 2, 3)"
