"""Random object graphs, changed at random between captures, come back with the same shape, identity and values.

``HOLDFAST_EXAMPLES`` chooses how many sessions are tried.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import numpy as np
from _holdfast_kernel.capture import deep  # type: ignore[import-not-found]
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sessions import Session
from thorough import THOROUGH

EXAMPLES = int(os.environ.get("HOLDFAST_EXAMPLES", "60" if THOROUGH else "30"))
NAMES = ["a", "b", "c", "d", "e"]
name = st.sampled_from(NAMES)
number = st.integers(0, 3)

PRELUDE = """
import numpy as np
class Node:
    def __init__(self, *parts): self.parts = list(parts)
    def add(self, part): self.parts.append(part)
class Slotted:
    __slots__ = ("one", "two")
def reader(x=None):
    def read(): return x
    return read
def writer():
    kept = []
    def put(x): kept.append(x); return kept
    def get(): return kept
    return put, get
log = []
def note(x): log.append(x)
a = b = c = d = e = None
"""

# Each statement names only what it touches; `{x}`, `{y}` and `{z}` are variables, `{n}` a small number.
STATEMENTS = [
    "{x} = [{y}, {n}]",
    "{x} = {{'k': {y}, 'n': [{n}]}}",
    "{x} = ({y}, [{n}])",
    "{x} = {y}",
    "{x} = {n}",
    "{x} = Node({y}, {z})",
    "{x} = Slotted(); {x}.one = {y}",
    "{x} = np.arange(6.) + {n}",
    "{x} = np.zeros((40, 30)); {x}[{n}] = 1",
    "{x} = {y}[1:] if isinstance({y}, np.ndarray) and {y}.ndim else {z}",
    "{x} = {y}.T if isinstance({y}, np.ndarray) else {y}",
    "{x}[...] = {n} + 10\nassert isinstance({x}, np.ndarray)",
    "{x}.append({y})",
    "{x}['k'] = {y}",
    "{x}.add({y})",
    "{x}.one = {y}",
    "{x} = {y}.parts",
    "{x} = {y}[0]",
    "{x} = {y}['k']",
    "{x} = reader({y})",
    "{x} = {y}()",
    "{x} = writer()",
    "{x}[0]({y})",
    "{x} = {y}[1]",
    "note({x})",
    "{x} = log",
    "def {x}(v={y}): return v, {z}",
    "class {x}: part = {y}",
    "{x} = {y}.part",
    "{x} = {y}.add",
    "{x} = Node.add",
    "Node.shared = {x}",
    "Node.extra = lambda self: {x}",
    "{x} = bytearray(b'abc')",
    "{x} = memoryview({y})",
    "{x}[0] = {n}",
    "{x} = object()",
    "{x} = (lambda g: (next(g), g)[1])(i for i in [0, {y}])",
    "{x} = np.array([{y}, {n}, None], dtype=object)",
    "del {x}; {x} = None",
]

step = st.tuples(st.sampled_from(STATEMENTS), name, name, name, number, st.integers(0, 9))


def isomorphic(live: dict[str, Any], restored: dict[str, Any], skipped: set[str]) -> None:
    """Assert that two sessions are the same up to the identity of what is in them."""
    forth: dict[int, Any] = {}
    back: dict[int, Any] = {}
    keep: list[Any] = []
    work: list[tuple[Any, Any, str]] = []
    for key in [*NAMES, "log", "Node", "Slotted", "reader", "writer", "note"]:
        if key in skipped:
            assert key not in restored
            continue
        work.append((live[key], restored[key], key))
    while work:
        one, other, path = work.pop()
        assert type(one).__name__ == type(other).__name__, path
        if one is None or isinstance(one, (int, float, str, bytes)):
            assert one == other, path
            continue
        if isinstance(one, tuple):
            assert len(one) == len(other), path
            work += [(x, y, f"{path}({i})") for i, (x, y) in enumerate(zip(one, other, strict=True))]
            continue
        kind = type(one).__name__
        if kind in ("method", "builtin_function_or_method"):
            work.append((one.__self__, other.__self__, path + ".__self__"))
            if kind == "method":
                work.append((one.__func__, other.__func__, path + ".__func__"))
            continue
        if kind == "code":
            assert one.co_code == other.co_code, path
            continue
        if id(one) in forth or id(other) in back:
            assert forth.get(id(one)) is other, f"{path}: one object became two"
            assert back.get(id(other)) is one, f"{path}: two objects became one"
            continue
        forth[id(one)], back[id(other)] = other, one
        keep += [one, other]
        work += parts(one, other, path)
    arrays = [(one, forth[id(one)]) for one in keep if isinstance(one, np.ndarray) and id(one) in forth]
    for one, other in arrays:
        for two, another in arrays:
            assert np.shares_memory(one, two) == np.shares_memory(other, another)


def parts(one: Any, other: Any, path: str) -> list[tuple[Any, Any, str]]:
    """Return the pairs that must correspond in turn."""
    kind = type(one).__name__
    if isinstance(one, dict):
        assert list(one) == list(other), path
        return [(one[k], other[k], f"{path}[{k!r}]") for k in one]
    if isinstance(one, list):
        assert len(one) == len(other), path
        return [(x, y, f"{path}[{i}]") for i, (x, y) in enumerate(zip(one, other, strict=True))]
    if kind == "ndarray":
        assert one.shape == other.shape, path
        assert one.strides == other.strides, path
        if one.dtype == object:
            return [(x, y, f"{path}.flat[{i}]") for i, (x, y) in enumerate(zip(one.flat, other.flat, strict=True))]
        assert (one == other).all(), path
        return []
    if kind == "bytearray":
        assert one == other, path
        return []
    if kind == "memoryview":
        assert one.format == "O" or bytes(one) == bytes(other), path
        return [(one.obj, other.obj, path + ".obj")]
    if kind == "function":
        assert one.__code__ == other.__code__, path
        cells = zip(one.__closure__ or (), other.__closure__ or (), strict=True)
        return [
            (one.__defaults__, other.__defaults__, path + ".__defaults__"),
            *((x, y, f"{path}.cell{i}") for i, (x, y) in enumerate(cells)),
        ]
    if kind == "cell":
        return [(one.cell_contents, other.cell_contents, path + ".contents")]
    if kind == "type":
        skip = {"__dict__", "__weakref__", "__firstlineno__", "__static_attributes__", "__slotnames__", "one", "two"}
        assert one.__dict__.keys() - skip == other.__dict__.keys() - skip, path
        return [(one.__dict__[k], other.__dict__[k], f"{path}.{k}") for k in one.__dict__ if k not in skip]
    if type(one).__module__ == "__main__" and kind != "Slotted":
        return [(one.__dict__, other.__dict__, path + ".__dict__"), (type(one), type(other), path + ".class")]
    if kind == "Slotted":
        pair = (type(one), type(other), path + ".class")
        return [pair, (getattr(one, "one", None), getattr(other, "one", None), path + ".one")]
    assert kind == "object", kind
    return []


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(step, min_size=1, max_size=14))
def test_what_comes_back_is_isomorphic_to_what_died(steps: list[Any]) -> None:
    follow(Session(), steps)


class Everything(set[str]):
    """Has all names in it."""

    def isdisjoint(self, other: Iterable[object]) -> bool:
        """Say no."""
        return False

    def __bool__(self) -> bool:
        return True


@settings(max_examples=EXAMPLES // 5, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(step, min_size=1, max_size=14), st.sampled_from([1, 2, 5]))
def test_what_is_pickled_in_steps_is_isomorphic_as_well(steps: list[Any], height: int) -> None:
    """As for what is nested deeply, but with steps of one or a few levels."""
    usual, deep.HEIGHT = deep.HEIGHT, height
    try:
        session = Session()
        session.capture._state.session.deep = Everything()
        follow(session, steps)
    finally:
        deep.HEIGHT = usual


def follow(session: Session, steps: list[Any]) -> None:
    """Run the statements, save now and then, and compare what comes back."""
    everything = session.capture._state.session.deep
    session.run(PRELUDE)
    skipped: set[str] = set()
    for statement, x, y, z, n, chance in steps:
        try:
            session.execute(statement.format(x=x, y=y, z=z, n=n))
        except (TypeError, AttributeError, LookupError, AssertionError, ValueError, BufferError, NotImplementedError):
            # A cell that fails saves nothing; what it did is owed.
            continue
        if chance < 3:
            continue
        skipped = {lost.name for lost in session.save().skipped}
        if chance == 9:
            restored = session.reborn()
            assert restored.outcome is not None
            assert not restored.outcome.failed
            isomorphic(session.names, restored.names, skipped)
            if not skipped:
                # The next cells run in the session that came back.
                session = restored
                session.capture._state.session.deep = everything
    skipped = {lost.name for lost in session.save().skipped}
    restored = session.reborn()
    assert restored.outcome is not None
    assert not restored.outcome.failed
    isomorphic(session.names, restored.names, skipped)
    restored.capture._state.session.deep = everything
    assert not restored.run("pass").changed
