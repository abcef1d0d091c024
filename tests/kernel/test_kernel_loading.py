"""A kernel asks for what it needs of a restore, and takes it in whatever way it comes."""

from __future__ import annotations

from pathlib import Path
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
    component = snapshot["changed"][0]
    return component, [bytes(buffers[0])]


def described(component: dict[str, Any], contents: list[bytes], **more: Any) -> dict[str, Any]:
    """Describe a component as in the message that begins a restore."""
    about = {name: component[name] for name in ("id", "members", "fingerprint")}
    return {**about, "buffers": 0, "sizes": [len(content) for content in contents], **more}


def restore(kernel: Kernel, components: list[dict[str, Any]], contents: list[bytes]) -> None:
    """Send the message that begins a restore."""
    kernel.attach()
    about = {"loading": "l1", "packs": {}, "environment": {}}
    kernel.send("restore", contents, id=1, mode="replace", names=None, components=components, **about)


def restore_later(kernel: Kernel, component: dict[str, Any], contents: list[bytes]) -> None:
    """Have the kernel restore a component that waits until it is needed."""
    restore(kernel, [described(component, contents, later=True)], [])
    answer = kernel.wait_for("restored").header
    assert answer["restored"] == ["many"] and answer["waiting"] == ["many"] and not answer["failed"]


@pytest.fixture
def component() -> tuple[dict[str, Any], list[bytes]]:
    """A component with a pickle that is sent in parts."""
    with Kernel() as kernel:
        return captured(kernel, MANY)


def test_what_a_run_needs_is_asked_for_and_comes_in_parts(component: tuple[dict[str, Any], list[bytes]]) -> None:
    saved, (stream,) = component
    with Kernel() as kernel:
        restore_later(kernel, saved, [stream])
        kernel.start("len(many)")
        need = kernel.wait_for("need").header
        assert (need["loading"], need["component"], need["wanted"]) == ("l1", saved["id"], [[0, "all"]])
        about = {"loading": "l1", "component": saved["id"]}
        half = len(stream) // 2
        kernel.send("part", [stream[half:], stream[:half]], into=[(0, half), (0, 0)], **about)
        kernel.send("component", **about)
        assert kernel.finish().result == "50000"
        kernel.wait_for("loaded")


def test_what_waits_is_on_its_way_while_a_restore_imports_modules(
    component: tuple[dict[str, Any], list[bytes]], tmp_path: Path
) -> None:
    many, (stream,) = component
    (tmp_path / "some_library.py").write_text("def function(): pass")
    env = {"PYTHONPATH": str(tmp_path)}
    with Kernel(env=env) as kernel:
        function, contents = captured(kernel, "from some_library import function")
    with Kernel(env=env) as kernel:
        restore(kernel, [described(function, contents), described(many, [stream], later=True)], contents)
        first = kernel.wait_until(lambda frame: frame.header["type"] in {"need", "restored"}).header
        assert (first["type"], first["component"]) == ("need", many["id"])
        assert kernel.wait_for("restored").header["waiting"] == ["many"]
        about = {"loading": "l1", "component": many["id"]}
        kernel.start("len(many)")
        kernel.send("part", [stream], into=[(0, 0)], **about)
        kernel.send("component", **about)
        assert kernel.finish().result == "50000"


def test_what_turns_out_to_be_damaged_is_never_unpickled_and_is_told(
    component: tuple[dict[str, Any], list[bytes]],
) -> None:
    saved, (stream,) = component
    with Kernel() as kernel:
        restore_later(kernel, saved, [stream])
        kernel.start("x = 1; 'many' in globals()")
        need = kernel.wait_for("need").header
        about = {"loading": need["loading"], "component": need["component"]}
        kernel.send("part", [stream], into=[(0, 0)], **about)
        kernel.send("component", error="a part of it is not what was written", **about)
        assert kernel.finish().result == "False"
        (failed,) = kernel.wait_for("unloadable").header["failed"]
        assert failed["name"] == "many" and "not what was written" in failed["reason"]


def test_what_is_refused_while_it_waits_is_told_and_never_asked_for(
    component: tuple[dict[str, Any], list[bytes]],
) -> None:
    saved, (stream,) = component
    tiny = [(0, stream.hex())]  # the kernel has all of it already
    with Kernel() as kernel:
        restore(kernel, [described(saved, [stream], later=True, tiny=tiny)], [])
        kernel.send("refuse", components=[saved["id"]], reason="it is not trusted any more")
        kernel.start("'many' in globals()")
        (failed,) = kernel.wait_for("unloadable").header["failed"]
        assert (failed["name"], failed["reason"]) == ("many", "it is not trusted any more")
        assert kernel.finish().result == "False"


def test_the_death_of_the_daemon_ends_a_kernel_that_waits_for_it(
    component: tuple[dict[str, Any], list[bytes]],
) -> None:
    saved, contents = component
    with Kernel() as kernel:
        restore_later(kernel, saved, contents)
        kernel.start("len(many)")
        kernel.wait_for("need")
        kernel.die_as_daemon()
        assert kernel.process.wait(60) != 0
