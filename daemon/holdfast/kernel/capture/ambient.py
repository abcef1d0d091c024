"""State that belongs to a session but lies in no variable: random generators, the working directory.

A provider is a row of the table: how to read the state, how to set it, and which module must be loaded for it to exist.
"""

from __future__ import annotations

import os
import pickle
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .components import AMBIENT


@dataclass(frozen=True)
class Provider:
    """One piece of ambient state.

    Attributes:
        name: what it is called in hidden members and towards the user.
        module: it exists once this module is loaded.
        read: return the state as a value that compares cheaply and pickles without reference to the session.
        write: set it.
    """

    name: str
    module: str
    read: Callable[[], Any]
    write: Callable[[Any], None]


def _read_numpy() -> Any:
    numpy: Any = sys.modules["numpy"]
    kind, keys, *rest = numpy.random.get_state()
    return (kind, keys.tobytes(), *rest)


def _write_numpy(state: Any) -> None:
    import numpy

    kind, keys, *rest = state
    numpy.random.set_state((kind, numpy.frombuffer(keys, numpy.uint32), *rest))


PROVIDERS = (
    Provider("random", "random", random.getstate, random.setstate),
    Provider("numpy.random", "numpy.random", _read_numpy, _write_numpy),
    Provider("working directory", "os", os.getcwd, os.chdir),
)


class Ambient:
    """The ambient state as it was last seen; what is there at the beginning counts as seen, unless told otherwise."""

    def __init__(self, *, seen: bool = True) -> None:
        self._last: dict[str, Any] = {}
        for provider in PROVIDERS if seen else ():
            # What the session starts with is no state of its own; the working directory is the document's folder.
            self._read(provider)

    def _read(self, provider: Provider) -> Any:
        if provider.module not in sys.modules:
            return None
        try:
            state = provider.read()
        except Exception:  # noqa: BLE001 - a folder that was removed, a generator of another kind: there is no state
            return None
        changed = state is not None and self._last.get(provider.name) != state
        self._last[provider.name] = state
        return state if changed else None

    def changes(self, *, full: bool) -> list[tuple[str, bytes]]:
        """Return the hidden member and the pickle of each state that changed since it was last seen."""
        changed = []
        for provider in PROVIDERS:
            state = self._read(provider)
            if full and state is None:
                state = self._last.get(provider.name)
            if state is not None:
                changed.append((AMBIENT + provider.name, pickle.dumps(state, 5)))
        return changed

    def forget(self, member: str) -> None:
        """Send a state again at the next opportunity: the store doesn't have it."""
        self._last.pop(member[len(AMBIENT) :], None)

    def restore(self, member: str, state: Any) -> str | None:
        """Set a state; return why that failed, or None."""
        for provider in PROVIDERS:
            if AMBIENT + provider.name == member:
                try:
                    provider.write(state)
                except Exception as error:  # noqa: BLE001 - a folder that is gone, a numpy that refuses: said to the user
                    return f"{type(error).__name__}: {error}"
                self._last[provider.name] = provider.read()
                return None
        return "this version of Holdfast doesn't know it"
