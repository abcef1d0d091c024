"""A workspace on a disk that is full: cells run, what was saved stays, and saving resumes when there is room."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import opened


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A workspace on a disk of four megabytes."""
    place = tmp_path / "disk"
    place.mkdir()
    if shutil.which("mount") is None or os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)]
    if subprocess.run(command, check=False, capture_output=True).returncode != 0:
        pytest.skip("this system does not let us mount a tmpfs")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


async def test_on_a_full_disk_no_run_breaks_and_saving_resumes_when_there_is_room(small: Path) -> None:
    ballast = small / "ballast"
    async with opened(small) as client:
        assert (await client.run("a.py", "n = 0"))["state"]["status"] == "saved"
        saved, failures = 0, 0
        for number in range(1, 25):
            ballast.write_bytes(b"")
            if number % 6:
                with contextlib.suppress(OSError):  # the daemon, which writes as well, took some of it
                    ballast.write_bytes(bytes(shutil.disk_usage(small).free - 4096 * (number % 5)))
            run = await client.run("a.py", f"n = {number}; import os; pad = os.urandom(20_000)")
            assert run["status"] == "ok"
            if run["state"]["status"] == "saved":
                saved = number
            else:
                assert run["state"]["status"] == "failed" and "room" in run["state"]["reason"]
                failures += 1
        assert failures > 5
        assert await client.value("a.py", "n") == "24"
        await client.kill()
    ballast.unlink()
    async with opened(small) as client:
        assert await client.value("a.py", "n") == str(saved)
        run = await client.run("a.py", "n = 'again'")
        assert run["state"]["status"] == "saved"
        assert (await client.request("holdfast/state/verify", {}))["ok"]
        await client.kill()
    async with opened(small) as client:
        assert await client.value("a.py", "n") == "'again'"


async def test_a_workspace_that_was_moved_while_no_daemon_ran_has_its_state(folder: Path) -> None:
    async with opened(folder) as client:
        await client.run("dir/a.py", "x = [1]")
        await client.shutdown()
    moved = folder.with_name("elsewhere")
    folder.rename(moved)
    async with opened(moved) as client:
        assert await client.value("dir/a.py", "x") == "[1]"
        assert (await client.request("holdfast/state/verify", {}))["ok"]
