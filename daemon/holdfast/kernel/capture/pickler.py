"""Pickling the members of one component into one stream, and noting what was met on the way.

The stream is one pickle per member, in order, by one pickler: the later ones refer to the memo of the earlier ones.
"""

from __future__ import annotations

import builtins
import copyreg
import enum
import pickle
import sys
import time
import types
from collections import Counter
from collections.abc import Callable, Collection, Sequence, Sized
from dataclasses import dataclass
from itertools import compress
from typing import Any

from ..interrupts import TooSlow
from . import arrays, frames, rebuild, recipes, reducers
from .components import DEFINITION as DEFINITION_PREFIX
from .components import KEPT, Lost, is_visible
from .definitions import TYPE_VARIABLES, Definitions
from .frugal import Thinning
from .kinds import COUNTED, DEFINITION, TIES, Kinds, is_importable_type, module_of, set_free
from .pages import Pages
from .payloads import Stream
from .recipes import hashed
from .recipes.loose import loose_parts
from .recipes.registered import VARIABLE as REGISTRATIONS
from .recipes.registered import inherited_by, override
from .reducers import Token
from .sources import Source, Sources

PROTOCOL = 5
MOST_LEVELS = 3000
"""Levels of recursion that fit on the stack of a main thread, whatever the session's own limit is."""
_LOOKS_EVERY = 200
"""Objects met between looks at the clock, which takes longer than many of them."""
_WITH_STATE_SETTER = 6
_COUNTED_ROOTS = frozenset({"ndarray", "DataFrame", "Series"})
"""Types whose instances keep references of their own to their parts, but not to themselves."""


class NotPicklable(Exception):
    """A member of a component can't be pickled.

    Attributes:
        member: the member's name.
        cause: what was raised.
        culprit: the object that was being taken apart then.
    """

    def __init__(self, member: str, cause: BaseException, culprit: object) -> None:
        super().__init__(member)
        self.member = member
        self.cause = cause
        self.culprit = culprit


class NotInCopy(BaseException):
    """There is something that a copy of the process can't save; `member` is what it belongs to, if that is known."""

    def __init__(self, member: str | None) -> None:
        super().__init__(member)
        self.member = member


@dataclass
class Pickled:
    """A component's stream, and what was met while it was made.

    Attributes:
        buffers: out-of-band, in order.
        ties: objects that tie variables together, by id, in the order in which they were met; keeps them alive.
        counted: how often each of those was met whose references are counted.
        refs: how often each hidden member of another component was pointed at.
        own: how often each hidden member of this component was.
        met: the definitions pointed at, by hidden id.
        names: globals which the code of its functions names.
        segments: for each member the ids that tie, when there are several members.
        modules: names of the modules that the stream imports from or whose objects are in it.
        classes: hidden ids of the session's classes of which instances were met.
        dropped: callbacks that it was saved without.
        passing: ids of objects that are there only to be sent as buffers.
        ids: of objects that tie, which are known to live on without being in `ties`.
        held: with `ids`, whether one of these is referenced from outside.
    """

    members: tuple[str, ...]
    stream: bytes
    buffers: list[memoryview]
    ties: dict[int, Any]
    counted: dict[int, int]
    refs: dict[str, int]
    own: dict[str, int]
    met: dict[str, Any]
    names: frozenset[str]
    dynamic: bool
    segments: list[set[int]]
    modules: set[str]
    classes: set[str]
    dropped: tuple[Lost, ...]
    steps: int
    passing: set[int]
    ids: Collection[int] = ()
    held: bool = False


set_free(Token)


