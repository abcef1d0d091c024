"""What a process has one of, and modules look at when they are imported: folder, environment, search path, settings."""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from .. import garbage
from .provider import Plain, differences, failed


class WorkingDirectory(Plain):
    """The folder that the session changed into; until it does, that is the document's."""

    name = "working directory"
    early = True

    def begin(self) -> None:
        """Take note of the folder."""
        self._start = os.getcwd()  # noqa: PTH109 - pathlib is slow to start

    def read(self) -> Any:
        """Return the folder, None if it is the first one."""
        folder = os.getcwd()  # noqa: PTH109 - as above
        return None if folder == self._start else folder

    def write(self, state: Any) -> list[str]:
        """Change into the folder."""
        os.chdir(self._start if state is None else state)
        return []

    def moved(self, before: Any) -> None:
        """The folder of the document is where the session is, unless it went elsewhere."""
        if before is None:
            self.begin()


class Environment(Plain):
    """The environment variables that the session set, changed or deleted; the others are the new process's own.

    Attributes:
        is_secret: tells by the name whether a variable is to be left out; None: none is.
        left_out: the variables that were left out the last time.
    """

    name = "environment variables"
    early = True

    def __init__(self) -> None:
        self.is_secret: Callable[[str], bool] | None = None
        self.left_out: list[str] = []

    def begin(self) -> None:
        """Take note of all variables."""
        self._start = dict(os.environ)
        self._owned: set[str] = set()

    def mark(self) -> Any:
        """Return the variables as the dict behind `os.environ` has them."""
        return getattr(os.environ, "_data", os.environ).copy()

    def read(self) -> Any:
        """Return what changed, None for what was deleted."""
        now = dict(os.environ)
        changed: dict[str, str | None] = {**differences(now, self._start)}
        changed.update((name, None) for name in self._start if name not in now)
        for name in self._owned - changed.keys():
            changed[name] = now.get(name)
        self.left_out = [name for name in changed if changed[name] and self.is_secret and self.is_secret(name)]
        for name in self.left_out:
            del changed[name]
        return changed or None

    def write(self, state: Any) -> list[str]:
        """Set, change and delete, and take back what the session changed besides."""
        state = state or {}
        problems = []
        back = {name: self._start.get(name) for name in self.read() or () if name not in state}
        for name, value in {**back, **state}.items():
            try:
                if value is not None:
                    os.environ[name] = value
                else:
                    os.environ.pop(name, None)
            except (OSError, ValueError) as error:
                problems.append(failed(name, error))
        # One that this process had from the start would pass for unchanged, and may be missing in the next.
        self._owned = set(state)
        return problems


class SearchPath(Plain):
    """What the session inserted into `sys.path` and removed from it; the rest is the new process's own."""

    name = "sys.path"
    early = True

    def begin(self) -> None:
        """Take note of the path."""
        self._start = sys.path[:]

    def mark(self) -> Any:
        """Return the path."""
        return sys.path[:]

    def read(self) -> Any:
        """Return the path at the start and now, None if they are the same."""
        return None if sys.path == self._start else (self._start, sys.path[:])

    def write(self, state: Any) -> list[str]:
        """Make the same changes to the path of this process."""
        sys.path[:] = self._start if state is None else changed_alike(self._start, *state)
        return []

    def moved(self, before: Any) -> None:
        """Put another folder in place of the document's in the path that the session started with."""
        new = dict(zip(before, sys.path, strict=False)) if len(before) == len(sys.path) else {}
        self._start = [new.get(entry, entry) for entry in self._start]


def changed_alike(path: list[Any], before: list[Any], after: list[Any]) -> list[Any]:
    """Return `path` with the changes that made `after` of `before`: entries removed, and inserted at their place."""
    if path == before:
        return after[:]
    result = [entry for entry in path if entry in after or entry not in before]
    known = [entry for entry in after if entry in before]
    last = after.index(known[-1]) if known else -1
    for index, entry in enumerate(after):
        if entry in before or entry in result:
            continue
        if known and index > last:
            result.append(entry)
            continue
        neighbour = next((one for one in reversed(after[:index]) if one in result), None)
        result.insert(0 if neighbour is None else result.index(neighbour) + 1, entry)
    return result


