"""What meeting an object of a type means for grouping: does it tie variables together, is it a definition?"""

from __future__ import annotations

import datetime
import decimal
import enum
import fractions
import logging
import os
import pathlib
import pickle
import re
import sys
import types
import typing
import uuid
import weakref

from .definitions import TYPE_VARIABLES, is_definition_type
from .recipes import registry
from .sources import Source

FREE = 0
"""Immutable, or known by reference: two variables may share it and stay apart."""
TIES = 1
"""Mutable: variables that share it belong together."""
COUNTED = 3
"""Ties, and its references are all visible to pickle, so that a reference from elsewhere shows in the count."""
DEFINITION = 4
"""Pointed at, or importable."""

ATOMS: frozenset[type] = frozenset(
    {
        type(None), bool, int, float, complex, str, bytes, range, type(...), type(NotImplemented),
        datetime.datetime, datetime.date, datetime.timedelta, decimal.Decimal, fractions.Fraction, uuid.UUID,
        pathlib.PosixPath, pathlib.WindowsPath, pathlib.PurePosixPath, pathlib.PureWindowsPath,
    }
)  # fmt: skip
"""Immutable, with nothing inside that could be of another kind, and pickled alike by every pickler."""

_FREE_TYPES = ATOMS | {
    tuple, frozenset, slice, datetime.time, datetime.timezone, re.Pattern, pickle.PickleBuffer,
    types.CodeType, types.BuiltinFunctionType, types.WrapperDescriptorType, types.MethodWrapperType,
    types.MethodDescriptorType, types.ClassMethodDescriptorType, types.GetSetDescriptorType,
    types.MemberDescriptorType, types.MethodType, types.GenericAlias, types.UnionType,
    weakref.ReferenceType, logging.Logger, logging.RootLogger, type(os.environ),
    typing._GenericAlias, typing._SpecialForm,  # type: ignore[attr-defined]
}  # fmt: skip
_FREE_BASES_BY_NAME = {
    ("numpy", "dtype"),
    ("numpy", "generic"),
    ("numpy", "ufunc"),
    ("pandas.core.dtypes.base", "ExtensionDtype"),
    ("pandas.api.extensions", "ExtensionDtype"),
    ("pandas._libs.tslibs.offsets", "BaseOffset"),
    ("sympy.core.basic", "Basic"),
}
_FREE_MODULES = ("pytz", "zoneinfo", "dateutil", "_holdfast_kernel")
_CYTHON = "_cython_"
"""Functions of compiled modules, which pickles name: types in a module that Cython makes, with its version."""
_STANDARD = sys.stdlib_module_names | {"builtins"}

_LASTING: dict[type, int] = dict.fromkeys(_FREE_TYPES, FREE)
_LASTING.update(
    {list: COUNTED, dict: COUNTED, set: COUNTED, bytearray: COUNTED, types.FunctionType: DEFINITION, type: DEFINITION}
)
_LASTING[typing.NewType] = TIES
_LASTING.update(dict.fromkeys((*TYPE_VARIABLES, Source), DEFINITION))


def set_free(kind: type) -> None:
    """Declare a type of our own that never ties variables together."""
    _LASTING[kind] = FREE


class Kinds(dict[type, int]):
    """A dict from types to kinds that finds out about a type when it is first met; made anew for each capture."""

    def __init__(self) -> None:
        super().__init__(_LASTING)

    def __missing__(self, kind: type) -> int:
        found = _kind_of(kind)
        self[kind] = found
        if is_importable_type(kind):
            # Types of the session are not kept alive here.
            _LASTING[kind] = found
        return found


def module_of(kind: type) -> str:
    """Return the name of a type's module, whatever its metaclass does to attributes."""
    return str(type.__getattribute__(kind, "__module__"))


def is_importable_type(kind: type) -> bool:
    """Whether a type is a global of its module, and not of the session."""
    name = module_of(kind)
    module = sys.modules.get(name)
    if module is None or name == "__main__":
        return False
    return vars(module).get(type.__getattribute__(kind, "__name__")) is kind


def _kind_of(kind: type) -> int:
    if is_definition_type(kind):
        return DEFINITION
    if (named := registry.kind_of(kind)) is not None:
        return named
    if isinstance(kind, enum.EnumMeta):
        return FREE
    if any((module_of(base), base.__name__) in _FREE_BASES_BY_NAME for base in kind.__mro__):
        return FREE
    top = module_of(kind).partition(".")[0]
    if top in _FREE_MODULES or top == "typing" or top.startswith(_CYTHON):
        return FREE
    if top in _STANDARD or top == "__main__":
        return COUNTED
    module = sys.modules.get(module_of(kind))
    outermost = str(type.__getattribute__(kind, "__qualname__")).partition(".")[0]
    return TIES if module is not None and outermost in vars(module) else COUNTED
