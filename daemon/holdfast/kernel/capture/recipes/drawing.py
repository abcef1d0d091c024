"""What matplotlib keeps in compiled objects that can't be pickled, and can make again from what it has beside them."""

from __future__ import annotations

import copyreg
from typing import TYPE_CHECKING, Any

from .. import rebuild
from ..rebuild import drawing

if TYPE_CHECKING:
    from ..pickler import ComponentPickler


def _triangulation(pickler: ComponentPickler, triangulation: Any) -> Any:
    state = dict(triangulation.__dict__)
    made = [name for name in ("_cpp_triangulation", "_trifinder") if state.get(name) is not None]
    state.update(dict.fromkeys(made))
    new: Any = copyreg.__newobj__  # type: ignore[attr-defined]  # not in the stubs
    return new, (type(triangulation),), (state, made), None, None, drawing.set_triangulation


def _finder(pickler: ComponentPickler, finder: Any) -> Any:
    triangulation = finder._triangulation
    if triangulation._trifinder is finder:
        return drawing.finder_of, (triangulation,)
    return type(finder), (triangulation,)


def _background(pickler: ComponentPickler, pixels: Any) -> Any:
    """A widget's copy of what it has drawn over, which it takes again when the figure is drawn."""
    return rebuild.nothing, ()


RECIPES = {
    ("matplotlib.tri._triangulation", "Triangulation"): _triangulation,
    ("matplotlib.tri._trifinder", "TrapezoidMapTriFinder"): _finder,
    ("matplotlib.backends._backend_agg", "BufferRegion"): _background,
}
