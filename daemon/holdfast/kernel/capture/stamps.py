"""Seeing at a glance that a function or class is as it was: a run that calls it does not make it new.

A stamp lists the objects a definition is made of, all of them immutable or pointed at, to be compared by identity. A
definition with anything mutable in it (a list as a default, a dict in a class) has no stamp and is pickled to know.
"""

from __future__ import annotations

import types
from collections.abc import Iterable
from operator import is_
from typing import Any

from .definitions import Definitions
from .kinds import ATOMS, DEFINITION, FREE, Kinds
from .sources import Source

Stamp = list[Any]

_EMPTY = object()
_LEAVES = frozenset({types.GetSetDescriptorType, types.MemberDescriptorType, types.CodeType, types.BuiltinFunctionType})
_PASSED_OVER = frozenset({"__slotnames__", "_abc_impl"})


class _Mutable(Exception):
    """There is no stamp."""


def stamp_of(members: Iterable[str], definitions: Definitions) -> Stamp | None:
    """Return the stamp of a component of definitions, None if it can't have one."""
    stamp: Stamp = []
    kinds = Kinds()
    try:
        for hidden in members:
            definition = definitions.object_of(hidden)
            if type(definition) is types.FunctionType:
                _stamp_function(definition, stamp, kinds, definitions)
            elif isinstance(definition, type):
                _stamp_class(definition, stamp, kinds, definitions)
            elif type(definition) is Source:
                stamp.append(definition)
            else:
                return None
    except _Mutable:
        return None
    return stamp


def is_same(one: Stamp, other: Stamp | None) -> bool:
    """Whether two stamps are of the same state."""
    return other is not None and len(one) == len(other) and all(map(is_, one, other))


def _stamp_function(function: types.FunctionType, stamp: Stamp, kinds: Kinds, definitions: Definitions) -> None:
    if function.__dict__ or getattr(function, "__type_params__", None):
        raise _Mutable
    stamp += (function.__code__, function.__name__, function.__qualname__, function.__module__, function.__doc__)
    _stamp(function.__defaults__, stamp, kinds, definitions)
    for mapping in (function.__kwdefaults__, _annotations(function)):
        _stamp_items(mapping or {}, stamp, kinds, definitions)
    for cell in function.__closure__ or ():
        try:
            _stamp(cell.cell_contents, stamp, kinds, definitions)
        except ValueError:
            stamp.append(_EMPTY)


def _annotations(function: types.FunctionType) -> dict[str, Any]:
    if getattr(function, "__annotate__", None) is not None:
        # From 3.14 they are made by a function, and only when asked for.
        raise _Mutable
    return function.__annotations__


def _stamp_class(cls: type, stamp: Stamp, kinds: Kinds, definitions: Definitions) -> None:
    if type(cls) is not type:
        # Abstract classes and enumerations keep more than their namespace shows.
        raise _Mutable
    stamp += (cls.__name__, cls.__qualname__)
    _stamp(cls.__bases__, stamp, kinds, definitions)
    for name, value in cls.__dict__.items():
        if name in _PASSED_OVER:
            continue
        stamp.append(name)
        if name == "__annotations__" and type(value) is dict:
            _stamp_items(value, stamp, kinds, definitions)
        else:
            _stamp(value, stamp, kinds, definitions)


def _stamp_items(mapping: dict[str, Any], stamp: Stamp, kinds: Kinds, definitions: Definitions) -> None:
    for name, value in mapping.items():
        stamp.append(name)
        _stamp(value, stamp, kinds, definitions)


def _stamp(value: Any, stamp: Stamp, kinds: Kinds, definitions: Definitions) -> None:
    kind = type(value)
    if kind in ATOMS or kind in _LEAVES:
        stamp.append(value)
    elif kind is tuple:
        stamp.append(len(value))
        for item in value:
            _stamp(item, stamp, kinds, definitions)
    elif kind in (staticmethod, classmethod):
        stamp.append(kind)
        _stamp(value.__func__, stamp, kinds, definitions)
    elif kind is property:
        stamp += (kind, value.__doc__)
        for part in (value.fget, value.fset, value.fdel):
            _stamp(part, stamp, kinds, definitions)
    elif kinds[kind] == DEFINITION:
        stamp.append(value if definitions.importable(value) else definitions.hidden_of(value))
    elif kinds[kind] == FREE and not isinstance(value, (frozenset, types.MethodType, slice)):
        stamp.append(value)
    else:
        raise _Mutable
