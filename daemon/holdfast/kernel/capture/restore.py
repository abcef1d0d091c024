"""The way back: components are unpickled, each after those it points to, and become variables of the session."""

from __future__ import annotations

import io
import pickle
import re
import sys
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from functools import partial
from types import CellType, FunctionType
from typing import Any

from ..interrupts import TookTooLong
from . import rebuild, versions
from .components import DEFINITION, KEPT, Lost, Partition, Record, SavedComponent, is_visible, label
from .environment import Differences
from .lazy import Reader, Stopped, StoredComponent, Unreadable
from .names import names_of_function
from .pickler import Session
from .sources import MissingCode


@dataclass(frozen=True)
class RestoreOutcome:
    """What a restore brought back.

    Attributes:
        restored: names of the variables that are there.
        failed: the variables that are not, why, and what would help; what was saved of them is untouched.
        differences: what is not here as it was when the session was saved, in words.
        left: variables that can't be saved, and were left as they are.
    """

    restored: list[str]
    failed: list[Lost]
    differences: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


class CannotLoad(Exception):
    """A component could not be loaded; `blame` is the hidden member of another one if that is the reason."""

    def __init__(self, reason: str, blame: str | None = None) -> None:
        super().__init__(reason)
        self.blame = blame


class _LoadFirst(BaseException):
    """A component is needed so deep inside others that it is to be loaded before them."""

    def __init__(self, component: SavedComponent) -> None:
        super().__init__()
        self.component = component


MOST_NESTED = 30
"""Components that are loaded while others wait for them: each takes several levels of recursion."""
READ_IN_PARTS = 1 << 18
"""Streams larger than this are neither copied nor read in one go."""
SECONDS_PER_BYTE = 2e-9
"""For the estimate of what pickling and hashing it again takes."""
_CIRCLE = "two saved parts of the session need each other to be loaded first"


@dataclass
class _Learned:
    """What loading a component says about it."""

    refs: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    dynamic: bool = False
    missing: list[MissingCode] = field(default_factory=list)
    stubs: versions.Stubs = field(default_factory=dict)
    modules: set[str] = field(default_factory=set)
    useless: dict[int, Any] = field(default_factory=dict)
    """Functions that are of no use under this Python, by id."""
    grown: bool = False
    """Whether there are objects of types that have more attributes in some versions of Python."""


