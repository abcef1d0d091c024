"""What was loaded is compared with what was saved: equal is equal however it is nested, and a difference is found."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.kernel.capture.compare import Comparison, Difference


class Node:
    """An instance with attributes and one with a slot."""

    __slots__ = ("__dict__", "slot")

    def __init__(self, value: Any) -> None:
        self.value = value
        self.slot = [value]


class MyList(list[Any]):
    """A container with attributes."""


def difference(live: Any, loaded: Any) -> Difference | None:
    """Compare two objects."""
    return Comparison().difference(live, loaded)


def copied(thing: Any) -> Any:
    """Return a copy that shares nothing."""
    return pickle.loads(pickle.dumps(thing, 5))


atoms = st.none() | st.booleans() | st.integers() | st.floats() | st.complex_numbers() | st.text() | st.binary()
arrays = st.lists(st.floats(width=32), max_size=4).map(lambda items: np.array(items, dtype="f4"))
graphs = st.recursive(
    atoms | arrays | st.sets(st.integers() | st.text(), max_size=4),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text() | st.integers(), inner, max_size=4)
        | inner.map(Node)
        | st.lists(inner, max_size=3).map(MyList)
        | inner.map(lambda item: np.array([item, None], dtype=object))
    ),
    max_leaves=20,
)


@settings(max_examples=150, deadline=None)
@given(graphs)
def test_a_graph_equals_its_copy(graph: Any) -> None:
    assert difference(graph, copied(graph)) is None


class _Mark:
    """Nothing that a graph has in it."""


@settings(max_examples=150, deadline=None)
@given(graphs, st.data())
def test_a_graph_differs_from_a_copy_that_was_changed_anywhere(graph: Any, data: Any) -> None:
    holder = [graph]
    other = copied(holder)
    places: list[tuple[Any, Any]] = []
    work: list[Any] = [other]
    while work:
        thing = work.pop()
        inside: list[tuple[Any, Any]] = []
        if isinstance(thing, list):
            inside = [(index, thing[index]) for index in range(len(thing))]
        elif isinstance(thing, dict):
            inside = list(thing.items())
        elif isinstance(thing, Node):
            inside = [("slot", thing.slot)]
            if thing.value is not None:  # an attribute that was None may be filled when it is needed
                inside.append(("value", thing.value))
        places += [(thing, key) for key, _ in inside]
        work += [value for _, value in inside]
    where, key = data.draw(st.sampled_from(places))
    if isinstance(where, Node):
        setattr(where, key, _Mark())
    else:
        where[key] = _Mark()
    assert difference(holder, other) is not None


@pytest.mark.parametrize(
    ("live", "loaded", "path"),
    [
        (1, 2, ""),
        (1, True, ""),
        (1.0, 1, ""),
        ([1, [2]], [1, [3]], "[1][0]"),
        ({"a": 1}, {"b": 1}, "['a']"),
        ({"a": {1}}, {"a": {2}}, "['a']"),
        ([1], [1, 2], ""),
        ((1,), [1], ""),
        (np.zeros(3), np.zeros(4), ""),
        (np.zeros(3), np.zeros(3, "f4"), ""),
        (np.array([1, np.nan]), np.array([np.nan, 1]), ""),
        (np.array([[1], None], dtype=object), np.array([[2], None], dtype=object), "[0][0]"),
        (np.ma.array([1, 2], mask=[0, 1]), np.ma.array([1, 2], mask=[0, 0]), ""),
        (np.datetime64("NaT"), np.datetime64("2020-01-01"), ""),
        (np.random.default_rng(1), np.random.default_rng(2), ".state['state']['state']"),
        (bytearray(b"ab"), bytearray(b"ac"), ""),
    ],
)
def test_differences_are_found_and_their_place_is_told(live: Any, loaded: Any, path: str) -> None:
    found = difference(live, loaded)
    assert found is not None
    assert found.path == path
    assert difference(live, copied(live)) is None


def test_a_missing_attribute_is_found() -> None:
    live, loaded = Node(1), Node(1)
    live.extra = 5  # type: ignore[attr-defined]
    assert difference([live], [loaded]) == Difference("[0].extra", "is missing")
    assert difference([loaded], [live]) is None


def test_circles_and_depth_are_no_obstacle() -> None:
    def chain(end: Any) -> Any:
        made: Any = end
        for number in range(20_000):
            made = [made, number]
        return made

    circle: list[Any] = []
    circle.append(circle)
    other: list[Any] = []
    other.append(other)
    assert difference(circle, other) is None
    assert difference(chain(1), chain(1)) is None
    assert difference(chain(1), chain(2)) is not None


def test_frames_are_compared_to_the_last_detail() -> None:
    import pandas as pd

    frame = pd.DataFrame(
        {
            "i": pd.array([1, None], dtype="Int64"),
            "c": pd.Categorical(["u", "v"]),
            "t": pd.to_datetime(["2020", None]),
            "o": [[1], None],
        },
        index=pd.Index([1, 2], name="n"),
    )
    frame.attrs["unit"] = "m"
    assert difference(frame, copied(frame)) is None
    changes = {
        ".index.names[0]": lambda f: f.rename_axis("m"),
        ".attrs['unit']": lambda f: (f.attrs.clear(), f)[1],
        ".columns[0]": lambda f: f.rename(columns={"i": "j"}),
        "['i']": lambda f: f.astype({"i": "Int32"}),
        "['c'].categories[1]": lambda f: f.assign(c=f.c.cat.rename_categories({"v": "w"})),
        "['o'][0][0]": lambda f: f.assign(o=[[2], None]),
    }
    for path, change in changes.items():
        other = change(copied(frame))
        other.attrs.update({} if "attrs" in path else frame.attrs)
        found = difference(frame, other)
        assert found is not None, path
        assert found.path == path
