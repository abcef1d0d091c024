"""What a session is made of: members, the components they are grouped into, and which of them a run can reach."""

from __future__ import annotations

import os
import types
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from .pages import Large, Memory

Node = TypeVar("Node")

HIDDEN = "\0"
"""First character of the names of members that are no variables."""
DEFINITION = "\0d"
AMBIENT = "\0ambient:"
KEPT = "\0k:"
"""Values that are kept with the session though no variable has them; what follows says what for."""


def is_visible(member: str) -> bool:
    """Whether a member is a variable of the user's."""
    return not member.startswith(HIDDEN)


def label(member: str) -> str:
    """Return what a member is called towards the user."""
    return member if is_visible(member) else member.split(":", 2)[-1].replace(":", ".")


_OF_MODULE = frozenset(
    [
        "__annotate__",
        "__annotations__",
        "__builtins__",
        "__cached__",
        "__conditional_annotations__",
        "__doc__",
        "__file__",
        "__loader__",
        "__name__",
        "__package__",
        "__path__",
        "__spec__",
        "__warningregistry__",
    ]
)


def is_variable(name: Any) -> bool:
    """Whether a key of the namespace is kept: every name but those that Python gives a module."""
    return type(name) is str and name not in _OF_MODULE and not name.startswith(HIDDEN)


_STANDARD = os.path.dirname(os.__file__) + os.sep  # noqa: PTH120 - pathlib would be most of this file's import time
_INSTALLED = ("site-packages", "dist-packages")
_NOT_THEIRS = ("__main__", "__mp_main__", "holdfast")


def is_users_module(name: str, module: Any) -> bool:
    """Whether an imported module is the user's own: a file that belongs neither to Python nor to what is installed."""
    if type(module) is not types.ModuleType or name in _NOT_THEIRS or name.startswith("_holdfast"):
        return False
    file = module.__dict__.get("__file__")
    if type(file) is not str or file.startswith(_STANDARD) or module.__dict__.get("__name__") != name:
        return False
    return not any(part in file for part in _INSTALLED)


def new_id() -> str:
    """Return 12 random hex digits; from the operating system, so that ``random.seed`` is not disturbed."""
    return os.urandom(6).hex()


@dataclass(frozen=True)
class Lost:
    """A variable that can't be kept or brought back, why, and what would help."""

    name: str
    type: str
    reason: str
    remedy: str


@dataclass(frozen=True)
class SavedComponent:
    """A component as it comes back from the store: a pickle stream and its out-of-band buffers."""

    id: str
    members: tuple[str, ...]
    fingerprint: str
    stream: bytes | memoryview
    buffers: list[memoryview]


