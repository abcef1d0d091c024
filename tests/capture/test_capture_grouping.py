"""Variables that share something mutable are one component; all others are components of their own."""

from __future__ import annotations

import pytest
from sessions import Session


def groups(session: Session) -> set[frozenset[str]]:
    """Return the variables of each stored component."""
    found = (frozenset(m for m in c.members if not m.startswith("\0")) for c in session.store.values())
    return {group for group in found if group}


def together(session: Session, *names: str) -> bool:
    return any(group.issuperset(names) for group in groups(session))


def test_strangers_are_apart() -> None:
    session = Session()
    session.run("a = [1]; b = [1]; c = {'x': 1}; n = 5")
    assert groups(session) == {frozenset("a"), frozenset("b"), frozenset("c"), frozenset("n")}


@pytest.mark.parametrize(
    "shared",
    ["(1, 'x')", "'text' * 1000", "frozenset([1])", "1 << 200", "print", "int", "__import__('os')", "len.__call__",
     "__import__('datetime').datetime(2024, 1, 1)", "__import__('decimal').Decimal(1)",
     "__import__('pathlib').Path('x')", "__import__('re').compile('x')", "None", "..."],
)  # fmt: skip
def test_what_is_immutable_or_importable_ties_nothing(shared: str) -> None:
    session = Session()
    session.run(f"s = {shared}; a = [s]; b = [s]")
    assert groups(session) == {frozenset("s"), frozenset("a"), frozenset("b")}


@pytest.mark.parametrize("shared", ["[]", "{}", "set()", "bytearray()", "object()", "__import__('io').StringIO()"])
def test_what_is_mutable_ties(shared: str) -> None:
    session = Session()
    session.run(f"s = {shared}; a = (s, 1); b = {{'k': s}}; c = [2]")
    assert groups(session) == {frozenset("sab"), frozenset("c")}


def test_components_merge_when_variables_come_to_share() -> None:
    session = Session()
    session.run("a = [1]")
    session.run("b = [2]")
    assert not together(session, "a", "b")
    session.run("b.append(a)")
    assert together(session, "a", "b")


def test_components_part_when_variables_share_nothing_any_more() -> None:
    session = Session()
    session.run("a = [1]; b = [a]; c = [a]")
    assert together(session, "a", "b", "c")
    session.run("b = None")
    assert groups(session) == {frozenset("ac"), frozenset("b")}


def test_a_component_keeps_its_identity_while_its_content_changes() -> None:
    session = Session()
    (before,) = session.run("a = [1]").changed
    (after,) = session.run("a.append(2)").changed
    assert before.id == after.id
    assert before.fingerprint != after.fingerprint


def test_functions_and_instances_point_at_definitions_and_do_not_tie() -> None:
    session = Session()
    session.run("class C: pass\ndef f(): return C")
    session.run("x = C(); y = C(); g = f; h = [f]")
    assert groups(session) == {frozenset([name]) for name in ["C", "f", "x", "y", "g", "h"]}


def test_a_variable_of_a_function_stores_a_pointer_not_the_function() -> None:
    session = Session()
    session.run("def f():\n" + "\n".join(f"    x{i} = {i}" for i in range(500)))
    pointer = next(c for c in session.store.values() if c.members == ("f",))
    assert len(pointer.stream) < 120
    session.run("g = f; k = [f] * 3")
    functions = [c for c in session.store.values() if b"make_function" in c.stream]
    assert sum(len(c.stream) > 5000 for c in functions) == 1


def test_a_definition_that_nothing_leads_to_leaves_the_store() -> None:
    session = Session()
    session.run("def f(): return 1")
    assert len(session.store) == 3  # the variable, the function, and the cell that it comes from
    session.run("def f(): return 2")
    assert len(session.store) == 3
    session.run("f = None")
    assert len(session.store) == 1


def test_definitions_in_a_circle_leave_the_store_together() -> None:
    session = Session()
    session.run("class A: pass\nclass B: a = A\nA.b = B")
    session.run("del A, B")
    assert not session.store


def test_views_of_one_array_are_together_and_copies_are_not() -> None:
    session = Session()
    session.run("import numpy as np\na = np.zeros(100); v = a[3:]; w = v.T; c = a.copy()")
    assert together(session, "a", "v", "w")
    assert not together(session, "a", "c")


def test_closures_over_one_cell_are_together() -> None:
    session = Session()
    session.run("def make():\n    n = []\n    return (lambda: n), (lambda: n.append(1))\nget, put = make()")
    definitions = [c for c in session.store.values() if len(c.members) > 1]
    assert len(definitions) == 1
