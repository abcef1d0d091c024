"""The face of the capture engine: what the kernel's loop calls around runs, captures and restores."""

from __future__ import annotations

import time
import types
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any, Literal

from ..interrupts import TooSlow
from . import garbage, pages, stamps
from .aliases import ALIAS, Aliases
from .ambient import PART, Ambient, Changes, named
from .choice import Choice, Limits, looks_secret
from .components import (
    AMBIENT,
    DEFINITION,
    Component,
    Lost,
    LostMember,
    Partition,
    Record,
    SavedComponent,
    is_variable,
    is_visible,
    label,
    new_id,
)
from .definitions import Definitions
from .environment import Differences, Environment
from .estimates import Estimates
from .flights import Flight, Flights
from .kinds import Kinds
from .later import Later
from .lazy import StoredComponent, Unreadable, Waiting
from .ledger import Ledger
from .owed import Owed
from .patches import PATCH, Patches
from .pickler import NotInCopy, Session, pickle_members
from .restore import Restoration, RestoreOutcome, forget_missing
from .snapshot import CapturePass, Outcome, Snapshot
from .sources import Source
from .verification import Check, Verdict, Verification

__all__ = ["Component", "Lost", "RestoreOutcome", "SavedComponent", "SessionCapture", "Snapshot"]

SECONDS_TO_COMPARE = 0.005
"""How long a run that is not saved may be held up to find out what differs from the store."""


