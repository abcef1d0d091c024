"""Objects that are known by their identity: what libraries keep as globals to be compared with ``is``."""

from __future__ import annotations

import sys
import types
from typing import Any

from ..components import is_users_module

_ATOMS = (type(None), bool, int, float, complex, str, bytes)


def singletons_of(kind: type) -> dict[int, tuple[str, str, Any]]:
    """Return the instances of a library's class which its module keeps as constants, by id: module, path, instance.

    They are globals of the module, or attributes of its classes, and hold nothing; those of an installed library may
    hold numbers and text.
    """
    module = sys.modules.get(kind.__module__)
    if module is None or _has_slots(kind):
        return {}
    taught = any("__setstate__" in vars(base) for base in kind.__mro__[:-1])
    atoms = () if taught or is_users_module(module.__name__, module) else _ATOMS
    found: dict[int, tuple[str, str, Any]] = {}
    for name, value in tuple(vars(module).items()):
        if type(value) is kind:
            if _is_simple(value, atoms):
                found[id(value)] = module.__name__, name, value
        elif issubclass(type(value), type) and type.__getattribute__(value, "__module__") == module.__name__:
            for inner, part in tuple(vars(value).items()):
                if type(part) is kind and _is_simple(part, atoms):
                    found.setdefault(id(part), (module.__name__, f"{name}.{inner}", part))
    return found


def _is_simple(value: Any, atoms: tuple[type, ...]) -> bool:
    parts = getattr(value, "__dict__", None)
    return not parts or (type(parts) is dict and all(type(part) in atoms for part in parts.values()))


def _has_slots(kind: type) -> bool:
    return any(base.__dict__.get("__slots__") for base in kind.__mro__)


class PlainObjects:
    """The objects of a type which imported modules keep as globals, by id: the bare ``object()`` sentinels."""

    def __init__(self, kind: type = object) -> None:
        self._kind = kind
        self._modules = 0
        self._found: dict[int, tuple[str, str]] = {}

    def where(self, thing: object) -> tuple[str, str] | None:
        """Return the module and the name under which a bare object is known, or None if it is the session's own."""
        if self._modules != len(sys.modules):
            self._modules = len(sys.modules)
            self._found = {
                id(value): (name, key)
                for name, module in sys.modules.copy().items()
                if name not in ("__main__", "__mp_main__") and isinstance(module, types.ModuleType)
                for key, value in tuple(vars(module).items())
                if type(value) is self._kind
            }
        return self._found.get(id(thing))
