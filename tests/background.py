"""Workspaces with a daemon in the background, running or started by whoever needs it; it is ended after the test."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from daemons import in_background
from harness import processes_in, until_gone

from holdfast import endpoint


@pytest.fixture
async def workspace(cold_workspace: Path) -> Path:
    """An empty workspace whose daemon runs; nothing of it is left afterwards."""
    in_background(cold_workspace)
    return cold_workspace


@pytest.fixture
async def cold_workspace(folder: Path) -> AsyncIterator[Path]:
    """An empty workspace, served by no daemon yet; nothing of the one that comes is left afterwards."""
    yield folder
    await kill_daemon(folder)
    await until_gone(folder)


async def kill_daemon(folder: Path) -> None:
    """`kill -9` the daemon of a workspace, if there is one."""
    found = endpoint.locate(folder)
    # A lock file can still name a daemon of before, whose number may be another process's by now.
    if found is not None and found.pid in processes_in(folder):
        with contextlib.suppress(ProcessLookupError):
            os.kill(found.pid, signal.SIGKILL)