class Session:
    """What picklers need to know of the session."""

    def __init__(self, module: types.ModuleType, definitions: Definitions) -> None:
        self.module = module
        self.namespace = module.__dict__
        self.definitions = definitions
        self.namespace_token = Token(rebuild.namespace)
        self.submodules: set[str] = set()
        """Modules that the session imported as ``import package.module``, which binds the package alone."""
        self.plain_objects = recipes.PlainObjects()
        self.kept: dict[str, Any] = {}
        """Values that belong to the session though no variable has them, by hidden name."""
        self.assigned: set[tuple[str, ...]] = set()
        """Attributes that code of the session has set or may set when it is called; see `patches`."""
        self.sources = Sources()
        self.pages = Pages()
        self.is_busy: Callable[[], bool] = bool
        """Tells whether code of the user's runs beside the cells."""
        self.is_copy = False
        """Whether this is a copy of the session's process: open files are not to be touched."""
        self.deadline: float | None = None
        """When pickling is to be given up, as `time.thread_time` has it: other processes do not make it slow."""
        self.progress: tuple[Sized, ...] = ()
        """What grows as long as the pickling or loading that is under way gets on."""
        self.deep: set[str] = set()
        """Members that are nested too deeply to be pickled at once."""
        self.trying = False
        """Whether something is pickled only to know whether it can be."""
        self.needed: dict[str, Any] = {}
        """Definitions that something in the store needs which could not be loaded."""
        self._special: dict[int, tuple[str, ...]] = {}
        self._loose: dict[int, Any] = {}
        self._modules = self._modules_of_loose = -1

    def require_original(self) -> None:
        """Say that what is being pickled has a state outside of memory that a copy of the process shares.

        Raises:
            NotInCopy: this is a copy.
        """
        if self.is_copy:
            raise NotInCopy(None)

    def has(self, member: str) -> bool:
        """Whether a member exists now."""
        if is_visible(member):
            return member in self.namespace
        if member.startswith(KEPT):
            return member in self.kept
        return self.definitions.object_of(member) is not None

    def value(self, member: str) -> Any:
        """Return the value of a member that exists."""
        if is_visible(member):
            return self.namespace[member]
        return self.kept[member] if member.startswith(KEPT) else self.definitions.object_of(member)

    def loose(self) -> dict[int, Any]:
        """Return parts of libraries that tie no variables together, by id."""
        if self._modules_of_loose != len(sys.modules):
            self._modules_of_loose = len(sys.modules)
            self._loose = loose_parts()
        return self._loose

    def special(self) -> dict[int, tuple[str, ...]]:
        """Return the dicts that are known by whose they are, by id: namespaces of modules."""
        if self._modules != len(sys.modules):
            self._modules = len(sys.modules)
            self._special = {
                id(module.__dict__): ("vars", name)
                for name, module in sys.modules.copy().items()
                if isinstance(module, types.ModuleType) and module.__name__ == name
            }
            self._special[id(builtins.__dict__)] = ("vars", "builtins")
            self._special[id(self.namespace)] = ("ns",)
        return self._special


class _Dispatch(dict[type, recipes.Recipe]):
    inherited: dict[type, recipes.Recipe] | None = None

    def __init__(self, lasting: dict[type, recipes.Recipe]) -> None:
        super().__init__(lasting)
        self.own: list[type] = []

    def __missing__(self, kind: type) -> recipes.Recipe:
        if self.inherited and (registered := inherited_by(kind, self.inherited)) is not None:
            self[kind] = registered
            return registered
        found, lasting = _recipe_for(kind)
        self[kind] = found
        if lasting:
            _LASTING[kind] = found
        elif not issubclass(kind, type):
            self.own.append(kind)
        return found


def _recipe_for(kind: type) -> tuple[recipes.Recipe, bool]:
    """Return the recipe for a type, and whether it may be remembered: session classes are not kept alive by it."""
    importable = is_importable_type(kind)
    if issubclass(kind, type):
        return reducers.reduce_class, importable
    if issubclass(kind, types.ModuleType):
        return reducers.reduce_module, importable
    if isinstance(kind, enum.EnumMeta):
        return (recipes.plain if importable else reducers.reduce_enum_member), importable
    if arrays.is_array_type(kind):
        return arrays.reduce_array, importable
    if issubclass(kind, BaseException):
        return recipes.exception, importable
    if (framed := frames.recipe_for(kind)) is not None:
        return framed, importable
    if (named := recipes.recipe_for(kind)) is not None:
        return named, importable
    if (hashed_ := hashed.recipe_for(kind)) is not None:
        return _constructed(kind, hashed_), importable
    if importable and (found := recipes.singletons_of(kind)):

        def by_identity(pickler: ComponentPickler, thing: Any) -> Any:
            where = found.get(id(thing))
            if where is None:
                return NotImplemented
            find = rebuild.global_object if "." in where[1] else rebuild.module_entry
            reduced = pickler.known_as(find, where[:2], thing)
            state = getattr(thing, "__dict__", None)
            return (*reduced, dict(state)) if state else reduced

        return by_identity, True
    return _constructed(kind, _noted(kind) if importable else recipes.plain), importable


