"""Results of captures and restores as frames: the only place where the capture engine's types meet the wire."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from . import look as look
from .text import clean
from .wire import LARGE

if TYPE_CHECKING:
    from .capture.session import Component, Lost, SavedComponent, Snapshot


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


PIECE = 4 << 20
"""Bytes of one frame of a snapshot that is sent in pieces; a snapshot up to this size is one frame."""
SendPart = Callable[[dict[str, Any], memoryview], None]


def snapshot(
    taken: Snapshot, namespace: Mapping[str, Any], cells: Mapping[str, int], send_part: SendPart
) -> tuple[dict[str, Any], list[Any]]:
    """Return a snapshot as JSON and its buffers: for each component its stream, then its buffers.

    Of large buffers only what the store does not have is sent. What is too much for one frame is sent before, piece by
    piece.

    Args:
        send_part: sends a piece: a header that names what it is part of, the offset there, and the size if all of it
            comes; and the bytes.
    """
    changed, buffers = [], []
    apart = sum(map(_weight, taken.changed)) > PIECE
    for component in taken.changed:
        about: dict[str, Any] = {
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
        changed.append(about)
        stream = memoryview(component.stream)
        if apart and stream.nbytes >= LARGE:
            about["stream"] = {"size": stream.nbytes, "upload": f"{taken.seq}.{component.id}.s"}
            _send_in_parts(send_part, about["stream"]["upload"], stream, [(0, stream.nbytes)])
        else:
            buffers.append(component.stream)
        if not component.large:
            buffers.extend(component.buffers)
            continue
        about["large"] = []
        large = {one.position: one for one in component.large}
        for index, buffer in enumerate(component.buffers):
            one = large.get(index)
            if one is None:
                buffers.append(buffer)
                continue
            entry: dict[str, Any] = {"index": index, "size": buffer.nbytes}
            if one.base is not None:
                entry["base"] = [component.base, one.base]
            if apart:
                entry["upload"] = f"{taken.seq}.{component.id}.{index}"
                _send_in_parts(send_part, entry["upload"], one.view, one.runs)
            else:
                entry["runs"] = one.runs
                buffers.extend(one.pieces())
            about["large"].append(entry)
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


def _weight(component: Component) -> int:
    """Return how many bytes of a component could be sent in pieces."""
    if not component.large:
        return len(component.stream)
    return len(component.stream) + sum(end - start for one in component.large for start, end in one.runs)


def _send_in_parts(send_part: SendPart, upload: str, view: memoryview, runs: list[tuple[int, int]]) -> None:
    """Send what `runs` names, cut at the same places whatever it is: the store's chunks begin there."""
    size = view.nbytes if runs == [(0, view.nbytes)] else None
    for start, end in runs:
        for at in range(start, end, PIECE):
            piece = view[at : min(at + PIECE, end)]
            send_part({"type": "part", "upload": upload, "offset": at, "size": size}, piece)
