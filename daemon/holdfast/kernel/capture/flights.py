"""Captures that a copy of the process takes, while the session goes on: what is noted here until they are over.

A copy looks at what is owed just as the original would have, and sends what changed to the store by itself. What it
found out besides comes back as a report, which *lands* when it is there: the original then knows what it would know if
it had taken the capture. Copies land in the order in which they were made.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import select
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ..interrupts import TooSlow
from . import pages
from .components import LostMember, Record, is_visible
from .definitions import is_definition_type
from .kinds import Kinds, module_of
from .pickler import NotInCopy, NotPicklable, pickle_members

if TYPE_CHECKING:
    from .ambient.registry import Changes
    from .captures import Captures
    from .snapshot import Outcome, Snapshot
    from .state import State

MOST = 4
"""Copies of one session at a time."""
MOST_OF_OBJECTS = 2
"""The same where they save many objects: a copy counts references, so it takes as much memory again as these do."""
_MANY_BYTES = 32 << 20
_READY = 8
"""Bytes before the report in its file: its length, written last."""
_INTRODUCTION = 0.02
"""Seconds for looking at what the definitions in a capture lead to."""
_INSIDE = 64
"""Items of a container that are looked at for large buffers."""


@dataclass
class Flight:
    """A capture under way in a copy of the process.

    Attributes:
        seq: number of its snapshot.
        due: members that it looks at, as far as the original knows.
        everything: those may be any.
        begin: what the serials of its pages begin with.
        ambient: what changed outside of the variables.
        report: descriptor of the file for the report.
        over: descriptor of a pipe that ends when the report is complete, or the copy.
        pid: of the copy.
        before: the components when it was made.
    """

    seq: int
    full: bool
    run: Any
    cell: int | None
    due: frozenset[str]
    everything: bool
    called: bool
    members: frozenset[str]
    begin: int
    ambient: Changes | None
    report: int = -1
    over: int = -1
    pid: int = 0
    before: dict[str, Record] = field(default_factory=dict)
    lost: dict[str, LostMember] = field(default_factory=dict)
    rejected: bool = False
    committed: bool = False


@dataclass
class Report:
    """What a copy found out.

    Attributes:
        records: components that are new or no longer what they were.
        dropped: ids of those that are gone.
        lost: all members that can't be kept.
        sent: what the snapshot says is changed and gone: components, components, names, names.
        findings: chunks that were hashed; see `pages`.
        marks: id, fingerprint and bytes of each component sent.
    """

    records: list[Record]
    dropped: list[str]
    lost: dict[str, LostMember]
    sent: tuple[list[str], list[str], list[str], list[str]]
    findings: list[tuple[tuple[int, int], int, bytes | None]]
    marks: list[tuple[str, str, int]]
    deep: set[str]
    modules: set[str]
    made_of: dict[str, tuple[set[str], set[str]]]


class Flights:
    """The captures under way of one session.

    Args:
        state: the session.
        captures: takes its captures.
    """

    def __init__(self, state: State, captures: Captures) -> None:
        self._state = state
        self._captures = captures
        self._flying: list[Flight] = []
        self._not_in_copies: set[str] = set()
        """Members that only this process can save: they have open files."""
        self.on_landed: Callable[[int | None, list[str]], None] = lambda cell, names: None
        """Called with the cell that was run and the variables that it changed."""
        self._sending: list[int] = []
        """Copies that have landed and are still at work."""

    def flying(self) -> list[Flight]:
        """Return them, the oldest first."""
        return list(self._flying)

    def __len__(self) -> int:
        return len(self._flying)

    def has(self, name: str) -> bool:
        """Whether a variable is being saved by a copy; callable from any thread."""
        return any(name in flight.due or flight.everything for flight in tuple(self._flying))

    # -- the original, before the copy is made

    def prepare(self, *, full: bool, run: Any, cell: int | None) -> Flight:
        """Return a capture for a copy to take; `depart` or `cancel` has to follow."""
        state = self._state
        owed = state.owed
        self._captures.prepare()
        due = frozenset(state.due(full=full))
        session = state.session
        self._introduce(due)
        for member in due:
            if is_visible(member) and member in session.namespace:
                session.pages.watch(_buffers_of(session.namespace[member]))
        return Flight(
            full=full,
            run=run,
            cell=cell,
            due=due,
            everything=full or owed.everything,
            called=owed.called,
            members=frozenset(owed.members),
            begin=session.pages.before_copy(),
            ambient=self._captures.changes_of_ambient(full),
            before=dict(state.partition.records),
            lost=dict(state.lost),
            seq=state.ledger.reserve(due),
        )

    def _introduce(self, due: Iterable[str]) -> None:
        """Give definitions their ids here: those that a copy gives, nobody else would know."""
        session = self._state.session
        work = [
            (member, session.namespace[member])
            for member in due
            if is_visible(member)
            and is_definition_type(type(session.namespace.get(member)))
            and not session.definitions.importable(session.namespace[member])
        ]
        seen: set[int] = set()
        session.deadline = time.thread_time() + _INTRODUCTION
        try:
            while work:
                _, definition = work.pop()
                if id(definition) in seen:
                    continue
                seen.add(id(definition))
                hidden = session.definitions.hidden_of(definition)
                # What can't be pickled, the copy says.
                with contextlib.suppress(NotPicklable):
                    met = pickle_members(session, [(hidden, definition)], Kinds()).met
                    work += met.items()
        except TooSlow:
            return  # It holds much. If a copy meets others in it, it leaves them to this process.
        finally:
            session.deadline = None

    def cancel(self, flight: Flight) -> None:
        """No copy could be made."""
        self._forget(flight)
        self._close(flight)

    def depart(self, flight: Flight) -> None:
        """The copy was made: all that is owed is its business."""
        state = self._state
        state.session.pages.in_original(flight.begin)
        state.owed.settle()
        state.unfaithful.clear()
        state.ahead = set()
        state.partition.hold = True
        self._flying.append(flight)

    # -- the copy

    def work(self, flight: Flight) -> Snapshot:
        """Take the capture, and write the report.

        Raises:
            NotInCopy: there is something that only the original can save.
        """
        state = self._state
        session = state.session
        while self._flying:
            self._land(self._flying[0], wait=True)
        state.partition.hold = False
        session.pages.in_copy(flight.begin)
        session.is_copy = True
        known, kept = session.definitions.known(), session.kept.keys() - _ambient_of(flight)
        before = dict(state.partition.records)
        try:
            snapshot, outcome = self._captures.take_as(flight)
            if session.definitions.known() - known or session.kept.keys() - _ambient_of(flight) != kept:
                raise NotInCopy(None)
        except NotInCopy as refusal:
            _write_report(flight, [refusal.member])
            raise
        _write_report(flight, self._report(flight, snapshot, outcome, before))
        return snapshot

    def _report(self, flight: Flight, snapshot: Snapshot, outcome: Outcome, before: dict[str, Record]) -> Report:
        state = self._state
        after = state.partition.records
        return Report(
            # What stands for living objects is found out anew: here they are other ones.
            records=[
                replace(record, unchanged_if=None, stamp=None)
                for identity, record in after.items()
                if before.get(identity) is not record
            ],
            dropped=[identity for identity in before if identity not in after],
            lost=state.lost,
            sent=(
                [component.id for component in snapshot.changed],
                snapshot.removed,
                snapshot.names_changed,
                snapshot.names_removed,
            ),
            findings=state.session.pages.findings(flight.begin),
            marks=[(component.id, component.fingerprint, component.nbytes) for component in snapshot.changed],
            deep=state.session.deep,
            modules=outcome.modules,
            made_of=outcome.made_of,
        )

    # -- the original, afterwards

    def overlaps(self, *, full: bool) -> bool:
        """Whether the next capture may look at what a copy is looking at."""
        if not self._flying:
            return False
        owed = self._state.owed
        if full or owed.everything or any(flight.everything for flight in self._flying):
            return True
        due = self._state.due(full=full)
        return any(not due.isdisjoint(flight.due) for flight in self._flying)

    def is_possible(self) -> bool:
        """Whether a copy could save what is owed, as far as known."""
        self._reap()
        busy = len(self._flying) + len(self._sending)
        if busy >= MOST or not self._not_in_copies.isdisjoint(self._state.owed.members):
            return False
        return busy < MOST_OF_OBJECTS or self._state.estimates.bytes(self._state.due(full=False)) < _MANY_BYTES

    def land(self, *, wait: bool = False) -> None:
        """Take in the reports that are there; with `wait`, all."""
        while self._flying and self._land(self._flying[0], wait=wait):
            pass
        if not self._flying:
            self._state.partition.hold = False

    def note_verdict(self, seq: int, *, committed: bool) -> bool:
        """Take note of the store's answer for a snapshot that has not landed; whether it is one."""
        for flight in self._flying:
            if flight.seq == seq:
                flight.committed, flight.rejected = committed, not committed
                return True
        return False

    def _land(self, flight: Flight, *, wait: bool) -> bool:
        # A snapshot that was rejected was sent, or never will be: the copy is done or gone.
        data = _read_report(flight, wait=wait or flight.rejected)
        if data is None:
            return False
        # From here on the store's answers are for the session as it is.
        self._flying.remove(flight)
        self._close(flight)
        report = pickle.loads(data) if data else []
        if isinstance(report, Report):
            self._take_in(flight, report)
        else:
            self._fail(flight)
            self._not_in_copies.update(member for member in report if member is not None)
        return True

    def _close(self, flight: Flight) -> None:
        for descriptor in (flight.report, flight.over):
            if descriptor >= 0:
                os.close(descriptor)
        if flight.pid:
            self._sending.append(flight.pid)
            self._reap()

    def _reap(self) -> None:
        for pid in list(self._sending):
            # Code of the user's that waits for any child may have taken it.
            with contextlib.suppress(ChildProcessError):
                if os.waitpid(pid, os.WNOHANG)[0] == 0:
                    continue
            self._sending.remove(pid)

    def _fail(self, flight: Flight) -> None:
        """A copy came to nothing: all of it is owed again."""
        self._forget(flight)
        owed = self._state.owed
        owed.members |= flight.members | flight.due
        owed.everything = owed.everything or flight.everything
        owed.called = owed.called or flight.called

    def _forget(self, flight: Flight) -> None:
        """There will be no snapshot of it."""
        self._state.session.pages.after_copy(flight.begin, None)
        self._state.ledger.rejected(flight.seq)
        if flight.ambient is not None:
            self._state.ambient.doubt()

    def _take_in(self, flight: Flight, report: Report) -> None:
        state = self._state
        partition, owed = state.partition, state.owed
        state.session.pages.after_copy(flight.begin, report.findings)
        state.session.deep |= report.deep
        for identity in report.dropped:
            record = partition.records.get(identity)
            if record is not None and record is flight.before.get(identity):
                partition.drop(record)
                for later in self._flying:
                    later.before.pop(identity, None)
        for record in report.records:
            if partition.records.get(record.id) is not flight.before.get(record.id):
                # A capture took place meanwhile, and knows better or not: it is looked at once more.
                owed.members |= set(record.members)
                continue
            partition.add(record)
            for later in self._flying:
                later.before[record.id] = record
        for name, gone in report.lost.items():
            if flight.lost.get(name) != gone:
                state.lost[name] = gone
        for name in flight.lost.keys() - report.lost.keys():
            state.lost.pop(name, None)
        state.environment.note(report.modules)
        if report.made_of:
            state.verification.note(report.marks, report.made_of, flight.run)
        self.on_landed(flight.cell, report.sent[2])
        state.ledger.landed(flight.seq, *report.sent)
        if flight.committed:
            self._captures.committed(flight.seq)
        elif flight.rejected:
            self._captures.rejected(flight.seq)