class _ComponentUnpickler(pickle.Unpickler):
    def __init__(self, component: SavedComponent, restoration: Restoration) -> None:
        stream, buffers = component.stream, component.buffers
        is_large = memoryview(stream).nbytes > READ_IN_PARTS
        file: Any = None
        file = Reader(memoryview(stream), restoration.stop) if is_large else io.BytesIO(stream)
        self._file = file
        super().__init__(file, buffers=buffers)
        self._restoration = restoration
        self.learned = _Learned()
        self._shells: dict[Any, Any] = {}

    def __len__(self) -> int:
        """How much was read."""
        read: int = self._file.tell()
        return read

    def load_member(self) -> Any:
        """Return the value of the next member, after the steps that lead to it."""
        while (value := self.load()) is rebuild.STEP:
            pass
        return value

    def forget_shells(self) -> None:
        """The stream is at its end."""
        self._shells.clear()

    def find_class(self, module: str, name: str) -> Any:
        """Return what a pickle names; our own names mean this module wherever the package was imported from."""
        if module == rebuild.MODULE:
            supplied = _SUPPLIED.get(name)
            return getattr(rebuild, name) if supplied is None else partial(supplied, self)
        if module.startswith(rebuild.MODULE + "."):
            return rebuild.find(module, name)
        if module == "__main__":
            return self._restoration.named(name)
        self.learned.modules.add(module)
        self._restoration.needs_module(module)
        if self._restoration.differences.python is not None:
            module = versions.MOVED.get(module, module)
            self.learned.grown = self.learned.grown or module in versions.GROWN
        try:
            return super().find_class(module, name)
        except AttributeError:
            if self._restoration.differences.python is None:
                raise
            if (renamed := versions.RENAMED.get((module, name))) is not None:
                return super().find_class(module, renamed)
            if (module, name) in versions.GONE:
                return self._stub_for(module, name)
            raise

    def _module_entry(self, module: str, name: str) -> Any:
        try:
            return rebuild.module_entry(module, name)
        except KeyError:
            if self._restoration.differences.python is None:
                raise
            if (module, name) in versions.GONE:
                return classmethod(self._stub_for(module, name))
            if (module, name) in versions.ENTRIES:
                return versions.ENTRIES[module, name]()
            raise

    def _stub_for(self, module: str, name: str) -> Any:
        code = MissingCode(f"this Python has no {module}.{name}")
        self.learned.missing.append(code)
        return self._make_function(code, {}, name, None)

    def persistent_load(self, pid: Any) -> Any:
        """Return the namespace of the session or of a module, an ordered set, or a container that is filled later."""
        if pid[0] == "ordered":
            key = pid[:2]
            if key not in self._shells:
                self._shells[key] = rebuild.find(f"{rebuild.MODULE}.sets", "ordered")(*pid[2:])
            return self._shells[key]
        make = _SHELLS.get(pid[0])
        if make is not None:
            if pid not in self._shells:
                self._shells[pid] = make()
            return self._shells[pid]
        return self._namespace() if pid[0] == "ns" else rebuild.module_globals(pid[1])

    def _member(self, hidden: str) -> Any:
        self.learned.refs.add(hidden)
        return self._restoration.member(hidden)

    def _namespace(self) -> dict[str, Any]:
        return self._restoration.session.namespace

    def _session_module(self) -> Any:
        return self._restoration.session.module

    def _import_module(self, name: str, *submodules: str) -> Any:
        self.learned.modules.add(name)
        self._restoration.needs_module(name)
        self._restoration.session.submodules.update(submodules)
        return rebuild.import_module(name, *submodules)

    def _sourced_code(self, magic: int, data: bytes, source: Any, place: Any, free: tuple[str, ...] = ()) -> Any:
        code = rebuild.sourced_code(magic, data, source, place, free)
        if isinstance(code, MissingCode):
            self.learned.missing.append(code)
        else:
            self._restoration.session.sources.restored(code, source, place)
        return code

    def _set_function_state(self, function: FunctionType, state: dict[str, Any]) -> None:
        self._write_out_annotations(function, state)
        rebuild.set_function_state(function, state)

    def _write_out_annotations(self, owner: Any, state: dict[str, Any]) -> None:
        """Before 3.14 there is no function that makes annotations: they are made of the texts that were saved."""
        texts = state.pop("\0annotations", None)
        if texts is None or versions.MAKES_ANNOTATIONS:
            return
        self._need_not(state.pop("__annotate__", None))
        state.pop("__classdictcell__", None)  # through which that function saw the class's body
        state["__annotations__"] = dict(texts)
        self._restoration.annotated.append(owner)

    def _need_not(self, function: Any) -> None:
        """A function is of no use here, and what only it refers to neither."""
        learned = self.learned
        if id(function) in learned.useless:
            return
        found = learned.stubs.pop(id(function), None)
        if found is not None:
            learned.missing = [code for code in learned.missing if code is not found[1]]
            learned.useless[id(function)] = function
        for cell in getattr(function, "__closure__", None) or ():
            if cell != _EMPTY_CELL and type(cell.cell_contents) is FunctionType:
                self._need_not(cell.cell_contents)

    def _set_class_state(self, cls: type, state: dict[str, Any]) -> None:
        self._write_out_annotations(cls, state)
        source = state.get("\0source")
        if source is not None:
            self._restoration.session.sources.restored_class(cls, source)
        rebuild.set_class_state(cls, state)

    def _packed_code(self, *arguments: Any) -> Any:
        return self._noted(rebuild.packed_code(*arguments))

    def _library_code(self, *arguments: Any) -> Any:
        return self._noted(rebuild.library_code(*arguments))

    def _make_code(self, *arguments: Any) -> Any:
        if self._restoration.differences.python is None:
            return rebuild.make_code(*arguments)
        return self._noted(MissingCode("it was compiled by another version of Python"))

    def _noted(self, code: Any) -> Any:
        if isinstance(code, MissingCode):
            self.learned.missing.append(code)
        return code

    def _make_function(self, code: Any, variables: dict[str, Any], name: str, closure: Any) -> Any:
        if isinstance(code, MissingCode):
            function = versions.stub(variables, name, closure)
            self.learned.stubs[id(function)] = (function, code)
            return function
        if variables is self._restoration.session.namespace:
            used = names_of_function(code)
            self.learned.names |= used.names
            self.learned.dynamic = self.learned.dynamic or used.dynamic
            self._restoration.session.assigned |= used.assigned
        return rebuild.make_function(code, variables, name, closure)


