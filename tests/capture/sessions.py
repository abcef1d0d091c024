"""A session without a daemon: cells are run around a `SessionCapture`, and a dict plays the store.

Runs under every Python that a kernel may run under, so it imports nothing but the kernel's package; see `process.py`.
"""

from __future__ import annotations

import builtins
import sys
import types
from typing import Any

from _holdfast_kernel.capture.session import (  # type: ignore[import-not-found]
    Component,
    RestoreOutcome,
    SavedComponent,
    SessionCapture,
    Snapshot,
)

Store = dict[str, SavedComponent]


class Session:
    """One session and what is stored of it.

    Args:
        store: components to restore before the first cell.
        environment: in which they were saved.
    """

    def __init__(self, store: Store | None = None, environment: dict[str, Any] | None = None) -> None:
        self.module = types.ModuleType("__main__")
        self.module.__dict__["__builtins__"] = builtins
        sys.modules["__main__"] = self.module
        self.names = self.module.__dict__
        self.capture = SessionCapture(self.module)
        self.store: Store = dict(store or {})
        self.outcome: RestoreOutcome | None = None
        self.sent = 0
        """Bytes of large buffers that snapshots sent."""
        if store is not None:
            self.outcome = self.capture.restore(list(store.values()), mode="replace", environment=environment)

    def execute(self, code: str, *, ok: bool = True) -> None:
        """Run a cell and save nothing."""
        sys.modules["__main__"] = self.module
        compiled = compile(code, "<cell>", "exec", dont_inherit=True)
        self.capture.begin_run(compiled)
        self.capture.compiled([compiled], code, "<cell>", 0, 0)
        try:
            exec(compiled, self.names)
        finally:
            self.capture.end_run(ok=ok)

    def run(self, code: str) -> Snapshot:
        """Run a cell, save what it changed, and return the snapshot."""
        self.execute(code)
        return self.save()

    def save(self, *, full: bool = False, commit: bool = True) -> Snapshot:
        """Take a snapshot and put it into the store."""
        snapshot = self.capture.take(full=full)
        if not commit:
            return snapshot
        if full:
            self.store.clear()
        for component in snapshot.changed:
            self.store[component.id] = SavedComponent(
                component.id,
                component.members,
                component.fingerprint,
                bytes(component.stream),
                self._received(component),
            )
            # As in a kernel: once a frame is sent, nothing of ours shows live memory.
            component.buffers.clear()
            component.large.clear()
        for gone in snapshot.removed:
            del self.store[gone]
        self.capture.committed(snapshot.seq)
        return snapshot

    def _received(self, component: Component) -> list[memoryview]:
        """Return a component's buffers as a store makes them of what is sent: of large ones only what changed."""
        buffers = [bytearray(buffer) for buffer in component.buffers]
        for large in component.large:
            self.sent += sum(piece.nbytes for piece in large.pieces())
            if large.base is None:
                continue
            before = self.store[component.id]
            assert before.fingerprint == component.base
            patched = bytearray(before.buffers[large.base])
            for (start, end), piece in zip(large.runs, large.pieces(), strict=True):
                patched[start:end] = piece
            assert patched == buffers[large.position], "the parts that are sent do not make the value"
        return [memoryview(buffer) for buffer in buffers]

    def value(self, expression: str) -> Any:
        """Evaluate an expression in the session, behind the capture's back."""
        sys.modules["__main__"] = self.module
        return eval(expression, self.names)

    def go_to(self, version: Store) -> set[str]:
        """Let the living session become a version, loading only what differs; return the components that did."""
        sys.modules["__main__"] = self.module
        marks = {identity: component.fingerprint for identity, component in version.items()}
        others, same = self.capture.differing(marks)
        differing: set[str] = others | same
        self.store = copied(version)
        loaded = [self.store[identity] for identity in version if identity in differing]
        self.outcome = self.capture.restore(loaded, mode="replace", keep=marks.keys() - differing)
        return differing

    def reborn(self) -> Session:
        """Return a new session with what is stored of this one."""
        return Session(copied(self.store))


def copied(store: Store) -> Store:
    """Return a store whose buffers are its own, as after a way over the wire."""
    return {
        key: SavedComponent(c.id, c.members, c.fingerprint, c.stream, [memoryview(bytearray(b)) for b in c.buffers])
        for key, c in store.items()
    }


def changed_names(snapshot: Snapshot) -> set[str]:
    """Return the variables of the components that a snapshot sends."""
    return set(snapshot.names_changed)