@dataclass(frozen=True)
class Component:
    """A component as it goes to the store.

    Attributes:
        members: variables by name, session definitions and ambient state by hidden name.
        fingerprint: hex BLAKE2b over members, stream and buffers.
        buffers: views of live memory; they must be sent before user code runs again.
        names: the members that are variables.
        refs: hidden members of other components that this one points to and can't be loaded without.
        large: the buffers of which only parts are sent, or in pieces.
        base: fingerprint of what the store has of the component, which the parts are to be put into.
    """

    id: str
    members: tuple[str, ...]
    fingerprint: str
    stream: bytes | memoryview
    buffers: list[memoryview]
    names: tuple[str, ...]
    refs: tuple[str, ...] = ()
    large: list[Large] = field(default_factory=list)
    base: str | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of stream and buffers."""
        return len(self.stream) + sum(buffer.nbytes for buffer in self.buffers)


@dataclass
class Record:
    """What is remembered of a component between captures.

    Attributes:
        fingerprint: of what was sent last; None when the store does not have it.
        refs: how often it points to each hidden member of another component.
        own: how often it points to each of its own hidden members.
        refs_counted: whether `refs` counts every pointer; a restore only learns which ones there are.
        names: globals which the code of its functions names.
        dynamic: that code can reach any name.
        held: objects of it are referenced from outside the session, so a run may change it without naming it.
        unchanged_if: ``(value,)`` of an immutable type: as long as its one member is this object, nothing has changed.
        points_at: its one member is just this definition.
        stamp: of a component of definitions: it is as it was if its stamp is; see `stamps`.
        seconds: what pickling and hashing it took.
        kept: the saved form, for a component that could not be loaded here and must not be lost.
        dropped: callbacks that it was saved without.
        memory: its large buffers as they were when it was captured.
    """

    id: str
    members: tuple[str, ...]
    fingerprint: str | None
    refs: dict[str, int] = field(default_factory=dict)
    own: dict[str, int] = field(default_factory=dict)
    refs_counted: bool = True
    names: frozenset[str] = frozenset()
    dynamic: bool = False
    held: bool = False
    unchanged_if: tuple[Any] | None = None
    points_at: str | None = None
    stamp: list[Any] | None = None
    seconds: float = 0.0
    kept: SavedComponent | None = None
    dropped: tuple[Lost, ...] = ()
    memory: Memory | None = None


@dataclass(frozen=True)
class Reach:
    """Members that code can touch; with `everything` also those that nobody counted."""

    members: set[str]
    everything: bool


class Partition:
    """The components of a session, found by id and by member, and the pointers between them."""

    def __init__(self) -> None:
        self.records: dict[str, Record] = {}
        self.home: dict[str, Record] = {}
        self.pointed_by: dict[str, dict[str, int]] = {}
        self.held: set[str] = set()
        self.unpointed: set[str] = set()
        self.lacking: set[str] = set()
        """Components that callbacks were left out of."""
        self.is_patient = False
        """Whether there are components of which is not known yet what they point to."""
        self.hold = False
        """Something may come to point at definitions that nothing points at: `collect` drops none."""

    def add(self, record: Record) -> None:
        """Add a component, in place of the one with its id."""
        old = self.records.get(record.id)
        if old is not None:
            self.drop(old)
        self.records[record.id] = record
        for member in record.members:
            self.home[member] = record
        for hidden, count in record.refs.items():
            self.pointed_by.setdefault(hidden, {})[record.id] = count
            self.unpointed.discard(hidden)
        if record.held:
            self.held.add(record.id)
        if record.dropped:
            self.lacking.add(record.id)
        for member in record.members:
            if member.startswith(DEFINITION) and not self.pointed_by.get(member):
                self.unpointed.add(member)

    def drop(self, record: Record) -> None:
        """Forget a component; definitions to which nothing points any more are noted in `unpointed`."""
        if self.records.pop(record.id, None) is None:
            return
        self.held.discard(record.id)
        self.lacking.discard(record.id)
        for member in record.members:
            if self.home.get(member) is record:
                del self.home[member]
            self.unpointed.discard(member)
        for hidden in record.refs:
            pointers = self.pointed_by.get(hidden, {})
            pointers.pop(record.id, None)
            if not pointers:
                self.pointed_by.pop(hidden, None)
                self.unpointed.add(hidden)

    def dropped(self) -> list[Lost]:
        """Return the callbacks that were left out of components."""
        return list(dict.fromkeys(lost for identity in self.lacking for lost in self.records[identity].dropped))

    def collect(self) -> list[Record]:
        """Drop the components of definitions which no variable leads to; return them."""
        dropped: list[Record] = []
        while self.unpointed and not self.is_patient and not self.hold:
            record = self.home.get(self.unpointed.pop())
            if record is None or record.kept is not None or not all(map(self._is_loose, record.members)):
                continue
            self.drop(record)
            dropped.append(record)
        return dropped

    def _is_loose(self, member: str) -> bool:
        return member.startswith(DEFINITION) and not self.pointed_by.get(member)

    def reach(self, names: Iterable[str], lost: dict[str, LostMember]) -> Reach:
        """Return all members that code which names `names` can touch, through objects and through functions."""
        members: set[str] = set()
        work = list(names)
        home = self.home
        while work:
            name = work.pop()
            if name in members:
                continue
            record = home.get(name)
            if record is not None:
                if record.dynamic:
                    return Reach(members, True)
                members.update(record.members)
                work.extend(record.refs)
                work.extend(record.names)
                continue
            gone = lost.get(name)
            if gone is not None:
                if not gone.closed:
                    return Reach(members, True)
                members.add(name)
                work.extend(gone.reaches)
        return Reach(members, False)


@dataclass(frozen=True)
class LostMember:
    """A member that could not be pickled.

    Attributes:
        lost: what the user is told.
        blame: the hidden member whose loss is the reason, if it is one.
        closed: whether its objects are known to be shared with nothing else in the session.
        reaches: hidden members and globals which code run through it can touch.
    """

    lost: Lost
    blame: str | None
    closed: bool
    reaches: frozenset[str] = frozenset()


class Unions:
    """Union-find over hashable nodes."""

    def __init__(self) -> None:
        self._parent: dict[Any, Any] = {}

    def find(self, node: Any) -> Any:
        """Return the node that stands for the set of `node`."""
        parent = self._parent
        root = node
        while (above := parent.get(root, root)) != root:
            root = above
        while node != root:
            parent[node], node = root, parent.get(node, node)
        return root

    def join(self, one: Any, other: Any) -> None:
        """Make one set of two."""
        one, other = self.find(one), self.find(other)
        if one != other:
            self._parent[other] = one


def circles(graph: dict[Node, list[Node]]) -> Iterator[list[Node]]:
    """Yield the strongly connected components of more than one node (Tarjan, without recursion)."""
    index: dict[Node, int] = {}
    low: dict[Node, int] = {}
    stack: list[Node] = []
    on_stack: set[Node] = set()
    for start in graph:
        if start in index:
            continue
        index[start] = low[start] = len(index)
        stack.append(start)
        on_stack.add(start)
        path = [(start, iter(graph.get(start, ())))]
        while path:
            node, following = path[-1]
            for other in following:
                if other not in index:
                    index[other] = low[other] = len(index)
                    stack.append(other)
                    on_stack.add(other)
                    path.append((other, iter(graph.get(other, ()))))
                    break
                if other in on_stack:
                    low[node] = min(low[node], index[other])
            else:
                path.pop()
                if path:
                    low[path[-1][0]] = min(low[path[-1][0]], low[node])
                if low[node] == index[node]:
                    members = []
                    while True:
                        member = stack.pop()
                        on_stack.discard(member)
                        members.append(member)
                        if member == node:
                            break
                    if len(members) > 1:
                        yield members
