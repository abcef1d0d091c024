"""`holdfast demo`: kills what it started and nothing else, and leaves nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from background import kill_daemon
from harness import until_gone

from holdfast import endpoint
from holdfast_client import connect

SCRIPT = """\
# %% [markdown]
# Words.
# %% make
shared = []
alias = {"shared": shared}
# %% slow
import time
for n in range(40):
    print(n, flush=True)
    time.sleep(0.05)
# %% proof
print("same list:", alias["shared"] is shared)
"""


def demo(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the demo with temporary folders inside of `folder`."""
    return subprocess.run(
        [sys.executable, "-m", "holdfast", "demo", *arguments],
        cwd=folder,
        env={**os.environ, "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=100,
    )


async def test_variables_survive_the_demo_and_nothing_is_left(cold_workspace: Path) -> None:
    script = cold_workspace / "mine.py"
    script.write_text(SCRIPT)
    done = demo(cold_workspace, "mine.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("kill -9") >= 2
    assert "All 2 variables were there" in done.stdout and "same list: True" in done.stdout
    assert [path.name for path in cold_workspace.iterdir()] == ["mine.py"]
    await until_gone(cold_workspace)


async def test_other_daemons_are_left_alone(workspace: Path) -> None:
    (workspace / "mine.py").write_text(SCRIPT)
    async with connect(workspace) as hf:
        session = await hf.open("mine.py")
        await session.run("precious = 1")
        before = endpoint.locate(workspace)
        assert demo(workspace, "mine.py").returncode == 0
        assert endpoint.locate(workspace) == before
        assert [variable.name for variable in await session.variables()] == ["precious"]
    await kill_daemon(workspace)


async def test_a_script_that_fails_before_the_middle_is_said_to_be_unfit(cold_workspace: Path) -> None:
    (cold_workspace / "mine.py").write_text("# %%\n1 / 0\n# %%\nx = 1\n")
    done = demo(cold_workspace, "mine.py")
    assert done.returncode == 1 and "Cell 1 failed" in done.stderr
    await until_gone(cold_workspace)
