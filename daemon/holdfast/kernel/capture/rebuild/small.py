"""Small things of the standard library."""

from __future__ import annotations

import functools
import importlib
import types
import weakref
from collections.abc import Callable
from itertools import islice
from typing import Any

from . import give_names


def match(pattern: Any, method: str, string: Any, start: int, end: int, number: int) -> Any:
    """Return a match that was found by a method of a pattern, for ``finditer`` the one with this number."""
    found = getattr(pattern, method)(string, start, end)
    return next(islice(found, number, None)) if method == "finditer" else found


def key_wrapper(compare: Callable[[Any, Any], int], *wrapped: Any) -> Any:
    """Return what ``functools.cmp_to_key`` makes, or a key that this has made."""
    made: Any = functools.cmp_to_key(compare)
    return made(wrapped[0]) if wrapped else made


def json_scanner(options: dict[str, Any]) -> Any:
    """Return the scanner of a ``json.JSONDecoder``."""
    scanner: Any = importlib.import_module("json.scanner")
    return scanner.make_scanner(types.SimpleNamespace(**options))


def bare(cls: Any) -> Any:
    """Return an instance without attributes."""
    return cls.__new__(cls)


def set_argparse_state(made: Any, state: dict[str, Any]) -> None:
    """Set attributes; ``argparse.SUPPRESS`` is known by its identity."""
    suppress = importlib.import_module("argparse").SUPPRESS
    made.__dict__.update(
        (name, suppress if type(value) is str and value == suppress else value) for name, value in state.items()
    )


def finalizer(thing: Any, function: Any, arguments: tuple[Any, ...], keywords: dict[str, Any], atexit: bool) -> Any:
    """Return a ``weakref.finalize`` that waits for its object's end."""
    made = weakref.finalize(thing, function, *arguments, **keywords)
    made.atexit = atexit
    return made


def dead_finalizer() -> Any:
    """Return a ``weakref.finalize`` that has been called."""
    made = weakref.finalize(dead_finalizer, int)
    made.detach()
    return made


def weak_method(method: Any) -> Any:
    """Return a ``weakref.WeakMethod``."""
    return weakref.WeakMethod(method)


def dead_weak_method() -> Any:
    """Return a ``weakref.WeakMethod`` whose object is gone."""

    class Gone:
        def method(self) -> None:
            """Do nothing."""

    return weakref.WeakMethod(Gone().method)


def ctypes_array(element: Any, length: int, contents: bytes) -> Any:
    """Return a ctypes array of numbers."""
    return (element * length).from_buffer_copy(contents)


give_names(globals())
