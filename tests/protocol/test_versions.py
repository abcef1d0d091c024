"""What comes back though the file, or the Python, is not what it was."""

from __future__ import annotations

import os
import signal

from harness import Client


async def test_the_source_of_functions_survives_the_file_and_the_kernel(daemon: Client) -> None:
    (daemon.folder / "a.py").write_text("def f():\n    return 'from the file'\n")
    await daemon.run("a.py")
    await daemon.run("a.py", "import inspect\ndef g():\n    return 1 / 0  # typed")
    (daemon.folder / "a.py").unlink()
    os.kill((await daemon.session("a.py"))["pid"], signal.SIGKILL)
    assert await daemon.value("a.py", "inspect.getsource(f)") == repr("def f():\n    return 'from the file'\n")
    failed = await daemon.run("a.py", "g()")
    assert "return 1 / 0  # typed" in "\n".join(failed["error"]["traceback"])
