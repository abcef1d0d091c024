"""Trying whether what was saved comes back: which components are worth it, the attempt, and what follows from it.

What Python itself and our own reducers take apart and put together is trusted: it is tested once and for all. What a
library or a class of the session pickles in a way of its own is tried, in a copy of the process where nothing can be
harmed: it is pickled, loaded and compared; see `trial`.
"""

from __future__ import annotations

import copyreg
import enum
import sys
import types
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from . import losses, pages
from .components import KEPT, Lost, Partition, Record
from .kinds import Kinds, module_of
from .pickler import NotPicklable, Session, pickle_members

MAX_BYTES = 256 << 20
"""Larger components are not tried: the copy would need as much memory again."""
TRIED_ALWAYS = 3
"""How many states of a component are tried whatever that takes."""
CHEAP_SECONDS = 0.25
"""Components that take longer are tried less and less often as long as they are made of the same things."""
HOOKS = ("__reduce__", "__reduce_ex__", "__getstate__", "__setstate__", "__getnewargs__", "__getnewargs_ex__")
"""With one of these in a class its instances are pickled in a way of their own."""

_REMEDY = "say with holdfast.register how it is kept, or run the cell that makes it again after a restore"
_TRUSTED = frozenset(sys.stdlib_module_names) | {
    "None",  # where functions of the interpreter say they come from
    "_holdfast_cloudpickle",
    "_holdfast_kernel",
    "holdfast",
    "numpy",
}
_MAKES = ("__new__", "__getattr__", "__getattribute__", "__setattr__", "__hash__")
_FILLS = ("append", "extend", "__setitem__", "__setstate__", "add", "update")


@dataclass(frozen=True)
class Check:
    """A component to be tried.

    Attributes:
        run: what the snapshot with it belonged to.
        owed: a run may have changed it since it was saved.
    """

    component: str
    fingerprint: str
    bytes: int
    run: Any
    owed: bool


@dataclass(frozen=True)
class Verdict:
    """What became of an attempt.

    Attributes:
        lost: why, for each member that does not come back as it was.
        marks: for each of those the fingerprint of its pickle.
        same: the pickle was the one that was saved.
        unsure: why nothing could be found out.
    """

    lost: dict[str, str] = field(default_factory=dict)
    marks: dict[str, str] = field(default_factory=dict)
    same: bool = True
    unsure: str | None = None
    seconds: float = 0.0


@dataclass
class _Noted:
    fingerprint: str
    bytes: int
    modules: frozenset[str]
    classes: frozenset[str]
    run: Any


@dataclass
class _Past:
    """Attempts at components with the same members, made of the same things."""

    states: int = 0
    seconds: float = 0.0


@dataclass
class _Condemned:
    """A member that does not come back as it was.

    Attributes:
        mark: the fingerprint of its pickle; None if that is another one each time.
        identity: of its value.
        fresh: no capture has taken note of it yet.
    """

    lost: Lost
    mark: str | None
    identity: int
    fresh: bool = True


