"""Captures: what of a session changed since the store has it, pickled and written down as a snapshot."""

from __future__ import annotations

import time
from typing import Any

from ..interrupts import TooSlow
from . import garbage, pages, stamps
from .aliases import ALIAS
from .ambient import PART, Changes, named
from .components import AMBIENT, DEFINITION, Component, LostMember, Partition, Record, is_visible, new_id
from .flights import Flight
from .kinds import Kinds
from .lazy import Unreadable
from .pickler import NotInCopy, pickle_members
from .snapshot import CapturePass, Outcome, Snapshot
from .state import State

SECONDS_TO_COMPARE = 0.005
"""How long a run that is not saved may be held up to find out what differs from the store."""


class Captures:
    """Takes them.

    Args:
        state: the session.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._ambient_left: Changes | None = None
        """What was found to have changed for a capture that was given up."""

    def take(self, *, full: bool = False, run: Any = None, seconds: float | None = None) -> Snapshot:
        """See `SessionCapture.take`."""
        state = self._state
        self.prepare()
        state.session.deadline = None if seconds is None else time.thread_time() + seconds
        try:
            snapshot, _ = self._take(state.due(full=full), full, run)
        finally:
            state.session.deadline = None
        state.ahead = set()
        state.unfaithful.clear()
        state.owed.settle()
        return snapshot

    def prepare(self) -> None:
        """Take note of what the next capture has to look at besides what runs have touched."""
        state = self._state
        if state.choice.refresh():
            state.owed.everything = state.owed.called = True
        state.owed.members |= state.unfaithful

    def take_as(self, flight: Flight) -> tuple[Snapshot, Outcome]:
        """In a copy of the process: take the capture that was prepared for it."""
        self._ambient_left = flight.ambient
        return self._take(self._state.due(full=flight.full), flight.full, flight.run, flight.seq)

    def take_unfaithful(self, run: Any) -> Snapshot:
        """See `SessionCapture.take_unfaithful`."""
        state = self._state
        due, state.unfaithful = state.unfaithful, set()
        called, state.owed.called = state.owed.called, False
        try:
            return self._take(due, False, run)[0]
        finally:
            state.owed.called = called

    def committed(self, seq: int) -> None:
        """See `SessionCapture.committed`."""
        self._state.ledger.committed(seq)

    def rejected(self, seq: int) -> None:
        """See `SessionCapture.rejected`."""
        state = self._state
        for identity in state.ledger.rejected(seq):
            record = state.partition.records.get(identity)
            if record is None:
                continue
            record.fingerprint = record.memory = None
            state.owed.members.update(record.members)
            for member in record.members:
                if member.startswith((AMBIENT, PART)):
                    state.ambient.forget(member)
                    state.owed.called = True

    def compare(self, *, quick: bool) -> None:
        """See `SessionCapture.compare`.

        Args:
            quick: whether it may be found out by pickling, where that takes no longer than a moment; else all that the
                run can have touched counts as changed.
        """
        state = self._state
        due = state.due(full=False)
        records = {id(record): record for member in due if (record := state.partition.home.get(member)) is not None}
        quick = quick and sum(map(state.estimates.of, records.values())) <= SECONDS_TO_COMPARE
        same: dict[str, bool] = {}
        state.ahead = {
            name
            for record in records.values()
            if (record.kept is None or any(map(state.exists, record.members)))
            and not all(self._is_unchanged(member, same) for member in record.members)
            and not (quick and self.is_as_stored(record))
            for name in record.members
            if is_visible(name)
        }

    def _take(self, due: set[str], full: bool, run: Any, seq: int | None = None) -> tuple[Snapshot, Outcome]:
        started = time.perf_counter()
        try:
            outcome, touched = self._capture(due, full)
        except (TooSlow, NotInCopy):
            raise
        except BaseException:
            # Half of it is noted: begin again with nothing, and owe everything, what has to be removed included.
            self._start_over()
            raise
        self._state.environment.note(outcome.modules)
        if outcome.made_of:
            sent = [(component.id, component.fingerprint, component.nbytes) for component in outcome.changed]
            self._state.verification.note(sent, outcome.made_of, run)
        return self._send(full, outcome, touched, started, seq), outcome

    def changes_of_ambient(self, full: bool) -> Changes | None:
        """Return what changed outside of the variables since that was captured for a snapshot that was sent."""
        left, self._ambient_left = self._ambient_left, None
        if left is not None:
            return left
        return self._state.ambient.changes(full=full) if self._state.owed.called or full else None

    def _capture(self, due: set[str], full: bool) -> tuple[Outcome, set[str]]:
        """Return what was captured, and the members that were looked at."""
        state = self._state
        ambient = self.changes_of_ambient(full)
        if ambient is not None:
            due |= ambient.members
        unchanged: set[str] = set()
        if not full:
            same: dict[str, bool] = {}
            unchanged = {member for member in due if self._is_unchanged(member, same)}
            if state.choice.is_made:
                unchanged -= state.left_out(unchanged)
        due -= unchanged
        captures = self._pass(full)
        try:
            with garbage.kept_off(due):
                outcome = captures.run(due, [member for member in unchanged if member.startswith(DEFINITION)])
        except TooSlow:
            self._ambient_left = ambient
            self._give_up(captures.outcome)
            raise
        if state.lost and (again := self._recovered(outcome.lost)):
            outcome.add(self._pass(full).run(again))
            due |= again
        if ambient is not None:
            outcome.lost.update(ambient.lost)
            outcome.changed += self._plain_components(ambient.plain)
        touched = due | outcome.lost.keys()
        if state.lost or outcome.lost:
            self._update_lost(outcome.lost)
        if full:
            outcome.changed += self._unloaded()
        return outcome, touched

    def _pass(self, full: bool) -> CapturePass:
        state = self._state
        refuse = state.verification.refuse if state.verification.has_condemned else None
        return CapturePass(state.session, state.partition, state.choice, state.aliases, refuse, full=full)

    def _give_up(self, outcome: Outcome) -> None:
        """What a capture found so far is not sent: it is owed again."""
        for component in outcome.changed:
            record = self._state.partition.records.get(component.id)
            if record is not None:
                record.fingerprint = None
                self._state.owed.members.update(record.members)
        self._state.ledger.remove_again(outcome.removed)

    def _start_over(self) -> None:
        state = self._state
        kept = [record for record in state.partition.records.values() if record.kept is not None]
        hold = state.partition.hold
        state.partition = Partition()
        state.partition.hold = hold
        for record in kept:
            state.partition.add(record)
        state.owed.everything = True
        state.ledger.doubt()
        state.ambient.doubt()

    def _is_unchanged(self, member: str, same: dict[str, bool]) -> bool:
        """Whether a member is known to be as it was without pickling it; `same` remembers that of components."""
        state = self._state
        record = state.partition.home.get(member)
        if record is None or record.fingerprint is None:
            return False
        if record.stamp is not None:
            known = same.get(record.id)
            if known is None:
                now = stamps.stamp_of(record.members, state.session.definitions)
                known = same[record.id] = stamps.is_same(record.stamp, now)
            return known
        if record.unchanged_if is not None:
            return state.session.namespace.get(member) is record.unchanged_if[0]
        if record.points_at is not None:
            value = state.session.namespace.get(member)
            return value is not None and state.session.definitions.object_of(record.points_at) is value
        return False

    def is_as_stored(self, record: Record) -> bool:
        """Whether a component still pickles to what the store has of it."""
        state = self._state
        if record.fingerprint is None or not all(map(state.exists, record.members)):
            return False
        values = [(member, state.session.value(member)) for member in record.members]
        try:
            pickled = pickle_members(state.session, values, Kinds())
        except BaseException:  # noqa: BLE001 - code of users and libraries, which may raise SystemExit as well
            return False
        marks, _, _ = state.session.pages.measure(pickled.buffers, record.memory)
        return pages.fingerprint(record.members, pickled.stream, pickled.buffers, marks) == record.fingerprint

    def _unloaded(self) -> list[Component]:
        """Return what could not be loaded, as it was saved: it stays in the store until its names are bound anew."""
        found = []
        for record in [record for record in self._state.partition.records.values() if record.kept is not None]:
            saved = record.kept
            assert saved is not None
            names = tuple(filter(is_visible, saved.members))
            try:
                content = saved.stream, list(saved.buffers)
            except Unreadable:
                continue  # There is nothing to be kept.
            found.append(Component(saved.id, saved.members, saved.fingerprint, *content, names, tuple(record.refs)))
        return found

    def _recovered(self, lost: dict[str, LostMember]) -> set[str]:
        """Return what was lost for the loss of a definition that could be saved now."""
        return {
            name
            for name, gone in self._state.lost.items()
            if gone.blame is not None and gone.blame not in lost and gone.blame in self._state.partition.home
        }

    def _update_lost(self, lost: dict[str, LostMember]) -> None:
        state = self._state
        state.lost.update((member, named(member, gone, state.session.kept)) for member, gone in lost.items())
        for member in state.lost.keys() - lost.keys():
            record = state.partition.home.get(member)
            exists = state.exists(member) if record is None else record.kept is not None
            if not exists:
                del state.lost[member]

    def _plain_components(self, states: list[tuple[str, bytes]]) -> list[Component]:
        changes = []
        for member, stream in states:
            known = self._state.partition.home.get(member)
            mark = pages.fingerprint((member,), stream, ())
            identity = new_id() if known is None else known.id
            self._state.partition.add(Record(identity, (member,), mark))
            changes.append(Component(identity, (member,), mark, stream, [], ()))
        return changes

    def _send(
        self, full: bool, outcome: Outcome, touched: set[str], started: float, seq: int | None = None
    ) -> Snapshot:
        state = self._state
        ledger = state.ledger
        removed, names_removed = ledger.gone(outcome.removed, touched, state.partition)
        names = sorted({name for component in outcome.changed for name in component.names})
        seq = ledger.sent([component.id for component in outcome.changed], removed, names, names_removed, seq)
        if any(component.large for component in outcome.changed):
            records = state.partition.records.values()
            state.session.pages.forget_others(record.memory for record in records if record.memory is not None)
        return Snapshot(
            seq=seq,
            full=full,
            changed=outcome.changed,
            removed=removed,
            skipped=[
                *state.choice.problems,
                *state.ambient.left_out(),
                *state.partition.dropped(),
                *(gone.lost for name, gone in state.lost.items() if _is_told(name)),
            ],
            names_changed=names,
            names_removed=names_removed,
            environment=state.environment.as_json(),
            seconds=time.perf_counter() - started,
        )


def _is_told(member: str) -> bool:
    """Whether the user is told when a member can't be kept: definitions are told of through what needs them."""
    return bool(member.strip("_")) if is_visible(member) else not member.startswith((DEFINITION, ALIAS))
