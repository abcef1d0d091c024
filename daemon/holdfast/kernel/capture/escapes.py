"""Objects of the session that something outside it holds: a library's registry of callbacks, a handler, a thread.

Such an object can change in a run that doesn't name it. Pickling meets every reference that lies in the session; an
object with more references than that is held elsewhere, and its component counts as touched by every run. An object
gets held by a run that can reach it, and what such a run can reach is pickled, and counted, after it: none is missed.
"""

from __future__ import annotations

import gc
import types
from collections import Counter
from sys import getrefcount
from typing import Any

from .definitions import Definitions
from .kinds import DEFINITION, TIES, Kinds
from .names import names_of_function

LOOK_AT = 5_000
"""Objects looked at in something that can't be pickled, before it is taken to share with everything."""
_UNLIMITED = 1 << 62
_MANY = 1_000
"""Parts of one object, from which on their types are looked at first: a list of a million numbers leads nowhere."""


def is_held(ties: dict[int, Any], counted: dict[int, int]) -> bool:
    """Whether an object of a component is referenced from outside it; takes out of `ties` what nobody else holds.

    Args:
        ties: the objects which were met when it was pickled, in order.
        counted: how often each of those was met whose references pickling meets.
    """
    _let_go(ties)
    for key in ties:
        thing = ties[key]
        if getrefcount(thing) - _HERE > counted.get(key, _UNLIMITED):
            return True
    return False


def _excess(things: dict[int, Any], counts: dict[int, int]) -> bool:
    _let_go(things)
    for key in things:
        thing = things[key]
        if getrefcount(thing) - _HERE > counts[key]:
            return True
    return False


def _let_go(things: dict[int, Any]) -> None:
    """Take out what nobody else holds."""
    # What holds something is met before it, so what was made for pickling alone goes away from the outside in.
    for key in list(things):
        thing = things[key]
        if getrefcount(thing) <= _HERE:
            del things[key]


def _references_here() -> int:
    """Return the reference count that an object has in the loops above when nothing else holds it."""
    things: dict[int, Any] = {0: []}
    count = 0
    for key in list(things):
        thing = things[key]
        count = getrefcount(thing)
    return count


_HERE = _references_here()


def references(definition: Any) -> int:
    """Return how many references an object has besides the one variable with which it was passed."""
    return getrefcount(definition) - _PASSED


def class_references(cls: type) -> int:
    """Return how many references a class has from its own machinery: its place in MROs, its slots and attributes."""
    namespace = type.__getattribute__(cls, "__dict__")
    own = sum(value.__objclass__ is cls for value in namespace.values() if type(value) in _SLOTS)
    below: set[int] = set()
    work: list[Any] = [cls]
    count = 1 + own
    while work:
        for subclass in type.__subclasses__(work.pop()):
            if id(subclass) not in below:
                below.add(id(subclass))
                work.append(subclass)
                count += 1 + (type.__getattribute__(subclass, "__base__") is cls)
    return count


_SLOTS = (types.GetSetDescriptorType, types.MemberDescriptorType)


def _references_passed() -> int:
    probe: list[Any] = []
    return references(probe)


_PASSED = 0
_PASSED = _references_passed()


_FOLLOWED: tuple[type, ...] = (tuple, frozenset, types.MethodType, types.FrameType)


def surroundings(
    value: Any, definitions: Definitions, namespace: dict[str, Any], look_at: int = LOOK_AT
) -> Surroundings:
    """Return what code can reach through an object that can't be pickled, or is not to be.

    Args:
        look_at: objects looked at in it, before it is taken to share with everything.
    """
    found = Surroundings(definitions, namespace, look_at)
    try:
        found.look(value)
    except Exception:  # noqa: BLE001 - an object that answers no questions is taken to share with everything
        found.closed = False
    return found


class Surroundings:
    """What code can reach through an object that can't be pickled.

    Attributes:
        closed: all of it was looked at, and nothing of it is shared with other variables or held elsewhere.
        reaches: hidden ids and globals of the functions in it.
    """

    def __init__(self, definitions: Definitions, namespace: dict[str, Any], look_at: int) -> None:
        self.closed = False
        self._look_at = look_at
        self.reaches: set[str] = set()
        self._definitions = definitions
        self._namespace = namespace
        self._open = False

    def look(self, value: Any) -> None:
        """Look at an object and all that it refers to."""
        # The object itself is in variables that are lost like this one; what else refers to it doesn't matter.
        things, met = self._walk(value)
        del things[id(value)], value
        self.closed = not self._open and not _excess(things, met)

    def _walk(self, value: Any) -> tuple[dict[int, Any], Counter[int]]:
        kinds = Kinds()
        things: dict[int, Any] = {id(value): value}
        met: Counter[int] = Counter()
        work = [value]
        while work and not self._open:
            thing = work.pop()
            parts = self._parts(thing)
            if len(parts) > _MANY:
                followed = {kind for kind in set(map(type, parts)) if self._may_be_followed(kind, kinds[kind])}
                parts = [part for part in parts if type(part) in followed] if followed else []
            for part in parts:
                if not self._is_followed(part, kinds[type(part)]):
                    continue
                met[id(part)] += 1
                if id(part) not in things:
                    things[id(part)] = part
                    work.append(part)
                    if len(things) > self._look_at:
                        self._open = True
                        break
        for key in [key for key, thing in things.items() if type(thing) is types.FunctionType]:
            # What calls them names them, and what they name is in `reaches`.
            met[key] += 1 << 30
        return things, met

    def _is_followed(self, part: Any, kind: int) -> bool:
        if part is self._namespace or part is self._namespace.get("__builtins__"):
            self._open = self._open or part is self._namespace
            return False
        if kind == DEFINITION:
            if self._definitions.importable(part):
                return False
            self.reaches.add(self._definitions.hidden_of(part))
            return type(part) is types.FunctionType
        return self._may_be_followed(type(part), kind)

    @staticmethod
    def _may_be_followed(type_: type, kind: int) -> bool:
        return kind == DEFINITION or kind & TIES != 0 or type_ in _FOLLOWED

    def _parts(self, thing: Any) -> list[Any]:
        kind = type(thing)
        if kind is types.FunctionType:
            if thing.__globals__ is self._namespace:
                self._use(thing.__code__)
            return [thing.__closure__, thing.__defaults__, thing.__kwdefaults__, thing.__dict__]
        if kind is types.FrameType:
            if thing.f_globals is self._namespace:
                self._use(thing.f_code)
            apart = (thing.f_globals, thing.f_builtins, thing.f_back)
            return [part for part in gc.get_referents(thing) if not any(part is other for other in apart)]
        parts = gc.get_referents(thing)
        if any("__array_interface__" in vars(base) for base in kind.__mro__):
            parts.append(thing.base)
        return parts

    def _use(self, code: types.CodeType) -> None:
        used = names_of_function(code)
        self.reaches |= used.names
        self._open = self._open or used.dynamic
