"""What large arrays of which little exists are rebuilt with."""

from __future__ import annotations

from typing import Any

from . import give_names


def array(dtype: Any, shape: tuple[int, ...], order: Any, writeable: bool, starts: tuple[int, ...], *parts: Any) -> Any:
    """Return an array of zeros with parts of its memory filled; the rest takes no memory until it is written to."""
    import numpy

    made = numpy.zeros(shape, dtype, order)
    memory = made.ravel(order="K").view(numpy.uint8)
    for start, part in zip(starts, parts, strict=True):
        content = numpy.frombuffer(part, numpy.uint8)
        memory[start : start + len(content)] = content
    if not writeable:
        made.flags.writeable = False
    return made


give_names(globals())