def _constructed(kind: type, otherwise: recipes.Recipe) -> recipes.Recipe:
    """Return the recipe for a type: `otherwise`, but for one whose ``__new__`` or ``__getattr__`` is in Python."""
    makes = type(type.__getattribute__(kind, "__new__")) is types.FunctionType
    bases = type.__getattribute__(kind, "__mro__")
    answers = any("__getattr__" in type.__getattribute__(base, "__dict__") for base in bases)
    if not (makes or answers) or kind in copyreg.dispatch_table:
        return otherwise
    from .recipes import constructed

    if makes:
        otherwise = constructed.recipe_for(kind, otherwise)
    return constructed.unasked_recipe_for(kind, otherwise) if answers else otherwise


def _noted(kind: type) -> recipes.Recipe:
    """Return the recipe for a library's type: as pickle does, and what is made need not name the library."""
    module = module_of(kind)
    if module.partition(".")[0] in sys.stdlib_module_names:
        return recipes.plain

    def note(pickler: ComponentPickler, thing: Any) -> Any:
        pickler.modules.add(module)
        return NotImplemented

    return note


def _marking(known: dict[int, Any], visited: list[Any]) -> Callable[[Any], Any]:
    def mark(thing: Any) -> Any:
        visited.append(thing)
        return known.get(id(thing)) if type(thing) in _MARKED else None

    return mark


_MARKED = frozenset({dict, list, set, frozenset})


def _collecting(buffers: list[memoryview]) -> Callable[[pickle.PickleBuffer], bool]:
    def collect(buffer: pickle.PickleBuffer) -> bool:
        view = buffer.raw()
        if view.nbytes < arrays.IN_BAND_BYTES:
            return True
        buffers.append(view)
        return False

    return collect


class ComponentPickler(pickle.Pickler):
    """The C pickler with our reducers.

    Attributes:
        stream: what was written.
        passing: ids of what was made to be sent as buffers, and is gone then.
        memory: arrays in which other objects save memory of their own, by id.
        visited: gets every object it comes by, atoms and repetitions included.
        own: the definitions pickled by value, by hidden id.
        deferred: cells whose contents come with the function that closes over them, by id.
        filled: cells whose contents were written.
        weak: how often something was met that is only weakly referenced.
        shared: objects that are stored as where a library keeps them, by id; they tie nothing together.
        registered: objects that were taken apart by a function of the user's, by id.
        libraries: the module of code that was met as that of a library's function, by id.
        dropped: callbacks that what they are connected to is saved without.
    """

    steps = 0

    def __init__(self, session: Session, own: dict[str, Any], *, mark: bool = False) -> None:
        self.visited: list[Any] = []
        self.progress: tuple[Sized, ...] = (self.visited,)
        self.buffers: list[memoryview] = []
        self.session = session
        self.own = own
        self.met: dict[str, Any] = {}
        self.names: set[str] = set()
        self.dynamic = False
        self.deferred: set[int] = set()
        self.filled: set[int] = set()
        self.weak: Counter[int] = Counter()
        self.passing: set[int] = set()
        self.stream = Stream(self.visited, self.buffers, self.weak, self.passing, session.is_busy)
        self.shared: set[int] = set()
        self.memory: dict[int, Any] = {}
        self.modules: set[str] = set()
        self.registered: set[int] = set()
        self.libraries: dict[int, str] = {}
        self.dropped: list[Lost] = []
        self._deadline = session.deadline
        self._looks_at = 0
        self._dispatch = _Dispatch(_LASTING)
        if REGISTRATIONS in session.namespace:
            self._dispatch.inherited = override(self._dispatch, session.namespace)
        # No callback is a method of this object: the circle would keep alive all that was pickled.
        # A list's append as the callback costs a fifth of a function in Python. It returns None: no persistent id.
        visit = _marking(session.special(), self.visited) if mark else self.visited.append
        self.persistent_id = visit  # type: ignore[method-assign]
        super().__init__(self.stream, PROTOCOL, buffer_callback=_collecting(self.buffers))
        self.persistent_id = visit  # type: ignore[method-assign]

    def reducer_override(self, thing: Any) -> Any:
        """Return the reduce value of anything that is not of an exact builtin container type."""
        if self._deadline is not None and len(self.visited) >= self._looks_at:
            self._look_at_the_clock()
        reduced = self._dispatch[type(thing)](self, thing)
        if reduced.__class__ is tuple and len(reduced) == _WITH_STATE_SETTER:
            # Pickle meets the object once more, to hand it to the function that sets its state.
            self.weak[id(thing)] += 1
        return reduced

    def _look_at_the_clock(self) -> None:
        self._looks_at = len(self.visited) + _LOOKS_EVERY
        if self._deadline is not None and time.thread_time() > self._deadline:
            raise TooSlow

    def classes(self) -> set[str]:
        """Return the hidden ids of the session's classes of which instances were met."""
        return set(map(self.session.definitions.hidden_of, self._dispatch.own))

    def watch_for(self, known: dict[int, Any]) -> None:
        """Store containers as the persistent ids that `known` gives them, by id, from the next `dump` on."""
        self.persistent_id = _marking(known, self.visited)  # type: ignore[method-assign]

    def leaves_to_pickle(self, kind: type) -> bool:
        """Whether there is no recipe for a type."""
        return self._dispatch[kind] is recipes.plain

    def known_as(self, function: Any, arguments: tuple[Any, ...], thing: Any) -> Any:
        """Return the reduce value of an object that a library keeps, and that is the same for the whole process."""
        self.shared.add(id(thing))
        return function, arguments

    def definitions_importable(self, definition: Any) -> bool:
        """Whether a definition is pickled by module and name; notes the module."""
        if not self.session.definitions.importable(definition):
            return False
        self.modules.add(definition.__module__)
        return True

    def point_at(self, definition: Any) -> Any:
        """Return the reduce value that points at a definition of another component, None if it is one of our own."""
        hidden = self.session.definitions.hidden_of(definition)
        if hidden in self.own:
            return None
        self.met[hidden] = definition
        return rebuild.member, (hidden,)


