"""One capture: pickle the members that are due, group those that share something, and say what can't be kept."""

from __future__ import annotations

import pickle
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from . import escapes, frugal, grouping, losses, pages, stamps
from .aliases import ALIAS, Aliases
from .choice import Choice
from .components import (
    DEFINITION,
    Component,
    Lost,
    LostMember,
    Partition,
    Record,
    is_visible,
    label,
    new_id,
)
from .definitions import own_functions
from .grouping import Group
from .kinds import ATOMS, Kinds
from .pickler import PROTOCOL, NotPicklable, Pickled, Session, pickle_members

Refuse = Callable[[list[tuple[str, Any]]], None]

LOOK_AT_LEFT_OUT = 200_000
"""Objects looked at in what users leave out, which may well be large, to know what it shares with the rest."""
REMEMBERED_BYTES = 1 << 12
"""Immutable values up to this size are remembered as objects, so that meeting them again costs nothing."""
_PLAIN = frozenset(map(id, (type(None), bool, int, float, complex, str, bytes)))
"""Ids of the types that every pickler takes apart alike, and whose values nothing can be met in."""
_SIZED = frozenset(map(id, (str, bytes)))


@dataclass(frozen=True)
class Snapshot:
    """What changed in the session since the last one.

    Attributes:
        full: `changed` is all there is; every other component of the store is gone.
        removed: ids of components that are gone.
        skipped: the complete list of variables that can't be kept.
        names_changed: variables whose component changed.
        names_removed: variables that were kept before and are gone, or can't be kept any more.
    """

    seq: int
    full: bool
    changed: list[Component]
    removed: list[str]
    skipped: list[Lost]
    names_changed: list[str]
    names_removed: list[str]
    environment: dict[str, Any]
    seconds: float


@dataclass
class Outcome:
    """What a capture pass found.

    Attributes:
        changed: components that the store has to be sent.
        removed: ids of components that are no more.
        lost: members that could not be kept in this pass.
        modules: names of modules which the changed components import from.
        made_of: for each component with objects of libraries or of the session's classes, which modules and classes.
    """

    changed: list[Component] = field(default_factory=list)
    removed: set[str] = field(default_factory=set)
    lost: dict[str, LostMember] = field(default_factory=dict)
    modules: set[str] = field(default_factory=set)
    made_of: dict[str, tuple[set[str], set[str]]] = field(default_factory=dict)

    def add(self, later: Outcome) -> None:
        """Add what a later pass of the same capture found."""
        again = {component.id for component in later.changed}
        self.changed = [component for component in self.changed if component.id not in again] + later.changed
        self.removed |= later.removed
        self.lost.update(later.lost)
        self.modules |= later.modules
        self.made_of.update(later.made_of)


