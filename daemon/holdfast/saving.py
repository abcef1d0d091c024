"""From a kernel's snapshot to a version in the store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from holdfast.execution import Execution
from holdfast.protocol import Lost, LostCell
from holdfast.store.errors import SaveFailed
from holdfast.store.patching import Upload
from holdfast.store.records import Change, ComponentContent, Patch


def change_of(
    snapshot: dict[str, Any], buffers: Sequence[memoryview], run: Execution | None, uploads: Mapping[str, Upload]
) -> Change:
    """Turn a snapshot frame into a commit's input; buffers are not copied.

    Args:
        snapshot: what the kernel says of it.
        buffers: the frame's.
        run: what it belongs to.
        uploads: what the kernel sent before, by the names that the snapshot has for it.

    Raises:
        SaveFailed: kind ``no_base``: something that was to have been sent before is not here.
    """
    taken = iter(buffers)
    changed = []
    for component in snapshot["changed"]:
        entry = component.get("stream")
        stream = next(taken) if entry is None else _patch(entry, taken, uploads)
        large = {entry["index"]: entry for entry in component.get("large", ())}
        changed.append(
            ComponentContent(
                id=component["id"],
                members=tuple(component["members"]),
                fingerprint=component["fingerprint"],
                stream=stream,
                buffers=[
                    _patch(large[index], taken, uploads) if index in large else next(taken)
                    for index in range(component["buffers"])
                ],
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


def sent_before(snapshot: dict[str, Any]) -> int:
    """Return how large the values are of which the parts were sent before the snapshot, in bytes."""
    size = 0
    for component in snapshot["changed"]:
        if "stream" in component:
            size += component["stream"]["size"]
        for entry in component.get("large", ()):
            size += entry["size"] if "upload" in entry else 0
    return size


def _patch(entry: dict[str, Any], taken: Iterator[memoryview], uploads: Mapping[str, Upload]) -> Patch:
    base = entry.get("base")
    patch = Patch(int(entry["size"]), None if base is None else (str(base[0]), int(base[1])))
    name = entry.get("upload")
    if name is None:
        patch.runs = [(int(start), next(taken)) for start, _ in entry["runs"]]
    elif name in uploads:
        patch.upload = uploads[name]
    elif base is None:
        raise SaveFailed("no_base", "A large value did not arrive.")
    return patch


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
