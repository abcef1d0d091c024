"""From a kernel's snapshot to a version in the store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from holdfast.execution import Execution
from holdfast.protocol import Lost, LostCell
from holdfast.store.records import Change, ComponentContent


def change_of(snapshot: dict[str, Any], buffers: Sequence[memoryview], run: Execution | None) -> Change:
    """Turn a snapshot frame into a commit's input; buffers are not copied."""
    taken = iter(buffers)
    changed = []
    for component in snapshot["changed"]:
        stream = next(taken)
        changed.append(
            ComponentContent(
                id=component["id"],
                members=tuple(component["members"]),
                fingerprint=component["fingerprint"],
                stream=stream,
                buffers=[next(taken) for _ in range(component["buffers"])],
                summaries=component.get("summaries", {}),
            )
        )
    return Change(
        code=run.code if run else "",
        run_id=run.run_id if run else "",
        execution_count=run.count if run else 0,
        run_seconds=run.milliseconds / 1000 if run else 0.0,
        full=bool(snapshot.get("full")),
        changed=changed,
        removed=list(snapshot["removed"]),
        names_changed=list(snapshot["namesChanged"]),
        names_removed=list(snapshot["namesRemoved"]),
        skipped=list(snapshot["skipped"]),
        environment=snapshot.get("environment") or {},
        filename=run.filename if run else None,
        line=run.line if run else None,
        cell=run.cell if run else None,
    )


def lost_list(entries: Sequence[dict[str, Any]]) -> list[Lost]:
    """Turn what a kernel or a version says it lost into protocol objects."""
    return [
        Lost(
            name=str(entry.get("name", "")),
            type=str(entry.get("type", "")),
            reason=str(entry.get("reason", "")),
            remedy=str(entry.get("remedy", "")),
            cell=_cell(entry["cell"]) if entry.get("cell") else None,
            needs=[str(name) for name in entry["needs"]] if entry.get("needs") else None,
        )
        for entry in entries
    ]


def _cell(entry: dict[str, Any]) -> LostCell:
    line, index = entry.get("line"), entry.get("index")
    return LostCell(
        code=str(entry.get("code", "")),
        execution_count=int(entry.get("executionCount", 0)),
        line=None if line is None else int(line),
        index=None if index is None else int(index),
        rebuild=bool(entry.get("rebuild")),
    )


def lost_entries(lost: Sequence[Lost]) -> list[dict[str, Any]]:
    """Turn what was lost into what a version keeps of it; `lost_list` reads it again."""
    entries = []
    for item in lost:
        entry: dict[str, Any] = {
            "name": item.name,
            "type": item.type,
            "reason": item.reason,
            "remedy": item.remedy,
        }
        if item.cell is not None:
            entry["cell"] = {
                "code": item.cell.code,
                "executionCount": item.cell.execution_count,
                "line": item.cell.line,
                "index": item.cell.index,
                "rebuild": item.cell.rebuild,
            }
        if item.needs:
            entry["needs"] = item.needs
        entries.append(entry)
    return entries


def visible(members: Sequence[str]) -> list[str]:
    """Return the names that a user sees among a component's members; hidden ones start with NUL."""
    return [member for member in members if not member.startswith("\0")]
