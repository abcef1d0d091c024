"""A session becomes a saved version, or takes some variables of one; what it has as the version has it may stay."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from . import garbage
from .aliases import ALIAS
from .ambient import PART
from .captures import Captures
from .components import AMBIENT, Lost, LostMember, Partition, SavedComponent, is_variable, is_visible, label
from .environment import Differences
from .patches import PATCH
from .restore import Restoration, RestoreOutcome, forget_missing
from .state import State

_OUTSIDE = (AMBIENT, PART, PATCH, ALIAS)
"""Members that are no objects of the session: they are set anew by every restore."""


class Travel:
    """Brings one session to its versions.

    Args:
        state: the session.
        captures: tells whether something is still as it was saved.
    """

    def __init__(self, state: State, captures: Captures) -> None:
        self._state = state
        self._captures = captures

    def differing(self, version: Mapping[str, str]) -> tuple[set[str], set[str]]:
        """See `SessionCapture.differing`."""
        due = self._state.due(full=False)
        home, records = self._state.partition.home, self._state.partition.records
        same = {
            identity
            for identity, mark in version.items()
            if (record := records.get(identity)) is not None
            and record.fingerprint == mark
            and (record.kept is not None or due.isdisjoint(record.members) or self._captures.is_as_stored(record))
        }
        kept = {
            identity
            for identity in same
            if records[identity].kept is None
            and not any(member.startswith(_OUTSIDE) for member in records[identity].members)
        }
        # An instance of a class that is made anew would be one of the class as it was.
        while leaning := {
            identity
            for identity in kept
            if any(hidden not in home or home[hidden].id not in kept for hidden in records[identity].refs)
        }:
            kept -= leaning
        return version.keys() - same, same - kept

    def restore(
        self,
        components: list[SavedComponent],
        *,
        mode: str,
        names: Collection[str] | None = None,
        owed: bool | None = None,
        environment: Mapping[str, Any] | None = None,
        keep: Collection[str] = (),
        leave: Collection[str] = (),
    ) -> RestoreOutcome:
        """See `SessionCapture.restore`."""
        differences = Differences(environment)
        # Loading imports what is needed, and most of what that makes stays as well.
        with garbage.kept_off(loading=True):
            if mode == "replace":
                return self._replace(components, names, differences, owed=bool(owed), keep=keep, leave=leave)
            return self._merge(components, names, differences, owed=owed is None or owed)

    def _replace(
        self,
        components: list[SavedComponent],
        names: Collection[str] | None,
        differences: Differences,
        *,
        owed: bool,
        keep: Collection[str],
        leave: Collection[str],
    ) -> RestoreOutcome:
        state = self._state
        namespace = state.session.namespace
        definitions = state.session.definitions
        stay = [state.partition.records[identity] for identity in keep]
        members = {member for record in stay for member in record.members}
        apart = not any(is_visible(member) for component in components for member in component.members)
        left = {
            name: state.lost[name]
            for name in leave
            if name in namespace and name in state.lost and (apart or state.lost[name].closed)
        }
        for name in [name for name in namespace if is_variable(name) and name not in members and name not in left]:
            del namespace[name]
        for hidden in [hidden for hidden in state.session.kept if hidden not in members]:
            del state.session.kept[hidden]
        wanted = _wanted(components, names)
        # What another Python has saved is saved anew, all of it.
        wanted = state.later.begin(wanted, possible=names is None and differences.python is None)
        restoration = Restoration(
            state.session,
            components,
            lambda hidden: definitions.object_of(hidden) if hidden in members else None,
            differences,
        )
        restoration.on_import = state.later.read_ahead
        failed = self._load(restoration, wanted, names, warm=state.owed.has_run)
        if state.later.waiting and restoration.needs_others():
            restoration.load_all(state.later.wait_no_more())
        state.partition = Partition()
        for record in stay:
            state.partition.add(record)
        if not stay:
            state.verification.forget()
        state.lost.clear()
        state.lost.update(left)
        state.ahead = set()
        state.ledger.restart([*components, *stay])
        state.owed.settle()
        # The next version is pickled under this Python throughout.
        state.owed.everything = another = differences.python is not None
        for record in restoration.records.values():
            if owed or another:
                record.fingerprint = None
            state.partition.add(record)
        forget_missing(state.partition, restoration)
        waiting = sorted(state.later.waiting.names)
        # What other rules have kept is removed from the store with the next capture.
        state.choice.refresh()
        if state.choice.is_made:
            state.owed.members |= state.left_out(namespace.keys())
        there = {member for component in components for member in component.members}
        for member, reason in state.patches.take_back(there):
            failed.append(Lost(label(member), "attribute", reason, "restart the session to be rid of it"))
        outcome = self._finish(restoration, names, failed, warm=state.owed.has_run, owed=owed)
        state.later.settle(restoration, state.partition)
        return replace(
            outcome, restored=sorted([*outcome.restored, *waiting, *filter(is_visible, members)]), left=sorted(left)
        )

    def _merge(
        self,
        components: list[SavedComponent],
        names: Collection[str] | None,
        differences: Differences,
        *,
        owed: bool,
    ) -> RestoreOutcome:
        state = self._state
        partition, definitions = state.partition, state.session.definitions

        def living(hidden: str) -> Any:
            return definitions.object_of(hidden) if hidden in partition.home else None

        wanted = _wanted(components, names)
        restoration = Restoration(state.session, components, living, differences)
        # What shares objects with the wanted is loaded with it, and stays as it is in memory.
        restoration.only = names if owed else None
        failed = self._load(restoration, wanted, names)
        for component in wanted:
            self._prefer_saved(component, restoration)
        for record in restoration.records.values():
            present = partition.records.get(record.id)
            same = present is not None and present.fingerprint == record.fingerprint
            strange = any(member in partition.home for member in record.members)
            if (owed or strange) and not same:
                state.owed.members.update(record.members)
            else:
                partition.add(record)
                state.ledger.has(record)
        for name in [name for name in state.lost if name in restoration.values]:
            del state.lost[name]
        return self._finish(restoration, names, failed, owed=owed)

    def _load(
        self,
        restoration: Restoration,
        wanted: list[SavedComponent],
        names: Collection[str] | None,
        *,
        warm: bool = False,
    ) -> list[Lost]:
        """Load components; the search path, the environment and the like are set before the others are looked at."""
        failed: list[Lost] = []
        if names is None:
            restoration.load_all(
                [component for component in wanted if self._state.ambient.early.issuperset(component.members)]
            )
            failed = self._state.ambient.restore(restoration.values, early=True, warm=warm)
        restoration.load_all(wanted)
        return failed

    def _prefer_saved(self, component: SavedComponent, restoration: Restoration) -> None:
        """A definition that was asked for by name comes back as saved, though it is still alive in another state."""
        for name in component.members:
            value = restoration.values.get(name)
            record = restoration.records.get(component.id)
            if record is None or len(record.refs) != 1 or value is None:
                continue
            (hidden,) = record.refs
            present = self._state.partition.home.get(hidden)
            if present is None or self._state.session.definitions.object_of(hidden) is not value:
                continue
            saved = restoration.saved_component(hidden)
            if saved is not None and (saved.fingerprint != present.fingerprint or not present.members):
                restoration.values[name] = restoration.saved_member(hidden)
                restoration.bind()

    def _finish(
        self,
        restoration: Restoration,
        names: Collection[str] | None,
        failed: list[Lost],
        *,
        owed: bool,
        warm: bool = False,
    ) -> RestoreOutcome:
        state = self._state
        failed += restoration.lost(names)
        ambient = {member: value for member, value in restoration.values.items() if member.startswith((AMBIENT, PART))}
        if names is None:
            failed += state.ambient.restore(ambient, early=False, warm=warm)
        if ambient and (owed or names is not None):
            state.ambient.doubt()
        for member, value in restoration.values.items():
            if member.startswith((PATCH, ALIAS)):
                reason = state.patches.apply(member, value)
                if reason is not None:
                    failed.append(Lost(label(member), "attribute", reason, "set it again in a cell"))
        for lost in failed:
            if lost.name in state.partition.home:
                state.lost[lost.name] = LostMember(lost, None, True)
        state.owed.look_afresh()
        restored = sorted(
            member for member in restoration.values if is_visible(member) and (names is None or member in names)
        )
        state.environment.adopt(restoration.differences.saved, whole=not restoration.failures)
        return RestoreOutcome(restored, failed, restoration.differences.in_words())


def _wanted(components: list[SavedComponent], names: Collection[str] | None) -> list[SavedComponent]:
    if names is None:
        return components
    return [component for component in components if any(member in names for member in component.members)]
