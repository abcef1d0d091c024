"""Components that are loaded when they are needed: what the session has and nobody has looked at since it is back."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Protocol

from .components import LostMember, Partition, SavedComponent, is_visible
from .names import CodeNames


class Unreadable(Exception):
    """What was saved of a component can't be read any more."""


class Stopped(BaseException):
    """Loading was given up since something else is wanted; the component stays as it is saved."""


class Source(Protocol):
    """Where the bytes of components are that were not sent with the others."""

    def fetch(self, component: StoredComponent) -> tuple[memoryview, list[memoryview]]:
        """Return a component's stream and buffers.

        Raises:
            Unreadable: they are damaged. Stopped: something else is wanted.
        """

    def ahead(self, component: StoredComponent) -> None:
        """Have a component's bytes on the way: they are wanted next."""


class StoredComponent(SavedComponent):
    """A component whose bytes are fetched when they are looked at.

    Attributes:
        sizes: of its stream and its buffers.
        summaries: what was said of each variable when it was saved.
        since: the version that changed it last.
        waits: it is to be loaded when it is needed, and not before.
    """

    def __init__(
        self,
        source: Source,
        described: Mapping[str, Any],
        *,
        content: tuple[memoryview, list[memoryview]] | None = None,
    ) -> None:
        for name, value in {
            "id": described["id"],
            "members": tuple(described["members"]),
            "fingerprint": described["fingerprint"],
            "described": described,
            "sizes": described.get("sizes") or (),
            "summaries": described.get("summaries") or {},
            "since": described.get("since") or 0,
            "waits": bool(described.get("later")),
            "_source": source,
            "_content": content,
            "_refused": "",
        }.items():
            object.__setattr__(self, name, value)

    described: Mapping[str, Any]
    sizes: list[int]
    summaries: Mapping[str, Mapping[str, Any]]
    since: int
    waits: bool
    _source: Source
    _content: tuple[memoryview, list[memoryview]] | None
    _refused: str

    def refuse(self, reason: str) -> None:
        """Let its bytes never be looked at."""
        object.__setattr__(self, "_refused", reason)
        object.__setattr__(self, "_content", None)

    def _fetched(self) -> tuple[memoryview, list[memoryview]]:
        if self._refused:
            raise Unreadable(self._refused)
        if self._content is None:
            object.__setattr__(self, "_content", self._source.fetch(self))
        assert self._content is not None
        return self._content

    @property
    def stream(self) -> memoryview:
        """The pickle stream."""
        return self._fetched()[0]

    @property
    def buffers(self) -> list[memoryview]:
        """Its buffers; they become part of what is loaded."""
        return self._fetched()[1]

    def ahead(self) -> None:
        """Have its bytes on the way: they will be wanted soon."""
        if self._content is None and not self._refused:
            self._source.ahead(self)

    def release(self) -> None:
        """Let go of the bytes: it is loaded, or they can be fetched again."""
        if self.waits:
            object.__setattr__(self, "_content", None)

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other


class Waiting:
    """The components that wait to be loaded, by id and by variable."""

    def __init__(self) -> None:
        self.components: dict[str, StoredComponent] = {}
        self.names: dict[str, StoredComponent] = {}

    def __bool__(self) -> bool:
        return bool(self.components)

    def begin(self, components: Iterable[SavedComponent]) -> list[SavedComponent]:
        """Let those wait that may; return the others."""
        self.components.clear()
        self.names.clear()
        rest = []
        for component in components:
            if isinstance(component, StoredComponent) and component.waits and all(map(is_visible, component.members)):
                self.components[component.id] = component
                self.names.update(dict.fromkeys(component.members, component))
            else:
                rest.append(component)
        return rest

    def take(self, component: SavedComponent) -> None:
        """A component is loaded, or can't be."""
        if self.components.pop(component.id, None) is not None:
            for name in component.members:
                self.names.pop(name, None)

    def all(self) -> list[StoredComponent]:
        """Return them, in the order in which they are best loaded when there is time: quick and recent ones first."""
        return sorted(self.components.values(), key=lambda found: (sum(found.sizes) > _QUICK, -found.since))

    def needed(
        self, run: CodeNames, always: Collection[str], partition: Partition, lost: dict[str, LostMember], busy: bool
    ) -> list[StoredComponent]:
        """Return those that code may touch, as far as can be seen before they are loaded.

        Args:
            run: what the code names.
            always: members that may be touched by any code that calls something.
            busy: whether code runs beside it that may touch anything.
        """
        if run.dynamic or busy:
            return self.all()
        reach = partition.reach({*run.names, *(always if run.calls else ())}, lost)
        if reach.everything:
            return self.all()
        found = {self.names[name].id: self.names[name] for name in reach.members if name in self.names}
        return list(found.values())


_QUICK = 64 << 20


class Reader:
    """A pickle stream as a file for an unpickler: without a copy, and with a question between its frames.

    Args:
        stop: whether loading is to be given up.
    """

    def __init__(self, stream: memoryview, stop: Callable[[], bool] | None) -> None:
        self._view = memoryview(stream).cast("B")
        self._at = 0
        self._stop = stop

    def tell(self) -> int:
        """Return how much was read."""
        return self._at

    def read(self, size: int) -> memoryview:
        """Return the next bytes.

        Raises:
            Stopped: loading is to be given up.
        """
        if self._stop is not None and self._stop():
            raise Stopped
        part = self._view[self._at : self._at + size]
        self._at += part.nbytes
        return part

    def readinto(self, target: Any) -> int:
        """Read into a buffer of the unpickler's."""
        view = memoryview(target).cast("B")
        part = self.read(view.nbytes)
        view[: part.nbytes] = part
        return part.nbytes

    def readline(self) -> bytes:
        """Return the rest of a line; of pickles of protocol 5 only unusual ones have lines."""
        end = self._at
        while end < self._view.nbytes and self._view[end] != 0x0A:
            end += 1
        return bytes(self.read(end + 1 - self._at))