def _reduce_builtin(pickler: ComponentPickler, function: Any) -> Any:
    pickler.modules.add(str(function.__module__))
    return NotImplemented


def _reduce_object(pickler: ComponentPickler, thing: object) -> Any:
    where = pickler.session.plain_objects.where(thing)
    return NotImplemented if where is None else pickler.known_as(rebuild.module_entry, where, thing)


_LASTING: dict[type, recipes.Recipe] = {
    **recipes.RECIPES,
    Token: reducers.reduce_token,
    Source: reducers.reduce_source,
    object: _reduce_object,
    types.FunctionType: reducers.reduce_function,
    types.BuiltinFunctionType: _reduce_builtin,
    types.ModuleType: reducers.reduce_module,
    type: reducers.reduce_class,
    **dict.fromkeys(TYPE_VARIABLES, reducers.reduce_type_variable),
}


def pickle_members(
    session: Session, members: Sequence[tuple[str, Any]], kinds: Kinds, *, mark: bool = False, deep: bool = False
) -> Pickled:
    """Pickle the members of a component together.

    Args:
        members: names and values; hidden names are definitions, pickled by value here and pointed at elsewhere.
        mark: watch for the namespaces of modules, which are stored as whose they are. Done when one was met.
        deep: what is nested deeply is pickled in steps; see `deep`.

    Raises:
        NotPicklable: a member failed; nothing of the others is lost by it.
    """
    limit = sys.getrecursionlimit()
    if limit <= MOST_LEVELS:
        return _pickle_members(session, members, kinds, mark=mark or deep, deep=deep)
    # The session may have raised it above what C code can take: up to 3.11 that is a crash.
    sys.setrecursionlimit(MOST_LEVELS)
    try:
        return _pickle_members(session, members, kinds, mark=mark or deep, deep=deep)
    finally:
        sys.setrecursionlimit(limit)