_GETTERS: dict[str, tuple[str, str, str]] = {
    "recursion limit": ("sys", "getrecursionlimit", "setrecursionlimit"),
    "integer string digits": ("sys", "get_int_max_str_digits", "set_int_max_str_digits"),
    "switch interval": ("sys", "getswitchinterval", "setswitchinterval"),
    "socket timeout": ("_socket", "getdefaulttimeout", "setdefaulttimeout"),
}
"""The module, the function that returns a setting and the one that sets it."""
_ATTRIBUTES = ("argv", "tracebacklimit", "dont_write_bytecode")
"""Plain attributes of `sys`."""


class Interpreter(Plain):
    """Settings of the interpreter: limits, the garbage collector's thresholds, the arguments."""

    name = "interpreter settings"
    early = True

    def begin(self) -> None:
        """Take note of the settings."""
        self._start = self._now()

    def _now(self) -> dict[str, Any]:
        settings = {name: getter() for name, getter in self._getters()}
        settings["garbage collection"] = garbage.is_wanted()
        settings["garbage collection thresholds"] = gc.get_threshold()
        for name in _ATTRIBUTES:
            value = getattr(sys, name, None)
            settings[name] = value[:] if type(value) is list else value
        return settings

    def _getters(self) -> list[tuple[str, Callable[[], Any]]]:
        modules = sys.modules
        return [
            (name, getattr(modules[module], getter))
            for name, (module, getter, _) in _GETTERS.items()
            if module in modules and hasattr(modules[module], getter)
        ]

    def mark(self) -> Any:
        """Return all settings."""
        return self._now()

    def read(self) -> Any:
        """Return the settings that the session changed."""
        # A module that is loaded by now may have brought a setting, which is None unless it was set.
        return {name: value for name, value in self._now().items() if value != self._start.get(name)} or None

    def write(self, state: Any) -> list[str]:
        """Set them."""
        problems = []
        for name, value in {**self._start, **(state or {})}.items():
            try:
                self._set(name, value)
            except (AttributeError, KeyError, OverflowError, RecursionError, TypeError, ValueError) as error:
                problems.append(failed(name, error))
        return problems

    def _set(self, name: str, value: Any) -> None:
        if name in _GETTERS:
            module, _, setter = _GETTERS[name]
            getattr(__import__(module), setter)(value)
        elif name in _ATTRIBUTES:
            if value is not None:
                setattr(sys, name, value[:] if type(value) is list else value)
            elif hasattr(sys, name):
                delattr(sys, name)
        elif name == "garbage collection thresholds":
            gc.set_threshold(*value)
        else:
            garbage.want(value)

    def moved(self, before: Any) -> None:
        """The kernel names the document anew in `sys.argv`."""
        self._start["argv"] = sys.argv[:]


class TimeZone(Plain):
    """The time zone after `time.tzset()`, which reads it from the environment."""

    name = "time zone"
    early = True

    def begin(self) -> None:
        """Take note of the zone."""
        self._start = self.mark()

    def mark(self) -> Any:
        """Return all that is known of the zone."""
        return time.timezone, time.altzone, time.daylight, time.tzname

    def read(self) -> Any:
        """Return it if it changed."""
        zone = self.mark()
        return None if zone == self._start else zone

    def write(self, state: Any) -> list[str]:
        """Have it read from the environment, which is back by now."""
        if hasattr(time, "tzset"):
            time.tzset()
        if state is not None and tuple(self.mark()) != tuple(state):
            return [f"it was {'/'.join(state[3])}, and is {'/'.join(time.tzname)} here"]
        return []
