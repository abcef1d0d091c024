"""What matplotlib keeps in compiled objects that can't be pickled, and can make again from what it has beside them."""

from __future__ import annotations

import copyreg
import sys
from typing import TYPE_CHECKING, Any

from .. import rebuild
from ..rebuild import drawing

if TYPE_CHECKING:
    from ..pickler import ComponentPickler


_NEW: Any = copyreg.__newobj__  # type: ignore[attr-defined]  # not in the stubs


def _triangulation(pickler: ComponentPickler, triangulation: Any) -> Any:
    state = dict(triangulation.__dict__)
    made = [name for name in ("_cpp_triangulation", "_trifinder") if state.get(name) is not None]
    state.update(dict.fromkeys(made))
    return _NEW, (type(triangulation),), (state, made), None, None, drawing.set_triangulation


def _finder(pickler: ComponentPickler, finder: Any) -> Any:
    triangulation = finder._triangulation
    if triangulation._trifinder is finder:
        return drawing.finder_of, (triangulation,)
    return type(finder), (triangulation,)


def _background(pickler: ComponentPickler, region: Any) -> Any:
    """A copy of what something was drawn over."""
    # Another way to the pixels needs numpy, and whoever has matplotlib has it.
    pixels = sys.modules["numpy"].asarray(region)
    return drawing.background, (tuple(region.get_extents()), pixels.shape, pixels.tobytes())


def _transform(pickler: ComponentPickler, node: Any) -> Any:
    """Have a transform know from the beginning what it needs to be changed.

    Figures change theirs when they are loaded, which may be while the transform itself waits for what it leads to.
    """
    function, arguments, *rest = node.__reduce_ex__(5)
    if function is not _NEW or len(arguments) != 1:
        return NotImplemented
    return rebuild.begun_object, (*arguments, {"_parents": {}, "_invalid": node._invalid}), *rest


def _path(pickler: ComponentPickler, path: Any) -> Any:
    """Know a path that matplotlib keeps, as that of a circle, by where it does."""
    for module, owner in _OWNERS_OF_PATHS:
        for name, value in vars(getattr(sys.modules.get(module), owner, None) or _Nothing).items():
            if value is path:
                return pickler.known_as(drawing.path_of, (module, owner, name), path)
    return NotImplemented


class _Nothing:
    """Stands for a class that is not there."""


_OWNERS_OF_PATHS = (("matplotlib.path", "Path"), ("matplotlib.markers", "MarkerStyle"))

RECIPES = {
    ("matplotlib.path", "Path"): _path,
    ("matplotlib.tri._triangulation", "Triangulation"): _triangulation,
    ("matplotlib.tri._trifinder", "TrapezoidMapTriFinder"): _finder,
    ("matplotlib.backends._backend_agg", "BufferRegion"): _background,
}
DERIVED = {("matplotlib.transforms", "TransformNode"): _transform}
