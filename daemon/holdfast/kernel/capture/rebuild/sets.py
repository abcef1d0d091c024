"""Sets that are iterated over in the order in which they were."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import give_names


def ordered(frozen: bool, together: int, items: Sequence[Any], fillers: Sequence[int]) -> Any:
    """Return a set.

    Args:
        frozen: whether it can't be changed.
        together: how many items are put into it at once: that decides how much room it has.
        items: what to put into it, in order.
        fillers: those of them that are taken out again.
    """
    if frozen:
        return frozenset(dict.fromkeys(items)) if together else frozenset(items)
    made: set[Any] = set()
    if together:
        made.update(dict.fromkeys(items[:together]))
    for item in items[together:]:
        made.add(item)
    made.difference_update(fillers)
    return made


give_names(globals())
