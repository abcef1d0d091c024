"""Types that the user taught the session: ``holdfast.register``."""

from __future__ import annotations

import pytest
from sessions import Session

HANDLE = """
import holdfast
class Handle:
    def __init__(self, items): self.items = items; self.running = (lambda g: (next(g), g)[1])(i for i in [0, *items])
def save(handle): return {"items": handle.items}
def load(state): return Handle(state["items"])
"""


def registered(more: str = "") -> Session:
    session = Session()
    session.run(HANDLE)
    session.run("holdfast.register(Handle, save, load)")
    session.run("items = [1, 2]; h = Handle(items); same = [h]" + more)
    return session


def test_a_registered_type_comes_back_by_its_own_functions() -> None:
    session = registered()
    assert not session.save().skipped
    reborn = session.reborn()
    assert reborn.value("type(h) is Handle and h.items is items and same[0] is h and next(h.running) == 1")


def test_what_was_lost_is_saved_once_its_type_is_registered() -> None:
    session = Session()
    session.run(HANDLE)
    assert [lost.name for lost in session.run("h = Handle([1])").skipped] == ["h"]
    snapshot = session.run("holdfast.register(Handle, save, load)")
    assert not snapshot.skipped
    assert session.reborn().value("h.items") == [1]


def test_a_registration_is_there_after_a_restore() -> None:
    reborn = registered().reborn()
    assert not reborn.run("other = Handle([3]); h.items.append(4)").skipped
    again = reborn.reborn()
    assert again.value("(h.items, items, other.items)") == ([1, 2, 4], [1, 2, 4], [3])


def test_a_registration_can_be_replaced_and_removed() -> None:
    session = registered()
    session.run("holdfast.register(Handle, lambda h: len(h.items), lambda n: Handle([0] * n))")
    assert session.reborn().value("h.items") == [0, 0]
    assert {lost.name for lost in session.run("holdfast.unregister(Handle)").skipped} == {"h", "same"}
    assert "__holdfast__" not in session.names


def test_a_class_that_is_defined_anew_leaves_no_registration_behind() -> None:
    session = registered()
    session.run(HANDLE + "holdfast.register(Handle, save, load)")
    assert session.value("len(__holdfast__)") == 2, "instances of the old one are left"
    session.run("del h, same")
    session.run(HANDLE + "holdfast.register(Handle, save, load)")
    session.run("h = Handle([5])")
    assert session.value("list(__holdfast__)") == [session.value("Handle")]
    assert session.reborn().value("h.items") == [5]


def test_an_object_is_restored_without_its_registration() -> None:
    session = registered()
    session.run("del __holdfast__")
    assert session.reborn().value("items") == [1, 2]
    session = registered()
    store = {key: part for key, part in session.store.items() if "__holdfast__" not in part.members}
    assert Session(store).value("h.items is items")


@pytest.mark.parametrize("cell", ["class Part(Handle): pass\np = Part([5])", "class Part(Handle): pass", ""])
def test_derived_types_are_kept_alike_only_if_asked_for(cell: str) -> None:
    session = registered("\n" + cell)
    snapshot = session.run("p = type('P', (Handle,), {})([5])")
    assert "p" in {lost.name for lost in snapshot.skipped}
    session.run("holdfast.register(Handle, save, load, subclasses=True)")
    assert not session.save().skipped
    assert session.reborn().value("p.items == [5] and type(p) is Handle")


def test_types_of_libraries_can_be_registered() -> None:
    session = Session()
    session.run("import holdfast, threading")
    session.run(
        "holdfast.register(threading.Thread, lambda t: t.name, lambda n: threading.Thread(name=n))\n"
        "import re; holdfast.register(re.Pattern, lambda p: p.pattern + 'x', re.compile)"
    )
    assert not session.run("t = threading.Thread(name='mine'); p = re.compile('a')").skipped
    reborn = session.reborn()
    assert reborn.value("t.name == 'mine' and p.pattern == 'ax'")


@pytest.mark.parametrize(
    ("save", "reason"),
    [
        ("lambda h: 1 / 0", "the function registered to save it raised ZeroDivisionError"),
        ("lambda h: h.running", "generator"),
        ("lambda h: [h]", "holds the object itself"),
    ],
)
def test_a_save_function_that_fails_costs_only_its_objects(save: str, reason: str) -> None:
    session = registered()
    snapshot = session.run(f"holdfast.register(Handle, {save}, load); fine = [items]")
    assert {lost.name for lost in snapshot.skipped} == {"h", "same"}
    assert all(reason in lost.reason for lost in snapshot.skipped)
    assert session.reborn().value("fine[0] is items")


@pytest.mark.parametrize("kind", ["dict", "type", "type(save)", "'Handle'"])
def test_what_can_not_be_registered_is_refused(kind: str) -> None:
    session = registered()
    with pytest.raises(TypeError):
        session.execute(f"holdfast.register({kind}, save, load)")
