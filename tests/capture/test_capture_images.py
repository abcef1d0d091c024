"""Pillow's images come back with all that they have."""

from __future__ import annotations

from pathlib import Path

import pytest
from sessions import Session

pytest.importorskip("PIL")


def test_an_image_keeps_what_its_file_said_and_one_that_was_not_read_is_read_later(tmp_path: Path) -> None:
    session = Session()
    session.run("from PIL import Image; path = " + repr(str(tmp_path / "a.jpg")))
    session.run("Image.linear_gradient('L').save(path, quality=70)")
    session.run("read = Image.open(path); read.load(); lazy = Image.open(path)")
    assert session.value("lazy.fp is not None and lazy.tile != []"), "saving reads nothing"
    reborn = session.reborn()
    assert reborn.value("(type(read), read.filename, read.fp)") == session.value("(type(read), path, None)")
    assert reborn.value("read.quantization") == session.value("read.quantization")
    assert reborn.value("lazy.fp is not None and lazy.tile != []")
    assert reborn.value("(lazy.tobytes(), read.tobytes())") == session.value("(lazy.tobytes(), read.tobytes())")


@pytest.mark.parametrize(
    "make",
    [
        *[f"Image.new({mode!r}, (5, 3), 1)" for mode in ("1", "L", "I", "F", "I;16", "LA", "RGBA", "CMYK", "HSV")],
        "Image.linear_gradient('L').quantize(7)",
        "Image.new('P', (2, 2)); image.putpalette([1, 2, 3, 4], 'RGBA')",
        "Image.new('L', (0, 0))",
    ],
)
def test_images_of_each_mode_have_their_pixels_and_palette(make: str) -> None:
    session = Session()
    session.run(f"from PIL import Image; image = {make}")
    shown = "(image.mode, image.size, image.tobytes(), image.getpalette('RGBA') if image.mode == 'P' else None)"
    assert session.reborn().value(shown) == session.value(shown)


def test_what_draws_on_an_image_goes_on_drawing_on_it() -> None:
    session = Session()
    session.run(
        "from PIL import Image, ImageDraw\n"
        "image = Image.new('RGB', (9, 9)); pen = ImageDraw.Draw(image); glass = ImageDraw.Draw(image, 'RGBA')"
    )
    reborn = session.reborn()
    for one in (session, reborn):
        one.execute("pen.line((0, 0, 8, 8), fill='red'); glass.rectangle((1, 1, 5, 5), fill=(0, 255, 0, 99))")
    assert reborn.value("image.tobytes()") == session.value("image.tobytes()")
