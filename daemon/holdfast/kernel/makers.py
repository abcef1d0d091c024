"""Which cell made what, so that what can't be saved can be made again by running that cell, and only that."""

from __future__ import annotations

import ast
import dis
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping
from types import CodeType
from typing import Any

from .capture.components import is_variable
from .capture.names import names_of_function

MAX_CODE = 1 << 16
"""Cells that are longer (characters) are named by their place alone, and not kept to be run again."""
_STORES = frozenset(dis.opmap[name] for name in ("STORE_NAME", "STORE_GLOBAL"))
_LOADS = frozenset({"LOAD_NAME", "LOAD_GLOBAL"})
_EXTENDED_ARG = dis.opmap["EXTENDED_ARG"]

Header = Mapping[str, Any]
"""The message that asked for a run."""


class Makers:
    """Remembers for each variable the run that bound it last."""

    def __init__(self, namespace: Mapping[str, Any]) -> None:
        self._namespace = namespace
        self._runs: dict[str, Header | None] = {}
        self._last: Header | None = None
        self._found: dict[str, tuple[Header, dict[str, Any]]] = {}

    def ran(self, header: Header, codes: Iterable[CodeType]) -> None:
        """Take note of a run that begins, and of what its code binds."""
        for code in codes:
            for name in _stored(code):
                self._runs[name] = header
        self._last = header

    def has_made(self, name: str, count: int) -> bool:
        """Whether the run with an execution count was the last to bind a variable."""
        header = self._runs.get(name)
        return header is not None and (header.get("count") or 0) == count

    def forget(self, names: Collection[str] | None = None, *, but: Collection[str] = ()) -> None:
        """Variables were restored: no run of this kernel made them."""
        for name in [name for name in self._runs if name not in but] if names is None else names:
            self._runs.pop(name, None)
            self._found.pop(name, None)
        self._last = None

    def add_to(self, skipped: list[dict[str, Any]], saved_before: Collection[str]) -> None:
        """Add to each variable that is not saved the cell that made it, and what that cell needed.

        The last run made what no run names and was not there before: by a function with a `global` statement, or by
        `exec`.

        Args:
            skipped: the variables, as JSON.
            saved_before: those of them that were saved until now.
        """
        for lost in skipped:
            name = lost["name"]
            if name not in self._namespace:
                continue
            header = self._runs.setdefault(name, None if name in saved_before else self._last)
            if header is None:
                continue
            known = self._found.get(name)
            if known is None or known[0] is not header:
                known = self._found[name] = (header, self._cell(name, header))
            lost.update(known[1])

    def _cell(self, name: str, header: Header) -> dict[str, Any]:
        text, first, index, rebuild = _part(header, name)
        is_in_document = not header["filename"].startswith("<")
        cell = {
            "code": text if len(text) <= MAX_CODE else "",
            "line": header.get("line", 0) + first if is_in_document else None,
            "index": index,
            "rebuild": rebuild,
            "executionCount": header.get("count") or 0,
        }
        return {"cell": cell, "needs": self._needs(text)}

    def _needs(self, text: str) -> list[str]:
        """Return the variables that a cell reads before it binds them itself."""
        code = _compiled(text)
        if code is None:
            return []
        needed: set[str] = set()
        bound: set[str] = set()
        for instruction in dis.get_instructions(code):
            if instruction.opname in _LOADS and instruction.argval not in bound:
                needed.add(instruction.argval)
            elif instruction.opcode in _STORES:
                bound.add(instruction.argval)
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                needed |= names_of_function(constant).names - bound
        return sorted(name for name in needed if name in self._namespace and is_variable(name))


def _part(header: Header, name: str) -> tuple[str, int, int | None, bool]:
    """Return the cell among those of a run that bound a name last: its code, first line, index and mark."""
    parts = header.get("parts") or []
    lines = header["code"].replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for first, end, index, rebuild in reversed(parts):
        text = "\n".join(lines[first:end])
        if len(parts) == 1 or ((code := _compiled(text)) is not None and name in _stored(code)):
            return text, first, index, rebuild
    return header["code"], 0, header.get("cell"), False


def _compiled(text: str) -> CodeType | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            code: CodeType = compile(text, "<cell>", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        except (SyntaxError, ValueError, MemoryError, RecursionError):
            return None  # A part of a run that is no cell by itself.
    return code


def _stored(code: CodeType) -> Iterator[str]:
    raw, table = code.co_code, code.co_names
    extended = 0
    for op, low in zip(raw[::2], raw[1::2], strict=True):
        if op == _EXTENDED_ARG:
            extended = (extended | low) << 8
            continue
        if op in _STORES:
            yield table[extended | low]
        extended = 0


def keep_only(namespace: dict[str, Any], before: Mapping[str, Any], names: Collection[str]) -> list[str]:
    """Take a namespace back to what it was before a run, except for some names; return which of these there are."""
    for name in [name for name in namespace if name not in before and name not in names]:
        del namespace[name]
    for name, value in before.items():
        if name not in names:
            namespace[name] = value
    return [name for name in names if name in namespace]
