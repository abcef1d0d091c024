"""What was saved is tried in a copy of the kernel, of which nobody notices anything but the verdict."""

from __future__ import annotations

import os
import sys
import textwrap
import time
from pathlib import Path

import pytest
from driver import PATIENCE, Answer, Kernel

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the kernel is copied on Linux only")

LIBRARY = """
    import os, socket, sys, threading, time

    class Drops:
        def __init__(self): self.weights = [1.5]; self.n = 3
        def __getstate__(self): return {"n": self.n}

    class Noisy:
        def __init__(self): self.n = 1
        def __setstate__(self, state):
            print("out"); print("err", file=sys.stderr); os.write(1, b"raw"); os.system("echo shell")
            self.__dict__.update(state)

    class Hangs:
        def __init__(self, marker): self.marker = marker
        def __setstate__(self, state):
            with open(state["marker"], "w") as marker: marker.write(str(os.getpid()))
            while True: time.sleep(0.01)

    class Crashes:
        def __init__(self): self.n = 1
        def __setstate__(self, state): os.kill(os.getpid(), 11)

    class Changes:
        count = 0
        def __init__(self): self.n = 1
        def __setstate__(self, state): Changes.count += 1; self.__dict__.update(state)
    """


@pytest.fixture
def lying(kernel: Kernel, document: Path) -> Kernel:
    """A kernel that has imported a library whose pickles lie."""
    (document.parent / "lying.py").write_text(textwrap.dedent(LIBRARY))
    save(kernel, "import lying, os")
    return kernel


def save(kernel: Kernel, code: str) -> Answer:
    """Run a cell and play the store that has what it changed."""
    answer = kernel.run(code, persist=True)
    assert answer["status"] == "ok", answer["error"]
    kernel.send("committed", seq=answer["snapshot"]["seq"])
    return answer


def verify(kernel: Kernel) -> None:
    """Wait until everything was tried."""
    kernel.send("verify", id=1)
    kernel.wait_for("verified")


def wait_for_copy(marker: Path) -> int:
    """Wait until a copy says that it hangs; return its process id."""
    deadline = time.monotonic() + PATIENCE
    while not (marker.exists() and marker.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return int(marker.read_text())


def skipped(snapshot: dict[str, list[dict[str, str]]]) -> dict[str, str]:
    """Return what a snapshot says is lost, and why."""
    return {lost["name"]: lost["reason"] for lost in snapshot["skipped"]}


def test_what_does_not_come_back_is_told_while_the_kernel_is_idle(lying: Kernel) -> None:
    save(lying, "bad = lying.Drops(); good = [1]")
    told = lying.wait_for("unfaithful").header
    assert (told["run"], told["members"]) == (2, ["bad"])
    snapshot = lying.ask("capture", unfaithful=True)["snapshot"]
    assert "bad.weights is missing" in skipped(snapshot)["bad"]
    assert snapshot["namesRemoved"] == ["bad"]
    assert lying.value("bad.weights") == "[1.5]"


def test_nothing_that_the_copy_does_is_noticed(lying: Kernel) -> None:
    before = lying.value("sorted(os.listdir('/proc/self/fd'))")
    save(lying, "noisy = lying.Noisy(); changes = lying.Changes()")
    verify(lying)
    assert [content for kind, content in lying.events if kind != "output"] == []
    assert lying.value("lying.Changes.count") == "0"
    assert lying.value("sorted(os.listdir('/proc/self/fd'))") == before
    assert lying.run("try: os.waitpid(-1, os.WNOHANG)\nexcept ChildProcessError: print('none')").stdout == "none\n"


def test_a_copy_that_hangs_delays_no_run_and_is_ended(lying: Kernel, document: Path) -> None:
    marker = document.parent / "marker"
    save(lying, f"hangs = lying.Hangs({str(marker)!r})")
    copy = wait_for_copy(marker)
    assert lying.value("1 + 1") == "2"
    os.kill(copy, 0)
    assert skipped(save(lying, "y = 1")["snapshot"]) == {}
    # The alarm that the copy has set for itself, early.
    os.kill(copy, 14)
    verify(lying)
    assert skipped(save(lying, "y = 2")["snapshot"]) == {}


def test_a_copy_that_crashes_proves_nothing_and_the_others_are_tried(lying: Kernel) -> None:
    save(lying, "crashes = lying.Crashes()\nbad = lying.Drops()")
    verify(lying)
    assert lying.wait_for("unfaithful").header["members"] == ["bad"]
    assert set(skipped(lying.ask("capture", unfaithful=True)["snapshot"])) == {"bad"}


def test_open_files_of_the_session_are_not_touched(lying: Kernel, document: Path) -> None:
    (document.parent / "data").write_text("abcdef")
    save(
        lying,
        """
        class Touches:
            def __getstate__(self):
                if os.getpid() != owner: reading.read(2); writing.flush()
                return {"n": 1}
        owner = os.getpid()
        reading = open("data", "rb", buffering=0); writing = open("written", "w")
        thing = Touches(); writing.write("once")
        """,
    )
    verify(lying)
    assert lying.value("reading.tell()") == "0"
    lying.run("writing.flush()")
    assert (document.parent / "written").read_text() == "once"


def test_a_connection_that_is_closed_meanwhile_is_closed(lying: Kernel, document: Path) -> None:
    marker = document.parent / "marker"
    save(lying, f"import socket\none, other = socket.socketpair(); hangs = lying.Hangs({str(marker)!r})")
    copy = wait_for_copy(marker)
    assert lying.value("one.close(), other.setblocking(False), other.recv(1)") == "(None, None, b'')"
    os.kill(copy, 14)


def test_a_session_of_plain_values_and_arrays_is_never_copied(kernel: Kernel) -> None:
    kernel.run("import os, numpy as np\ncopies = []\nos.register_at_fork(before=lambda: copies.append(1))")
    save(kernel, "a = np.arange(9.); b = {'x': [1, a]}; c = 'text'\ndef f(): return a")
    verify(kernel)
    assert kernel.value("copies") == "[]"


def test_where_somebody_counts_children_nothing_is_copied(lying: Kernel) -> None:
    lying.run("import signal\nended = []\nsignal.signal(signal.SIGCHLD, lambda *_: ended.append(1))")
    save(lying, "bad = lying.Drops()")
    verify(lying)
    assert lying.value("ended") == "[]"
    assert skipped(lying.ask("capture")["snapshot"]) == {}


def test_a_request_to_verify_is_answered_at_once_while_a_cell_runs(lying: Kernel) -> None:
    save(lying, "bad = lying.Drops()")
    lying.start("input()")
    question = lying.wait_for("input").header
    lying.send("verify", id=1)
    lying.wait_for("verified")
    lying.send("input_reply", id=question["id"], value="")
    lying.finish()