class SessionCapture:
    """Captures one session, run by run, and brings it back.

    Args:
        module: the session's ``__main__``; its namespace holds the variables.
    """

    def __init__(self, module: types.ModuleType) -> None:
        self._session = Session(module, Definitions())
        self._partition = Partition()
        self._lost: dict[str, LostMember] = {}
        self._ambient = Ambient(self._session.namespace, self._session.kept)
        self._environment = Environment()
        self._ledger = Ledger()
        self._ahead: set[str] = set()
        self._ambient_left: Changes | None = None
        """What was found to have changed for a capture that was given up."""
        self.flights = Flights(self)
        self._patches = Patches(self._session)
        self._aliases = Aliases(self._session)
        self._owed = Owed(self._session, self._patches)
        self._session.is_busy = self._owed.background.is_busy
        self._choice = Choice(module.__dict__)
        self._estimates = Estimates(self._session, self._choice)
        self._verification = Verification(self._session)
        self._unfaithful: set[str] = set()
        self._trial: Any = None
        self._later = Later(self._session, self._owed)

    def choose(self, limits: Limits) -> None:
        """Take over what the settings say is to be left out; the next capture follows it."""
        self._choice.limits = limits
        self._ambient.leave_out(looks_secret if limits.secrets else None)

    def aside(self) -> AbstractContextManager[None]:
        """Return a context in which a cell is run again to make what is missing: ambient state is not changed by it."""
        return self._ambient.aside()

    # -- around a run

    def begin_run(self, code: types.CodeType | list[types.CodeType]) -> None:
        """Take note of what the run is going to touch; call before it."""
        self._owed.begin_run(code)

    def compiled(self, codes: Iterable[types.CodeType], text: str, filename: str, first: int, flags: int) -> None:
        """Take note of what a cell was compiled from.

        Args:
            codes: all that was made of it.
            first: the line of `filename`, from 0, that is the cell's first.
            flags: the compiler's, for the features imported from ``__future__``.
        """
        self._session.sources.compiled(codes, text, filename, first, flags)

    def source_of(self, code: types.CodeType) -> Source | None:
        """Return the source of a session function's code."""
        return self._session.sources.of(code)

    def sources(self) -> list[Source]:
        """Return the sources of the code that lives, the oldest first."""
        return self._session.sources.living()

    def end_run(self, *, ok: bool) -> None:
        """Owe what the run touched to the next capture, whether it succeeded or not."""
        self._owed.end_run(self._partition, self._lost)

    @contextmanager
    def moving(self) -> Iterator[None]:
        """While the document is moved: what follows of it for the process is none of the session's doing."""
        with self._ambient.moving():
            yield

    # -- capture

    def take(self, *, full: bool = False, run: Any = None, seconds: float | None = None) -> Snapshot:
        """Pickle what is owed and return what changed; problems of objects are reported, not raised.

        The buffers of the components are views of live memory: send them before user code runs again.

        Args:
            full: send every component, whether it changed or not.
            run: what it belongs to, to be told if something of it turns out not to come back.
            seconds: of the processor that it may take.

        Raises:
            TooSlow: it would take longer, and nothing was taken.
        """
        if len(self.flights):
            self.flights.land(wait=self.flights.overlaps(full=full))
        self._prepare()
        self._session.deadline = None if seconds is None else time.thread_time() + seconds
        try:
            snapshot, _ = self._take(self._due(full), full, run)
        finally:
            self._session.deadline = None
        self._ahead = set()
        self._unfaithful.clear()
        self._owed.settle()
        return snapshot

    def _prepare(self) -> None:
        if self._choice.refresh():
            self._owed.everything = self._owed.called = True
        self._owed.members |= self._unfaithful

    def _take_as(self, flight: Flight) -> tuple[Snapshot, Outcome]:
        """In a copy of the process: take the capture that was prepared for it."""
        self._ambient_left = flight.ambient
        return self._take(self._due(flight.full), flight.full, flight.run, flight.seq)

    def take_unfaithful(self, run: Any) -> Snapshot:
        """Capture anew what was found not to come back as it was; what a run owes stays owed."""
        due, self._unfaithful = self._unfaithful, set()
        called, self._owed.called = self._owed.called, False
        try:
            return self._take(due, False, run)[0]
        finally:
            self._owed.called = called

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
        self._environment.note(outcome.modules)
        if outcome.made_of:
            sent = [(component.id, component.fingerprint, component.nbytes) for component in outcome.changed]
            self._verification.note(sent, outcome.made_of, run)
        return self._send(full, outcome, touched, started, seq), outcome

    def _changes_of_ambient(self, full: bool) -> Changes | None:
        """Return what changed outside of the variables since that was captured for a snapshot that was sent."""
        left, self._ambient_left = self._ambient_left, None
        if left is not None:
            return left
        return self._ambient.changes(full=full) if self._owed.called or full else None

    def _capture(self, due: set[str], full: bool) -> tuple[Outcome, set[str]]:
        """Return what was captured, and the members that were looked at."""
        ambient = self._changes_of_ambient(full)
        if ambient is not None:
            due |= ambient.members
        unchanged: set[str] = set()
        if not full:
            same: dict[str, bool] = {}
            unchanged = {member for member in due if self._is_unchanged(member, same)}
            if self._choice.is_made:
                unchanged -= self._left_out(unchanged)
        due -= unchanged
        refuse = self._verification.refuse if self._verification.has_condemned else None
        captures = CapturePass(self._session, self._partition, self._choice, self._aliases, refuse, full=full)
        try:
            with garbage.kept_off(due):
                outcome = captures.run(due, [member for member in unchanged if member.startswith(DEFINITION)])
        except TooSlow:
            self._ambient_left = ambient
            self._give_up(captures.outcome)
            raise
        if self._lost and (again := self._recovered(outcome.lost)):
            outcome.add(
                CapturePass(self._session, self._partition, self._choice, self._aliases, refuse, full=full).run(again)
            )
            due |= again
        if ambient is not None:
            outcome.lost.update(ambient.lost)
            outcome.changed += self._plain_components(ambient.plain)
        touched = due | outcome.lost.keys()
        if self._lost or outcome.lost:
            self._update_lost(outcome.lost)
        if full:
            outcome.changed += self._unloaded()
        return outcome, touched

    def _give_up(self, outcome: Outcome) -> None:
        """What a capture found so far is not sent: it is owed again."""
        for component in outcome.changed:
            record = self._partition.records.get(component.id)
            if record is not None:
                record.fingerprint = None
                self._owed.members.update(record.members)
        self._ledger.remove_again(outcome.removed)

    def _start_over(self) -> None:
        kept = [record for record in self._partition.records.values() if record.kept is not None]
        self._partition = Partition()
        self._partition.hold = len(self.flights) > 0
        for record in kept:
            self._partition.add(record)
        self._owed.everything = True
        self._ledger.doubt()
        self._ambient.doubt()

    def _due(self, full: bool) -> set[str]:
        return self._owed.due(self._partition, self._lost, full=full)

    def _is_unchanged(self, member: str, same: dict[str, bool]) -> bool:
        """Whether a member is known to be as it was without pickling it; `same` remembers that of components."""
        record = self._partition.home.get(member)
        if record is None or record.fingerprint is None:
            return False
        if record.stamp is not None:
            known = same.get(record.id)
            if known is None:
                now = stamps.stamp_of(record.members, self._session.definitions)
                known = same[record.id] = stamps.is_same(record.stamp, now)
            return known
        if record.unchanged_if is not None:
            return self._session.namespace.get(member) is record.unchanged_if[0]
        if record.points_at is not None:
            value = self._session.namespace.get(member)
            return value is not None and self._session.definitions.object_of(record.points_at) is value
        return False

    def _left_out(self, members: Collection[str]) -> set[str]:
        namespace = self._session.namespace
        return {name for name in members if name in namespace and self._choice.left_out(name, namespace[name])}

    def _unloaded(self) -> list[Component]:
        """Return what could not be loaded, as it was saved: it stays in the store until its names are bound anew."""
        found = []
        for record in [record for record in self._partition.records.values() if record.kept is not None]:
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
            for name, gone in self._lost.items()
            if gone.blame is not None and gone.blame not in lost and gone.blame in self._partition.home
        }

    def _update_lost(self, lost: dict[str, LostMember]) -> None:
        self._lost.update((member, named(member, gone, self._session.kept)) for member, gone in lost.items())
        for member in self._lost.keys() - lost.keys():
            record = self._partition.home.get(member)
            exists = self._exists(member) if record is None else record.kept is not None
            if not exists:
                del self._lost[member]

    def _exists(self, member: str) -> bool:
        return member.startswith(AMBIENT) or self._session.has(member)

    def _plain_components(self, states: list[tuple[str, bytes]]) -> list[Component]:
        changes = []
        for member, stream in states:
            known = self._partition.home.get(member)
            mark = pages.fingerprint((member,), stream, ())
            identity = new_id() if known is None else known.id
            self._partition.add(Record(identity, (member,), mark))
            changes.append(Component(identity, (member,), mark, stream, [], ()))
        return changes

    def _send(
        self, full: bool, outcome: Outcome, touched: set[str], started: float, seq: int | None = None
    ) -> Snapshot:
        ledger = self._ledger
        removed, names_removed = ledger.gone(outcome.removed, touched, self._partition)
        names = sorted({name for component in outcome.changed for name in component.names})
        seq = ledger.sent([component.id for component in outcome.changed], removed, names, names_removed, seq)
        if any(component.large for component in outcome.changed):
            records = self._partition.records.values()
            self._session.pages.forget_others(record.memory for record in records if record.memory is not None)
        return Snapshot(
            seq=seq,
            full=full,
            changed=outcome.changed,
            removed=removed,
            skipped=[
                *self._choice.problems,
                *self._ambient.left_out(),
                *self._partition.dropped(),
                *(gone.lost for name, gone in self._lost.items() if _is_told(name)),
            ],
            names_changed=names,
            names_removed=names_removed,
            environment=self._environment.as_json(),
            seconds=time.perf_counter() - started,
        )

    def committed(self, seq: int) -> None:
        """Take note that the store has a snapshot."""
        if self.flights.note_verdict(seq, committed=True):
            return
        self._ledger.committed(seq)

    def rejected(self, seq: int) -> None:
        """Take note that the store has not got a snapshot, and won't: all of it is owed again."""
        if self.flights.note_verdict(seq, committed=False):
            return
        for identity in self._ledger.rejected(seq):
            record = self._partition.records.get(identity)
            if record is None:
                continue
            record.fingerprint = record.memory = None
            self._owed.members.update(record.members)
            for member in record.members:
                if member.startswith((AMBIENT, PART)):
                    self._ambient.forget(member)
                    self._owed.called = True

    def expected_seconds(self) -> float:
        """Return an estimate of what the next `take` takes, from what pickling the same components took before."""
        if not self._owed.members and not self._owed.everything:
            return 0.0
        return self._estimates.seconds(self._due(full=False), self._partition)

    def expected_bytes(self) -> int:
        """Return a guess at how much memory a copy of the process takes that takes the next capture."""
        return self._estimates.bytes(self._due(full=False))

    def progress(self) -> Any:
        """Return what changes when a capture or restore that is under way gets on; callable from any thread."""
        return [(id(part), len(part)) for part in self._session.progress]

    def compare(self) -> None:
        """Find out which variables are no longer as the store has them; call after a run that is not saved.

        Where that takes longer than a moment, all that the run can have touched counts as changed.
        """
        self.flights.land()
        due = self._due(full=False)
        records = {id(record): record for member in due if (record := self._partition.home.get(member)) is not None}
        quick = not len(self.flights) and sum(map(self._estimates.of, records.values())) <= SECONDS_TO_COMPARE
        same: dict[str, bool] = {}
        self._ahead = {
            name
            for record in records.values()
            if (record.kept is None or any(map(self._exists, record.members)))
            and not all(self._is_unchanged(member, same) for member in record.members)
            and not (quick and self._is_as_stored(record))
            for name in record.members
            if is_visible(name)
        }

    def _is_as_stored(self, record: Record) -> bool:
        if record.fingerprint is None or not all(map(self._exists, record.members)):
            return False
        values = [(member, self._session.value(member)) for member in record.members]
        try:
            pickled = pickle_members(self._session, values, Kinds())
        except BaseException:  # noqa: BLE001 - code of users and libraries, which may raise SystemExit as well
            return False
        marks, _, _ = self._session.pages.measure(pickled.buffers, record.memory)
        return pages.fingerprint(record.members, pickled.stream, pickled.buffers, marks) == record.fingerprint

    def saved_state(self, name: str) -> Literal["saved", "saving", "skipped"]:
        """Return whether the store has a variable as it is: for listings, and callable from any thread."""
        if self.flights.has(name):
            return "saving"
        if name in self._lost:
            return "skipped"
        if self._ledger.is_under_way(name):
            return "saving"
        record = self._partition.home.get(name)
        return "skipped" if record is None or record.fingerprint is None or name in self._ahead else "saved"

    # -- trying what was saved

    @property
    def is_unverified(self) -> bool:
        """Whether something was saved that was not tried yet and may be worth it; callable from any thread."""
        return self._verification.is_pending

    def checks(self, *, possible: bool) -> list[Check]:
        """Return what is to be tried in a copy of this process, each only once.

        Args:
            possible: whether there can be such a copy; without one nothing is tried.
        """
        if not possible or self._owed.background.is_busy():
            self._verification.drop_all()
            return []
        return self._verification.due(self._partition, self._owed.members, everything=self._owed.everything)

    def attempt(self, check: Check) -> dict[str, Any]:
        """Try whether a component comes back as it was, and return what `judge` takes: JSON.

        Loads what may have any effect: call in a copy of the process only.
        """
        if self._trial is None:
            from .trial import Trial

            self._trial = Trial(self._session)
        verdict: Verdict = self._trial.attempt(check, self._partition.records.get(check.component))
        return vars(verdict)

    def judge(self, check: Check, verdict: dict[str, Any]) -> list[str]:
        """Take in what became of an attempt; return the members that are lost, as the next capture will say."""
        record = self._partition.records.get(check.component)
        lost = self._verification.judge(check, Verdict(**verdict), record)
        if lost and record is not None:
            record.fingerprint = None
            changed = self._owed.everything or not self._owed.members.isdisjoint(record.members)
            # What a failed run has changed is not to be saved on this occasion.
            (self._owed.members if changed else self._unfaithful).update(record.members)
        return lost

    # -- the way back

    def differing(self, version: Mapping[str, str]) -> tuple[set[str], set[str]]:
        """Return the components of a version that are not in memory as it has them.

        Args:
            version: fingerprints by id.

        Returns:
            Those that are other ones, and those that are the same and have to be loaded nevertheless: they lean on one
            that is another, were not loaded yet, or are no objects of the session.
        """
        self.flights.land(wait=True)
        due = self._due(full=False)
        home, records = self._partition.home, self._partition.records
        same = {
            identity
            for identity, mark in version.items()
            if (record := records.get(identity)) is not None
            and record.fingerprint == mark
            and (record.kept is not None or due.isdisjoint(record.members) or self._is_as_stored(record))
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

    def pointers(self) -> dict[str, list[str]]:
        """Return for each component the hidden members of others that it cannot be loaded without."""
        return {identity: sorted(record.refs) for identity, record in self._partition.records.items()}

    def unsaved_names(self) -> list[str]:
        """Return the variables that no capture has seen."""
        known = self._partition.home.keys() | self._lost.keys()
        return [name for name in self._session.namespace if is_variable(name) and name not in known]

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
        """Load saved components; what fails is reported and costs only what needs it.

        Args:
            components: a whole version (replace), or at least what the wanted names need (merge).
            keep: of a whole version the components which are in memory as it has them, and are not among the others
                (see `differing`).
            leave: variables that can't be saved, and are as they were then: they are left alone, unless they may share
                objects with something that is loaded.
            mode: "replace": the session becomes this version; "merge": only the wanted names change.
            names: the wanted names; all of them if None.
            owed: whether what is loaded has to be captured again since the store's newest version has something else.
                By default only after a merge. A caller that loads parts of the newest version says False.
            environment: in which they were saved, as snapshots have it, if it is known.
        """
        self.flights.land(wait=True)
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
        namespace = self._session.namespace
        definitions = self._session.definitions
        stay = [self._partition.records[identity] for identity in keep]
        members = {member for record in stay for member in record.members}
        apart = not any(is_visible(member) for component in components for member in component.members)
        left = {
            name: self._lost[name]
            for name in leave
            if name in namespace and name in self._lost and (apart or self._lost[name].closed)
        }
        for name in [name for name in namespace if is_variable(name) and name not in members and name not in left]:
            del namespace[name]
        for hidden in [hidden for hidden in self._session.kept if hidden not in members]:
            del self._session.kept[hidden]
        wanted = _wanted(components, names)
        # What another Python has saved is saved anew, all of it.
        wanted = self._later.begin(wanted, possible=names is None and differences.python is None)
        restoration = Restoration(
            self._session,
            components,
            lambda hidden: definitions.object_of(hidden) if hidden in members else None,
            differences,
        )
        restoration.on_import = self._later.read_ahead
        failed = self._load(restoration, wanted, names, warm=self._owed.has_run)
        if self._later.waiting and restoration.needs_others():
            restoration.load_all(self._later.wait_no_more())
        self._partition = Partition()
        for record in stay:
            self._partition.add(record)
        if not stay:
            self._verification.forget()
        self._lost.clear()
        self._lost.update(left)
        self._ahead = set()
        self._ledger.restart([*components, *stay])
        self._owed.settle()
        # The next version is pickled under this Python throughout.
        self._owed.everything = another = differences.python is not None
        for record in restoration.records.values():
            if owed or another:
                record.fingerprint = None
            self._partition.add(record)
        forget_missing(self._partition, restoration)
        waiting = sorted(self._later.waiting.names)
        # What other rules have kept is removed from the store with the next capture.
        self._choice.refresh()
        if self._choice.is_made:
            self._owed.members |= self._left_out(namespace.keys())
        there = {member for component in components for member in component.members}
        for member, reason in self._patches.take_back(there):
            failed.append(Lost(label(member), "attribute", reason, "restart the session to be rid of it"))
        outcome = self._finish(restoration, names, failed, warm=self._owed.has_run, owed=owed)
        self._later.settle(restoration, self._partition)
        return replace(
            outcome, restored=sorted([*outcome.restored, *waiting, *filter(is_visible, members)]), left=sorted(left)
        )

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
                [component for component in wanted if self._ambient.early.issuperset(component.members)]
            )
            failed = self._ambient.restore(restoration.values, early=True, warm=warm)
        restoration.load_all(wanted)
        return failed

    def _merge(
        self,
        components: list[SavedComponent],
        names: Collection[str] | None,
        differences: Differences,
        *,
        owed: bool,
    ) -> RestoreOutcome:
        partition, definitions = self._partition, self._session.definitions

        def living(hidden: str) -> Any:
            return definitions.object_of(hidden) if hidden in partition.home else None

        wanted = _wanted(components, names)
        restoration = Restoration(self._session, components, living, differences)
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
                self._owed.members.update(record.members)
            else:
                partition.add(record)
                self._ledger.has(record)
        for name in [name for name in self._lost if name in restoration.values]:
            del self._lost[name]
        return self._finish(restoration, names, failed, owed=owed)

    def _prefer_saved(self, component: SavedComponent, restoration: Restoration) -> None:
        """A definition that was asked for by name comes back as saved, though it is still alive in another state."""
        for name in component.members:
            value = restoration.values.get(name)
            record = restoration.records.get(component.id)
            if record is None or len(record.refs) != 1 or value is None:
                continue
            (hidden,) = record.refs
            present = self._partition.home.get(hidden)
            if present is None or self._session.definitions.object_of(hidden) is not value:
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
        failed += restoration.lost(names)
        ambient = {member: value for member, value in restoration.values.items() if member.startswith((AMBIENT, PART))}
        if names is None:
            failed += self._ambient.restore(ambient, early=False, warm=warm)
        if ambient and (owed or names is not None):
            self._ambient.doubt()
        for member, value in restoration.values.items():
            if member.startswith((PATCH, ALIAS)):
                reason = self._patches.apply(member, value)
                if reason is not None:
                    failed.append(Lost(label(member), "attribute", reason, "set it again in a cell"))
        for lost in failed:
            if lost.name in self._partition.home:
                self._lost[lost.name] = LostMember(lost, None, True)
        self._owed.look_afresh()
        restored = sorted(
            member for member in restoration.values if is_visible(member) and (names is None or member in names)
        )
        self._environment.adopt(restoration.differences.saved, whole=not restoration.failures)
        return RestoreOutcome(restored, failed, restoration.differences.in_words())

    # -- what was left for later

    @property
    def waiting(self) -> Waiting:
        """The components that were not loaded yet."""
        return self._later.waiting

    def needed(self, code: types.CodeType | list[types.CodeType]) -> list[StoredComponent]:
        """Return what of it code may touch, as far as can be seen now; to be asked again when that is loaded."""
        return self._later.needed(code, self._partition, self._lost)

    def load_waiting(self, component: StoredComponent, stop: Callable[[], bool]) -> tuple[list[str], list[Lost]]:
        """Load some of it; return the names of the variables that are there now, and those that can't be loaded.

        Raises:
            Stopped: `stop` says so; the component goes on waiting.
        """
        names, failed = self._later.load(component, self._partition, self._lost, stop)
        if self._choice.is_made:
            self._owed.members |= self._left_out(names)
        return names, failed


_OUTSIDE = (AMBIENT, PART, PATCH, ALIAS)
"""Members that are no objects of the session: they are set anew by every restore."""


def _is_told(member: str) -> bool:
    """Whether the user is told when a member can't be kept: definitions are told of through what needs them."""
    return bool(member.strip("_")) if is_visible(member) else not member.startswith((DEFINITION, ALIAS))


def _wanted(components: list[SavedComponent], names: Collection[str] | None) -> list[SavedComponent]:
    if names is None:
        return components
    return [component for component in components if any(member in names for member in component.members)]
