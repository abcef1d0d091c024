"""Pillow's images, and what draws on them."""

from __future__ import annotations

import importlib
from typing import Any

from . import give_names


def set_image(made: Any, state: tuple[dict[str, Any], str, tuple[str, Any, Any, bytes] | None]) -> None:
    """Set an image's attributes, and its pixels if it has them.

    Args:
        made: the image.
        state: its attributes, the name of that for the pixels, and mode, size, palette and bytes of these.
    """
    attributes, slot, pixels = state
    made.__dict__.update(attributes)
    made.__dict__[slot] = None
    if pixels is None:
        return
    mode, size, palette, data = pixels
    core = importlib.import_module("PIL.Image").core.new(mode, size)
    made.__dict__[slot] = core
    if palette is not None:
        core.putpalette(palette[0], palette[0], palette[1])
    made.frombytes(data)


def set_draw(made: Any, attributes: dict[str, Any]) -> None:
    """Set the attributes of an ``ImageDraw``, and let it draw on its image."""
    made.__dict__.update(attributes)
    image = made._image
    made.im = image.im
    blend = made.mode == "RGBA" and image.mode == "RGB"
    made.draw = importlib.import_module("PIL.Image").core.draw(made.im, int(blend))


give_names(globals())
