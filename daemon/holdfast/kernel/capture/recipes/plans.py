"""Polars' plans: a function in one is the session's own, where polars itself would pickle a copy of all it names."""

from __future__ import annotations

import os
import pickle
import re
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from ..rebuild import plans

if TYPE_CHECKING:
    from ..pickler import ComponentPickler

_MARK = b"holdfast:"
_MARKS = re.compile(rb"holdfast:[0-9a-f]{16}")
_marks: dict[int, tuple[Callable[[], Any], str]] = {}
"""References to objects that polars has asked for, and their marks, by id."""


class _Marked:
    """Stands in a written plan for one of its objects."""

    def __init__(self, mark: str) -> None:
        self._mark = mark

    def __reduce__(self) -> Any:
        return plans.marked, (self._mark,)


def _plan(pickler: ComponentPickler, plan: Any) -> Any:
    """Have polars write the plan, with marks for the objects that it wants to have pickled."""
    with _marking() as taken:
        written = bytes(plan.__getstate__())
    for mark in map(bytes.decode, _MARKS.findall(written)):
        # Polars has not looked for it since the restore, and writes what it read.
        if mark not in taken and mark in plans.kept:
            taken[mark] = plans.kept[mark]
    return plans.plan, (type(plan), pickle.PickleBuffer(written), taken)


@contextmanager
def _marking() -> Iterator[dict[str, Any]]:
    """While polars looks up ``pickle.dumps``, it gets marks instead of pickles."""
    taken: dict[str, Any] = {}
    original, here = pickle.dumps, threading.get_ident()

    def mark(thing: Any, *arguments: Any, **options: Any) -> bytes:
        if threading.get_ident() != here:
            return original(thing, *arguments, **options)
        own = _mark_of(thing)
        taken[own] = thing
        return original(_Marked(own))

    patched: Any = pickle
    patched.dumps = mark
    try:
        yield taken
    finally:
        patched.dumps = original


def _mark_of(thing: Any) -> str:
    """Return the mark of an object, which stays the same as long as it lives: else each save would find a change."""
    known = _marks.get(id(thing))
    if known is None or known[0]() is not thing:
        try:
            reference: Callable[[], Any] = weakref.ref(thing, partial(_forget, id(thing)))
        except TypeError:
            reference = partial(_same, thing)
        known = _marks[id(thing)] = reference, _MARK.decode() + os.urandom(8).hex()
    return known[1]


def _same(thing: Any) -> Any:
    return thing


def _forget(key: int, reference: Any) -> None:
    if key in _marks and _marks[key][0] is reference:
        del _marks[key]


RECIPES = {
    ("polars.expr.expr", "Expr"): _plan,
    ("polars.lazyframe.frame", "LazyFrame"): _plan,
}
