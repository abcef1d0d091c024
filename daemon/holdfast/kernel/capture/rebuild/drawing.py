"""matplotlib's objects over compiled ones."""

from __future__ import annotations

import importlib
from typing import Any

from . import give_names


def set_triangulation(made: Any, state: tuple[dict[str, Any], list[str]]) -> None:
    """Give a triangulation its attributes, and make again what it had made of them."""
    attributes, names = state
    # What the compiled object has found out itself it does not always take back.
    derived: dict[str, Any] = {name: None for name in ("_edges", "_neighbors") if name in attributes}
    made.__dict__.update({**attributes, **derived})
    if "_cpp_triangulation" in names:
        made.get_cpp_triangulation()
    made.__dict__.update({name: attributes[name] for name in derived})
    if "_trifinder" in names:
        made.get_trifinder()


def finder_of(triangulation: Any) -> Any:
    """Return the finder that a triangulation keeps."""
    return triangulation.get_trifinder()


def path_of(module: str, owner: str, name: str) -> Any:
    """Return a path that a class of matplotlib keeps, which may make it when it is asked for it."""
    cls = getattr(importlib.import_module(module), owner)
    kept = getattr(cls, name)
    return getattr(cls, name.removeprefix("_"))() if kept is None else kept


def background(extents: tuple[int, int, int, int], shape: tuple[int, ...], pixels: bytes) -> Any:
    """Return what a canvas copies of its pixels.

    Args:
        extents: left, top, right and bottom, from the upper left corner.
    """
    left, top, right, bottom = extents
    width, height = max(right, 1), max(bottom, 1)
    renderer = importlib.import_module("matplotlib.backends.backend_agg").RendererAgg(width, height, 72)
    place = importlib.import_module("matplotlib.transforms").Bbox([[left, height - bottom], [right, height - top]])
    made = renderer.copy_from_bbox(place)
    numpy = importlib.import_module("numpy")
    numpy.asarray(made)[...] = numpy.frombuffer(pixels, numpy.uint8).reshape(shape)
    return made


give_names(globals())
