"""scikit-learn's dict with attributes, and its trees, which show their memory as arrays."""

from __future__ import annotations

import copyreg
from typing import TYPE_CHECKING, Any

from .. import rebuild

if TYPE_CHECKING:
    from ..pickler import ComponentPickler


def _bunch(pickler: ComponentPickler, bunch: Any) -> Any:
    """Take a bunch apart with its instance dict, which its own ``__setstate__`` throws away."""
    new: Any = copyreg.__newobj__  # type: ignore[attr-defined]  # not in the stubs
    items = iter(bunch.items())
    if not bunch.__dict__:
        return new, (type(bunch),), None, None, items
    return new, (type(bunch),), dict(bunch.__dict__), None, items, rebuild.set_dict


def _tree(pickler: ComponentPickler, tree: Any) -> Any:
    """Take a tree apart as it does itself; the arrays of its state are its memory, all others show it."""
    reduced = tree.__reduce__()
    for part in reduced[2].values():
        if hasattr(part, "__array_interface__"):
            pickler.memory[id(part)] = part
    return reduced


RECIPES = {("sklearn.tree._tree", "Tree"): _tree}
DERIVED = {("sklearn.utils._bunch", "Bunch"): _bunch}
OWNERS = frozenset([("sklearn.tree._tree", "Tree")])
