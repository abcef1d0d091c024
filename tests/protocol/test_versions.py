"""What comes back though the file, or the Python, is not what it was."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from harness import Client, opened
from pythons import find


async def test_the_source_of_functions_survives_the_file_and_the_kernel(daemon: Client) -> None:
    (daemon.folder / "a.py").write_text("def f():\n    return 'from the file'\n")
    await daemon.run("a.py")
    await daemon.run("a.py", "import inspect\ndef g():\n    return 1 / 0  # typed")
    (daemon.folder / "a.py").unlink()
    os.kill((await daemon.session("a.py"))["pid"], signal.SIGKILL)
    assert await daemon.value("a.py", "inspect.getsource(f)") == repr("def f():\n    return 'from the file'\n")
    failed = await daemon.run("a.py", "g()")
    assert "return 1 / 0  # typed" in "\n".join(failed["error"]["traceback"])


@pytest.mark.parametrize(("before", "after"), [("3.11", "3.13"), ("3.12", "3.10"), ("3.14", "3.11")])
async def test_a_file_goes_on_under_another_python(folder: Path, before: str, after: str) -> None:
    first, second = find(before), find(after)
    if first is None or second is None:
        pytest.skip(f"Python {before} or {after} was not found")
    async with opened(folder, options={"interpreter": first}) as client:
        made = "class P:\n    x: int\n    def up(self): return self.x + n"
        await client.run("a.py", f"import dataclasses\n@dataclasses.dataclass\n{made}")
        await client.run("a.py", "n = 2\np = P(1)\ndef twice(): return [p.up() for _ in range(2)]")
        await client.run("a.py", "exec('def lost(): return 1')")
        client.notify("workspace/didChangeConfiguration", {"settings": {"holdfast": {"interpreter": second}}})
        assert await client.value("a.py", "twice(), p == P(1)") == "([3, 3], True)"
        restored = await client.notified("holdfast/state/restored")
        assert f"saved with Python {before}, now {after}" in restored["message"]
        (lost,) = restored["failed"]
        assert lost["name"] == "lost"
        assert lost["reason"].startswith(f"saved with Python {before}, now {after}: ")
        assert (await client.run("a.py", "n = 3"))["state"]["status"] == "saved"
        client.notify("workspace/didChangeConfiguration", {"settings": {"holdfast": {"interpreter": first}}})
        # What could not be used there is used here again.
        assert await client.value("a.py", "twice(), p == P(1), lost()") == "([4, 4], True, 1)"
