"""What differs between two versions of a document, or between a version and memory; told without loading a value."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from holdfast.protocol import Diff, Difference, Look
from holdfast.saving import visible
from holdfast.store.records import ComponentEntry

Entries = Mapping[str, ComponentEntry]
Summaries = Mapping[str, Mapping[str, Any]]


def between(before: Entries, after: Entries) -> Diff:
    """Compare two saved versions."""
    same = {
        identity
        for identity, entry in before.items()
        if (other := after.get(identity)) is not None and (entry.digest, entry.members) == (other.digest, other.members)
    }
    return beside(before, same, _summaries(after))


def beside(before: Entries, same: Collection[str], after: Summaries) -> Diff:
    """Compare a saved version with what there is now.

    Args:
        same: the components that are as in the version.
        after: summaries of all variables there are, by name.
    """
    old = _summaries(before)
    changed: list[Difference] = []
    for identity, entry in before.items():
        if identity not in same:
            looks = {name: (_look(old[name]), _look(after[name])) for name in _names(entry) if name in after}
            # Which of those that share objects was changed may not be seen from outside: then it is all of them.
            told = [name for name, (one, other) in looks.items() if one != other] or list(looks)
            changed += [Difference(name, *looks[name]) for name in told]
    return Diff(
        added=sorted(after.keys() - old.keys()),
        removed=sorted(old.keys() - after.keys()),
        changed=sorted(changed, key=lambda difference: difference.name),
    )


def _names(entry: ComponentEntry) -> list[str]:
    return [name for name in visible(entry.members) if name.strip("_")]


def _summaries(entries: Entries) -> dict[str, Mapping[str, Any]]:
    return {name: entry.summaries.get(name, {}) for entry in entries.values() for name in _names(entry)}


def _look(summary: Mapping[str, Any]) -> Look:
    return Look(
        type=str(summary.get("type", "")),
        preview=str(summary.get("preview", "")),
        shape=summary.get("shape"),
        length=summary.get("length"),
        bytes=summary.get("bytes"),
    )
