"""Parts of libraries that many objects have in common: they say nothing about which variables belong together.

Figures share markers' paths, the colours of a map, and lists of options; layers of a network share the policy for their
numbers. They are saved with each variable that has them, by value, and tie none to another.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

_AT_MOST = 50_000
"""Objects that are looked at in all."""


def _matplotlib(modules: dict[str, Any]) -> Iterator[Any]:
    module = modules["matplotlib"]
    yield from (value for value in dict.values(module.rcParams) if type(value) in (list, dict))
    yield from (getattr(known, "colors", None) for known in getattr(module.colormaps, "_cmaps", {}).values())
    yield vars(modules["matplotlib.transforms"].IdentityTransform).get("_mtx")
    yield vars(modules["matplotlib.markers"]).get("_empty_path")
    path = modules["matplotlib.path"].Path
    for owner in (path, modules["matplotlib.markers"].MarkerStyle):
        yield from (value for value in vars(owner).values() if type(value) is path)


def _keras(modules: dict[str, Any]) -> Iterator[Any]:
    yield modules["keras.src.dtype_policies.dtype_policy"].dtype_policy()


def _plotly(modules: dict[str, Any]) -> Iterator[Any]:
    for known in tuple(modules["plotly.validator_cache"].ValidatorCache._cache.values()):
        yield getattr(known, "class_strs_map", None)
        yield getattr(known, "_class_map", None)


_LIBRARIES: dict[str, Callable[[dict[str, Any]], Iterator[Any]]] = {
    "matplotlib.markers": _matplotlib,
    "keras.src.dtype_policies.dtype_policy": _keras,
    "plotly.validator_cache": _plotly,
}
"""What a library's objects have in common, by a module that is loaded when there are such objects."""


def loose_parts() -> dict[int, Any]:
    """Return the mutable objects that tie nothing together, by id; holding them keeps their ids theirs."""
    found: dict[int, Any] = {}
    for name, parts in _LIBRARIES.items():
        if name in sys.modules:
            try:
                _gather(parts(sys.modules), found)
            except (AttributeError, KeyError, TypeError):
                # Another version of the library, or one that is only half imported: its objects tie what they tie.
                continue
    return found


def _gather(parts: Iterable[Any], found: dict[int, Any]) -> None:
    work = [part for part in parts if part is not None]
    while work and len(found) < _AT_MOST:
        part = work.pop()
        kind = type(part)
        if kind in (str, int, float, bool, bytes, type(None)) or isinstance(part, type) or id(part) in found:
            continue
        found[id(part)] = part
        if kind in (list, tuple):
            work.extend(part)
        elif kind is dict:
            work.extend(part.values())
        elif type(attributes := getattr(part, "__dict__", None)) is dict:
            work.append(attributes)
