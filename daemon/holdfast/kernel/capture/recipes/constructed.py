"""Objects of classes whose ``__new__`` wants arguments that pickle does not have."""

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


def _takes(function: types.FunctionType, count: int) -> bool:
    """Whether a function can be called with so many arguments."""
    code = function.__code__
    needed = code.co_argcount - len(function.__defaults__ or ())
    most = count if code.co_flags & 0x4 else code.co_argcount
    return needed <= count <= most and code.co_kwonlyargcount <= len(function.__kwdefaults__ or ())
