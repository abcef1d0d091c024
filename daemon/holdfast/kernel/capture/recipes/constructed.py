"""Objects of classes whose own methods get in the way of pickle.

A ``__new__`` may want arguments that pickle does not have, and a ``__getattr__`` that looks at the object's attributes
calls itself without end as long as there are none.
"""

from __future__ import annotations

import copyreg
import types
from typing import TYPE_CHECKING, Any

from .. import rebuild

if TYPE_CHECKING:
    from ..pickler import ComponentPickler
    from .registry import Recipe

_TAUGHT = ("__reduce__", "__reduce_ex__", "__getnewargs__", "__getnewargs_ex__")
_HEAP_TYPE = 1 << 9
_HAVE_STATE = hasattr(object, "__getstate__")
"""Whether every object has the method, so that none is looked up in the object itself."""


def recipe_for(kind: type, otherwise: Recipe) -> Recipe:
    """Return the recipe for a type with a ``__new__`` in Python.

    Args:
        kind: the type.
        otherwise: the recipe for objects which pickle can make again.
    """
    find = type.__getattribute__
    new = find(kind, "__new__")
    for base in find(kind, "__mro__"):
        if base.__flags__ & _HEAP_TYPE and any(name in find(base, "__dict__") for name in _TAUGHT):
            return otherwise

    def construct(pickler: ComponentPickler, thing: Any) -> Any:
        taken_apart: Any = object.__reduce_ex__(thing, 5)
        function, arguments, *rest = taken_apart
        if function is not copyreg.__newobj__ or _takes(new, len(arguments)):  # type: ignore[attr-defined]
            return otherwise(pickler, thing)
        return rebuild.native_object, arguments, *rest

    return construct


def unasked_recipe_for(kind: type, otherwise: Recipe) -> Recipe:
    """Return the recipe for a type with a ``__getattr__`` in Python: nothing is asked of an object that is not whole.

    Args:
        kind: the type.
        otherwise: the recipe for objects that pickle can fill.
    """
    find = type.__getattribute__
    for base in find(kind, "__mro__"):
        if base.__flags__ & _HEAP_TYPE and any(name in find(base, "__dict__") for name in (*_TAUGHT, "__setstate__")):
            return otherwise

    def fill(pickler: ComponentPickler, thing: Any) -> Any:
        reduced = otherwise(pickler, thing)
        if reduced is NotImplemented:
            reduced = object.__reduce_ex__(thing, 5) if _HAVE_STATE else _taken_apart(kind, thing)
        if not isinstance(reduced, tuple) or len(reduced) < 3 or reduced[2] is None or len(reduced) > 5:
            return reduced
        return (*reduced, *[None] * (5 - len(reduced)), rebuild.set_state)

    return fill


def _taken_apart(kind: Any, thing: Any) -> Any:
    """Return what ``object.__reduce_ex__`` does from 3.11 on; before, it asks the object for a ``__getstate__``."""
    if "__getstate__" in {name for base in kind.__mro__ for name in vars(base)}:
        return object.__reduce_ex__(thing, 5)
    parts: dict[str, Any] = {}
    for name in copyreg._slotnames(kind):  # type: ignore[attr-defined]
        try:
            parts[name] = object.__getattribute__(thing, name)
        except AttributeError:
            continue  # a slot that was never filled
    try:
        attributes = object.__getattribute__(thing, "__dict__") or None
    except AttributeError:
        attributes = None
    arguments = kind.__getnewargs__(thing) if hasattr(kind, "__getnewargs__") else ()
    return (
        copyreg.__newobj__,  # type: ignore[attr-defined]
        (kind, *arguments),
        (attributes, parts) if parts else attributes,
        list.__iter__(thing) if issubclass(kind, list) else None,
        iter(dict.items(thing)) if issubclass(kind, dict) else None,
    )


def _takes(function: types.FunctionType, count: int) -> bool:
    """Whether a function can be called with so many arguments."""
    code = function.__code__
    needed = code.co_argcount - len(function.__defaults__ or ())
    most = count if code.co_flags & 0x4 else code.co_argcount
    return needed <= count <= most and code.co_kwonlyargcount <= len(function.__kwdefaults__ or ())
