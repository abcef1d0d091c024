"""Hover: what a name of the session stands for, told without loading or computing anything (LSP 3.17, 3.16.14)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from lsprotocol import types as lsp

from holdfast.cells import split_lines
from holdfast.protocol import Variable
from holdfast.words import size

from .lenses import moment
from .positions import characters, units
from .traces import Trace

_NAME = re.compile(r"[^\W\d]\w*")
ROWS, COLUMNS = 5, 8
"""Of a table, what is shown of it."""
TABLES = frozenset({"DataFrame", "Series", "ndarray", "LazyFrame", "Table"})
"""Types of which a few rows are asked for. Of all others the summary is shown, which never runs code of the user's."""
_LONGEST = 2000
_CELL = 24


def name_at(text: str, position: lsp.Position, encoding: str) -> tuple[str, lsp.Range] | None:
    """Return the name at a position that can be one of the session, and where it stands; None if there is none.

    What follows a dot is an attribute of something else.
    """
    lines = split_lines(text)
    if position.line >= len(lines):
        return None
    line = lines[position.line]
    at = characters(line, position.character, encoding)
    for match in _NAME.finditer(line):
        if match.start() <= at <= match.end():
            before = line[: match.start()].rstrip()
            if before.endswith(".") and not before.endswith(".."):
                return None
            start, end = (units(line, column, encoding) for column in match.span())
            return match[0], lsp.Range(lsp.Position(position.line, start), lsp.Position(position.line, end))
    return None


def describe(variable: Variable, inspection: Mapping[str, Any] | None, made_by: Trace | None) -> str:
    """Return what is told of a variable, as Markdown.

    Args:
        variable: its summary.
        inspection: a look at its value, if it was in memory.
        made_by: the cell that changed it last.
    """
    facts = [f"`{variable.type}`"]
    if variable.shape:
        facts.append(" × ".join(f"{length:,}" if isinstance(length, int) else str(length) for length in variable.shape))
    elif variable.length is not None:
        facts.append(f"{variable.length:,} long")
    if variable.bytes:
        facts.append(size(variable.bytes))
    parts = [f"**{variable.name}** {' · '.join(facts)}"]
    table = None if inspection is None else _table(inspection)
    if table is not None:
        parts.append(table)
    else:
        value = str(((inspection or {}).get("data") or {}).get("text/plain") or variable.preview)
        fence = "~" * 3
        parts.append(f"{fence}python\n{value[:_LONGEST]}{'…' if len(value) > _LONGEST else ''}\n{fence}")
    parts.append(_state(variable, made_by))
    return "\n\n".join(parts)


def _state(variable: Variable, made_by: Trace | None) -> str:
    version = "saved" if variable.version is None else f"saved in version {variable.version}"
    facts = [{"saved": version, "saving": "being saved", "skipped": "not saved"}[variable.saved]]
    if not variable.loaded:
        facts.append("loaded when it is needed")
    if made_by is not None:
        first = next((line.strip() for line in made_by.code.splitlines() if line.strip()), "").replace("`", "'")
        when = f", {moment(made_by.saved_at)}" if made_by.saved_at is not None else ""
        facts.append(f"last changed by `{first[:60]}`{when}")
    return f"*{' · '.join(facts)}*"


def _table(inspection: Mapping[str, Any]) -> str | None:
    """Return the first rows of a table as Markdown, None for what is none."""
    columns, rows = inspection.get("columns"), inspection.get("rows")
    if not columns or rows is None:
        return None
    names = [str(column["name"]) if isinstance(column, Mapping) else str(column) for column in columns]
    shown = min(len(names), COLUMNS)
    lines = [_row([*names[:shown], *(["…"] if len(names) > shown else [])])]
    lines.append(_row(["---"] * (shown + (len(names) > shown))))
    for row in rows[:ROWS]:
        lines.append(_row([*(_text(value) for value in row[:shown]), *(["…"] if len(names) > shown else [])]))
    total = inspection.get("total")
    if isinstance(total, int) and total > len(rows[:ROWS]):
        lines.append(f"\n{total:,} rows")
    return "\n".join(lines)


def _row(values: Sequence[str]) -> str:
    return f"| {' | '.join(value.replace('|', chr(92) + '|') for value in values)} |"


def _text(value: Any) -> str:
    text = " ".join(str("" if value is None else value).split())
    return text if len(text) <= _CELL else f"{text[: _CELL - 1]}…"
