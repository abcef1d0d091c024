"""Objects that are known by their identity: what libraries keep as globals to be compared with ``is``."""

from __future__ import annotations

import sys
import types


def singletons_of(kind: type) -> dict[int, tuple[str, str]]:
    """Return the stateless instances of a library's class which that library keeps as globals, by id: its sentinels."""
    module = sys.modules.get(kind.__module__)
    if module is None:
        return {}
    return {
        id(value): (module.__name__, name)
        for name, value in tuple(vars(module).items())
        if type(value) is kind and not getattr(value, "__dict__", None) and not _has_slots(kind)
    }


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
                for name, module in tuple(sys.modules.items())
                if name not in ("__main__", "__mp_main__") and isinstance(module, types.ModuleType)
                for key, value in tuple(vars(module).items())
                if type(value) is self._kind
            }
        return self._found.get(id(thing))
