"""Arrow's arrays, which share memory with the tables and slices that they come from."""

from __future__ import annotations

import sys
import weakref
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..pickler import ComponentPickler

_AT_LEAST = 1 << 12
"""Bytes of buffers for which it matters that they are stored once."""
_known: weakref.WeakValueDictionary[tuple[int, int], Any] = weakref.WeakValueDictionary()
"""The object that stands for a buffer, by address and size: pyarrow makes another one each time it is asked."""


def _array(pickler: ComponentPickler, array: Any) -> Any:
    """Take an array apart as pyarrow does, with one object for each buffer."""
    _ = array.null_count  # which it counts when somebody asks: then looking at it would change it
    function, (data, *rest) = array.__reduce__()
    return function, (_with_known_buffers(sys.modules["pyarrow"].Buffer, data), *rest)


def _with_known_buffers(kind: type, part: Any) -> Any:
    if isinstance(part, kind):
        buffer: Any = part
        return part if buffer.size < _AT_LEAST else _known.setdefault((buffer.address, buffer.size), buffer)
    if type(part) in (tuple, list):
        return type(part)([_with_known_buffers(kind, one) for one in part])
    return part


DERIVED = {("pyarrow.lib", "Array"): _array}
