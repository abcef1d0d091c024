"""Copies of the kernel that save: what becomes of one that gets nowhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from driver import Kernel, gone

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the kernel is copied on Linux only")

LOCKED = """
import os, threading
KERNEL, lock = os.getpid(), threading.Lock()
class Locked:
    def __reduce__(self):
        if os.getpid() != KERNEL:
            with open("copy", "w") as marker: marker.write(str(os.getpid()))
            lock.acquire()
            lock.acquire()  # which nobody releases in the copy
        return Locked, ()
"""
SLOW = """
import os, time
KERNEL = os.getpid()
class Slow:
    def __reduce__(self):
        time.sleep(0.1 if os.getpid() != KERNEL else 0)
        return Slow, ()
"""
BIG = "big = [Locked(), *range(200_000)]"


@pytest.fixture
def copying(document: Path) -> Iterator[Kernel]:
    """A kernel whose copies are ended when they get nowhere for two seconds."""
    with Kernel(copies=2.0) as kernel:
        kernel.attach(document, cwd=document.parent, path0=str(document.parent))
        yield kernel


def test_a_copy_that_waits_for_a_lock_for_ever_is_ended_and_the_kernel_saves(copying: Kernel, document: Path) -> None:
    answer = copying.run(LOCKED, persist=True)
    copying.send("committed", seq=answer["snapshot"]["seq"])
    answer = copying.run(BIG, persist=True)
    assert (answer["snapshot"], answer["copy"]) == ("pending", True)
    copy = copying.copy()
    assert copying.value("1 + 1") == "2", "the next run waits for the copy"
    assert copy.receive() is None, "the copy was not ended"
    pid = int((document.parent / "copy").read_text())
    copying.send("rejected", seq=copying.copied["seq"])  # as the daemon does, which sees the copy go
    captured = copying.ask("capture", full=False)
    assert "big" in captured["snapshot"]["namesChanged"]
    assert gone(pid)
    copying.run("x = 1", persist=True)
    assert not Path(f"/proc/{pid}").exists(), "nobody waited for the copy that had ended"
    assert copying.value("len(big), os.getpid() == KERNEL") == "(200001, True)"


def test_a_copy_that_takes_long_and_gets_on_is_let_be(copying: Kernel) -> None:
    answer = copying.run(SLOW, persist=True)
    copying.send("committed", seq=answer["snapshot"]["seq"])
    answer = copying.run("big = [*(Slow() for _ in range(25)), *range(200_000)]", persist=True)
    assert (answer["snapshot"], answer["copy"]) == ("pending", True)
    captured = copying.copy().receive()
    assert captured is not None, "the copy was ended"
    assert "big" in captured.header["snapshot"]["namesChanged"]
