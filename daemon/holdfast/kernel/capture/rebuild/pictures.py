"""PIL's images."""

from __future__ import annotations

import importlib
import io
from typing import Any

from . import give_names, set_attributes


def core(mode: str, size: tuple[int, int], pixels: Any, palette: tuple[str, bytes] | None) -> Any:
    """Return the compiled part of an image."""
    images = importlib.import_module("PIL.Image")
    made = images.core.new(mode, size)
    if palette is not None and palette[1]:
        kind, colours = palette
        try:
            made.putpalette(kind, kind, colours)
        except TypeError:
            # Earlier versions of Pillow know one of the two.
            made.putpalette(kind, colours)
    if all(size):
        images.Image()._new(made).frombytes(bytes(pixels))
    return made


def bits(size: tuple[int, int], values: bytes) -> Any:
    """Return the compiled part of an image with one bit for each pixel, which takes a byte of any value."""
    made = importlib.import_module("PIL.Image").core.new("1", size)
    made.putdata(values)
    return made


def set_drawing(made: Any, attributes: dict[str, Any]) -> None:
    """Set the attributes of an ``ImageDraw``, and make again the compiled part that draws."""
    set_attributes(made, attributes)
    blend = made.mode == "RGBA" and made.im.mode == "RGB"
    made.draw = importlib.import_module("PIL.Image").core.draw(made.im, int(blend))


def set_font(made: Any, state: tuple[Any, bytes, tuple[Any, ...]]) -> None:
    """Make a font from the contents of its file."""
    source, contents, arguments = state
    made.__init__(io.BytesIO(contents), *arguments)
    made.path = source


give_names(globals())
