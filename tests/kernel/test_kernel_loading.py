"""A kernel asks for what it needs of a restore, and takes it in whatever way it comes."""

from __future__ import annotations

from typing import Any

import pytest
from driver import Kernel

MANY = "many = [(n, str(n)) for n in range(50_000)]"


def captured(kernel: Kernel, code: str) -> tuple[dict[str, Any], list[bytes]]:
    """Run code; return the first component of the snapshot and its bytes."""
    kernel.attach()
    answer = kernel.run(code, persist=True)
    snapshot = answer["snapshot"]
    buffers = answer.buffers
    if snapshot == "pending":
        message = kernel.wait_for("captured")
        snapshot, buffers = message.header["snapshot"], message.buffers
    (component,) = (found for found in snapshot["changed"] if found["members"] == ["many"])
    return component, [bytes(buffers[0])]


def restore_later(kernel: Kernel, component: dict[str, Any], contents: list[bytes]) -> None:
    """Have the kernel restore a component that waits until it is needed."""
    kernel.attach()
    described = {
        "id": component["id"],
        "members": component["members"],
        "fingerprint": component["fingerprint"],
        "buffers": 0,
        "sizes": [len(content) for content in contents],
        "later": True,
    }
    kernel.send(
        "restore", id=1, mode="replace", names=None, loading="l1", packs={}, components=[described], environment={}
    )
    answer = kernel.wait_for("restored").header
    assert answer["restored"] == ["many"] and answer["waiting"] == ["many"] and not answer["failed"]


@pytest.fixture
def component() -> tuple[dict[str, Any], list[bytes]]:
    """A component with a pickle that is sent in parts."""
    with Kernel() as kernel:
        return captured(kernel, MANY)


def test_what_a_run_needs_is_asked_for_and_comes_in_parts(component: tuple[dict[str, Any], list[bytes]]) -> None:
    described, (stream,) = component
    with Kernel() as kernel:
        restore_later(kernel, described, [stream])
        kernel.start("len(many)")
        need = kernel.wait_for("need").header
        assert (need["loading"], need["component"], need["wanted"]) == ("l1", described["id"], [[0, "all"]])
        about = {"loading": "l1", "component": described["id"]}
        half = len(stream) // 2
        kernel.send("part", [stream[half:], stream[:half]], into=[(0, half), (0, 0)], **about)
        kernel.send("component", **about)
        assert kernel.finish().result == "50000"
        kernel.wait_for("loaded")


def test_what_turns_out_to_be_damaged_is_never_unpickled_and_is_told(
    component: tuple[dict[str, Any], list[bytes]],
) -> None:
    described, (stream,) = component
    with Kernel() as kernel:
        restore_later(kernel, described, [stream])
        kernel.start("x = 1; 'many' in globals()")
        need = kernel.wait_for("need").header
        about = {"loading": need["loading"], "component": need["component"]}
        kernel.send("part", [stream], into=[(0, 0)], **about)
        kernel.send("component", error="a part of it is not what was written", **about)
        assert kernel.finish().result == "False"
        (failed,) = kernel.wait_for("unloadable").header["failed"]
        assert failed["name"] == "many" and "not what was written" in failed["reason"]


def test_the_death_of_the_daemon_ends_a_kernel_that_waits_for_it(
    component: tuple[dict[str, Any], list[bytes]],
) -> None:
    described, contents = component
    with Kernel() as kernel:
        restore_later(kernel, described, contents)
        kernel.start("len(many)")
        kernel.wait_for("need")
        kernel.die_as_daemon()
        assert kernel.process.wait(60) != 0
