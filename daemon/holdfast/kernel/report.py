"""Results of captures and restores as frames: the only place where the capture engine's types meet the wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from . import look as look
from .text import clean

if TYPE_CHECKING:
    from .capture.session import Lost, SavedComponent, Snapshot


def saved_components(listed: list[dict[str, Any]], buffers: list[memoryview]) -> list[SavedComponent]:
    """Return the components of a restore message: each has its stream and then its buffers among the frame's."""
    from .capture.session import SavedComponent

    components = []
    position = 0
    for item in listed:
        stream, position = buffers[position], position + 1
        own = buffers[position : position + item["buffers"]]
        position += item["buffers"]
        components.append(
            SavedComponent(
                id=item["id"],
                members=tuple(item["members"]),
                fingerprint=item["fingerprint"],
                stream=stream,
                buffers=own,
            )
        )
    return components


def lost(items: list[Lost]) -> list[dict[str, str]]:
    """Return what could not be kept, as JSON."""
    return [
        {
            "name": item.name,
            "type": clean(item.type),
            "reason": clean(item.reason),
            "remedy": clean(item.remedy),
        }
        for item in items
    ]


def all_lost(components: list[dict[str, Any]], reason: str) -> list[dict[str, str]]:
    """Return every variable of `components` as lost for a `reason` that is a fault of this program."""
    remedy = "what was saved is untouched: restart the session to try again, and report this as a bug of Holdfast"
    return [
        {"name": name, "type": "", "reason": clean(reason), "remedy": remedy}
        for component in components
        for name in component["members"]
        if not name.startswith("\0")
    ]


def snapshot(
    taken: Snapshot, namespace: Mapping[str, Any], cells: Mapping[str, int]
) -> tuple[dict[str, Any], list[Any]]:
    """Return a snapshot as JSON and its buffers: for each component its stream, then its buffers."""
    changed, buffers = [], []
    for component in taken.changed:
        changed.append(
            {
                "id": component.id,
                "members": list(component.members),
                "fingerprint": component.fingerprint,
                "buffers": len(component.buffers),
                "summaries": {
                    name: look.summarize(name, namespace[name], cells.get(name))
                    for name in component.names
                    if name in namespace
                },
            }
        )
        buffers.append(component.stream)
        buffers.extend(component.buffers)
    header = {
        "seq": taken.seq,
        "full": taken.full,
        "changed": changed,
        "removed": list(taken.removed),
        "skipped": lost(taken.skipped),
        "namesChanged": list(taken.names_changed),
        "namesRemoved": list(taken.names_removed),
        "environment": taken.environment,
        "seconds": taken.seconds,
    }
    return header, buffers
