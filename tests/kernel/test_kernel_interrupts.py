"""Promises about interrupting: user code stops, ours is never cut in two, and the session goes on."""

from __future__ import annotations

import os
import signal

import pytest
from driver import Answer, Kernel


def interrupted(kernel: Kernel, code: str) -> Answer:
    """Run code that prints "now" when it is to be interrupted."""
    kernel.start(code)
    kernel.wait_for_output("now")
    os.kill(kernel.process.pid, signal.SIGINT)
    return kernel.finish()


@pytest.mark.parametrize(
    "code",
    [
        "print('now', flush=True)\nwhile True: pass",
        "import time\nprint('now')\ntime.sleep(1000)",
        "import threading\nlock = threading.Lock()\nlock.acquire()\nprint('now')\nlock.acquire()",
        "import subprocess\nprint('now')\nsubprocess.run(['sleep', '1000'])",
        "import queue\nprint('now')\nqueue.Queue().get()",
        "import asyncio\nprint('now')\nawait asyncio.sleep(1000)",
        "import asyncio\nasync def f():\n  print('now')\n  while True: pass\nawait f()",
        "import asyncio\nprint('now')\nasyncio.run(asyncio.sleep(1000))",
        "import os\nr, w = os.pipe()\nprint('now')\nos.read(r, 1)",
        "while True: print('now')",
        "while True: display('now'); print('now')",
        "import sys\nwhile True: print('now'); print('now', file=sys.stderr)",
    ],
)
def test_user_code_is_interrupted_wherever_it_is(kernel: Kernel, code: str) -> None:
    answer = interrupted(kernel, code)
    assert (answer["status"], answer["error"]["ename"]) == ("interrupted", "KeyboardInterrupt")
    assert 'File "<run 1>"' in answer.traceback
    assert "holdfast" not in answer.traceback
    assert kernel.value("1 + 1") == "2"


def test_an_interrupted_await_runs_its_finally_and_shows_where_it_was(kernel: Kernel) -> None:
    answer = interrupted(
        kernel,
        "import asyncio\nasyncio.get_running_loop().call_soon(print, 'now')\n"
        "try:\n    await asyncio.sleep(1000)\nfinally:\n    cleaned = True",
    )
    assert answer["status"] == "interrupted"
    assert "line 4, in <module>" in answer.traceback
    assert kernel.value("cleaned") == "True"


def test_the_message_interrupts_like_the_signal(kernel: Kernel) -> None:
    kernel.start("import time\nprint('now')\ntime.sleep(1000)")
    kernel.wait_for_output("now")
    kernel.send("interrupt")
    assert kernel.finish()["status"] == "interrupted"


def test_an_interrupt_between_runs_is_dropped(kernel: Kernel) -> None:
    for _ in range(20):
        os.kill(kernel.process.pid, signal.SIGINT)
        assert kernel.value("1 + 1") in ("2",)
        os.kill(kernel.process.pid, signal.SIGINT)
        kernel.ask("variables")


def test_interrupts_at_any_instant_never_break_a_frame(kernel: Kernel) -> None:
    import threading

    stop = threading.Event()

    def fire() -> None:
        while not stop.wait(0.0003):
            os.kill(kernel.process.pid, signal.SIGINT)

    thread = threading.Thread(target=fire)
    thread.start()
    try:
        statuses = {kernel.run("for n in range(20): display('x' * n); y = str(n)")["status"] for _ in range(150)}
    finally:
        stop.set()
        thread.join()
    assert statuses <= {"ok", "interrupted"}
    assert kernel.value("1 + 1") == "2"


def test_a_handler_of_the_users_own_stays_theirs_and_only_while_cells_run(kernel: Kernel) -> None:
    kernel.run("import signal, time\nhits = []\nsignal.signal(signal.SIGINT, lambda *a: hits.append(1))")
    kernel.run("2")
    os.kill(kernel.process.pid, signal.SIGINT)
    kernel.start("print('now')\nwhile not hits: time.sleep(0.01)")
    kernel.wait_for_output("now")
    os.kill(kernel.process.pid, signal.SIGINT)
    assert kernel.finish()["status"] == "ok"
    assert kernel.value("len(hits)") == "1"


@pytest.mark.parametrize("default", ["signal.default_int_handler", "signal.SIG_DFL", "before"])
def test_restoring_the_default_handler_brings_ours_back(kernel: Kernel, default: str) -> None:
    kernel.run("import signal, time\nbefore = signal.signal(signal.SIGINT, lambda *a: None)")
    kernel.run(f"signal.signal(signal.SIGINT, {default})")
    assert interrupted(kernel, "print('now')\ntime.sleep(1000)")["status"] == "interrupted"
    assert kernel.value("1") == "1"


def test_ignoring_the_signal_is_respected(kernel: Kernel) -> None:
    kernel.run("import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)")
    answer = kernel.run("import os\nos.kill(os.getpid(), signal.SIGINT)\n'went on'")
    assert answer.result == "'went on'"


def test_a_raising_alarm_between_or_after_runs_harms_nothing(kernel: Kernel) -> None:
    kernel.run(
        """
        import signal
        def bang(*_): raise TimeoutError("bang")
        signal.signal(signal.SIGALRM, bang)
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0007)
        """
    )
    for _ in range(200):
        assert kernel.run("x = 1", persist=True)["status"] in ("ok", "error")
    while kernel.run("signal.setitimer(signal.ITIMER_REAL, 0)")["status"] != "ok":
        continue
    assert kernel.value("x") == "1"


def test_an_alarm_reaches_user_code(kernel: Kernel) -> None:
    answer = kernel.run(
        """
        import signal, time
        def bang(*_): raise TimeoutError("bang")
        signal.signal(signal.SIGALRM, bang)
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        time.sleep(1000)
        """
    )
    assert answer["error"]["ename"] == "TimeoutError"
