"""Arrays that show the memory of objects of compiled types."""

from __future__ import annotations

from typing import Any

from . import give_names


def memory_of(owner: Any, name: str) -> Any:
    """Return the memory in which an attribute of a compiled object lies, as bytes; None if it is no such array."""
    import numpy

    array = getattr(owner, name, None)
    if not isinstance(array, numpy.ndarray):
        return None
    while isinstance(array.base, numpy.ndarray):
        array = array.base
    if array.base is not owner or array.dtype.hasobject or not array.flags.c_contiguous:
        return None
    return array.view(numpy.ndarray).ravel().view(numpy.uint8)


def array_of(
    cls: Any,
    owner: Any,
    name: str,
    offset: int,
    dtype: Any,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    write: bool,
) -> Any:
    """Return an array over the memory in which the attribute `name` of `owner` lies; `offset` in bytes."""
    import numpy

    made = numpy.ndarray.__new__(cls, shape, dtype, memory_of(owner, name), offset, strides)
    if not write:
        made.flags.writeable = False
    return made


give_names(globals())
