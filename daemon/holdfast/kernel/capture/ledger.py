"""What the store has of the session, as far as its answers have arrived."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from .components import Partition, Record, SavedComponent, is_visible


@dataclass(frozen=True)
class _Sent:
    """A snapshot that the store has not answered for yet."""

    changed: list[str]
    removed: list[str]
    names: frozenset[str]
    names_removed: list[str]


class Ledger:
    """Counts snapshots, and knows which components and variables the store has or is about to have."""

    def __init__(self) -> None:
        self._seq = 0
        self._under_way: dict[int, _Sent] = {}
        self._stored: set[str] = set()
        self._saved_names: set[str] = set()
        self._removed_again: set[str] = set()
        self._names_removed_again: set[str] = set()

    def gone(self, removed: set[str], touched: Iterable[str], partition: Partition) -> tuple[list[str], list[str]]:
        """Return the components and the variables that the store has and the session has no more.

        Args:
            removed: components that a capture dropped.
            touched: members that the capture looked at.
        """
        candidates = (removed | self._removed_again) & self._stored
        # Not a difference of sets, which would go through all that there is.
        components = [identity for identity in candidates if identity not in partition.records]
        names = self._names_removed_again.union(touched) & self._saved_names
        return sorted(components), sorted(name for name in names if name not in partition.home)

    def reserve(self, names: Iterable[str]) -> int:
        """Return the number of a snapshot that a copy of the process takes, maybe of these variables."""
        self._seq += 1
        self._under_way[self._seq] = _Sent([], [], frozenset(names), [])
        return self._seq

    def landed(
        self, seq: int, changed: list[str], removed: list[str], names: list[str], names_removed: list[str]
    ) -> None:
        """Take note of what a copy has sent."""
        self._note(seq, changed, removed, names, names_removed)

    def remove_again(self, removed: Iterable[str]) -> None:
        """Components are gone, and no snapshot has said so."""
        self._removed_again.update(removed)

    def sent(
        self, changed: list[str], removed: list[str], names: list[str], names_removed: list[str], seq: int | None = None
    ) -> int:
        """Take note of a snapshot; return its number, a new one if it has none."""
        if seq is None:
            self._seq += 1
            seq = self._seq
        self._removed_again.clear()
        self._names_removed_again.clear()
        self._note(seq, changed, removed, names, names_removed)
        return seq

    def _note(
        self, seq: int, changed: list[str], removed: list[str], names: list[str], names_removed: list[str]
    ) -> None:
        self._stored.update(changed)
        self._stored.difference_update(removed)
        self._saved_names.update(names)
        self._saved_names.difference_update(names_removed)
        self._under_way[seq] = _Sent(changed, removed, frozenset(names), names_removed)

    def committed(self, seq: int) -> None:
        """The store has a snapshot."""
        self._under_way.pop(seq, None)

    def rejected(self, seq: int) -> list[str]:
        """The store will never have a snapshot; return the components that it would have changed."""
        sent = self._under_way.pop(seq, None)
        if sent is None:
            return []
        self._stored.update(sent.removed)
        self._removed_again.update(sent.removed)
        self._saved_names.update(sent.names_removed)
        self._names_removed_again.update(sent.names_removed)
        return sent.changed

    def is_under_way(self, name: str) -> bool:
        """Whether a snapshot with this variable waits for the store's answer; callable from any thread."""
        return any(name in sent.names for sent in tuple(self._under_way.values()))

    def has(self, record: Record) -> None:
        """Take note of a component that was loaded from the store's newest version."""
        self._stored.add(record.id)
        self._saved_names.update(filter(is_visible, record.members))

    def doubt(self) -> None:
        """Nothing is known of the session's components any more: those that don't come again are gone."""
        self._removed_again |= self._stored
        self._names_removed_again |= self._saved_names

    def restart(self, components: Collection[SavedComponent | Record]) -> None:
        """Begin again with a version of which the store has exactly these components; answers under way are void."""
        self._under_way.clear()
        self._removed_again.clear()
        self._names_removed_again.clear()
        self._stored = {component.id for component in components}
        self._saved_names = {name for component in components for name in component.members if is_visible(name)}
