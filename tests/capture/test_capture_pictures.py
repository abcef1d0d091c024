"""PIL's images come back with what their file said, not only with their pixels."""

from __future__ import annotations

from pathlib import Path

import pytest
from sessions import Session

pytest.importorskip("PIL")

START = """\
from PIL import Image, ImageDraw, ImageFont
image = Image.new('RGB', (20, 10), (1, 2, 3)); image.putpixel((3, 3), (9, 9, 9))
"""


def test_an_image_keeps_what_its_file_said_of_it(tmp_path: Path) -> None:
    session = Session()
    snapshot = session.run(
        f"{START}path = {str(tmp_path)!r} + '/photo'\n"
        "exif = Image.Exif(); exif[271] = 'maker'; exif[274] = 6\n"
        "image.save(path + '.jpg', exif=exif, dpi=(300, 300), comment=b'note')\n"
        "image.save(path + '.png', dpi=(72, 72))\n"
        "photo, drawn = Image.open(path + '.jpg'), Image.open(path + '.png')\n"
        "said = photo.getexif(); closed = Image.open(path + '.png'); closed.close()"
    )
    assert not snapshot.skipped
    looks = (
        "photo.filename == path + '.jpg', photo.format, photo.get_format_mimetype(), photo.info, photo.layers",
        "photo.getexif() is said and said[271], photo.getexif()[274], photo.quantization, photo.tobytes()",
        "drawn.format, drawn.text, drawn.info, drawn.custom_mimetype, drawn.tell(), drawn.getpixel((3, 3))",
    )
    before = [session.value(look) for look in looks]
    for path in tmp_path.iterdir():
        path.unlink()
    session = session.reborn().reborn()
    assert [session.value(look) for look in looks] == before
    with pytest.raises(ValueError, match="closed image"):
        session.value("closed.getpixel((0, 0))")


def test_frames_that_were_not_read_yet_are_read_from_the_file_or_it_is_said_to_be_gone(tmp_path: Path) -> None:
    session = Session()
    session.run(
        f"{START}path = {str(tmp_path / 'moving.gif')!r}\n"
        "image.convert('P').save(path, save_all=True, append_images=[image.rotate(180).convert('P')], duration=100)\n"
        "moving = Image.open(path); moving.seek(1); pixels = moving.tobytes()"
    )
    stored = session.store
    session = session.reborn()
    assert session.value("moving.tell(), moving.n_frames, moving.is_animated") == (1, 2, True)
    assert session.value("moving.tobytes() == pixels and moving.info['duration']") == 100
    session.run("moving.seek(0); first = moving.convert('RGB')")
    assert session.value("first.getpixel((3, 3)) == (9, 9, 9) and moving.tell()") == 0
    (tmp_path / "moving.gif").unlink()
    (lost,) = [lost for lost in Session(stored).outcome.failed if lost.name == "moving"]  # type: ignore[union-attr]
    assert lost.reason.endswith("is gone")


def test_palettes_pixels_of_every_mode_drawings_and_fonts_come_back() -> None:
    session = Session()
    snapshot = session.run(
        f"{START}palette = image.convert('P', palette=Image.ADAPTIVE, colors=4); palette.info['transparency'] = 1\n"
        "bits, bytes_ = Image.new('1', (9, 9), 1), image.convert('1')\n"
        "others = {mode: Image.new(mode, (3, 2), 1) for mode in ('L', 'LA', 'I', 'F', 'I;16', 'CMYK', 'HSV', 'RGBA')}\n"
        "pen = ImageDraw.Draw(image, 'RGBA'); pen.line((0, 0, 9, 9), (255, 0, 0, 99)); pair = [image, image]\n"
        "font = ImageFont.load_default()"
    )
    assert not snapshot.skipped
    looks = (
        "palette.palette.colors, palette.palette.dirty, palette.palette.rawmode, palette.info, palette.tobytes()",
        "bits.getpixel((0, 0)), bytes_.tobytes(), {mode: other.tobytes() for mode, other in others.items()}",
        "image.tobytes(), pair[0] is pair[1] is image",
    )
    before = [session.value(look) for look in looks]
    session = session.reborn().reborn()
    assert [session.value(look) for look in looks] == before
    session.run("pen.point((7, 1), (5, 6, 7, 255)); pen.text((0, 0), 'a', font=font)")
    assert session.value("image.getpixel((7, 1))") == (5, 6, 7)
