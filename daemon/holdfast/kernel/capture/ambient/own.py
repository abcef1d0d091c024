"""Ambient state that users declare: how to read it and how to set it, by functions that come back as well."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .provider import Parts, failed

_FUNCTIONS = " (functions)"
"""Follows the name in the part that has the two functions."""


class Unreadable:
    """Stands for a state that could not be read: pickling it raises what reading it raised.

    Attributes:
        said: that in words.
    """

    def __init__(self, error: BaseException) -> None:
        self.said = failed("", error)[2:]
        self._error = error

    def __reduce__(self) -> Any:
        raise self._error


class Own(Parts):
    """What cells declared."""

    name = "state"
    module = "builtins"
    live = True

    def __init__(self) -> None:
        self._declared: dict[str, tuple[Callable[[], Any], Callable[[Any], object]]] = {}
        self._unread: dict[str, Any] = {}
        """States that were saved and could not be set: they stay saved until their functions are declared again."""

    def declare(self, name: str, read: Callable[[], Any] | None, write: Callable[[Any], object] | None) -> None:
        """Keep a state from now on, or no more if there are no functions."""
        self._unread.pop(name, None)
        if read is None or write is None:
            self._declared.pop(name, None)
        else:
            self._declared[name] = (read, write)

    def mark(self) -> Any:
        """Return what is declared."""
        return [(name, *map(id, functions)) for name, functions in self._declared.items()]

    def read(self) -> dict[str, Any]:
        """Return each state and its functions."""
        parts = dict(self._unread)
        for name, functions in self._declared.items():
            parts[name + _FUNCTIONS] = functions
            if name in self._unread:
                continue
            try:
                parts[name] = functions[0]()
            except Exception as error:  # noqa: BLE001 - the user's function; said like an object that can't be pickled
                parts[name] = Unreadable(error)
        return parts

    def write(self, parts: dict[str, Any]) -> list[str]:
        """Declare each again, and set it."""
        problems = []
        self._declared = {
            part.removesuffix(_FUNCTIONS): tuple(functions)
            for part, functions in parts.items()
            if part.endswith(_FUNCTIONS)
        }
        states = {name: state for name, state in parts.items() if not name.endswith(_FUNCTIONS)}
        self._unread = {name: state for name, state in states.items() if name not in self._declared}
        for name, (_, write) in self._declared.items():
            if name in parts:
                try:
                    write(parts[name])
                except Exception as error:  # noqa: BLE001 - the user's function; said to the user
                    self._unread[name] = parts[name]
                    problems.append(failed(name, error))
        return problems


_present: list[Own] = []


def make_present(own: Own) -> None:
    """Let declarations go to this session's."""
    _present[:] = [own]


def ambient(name: str, read: Callable[[], Any] | None, write: Callable[[Any], object] | None) -> None:
    """Save a state that lies in no variable, from now on and in restored sessions.

    Args:
        name: what it is called when it is lost; declaring a name again replaces what was declared.
        read: return the state; called after each run that called something. None, to save it no more.
        write: set what `read` returned, in a restored session.

    Raises:
        TypeError: the name is no string, or what should read or set it can't be called.
        RuntimeError: there is no session.
    """
    if not isinstance(name, str) or not name or ":" in name:
        raise TypeError(f"the name of a state is a string without colons, not {name!r}")
    if (read is None) != (write is None) or not all(one is None or callable(one) for one in (read, write)):
        raise TypeError("a state needs a function that reads it and a function that sets it")
    if not _present:
        raise RuntimeError("there is no session")
    _present[0].declare(name, read, write)
