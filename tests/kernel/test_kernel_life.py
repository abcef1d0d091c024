"""Promises about the process: interpreters, children, its death and that of the daemon."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from driver import PATIENCE, Kernel, gone, plain_environment
from pythons import find

VERSIONS = ("3.10", "3.12", "3.13", "3.14")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_bare_interpreter_is_enough(version: str, document: Path) -> None:
    python = find(version)
    if python is None:
        pytest.skip(f"there is no Python {version} here")
    with Kernel(python) as kernel:
        kernel.attach(document)
        assert kernel.ready["python"].startswith(version)
        answer = kernel.run(
            """
            import asyncio, sys
            def f(): return [1, {"a": (2,)}]
            print("out"); print("err", file=sys.stderr)
            await asyncio.sleep(0)
            display(f())
            f()
            """
        )
        assert (answer.stdout, answer.stderr, answer.result) == ("out\n", "err\n", "[1, {'a': (2,)}]")
        failed = kernel.run("def g():\n    1/0\ng()")
        assert "ZeroDivisionError" in failed.traceback and "holdfast" not in failed.traceback
        assert kernel.run("x = (")["error"]["line"] == 0
        assert kernel.ask("inspect", expression="f()")["result"]["rows"] == [[0, 1], [1, "{'a': (2,)}"]]
        saved = kernel.run("y = f()", persist=True)["snapshot"]
        assert "y" in saved["namesChanged"]
        kernel.start("print('now')\nwhile True: pass")
        kernel.wait_for_output("now")
        os.kill(kernel.process.pid, signal.SIGINT)
        assert kernel.finish()["status"] == "interrupted"


def test_an_empty_virtual_environment_is_enough(tmp_path: Path, document: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    with Kernel(str(tmp_path / "bare/bin/python")) as kernel:
        kernel.attach(document)
        assert kernel.ready["prefix"] == str(tmp_path / "bare")
        assert kernel.value("1 + 1") == "2"
        assert kernel.run("import cloudpickle")["error"]["ename"] == "ModuleNotFoundError"


def test_nothing_of_ours_is_on_the_users_path(kernel: Kernel, document: Path) -> None:
    kernel.run("import sys")
    assert kernel.value("sys.path[0]") == repr(str(document.parent))
    assert kernel.value("[p for p in sys.path if 'holdfast' in p]") == "[]"
    kernel.run("import os")
    assert set(kernel.run("print(*os.environ, sep='\\n')").stdout.split()) - {"LC_CTYPE"} == set(plain_environment())


def test_os_exit_ends_the_process(kernel: Kernel) -> None:
    kernel.start("import os\nprint('last words')\nos._exit(7)")
    assert kernel.wait_for_death() == 7
    assert (
        kernel.events == [("stdout", b"last words"), ("stdout", b"\n")]
        or b"".join(content for _, content in kernel.events) == b"last words\n"
    )


def test_a_segfault_leaves_its_traceback(kernel: Kernel) -> None:
    kernel.start("import ctypes\ndef deep():\n    ctypes.string_at(0)\ndeep()")
    assert kernel.wait_for_death() == -signal.SIGSEGV
    os.set_blocking(kernel.crash_read, False)
    report = os.read(kernel.crash_read, 1 << 16).decode()
    assert "Segmentation fault" in report
    assert 'File "<run 1>", line 3 in deep' in report


@pytest.mark.parametrize(
    "busy",
    ["while True: pass", "import time\ntime.sleep(1000)", "import subprocess\nsubprocess.run(['sleep', '1000'])", None],
)
def test_the_kernel_and_its_children_end_with_the_daemon(document: Path, busy: str | None) -> None:
    with Kernel() as kernel:
        kernel.attach(document)
        kernel.run("import subprocess\nchild = subprocess.Popen(['sleep', '1000'])")
        child = int(kernel.value("child.pid"))
        if busy:
            kernel.start("print('now')\n" + busy)
            kernel.wait_for_output("now")
        kernel.socket.close()
        assert kernel.process.wait(PATIENCE) == -signal.SIGKILL
        assert gone(child)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks the Linux kernel for a signal")
def test_c_code_that_never_lets_go_of_the_interpreter_ends_with_the_daemon_too(kernel: Kernel) -> None:
    kernel.run("import subprocess\nchild = subprocess.Popen(['sleep', '1000'])")
    child = int(kernel.value("child.pid"))
    kernel.start("import ctypes\nprint('now')\nctypes.PyDLL(None).sleep(1000)")
    kernel.wait_for_output("now")
    kernel.die_as_daemon()
    assert kernel.process.wait(PATIENCE) == -signal.SIGKILL
    assert gone(child)


def test_a_child_forked_outside_of_a_run_ends_too(kernel: Kernel) -> None:
    kernel.run("import os")
    answer = kernel.ask("inspect", expression="os.fork()")
    child = int(answer["result"]["data"]["text/plain"])
    assert kernel.value(f"os.waitpid({child}, 0)[1]") == "0"


def test_noise_on_the_line_ends_the_kernel_too(kernel: Kernel) -> None:
    kernel.socket.sendall(b"GET / HTTP/1.1\r\n\r\n")
    assert kernel.process.wait(PATIENCE) == -signal.SIGKILL


def test_a_message_it_does_not_understand_is_logged_and_survived(kernel: Kernel) -> None:
    kernel.send("nonsense")
    assert "nonsense" in kernel.wait_for("log").header["message"]
    kernel.send("inspect")
    assert kernel.wait_for("log").header["level"] == "error"
    assert kernel.value("1") == "1"


def test_shutdown_runs_exit_handlers(kernel: Kernel) -> None:
    kernel.run("import atexit\natexit.register(print, 'bye')")
    kernel.send("shutdown")
    assert kernel.wait_for_death() == 0
    assert b"".join(content for _, content in kernel.events) == b"bye\n"


@pytest.mark.parametrize(
    "code",
    [
        "import time\nprint('now')\ntime.sleep(1000)",
        "import threading, time\nthreading.Thread(target=time.sleep, args=(1000,)).start()\nprint('now')",
        "import atexit, time\natexit.register(time.sleep, 1000)\nprint('now')",
        "import time\nprint('now')\nwhile True:\n  try: time.sleep(1000)\n  except KeyboardInterrupt: pass",
    ],
)
def test_shutdown_waits_for_no_one(kernel: Kernel, code: str) -> None:
    kernel.start(code)
    kernel.wait_for_output("now")
    kernel.send("shutdown")
    assert kernel.wait_for_death() == 0


def test_a_forked_child_prints_and_ends_without_answering(kernel: Kernel) -> None:
    answer = kernel.run(
        """
        import os
        pid = os.fork()
        if pid:
            status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            print("parent", status)
        else:
            print("child")
            display("child shows")
        """
    )
    assert answer.stdout == "child\n'child shows'\nparent 0\n"
    assert kernel.value("status") == "0"


@pytest.mark.parametrize(("end", "status"), [("1/0", 1), ("raise SystemExit(5)", 5), ("input()", 1), ("'x'", 0)])
def test_a_forked_child_ends_as_a_script_would(kernel: Kernel, end: str, status: int) -> None:
    parent = "print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))"
    answer = kernel.run(f"import os\npid = os.fork()\nif not pid:\n  {end}\nelse:\n  {parent}")
    assert answer.stdout == f"{status}\n"
    assert answer["status"] == "ok"


def test_a_forked_child_does_not_hold_the_connection(document: Path) -> None:
    with Kernel() as kernel:
        kernel.attach(document)
        kernel.run(
            """
            import os, time
            pid = os.fork()
            if not pid:
                os.setsid()
                time.sleep(1000)
            """
        )
        child = int(kernel.value("pid"))
        try:
            kernel.process.kill()
            assert kernel.wait_for_death() == -signal.SIGKILL
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing_works(kernel: Kernel, document: Path, method: str) -> None:
    code = (
        "import multiprocessing\ndef square(x):\n    return x * x\nif __name__ == '__main__':\n"
        f"    context = multiprocessing.get_context('{method}')\n    with context.Pool(2) as pool:\n"
        "        print(pool.map(square, range(4)))"
    )
    document.write_text(code)
    assert kernel.run(code, filename=str(document)).stdout == "[0, 1, 4, 9]\n"


def test_spawned_children_of_a_notebook_do_not_run_it(tmp_path: Path) -> None:
    notebook = tmp_path / "book.ipynb"
    notebook.write_text('{"cells": []}')
    with Kernel() as kernel:
        kernel.attach(notebook)
        answer = kernel.run(
            """
            import math, multiprocessing
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                print(pool.map(math.sqrt, [4]))
            """
        )
        assert (answer.stdout, answer.stderr) == ("[2.0]\n", "")


def test_a_crash_of_a_child_is_not_reported_as_ours(kernel: Kernel) -> None:
    kernel.run("import ctypes, os\npid = os.fork()\nif not pid: ctypes.string_at(0)\nos.waitpid(pid, 0);")
    os.set_blocking(kernel.crash_read, False)
    with pytest.raises(BlockingIOError):
        os.read(kernel.crash_read, 1)
