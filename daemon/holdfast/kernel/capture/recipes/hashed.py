"""Objects that say themselves how they are hashed, and may be in a set or be a key before they are whole.

Where objects refer to each other through sets or dicts, pickle puts an object into one before it has any attribute, and
its ``__hash__`` fails. So what a hash is usually made of, the plain attributes, is there from the beginning.
"""

from __future__ import annotations

import copyreg
import types
from typing import TYPE_CHECKING, Any

from .. import rebuild
from ..kinds import ATOMS

if TYPE_CHECKING:
    from ..pickler import ComponentPickler
    from .registry import Recipe

_TAUGHT = ("__reduce__", "__reduce_ex__", "__getstate__", "__setstate__", "__getnewargs__", "__getnewargs_ex__")


def recipe_for(kind: type) -> Recipe | None:
    """Return the recipe for a type with a ``__hash__`` in Python that is otherwise pickled as any object, or None."""
    find = type.__getattribute__
    if type(find(kind, "__hash__")) is not types.FunctionType:
        return None
    for base in find(kind, "__mro__"):
        if base is not object and any(name in find(base, "__dict__") for name in _TAUGHT):
            return None
    return _hashed


def _hashed(pickler: ComponentPickler, thing: Any) -> Any:
    function, arguments, state, *items = thing.__reduce_ex__(5)
    if function is not copyreg.__newobj__ or len(arguments) != 1 or any(part is not None for part in items):  # type: ignore[attr-defined]
        return NotImplemented
    attributes: dict[str, Any] = {}
    for part in state if type(state) is tuple else (state,):
        if type(part) is dict:
            attributes.update((name, value) for name, value in part.items() if _is_plain(value))
    if not attributes:
        return NotImplemented
    return rebuild.begun_object, (*arguments, attributes), state


def _is_plain(value: Any) -> bool:
    return type(value) in ATOMS or (type(value) in (tuple, frozenset) and all(map(_is_plain, value)))
