"""Documents as cells: `# %%` scripts, with the conventions of VS Code, Spyder, PyCharm and Jupytext."""

from __future__ import annotations

import re
from dataclasses import dataclass

from holdfast.errors import InvalidParams

_MARKER = re.compile(r"^\s*#\s*(?:%%|In\[[\s\d]*\]:?)(?P<rest>.*)$")
_KIND = re.compile(r"\[(?P<kind>\w+)\]")
_REBUILD = re.compile(r"\[rebuild\]", re.IGNORECASE)
"""Says that the cell may be run again when what it made could not be saved."""
_KINDS = {"markdown": "markdown", "md": "markdown", "raw": "raw", "javascript": "javascript", "js": "javascript"}
"""What brackets behind a marker can say; any other word in brackets belongs to the title."""
_LINES = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell: `code` are the lines after its marker; lines count from 0, `end_line` is exclusive."""

    index: int
    start_line: int
    end_line: int
    code_line: int
    code: str
    title: str
    kind: str
    rebuild: bool = False


def split_lines(text: str) -> list[str]:
    """Return the lines of a text without their ends, split where editors split: at CR LF, LF and CR only."""
    return _LINES.split(text)


def split(text: str) -> list[Cell]:
    """Cut a script into cells.

    A line that starts with ``# %%`` (or ``# In[1]:``) begins a cell. What stands before the first marker is a cell
    of its own when
    it holds anything but blank lines; a script without markers is one cell.
    """
    lines = split_lines(text.removeprefix("\ufeff"))
    starts = [number for number, line in enumerate(lines) if _MARKER.match(line)]
    if not starts or any(line.strip() for line in lines[: starts[0]]):
        starts.insert(0, 0)
    cells = []
    for index, start in enumerate(starts):
        end = starts[index + 1] if index + 1 < len(starts) else len(lines)
        marker = _MARKER.match(lines[start])
        marked = marker["rest"].strip() if marker else ""
        rest = " ".join(_REBUILD.sub(" ", marked).split()) if _REBUILD.search(marked) else marked
        tag = _KIND.search(rest)
        kind = _KINDS.get(tag["kind"].lower()) if tag else None
        code_line = start + 1 if marker else start
        cells.append(
            Cell(
                index=index,
                start_line=start,
                end_line=end,
                code_line=code_line,
                code="\n".join(lines[code_line:end]),
                title=_KIND.sub("", rest, count=1).strip() if kind else rest,
                kind=kind or "code",
                rebuild=rest != marked,
            )
        )
    return cells


Part = tuple[int, int, int | None, bool]
"""A cell in a piece of code: its first line and the line after its last there, its index in the document, its mark."""


def parts(text: str, line: int, count: int) -> list[Part]:
    """Return the cells of which `count` lines of a script, from `line` on, hold code."""
    found: list[Part] = []
    for cell in split(text):
        first, end = max(cell.code_line - line, 0), min(cell.end_line - line, count)
        if cell.kind == "code" and first < end:
            found.append((first, end, cell.index, cell.rebuild))
    return found


def cell_at(cells: list[Cell], line: int) -> Cell:
    """Return the cell that holds a line (the last one for lines past the end)."""
    for cell in cells:
        if line < cell.end_line:
            return cell
    return cells[-1]


def cell_by_index(cells: list[Cell], index: int) -> Cell:
    """Return a cell by its position.

    Raises:
        InvalidParams: there is no such cell.
    """
    if not 0 <= index < len(cells):
        raise InvalidParams(
            f"There is no cell {index}: the document has {len(cells)} cells, counted from 0; nothing was run.",
            kind="noSuchCell",
        )
    return cells[index]
