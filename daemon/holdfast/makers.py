"""Which cell made a variable that was saved and cannot be loaded: looked up in the history, whose code is signed."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from holdfast import cells
from holdfast.protocol import LostCell
from holdfast.store.errors import StoreError
from holdfast.store.records import VersionRecord
from holdfast.store.store import Store

LOOK_AT = 1000
"""Versions that are looked through."""
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_HIDDEN = (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def makers(store: Store, key: str, since: Mapping[str, int]) -> dict[str, LostCell]:
    """Return the cells that bound variables last, as far as the history tells.

    Args:
        since: the variables, and for each the version that changed it last.
    """
    found: dict[str, LostCell] = {}
    if not since:
        return found
    for record in store.history(key, LOOK_AT, max(since.values()) + 1):
        wanted = {
            name
            for name, version in since.items()
            if name not in found and record.version <= version and name in record.names_changed
        }
        verified = _verified(store, key, record.version) if wanted else None
        for name in sorted(wanted):
            cell = None if verified is None else _cell_of(verified, name)
            if cell is not None:
                found[name] = cell
        if len(found) == len(since):
            break
    return found


def _verified(store: Store, key: str, number: int) -> VersionRecord | None:
    """Return a version as it was signed: its code may be run again."""
    try:
        return store.sealed(key, number).record
    except StoreError:
        return None


def _cell_of(record: VersionRecord, name: str) -> LostCell | None:
    """Return the cell of a version's code that binds a name."""
    for cell in reversed(cells.split(record.code)):
        if cell.kind == "code" and name in bound_names(cell.code):
            line = None if record.line is None else record.line + cell.code_line
            index = record.cell if record.cell is not None else cell.index if record.line == 0 else None
            return LostCell(cell.code, record.execution_count, line=line, index=index, rebuild=cell.rebuild)
    return None


def bound_names(code: str) -> set[str]:
    """Return the names that code binds outside of its functions and classes; none for what is not Python here."""
    try:
        return set(_bound(ast.parse(code)))
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return set()


def _bound(node: ast.AST) -> Iterator[str]:
    for part in ast.iter_child_nodes(node):
        if isinstance(part, _SCOPES):
            yield part.name
        elif isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
            yield part.id
        elif isinstance(part, ast.alias):
            yield part.asname or part.name.partition(".")[0]
        elif not isinstance(part, _HIDDEN):
            yield from _bound(part)
