"""From a kernel's snapshot to a version in the store, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from holdfast.execution import Execution
from holdfast.protocol import Lost, LostCell
from holdfast.store.errors import Damaged
from holdfast.store.records import Change, ComponentContent, ComponentEntry, VersionRecord
from holdfast.store.store import Store


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


@dataclass(slots=True)
class Loaded:
    """A version read from the store, ready to be sent to a kernel."""

    record: VersionRecord
    components: list[dict[str, Any]] = field(default_factory=list)
    buffers: list[Any] = field(default_factory=list)
    entries: dict[str, ComponentEntry] = field(default_factory=dict)
    unreadable: list[Lost] = field(default_factory=list)


def load(store: Store, key: str, number: int | None) -> Loaded | None:
    """Read a version (the head by default) whole; None when nothing is saved.

    Components whose bytes are damaged are named in `unreadable`; the others are returned.

    Raises:
        Untrusted: the version was not signed by this user.
        Damaged: the version itself cannot be read.
        NoSuchVersion: there is no such version.
    """
    record = store.head(key) if number is None else store.version(key, number)
    if record is None:
        return None
    loaded = Loaded(record, entries=store.listing(key, number))
    for entry in loaded.entries.values():
        try:
            content = store.read(entry)
        except Damaged as error:
            loaded.unreadable += [
                Lost(
                    name=name,
                    type=str(entry.summaries.get(name, {}).get("type", "")),
                    reason=error.message,
                    remedy="Restore an older version of it, or run the cell that made it again.",
                )
                for name in visible(entry.members)
            ]
            continue
        loaded.components.append(
            {
                "id": entry.id,
                "members": list(entry.members),
                "fingerprint": entry.fingerprint,
                "buffers": len(content.buffers),
            }
        )
        loaded.buffers += [content.stream, *content.buffers]
    return loaded
