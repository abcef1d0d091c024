"""What differs between two values, in words and in fields."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.kernel.comparing import compare, same

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.binary(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=5)
        | st.tuples(inner, inner)
    ),
    max_leaves=20,
)


class Plain:
    """An object without comparison of its own."""

    def __init__(self, **attributes: Any) -> None:
        vars(self).update(attributes)


class Hostile:
    """An object that cannot be compared."""

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no")

    __hash__ = None  # type: ignore[assignment]


def lines(before: Any, after: Any) -> list[str]:
    """Return what is said for people."""
    found: list[str] = compare("x", before, after)["lines"]
    return found


@given(VALUES)
def test_a_value_is_the_same_as_its_copy(value: Any) -> None:
    assert same(value, copy.deepcopy(value))


@given(VALUES, VALUES)
def test_of_any_two_values_something_is_said(before: Any, after: Any) -> None:
    found = compare("x", before, after)
    assert found["lines"]
    assert all(isinstance(line, str) for line in found["lines"])
    assert len(found["lines"]) < 30


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (1, 3, ["1 → 3: +2 (+200 %)"]),
        (0.5, 0.25, ["0.5 → 0.25: -0.25 (-50 %)"]),
        (math.nan, 1.0, ["nan → 1.0"]),
        (True, False, ["True → False"]),
        ("abcdef", "abcxef", ["from character 3: 'abcdef' → 'abcxef'"]),
        ("a\nb\nc\n", "a\nB\nc\n", ["@@ -1,3 +1,3 @@", " a", "-b", "+B", " c"]),
        (b"abc", b"abd!", ["length: 3 → 4", "from byte 2 on"]),
        (1, "1", ["type: int → str", "1 → '1'"]),
        ([1, 2, 3], [1, 5, 3], ["~ [1]: 2 → 5"]),
        ([1, 2, 3], [1, 2, 3, 4], ["length: 3 → 4", "+ [3]: 4"]),
        ([1, 2, 3], [1, 3], ["length: 3 → 2", "- [1]: 2"]),
        ({"a": 1, "b": 2}, {"b": 3, "c": 4}, ["+ ['c']: 4", "- ['a']: 1", "~ ['b']: 2 → 3"]),
        ({1, 2}, {2, 3}, ["+ 3", "- 1"]),
        (Plain(a=1, b=[1]), Plain(a=1, b=[1, 2]), ["~ .'b': [1] → [1, 2]"]),
    ],
)
def test_what_differs_is_said_in_words(before: Any, after: Any, expected: list[str]) -> None:
    assert lines(before, after) == expected


def test_objects_that_cannot_be_compared_are_no_trouble() -> None:
    assert lines([Hostile()], [Hostile()])
    assert lines(Hostile(), Hostile())


def test_of_many_differences_some_are_shown_and_all_are_counted() -> None:
    found = compare("x", dict.fromkeys(range(1000), 0), dict.fromkeys(range(1000), 1))
    assert len(found["lines"]) < 25
    assert found["counts"] == [0, 0, 1000]
    assert "1,000" in found["lines"][-1]


def test_a_function_shows_the_lines_that_changed() -> None:
    spaces: list[dict[str, Any]] = [{}, {}]
    for space, code in zip(spaces, ("def f(a):\n    return a + 1\n", "def f(a):\n    return a + 2\n"), strict=True):
        exec(compile(code, "<none>", "exec"), space)
    assert compare("f", spaces[0]["f"], spaces[1]["f"])["lines"] == ["its code is another one"]


def test_frames_tell_columns_dtypes_rows_and_cells() -> None:
    pandas = pytest.importorskip("pandas")
    before = pandas.DataFrame({"a": [1, 2, 3, 4], "b": [1.0, math.nan, 3.0, 4.0], "c": list("wxyz")})
    after = before.assign(d=0, a=before.a.astype("float")).drop(columns="c")
    after.loc[2, "b"] = 30.0
    found = compare("df", before, after.drop(index=0))
    assert found["rows"] == [4, 3]
    assert (found["columnsAdded"], found["columnsRemoved"]) == (["d"], ["c"])
    assert found["dtypes"] == {"a": ["int64", "float64"]}
    assert (found["rowsAdded"], found["rowsRemoved"]) == (0, 1)
    assert found["cells"] == {"b": 1}
    assert any("[2]: 3.0 → 30.0" in line for line in found["lines"])
    assert same(before, before.copy())
    assert not same(before, after)


@pytest.mark.parametrize(
    "make",
    [
        lambda pd: pd.DataFrame({"c": pd.Categorical(["a", "b"]), "t": pd.to_datetime(["2020-01-01", None])}),
        lambda pd: pd.DataFrame({"s": pd.array(["a", None], dtype="string"), "i": pd.array([1, None], dtype="Int64")}),
        lambda pd: pd.DataFrame({"o": [[1], {"k": 2}]}),
        lambda pd: pd.DataFrame([[1, 2]], columns=["same", "same"]),
        lambda pd: pd.DataFrame({"x": [1, 2]}, index=[0, 0]),
        lambda pd: pd.DataFrame(),
        lambda pd: pd.Series([1, 2], name="n"),
    ],
)
def test_frames_of_any_dtypes_can_be_compared(make: Any) -> None:
    pandas = pytest.importorskip("pandas")
    one, two = make(pandas), make(pandas)
    assert compare("df", one, two)["lines"][0] in {"nothing that can be seen"} or "not compared" in lines(one, two)[0]
    if len(one):
        changed = compare("df", one, two.iloc[:1])
        assert changed["rows"] == [len(one), 1]


def test_arrays_tell_how_much_of_them_changed_and_their_statistics() -> None:
    numpy = pytest.importorskip("numpy")
    before = numpy.zeros((10, 10))
    after = before.copy()
    after[3, 4] = 5.0
    found = compare("a", before, after)
    assert (found["changed"], found["fraction"]) == (1, 0.01)
    assert found["statistics"][1]["max"] == 5.0
    assert found["lines"][0] == "1 of 100 elements differ (1.000%), as [3, 4]: 0.0 → 5.0"
    assert compare("a", before, before[:5])["lines"][0] == "shape: (10, 10) → (5, 10)"
    for dtype in ("datetime64[s]", "O", "U3", "?", "complex128", [("x", "i4"), ("y", "f8")]):
        assert same(numpy.zeros(3, dtype), numpy.zeros(3, dtype))


def test_models_tell_parameters_and_what_they_learnt() -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    numpy = pytest.importorskip("numpy")
    x, y = numpy.arange(10.0)[:, None], numpy.arange(10.0)
    found = compare("m", linear_model.Ridge(alpha=1.0).fit(x, y), linear_model.Ridge(alpha=2.0).fit(x, y))
    assert found["kind"] == "model"
    assert found["parameters"]["changed"] == ["'alpha'"]
    assert "'coef_'" in found["learnt"]["changed"]


def test_polars_frames_tell_the_same() -> None:
    polars = pytest.importorskip("polars")
    before = polars.DataFrame({"a": [1, 2, None], "b": ["x", "y", "z"]})
    found = compare("df", before, before.with_columns(a=polars.Series([1, 3, None]), c=polars.lit(1)))
    assert (found["cells"], found["columnsAdded"]) == ({"a": 1}, ["c"])
