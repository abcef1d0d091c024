"""All providers of one session: what of the ambient state changed since it was last looked at, and setting it again."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

from ...imports import ImportWatch
from ...interrupts import TookTooLong
from ..components import AMBIENT, KEPT, Lost, LostMember
from .clusters import Connection
from .generators import NumpyRandom, PythonRandom, TensorflowRandom, TorchRandom
from .libraries import (
    DaskConfig,
    NumpySettings,
    PandasOptions,
    PlotlySettings,
    PolarsConfig,
    SklearnConfig,
    TorchSettings,
    XarrayOptions,
)
from .logging_state import Logging
from .matplotlib_state import Backend, OpenFigures, RcParams, Registered
from .own import Own, Unreadable, make_present
from .process import Environment, Interpreter, SearchPath, TimeZone, WorkingDirectory
from .provider import Parts, Plain, Provider, Refused
from .python_state import Builtins, DecimalContext, Hooks, Locale, ModuleNames, Multiprocessing, WarningFilters

PART = f"{KEPT}ambient:"
"""Followed by the provider's name, a colon, and the part's."""

PROVIDERS: tuple[Callable[[], Provider], ...] = (
    WorkingDirectory,
    Environment,
    TimeZone,
    SearchPath,
    Interpreter,
    Backend,
    Locale,
    Multiprocessing,
    DecimalContext,
    Builtins,
    SklearnConfig,
    NumpySettings,
    PandasOptions,
    PolarsConfig,
    XarrayOptions,
    DaskConfig,
    PlotlySettings,
    TorchSettings,
    RcParams,
    Registered,
    OpenFigures,
    Connection,
    Logging,
    WarningFilters,
    Hooks,
    Own,
    PythonRandom,
    NumpyRandom,
    TorchRandom,
    TensorflowRandom,
)
"""In the order in which they are set: what others may read first, what others may disturb last."""

_watched: dict[str, Callable[[Any], None]] = {}
_watch = ImportWatch(_watched)
"""Of the session that was made last; there is only one in a kernel."""
_NEVER = object()
_REMEDY = "set it again in a cell"


@dataclass
class Changes:
    """What changed.

    Attributes:
        members: parts that have to be pickled with the session, and those that are gone.
        plain: hidden member and pickle of each plain state.
        lost: plain states that can't be pickled.
    """

    members: set[str] = field(default_factory=set)
    plain: list[tuple[str, bytes]] = field(default_factory=list)
    lost: dict[str, LostMember] = field(default_factory=dict)


class Ambient:
    """The ambient state as it was last looked at; what is there at the beginning is not the session's.

    Args:
        namespace: the session's.
        kept: where the session has values that no variable has; parts of states are put there.

    Attributes:
        early: members whose states have to be set before variables are loaded.
    """

    def __init__(self, namespace: dict[str, Any], kept: dict[str, Any]) -> None:
        self._kept = kept
        made = [make() for make in PROVIDERS]
        make_present(next(one for one in made if isinstance(one, Own)))
        self._providers = {one.name: one for one in (ModuleNames(namespace), *made)}
        self.early = {AMBIENT + name for name, one in self._providers.items() if one.early}
        self._marks: dict[str, Any] = {}
        self._began: set[str] = set()
        self._sent: set[str] = set()
        """Plain states of which the store has something, so that going back to the start has to be sent as well."""
        self._in_parts: set[str] = set()
        """Providers of which parts are kept."""
        self._waiting: dict[str, Any] = {}
        """States that were restored and could not be set: their module is not loaded yet, or it failed."""
        self._modules = -1
        self._active: list[tuple[str, Provider]] = []
        _watched.clear()
        for provider in self._providers.values():
            if provider.module in sys.modules:
                self._marks[provider.name] = self._look(provider)
            elif provider.watched:
                self._expect(provider)

    def _look(self, provider: Provider) -> Any:
        """Return a provider's mark."""
        try:
            if provider.name not in self._began:
                provider.begin()
                self._began.add(provider.name)
            return provider.mark()
        except Exception:  # noqa: BLE001 - a folder that was removed, a module half imported or of another version
            return _NEVER

    # -- after a run

    def changes(self, *, full: bool) -> Changes:
        """Return what changed since the last time.

        Args:
            full: return all there is.
        """
        changes = Changes()
        marks, waiting = self._marks, self._waiting
        for name, provider in self._loaded():
            try:
                mark = provider.mark()
                changed = mark != marks.get(name, _NEVER)
            except Exception:  # noqa: BLE001 - a folder that was removed, values of libraries that can't be compared
                mark = self._look(provider)
                changed = mark is not _NEVER or marks.get(name) is not _NEVER
            if not changed and not full and name not in self._in_parts:
                continue
            if changed:
                marks[name] = mark
                waiting.pop(name, None)
            if mark is not _NEVER and name not in waiting:
                self._add(provider, changes, changed=changed or full)
        if full:
            for name in waiting:
                self._add_waiting(self._providers[name], changes)
        return changes

    def _loaded(self) -> list[tuple[str, Provider]]:
        """Return the providers whose modules are loaded."""
        if self._modules != len(sys.modules):
            self._modules = len(sys.modules)
            self._active = [(name, one) for name, one in self._providers.items() if one.module in sys.modules]
            for _, provider in self._active:
                if provider.name not in self._began:
                    self._look(provider)
        return self._active

    def _add(self, provider: Provider, changes: Changes, *, changed: bool) -> None:
        if isinstance(provider, Plain):
            if changed:
                self._add_plain(provider, changes)
        elif isinstance(provider, Parts) and (changed or provider.live):
            self._add_parts(provider, changes)

    def _add_waiting(self, provider: Provider, changes: Changes) -> None:
        if isinstance(provider, Plain):
            changes.plain.append((AMBIENT + provider.name, pickle.dumps(self._waiting[provider.name], 5)))
        else:
            changes.members |= self._members(provider.name)

    def _add_plain(self, provider: Plain, changes: Changes) -> None:
        name = provider.name
        member = AMBIENT + name
        try:
            state = provider.read()
            if state is None and name not in self._sent:
                return
            changes.plain.append((member, pickle.dumps(state, 5)))
            self._sent.add(name)
        except Exception as error:  # noqa: BLE001 - an object of the user's where plain data belongs
            self._marks.pop(name, None)
            lost = Lost(name, "ambient state", f"it can't be saved: {type(error).__name__}: {error}", _REMEDY)
            changes.lost[member] = LostMember(lost, None, True)

    def _add_parts(self, provider: Parts, changes: Changes) -> None:
        before = self._members(provider.name)
        try:
            parts = provider.read()
        except Exception:  # noqa: BLE001 - as in _look
            return
        prefix = f"{PART}{provider.name}:"
        for part, value in parts.items():
            self._kept[prefix + part] = value
        now = {prefix + part for part in parts}
        if now:
            self._in_parts.add(provider.name)
        else:
            self._in_parts.discard(provider.name)
        for member in before - now:
            del self._kept[member]
        changes.members |= before | now

    def _members(self, name: str) -> set[str]:
        prefix = f"{PART}{name}:"
        return {member for member in self._kept if member.startswith(prefix)}

    def leave_out(self, is_secret: Callable[[str], bool] | None) -> None:
        """Leave environment variables out whose names say that they are secrets; with None, keep all."""
        environment = self._providers[Environment.name]
        if isinstance(environment, Environment) and environment.is_secret is not is_secret:
            environment.is_secret = is_secret
            self._marks.pop(Environment.name, None)

    def left_out(self) -> list[Lost]:
        """Return the environment variables that were left out."""
        environment = self._providers[Environment.name]
        names = environment.left_out if isinstance(environment, Environment) else []
        reason = "left out: its name looks like that of a secret, and the setting holdfast.skipSecrets is on"
        remedy = "set it in the environment of the editor, or in the cell that uses it; or change the setting"
        return [Lost(f"os.environ[{name!r}]", "ambient state", reason, remedy) for name in names]

    def forget(self, member: str) -> None:
        """Send a state again at the next opportunity: the store doesn't have it."""
        self._marks.pop(_provider_of(member), None)

    def doubt(self) -> None:
        """Send all states again: nothing is known of what the store has."""
        self._marks.clear()

    @contextmanager
    def moving(self) -> Iterator[None]:
        """While the document is moved, the kernel changes folder, arguments and path: none of it is the session's."""
        before = {name: self._look(provider) for name, provider in self._providers.items() if provider.early}
        yield
        for name, mark in before.items():
            self._providers[name].moved(mark)
            if _equal(mark, self._marks.get(name, _NEVER)):
                self._marks[name] = self._look(self._providers[name])

    @contextmanager
    def aside(self) -> Iterator[None]:
        """While a cell is run again to make what is missing: plain states are what they were afterwards."""
        before: dict[str, Any] = {}
        for name, provider in self._providers.items():
            if not isinstance(provider, Plain):
                continue
            if provider.module in sys.modules:
                # A folder that was removed, a module half imported or of another version: then nothing is set back.
                with suppress(Exception):
                    before[name] = provider.read()
            elif name in self._waiting:
                before[name] = self._waiting[name]
        yield
        for name, state in before.items():
            provider = self._providers[name]
            if isinstance(provider, Plain) and provider.module in sys.modules and not self._is(provider, state):
                for problem in self._write(provider, state):
                    print(f"Holdfast: {name} could not be set back: {problem}", file=sys.stderr)

    @staticmethod
    def _is(provider: Plain, state: Any) -> bool:
        try:
            return _equal(provider.read(), state)
        except Exception:  # noqa: BLE001 - as in _look
            return False

    # -- the way back

    def restore(self, values: Mapping[str, Any], *, early: bool, warm: bool) -> list[Lost]:
        """Set states; those of modules that are not loaded wait until they are.

        Args:
            values: what was loaded of a version, by hidden member.
            early: only states that variables need to be loaded; else only the others.
            warm: the session ran before: what the version doesn't mention has to be set as it was at the start.
        """
        states: dict[str, Any] = {}
        lost = []
        for member, value in values.items():
            name = _provider_of(member)
            if name not in self._providers:
                if not early:
                    lost.append(Lost(name, "ambient state", "this version of Holdfast doesn't know it", _REMEDY))
            elif member.startswith(PART):
                states.setdefault(name, {})[member[len(PART) + len(name) + 1 :]] = value
                self._in_parts.add(name)
            else:
                states[name] = value
        for name, provider in self._providers.items():
            if provider.early is not early:
                continue
            if name in states:
                lost += self._restore(provider, states[name])
            elif warm and name in self._began:
                self._write(provider, None if isinstance(provider, Plain) else {})
        for name in states.keys() & self._marks.keys():
            # What loading the variables did to it besides, it did the first time as well.
            self._marks[name] = self._look(self._providers[name])
        return lost

    def _restore(self, provider: Provider, state: Any) -> list[Lost]:
        if provider.module in sys.modules:
            return [Lost(provider.name, "ambient state", problem, _REMEDY) for problem in self._write(provider, state)]
        self._waiting[provider.name] = state
        self._sent.add(provider.name)
        self._expect(provider)
        return []

    def _expect(self, provider: Provider) -> None:
        _watched[provider.module] = lambda module: self._arrived(module.__name__)
        if _watch not in sys.meta_path:
            _watch.install()

    def _write(self, provider: Provider, state: Any) -> list[str]:
        """Set a state; return what failed. It stays in the store then, until the session sets something else."""
        self._look(provider)
        self._sent.add(provider.name)
        self._waiting.pop(provider.name, None)
        problems: list[str]
        try:
            problems = provider.write(state)  # type: ignore[attr-defined]
            untouched = bool(problems) and isinstance(provider, Plain)
        except (Exception, TookTooLong) as error:  # noqa: BLE001 - a folder that is gone, a library that refuses: said
            problems, untouched = [f"{type(error).__name__}: {error}"], True
        if untouched:
            self._waiting[provider.name] = state
        self._marks[provider.name] = self._look(provider)
        return problems

    def _arrived(self, module: str) -> None:
        """The session has just imported a module that some providers were waiting for."""
        for name, provider in self._providers.items():
            if provider.module == module and provider.watched:
                self._look(provider)
            if provider.module == module and name in self._waiting:
                for problem in self._write(provider, self._waiting[name]):
                    print(f"Holdfast: {name} could not be restored: {problem}", file=sys.stderr)


def named(member: str, gone: LostMember, kept: Mapping[str, Any]) -> LostMember:
    """Return the loss of a part as users know it: they have set a state, and made no object."""
    if not member.startswith(PART):
        return gone
    value = kept.get(member)
    if isinstance(value, Refused):
        return replace(gone, lost=Lost(_provider_of(member), "ambient state", value.reason, value.remedy))
    reason = f"reading it raised {value.said}" if isinstance(value, Unreadable) else gone.lost.reason
    name = gone.lost.name.removeprefix(f"{Own.name}.")
    return replace(gone, lost=Lost(name, "ambient state", reason, gone.lost.remedy))


def _provider_of(member: str) -> str:
    return member[len(PART) :].partition(":")[0] if member.startswith(PART) else member[len(AMBIENT) :]


def _equal(one: Any, other: Any) -> bool:
    try:
        return bool(one == other)
    except Exception:  # noqa: BLE001 - values of libraries whose comparison is none
        return False
