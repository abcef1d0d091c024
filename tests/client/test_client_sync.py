"""The blocking face of the client."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast import endpoint, protocol
from holdfast_client import ConnectionLost, HoldfastError, NotConnected
from holdfast_client.sync import Client, connect


@pytest.fixture
def hf(workspace: Path) -> Iterator[Client]:
    """A connected client."""
    with connect(workspace, on_input=lambda question: question.prompt.upper()) as client:
        yield client


def test_a_script_runs_code_and_reads_the_outputs(hf: Client) -> None:
    session = hf.open("a.py")
    run = session.run("x = 41\nprint(x + 1)")
    assert run.status == "ok"
    assert run.outputs == [{"output_type": "stream", "name": "stdout", "text": "42\n"}]


def test_outputs_are_iterated_over_while_they_come(hf: Client) -> None:
    session = hf.open("a.py")
    running = session.start("import time\nfor n in range(3):\n    print(n, flush=True)\n    time.sleep(0.05)")
    texts = [output["text"] for output in running]
    assert "".join(texts) == "0\n1\n2\n"
    assert running.done and running.result().status == "ok"


def test_everything_the_async_client_does_is_there(hf: Client, workspace: Path) -> None:
    (workspace / "a.py").write_text("# %%\none = 1\n# %%\ntwo = 2\n")
    session = hf.open("a.py")
    assert session.run_cell(1).status == "ok"
    assert session.run_range(0, 2).status == "ok"
    assert session.run_file().status == "ok"
    assert sorted(variable.name for variable in session.variables()) == ["one", "two"]
    assert session.inspect("one").data["text/plain"] == "1"
    assert isinstance(session.flush(), protocol.State)
    assert session.state().has_saved_state
    assert len(session.history()) == 2
    assert session.restore().success
    assert session.restart().status in ("idle", "starting", "restoring", "cold")
    assert session.interrupt() is False
    assert len(hf.sessions()) == 1 and len(hf.flush()) == 1
    assert session.clear().success


def test_input_is_answered_by_a_function_that_may_block(hf: Client) -> None:
    assert hf.open("a.py").run("print(input('kelp'))").outputs == [
        {"output_type": "stream", "name": "stdout", "text": "KELP\n"}
    ]


def test_events_are_iterated_over(hf: Client) -> None:
    events = hf.events(protocol.SESSION_STATUS)
    hf.open("a.py").run("1")
    assert next(events).params.text_document.uri.endswith("a.py")


def test_errors_are_the_same_exceptions(hf: Client, workspace: Path) -> None:
    (workspace / "a.py").touch()
    with pytest.raises(HoldfastError, match="no cell 5"):
        hf.open("a.py").run_cell(5)
    found = endpoint.locate(workspace)
    assert found is not None
    os.kill(found.pid, signal.SIGKILL)
    with pytest.raises(ConnectionLost):
        while True:
            hf.sessions()


def test_a_missing_daemon_is_said_and_no_thread_is_left(cold_workspace: Path) -> None:
    import threading

    before = threading.active_count()
    with pytest.raises(NotConnected):
        connect(cold_workspace, start=False)
    assert threading.active_count() == before


CTRL_C = """
import os, signal, sys, threading, time, traceback
from holdfast_client.sync import connect

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs begin with none

def press_ctrl_c_when_waiting(main):
    while not any(frame.name == "result" for frame in traceback.extract_stack(sys._current_frames()[main])):
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGINT)

with connect(".") as hf:
    session = hf.open("a.py")
    running = session.start("import time; print('on it', flush=True); time.sleep(600)")
    next(iter(running))
    threading.Thread(target=press_ctrl_c_when_waiting, args=[threading.get_ident()], daemon=True).start()
    try:
        running.result()
    except KeyboardInterrupt:
        print(session.run("2").status)
"""


def test_ctrl_c_while_a_run_is_awaited_cancels_it(cold_workspace: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CTRL_C], cwd=cold_workspace, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "ok\n", done.stderr
