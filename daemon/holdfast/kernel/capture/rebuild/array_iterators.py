"""numpy's iterators, where they were, and functions that it has made universal."""

from __future__ import annotations

import importlib
from collections import deque
from itertools import islice
from typing import Any

from . import give_names


def flat(array: Any, index: int) -> Any:
    """Return ``array.flat`` after so many items."""
    made = array.flat
    deque(islice(made, index), 0)
    return made


def broadcast(arrays: tuple[Any, ...], index: int) -> Any:
    """Return a ``numpy.broadcast`` of arrays after so many items."""
    made = importlib.import_module("numpy").broadcast(*arrays)
    deque(islice(made, index), 0)
    return made


def universal(function: Any, inputs: int, outputs: int, *identity: Any) -> Any:
    """Return a universal function that calls a function for each item."""
    options = {"identity": identity[0]} if identity else {}
    return importlib.import_module("numpy").frompyfunc(function, inputs, outputs, **options)


def bag(cls: Any) -> Any:
    """Return what gives the arrays of an ``.npz`` archive as attributes, without the archive."""
    return cls.__new__(cls)


def set_bag(made: Any, archive: Any) -> None:
    """Say which archive it is, weakly."""
    object.__setattr__(made, "_obj", archive)


give_names(globals())