class CapturePass:
    """The work of one capture; updates the partition.

    Args:
        refuse: called with members and their values before they are pickled; raises `NotPicklable` for one that is
            not to be saved. None: there is no such member.
    """

    def __init__(
        self,
        session: Session,
        partition: Partition,
        choice: Choice,
        aliases: Aliases,
        refuse: Refuse | None,
        *,
        full: bool,
    ) -> None:
        self._session = session
        self._choice = choice
        self._definitions = session.definitions
        self._partition = partition
        self._aliases = aliases
        self._places: dict[int, tuple[str, Any]] | None = None
        self._refuse = refuse
        self._full = full
        self._at_once = refuse is None and not full and not choice.is_made and not choice.limits.max_bytes
        self._kinds = Kinds()
        self._groups: dict[str, Group] = {}
        self._alive: list[Group] = []
        self._work: deque[Group] = deque()
        self._dirty: dict[str, Record] = {}
        self._pointed: set[str] = set()
        self._counted_again: set[str] = set()
        self._changed: set[str] = set()
        self.outcome = Outcome()

    def run(self, due: Iterable[str], unchanged: Iterable[str] = ()) -> Outcome:
        """Capture the members in `due` and whatever they lead to that was not known yet.

        Args:
            unchanged: definitions that are as they were, but may have been given to somebody.
        """
        self._pointed.update(unchanged)
        for member in due:
            if not (self._at_once and self._take_plain(member)):
                self._start(member)
        if not self._work and not self._dirty and not self._pointed:
            return self.outcome
        while True:
            self._pickle_all()
            if not self._merge():
                self._spread_losses()
                self._settle()
                if not self._work:
                    return self.outcome

    # -- values that share nothing with anything

    def _take_plain(self, member: str) -> bool:
        """Make a component of a lone number or short text, for which nothing below would find more; say if it is one.

        The commonest case by far, and otherwise mostly bookkeeping.
        """
        value = self._session.namespace.get(member, self)
        kind = id(type(value))  # a metaclass may refuse to hash its classes
        if kind not in _PLAIN or (kind in _SIZED and len(value) > REMEMBERED_BYTES):
            return False
        before = self._partition.home.get(member)
        if before is not None and (before.unchanged_if is None or before.refs or before.kept is not None):
            return False
        stream = pickle.dumps(value, PROTOCOL)
        if len(stream) > REMEMBERED_BYTES:
            return False
        self._session.deep.discard(member)
        mark = pages.fingerprint((member,), stream, ())
        if before is not None and before.fingerprint == mark:
            before.unchanged_if = (value,)
            return True
        if before is None or self._partition.hold:
            before = Record(new_id() if before is None else before.id, (member,), mark, unchanged_if=(value,))
            self._partition.add(before)
        else:
            before.fingerprint, before.unchanged_if = mark, (value,)
        self.outcome.changed.append(Component(before.id, (member,), mark, stream, [], (member,)))
        return True

    # -- which members are pickled together to begin with

    def _start(self, member: str) -> None:
        if member in self._groups:
            return
        record = self._partition.home.get(member)
        if record is not None:
            if record.kept is not None and not any(map(self._exists, record.members)):
                return
            self._dirty[record.id] = record
            members = tuple(name for name in record.members if self._is_kept(name))
        else:
            members = (member,) if self._is_kept(member) else ()
        if members:
            self._enqueue(members)

    def _exists(self, member: str) -> bool:
        return self._session.has(member)

    def _is_kept(self, member: str) -> bool:
        """Whether a member exists, and is not left out by choice."""
        if not self._exists(member):
            return False
        lost = self._choice.left_out(member, self._value(member)) if self._choice.is_made else None
        if lost is not None:
            self._leave_out(lost)
        return lost is None

    def _value(self, member: str) -> Any:
        return self._session.value(member)

    def _enqueue(self, members: tuple[str, ...], *, merged: bool = False) -> None:
        group = Group(members, merged)
        for member in members:
            self._groups[member] = group
        self._work.append(group)

    def _meet(self, hidden: str, definition: Any) -> None:
        """Enqueue a definition that belongs to no component yet; a class comes with its own functions."""
        if hidden in self._groups or hidden in self._partition.home or hidden in self.outcome.lost:
            return
        members = [hidden]
        if issubclass(type(definition), type):
            for function in own_functions(definition):
                if self._definitions.importable(function):
                    continue
                own = self._definitions.hidden_of(function)
                if own not in self._groups and own not in self._partition.home and own not in self.outcome.lost:
                    members.append(own)
        self._enqueue(tuple(members))

    # -- pickling

    def _pickle_all(self) -> None:
        while self._work:
            group = self._work.popleft()
            if any(self._groups.get(member) is not group for member in group.members):
                continue
            self._pickle(group)

    def _pickle(self, group: Group) -> None:
        started = time.thread_time()
        values = [(member, self._value(member)) for member in group.members]
        if any(value is None and member.startswith(DEFINITION) for member, value in values):
            # Nothing but a circle had held it, and that was collected just now.
            self._forget(group)
            if rest := tuple(member for member, value in values if value is not None or is_visible(member)):
                self._enqueue(rest, merged=group.merged)
            return
        try:
            group.pickled = self._attempt(values)
        except NotPicklable as failure:
            self._fall_apart(group, failure)
            return
        finally:
            del values
        if self._choice.limits.max_bytes and self._without_large(group):
            return
        group.seconds = time.thread_time() - started
        parts = grouping.parts(group)
        if len(parts) > 1:
            self._forget(group)
            for part in parts:
                self._enqueue(part)
            return
        if group.pickled.ties:
            self._meet_aliases(group.pickled.ties)
        if self._session.is_copy and len(group.pickled.counted) >= frugal.MANY:
            group.pickled.held, group.pickled.ids = frugal.condense(group.pickled.ties, group.pickled.counted)
        self._alive.append(group)
        for hidden, definition in group.pickled.met.items():
            self._meet(hidden, definition)

    def _meet_aliases(self, ties: dict[int, Any]) -> None:
        """Enqueue the places in modules of the user's that hold what was just pickled."""
        if self._places is None:
            self._places = self._aliases.places()
            for member in self._aliases.stale(self._places):
                self._start(member)
        for key in self._places.keys() & ties.keys():
            member, value = self._places[key]
            if member not in self._groups:
                self._session.kept[member] = value
                self._start(member)

    def _attempt(self, values: list[tuple[str, Any]]) -> Pickled:
        if self._refuse is not None:
            self._refuse(values)
        deep = self._session.deep
        if deep and not deep.isdisjoint(member for member, _ in values):
            return self._pickle_deep(values)
        try:
            return pickle_members(self._session, values, self._kinds)
        except NotPicklable as failure:
            if isinstance(failure.cause, RecursionError):
                return self._pickle_deep(values)
            if "not the same object as" in str(failure.cause) or "not found as" in str(failure.cause):
                # A module was reloaded or patched since its definition was found importable.
                self._definitions.recheck()
                return pickle_members(self._session, values, self._kinds)
            raise

    def _pickle_deep(self, values: list[tuple[str, Any]]) -> Pickled:
        pickled = pickle_members(self._session, values, self._kinds, deep=True)
        members = [member for member, _ in values]
        if pickled.steps:
            self._session.deep.update(members)
        else:
            self._session.deep.difference_update(members)
        return pickled

    def _fall_apart(self, group: Group, failure: NotPicklable) -> None:
        self._forget(group)
        if len(group.members) == 1:
            self._lose(failure)
            return
        if group.pickled is None and failure.member in group.members:
            # The one that fails is lost by itself; the others are tried again without it.
            self._lose(failure)
        rest = tuple(member for member in group.members if member != failure.member)
        self._enqueue(rest)

    def _without_large(self, group: Group) -> bool:
        """Leave out the variables of a group that are larger than the user wants; say whether there were any."""
        if group.pickled is None or _bytes_of(group.pickled) <= self._choice.limits.max_bytes:
            return False
        names = [member for member in group.members if is_visible(member)]
        sizes = {name: _bytes_of(group.pickled) for name in names}
        if len(names) > 1:
            sizes = {name: self._size_alone(name) for name in names}
        large = [lost for name in names if (lost := self._choice.too_large(name, self._value(name), sizes[name]))]
        if not large:
            return False
        self._forget(group)
        for lost in large:
            self._leave_out(lost)
        rest = tuple(member for member in group.members if member not in self.outcome.lost)
        if rest:
            self._enqueue(rest)
        return True

    def _size_alone(self, name: str) -> int:
        try:
            return _bytes_of(self._attempt([(name, self._value(name))]))
        except NotPicklable:
            return 0  # It is met again when its group is pickled.

    def _leave_out(self, lost: Lost) -> None:
        value, namespace = self._value(lost.name), self._session.namespace
        around = escapes.surroundings(value, self._definitions, namespace, LOOK_AT_LEFT_OUT)
        self.outcome.lost[lost.name] = LostMember(lost, None, around.closed, frozenset(around.reaches))

    def _lose(self, failure: NotPicklable) -> None:
        if failure.member.startswith(ALIAS):
            self._forget_alias(failure.member)
            return
        value = self._value(failure.member)
        lost = losses.describe(label(failure.member), value, failure.cause, failure.culprit)
        around = escapes.surroundings(value, self._definitions, self._session.namespace)
        failure.culprit = None
        failure.cause.__traceback__ = failure.__traceback__ = None
        failure.__cause__ = None
        self.outcome.lost[failure.member] = LostMember(lost, None, around.closed, frozenset(around.reaches))

    def _forget_alias(self, member: str) -> None:
        """Whoever shares the object is told of, if it is lost; the place alone is nobody's."""
        self._session.kept.pop(member, None)
        if self._places is not None:
            self._places = {key: place for key, place in self._places.items() if place[0] != member}

    def _forget(self, group: Group) -> None:
        for member in group.members:
            if self._groups.get(member) is group:
                del self._groups[member]

    # -- grouping

    def _merge(self) -> bool:
        """Merge groups that share objects and groups that point at each other in a circle; say if there were any."""
        groups = self._alive = [group for group in self._alive if self._groups.get(group.members[0]) is group]
        if len(groups) > 1:
            found = grouping.merges(groups, self._groups, self._clean_home)
            for record in found.reached:
                # A definition that a run reached without naming it; next time round it is a group as well.
                self._start(record.members[0])
            for together in found.sets:
                members = grouping.in_order((m for group in together for m in group.members), self._definitions)
                for group in together:
                    self._forget(group)
                    group.pickled = None
                self._enqueue(members, merged=True)
        return bool(self._work)

    def _clean_home(self, hidden: str) -> Record | None:
        record = self._partition.home.get(hidden)
        return None if record is None or record.id in self._dirty else record

    # -- what is lost takes along what points to it

    def _spread_losses(self) -> None:
        work = [member for member in self.outcome.lost if member.startswith(DEFINITION)]
        while work:
            hidden = work.pop()
            blamed = self.outcome.lost[hidden].lost
            for group in [g for g in self._alive if g.pickled and hidden in g.pickled.refs]:
                if self._groups.get(group.members[0]) is not group:
                    continue
                self._forget(group)
                for member in group.members:
                    self._blame(member, hidden, blamed)
                    if member.startswith(DEFINITION):
                        work.append(member)
            for record_id in tuple(self._partition.pointed_by.get(hidden, ())):
                record = self._partition.records[record_id]
                if record_id in self._dirty or record.kept is not None:
                    continue
                self._dirty[record_id] = record
                for member in record.members:
                    if self._exists(member):
                        self._blame(member, hidden, blamed)
                        if member.startswith(DEFINITION):
                            work.append(member)

    def _blame(self, member: str, hidden: str, blamed: Lost) -> None:
        definition = self._definitions.object_of(hidden)
        kind = "class" if isinstance(definition, type) else "function"
        reason = f"needs the {kind} {getattr(definition, '__qualname__', '')}, which can't be saved: {blamed.reason}"
        value = self._value(member)
        lost = Lost(label(member), losses.type_name(value), reason, blamed.remedy)
        around = escapes.surroundings(value, self._definitions, self._session.namespace)
        self.outcome.lost[member] = LostMember(lost, hidden, around.closed, frozenset(around.reaches) | {hidden})

    # -- making components of groups

    def _settle(self) -> None:
        """Turn the groups into records, and find out which of them are held elsewhere."""
        groups = [group for group in self._alive if group.pickled and self._groups.get(group.members[0]) is group]
        self._alive = []
        for group in [group for group in groups if all(member.startswith(ALIAS) for member in group.members)]:
            groups.remove(group)  # no variable has it any more
            for member in group.members:
                self._session.kept.pop(member, None)
        old = dict(self._dirty)
        homes = {member: record.id for record in old.values() for member in record.members}
        taken: set[str] = set()
        for record in old.values():
            self._partition.drop(record)
        pointed, self._pointed = self._pointed, set()
        for group in groups:
            pickled = group.pickled
            assert pickled is not None
            group.pickled = None
            pointed.update(pickled.refs)
            pointed.update(pickled.own)
            pickled.met.clear()
            self._place(group, pickled, old, homes, taken)
        for record_id in old.keys() - taken:
            self.outcome.removed.add(record_id)
        pickled = None
        # It has the classes that were met as its keys, which count as references.
        self._kinds = Kinds()
        self._dirty.clear()
        self._groups.clear()
        self._check_functions(pointed)
        if gone := {record.id for record in self._partition.collect()}:
            self.outcome.removed |= gone
            self.outcome.changed = [component for component in self.outcome.changed if component.id not in gone]

    def _place(
        self, group: Group, pickled: Pickled, old: dict[str, Record], homes: dict[str, str], taken: set[str]
    ) -> None:
        came_from = Counter([homes[member] for member in group.members if member in homes])
        identity = next((known for known, _ in came_from.most_common() if known not in taken), None)
        before = old.get(identity) if identity is not None else None
        if identity is None:
            identity = new_id()
        taken.add(identity)
        stored = before.memory if before is not None and not self._full else None
        marks: list[str] = []
        large: list[pages.Large] = []
        memory: pages.Memory | None = None
        if any(buffer.nbytes >= pages.LARGE for buffer in pickled.buffers):
            marks, large, memory = self._session.pages.measure(pickled.buffers, stored, pickled.passing)
        started = time.thread_time()
        mark = pages.fingerprint(group.members, pickled.stream, pickled.buffers, marks)
        seconds = group.seconds + time.thread_time() - started
        if memory is not None:
            memory = memory._replace(fingerprint=mark)
        record = Record(
            id=identity,
            members=group.members,
            fingerprint=mark,
            refs=pickled.refs,
            own=pickled.own,
            names=pickled.names,
            dynamic=pickled.dynamic,
            held=self._is_held(pickled),
            unchanged_if=self._remembered(group.members, pickled),
            points_at=self._pointer(group.members, pickled),
            stamp=self._stamp(group.members),
            seconds=seconds,
            dropped=pickled.dropped,
            memory=memory,
        )
        self._partition.add(record)
        self.outcome.removed.discard(identity)
        self.outcome.modules |= pickled.modules
        if pickled.modules or pickled.classes:
            self.outcome.made_of[identity] = pickled.modules, pickled.classes
        if self._full or before is None or before.fingerprint != mark:
            if identity in self._changed:
                self.outcome.changed = [component for component in self.outcome.changed if component.id != identity]
            self._changed.add(identity)
            self.outcome.changed.append(
                Component(
                    id=identity,
                    members=group.members,
                    fingerprint=mark,
                    stream=pickled.stream,
                    buffers=pickled.buffers,
                    names=tuple(filter(is_visible, group.members)),
                    refs=tuple(pickled.refs),
                    large=large,
                    base=None if stored is None else stored.fingerprint,
                )
            )

    @staticmethod
    def _is_held(pickled: Pickled) -> bool:
        held = pickled.held if pickled.ids else bool(pickled.counted) and escapes.is_held(pickled.ties, pickled.counted)
        pickled.ties.clear()
        return held

    def _remembered(self, members: tuple[str, ...], pickled: Pickled) -> Any:
        if len(members) > 1 or pickled.ties or len(pickled.stream) > REMEMBERED_BYTES or not is_visible(members[0]):
            return None
        value = self._session.namespace[members[0]]
        known = type(value) in ATOMS or (not pickled.refs and self._definitions.is_known_importable(value))
        return (value,) if known else None

    def _pointer(self, members: tuple[str, ...], pickled: Pickled) -> str | None:
        if len(members) > 1 or len(pickled.refs) != 1 or not is_visible(members[0]):
            return None
        (hidden,) = pickled.refs
        return hidden if self._definitions.object_of(hidden) is self._session.namespace[members[0]] else None

    def _stamp(self, members: tuple[str, ...]) -> stamps.Stamp | None:
        if any(map(is_visible, members)):
            return None
        return stamps.stamp_of(members, self._definitions)

    def _check_functions(self, pointed: set[str]) -> None:
        """A function or class with more references than the session has was given to somebody: a callback."""
        partition = self._partition
        for hidden in pointed:
            record = partition.home.get(hidden)
            if record is None:
                continue
            pointers = partition.pointed_by.get(hidden, {})
            definition = self._definitions.object_of(hidden)
            known = sum(pointers.values()) + record.own.get(hidden, 0)
            if issubclass(type(definition), type):
                known += escapes.class_references(definition)
            held = issubclass(type(definition), (_FUNCTION, type)) and escapes.references(definition) > known
            definition = None
            if not held:
                continue
            uncounted = [partition.records[other] for other in pointers if not partition.records[other].refs_counted]
            if uncounted and record.id not in self._counted_again:
                # A restore learned that they point here, not how often: pickle them once to know.
                self._counted_again.add(record.id)
                for other in (*uncounted, record):
                    self._start(other.members[0])
            else:
                record.held = True
                partition.held.add(record.id)


def _bytes_of(pickled: Pickled) -> int:
    return len(pickled.stream) + sum(buffer.nbytes for buffer in pickled.buffers)


_FUNCTION = type(new_id)