def _pickle_members(
    session: Session,
    members: Sequence[tuple[str, Any]],
    kinds: Kinds,
    *,
    mark: bool,
    deep: bool,
    orders: Sequence[tuple[Any, tuple[Any, ...]]] | None = None,
) -> Pickled:
    own = {name: value for name, value in members if name.startswith(DEFINITION_PREFIX)}
    pickler = _pickler(session, own, mark=mark, deep=deep)
    if orders:
        pickler.watch_for({**session.special(), **{id(collection): known for collection, known in orders}})
    visited = pickler.visited
    session.progress = pickler.progress
    if session.is_copy and len(members) == 1 and not deep:
        pickler.stream.thinning = Thinning(visited)
    ends = []
    for name, value in members:
        try:
            pickler.dump(value)
        except BaseException as error:  # reducers are code of users and libraries: they may even exit
            session.progress = ()
            if isinstance(error, TooSlow):
                raise
            if isinstance(error, NotInCopy):
                raise NotInCopy(name) from None
            raise NotPicklable(name, error, visited[-1] if visited else value) from error
        ends.append(len(visited))
    # It holds all that was met, which is about to be counted.
    session.progress = ()
    if not deep:
        pickler.clear_memo()
    seen = list(compress(visited, map(kinds.__getitem__, map(type, visited))))
    ties = {id(thing): thing for thing in seen if kinds[type(thing)] & TIES}
    stream = pickler.stream.getvalue()
    if orders is None and not deep and (pickle.EMPTY_SET in stream or pickle.FROZENSET in stream):
        from .set_order import orders_of

        orders = orders_of(visited)
        if orders:
            return _pickle_members(session, members, kinds, mark=True, deep=deep, orders=orders)
    if ties and not mark and not ties.keys().isdisjoint(session.special()):
        return _pickle_members(session, members, kinds, mark=True, deep=deep, orders=[])
    if mark:
        pickler.shared |= ties.keys() & session.special()
    if ties:
        pickler.shared |= ties.keys() & session.loose().keys()
    for key in pickler.shared:
        ties.pop(key, None)
    counted = Counter(id(thing) for thing in seen if kinds[type(thing)] == COUNTED)
    if pickler.weak:
        counted.subtract({key: count for key, count in pickler.weak.items() if key in counted})
    for name, value in members:
        if kinds[type(value)] == TIES and type(value).__name__ in _COUNTED_ROOTS and is_visible(name):
            # The buffer that is about to be sent is one more reference.
            sent = arrays.is_exported(value)
            counted[id(value)] = sum(1 for thing in seen if thing is value) + sent - pickler.weak[id(value)]
    refs, inner = _count_definitions(pickler, own, seen, kinds)
    segments = _segments(visited, kinds, ends, own, pickler.shared) if len(members) > 1 else []
    return Pickled(
        members=tuple(name for name, _ in members),
        stream=stream,
        buffers=pickler.buffers,
        ties=ties,
        counted=counted,
        refs=refs,
        own=inner,
        met=pickler.met,
        names=frozenset(pickler.names),
        dynamic=pickler.dynamic,
        segments=segments,
        modules=pickler.modules,
        classes=pickler.classes(),
        dropped=tuple(pickler.dropped),
        steps=pickler.steps,
        passing=pickler.passing,
    )


def _pickler(session: Session, own: dict[str, Any], *, mark: bool, deep: bool) -> ComponentPickler:
    if deep:
        from .deep import DeepPickler

        return DeepPickler(session, own)
    return ComponentPickler(session, own, mark=mark)


def _count_definitions(
    pickler: ComponentPickler, own: dict[str, Any], seen: list[Any], kinds: Kinds
) -> tuple[dict[str, int], dict[str, int]]:
    if not own and not pickler.met:
        return {}, {}
    counts = Counter([id(thing) for thing in seen if kinds[type(thing)] == DEFINITION])
    counts.subtract(pickler.weak)
    refs = {hidden: counts[id(definition)] for hidden, definition in pickler.met.items()}
    # One time each was the start of its own pickle, which is no reference.
    inner = {hidden: counts[id(definition)] - 1 for hidden, definition in own.items()}
    return refs, inner


def _segments(
    visited: list[Any], kinds: Kinds, ends: list[int], own: dict[str, Any], shared: set[int]
) -> list[set[int]]:
    own_ids = set(map(id, own.values()))
    segments = []
    start = 0
    for end in ends:
        part = visited[start:end]
        segment = {id(thing) for thing in part if kinds[type(thing)] & TIES}
        if own_ids:
            segment |= own_ids.intersection(map(id, part))
        segments.append(segment - shared)
        start = end
    return segments
