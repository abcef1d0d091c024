"""The cell that made a variable which cannot be loaded is looked up in the history, as far as the user signed it."""

from __future__ import annotations

from pathlib import Path

import pytest
from store_making import KEY, OTHER_KEY, Store, change

from holdfast.makers import bound_names, makers


def test_the_cell_that_bound_a_variable_last_is_found_before_later_changes(store: Store) -> None:
    store.commit("a.py", change({"x": b"1"}, code="x = []"))
    store.commit("a.py", change({"x": b"2"}, code="# %% one\ny = 1\n# %% two\nx = [1]\n# %% three\nz = 2"))
    store.commit("a.py", change({"x": b"3"}, code="x.append(2)"))
    store.commit("a.py", change({"x": b"4"}, code="x = 'later'"))
    found = makers(store, "a.py", {"x": 3, "never": 3})
    assert {name: cell.code for name, cell in found.items()} == {"x": "x = [1]"}


def test_code_that_somebody_else_signed_makes_nothing(folder: Path) -> None:
    with Store.open(folder, OTHER_KEY) as store:
        store.commit("a.py", change({"x": b"1"}, code="x = evil()"))
    with Store.open(folder, KEY) as store:
        store.commit("a.py", change({"x": b"2"}, code="x.y = 1", full=True))
        assert makers(store, "a.py", {"x": 2}) == {}


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("a = b = 1; (c, *d), e.f = 1, 2", "abcd"),
        ("import x.y, u.v as w; from m import n as o", "xwo"),
        ("def f(p):\n    q = 1\nclass C:\n    r = 1\ng = lambda s: (t := s)", "fCg"),
        ("for i in y:\n    with z as j: k = [l for l in m]", "ijk"),
        ("if (n := 1): await o", "n"),
        ("a +", ""),
    ],
)
def test_bound_names_are_those_of_the_module(code: str, names: str) -> None:
    assert bound_names(code) == set(names)