class Verification:
    """What was not tried yet, and what was tried and failed."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._noted: dict[str, _Noted] = {}
        self._trusted: dict[str, bool] = {}
        self._condemned: dict[str, _Condemned] = {}
        self._past: dict[tuple[Any, ...], _Past] = {}
        self._under_way: dict[str, _Past] = {}

    # -- what is to be tried

    def note(
        self, sent: Iterable[tuple[str, str, int]], made_of: dict[str, tuple[set[str], set[str]]], run: Any
    ) -> None:
        """Take note of what was sent to the store.

        Args:
            sent: id, fingerprint and bytes of the components.
            made_of: the modules and the session classes in them.
            run: what it belonged to.
        """
        for identity, mark, size in sent:
            if identity not in made_of:
                continue
            modules, classes = made_of[identity]
            if classes or not all(map(self._is_trusted, modules)):
                self._noted[identity] = _Noted(mark, size, frozenset(modules), frozenset(classes), run)

    @property
    def has_condemned(self) -> bool:
        """Whether something is known that does not come back as it was, so that `refuse` may raise."""
        return bool(self._condemned)

    @property
    def is_pending(self) -> bool:
        """Whether something was noted that was not looked at yet."""
        return bool(self._noted)

    def drop_all(self) -> None:
        """Try nothing of what was noted."""
        self._noted.clear()

    def forget(self) -> None:
        """The session becomes another one."""
        self._noted.clear()
        self._condemned.clear()

    def due(self, partition: Partition, owed: set[str], *, everything: bool) -> list[Check]:
        """Return what is worth trying of what was noted, and note nothing any more."""
        noted, self._noted = self._noted, {}
        checks = []
        for identity, note in noted.items():
            record = partition.records.get(identity)
            if record is None or record.fingerprint != note.fingerprint or note.bytes > MAX_BYTES:
                continue
            if any(member.startswith(KEPT) for member in record.members):
                continue
            if self._needs_trial(record, note) and self._is_turn(record, note):
                touched = everything or not owed.isdisjoint(record.members)
                checks.append(Check(identity, note.fingerprint, note.bytes, note.run, touched))
        return checks

    def _is_trusted(self, module: str) -> bool:
        known = self._trusted.get(module)
        if known is None:
            known = self._trusted[module] = module.partition(".")[0] in _TRUSTED
        return known

    def _needs_trial(self, record: Record, note: _Noted) -> bool:
        if record.unchanged_if is not None or record.points_at is not None:
            return False
        if len(record.members) == 1 and isinstance(self._session.value(record.members[0]), types.ModuleType):
            return False
        if not all(map(self._is_trusted, note.modules)):
            return True
        return any(map(_has_own_way, map(self._session.definitions.object_of, note.classes)))

    def _is_turn(self, record: Record, note: _Noted) -> bool:
        past = self._past.setdefault((record.members, note.modules, note.classes), _Past())
        self._under_way[record.id] = past
        past.states += 1
        return past.states <= TRIED_ALWAYS or past.seconds <= CHEAP_SECONDS or not past.states & (past.states - 1)

    # -- what follows from an attempt

    def judge(self, check: Check, verdict: Verdict, record: Record | None) -> list[str]:
        """Take note of a verdict; return the members that are lost by it."""
        if record is None or record.fingerprint != check.fingerprint:
            return []
        past = self._under_way.pop(check.component, None)
        if past is not None:
            past.seconds = max(past.seconds, verdict.seconds)
        if verdict.unsure or (check.owed and not verdict.same):
            return []
        for member, reason in verdict.lost.items():
            value = self._session.value(member)
            lost = Lost(
                member,
                losses.type_name(value),
                f"it does not come back as it was: {reason} (tried right after it was saved)",
                _REMEDY,
            )
            mark = verdict.marks.get(member) if verdict.same else None
            self._condemned[member] = _Condemned(lost, mark, id(value))
        return list(verdict.lost)

    def refuse(self, values: Iterable[tuple[str, Any]]) -> None:
        """Raise if one of the members that are about to be saved is known not to come back as it was.

        Raises:
            NotPicklable: that member's, with `losses.Unfaithful` as its cause.
        """
        for member, value in values if self._condemned else ():
            condemned = self._condemned.get(member)
            if condemned is None:
                continue
            if condemned.fresh or self._is_as_condemned(condemned, member, value):
                condemned.fresh = False
                raise NotPicklable(member, losses.Unfaithful(condemned.lost), value)
            del self._condemned[member]

    def _is_as_condemned(self, condemned: _Condemned, member: str, value: Any) -> bool:
        if condemned.mark is None:
            return id(value) == condemned.identity
        try:
            pickled = pickle_members(self._session, [(member, value)], Kinds())
        except NotPicklable:
            return False
        return pages.fingerprint((member,), pickled.stream, pickled.buffers) == condemned.mark


def _has_own_way(definition: Any) -> bool:
    """Whether instances of a session class are made, filled or taken apart by code that was written for them."""
    if not isinstance(definition, type) or isinstance(definition, enum.EnumMeta):
        return False
    if issubclass(definition, tuple) and hasattr(definition, "_fields"):
        return False
    filled = issubclass(definition, (list, dict, set, bytearray))
    for base in definition.__mro__:
        top = module_of(base).partition(".")[0]
        if top in _TRUSTED:
            continue
        if top != "__main__" and module_of(base) in sys.modules:
            return True
        own = vars(base)
        if base in copyreg.dispatch_table or any(own.get(name) is not None for name in (*HOOKS, *_MAKES)):
            return True
        if filled and any(name in own for name in _FILLS):
            return True
    return False
