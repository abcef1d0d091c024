"""How the user wants objects of some types kept: ``holdfast.register`` in a cell.

The registrations are a variable of the session, so they are saved and restored like any other, with the functions and
classes that they name. An object's pickle names its load function; it can be restored without the registration.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Mapping
from pickle import PicklingError
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from .. import rebuild
from ..definitions import is_definition_type
from .registry import Recipe

if TYPE_CHECKING:
    from ..pickler import ComponentPickler

VARIABLE = "__holdfast__"
"""Its value: ``{type: (save, load, whether derived types are kept alike)}``."""

changed: list[type] = []
"""The types whose registration changed since the session last looked."""

_WITHOUT_REDUCERS = (type(None), bool, int, float, str, bytes, bytearray, list, tuple, dict, set, frozenset)
"""Types whose objects the C pickler asks nobody about."""


def register(kind: Any, save: Any, load: Any, *, subclasses: bool) -> None:
    """Add a registration to the session, or replace one.

    Raises:
        TypeError: the arguments are of no use.
    """
    if not isinstance(kind, type):
        raise TypeError(f"the first argument must be a type, not {kind!r}")
    if is_definition_type(kind) or (kind in _WITHOUT_REDUCERS and not subclasses):
        raise TypeError(f"objects of the type {kind.__qualname__} are always kept as they are")
    if not callable(save) or not callable(load):
        raise TypeError("save and load must be functions of one argument")
    others = {known: how for known, how in _read().items() if not _is_superseded(known, kind)}
    _write({**others, kind: (save, load, bool(subclasses))}, kind)


def _is_superseded(known: type, kind: type) -> bool:
    """Whether a class was defined anew, and nothing is left of the one that had its name."""
    find = type.__getattribute__
    if known is kind or any(find(known, name) != find(kind, name) for name in ("__module__", "__qualname__")):
        return False
    if find(kind, "__module__") != "__main__" or type.__subclasses__(known):
        return False
    return not any(type(referrer) is known for referrer in gc.get_referrers(known))


def unregister(kind: type) -> None:
    """Remove a registration, if there is one."""
    registrations = dict(_read())
    if registrations.pop(kind, None) is not None:
        _write(registrations, kind)


def _read() -> Mapping[Any, Any]:
    return registrations_in(vars(sys.modules["__main__"]))


def _write(registrations: dict[Any, Any], kind: type) -> None:
    # A new dict each time: nothing but the session refers to it, so it is looked at only when `changed` says so.
    if registrations:
        vars(sys.modules["__main__"])[VARIABLE] = registrations
    else:
        vars(sys.modules["__main__"]).pop(VARIABLE, None)
    changed.append(kind)


def registrations_in(namespace: Mapping[str, Any]) -> Mapping[Any, Any]:
    """Return the registrations of a session."""
    found = namespace.get(VARIABLE)
    return found if type(found) is dict else MappingProxyType({})


def override(dispatch: dict[type, Recipe], namespace: Mapping[str, Any]) -> dict[type, Recipe]:
    """Put the session's registrations into a table of recipes; return those that hold for derived types as well."""
    inherited: dict[type, Recipe] = {}
    for kind, (save, load, subclasses) in registrations_in(namespace).items():
        recipe = _recipe(save, load)
        if subclasses:
            inherited[kind] = recipe
        dispatch[kind] = recipe
    if inherited:
        exact = registrations_in(namespace).keys()
        for known in [known for known in dispatch if known not in exact and inherited_by(known, inherited)]:
            del dispatch[known]
    return inherited


def inherited_by(kind: type, inherited: dict[type, Recipe]) -> Recipe | None:
    """Return the recipe that a type has from the nearest of its bases."""
    for base in type.__getattribute__(kind, "__mro__"):
        if base in inherited:
            return inherited[base]
    return None


def _recipe(save: Callable[[Any], Any], load: Callable[[Any], Any]) -> Recipe:
    def recipe(pickler: ComponentPickler, thing: Any) -> Any:
        if id(thing) in pickler.registered:
            raise PicklingError("what the function registered to save it returned holds the object itself")
        pickler.registered.add(id(thing))
        # Of the session: whether the user's functions bring it back is tried.
        pickler.modules.add("__main__")
        try:
            state = save(thing)
        except Exception as error:  # the user's function, which may raise anything
            raise PicklingError(f"the function registered to save it raised {type(error).__name__}: {error}") from error
        return rebuild.registered, (load, state)

    return recipe
