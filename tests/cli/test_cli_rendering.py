"""What the command line makes of outputs, numbers and file names; no daemon needed."""

from __future__ import annotations

import base64
import struct
from pathlib import Path
from typing import Any

import click
import pytest

from holdfast.command_line import screen
from holdfast.command_line.exits import Exit, exit_of_run
from holdfast.command_line.outputs import OutputPrinter, dimensions
from holdfast.command_line.target import Target
from holdfast.words import size

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAMAAAACCAIAAAASFvFNAAAAEElEQVR4nGP4z8AARwzIHAAunwX7FdXQcgAAAABJRU5ErkJggg=="
)


def stream(text: str, name: str = "stdout") -> dict[str, Any]:
    return {"output_type": "stream", "name": name, "text": text}


def shown(**bundle: str) -> dict[str, Any]:
    data = {mime.replace("__", "/"): content for mime, content in bundle.items()}
    return {"output_type": "display_data", "data": data, "metadata": {}}


def run(status: str, state: str = "saved", **error: Any) -> dict[str, Any]:
    return {"status": status, "state": {"status": state}, "error": error or None}


def test_standard_output_goes_to_standard_output_and_errors_to_standard_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    printer = OutputPrinter()
    printer.show(stream("out\n"))
    printer.show(stream("err\n", "stderr"))
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("out\n", "err\n")


def test_a_display_after_an_unfinished_line_begins_a_new_one(capsys: pytest.CaptureFixture[str]) -> None:
    printer = OutputPrinter()
    printer.show(stream("no newline"))
    printer.show(shown(text__plain="42"))
    assert capsys.readouterr().out == "no newline\n42\n"


def test_a_picture_is_named_with_its_size(capsys: pytest.CaptureFixture[str]) -> None:
    OutputPrinter().show(shown(image__png=base64.b64encode(PNG).decode(), text__plain="<Figure>"))
    assert capsys.readouterr().out == "[image/png 3×2]\n"


def test_pictures_are_saved_under_the_cell_that_made_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printer = OutputPrinter(tmp_path / "pictures")
    printer.begin("plot-cell2")
    printer.show(shown(image__png=base64.b64encode(PNG).decode()))
    printer.show({"output_type": "display_data", "data": {"image/svg+xml": "<svg/>"}})
    assert (tmp_path / "pictures/plot-cell2-1.png").read_bytes() == PNG
    assert (tmp_path / "pictures/plot-cell2-2.svg").read_text() == "<svg/>"
    assert "plot-cell2-1.png" in capsys.readouterr().out


def test_a_damaged_picture_is_said_to_be_one(capsys: pytest.CaptureFixture[str]) -> None:
    OutputPrinter().show(shown(image__png="not base64!"))
    assert capsys.readouterr().out == "[image/png, damaged]\n"


def test_the_size_of_a_jpeg_is_read_past_its_other_segments() -> None:
    comment = b"\xff\xfe" + struct.pack(">H", 6) + b"note"
    frame = b"\xff\xc2" + struct.pack(">HBHHB", 11, 8, 480, 640, 3)
    assert dimensions("image/jpeg", b"\xff\xd8" + comment + frame) == (640, 480)
    assert dimensions("image/jpeg", b"\xff\xd8\xff") is None


def test_markup_in_values_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    screen.table(["name", "size"], [["[bold]x[/bold]", "1"], ["two\nlines", "12"]], right=["size"])
    assert capsys.readouterr().out.splitlines() == [
        "name            size",
        "[bold]x[/bold]     1",
        "two lines         12",
    ]


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (123_456_789, "123 MB"), (5 * 10**12, "5.0 TB")]
)
def test_sizes_are_written_for_people(count: int, text: str) -> None:
    assert size(count) == text


def test_long_lists_of_names_are_counted() -> None:
    assert screen.names(["a", "b"]) == "a, b"
    assert screen.names(list("abcdefgh")) == "a, b, c, d, e and 3 more"


def test_exit_codes_tell_what_went_wrong() -> None:
    assert exit_of_run(run("ok")) is Exit.OK
    assert exit_of_run(run("ok", "failed")) is Exit.STATE
    assert exit_of_run(run("error", ename="ValueError", evalue="no")) is Exit.CODE_FAILED
    assert exit_of_run(run("error", ename="SystemExit", evalue="0")) is Exit.OK
    assert exit_of_run(run("error", ename="SystemExit", evalue="3")) is Exit.CODE_FAILED
    assert exit_of_run(run("died")) is Exit.DIED
    assert exit_of_run(run("interrupted")) is Exit.INTERRUPTED


def test_a_number_after_the_file_is_a_cell_unless_the_file_is_called_so(folder: Path) -> None:
    (folder / "a.py").touch()
    assert Target.parse(str(folder / "a.py:3"), None, with_cell=True).cell == 3
    assert Target.parse(str(folder / "a.py:3"), None).cell is None
    (folder / "odd:3").touch()
    assert Target.parse(str(folder / "odd:3"), None, with_cell=True) == Target(folder / "odd:3", folder)


def test_the_workspace_is_the_nearest_folder_with_a_mark(folder: Path) -> None:
    (folder / ".git").mkdir()
    deep = folder / "deep" / "er"
    deep.mkdir(parents=True)
    (deep / "a.py").touch()
    assert Target.parse(str(deep / "a.py"), None).folder == folder
    assert Target.parse(str(deep / "a.py"), deep).folder == deep


def test_a_file_that_is_not_there_is_wrong_use(folder: Path) -> None:
    with pytest.raises(click.UsageError, match="is not a file"):
        Target.parse(str(folder / "nope.py"), None).must_exist()
