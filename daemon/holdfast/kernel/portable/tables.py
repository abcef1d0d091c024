"""Frames as Arrow files (IPC): pandas, polars and Arrow's own; one is written only if it comes back as it is."""

from __future__ import annotations

import io
import sys
from importlib import import_module
from typing import Any

from .values import Damaged, MissingLibrary, NotExact, decode
from .values import Encoder as _Encoder

SAFE_ARROW = (14, 0, 1)
"""Before it, reading an Arrow file could unpickle (CVE-2023-47248)."""
COLUMN = "0"
"""What the one column is called as which a series is written."""


def kind_of(value: object) -> str | None:
    """Return which of the tables that there are forms for a value is; no subclass of one."""
    for kind in _DUMP:
        library, _, name = kind.partition(".")
        if type(value) is getattr(sys.modules.get(library), name, None):
            return kind
    return None


def dump(kind: str, value: Any) -> tuple[dict[str, Any], Any]:
    """Return what is noted of a table, and the Arrow file that it is.

    Raises:
        NotExact: it would not come back as it is.
        MissingLibrary: there is no pyarrow here.
    """
    try:
        details, data = _DUMP[kind](value)
        again = load({"kind": kind, **details}, data)
    except MissingLibrary:
        raise
    except Exception as error:
        # Libraries raise what they like for what Arrow has no word for.
        raise NotExact(f"Arrow cannot hold it: {error}"[:200]) from error
    if not is_same(kind, value, again):
        raise NotExact("Arrow does not hold all that it is")
    return details, data


def load(details: dict[str, Any], data: Any) -> Any:
    """Return the table that an Arrow file holds.

    Raises:
        Damaged: it is none.
        MissingLibrary: a library that it needs is not here.
    """
    loader = _LOAD.get(str(details.get("kind")))
    if loader is None:
        raise Damaged("it is no kind of table that is known here")
    try:
        return loader(details, data)
    except (MissingLibrary, Damaged):
        raise
    except Exception as error:
        # Whatever a library raises, the file is not what it claims to be.
        raise Damaged(f"it is no table: {type(error).__name__}: {error}"[:300]) from error


def _pyarrow() -> Any:
    pyarrow = _library("pyarrow")
    if tuple(int(part) for part in pyarrow.__version__.split(".")[:3] if part.isdigit()) < SAFE_ARROW:
        raise MissingLibrary("pyarrow>=14.0.1")
    _library("pyarrow.ipc")
    return pyarrow


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        raise MissingLibrary(name) from None


def _written(table: Any) -> Any:
    pyarrow = _pyarrow()
    sink = pyarrow.BufferOutputStream()
    with pyarrow.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return memoryview(sink.getvalue())


def _read(data: Any) -> Any:
    pyarrow = _pyarrow()
    return pyarrow.ipc.open_file(pyarrow.py_buffer(data)).read_all()


def _dump_pandas(frame: Any) -> tuple[dict[str, Any], Any]:
    table = _pyarrow().Table.from_pandas(frame)
    freq = getattr(frame.index, "freqstr", None)
    details: dict[str, Any] = {} if freq is None or frame.index.dtype.kind != "M" else {"freq": str(freq)}
    objects = [at for at, kind in enumerate(frame.dtypes) if _is_object(kind)]
    if objects:
        details["objects"] = objects
    return details, _written(table)


def _load_pandas(details: dict[str, Any], data: Any) -> Any:
    pandas = _library("pandas")
    table = _read(data)
    frame = table.to_pandas()
    for at in details.get("objects", ()):
        if not _is_object(frame.dtypes.iloc[at]):
            frame.isetitem(at, pandas.Series(table.column(at).to_pylist(), index=frame.index, dtype=object))
    if "freq" in details and hasattr(frame.index, "freq"):
        frame.index.freq = str(details["freq"])
    return frame


def _dump_series(series: Any) -> tuple[dict[str, Any], Any]:
    details, data = _dump_pandas(series.to_frame(COLUMN))
    return {**details, "name": _Encoder().encode(series.name)}, data


def _load_series(details: dict[str, Any], data: Any) -> Any:
    series = _load_pandas(details, data)[COLUMN]
    series.name = decode(details.get("name"))
    return series


def _is_object(kind: Any) -> bool:
    return isinstance(kind, sys.modules["numpy"].dtype) and kind.kind == "O"


def _same_index(one: Any, other: Any) -> bool:
    if type(one) is not type(other) or one.dtype != other.dtype or list(one.names) != list(other.names):
        return False
    if getattr(one, "freq", None) != getattr(other, "freq", None) or not one.equals(other):
        return False
    if one.nlevels > 1:
        return all(
            _same_index(one.get_level_values(level), other.get_level_values(level)) for level in range(one.nlevels)
        )
    return not _is_object(one.dtype) or _same_objects(one, other)


def _same_objects(one: Any, other: Any) -> bool:
    kinds = list(map(type, one))
    plain = {str, bytes, bool, int, float, type(None)}
    return kinds == list(map(type, other)) and plain.issuperset(kinds)


def _same_column(one: Any, other: Any) -> bool:
    if one.dtype != other.dtype or not one.equals(other):
        return False
    return not _is_object(one.dtype) or _same_objects(one, other)


def same_frame(one: Any, other: Any) -> bool:
    return (
        type(one) is type(other)
        and one.attrs == other.attrs
        and one.flags == other.flags
        and _same_index(one.index, other.index)
        and _same_index(one.columns, other.columns)
        and all(_same_column(one.iloc[:, at], other.iloc[:, at]) for at in range(one.shape[1]))
    )


def same_series(one: Any, other: Any) -> bool:
    return (
        type(one) is type(other)
        and (type(one.name), one.name) == (type(other.name), other.name)
        and one.attrs == other.attrs
        and one.flags == other.flags
        and _same_index(one.index, other.index)
        and _same_column(one, other)
    )


def _dump_polars(frame: Any) -> tuple[dict[str, Any], Any]:
    sink = io.BytesIO()
    frame.write_ipc(sink)
    return {}, sink.getbuffer()


def _load_polars(details: dict[str, Any], data: Any) -> Any:
    return _library("polars").read_ipc(io.BytesIO(data))


def is_same(kind: str, one: Any, other: Any) -> bool:
    """Whether two tables of a kind are equal in all that users see."""
    if kind == "pandas.DataFrame":
        return same_frame(one, other)
    if kind == "pandas.Series":
        return same_series(one, other)
    if kind == "polars.DataFrame":
        return bool(one.schema == other.schema and one.equals(other, null_equal=True))
    if kind == "polars.Series":
        return bool(one.dtype == other.dtype and one.name == other.name and one.equals(other, null_equal=True))
    return bool(one.schema.equals(other.schema, check_metadata=True) and one.equals(other))


_DUMP: dict[str, Any] = {
    "pandas.DataFrame": _dump_pandas,
    "pandas.Series": _dump_series,
    "polars.DataFrame": _dump_polars,
    "polars.Series": lambda series: _dump_polars(series.to_frame()),
    "pyarrow.Table": lambda table: ({}, _written(table)),
}
_LOAD: dict[str, Any] = {
    "pandas.DataFrame": _load_pandas,
    "pandas.Series": _load_series,
    "polars.DataFrame": _load_polars,
    "polars.Series": lambda details, data: _load_polars(details, data).to_series(0),
    "pyarrow.Table": lambda details, data: _read(data),
}
