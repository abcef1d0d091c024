"""Things with a recipe, across the death of a real kernel."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from harness import Client


async def test_a_file_being_written_is_intact_after_kill_9_and_is_written_on(daemon: Client, tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    await daemon.run("a.py", f"f = open({str(path)!r}, 'w'); n = f.write('one\\n')")
    os.kill((await daemon.session("a.py"))["pid"], signal.SIGKILL)
    assert await daemon.value("a.py", "f.mode, f.tell()") == "('w', 4)"
    assert path.read_text() == "one\n"
    await daemon.run("a.py", "f.write('two\\n'); f.close()")
    assert path.read_text() == "one\ntwo\n"


async def test_a_registered_type_survives_kill_9_and_goes_on_being_saved(daemon: Client) -> None:
    await daemon.run(
        "a.py", "import holdfast\nclass R:\n    def __init__(self, n): self.n = n; self.g = iter(lambda: n, 0)"
    )
    await daemon.run(
        "a.py", "holdfast.register(R, lambda r: r.n, R); r = R(3); r.x = (lambda g: (next(g), g)[1])(i for i in '-a')"
    )
    for expected in ("3", "4"):
        os.kill((await daemon.session("a.py"))["pid"], signal.SIGKILL)
        assert await daemon.value("a.py", "r.n") == expected
        await daemon.run("a.py", "r.n += 1; r.x = (lambda g: (next(g), g)[1])(i for i in '-b')")
