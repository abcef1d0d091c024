"""Bytes of components that the daemon sends when they are needed: asked for on one thread, taken in on the other."""

from __future__ import annotations

import _thread
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .capture.lazy import Stopped, StoredComponent, Unreadable
from .capture.mapping import CannotMap, address_of, lay_over, reserve
from .outbox import Outbox
from .wire import Message

_LOOKS_EVERY = 0.05
"""Seconds between looks, while the main thread waits for the daemon, whether something else is wanted."""
_MAPPED_FROM = 1 << 20


class _Incoming:
    """A component on its way: memory that is filled in as its parts come."""

    def __init__(self, targets: list[memoryview], wanted: list[tuple[int, str]]) -> None:
        self.targets = targets
        self.wanted = wanted
        self.places = [(slot, address_of(targets[slot])) for slot, _ in wanted]
        self.error: str | None = None
        self.done = _thread.allocate_lock()
        self.done.acquire()
        if not wanted:
            self.done.release()


class Fetcher:
    """The source of the components of one restore.

    Args:
        loading: what the daemon calls it.
        packs: the files that large buffers are mapped from.
        stop: whether the main thread is to do something else than to wait.
    """

    def __init__(
        self, outbox: Outbox, loading: str, packs: Mapping[str, Mapping[str, Any]], stop: Callable[[], bool]
    ) -> None:
        self._outbox = outbox
        self.loading = loading
        self._packs = packs
        self._stop = stop
        self._incoming: dict[str, _Incoming] = {}
        self.waited = False
        """Whether somebody waits for what is asked for, who may want to know how far it is."""

    @property
    def is_busy(self) -> bool:
        """Whether the daemon may still write into memory that it was told of: that has to stay where it is."""
        return any(incoming.done.locked() for incoming in self._incoming.values())

    # -- the main thread

    def received(self, described: Mapping[str, Any], buffers: Iterator[memoryview]) -> StoredComponent:
        """Return a component that was sent whole, but for what of its buffers is to be mapped; takes its buffers."""
        maps = {item["slot"]: item for item in described.get("maps") or ()}
        targets: list[memoryview] = []
        unmapped: list[tuple[int, str]] = []
        for slot in range(described["buffers"] + 1):
            if slot not in maps:
                targets.append(next(buffers))
                continue
            view, mapped = self._mapped(maps[slot])
            targets.append(view)
            if not mapped:
                unmapped.append((slot, "all"))
        for slot, at in described.get("rest") or ():
            part = next(buffers)
            targets[slot][at : at + part.nbytes] = part
        if not unmapped:
            return StoredComponent(self, described, content=(targets[0], targets[1:]))
        self._ask(described["id"], _Incoming(targets, unmapped))
        return StoredComponent(self, described)

    def fetch(self, component: StoredComponent) -> tuple[memoryview, list[memoryview]]:
        """See `Source.fetch`."""
        self.ahead(component)
        incoming = self._incoming[component.id]
        while not incoming.done.acquire(timeout=_LOOKS_EVERY):
            if not self._outbox.is_open:
                raise Unreadable("it was not loaded yet when this process was forked; use it before that")
            if self._stop():
                raise Stopped
        del self._incoming[component.id]
        if incoming.error is not None:
            raise Unreadable(incoming.error)
        return incoming.targets[0], incoming.targets[1:]

    def ahead(self, component: StoredComponent) -> None:
        """See `Source.ahead`."""
        if component.id in self._incoming:
            return
        maps = {item["slot"]: item for item in component.described.get("maps") or ()}
        tiny = dict(component.described.get("tiny") or ())
        targets, wanted = [], []
        for slot, size in enumerate(component.sizes):
            if slot in maps:
                view, mapped = self._mapped(maps[slot])
                how = "rest" if mapped else "all"
                if how == "all" or sum(run[3] for run in maps[slot]["runs"]) < size:
                    wanted.append((slot, how))
            elif slot in tiny or not size:
                view = memoryview(bytearray.fromhex(tiny.get(slot, "")))
            else:
                view = reserve(size) if size >= _MAPPED_FROM else memoryview(bytearray(size))
                wanted.append((slot, "all"))
            targets.append(view)
        self._ask(component.id, _Incoming(targets, wanted))

    def _ask(self, identity: str, incoming: _Incoming) -> None:
        self._incoming[identity] = incoming
        if incoming.wanted:
            places = [place for place in incoming.places if place[1]]
            self._outbox.send(
                {
                    "type": "need",
                    "loading": self.loading,
                    "component": identity,
                    "wanted": incoming.wanted,
                    "places": places,
                    "waited": self.waited,
                }
            )

    def _mapped(self, item: Mapping[str, Any]) -> tuple[memoryview, bool]:
        try:
            return lay_over(item["size"], item["runs"], self._packs), True
        except CannotMap:
            return reserve(item["size"]), False

    # -- the control thread

    def deliver(self, message: Message) -> None:
        """Take in a part of a component, or word that it is complete."""
        header, parts = message
        incoming = self._incoming.get(header["component"])
        if header["loading"] != self.loading or incoming is None:
            return
        for (slot, at), part in zip(header.get("into") or (), parts, strict=True):
            incoming.targets[slot][at : at + part.nbytes] = part
        if header["type"] == "component":
            incoming.error = header.get("error")
            incoming.done.release()
