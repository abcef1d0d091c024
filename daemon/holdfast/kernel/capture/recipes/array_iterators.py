"""numpy's iterators, and functions that it has made universal."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

from ..rebuild import array_iterators as rebuild

if TYPE_CHECKING:
    from ..pickler import ComponentPickler


def _flat(pickler: ComponentPickler, iterator: Any) -> Any:
    return rebuild.flat, (iterator.base, iterator.index)


def _broadcast(pickler: ComponentPickler, iterator: Any) -> Any:
    return rebuild.broadcast, (tuple([part.base for part in iterator.iters]), iterator.index)


def made_of(function: Any) -> Any:
    """Return the reduce value of what ``numpy.frompyfunc`` has made of a function; None if it was made otherwise."""
    parts = [part for part in gc.get_referents(function) if callable(part)]
    if len(parts) != 1 or not function.__name__.endswith(" (vectorized)"):
        return None
    arguments = (parts[0], function.nin, function.nout)
    return rebuild.universal, (*arguments, function.identity) if function.identity is not None else arguments


def _bag(pickler: ComponentPickler, bag: Any) -> Any:
    """Take apart what gives an archive's arrays as attributes; it answers no questions about itself."""
    archive = object.__getattribute__(bag, "_obj")
    return rebuild.bag, (type(bag),), archive, None, None, rebuild.set_bag


RECIPES = {
    ("numpy", "flatiter"): _flat,
    ("numpy", "broadcast"): _broadcast,
    **{(f"numpy.lib.{module}", "BagObj"): _bag for module in ("npyio", "_npyio_impl")},
}
