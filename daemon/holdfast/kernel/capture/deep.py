"""Pickling what is nested too deeply for pickle, such as a linked list: from the inside out, in steps of little depth.

The C pickler calls itself for every level. So everything is first walked over without recursion, in pickle's own order;
whatever is as deep as `HEIGHT` when all in it is known is pickled in a step of its own, and the steps after it refer to
it. What lies in a circle is made empty before the first step that refers to it, and gets its contents in the step in
which pickle would be done with it. So each object is complete when another one is made of it, as far as it would be
with pickle. The unpickler is a stack machine without recursion and needs none of this.
"""

from __future__ import annotations

import copyreg
import gc
import pickle
import types
from collections.abc import Iterator
from itertools import chain
from sys import getrefcount
from typing import Any

from .garbage import kept_off
from .kinds import ATOMS
from .pickler import PROTOCOL, ComponentPickler, Session
from .rebuild import deep as rebuild
from .reducers import Token

HEIGHT = 60
"""Levels of nesting that are pickled at once: all Pythons allow more, below whatever calls a capture."""

_CONTAINERS = frozenset({list, dict, set})
_SEQUENCES = frozenset({list, tuple, set, frozenset})
_LEAVES = ATOMS | {bytearray, pickle.PickleBuffer, types.CodeType, types.BuiltinFunctionType}
_NONE: tuple[Any, ...] = ()


class _Frame:
    """An object that is being walked over.

    Attributes:
        children: what is left of what pickle saves before the object exists.
        rest: what it saves after that.
        made: whether the object may be referred to from what is left.
        reduced: its reduce value, for an object that has one.
        shell: whether it was met again in itself, and was made empty therefore.
        height: how deep what is in it is, as far as it is known and not pickled yet.
        weight: how many levels of pickle's it takes itself.
        opaque: whether it was taken apart by code, which may make up new objects.
    """

    __slots__ = ("children", "height", "made", "opaque", "reduced", "rest", "shell", "thing", "weight")

    def __init__(self, thing: Any, children: Iterator[Any], *, made: bool) -> None:
        self.thing = thing
        self.children = children
        self.rest: Iterator[Any] | None = None
        self.reduced: tuple[Any, ...] | None = None
        self.made = made
        self.shell = False
        self.height = 0
        self.weight = 1
        self.opaque = False