def open_report(flight: Flight) -> int:
    """Make the file and the pipe of a copy; return the end of the pipe that is the copy's.

    Raises:
        OSError: the system has no more of them.
    """
    flight.report = os.memfd_create("holdfast-report", os.MFD_CLOEXEC)
    try:
        flight.over, theirs = os.pipe()
    except OSError:
        os.close(flight.report)
        flight.report = -1
        raise
    return theirs


def _write_report(flight: Flight, report: Report | list[str | None]) -> None:
    data = pickle.dumps(report, pickle.HIGHEST_PROTOCOL)
    os.pwrite(flight.report, data, _READY)
    os.pwrite(flight.report, len(data).to_bytes(_READY, "little"), 0)


def _ambient_of(flight: Flight) -> set[str]:
    return flight.ambient.members if flight.ambient is not None else set()


def _read_report(flight: Flight, *, wait: bool) -> bytes | None:
    """Return the report, b"" if there will be none, None if it is not there yet."""
    if not select.select([flight.over], [], [], None if wait else 0)[0]:
        return None
    length = int.from_bytes(os.pread(flight.report, _READY, 0), "little")
    parts, at = [], _READY
    while at < length + _READY:
        parts.append(os.pread(flight.report, length + _READY - at, at))
        at += len(parts[-1])
    return b"".join(parts)


def _buffers_of(value: Any, depth: int = 2) -> Iterator[memoryview]:
    """Yield large buffers of a value where they are plain to see; calls nothing of the user's."""
    kind = type(value)
    package = module_of(kind).partition(".")[0]
    found: Iterable[Any] = ()
    if package == "numpy" and kind.__name__ == "ndarray":
        while type(value.base) is kind:
            value = value.base
        if value.nbytes >= pages.LARGE and not value.dtype.hasobject:
            with contextlib.suppress(ValueError, BufferError):
                yield pickle.PickleBuffer(value).raw()
        return
    if kind in (bytes, bytearray) and len(value) >= pages.LARGE:
        yield memoryview(value)
    elif package == "pandas" and kind.__name__ in ("DataFrame", "Series"):
        found = [block.values for block in getattr(getattr(value, "_mgr", None), "blocks", ())]
    elif kind in (list, tuple):
        found = value[:_INSIDE]
    elif kind is dict and len(value) <= _INSIDE:
        found = value.values()
    if depth:
        for item in found:
            yield from _buffers_of(item, depth - 1)
