"""What is told in an open form comes back equal and of the same types, or is not told at all."""

from __future__ import annotations

import contextlib
import datetime
import json
import math
import struct
import sys
import uuid
import zoneinfo
from collections import Counter, OrderedDict, defaultdict, deque
from importlib.util import find_spec
from typing import Any

import numpy
import pandas
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.kernel.portable import arrays, forms, values
from holdfast.kernel.portable.values import Damaged, NotExact

ZONES = st.sampled_from(
    [
        None,
        datetime.timezone.utc,
        datetime.timezone(datetime.timedelta(hours=-3, minutes=30)),
        datetime.timezone(datetime.timedelta(hours=1), "mine"),
        zoneinfo.ZoneInfo("UTC"),
    ]
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(2**52, 2**70)
    | st.integers(2**14_000, 2**14_001)
    | st.floats()
    | st.complex_numbers()
    | st.text(st.characters(exclude_categories=()))
    | st.binary()
    | st.binary().map(bytearray)
    | st.decimals()
    | st.fractions()
    | st.uuids()
    | st.dates()
    | st.datetimes(timezones=ZONES)
    | st.times(timezones=ZONES)
    | st.timedeltas()
    | st.builds(range, st.integers(-9, 9), st.integers(-9, 9), st.integers(1, 9))
    | st.floats(width=32).map(numpy.float32)
    | st.integers(-9, 9).map(numpy.int64)
    | st.integers(-9, 9).map(lambda count: numpy.datetime64(count, "D"))
)
KEYS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.just("$")
    | st.binary()
    | st.dates()
    | st.tuples(st.integers())
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(KEYS, inner)
        | st.dictionaries(st.text(), inner)
        | st.sets(KEYS)
        | st.frozensets(KEYS)
        | st.dictionaries(KEYS, inner).map(OrderedDict)
        | st.dictionaries(KEYS, st.integers(0, 9)).map(Counter)
        | st.builds(defaultdict, st.sampled_from([None, list, int]), st.dictionaries(KEYS, inner))
        | st.builds(deque, st.lists(inner), st.none() | st.integers(9, 12))
    ),
    max_leaves=12,
)


def same(one: Any, other: Any) -> bool:
    """Whether two values cannot be told apart, whatever their types say of equality."""
    if type(one) is not type(other):
        return False
    if type(one) is float:
        return struct.pack("d", one) == struct.pack("d", other)
    if type(one) is complex:
        return same(one.real, other.real) and same(one.imag, other.imag)
    if isinstance(one, deque) and one.maxlen != other.maxlen:
        return False
    if isinstance(one, defaultdict) and one.default_factory is not other.default_factory:
        return False
    if type(one) in (list, tuple, deque):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return same(list(one), list(other)) and same(list(one.values()), list(other.values()))
    if type(one) in (set, frozenset):
        return bool(one == other) and sorted(map(repr, one)) == sorted(map(repr, other))
    if isinstance(one, numpy.generic):
        return one.dtype == other.dtype and one.tobytes() == other.tobytes()
    return repr(one) == repr(other) or bool(one == other and abs(one) > 10**4000)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(VALUES)
def test_a_value_comes_back_from_json_as_it_is(value: Any) -> None:
    assert same(values.load(values.dump(value)), value)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(VALUES)
def test_readers_that_know_only_floats_lose_no_digits(value: Any) -> None:
    def numbers(told: Any) -> list[Any]:
        if isinstance(told, dict):
            told = list(told.values())
        if isinstance(told, list):
            return [number for item in told for number in numbers(item)]
        return [told] if isinstance(told, (int, float)) else []

    assert all(
        int(float(number)) == number for number in numbers(json.loads(values.dump(value))) if type(number) is int
    )
    assert all(map(math.isfinite, numbers(json.loads(values.dump(value)))))


class Text(str):
    """No plain text."""


with_arrow = pytest.mark.skipif(find_spec("pyarrow") is None, reason="without pyarrow, columns hold it")


def within_itself() -> list[Any]:
    items: list[Any] = []
    items.append(items)
    return items


def nested(depth: int) -> list[Any]:
    items: list[Any] = []
    for _ in range(depth):
        items = [items]
    return items