class DeepPickler(ComponentPickler):
    """The pickler of a component that is nested deeply.

    Attributes:
        steps: how many steps there were; a stream without any is as the other pickler makes it.
    """

    def __init__(self, session: Session, own: dict[str, Any]) -> None:
        self._known: dict[int, Any] = {}
        self._reduced: dict[int, Any] = {}
        self._heights: dict[int, int | _Frame] = {}
        self._plain: dict[type, bool] = {}
        self._attributes: set[int] = set()
        self._made: list[Any] = []
        self._opaque = 0
        self._most_opaque = 0
        self.steps = 0
        super().__init__(session, own)
        self.progress = (self.visited, self._heights)

    def reducer_override(self, thing: Any) -> Any:
        """Return the reduce value that was found on the walk."""
        reduced = self._reduced.pop(id(thing), None)
        return super().reducer_override(thing) if reduced is None else reduced

    def dump(self, value: Any) -> None:
        """Pickle a member, after the steps that it needs."""
        with kept_off():
            if type(value) not in _LEAVES and id(value) not in self._heights:
                self._walk(value)
            super().dump(value)

    def _walk(self, root: Any) -> None:
        self._most_opaque = len(gc.get_objects()) + 1000
        heights = self._heights
        first = self._enter(root)
        stack = [] if first is None else [first]
        while stack:
            frame = stack[-1]
            for child in frame.children:
                if type(child) in _LEAVES:
                    continue
                known = heights.get(id(child))
                if known is None:
                    inner = self._enter(child)
                    if inner is not None:
                        stack.append(inner)
                        break
                elif known.__class__ is int:
                    if known > frame.height:
                        frame.height = known
                elif not known.shell and known.made:  # type: ignore[union-attr]
                    self._make_shell(known)  # type: ignore[arg-type]
            else:
                if frame.rest is not None:
                    frame.children, frame.rest, frame.made = frame.rest, None, True
                    continue
                stack.pop()
                height = self._leave(frame)
                if stack and height > stack[-1].height:
                    stack[-1].height = height

    def _enter(self, thing: Any) -> _Frame | None:
        """Return a frame for an object that is met for the first time, None if nothing can be in it."""
        kind = type(thing)
        frame = None
        if kind in _SEQUENCES:
            frame = _Frame(thing, iter(thing), made=kind in _CONTAINERS)
        elif kind is dict:
            where = self.session.special().get(id(thing))
            if where is None:
                frame = _Frame(thing, chain.from_iterable(thing.items()), made=True)
            else:
                self._know(thing, where)
        elif self._is_plain(kind):
            # Its class is pointed at, or was pickled before: definitions come first in their component.
            attributes = thing.__dict__
            if getrefcount(attributes) == _REFERENCES:
                # Nobody else can lead to it: it needs no frame of its own.
                frame = _Frame(thing, chain.from_iterable(attributes.items()), made=True)
                frame.weight = 2
            else:
                self._attributes.add(id(attributes))
                frame = _Frame(thing, iter((attributes,)), made=True)
        else:
            frame = self._enter_reduced(thing)
        self._heights[id(thing)] = 0 if frame is None else frame
        return frame

    def _enter_reduced(self, thing: Any) -> _Frame | None:
        # The reduce value is found once, here, and kept for when the object is pickled: it may be made of new objects.
        kind = type(thing)
        try:
            reduced = super().reducer_override(thing)
            if reduced is NotImplemented:
                if kind is types.FunctionType or issubclass(kind, type):
                    return None
                reducer: Any = copyreg.dispatch_table.get(kind)
                reduced = thing.__reduce_ex__(PROTOCOL) if reducer is None else reducer(thing)
        except BaseException:
            # What was met last is what failed.
            self.visited.append(thing)
            raise
        if type(reduced) is not tuple or not 2 <= len(reduced) <= 6 or type(reduced[1]) is not tuple:
            self._reduced[id(thing)] = reduced
            return None
        items = _NONE if len(reduced) < 4 or reduced[3] is None else tuple(reduced[3])
        pairs = _NONE if len(reduced) < 5 or reduced[4] is None else tuple(reduced[4])
        state, setter = (reduced + (None,) * 4)[2:6:3]
        if items or pairs:
            reduced = (*reduced[:3], iter(items) if items else None, iter(pairs) if pairs else None, *reduced[5:])
        self._reduced[id(thing)] = reduced
        frame = _Frame(thing, iter((reduced[0], *reduced[1])), made=False)
        frame.weight = 2
        frame.opaque = True
        self._opaque += 1
        if self._opaque > self._most_opaque:
            raise RecursionError("its reduction makes up ever new objects")
        if items or pairs or state is not None:
            frame.rest = chain(items, chain.from_iterable(pairs), (state, setter))
            frame.reduced = (reduced[0], reduced[1], state, items, pairs, setter)
        return frame

    def _know(self, container: Any, persistent_id: tuple[Any, ...]) -> None:
        if not self._known:
            self.watch_for(self._known)
        self._known[id(container)] = persistent_id

    def _is_plain(self, kind: type) -> bool:
        known = self._plain.get(kind)
        if known is None:
            known = self._plain[kind] = _has_plain_state(kind) and self.leaves_to_pickle(kind)
        return known

    def _make_shell(self, frame: _Frame) -> None:
        """An object is referred to from within: it has to be there before its contents."""
        thing, kind = frame.thing, type(frame.thing)
        frame.shell = True
        if kind in _CONTAINERS:
            self._know(thing, (kind.__name__, len(self._known)))
            return
        if frame.reduced is None:
            function, arguments, state = thing.__reduce_ex__(PROTOCOL)[:3]
            frame.reduced = (function, arguments, state, _NONE, _NONE, None)
        self._reduced[id(thing)] = frame.reduced[:2]
        self._made.append(thing)

    def _leave(self, frame: _Frame) -> int:
        """All that is in an object is known: return how deep it is for what holds it."""
        thing = frame.thing
        height = frame.height + frame.weight
        self._opaque -= frame.opaque
        if frame.shell:
            if frame.reduced is None:
                contents = dict(thing) if type(thing) is dict else list(thing)
                self._step(rebuild.fill, thing, contents)
                self.weak[id(thing)] += 1
            else:
                _, _, state, items, pairs, setter = frame.reduced
                self._step(rebuild.complete, thing, state, items, pairs, setter)
                # A function that sets the state meets the object in any case.
                self.weak[id(thing)] += setter is None
            height = 0
        elif height >= HEIGHT and id(thing) not in self._attributes:
            self._step(rebuild.part, thing)
            self.weak[id(thing)] += 1
            height = 0
        self._heights[id(thing)] = height
        return height

    def _step(self, function: Any, *arguments: Any) -> None:
        if self._made:
            made, self._made = self._made, []
            self.weak.update(map(id, made))
            self._step(rebuild.part, *made)
        self.steps += 1
        super().dump(Token(function, *arguments))


def _has_plain_state(kind: type) -> bool:
    """Whether instances are pickled as their class and their ``__dict__``, by no code but Python's own."""
    own = [base for base in kind.__mro__ if base is not object]
    return (
        all(base.__flags__ & 1 << 9 and not base.__dict__.get("__slots__") for base in own)  # Py_TPFLAGS_HEAPTYPE
        and not any(name in base.__dict__ for name in _HOOKS for base in own)
        and kind.__dictoffset__ != 0
        and kind not in copyreg.dispatch_table
    )


def _references_to_attributes() -> int:
    """Return the reference count of a ``__dict__`` in `_enter` that only its instance holds."""

    class Probe:
        def __init__(self) -> None:
            self.attribute = None

    thing = Probe()
    attributes = thing.__dict__
    return getrefcount(attributes)


_REFERENCES = _references_to_attributes()
_HOOKS = (
    "__class__",
    "__getattribute__",
    "__getnewargs__",
    "__getnewargs_ex__",
    "__getstate__",
    "__reduce__",
    "__reduce_ex__",
    "__setstate__",
)
