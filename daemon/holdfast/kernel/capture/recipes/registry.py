"""Which recipe an object gets: tables by the names of types, so that no library has to be imported to have one."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pickle import PicklingError
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..pickler import ComponentPickler

Recipe = Callable[["ComponentPickler", Any], Any]

TABLES: dict[str, tuple[str, ...]] = {
    "itertools": ("iterators",),
    **dict.fromkeys(("_asyncio", "_queue", "_thread", "asyncio", "concurrent"), ("threads",)),
    **dict.fromkeys(("multiprocessing", "subprocess", "threading"), ("threads",)),
    **dict.fromkeys(
        ("_ctypes", "_json", "_struct", "argparse", "ctypes", "functools", "random", "re", "weakref"), ("small",)
    ),
    "_contextvars": ("contexts",),
    "contextlib": ("context_managers",),
    "_csv": ("delimited",),
    "sqlite3": ("databases",),
    **dict.fromkeys(("_io", "bz2", "gzip", "lzma", "tarfile", "tempfile", "zipfile"), ("files",)),
    "logging": ("handlers",),
    "numpy": ("ufuncs", "masked_arrays", "array_iterators"),
    "scipy": ("ufuncs", "science"),
    "astropy": ("science",),
    **dict.fromkeys(("cv2", "lightgbm", "pyspark", "tqdm"), ("engines",)),
    "PIL": ("pictures",),
    "matplotlib": ("callbacks", "drawing"),
    "polars": ("plans", "columns"),
    "pyarrow": ("arrow",),
    "ray": ("clusters",),
    **dict.fromkeys(("catboost", "xarray"), ("datasets",)),
    "sklearn": ("scikit_learn",),
    **dict.fromkeys(("patsy", "statsmodels"), ("formulas",)),
    "torch": ("torch",),
    **dict.fromkeys(("_plotly_utils", "bokeh", "keras", "plotly"), ("whole",)),
}
"""The files of this package to look into for the types of a library, by the name of its outermost module.

Such a file has one or more of:

- ``RECIPES``: ``{(module, qualified name): recipe}``, for objects of exactly this type;
- ``DERIVED``: the same, also for objects of classes derived from it, unless they are pickled in a way of their own;
- ``KINDS``: ``{(module, qualified name): kind}`` with a kind of `kinds`, where `kinds` would find another by itself;
- ``OWNERS``: ``(module, qualified name)`` of compiled types whose attributes are arrays over their objects' memory.
  Their recipes note in `ComponentPickler.memory` the arrays in which the memory itself is saved.
- ``ARRAYS``: ``{(module, qualified name): function}`` of types whose memory arrays may show; the function returns the
  reduce value of an array with such a base.

The module is the type's ``__module__``.
"""

_OF_PIL = ("ImagingCore",)
"""Types of compiled libraries that say they are builtins."""
_Key = tuple[str, str]


class CannotKeep(PicklingError):
    """A recipe's refusal to take an object apart; the reason continues "a … can't be saved: "."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.remedy = remedy


def plain(pickler: ComponentPickler, thing: Any) -> Any:
    """Leave it to pickle."""
    return NotImplemented


def recipe_for(kind: type) -> Recipe | None:
    """Return the recipe that the tables have for a type, or None."""
    for base in type.__getattribute__(kind, "__mro__"):
        key = _key(base)
        for file in _files(key):
            exact: Recipe | None = getattr(file, "RECIPES", {}).get(key) if base is kind else None
            if exact is not None:
                return exact
            derived: Recipe | None = getattr(file, "DERIVED", {}).get(key)
            if derived is not None and (base is kind or _is_pickled_alike(kind, base)):
                return derived
    return None


def kind_of(kind: type) -> int | None:
    """Return what meeting an object of this exact type means for grouping, if a table says so."""
    key = _key(kind)
    for file in _files(key):
        found: int | None = getattr(file, "KINDS", {}).get(key)
        if found is not None:
            return found
    return None


def shows_memory(kind: type) -> bool:
    """Whether objects of this exact type show their memory as arrays."""
    key = _key(kind)
    return any(key in getattr(file, "OWNERS", ()) or key in getattr(file, "ARRAYS", ()) for file in _files(key))


def place_of_arrays(kind: type) -> Callable[[Any, Any], Any] | None:
    """Return the function that says where in memory of an object of this type an array lies, if there is one."""
    key = _key(kind)
    for file in _files(key):
        found: Callable[[Any, Any], Any] | None = getattr(file, "ARRAYS", {}).get(key)
        if found is not None:
            return found
    return None


def _key(kind: type) -> _Key:
    return str(type.__getattribute__(kind, "__module__")), str(type.__getattribute__(kind, "__qualname__"))


def _files(key: _Key) -> list[Any]:
    if key[0] == "builtins":
        names: tuple[str, ...] = ("pictures",) if key[1] in _OF_PIL else ()
        if key[1].endswith("iterator"):
            names = ("iterators",)
    else:
        names = TABLES.get(key[0].partition(".")[0], ())
    return [importlib.import_module(f"{__package__}.{name}") for name in names]


def _is_pickled_alike(kind: type, base: type) -> bool:
    """Whether a derived class has not been taught pickling by whoever wrote it."""
    return all(
        getattr(kind, name, None) is getattr(base, name, None)
        for name in ("__reduce_ex__", "__reduce__", "__getstate__", "__setstate__", "__getnewargs_ex__")
    )
