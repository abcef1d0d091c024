"""Less memory for what is noted of millions of objects while a copy of the process pickles them.

A copy has the objects' memory once more, page by page, since pickling counts references. On top of that comes what is
noted: every object that was met, the pickler's memo, what ties variables together. In a copy no code of the session
runs but that of reducers, so what it has stays where it is, and much of this need not be kept.
"""

from __future__ import annotations

from array import array
from itertools import compress
from typing import Any

from . import escapes

MANY = 20_000
"""Objects of one component from which on it is worth it."""

_ATOMS = frozenset({type(None), bool, int, float, complex, str, bytes, tuple})
"""Pickle itself takes these apart: no reducer is asked, so nothing is noted of them by their ids."""


class Thinning:
    """Takes the atoms out of the list of objects that a pickler has met, now and then."""

    def __init__(self, visited: list[Any]) -> None:
        self._visited = visited
        self._next = MANY

    def work(self) -> None:
        """Do so if there are many; the object that is being pickled stays the last."""
        visited = self._visited
        if len(visited) < self._next:
            return
        last = visited[-1]
        visited[:] = compress(visited, [kind not in _ATOMS for kind in map(type, visited)])
        if type(last) in _ATOMS:
            visited.append(last)
        # Else what is kept would be gone through again and again.
        self._next = 2 * len(visited) + MANY


def condense(ties: dict[int, Any], counted: dict[int, int]) -> tuple[bool, array[int]]:
    """Return whether an object of a component is referenced from outside it, and the ids of those that are counted.

    What was made for pickling alone goes away. Afterwards `ties` has only what is not counted, and `counted` nothing:
    the counted objects are the session's, and live on without that.
    """
    held = escapes.is_held(ties, counted)
    ids = array("Q", (key for key in ties if key in counted))
    others = {key: thing for key, thing in ties.items() if key not in counted}
    ties.clear()
    ties.update(others)
    counted.clear()
    return held, ids
