"""Every test has a workspace, a runtime folder and a configuration folder of its own."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from harness import Client, until_gone


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Let a process that has nothing left to do take over what another has not begun.

    Else it would wait for the tests that the other was given beforehand, some of which take a hundred times as long as
    most.
    """
    from xdist.scheduler import WorkStealingScheduling

    return WorkStealingScheduling(config, log) if config.option.dist == "load" else None


@pytest.fixture(autouse=True)
def own_folders(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keep tests apart from each other and from the user's own Holdfast; a Unix socket's path has 108 bytes at most."""
    folder = Path(tempfile.mkdtemp(prefix="hf-"))
    monkeypatch.setenv("HOLDFAST_RUNTIME_DIR", str(folder / "run"))
    monkeypatch.setenv("HOLDFAST_CONFIG_DIR", str(folder / "config"))
    monkeypatch.setenv("PYTHONUNBUFFERED", "1")
    yield
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty workspace."""
    workspace = Path(os.path.realpath(tmp_path)) / "work"
    workspace.mkdir()
    return workspace


@pytest.fixture
async def daemon(folder: Path) -> AsyncIterator[Client]:
    """A greeted `holdfast serve --stdio`, and proof that nothing of it is left afterwards."""
    client = await Client.open(folder)
    yield client
    await client.kill()
    await until_gone(folder)