@pytest.mark.parametrize(
    "value",
    [
        [one := [1], one],
        {"a": (one, 1), "b": one},
        within_itself(),
        nested(5000),
        Text("x"),
        defaultdict(lambda: 1),
        [object()],
        numpy.array([{}]),
        numpy.ma.masked_array([1]),
        numpy.zeros(2, numpy.dtype([("a", "i1"), ("b", "f8")], align=True)),
        pandas.DataFrame({"a": [1, "x", {}]}),
        pytest.param(pandas.DataFrame([[1, 2]], columns=["a", "a"]), marks=with_arrow),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_an_open_form_would_change_has_none(value: Any) -> None:
    with pytest.raises(NotExact):
        forms.tell(value)


@pytest.mark.parametrize(
    "array",
    [
        numpy.arange(6).reshape(2, 3),
        numpy.asfortranarray(numpy.arange(6.0).reshape(2, 3)),
        numpy.arange(10)[::2],
        numpy.zeros((0, 3)),
        numpy.array(5),
        numpy.array(["a", "bcd"]),
        numpy.array(["2020-01-01", "NaT"], "M8[D]"),
        numpy.zeros(3, [("a", ">i4"), ("b", "f8", (2,))]),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_an_array_comes_back_in_whatever_pieces_it_is_sent(array: Any) -> None:
    told = forms.tell(array)
    data = forms.written(told)
    for piece in (1, 7, len(data)):
        intake = forms.intake(told.form, told.details, len(data), follows=False)
        for at in range(0, len(data), piece):
            intake.feed(data[at : at + piece])
        back = intake.value()
        assert (back.dtype, back.shape) == (array.dtype, array.shape)
        assert back.tobytes() == array.tobytes() and back.flags.owndata


FRAME = pandas.DataFrame(
    {
        "n": [1, 2, 3],
        "text": ["a", None, "c"],
        "kind": pandas.Categorical(["u", "v", "u"]),
        "at": pandas.date_range("2020", periods=3, tz="Europe/Berlin"),
    }
)


@pytest.mark.parametrize(
    "table",
    [
        FRAME,
        FRAME.set_index("at"),
        FRAME["n"],
        FRAME.groupby("kind", observed=True).agg({"n": ["min", "max"]}),
    ],
    ids=["frame", "index", "series", "levels"],
)
def test_a_table_comes_back_as_it_is(table: Any) -> None:
    pytest.importorskip("pyarrow")
    told = forms.tell(table)
    assert told.form == "arrow"
    back = forms.read(told.form, told.details, forms.written(told))
    test = pandas.testing.assert_frame_equal if table.ndim == 2 else pandas.testing.assert_series_equal
    test(back, table, check_freq=True)


@pytest.mark.parametrize(
    "table",
    [
        FRAME[["n", "text"]],
        FRAME[["n"]].set_index(pandas.date_range("2020", periods=3, name="day")),
        FRAME["text"],
        pandas.Series([1, None], dtype="Int64", name=3),
        pandas.DataFrame([[1, 2.5]], columns=["a", "a"]),
        pandas.DataFrame({"any": pandas.Series(["a", None, 2**70], dtype=object)}),
    ],
    ids=["frame", "index", "texts", "missing", "same names", "objects"],
)
def test_a_table_has_an_open_form_where_there_is_no_pyarrow(table: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    told = forms.tell(table)
    assert told.form == "columns"
    back = forms.read(told.form, told.details, forms.written(told))
    test = pandas.testing.assert_frame_equal if table.ndim == 2 else pandas.testing.assert_series_equal
    test(back, table, check_freq=True)
    with pytest.raises(NotExact):
        forms.tell(FRAME)


def _npy(header: str, data: bytes = b"") -> bytes:
    return arrays.MAGIC + b"\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data


@pytest.mark.parametrize(
    ("form", "details", "data"),
    [
        ("npy", {}, _npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", b"\x80\x05N.")),
        ("npy", {}, _npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,)}", bytes(8))),
        ("npy", {}, _npy("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}", bytes(8))),
        ("npy", {}, _npy("{'descr': '|V0', 'fortran_order': False, 'shape': (1000000000000, 1000000000000)}")),
        ("npy", {}, _npy("__import__('os').system('true')")),
        ("npy", {}, _npy("(" * 500)),
        ("npy", {}, arrays.MAGIC + b"\x02\x00\xff\xff\xff\xff"),
        ("npy", {}, b"\x80\x05N."),
        ("npy", {}, b""),
        ("arrow", {"kind": "pandas.DataFrame"}, b"ARROW1\0\0" * 9),
        ("arrow", {"kind": "os.system"}, b""),
        ("columns", {"kind": "pandas.DataFrame"}, b'{"index": {"name": null, "range": [0]}}'),
        ("columns", {"kind": "pandas.Series"}, b'{"index": {"name": null, "dtype": "O", "base64": "AAAA"}}'),
        ("bytes", {"kind": "code"}, b""),
        ("pickle", {}, b"\x80\x05N."),
        ("exec", {}, b""),
        ("json", {}, b"["),
        ("json", {}, b"[" * 100_000),
        ("json", {}, b'{"$": "numpy", "dtype": "O", "base64": "AAAAAAAAAAA="}'),
        ("json", {}, b'{"$": "numpy", "dtype": "f8", "base64": "AA=="}'),
        ("json", {}, b'{"$": "set", "items": [[]]}'),
        ("json", {}, b'{"$": "eval", "value": "1"}'),
        ("json", {}, b'{"$": ["int"], "value": "1"}'),
        ("json", {}, b'{"$": "int", "value": "' + b"9" * 100_000 + b'"}'),
        ("json", {}, b'{"$": "timedelta", "days": 1e99, "seconds": 0, "microseconds": 0}'),
        ("json", {}, b'{"$": "fraction", "items": [1, 0]}'),
        ("json", {}, b'{"$": "datetime", "value": "2020-01-01", "zone": {"key": "../../etc/passwd"}}'),
    ],
)
def test_bytes_that_are_no_value_of_their_form_are_damaged(form: str, details: dict[str, Any], data: bytes) -> None:
    with pytest.raises((Damaged, values.MissingLibrary)):
        forms.read(form, details, data)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=3),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(["$", "items", "value", "base64", "zone", "key", "offset", "days"]),
                inner
                | st.sampled_from(
                    ["tuple", "set", "dict", "int", "datetime", "timedelta", "decimal", "range", "numpy"]
                ),
            )
        ),
        max_leaves=10,
    )
)
def test_any_json_is_a_value_or_damaged(told: Any) -> None:
    with contextlib.suppress(Damaged, values.MissingLibrary):
        values.decode(told)


def test_modules_that_are_not_loaded_are_not_imported_for_strangers() -> None:
    with pytest.raises(NotExact):
        forms.read("module", {"module": "antigravity"}, b"")
    assert forms.read("module", {"module": "json"}, b"") is json


def test_identifiers_are_told_as_what_they_are() -> None:
    value = uuid.uuid4()
    assert json.loads(values.dump(value)) == {"$": "uuid", "value": str(value)}