_EMPTY_CELL = CellType()
_SHELLS: dict[str, Any] = {"list": list, "dict": dict, "set": set}
_SUPPLIED: dict[str, Any] = {
    "member": _ComponentUnpickler._member,
    "namespace": _ComponentUnpickler._namespace,
    "session_module": _ComponentUnpickler._session_module,
    "import_module": _ComponentUnpickler._import_module,
    "module_entry": _ComponentUnpickler._module_entry,
    "make_code": _ComponentUnpickler._make_code,
    "make_function": _ComponentUnpickler._make_function,
    "set_function_state": _ComponentUnpickler._set_function_state,
    "set_class_state": _ComponentUnpickler._set_class_state,
    "packed_code": _ComponentUnpickler._packed_code,
    "sourced_code": _ComponentUnpickler._sourced_code,
    "library_code": _ComponentUnpickler._library_code,
}


class Restoration:
    """One restore: which components there are, which are loaded, and what became of them.

    Args:
        live: return the living definition with a hidden id if that is to be used instead of the saved one, else None.
        differences: between where the components were saved and here.
    """

    def __init__(
        self, session: Session, components: Iterable[SavedComponent], live: Any, differences: Differences | None = None
    ) -> None:
        self.session = session
        self._live = live
        self.differences = differences or Differences(None)
        self.values: dict[str, Any] = {}
        self.records: dict[str, Record] = {}
        self.failures: dict[str, tuple[SavedComponent, BaseException]] = {}
        self.stop: Callable[[], bool] | None = None
        """Whether loading is to be given up for something else."""
        self.on_import: Callable[[], None] | None = None
        """Called once, before a module of a library is imported: that takes a while."""
        self.pointed: dict[str, set[str]] = {}
        """By component, the hidden members that what could not be loaded points to."""
        self.only: Collection[str] | None = None
        """The variables that are to be; all that are loaded if None."""
        self.annotated: list[Any] = []
        """Functions and classes whose annotations are texts that were values."""
        self._home = {member: component for component in components for member in component.members}
        self._loading: set[str] = set()
        self._modules: dict[str, set[str]] = {}

    def needs_module(self, name: str) -> None:
        """A module is imported next, if it is not there."""
        if self.on_import is None or name in sys.modules:
            return
        if name.partition(".")[0] not in sys.stdlib_module_names:
            begin, self.on_import = self.on_import, None
            begin()

    def load_all(self, components: Iterable[SavedComponent]) -> None:
        """Load components; those that fail are tried once more when all others are variables of the session.

        Code of users that runs while objects are made (``__setstate__``) may use variables that come later.
        """
        for component in components:
            self._try(component)
        self.bind()
        again = [
            component
            for component, error in self.failures.values()
            if not isinstance(error, (RecursionError, TookTooLong))
        ]
        for component in again:
            del self.failures[component.id]
        for component in again:
            self._try(component)
        self.bind()
        self.complete()

    def load_more(self, component: SavedComponent) -> list[Record]:
        """Load a component later than the others, and what it needs; return what is new, and make no variables of it.

        Raises:
            Stopped: something else is wanted, and nothing was loaded.
        """
        before = set(self.records)
        self.failures.pop(component.id, None)
        self._try(component)
        self.complete()
        return [record for identity, record in self.records.items() if identity not in before]

    def complete(self) -> None:
        """Give functions and classes that were loaded what can only be made when everything is there."""
        versions.evaluate_annotations(self.annotated)
        self.annotated.clear()

    def needs_others(self) -> bool:
        """Whether something could not be loaded that might be if more variables were there."""
        return any(
            not isinstance(cause, (RecursionError, TookTooLong, ModuleNotFoundError, Unreadable, CannotLoad))
            for _, error in self.failures.values()
            for cause in (_cause(error),)
        )

    def forget_variables(self) -> None:
        """They belong to the session now, which may do without them; what is loaded later needs only definitions."""
        self.values = {member: value for member, value in self.values.items() if member.startswith(DEFINITION)}
        self._home = {member: found for member, found in self._home.items() if found.id not in self.records}

    def load_one(self, component: SavedComponent) -> dict[str, Any]:
        """Load a component and return its members, without making variables of them; raise what that raises."""
        self._load(component)
        return {member: self.values[member] for member in component.members}

    def bind(self) -> None:
        """Make variables of what is loaded, or of what is wanted of it."""
        only = self.only
        self.session.namespace.update(
            (member, value)
            for member, value in self.values.items()
            if is_visible(member) and (only is None or member in only)
        )
        self.session.kept.update((member, value) for member, value in self.values.items() if member.startswith(KEPT))

    def _try(self, component: SavedComponent) -> None:
        if component.id in self.records or component.id in self.failures:
            return
        work, waiting = [component], {component.id}
        while work:
            current = work[-1]
            try:
                if current.id not in self.records and current.id not in self.failures:
                    self._load(current)
            except _LoadFirst as first:
                if first.component.id not in waiting:
                    work.append(first.component)
                    waiting.add(first.component.id)
                    continue
                self.failures[current.id] = (current, CannotLoad(_CIRCLE))
            except Stopped:
                raise
            except BaseException as error:  # noqa: BLE001 - code of users and libraries runs here, and raises anything
                self.failures[current.id] = (current, error)
            work.pop()

    def _load(self, component: SavedComponent) -> None:
        if component.id in self._loading:
            raise CannotLoad(_CIRCLE)
        unpickler = _ComponentUnpickler(component, self)
        self._loading.add(component.id)
        self._modules[component.id] = unpickler.learned.modules
        before = len(rebuild.destructive)
        memory = self.session.pages.adopt(component.buffers, component.fingerprint)
        outer, self.session.progress = self.session.progress, (unpickler, self.records)
        try:
            values = {member: unpickler.load_member() for member in component.members}
            if unpickler.learned.grown:
                versions.complete(unpickler.memo.copy().values())
            values = self._as_here(values, unpickler.learned)
        except BaseException:
            for disarm in rebuild.destructive[before:]:
                disarm()
            raise
        finally:
            del rebuild.destructive[before:]
            # Its memo holds every object, and what stands for `member` holds it: a circle.
            unpickler.memo = {}
            unpickler.forget_shells()
            self.session.progress = outer
            self._loading.discard(component.id)
        for member, value in values.items():
            if member.startswith(DEFINITION):
                self.session.definitions.register(value, member)
        self.values.update(values)
        learned = unpickler.learned
        # Large buffers are watched: of them only what is written to is pickled again.
        parts = [component.stream, *(() if memory is not None else component.buffers)]
        self.records[component.id] = Record(
            id=component.id,
            members=component.members,
            fingerprint=component.fingerprint,
            refs=dict.fromkeys(learned.refs, 1),
            refs_counted=not learned.refs,
            names=frozenset(learned.names),
            dynamic=learned.dynamic,
            seconds=SECONDS_PER_BYTE * sum(memoryview(part).nbytes for part in parts),
            memory=memory,
        )
        if isinstance(component, StoredComponent):
            component.release()

    def _as_here(self, values: dict[str, Any], learned: _Learned) -> dict[str, Any]:
        """Return members with what this Python needs to run them."""
        try:
            values = {member: value for member, value in values.items() if id(value) not in learned.useless}
            if learned.missing:
                values = versions.mend(values, learned.stubs, learned.missing)
            return values if self.differences.python is None else versions.adapted(values)
        except versions.NotMended as error:
            raise CannotLoad(str(error)) from None

    def member(self, hidden: str) -> Any:
        """Return the definition with a hidden id, loading its component if need be."""
        if hidden in self.values:
            return self.values[hidden]
        living = self._live(hidden)
        if living is not None:
            return living
        return self.saved_member(hidden)

    def saved_member(self, hidden: str) -> Any:
        """Return a member as it was saved."""
        component = self._home.get(hidden)
        if component is None:
            raise CannotLoad("a function or class that it needs is missing from what was saved", hidden)
        failure = self.failures.get(component.id)
        if failure is not None:
            raise CannotLoad(f"a function or class that it needs could not be loaded: {failure[1]}", hidden)
        if component.id not in self.records:
            if len(self._loading) >= MOST_NESTED:
                raise _LoadFirst(component)
            try:
                self._load(component)
            except (CannotLoad, _LoadFirst, Stopped):
                raise
            except BaseException as error:  # as in _try; the reason goes up to whoever needs it
                self.failures[component.id] = (component, error)
                raise CannotLoad(
                    f"a function or class that it needs could not be loaded: {say(error)}", hidden
                ) from error
        return self.values[hidden]

    def saved_component(self, hidden: str) -> SavedComponent | None:
        """Return the saved component of a definition."""
        return self._home.get(hidden)

    def named(self, path: str) -> Any:
        """Return what a pickle names as a global of ``__main__``."""
        first, *attributes = path.split(".")
        if first in self.values or first not in self._home:
            found = self.values.get(first, self.session.namespace.get(first))
        else:
            found = self.saved_member(first)
        for attribute in attributes:
            found = getattr(found, attribute)
        return found

    def lost(self, names: Collection[str] | None) -> list[Lost]:
        """Return the variables that could not be loaded."""
        return [
            self._lost(label(member), component, error)
            for component, error in self.failures.values()
            for member in component.members
            if not member.startswith(DEFINITION) and (names is None or member in names)
        ]

    def _lost(self, name: str, component: SavedComponent, error: BaseException) -> Lost:
        modules = set(self._modules.get(component.id, ()))
        blame: BaseException | None = error
        while isinstance(blame, CannotLoad) and blame.blame is not None:
            # What it needs is what failed: the modules of that are the ones that matter.
            other = self._home.get(blame.blame)
            if other is None or other.id not in self.failures:
                break
            modules |= self._modules.get(other.id, set())
            blame = self.failures[other.id][1]
        about = self.differences.about(modules)
        wanted = self.differences.wanted(modules)
        remedy = _remedy(error)
        if wanted and not isinstance(_cause(error), ModuleNotFoundError):
            remedy = (
                f"restore it with {' and '.join(wanted)}, or run the cell that made it; what was saved is untouched"
            )
        return Lost(name, "", f"{about}: {say(error)}" if about else say(error), remedy)


