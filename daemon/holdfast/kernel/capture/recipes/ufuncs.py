"""numpy's universal functions, which pickle finds only where they say they lie, and its dtypes, which it copies."""

from __future__ import annotations

import sys
import types
from pickle import PicklingError
from typing import TYPE_CHECKING, Any

from .. import rebuild

if TYPE_CHECKING:
    from ..pickler import ComponentPickler

_found: dict[int, tuple[str, str]] = {}
_looked_at = 0


def _ufunc(pickler: ComponentPickler, function: Any) -> Any:
    where = _place(function)
    if where is None:
        from . import array_iterators

        made = array_iterators.made_of(function)
        if made is None:
            raise PicklingError("it was made in this session (numpy.frompyfunc) and is known to no module")
        return made
    return pickler.known_as(rebuild.module_entry, where, function)


def _place(function: Any) -> tuple[str, str] | None:
    """Return a module and the key under which it has this very function."""
    own_name: str = function.__name__
    for home in ("numpy", "scipy.special"):
        if home in sys.modules and vars(sys.modules[home]).get(own_name) is function:
            return home, own_name
    global _looked_at
    if _looked_at != len(sys.modules):
        _looked_at = len(sys.modules)
        kind = type(function)
        for name, module in sys.modules.copy().items():
            if isinstance(module, types.ModuleType) and name not in ("__main__", "__mp_main__"):
                _found.update(
                    (id(value), (name, key)) for key, value in tuple(vars(module).items()) if type(value) is kind
                )
    where = _found.get(id(function))
    return where if where is not None and vars(sys.modules[where[0]]).get(where[1]) is function else None


def _several(pickler: ComponentPickler, functions: Any) -> Any:
    special = vars(sys.modules["scipy.special"])
    name = next((name for name, value in special.items() if value is functions), None)
    return (
        NotImplemented if name is None else pickler.known_as(rebuild.module_entry, ("scipy.special", name), functions)
    )


def _dtype(pickler: ComponentPickler, dtype: Any) -> Any:
    """Have one of numpy's own dtypes come back as itself: pickle makes another one that is equal.

    `numpy.asarray(array, dtype=float)` returns the array where that is the array's dtype, and a view where it is not.
    """
    if dtype.names is not None:
        return _structure(dtype)
    numpy: Any = sys.modules["numpy"]
    for name in (dtype.str, dtype.char):
        try:
            if numpy.dtype(name) is dtype:
                return numpy.dtype, (name,)
        except TypeError:  # a dtype of another library's, which numpy has no name for
            continue
    return NotImplemented


def _structure(dtype: Any) -> Any:
    """Take a dtype of structures apart with a dict of its own: the one it has is seen by all that use the dtype."""
    function, arguments, state = dtype.__reduce__()
    return function, arguments, tuple([dict(part) if type(part) is dict else part for part in state])


RECIPES = {
    ("numpy", "ufunc"): _ufunc,
    ("scipy.special._multiufuncs", "MultiUFunc"): _several,
}
DERIVED = {("numpy", "dtype"): _dtype}
