"""Functions, classes, type variables, modules and sources that no import brings back: who they are.

Everything that points at such a definition points at its hidden id, never at its name (a name can be rebound) and never
at a copy (a class can be changed).
"""

from __future__ import annotations

import sys
import types
import typing
import weakref
from typing import Any

from .._cloudpickle import importable_as
from .components import DEFINITION, new_id
from .sources import Source

TYPE_VARIABLES: tuple[type, ...] = tuple(
    getattr(typing, name) for name in ("TypeVar", "ParamSpec", "TypeVarTuple") if hasattr(typing, name)
)


_MAINS = ("__main__", "__mp_main__")


def is_definition_type(kind: type) -> bool:
    """Whether objects of this type are pointed at when they can't be imported."""
    return (
        kind is types.FunctionType
        or issubclass(kind, (type, types.ModuleType))
        or kind in TYPE_VARIABLES
        or kind is Source
    )


class Definitions:
    """Hidden ids of the session's definitions, for as long as these live."""

    def __init__(self) -> None:
        self._hidden: dict[int, tuple[weakref.ref[Any], str]] = {}
        self._objects: dict[str, weakref.ref[Any]] = {}
        self._importable: dict[int, Any] = {}

    def importable(self, definition: Any) -> bool:
        """Whether `definition` can be pickled by module and name."""
        key = id(definition)
        if key in self._importable:
            return True
        try:
            found = _is_importable(definition)
        except Exception:  # noqa: BLE001 - a metaclass or module that answers no questions, which no import can know
            found = False
        if found:
            # Kept alive, so that the id can't come to mean something else.
            self._importable[key] = definition
        return found

    def is_known_importable(self, thing: Any) -> bool:
        """Whether `thing` was found importable before."""
        return self._importable.get(id(thing)) is thing

    def recheck(self) -> None:
        """Forget what was importable: a module was reloaded or patched."""
        self._importable.clear()

    def hidden_of(self, definition: Any) -> str:
        """Return the hidden id of a definition, a new one if it was not met before."""
        known = self._hidden.get(id(definition))
        if known is not None and known[0]() is definition:
            return known[1]
        hidden = DEFINITION + new_id()
        self.register(definition, hidden)
        return hidden

    def register(self, definition: Any, hidden: str) -> None:
        """Make `hidden` mean `definition` from now on; what it meant before gets a new id when it is met again."""
        before = self.object_of(hidden)
        if before is not None and before is not definition:
            self._hidden.pop(id(before), None)
        key = id(definition)

        def forget(reference: weakref.ref[Any]) -> None:
            known = self._hidden.get(key)
            if known is not None and known[0] is reference:
                del self._hidden[key]
            if self._objects.get(hidden) is reference:
                del self._objects[hidden]

        reference = weakref.ref(definition, forget)
        self._hidden[key] = (reference, hidden)
        self._objects[hidden] = reference

    def known(self) -> set[str]:
        """Return the hidden ids of all that live."""
        return set(self._objects)

    def object_of(self, hidden: str) -> Any:
        """Return the living definition with this hidden id, or None."""
        reference = self._objects.get(hidden)
        return None if reference is None else reference()


def _is_importable(definition: Any) -> bool:
    if type(definition) is types.FunctionType and definition.__globals__.get("__name__") in _MAINS:
        # Of the session, whatever `functools.wraps` made it say, and though it may have been put into that module.
        return False
    if not issubclass(type(definition), types.ModuleType):
        place = importable_as(definition)
        return place is not None and not is_made_by_hand(sys.modules[place[0]], place[0])
    name = definition.__name__
    known = sys.modules.get(name)
    if name in _MAINS or known is None or is_made_by_hand(definition, name):
        return False
    # Some packages put another module in their place while they are imported: the one that was taken before is as good.
    return known is definition or definition.__dict__.get("__spec__") is not None


def is_made_by_hand(module: types.ModuleType, name: str) -> bool:
    """Whether a module that is known under `name` comes from ``types.ModuleType(…)``, so that no import brings it back.

    Compiled packages have submodules without a specification, which their import makes.
    """
    names = module.__dict__
    return "." not in name and all(names.get(key) is None for key in ("__spec__", "__loader__", "__file__"))


def own_functions(cls: type) -> list[types.FunctionType]:
    """Return the functions that were defined in the body of `cls`: they belong to the class's component."""
    found: dict[int, types.FunctionType] = {}
    prefix = type.__getattribute__(cls, "__qualname__") + "."
    for value in tuple(type.__getattribute__(cls, "__dict__").values()):
        parts: tuple[Any, ...]
        if type(value) in (staticmethod, classmethod):
            parts = (value.__func__,)
        elif type(value) is property:
            parts = (value.fget, value.fset, value.fdel)
        else:
            parts = (value,)
        for part in parts:
            if type(part) is types.FunctionType and part.__qualname__.startswith(prefix):
                found[id(part)] = part
                inner = part.__dict__.get("__wrapped__")
                if type(inner) is types.FunctionType and inner.__code__.co_filename == _GENERATED:
                    found[id(inner)] = inner  # a dataclass's `__repr__`, for which another Python needs the class
    return list(found.values())


_GENERATED = "<string>"
"""What `dataclasses` and `collections` name as the file of what they generate."""