def say(error: BaseException) -> str:
    """Return in a sentence why something could not be loaded."""
    if isinstance(error, (CannotLoad, Unreadable, rebuild.Unavailable)):
        return str(error)
    if isinstance(error, TookTooLong):
        return f"loading it failed: {error}"
    if isinstance(error, ModuleNotFoundError):
        return f"it needs the module {error.name}, which can't be imported here"
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - the exception is user code
        text = ""
    return f"loading it raised {type(error).__name__}: {text}"[:400]


def _cause(error: BaseException) -> BaseException:
    return error.__cause__ if isinstance(error, CannotLoad) and error.__cause__ else error


def _remedy(error: BaseException) -> str:
    cause = _cause(error)
    if isinstance(cause, ModuleNotFoundError):
        package = str(cause.name).partition(".")[0]
        return f"install {package} in this environment and restore again; what was saved is untouched"
    if isinstance(cause, (AttributeError, ImportError)):
        return "the versions of its packages may have changed: install those it was saved with, or run its cell again"
    return "run the cell that made it again; what was saved is untouched"


_POINTER = re.compile(re.escape(DEFINITION.encode()) + rb"[0-9a-f]{12}")


def forget_missing(partition: Partition, restoration: Restoration) -> None:
    """Keep what could not be loaded as it was saved, so that the next capture doesn't remove it from the store."""
    needed: dict[str, Any] = {}
    for component, error in restoration.failures.values():
        pointed = restoration.pointed.get(component.id)
        if pointed is None:
            # What can't be read will never need anything, and to look would be to ask for it again.
            found = () if isinstance(error, Unreadable) else _POINTER.findall(component.stream)
            pointed = {match.decode() for match in found} - {*component.members}
            restoration.pointed[component.id] = pointed
        needed.update((hidden, restoration.values[hidden]) for hidden in pointed if hidden in restoration.values)
        refs = dict.fromkeys(sorted(pointed), 1)
        record = Record(
            component.id, component.members, component.fingerprint, refs, refs_counted=False, kept=component
        )
        partition.add(record)
    # They live for as long as something in the store can't be loaded without them.
    restoration.session.needed = needed
