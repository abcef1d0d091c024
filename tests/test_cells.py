"""Scripts as cells, by the conventions of the editors that people come from."""

from __future__ import annotations

import pytest

from holdfast import cells
from holdfast.errors import InvalidParams


def test_markers_begin_cells_and_what_stands_before_them_is_a_cell() -> None:
    found = cells.split("import os\n# %% one\na = 1\n#%%\nb = 2\n# In[3]:\nc = 3")
    assert [(cell.start_line, cell.end_line, cell.code.strip(), cell.title) for cell in found] == [
        (0, 1, "import os", ""),
        (1, 3, "a = 1", "one"),
        (3, 5, "b = 2", ""),
        (5, 7, "c = 3", ""),
    ]


@pytest.mark.parametrize(
    ("marker", "title", "kind", "rebuild"),
    [
        ("# %% [rebuild]", "", "code", True),
        ("#%%[Rebuild] Connect", "Connect", "code", True),
        ("# %% Connect [rebuild] now", "Connect now", "code", True),
        ("# %% [rebuild] [markdown] text", "text", "markdown", True),
        ("# %% [other]  two  blanks", "[other]  two  blanks", "code", False),
    ],
)
def test_a_cell_can_be_marked_to_be_run_again(marker: str, title: str, kind: str, rebuild: bool) -> None:
    (cell,) = cells.split(f"{marker}\nx = 1")
    assert (cell.title, cell.kind, cell.rebuild, cell.code) == (title, kind, rebuild, "x = 1")


def test_blank_lines_before_the_first_marker_are_no_cell() -> None:
    assert [cell.code for cell in cells.split("\n\n# %%\nx = 1")] == ["x = 1"]


def test_a_script_without_markers_is_one_cell() -> None:
    (cell,) = cells.split("x = 1\ny = 2\n")
    assert cell.code == "x = 1\ny = 2\n"
    assert cell.kind == "code"


@pytest.mark.parametrize(
    ("tag", "kind"), [("markdown", "markdown"), ("md", "markdown"), ("raw", "raw"), ("js", "javascript")]
)
def test_a_tag_says_what_kind_of_cell_it_is(tag: str, kind: str) -> None:
    (cell,) = cells.split(f"# %% [{tag}] About\n# text")
    assert (cell.kind, cell.title) == (kind, "About")


def test_any_other_word_in_brackets_belongs_to_the_title() -> None:
    (cell,) = cells.split("# %% Load data [v2]\nx = 1")
    assert (cell.kind, cell.title) == ("code", "Load data [v2]")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_end_as_editors_end_them(end: str) -> None:
    text = end.join(["# %%", "a = '\x0b\x0c\u2028'", "# %%", "b = 2"])
    assert [cell.start_line for cell in cells.split(text)] == [0, 2]


def test_a_byte_order_mark_does_not_hide_the_first_marker() -> None:
    assert [cell.code for cell in cells.split("\ufeff# %%\nx = 1")] == ["x = 1"]


def test_a_cell_that_is_not_there_is_a_clear_error() -> None:
    with pytest.raises(InvalidParams, match="has 1 cells"):
        cells.cell_by_index(cells.split("x = 1"), 5)
