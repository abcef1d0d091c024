"""What a provider of ambient state is: one piece of state that belongs to a session but lies in none of its variables.

A provider takes note of what the session starts with, says cheaply after each run whether something changed, and
returns what differs from the start, or all of it where there is no start to speak of. Its module is never imported for
it: before the session imports it there is no such state, and what was saved of it waits until the session does.
"""

from __future__ import annotations

from pickle import PicklingError
from typing import Any


class Provider:
    """Base of all providers; a subclass sets `name` and defines `read` and `write`.

    Attributes:
        name: what it is called in hidden members, for ever, and towards the user; without a colon.
        module: the state exists once this module is loaded.
        early: it is set before variables are loaded, which may need it: where modules are found, what they find.
        watched: `begin` has to be called right after the import of the module, before the session can change anything.
    """

    name = ""
    module = "sys"
    early = False
    watched = False

    def begin(self) -> None:
        """Take note of the state that the session starts with.

        Called once: with the session if the module is loaded then, else after the run that imported it.
        """

    def mark(self) -> Any:
        """Return a value of plain data that is equal to the last one as long as nothing changed."""
        raise NotImplementedError

    def moved(self, before: Any) -> None:
        """The document moved, and the kernel changed folder and path for it: that is no change of the session's.

        Args:
            before: the mark before it did.
        """


class Plain(Provider):
    """State that is plain data, with nothing in it that could belong to the session."""

    def mark(self) -> Any:
        """Return the state itself."""
        return self.read()

    def read(self) -> Any:
        """Return the state, None if it is what the session started with."""
        raise NotImplementedError

    def write(self, state: Any) -> list[str]:
        """Set what `read` returned in another process, None for what the session started with; return what failed."""
        raise NotImplementedError


class Parts(Provider):
    """State in parts that may be or hold objects of the session; a part that can't be saved costs only itself.

    Attributes:
        live: its parts can change in place without the mark showing it.
    """

    live = False

    def read(self) -> dict[str, Any]:
        """Return the parts that differ from what the session started with."""
        raise NotImplementedError

    def write(self, parts: dict[str, Any]) -> list[str]:
        """Set what `read` returned in another process, and all else as the session started; return what failed."""
        raise NotImplementedError


class Refused:
    """Stands for a part that can't be kept, and says so when it is pickled.

    Args:
        reason: why.
        remedy: what would help.
    """

    def __init__(self, reason: str, remedy: str) -> None:
        self.reason = reason
        self.remedy = remedy

    def __reduce__(self) -> Any:
        raise PicklingError(self.reason)


def differences(now: dict[str, Any], start: dict[str, Any]) -> dict[str, Any]:
    """Return the items of `now` that are not in `start`."""
    return {name: value for name, value in now.items() if name not in start or start[name] != value}


def failed(name: str, error: BaseException) -> str:
    """Return in words that setting one thing raised."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - the exception may be user code
        text = ""
    return f"{name}: {type(error).__name__}: {text}"[:300]
