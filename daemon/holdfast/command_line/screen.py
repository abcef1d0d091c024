"""How results look: tables with rich on a terminal, plain columns elsewhere; numbers for people."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Sequence
from typing import IO, Any

import click

_LEAST = 12
"""Characters of the last column that are shown however narrow the terminal is."""
_BETWEEN = 3
"""Characters between two columns."""
_ACTING = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Characters that a terminal obeys instead of showing them; saved state may come from anybody."""


def plain(text: str) -> str:
    """Return text as one line in which nothing acts on the terminal."""
    return _ACTING.sub("\ufffd", text.replace("\n", " "))


def is_terminal(stream: IO[str]) -> bool:
    """Whether a stream is a terminal that can do more than print lines."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def paint(text: str, **style: Any) -> str:
    """Return text with colours (`click.style`), unless the user wants none; click drops them off terminals."""
    return text if "NO_COLOR" in os.environ else click.style(text, **style)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[str] = ()) -> None:
    """Print a table to standard output.

    Args:
        columns: The headings.
        rows: The cells, as many as there are headings.
        right: The headings of the columns that are aligned to the right.
    """
    listed = [[plain(cell) for cell in row] for row in rows]
    if is_terminal(sys.stdout):
        _rich_table(columns, listed, right)
    else:
        _plain_table(columns, listed, right)


def _rich_table(columns: Sequence[str], rows: list[list[str]], right: Sequence[str]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    shown = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for column in columns:
        shown.add_column(column, justify="right" if column in right else "left", no_wrap=True, overflow="ellipsis")
    # When there is no room for all, the last column gives way: names and types in front are not cut for it.
    widths = [max(map(cell_len, cells)) for cells in zip(columns, *rows, strict=True)]
    room = max(_LEAST, console.width - sum(widths[:-1]) - _BETWEEN * len(widths))
    for row in rows:
        # Text, not str: what stands in brackets in a value is not markup.
        cells = [Text(cell) for cell in row]
        cells[-1].truncate(room, overflow="ellipsis")
        shown.add_row(*cells)
    console.print(shown)


def _plain_table(columns: Sequence[str], rows: list[list[str]], right: Sequence[str]) -> None:
    widths = [max(len(line[index]) for line in [list(columns), *rows]) for index in range(len(columns))]
    for line in [list(columns), *rows]:
        cells = (
            cell.rjust(width) if column in right else cell.ljust(width)
            for cell, width, column in zip(line, widths, columns, strict=True)
        )
        click.echo("  ".join(cells).rstrip())


def seconds(milliseconds: float) -> str:
    """Return a duration for people: ``0.31 s``, ``2 min 5 s``."""
    value = milliseconds / 1000
    if value < 10:
        return f"{value:.2f} s"
    if value < 60:
        return f"{value:.1f} s"
    return f"{int(value // 60)} min {int(value % 60)} s"


def moment(iso: str | None) -> str:
    """Return an ISO 8601 time in local time: ``2026-11-21 09:25:39``."""
    from datetime import datetime

    try:
        return datetime.fromisoformat(iso).astimezone().strftime("%Y-%m-%d %H:%M:%S") if iso else ""
    except (ValueError, OverflowError):
        return plain(iso or "")


def count(number: int, noun: str) -> str:
    """Return ``1 variable``, ``1,204 variables``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def names(listed: Sequence[str], most: int = 6) -> str:
    """Return names for a line of text, the last ones counted where there are too many."""
    if len(listed) <= most:
        return ", ".join(listed)
    return f"{', '.join(listed[: most - 1])} and {len(listed) - most + 1} more"


def saved(state: dict[str, Any]) -> str:
    """Return what a ``Saved`` object says, as the end of a line."""
    status = state["status"]
    if status == "saved":
        parts = []
        if state.get("changed"):
            parts.append(f"saved {names(state['changed'])}")
        if state.get("removed"):
            parts.append(f"removed {names(state['removed'])}")
        return f"{'; '.join(parts) or 'saved'} (version {state.get('version')})"
    if status == "failed":
        return f"NOT SAVED: {state.get('reason') or 'the daemon gave no reason'}"
    known = {"saving": "saving", "unchanged": "nothing new to save", "off": "not saved, as asked"}
    return known.get(status, str(status))


def lost(variable: dict[str, Any]) -> str:
    """Return a ``Lost`` object as one line."""
    kind = f" ({variable['type']})" if variable["type"] else ""
    reason, remedy = variable["reason"].rstrip("."), variable["remedy"]
    advice = f" {remedy[:1].upper()}{remedy[1:]}" if remedy else ""
    return f"{variable['name']}{kind}: {reason}.{advice}"


def missing(variable: dict[str, Any]) -> str:
    """Return a ``Lost`` object of which nothing is left as one line, with the cell that would bring it back."""
    cell = variable.get("cell") or {}
    if cell.get("line") is None:
        return lost(variable)
    needs = f", which needs {names(variable['needs'], most=4)}" if variable.get("needs") else ""
    return f"{lost(variable).rstrip('.')}. It was made by the cell at line {cell['line'] + 1}{needs}."
