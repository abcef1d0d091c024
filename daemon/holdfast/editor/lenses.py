"""Code lenses: above each cell what can be done with it, and what became of it when it ran last (LSP 3.17, 3.16.12)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from lsprotocol import types as lsp

from holdfast.cells import Cell

from .traces import Trace

_NAMES = 3
"""Variables that are named; of more it is said how many there are."""


def code_lenses(uri: str, cells: Sequence[Cell], traces: dict[int, Trace], *, live: bool) -> list[lsp.CodeLens]:
    """Return the lenses of a document.

    Args:
        uri: the document.
        cells: its cells.
        traces: by index of a cell, what ran there last.
        live: whether a kernel holds its variables.
    """
    found = []
    for cell in cells:
        if cell.kind != "code" or not cell.code.strip():
            continue
        target = {"textDocument": {"uri": uri}, "cell": {"index": cell.index}}
        trace = traces.get(cell.index)
        buttons = [("Run", "holdfast.runCell")]
        if any(other.kind == "code" and other.code.strip() for other in cells[: cell.index]):
            buttons.append(("Run above", "holdfast.runAbove"))
        if trace is not None and trace.status == "running":
            buttons = [("Interrupt", "holdfast.interrupt")]
        if trace is not None:
            buttons.append((told_of(trace, cell.code, live=live), "holdfast.history"))
        place = lsp.Range(lsp.Position(cell.start_line, 0), lsp.Position(cell.start_line, 0))
        found += [lsp.CodeLens(place, lsp.Command(title, command, arguments=[target])) for title, command in buttons]
    return found


def told_of(trace: Trace, code: str, *, live: bool) -> str:
    """Say what became of a cell.

    Args:
        trace: what ran.
        code: what stands there now.
        live: whether a kernel holds the variables.
    """
    if trace.status == "running":
        return f"… running {duration(trace.running_for)}"
    if not trace.is_of(code):
        return "edited since it ran"
    if trace.status == "skipped":
        return "not run: a cell above it failed"
    if trace.saved_at is not None:
        when = moment(trace.saved_at)
        return _joined(f"restored from {when}" if live else f"saved v{trace.version}, {when}", _changed(trace))
    took = "" if trace.milliseconds is None or not trace.alone else duration(trace.milliseconds / 1000)
    if trace.status == "ok":
        saved = "saving" if trace.saving else "" if trace.version is None else f"saved v{trace.version}"
        return _joined(f"✓ {took}".rstrip(), "NOT SAVED" if trace.problem else saved, _changed(trace))
    what = {"error": trace.error or "failed", "interrupted": "interrupted", "died": "the kernel died"}[trace.status]
    return _joined(f"✗ {what}", took)


def _changed(trace: Trace) -> str:
    names = trace.changed
    shown = ", ".join(names[:_NAMES]) + (f" and {len(names) - _NAMES} more" if len(names) > _NAMES else "")
    return f"{shown} changed" if names else ""


def _joined(*parts: str) -> str:
    return " · ".join(part for part in parts if part)


def duration(seconds: float) -> str:
    """Return a time as people read it: ``12 ms``, ``1.2 s``, ``3 min 5 s``, ``2 h 3 min``."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def moment(when: datetime) -> str:
    """Return a date and time as people read them, here: ``Nov 17, 13:30``; with the year if it is not this one."""
    here = when.astimezone()
    year = "" if here.year == datetime.now().astimezone().year else f" {here.year}"
    return f"{here:%b} {here.day}{year}, {here:%H:%M}"
