"""Inlay hints: what was bound to a name, at the assignment that did it (LSP 3.17, 3.16.24)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lsprotocol import types as lsp

from holdfast.cells import Cell, split_lines
from holdfast.protocol import Variable

from .bindings import Binding, bindings
from .positions import units
from .traces import Trace

_LONGEST = 60
_DONE = ("ok", "error", "interrupted")
_SHOWN_BY_THEMSELVES = frozenset({"module", "function", "builtin_function_or_method", "type", "NoneType"})


def inlay_hints(
    text: str,
    cells: Sequence[Cell],
    traces: Mapping[int, Trace],
    order: Sequence[Trace],
    variables: Mapping[str, Variable],
    window: lsp.Range,
    encoding: str,
) -> list[lsp.InlayHint]:
    """Return the hints of a part of a document.

    Args:
        text: the document.
        cells: its cells.
        traces: by index of a cell, what ran there last.
        order: all that ran, oldest first: of two cells that bind a name, the one that ran last did it.
        variables: the session's, by name.
        window: the part.
        encoding: what the client counts characters in.
    """
    lines = split_lines(text)
    maker = {binding.name: trace for trace in order if trace.status in _DONE for binding in bindings(trace.code)}
    found = []
    for cell in cells:
        trace = traces.get(cell.index)
        if trace is None or trace.status not in _DONE or not trace.is_of(cell.code):
            continue
        for binding in _last(bindings(cell.code)):
            variable = variables.get(binding.name)
            line = cell.code_line + binding.line
            if (
                variable is None
                or maker.get(binding.name) is not trace
                or variable.type in _SHOWN_BY_THEMSELVES
                or not window.start.line <= line <= window.end.line
            ):
                continue
            place = lsp.Position(line, units(lines[line], binding.end, encoding))
            found.append(lsp.InlayHint(place, f": {_short(variable.preview)}", kind=lsp.InlayHintKind.Type))
    return found


def _last(found: Sequence[Binding]) -> list[Binding]:
    """Return of each name the last binding: the others' values are gone."""
    last = {binding.name: binding for binding in found}
    return [binding for binding in found if last[binding.name] is binding]


def _short(preview: str) -> str:
    line = " ".join(preview.split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
