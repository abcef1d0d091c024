"""What ``import holdfast`` is in a cell: functions that tell the session how to keep things.

Outside of a session they do nothing, so a script that calls them runs under plain Python as well.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any, TypeVar

__all__ = ["ambient", "register", "unregister"]

Thing = TypeVar("Thing")


def register(
    kind: type[Thing], save: Callable[[Thing], Any], load: Callable[[Any], Thing], *, subclasses: bool = False
) -> None:
    """Keep objects of a type in a way of your own, from the next save on; a second call replaces the first.

    Args:
        kind: the type; only objects of exactly this type, unless `subclasses` says otherwise.
        save: called with an object when it is saved; returns anything that the session can keep, objects of other
            variables included. It must not change the object.
        load: called with what `save` returned when the session is restored; returns the object.
        subclasses: also keep objects of derived types in this way.

    Raises:
        TypeError: `kind` is no type, or is one whose objects are always kept as they are.
    """
    registered = _registered()
    if registered is not None:
        registered.register(kind, save, load, subclasses=subclasses)


def unregister(kind: type) -> None:
    """Keep objects of a type as if `register` had not been called for it."""
    registered = _registered()
    if registered is not None:
        registered.unregister(kind)


def ambient(name: str, read: Callable[[], Any] | None, write: Callable[[Any], object] | None) -> None:
    """Keep a state that lies in no variable, from the next save on: a setting of a module, a registry in C code.

    The two functions are kept with it, so the state is also saved after a restore. Declaring a name again replaces what
    was declared, and with `None` for both functions ends it.

    Args:
        name: what the state is called when it can't be kept; without colons.
        read: called without arguments after each run that called something; returns the state, as anything that the
            session can keep. It must not change anything.
        write: called with what `read` returned when the session is restored, after its variables are back.

    Raises:
        TypeError: the name or the functions are of no use.
    """
    if "_holdfast_kernel" in sys.modules:
        import_module("_holdfast_kernel.capture.ambient").ambient(name, read, write)


def _registered() -> Any:
    if "_holdfast_kernel" not in sys.modules:
        return None
    return import_module("_holdfast_kernel.capture.recipes.registered")
