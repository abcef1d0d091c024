"""Objects that modules of the user's hold as well: after ``from helpers import config`` two places have one object.

What such a place held is kept with the variables that share it, and is put back there on a restore: else the functions
of ``helpers`` would go on with another object than the session. Installed libraries keep their own objects.
"""

from __future__ import annotations

import sys
import types
from typing import Any

from .components import KEPT, is_users_module
from .pickler import Session

ALIAS = f"{KEPT}alias:"
"""Followed by the module's name, a colon, and the path within it: ``helpers:config``, ``helpers:Holder.shared``."""


class Aliases:
    """Knows which places in the user's modules hold what."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._modules = -1
        self._own: list[types.ModuleType] = []

    def places(self) -> dict[int, tuple[str, Any]]:
        """Return the member and the value for each place in a module of the user's, by the value's id."""
        if self._modules != len(sys.modules):
            self._modules = len(sys.modules)
            self._own = [module for name, module in sys.modules.copy().items() if is_users_module(name, module)]
        found: dict[int, tuple[str, Any]] = {}
        for module in self._own:
            for name, value in tuple(module.__dict__.items()):
                found[id(value)] = f"{ALIAS}{module.__name__}:{name}", value
                if issubclass(type(value), type) and type.__getattribute__(value, "__module__") == module.__name__:
                    for inner, part in tuple(type.__getattribute__(value, "__dict__").items()):
                        found[id(part)] = f"{ALIAS}{module.__name__}:{name}.{inner}", part
        return found

    def stale(self, places: dict[int, tuple[str, Any]]) -> list[str]:
        """Forget what lies no longer where it lay; return the members concerned."""
        kept = self._session.kept
        here = dict(places.values())
        gone = [name for name, value in kept.items() if name.startswith(ALIAS) and here.get(name) is not value]
        for member in gone:
            del kept[member]
        return gone
