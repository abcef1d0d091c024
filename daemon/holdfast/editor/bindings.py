"""Where code binds names, told from its text alone."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from holdfast.cells import split_lines


class Binding(NamedTuple):
    """A name that an assignment binds at the top level of some code."""

    name: str
    line: int
    """From 0."""
    start: int
    """In characters of the line, as are all columns here."""
    end: int


@lru_cache(maxsize=1024)
def bindings(code: str) -> tuple[Binding, ...]:
    """Return what the assignments of a cell bind, in their order; nothing if it is no Python.

    Assignments in functions and classes bind nothing of the session.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # those of the code are for whoever runs it
            tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()
    lines = split_lines(code)
    found = [
        Binding(name.id, name.lineno - 1, *_columns(lines[name.lineno - 1], name))
        for name in _bound(tree)
        if name.lineno <= len(lines) and name.end_lineno == name.lineno
    ]
    return tuple(sorted(found, key=lambda binding: (binding.line, binding.start)))


def _columns(line: str, name: ast.Name) -> tuple[int, int]:
    start = len(line.encode("utf-8", "surrogatepass")[: name.col_offset].decode("utf-8", "replace"))
    return start, start + len(name.id)


def _bound(node: ast.AST) -> Iterator[ast.Name]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            continue
        if isinstance(child, ast.Assign):
            for target in child.targets:
                yield from _targets(target)
        elif isinstance(child, ast.AnnAssign | ast.AugAssign | ast.NamedExpr):
            if not isinstance(child, ast.AnnAssign) or child.value is not None:
                yield from _targets(child.target)
        elif isinstance(child, ast.With | ast.AsyncWith):
            for item in child.items:
                if item.optional_vars is not None:
                    yield from _targets(item.optional_vars)
        if not isinstance(child, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            yield from _bound(child)


def _targets(target: ast.expr) -> Iterator[ast.Name]:
    if isinstance(target, ast.Name):
        yield target
    elif isinstance(target, ast.Tuple | ast.List):
        for element in target.elts:
            yield from _targets(element)
    elif isinstance(target, ast.Starred):
        yield from _targets(target.value)
