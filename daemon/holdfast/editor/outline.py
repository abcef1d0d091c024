"""Cells as the outline, the folds and the steps of growing selections (LSP 3.17, 3.16.16 to 3.16.20)."""

from __future__ import annotations

from collections.abc import Sequence

from lsprotocol import types as lsp

from holdfast.cells import Cell, split_lines

from .positions import units

_TITLE = 60


def _last(cell: Cell, lines: Sequence[str]) -> int:
    """Return the last line of a cell that is not blank."""
    last = cell.end_line - 1
    while last > cell.start_line and not lines[last].strip():
        last -= 1
    return last


def _range(first: int, last: int, lines: Sequence[str], encoding: str) -> lsp.Range:
    return lsp.Range(lsp.Position(first, 0), lsp.Position(last, units(lines[last], len(lines[last]), encoding)))


def title_of(cell: Cell) -> str:
    """Return what a cell is called: as its marker says, else by its first line of code."""
    first = next((line.strip() for line in cell.code.splitlines() if line.strip()), "")
    name = cell.title or first.lstrip("#").strip()
    return (name if len(name) <= _TITLE else f"{name[: _TITLE - 1]}…") or f"cell {cell.index + 1}"


def document_symbols(text: str, cells: Sequence[Cell], encoding: str) -> list[lsp.DocumentSymbol]:
    """Return the cells of a document that has markers."""
    lines = split_lines(text)
    found = []
    for cell in cells:
        if cell.start_line == cell.code_line:
            continue  # what stands before the first marker, or a document without any
        found.append(
            lsp.DocumentSymbol(
                name=title_of(cell),
                detail="" if cell.kind == "code" else cell.kind,
                kind=lsp.SymbolKind.Module if cell.kind == "code" else lsp.SymbolKind.String,
                range=_range(cell.start_line, _last(cell, lines), lines, encoding),
                selection_range=_range(cell.start_line, cell.start_line, lines, encoding),
            )
        )
    return found


def folding_ranges(text: str, cells: Sequence[Cell]) -> list[lsp.FoldingRange]:
    """Return a fold for each cell of more than one line."""
    lines = split_lines(text)
    return [
        lsp.FoldingRange(start_line=cell.start_line, end_line=last, kind=lsp.FoldingRangeKind.Region)
        for cell in cells
        if cell.start_line < cell.code_line and (last := _last(cell, lines)) > cell.start_line
    ]


def selection_ranges(
    text: str, cells: Sequence[Cell], positions: Sequence[lsp.Position], encoding: str
) -> list[lsp.SelectionRange]:
    """Return for each position the ranges around it: the cell's code, the cell, the document."""
    lines = split_lines(text)
    whole = lsp.SelectionRange(_range(0, len(lines) - 1, lines, encoding))
    found = []
    for position in positions:
        cell = next((cell for cell in cells if position.line < cell.end_line), cells[-1])
        around = lsp.SelectionRange(_range(cell.start_line, cell.end_line - 1, lines, encoding), whole)
        if cell.code_line <= min(position.line, cell.end_line - 1):
            around = lsp.SelectionRange(
                _range(cell.code_line, max(cell.code_line, _last(cell, lines)), lines, encoding), around
            )
        found.append(around)
    return found
