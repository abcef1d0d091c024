"""Code that does not come back while the session is saved or restored is ended; real processes, once the real limit."""

from __future__ import annotations

import threading
from typing import Any

from driver import Kernel


def captured(kernel: Kernel, code: str) -> tuple[dict[str, Any], list[memoryview]]:
    """Run a cell, and return its snapshot and the buffers of that."""
    answer = kernel.run(code, persist=True)
    if answer["snapshot"] != "pending":
        return answer["snapshot"], answer.buffers
    message = kernel.wait_for("captured")
    return message.header["snapshot"], message.buffers


def test_a_reduction_without_end_is_named_and_the_others_are_saved() -> None:
    with Kernel() as kernel:
        kernel.attach()
        kernel.run("import sys; sys.modules['_holdfast_kernel.watchdog'].SECONDS_FOR_SESSION_CODE = 0.5")
        snapshot, _ = captured(
            kernel,
            """
            import time
            class Waits:
                def __getstate__(self): time.sleep(1000)
            class Loops:
                def __reduce__(self):
                    try:
                        while True: pass
                    except Exception: pass
            bad, worse, good = Waits(), Loops(), [1]
            """,
        )
        reasons = {lost["name"]: lost["reason"] for lost in snapshot["skipped"]}
        assert reasons.keys() == {"bad", "worse"}
        assert "took longer than" in reasons["bad"]
        assert "__getstate__" in reasons["bad"]
        assert "__reduce__" in reasons["worse"]
        assert "good" in snapshot["namesChanged"]
        assert kernel.value("good") == "[1]"


def test_an_object_that_waits_when_it_is_loaded_is_named_and_the_others_come_back() -> None:
    with Kernel() as kernel:
        kernel.attach()
        snapshot, buffers = captured(
            kernel,
            """
            class Waits:
                def __init__(self): self.x = 1
                def __setstate__(self, state):
                    import time; time.sleep(1000)
            bad, good = Waits(), [1]
            """,
        )
    with Kernel() as kernel:
        kernel.attach()
        kernel.send("restore", buffers, id=1, mode="replace", components=snapshot["changed"])
        answer = kernel.wait_for("restored").header
        assert [lost["name"] for lost in answer["failed"]] == ["bad"]
        assert "took longer than" in answer["failed"][0]["reason"]
        assert kernel.value("good") == "[1]"


def test_an_interrupt_ends_what_keeps_a_save_waiting_and_the_others_are_saved() -> None:
    with Kernel() as kernel:
        kernel.attach()
        kernel.start(
            """
            import time
            class Waits:
                def __getstate__(self):
                    print('waits', flush=True)
                    time.sleep(1000)
            bad, good = Waits(), [1]
            """,
            persist=True,
        )
        kernel.wait_for_output("waits")
        answered = threading.Event()

        def press() -> None:
            while not answered.wait(0.2):
                kernel.send("interrupt")

        presses = threading.Thread(target=press)
        presses.start()
        try:
            answer = kernel.finish()
        finally:
            answered.set()
            presses.join()
        (lost,) = answer["snapshot"]["skipped"]
        assert lost["name"] == "bad" and "it was interrupted in __getstate__" in lost["reason"]
        assert answer["status"] == "ok" and "good" in answer["snapshot"]["namesChanged"]
        assert kernel.value("good") == "[1]"
