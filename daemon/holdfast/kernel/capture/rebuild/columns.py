"""What polars' frames are rebuilt with."""

from __future__ import annotations

import importlib
from typing import Any

from . import give_names


def frame(cls: Any, columns: list[Any]) -> Any:
    """Return a frame of its columns."""
    made = cls.__new__(cls)
    made._df = importlib.import_module("polars").DataFrame(columns)._df
    return made


def series(cls: Any, name: str, kind: str, memory: Any, order: str) -> Any:
    """Return a series of numbers.

    Args:
        kind: numpy's name of their type.
        order: the flag that says how they are sorted, if that is known.
    """
    numpy: Any = importlib.import_module("numpy")
    numbers = importlib.import_module("polars").Series(name, numpy.frombuffer(memory, kind))
    if order:
        numbers = numbers.set_sorted(descending=order == "SORTED_DESC")
    made = cls.__new__(cls)
    made._s = numbers._s
    return made


give_names(globals())
