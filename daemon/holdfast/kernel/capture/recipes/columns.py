"""Polars' frames column by column, where polars itself writes all of them into one message."""

from __future__ import annotations

import sys
from pickle import PickleBuffer
from typing import TYPE_CHECKING, Any

from ..rebuild import columns as rebuild

if TYPE_CHECKING:
    from ..pickler import ComponentPickler

_AT_LEAST = 1 << 12
_NUMBERS = frozenset({"Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64", "Float32", "Float64"})


def _frame(pickler: ComponentPickler, frame: Any) -> Any:
    columns = frame.get_columns()
    if not columns or frame.__dict__.keys() != {"_df"} or any(str(column.dtype) == "Object" for column in columns):
        return NotImplemented
    return rebuild.frame, (type(frame), columns)


def _series(pickler: ComponentPickler, series: Any) -> Any:
    """Show plain numbers where they are; all else polars writes itself."""
    numpy: Any = sys.modules.get("numpy")
    if numpy is None or str(series.dtype) not in _NUMBERS or series.__dict__.keys() != {"_s"}:
        return NotImplemented
    if series.null_count() or series.n_chunks() != 1:
        return NotImplemented
    try:
        numbers = series.to_numpy(allow_copy=False)
    except (RuntimeError, TypeError):
        return NotImplemented
    if numbers.nbytes < _AT_LEAST or not numbers.flags.c_contiguous:
        return NotImplemented
    order = next((name for name, is_so in series.flags.items() if is_so and name.startswith("SORTED")), "")
    memory = PickleBuffer(numbers.view(numpy.uint8))
    return rebuild.series, (type(series), series.name, numbers.dtype.str, memory, order)


DERIVED = {
    ("polars.dataframe.frame", "DataFrame"): _frame,
    ("polars.series.series", "Series"): _series,
}
