"""What the steps of a deep component's stream call: parts made before what holds them, and circles closed afterwards.

The value of each step is `STEP`; the first value that is not is the member's.
"""

from __future__ import annotations

from collections.abc import Iterable
from sys import intern
from typing import Any

from . import STEP, give_names


def part(*things: Any) -> Any:
    """Do nothing: from now on the stream can refer to the things."""
    return STEP


def fill(container: Any, contents: Any) -> Any:
    """Put the contents into a list, dict or set that was empty so far."""
    if type(container) is list:
        container.extend(contents)
    else:
        container.update(contents)
    return STEP


def complete(made: Any, state: Any, items: Iterable[Any], pairs: Iterable[tuple[Any, Any]], setter: Any) -> Any:
    """Give an object what pickle gives it after it was made: list items, dict items, state."""
    for item in items:
        made.append(item)
    for key, value in pairs:
        made[key] = value
    if state is None:
        return STEP
    own = getattr(made, "__setstate__", None)
    if setter is not None:
        setter(made, state)
    elif own is not None:
        own(state)
    else:
        attributes, slots = state if isinstance(state, tuple) and len(state) == 2 else (state, None)
        for name, value in (attributes or {}).items():
            made.__dict__[intern(name) if type(name) is str else name] = value
        for name, value in (slots or {}).items():
            setattr(made, name, value)
    return STEP


give_names(globals())
