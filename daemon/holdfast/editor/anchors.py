"""Where what ran stands now in a client's text, while that is edited."""

from __future__ import annotations

from collections.abc import Sequence
from weakref import WeakKeyDictionary

from lsprotocol import types as lsp

from holdfast.cells import Cell, split_lines

from .traces import Trace


class Anchors:
    """The lines at which traces begin in one client's text of a document."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._lines: WeakKeyDictionary[Trace, int | None] = WeakKeyDictionary()

    def edited(self, changes: Sequence[lsp.TextDocumentContentChangeEvent], text: str) -> None:
        """Follow edits.

        Args:
            changes: the edits, in order.
            text: what came of them.
        """
        for change in changes:
            if isinstance(change, lsp.TextDocumentContentChangePartial):
                added = len(split_lines(change.text)) - 1
                self._shift(change.range.start.line, change.range.end.line, added, change.text)
            else:
                self._compare(split_lines(self._text), split_lines(change.text))
        self._text = text

    def _compare(self, old: Sequence[str], new: Sequence[str]) -> None:
        """Follow an edit of which only the outcome is told."""
        same = 0
        while same < min(len(old), len(new)) and old[same] == new[same]:
            same += 1
        tail = 0
        while tail < min(len(old), len(new)) - same and old[-1 - tail] == new[-1 - tail]:
            tail += 1
        self._shift(same, len(old) - tail, len(new) - tail - same, "\n")

    def _shift(self, first: int, last: int, added: int, text: str) -> None:
        """Lines from `first` to `last` became `added` and one more."""
        by = added - (last - first)
        for trace, line in list(self._lines.items()):
            if line is None or line <= first:
                continue
            # What begins inside of what was replaced may be anywhere now, or nowhere.
            self._lines[trace] = line + by if line > last or (line == last and text.endswith("\n")) else None

    def match(self, cells: Sequence[Cell], traces: Sequence[Trace]) -> dict[int, Trace]:
        """Return for each cell, by its index, what ran there last; what was edited since has other code.

        Args:
            cells: of the text as it is now.
            traces: what ran, oldest first.
        """
        found: dict[int, Trace] = {}
        by_line = {cell.code_line: cell for cell in cells}
        for trace in traces:
            self._lines.setdefault(trace, trace.line)
            line = self._lines[trace]
            cell = None if line is None else by_line.get(line)
            if cell is not None:
                found[cell.index] = trace
        placed = {trace for index, trace in found.items() if trace.is_of(cells[index].code)}
        left: dict[str, list[Cell]] = {}
        for cell in reversed(cells):
            if found.get(cell.index) not in placed:
                left.setdefault(cell.code.rstrip(), []).append(cell)
        for trace in reversed(traces):
            alike = left.get(trace.code.rstrip()) if trace not in placed else None
            if alike:
                cell = alike.pop()  # the first one
                found[cell.index] = trace
                self._lines[trace] = cell.code_line
        return found
