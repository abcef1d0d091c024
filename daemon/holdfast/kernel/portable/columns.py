"""Frames of pandas as JSON, column by column: for environments without pyarrow."""

from __future__ import annotations

import base64
import json
import sys
from importlib import import_module
from typing import Any

from . import tables
from .values import Damaged, Encoder, MissingLibrary, NotExact, decode

KINDS = ("pandas.DataFrame", "pandas.Series")
_NUMBERS = "biufmM"
_PLAIN = frozenset(
    ["str", "string", "boolean", *(f"{sign}nt{size}" for sign in ("I", "UI") for size in (8, 16, 32, 64))]
)
"""Types of pandas' own whose values JSON can hold."""


def dump(kind: str, value: Any) -> bytes:
    """Return a table as JSON text.

    Raises:
        NotExact: it would not come back as it is.
    """
    try:
        data = json.dumps(_told(kind, value), allow_nan=False, separators=(",", ":")).encode()
        again = load(kind, data)
    except (NotExact, Damaged, RecursionError):
        raise NotExact("without pyarrow there is no open form for its columns") from None
    same = tables.same_frame if kind == "pandas.DataFrame" else tables.same_series
    if not same(value, again):
        raise NotExact("without pyarrow no open form holds all that it is")
    return data


def load(kind: str, data: bytes | bytearray) -> Any:
    """Return the table that JSON text tells.

    Raises:
        Damaged: it tells none.
        MissingLibrary: there is no pandas here.
    """
    try:
        pandas = import_module("pandas")
    except ImportError:
        raise MissingLibrary("pandas") from None
    try:
        told = json.loads(bytes(data))
        index = _index(pandas, told["index"])
        if kind == "pandas.Series":
            return pandas.Series(_values(pandas, told["values"]), index=index, name=decode(told["name"]))
        columns = _index(pandas, told["columns"])
        frame = pandas.DataFrame({at: _values(pandas, column) for at, column in enumerate(told["values"])}, index=index)
        frame.columns = columns
        return frame
    except (Damaged, MissingLibrary):
        raise
    except Exception as error:
        # Whatever pandas raises, the text is not what it claims to be.
        raise Damaged(f"it is no table: {type(error).__name__}: {error}"[:300]) from error


def _told(kind: str, value: Any) -> dict[str, Any]:
    index = _index_told(value.index)
    if kind == "pandas.Series":
        return {"index": index, "name": Encoder().encode(value.name), "values": _values_told(value)}
    columns = [_values_told(value.iloc[:, at]) for at in range(value.shape[1])]
    return {"index": index, "columns": _index_told(value.columns), "values": columns}


def _index_told(index: Any) -> dict[str, Any]:
    name = Encoder().encode(index.name)
    if type(index).__name__ == "RangeIndex":
        return {"name": name, "range": [index.start, index.stop, index.step]}
    if index.nlevels > 1:
        raise NotExact("an index has levels")
    told = {"name": name, **_values_told(index)}
    freq = getattr(index, "freqstr", None)
    return told if freq is None else {**told, "freq": str(freq)}


def _index(pandas: Any, told: Any) -> Any:
    name = decode(told["name"])
    if "range" in told:
        return pandas.RangeIndex(*map(int, told["range"]), name=name)
    index = pandas.Index(_values(pandas, told), name=name)
    if "freq" in told:
        index.freq = str(told["freq"])
    return index


def _values_told(column: Any) -> dict[str, Any]:
    kind = column.dtype
    if isinstance(kind, sys.modules["numpy"].dtype) and kind.kind in _NUMBERS:
        return {"dtype": kind.str, "base64": base64.b64encode(column.to_numpy().tobytes()).decode("ascii")}
    if isinstance(kind, sys.modules["numpy"].dtype):
        return {"dtype": "object", "items": [Encoder().encode(item) for item in column]}
    if str(kind) not in _PLAIN:
        raise NotExact(f"there is no open form for {kind}")
    missing = column.isna()
    items = [None if gone else Encoder().encode(item) for item, gone in zip(column, missing, strict=True)]
    return {"dtype": str(kind), "items": items}


def _values(pandas: Any, told: Any) -> Any:
    numpy = import_module("numpy")
    if "base64" in told:
        kind = numpy.dtype(told["dtype"])
        if kind.kind not in _NUMBERS:
            raise Damaged("it is no column of numbers")
        return numpy.frombuffer(base64.b64decode(told["base64"], validate=True), kind).copy()
    items = [decode(item) for item in told["items"]]
    if told["dtype"] == "object":
        values = numpy.empty(len(items), object)
        values[:] = items
        return pandas.Series(values, dtype=object).array
    if told["dtype"] not in _PLAIN:
        raise Damaged("it is no kind of column that is known here")
    return pandas.array(items, dtype=told["dtype"])
