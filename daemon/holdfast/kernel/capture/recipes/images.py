"""Pillow's images with all that they have, and what draws on them; Pillow's own way keeps pixels and mode alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import rebuild
from ..rebuild import images as rebuilding

if TYPE_CHECKING:
    from ..pickler import ComponentPickler


def _image(pickler: ComponentPickler, image: Any) -> Any:
    """Take an image apart; one whose file was not read yet stays like that."""
    attributes = dict(image.__dict__)
    slot = "_im" if "_im" in attributes else "im"
    core = attributes.pop(slot, None)
    pixels = None
    if core is not None:
        if type(core).__name__ != "ImagingCore" or attributes.get("tile"):
            return NotImplemented
        data = image.tobytes()  # which hands a new palette on to the core
        mode = core.getpalettemode() if hasattr(core, "getpalettemode") and core.mode in ("P", "PA") else None
        palette = (mode, core.getpalette(mode, mode)) if mode else None
        pixels = core.mode, core.size, palette, data
    if type(attributes.get("map")).__name__ == "mmap":
        attributes["map"] = None
    state = attributes, slot, pixels
    return rebuild.bare_object, (type(image),), state, None, None, rebuilding.set_image


def _draw(pickler: ComponentPickler, draw: Any) -> Any:
    attributes = dict(draw.__dict__)
    image = attributes.get("_image")
    if image is None or attributes.pop("im", None) is not image.im or attributes.pop("draw", None) is None:
        return NotImplemented
    return rebuild.bare_object, (type(draw),), attributes, None, None, rebuilding.set_draw


DERIVED = {
    ("PIL.JpegImagePlugin", "JpegImageFile"): _image,
    ("PIL.Image", "Image"): _image,
    ("PIL.ImageFile", "ImageFile"): _image,
    ("PIL.ImageDraw", "ImageDraw"): _draw,
}
