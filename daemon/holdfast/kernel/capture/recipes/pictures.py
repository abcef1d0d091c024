"""PIL's images: their own pickles have mode, size, pixels and `info`, and leave out what the file said besides."""

from __future__ import annotations

import sys
from pickle import PickleBuffer
from typing import TYPE_CHECKING, Any

from .. import rebuild
from ..kinds import TIES
from ..rebuild import pictures
from .registry import CannotKeep

if TYPE_CHECKING:
    from ..pickler import ComponentPickler

_CLOSED = "DeferredError"
"""The type of what an image that was closed has in place of its pixels."""
_WITH_PALETTE = ("P", "PA")


def _image(pickler: ComponentPickler, image: Any) -> Any:
    """Take an image apart into its attributes, the file of one with several frames among them."""
    if type(image.__dict__.get("_im")).__name__ != _CLOSED:
        # As PIL's own pickles do: up to now it may have read no more than the head of its file.
        image.load()
    attributes = dict(image.__dict__)
    if attributes.get("map") is not None:
        # The pixels are saved as such, wherever they are.
        attributes["map"] = None
    if attributes.get("_decoder") is not None:
        if getattr(image, "n_frames", 1) > 1:
            raise CannotKeep(
                "its other frames are in a decoder, which reads them when they are asked for",
                "keep the frames: [frame.copy() for frame in ImageSequence.Iterator(…)]",
            )
        attributes["_decoder"] = None
    return rebuild.bare_object, (type(image),), attributes, None, None, rebuild.set_attributes


def _core(pickler: ComponentPickler, core: Any) -> Any:
    """Keep pixels and palette; an image and what draws on it share them."""
    if core.mode == "1" and sum(core.histogram()[1:255]):
        # What is not 0 or 255 came from Image.new(…, 1), and PIL shows it.
        return pictures.bits, (core.size, bytes(map(core.__getitem__, range(core.size[0] * core.size[1]))))
    pixels = sys.modules["PIL.Image"].Image()._new(core).tobytes()
    palette = None
    if core.mode in _WITH_PALETTE:
        mode = core.getpalettemode() if hasattr(core, "getpalettemode") else "RGB"
        palette = mode, bytes(core.getpalette(mode, mode))
    return pictures.core, (core.mode, core.size, PickleBuffer(pixels), palette)


def _drawing(pickler: ComponentPickler, drawing: Any) -> Any:
    attributes = {name: value for name, value in drawing.__dict__.items() if name != "draw"}
    return rebuild.bare_object, (type(drawing),), attributes, None, None, pictures.set_drawing


def _font(pickler: ComponentPickler, font: Any) -> Any:
    """Keep the contents of a font that was not read from a file; PIL's own pickles read it again, from its end."""
    contents = font.__dict__.get("font_bytes")
    if contents is None or isinstance(font.path, (str, bytes)):
        return NotImplemented
    arguments = font.size, font.index, font.encoding, font.layout_engine
    return rebuild.bare_object, (type(font),), (font.path, contents, arguments), None, None, pictures.set_font


def _closed(pickler: ComponentPickler, error: Any) -> Any:
    """Past its attributes, each of which it raises."""
    return rebuild.bare_object, (type(error),), dict(error.__dict__), None, None, rebuild.set_attributes


RECIPES = {
    ("PIL._util", "DeferredError"): _closed,
    ("builtins", "ImagingCore"): _core,
    ("PIL._imaging", "ImagingCore"): _core,
}
DERIVED = {
    ("PIL.Image", "Image"): _image,
    ("PIL.ImageDraw", "ImageDraw"): _drawing,
    ("PIL.ImageFile", "ImageFile"): _image,
    ("PIL.ImageFont", "FreeTypeFont"): _font,
    ("PIL.JpegImagePlugin", "JpegImageFile"): _image,
}
KINDS = {
    ("builtins", "ImagingCore"): TIES,
    ("PIL._imaging", "ImagingCore"): TIES,
}
