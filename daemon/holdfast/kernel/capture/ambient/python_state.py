"""State of modules of the standard library: warnings filters, decimal contexts, the locale, hooks, builtins."""

from __future__ import annotations

import builtins
import sys
from typing import Any

from .provider import Parts, Plain, failed


class WarningFilters(Parts):
    """The list of filters, whose categories may be classes of the session."""

    name = "warnings"
    module = "warnings"

    def begin(self) -> None:
        """Take note of the filters."""
        self._start = _filters()[:]

    def mark(self) -> Any:
        """Return the filters."""
        return _filters()[:]

    def read(self) -> dict[str, Any]:
        """Return the filters if they changed."""
        now = _filters()[:]
        return {} if now == self._start else {"filters": now}

    def write(self, parts: dict[str, Any]) -> list[str]:
        """Set the filters."""
        # Tells the C code as well that what it remembers of earlier warnings doesn't hold.
        sys.modules["warnings"].resetwarnings()
        _filters()[:] = parts.get("filters", self._start)
        return []


def _filters() -> Any:
    return sys.modules["warnings"].filters


_CONTEXT_VALUES = ("prec", "rounding", "Emin", "Emax", "capitals", "clamp")
_NEWCOMERS_CONTEXT = "DefaultContext"


class DecimalContext(Parts):
    """The context of the main thread, and the one that new threads start with."""

    name = "decimal"
    module = "decimal"
    live = True

    def begin(self) -> None:
        """Take note of both contexts, and of how many references an unobserved one has."""
        self._start = {name: _values_of(context) for name, context in _contexts().items()}
        self._references = sys.getrefcount(sys.modules["decimal"].getcontext())

    def mark(self) -> Any:
        """Return all values of both, and whether somebody holds the current one."""
        contexts = _contexts()
        return [_values_of(context) for context in contexts.values()], self._is_held()

    def _is_held(self) -> bool:
        return sys.getrefcount(sys.modules["decimal"].getcontext()) > self._references

    def read(self) -> dict[str, Any]:
        """Return the contexts that changed; the current one also if a variable may be the same object."""
        held = self._is_held()
        return {
            # The other is a constant of its module, which pickles name; so its values.
            name: context if name == "context" else _values_of(context)
            for name, context in _contexts().items()
            if _values_of(context) != self._start[name] or (held and name == "context")
        }

    def write(self, parts: dict[str, Any]) -> list[str]:
        """Make the saved context the current one, and give the other its values."""
        decimal = sys.modules["decimal"]
        if "context" in parts:
            decimal.setcontext(parts["context"])
        else:
            _set_values(decimal.getcontext(), self._start["context"])
        default = decimal.DefaultContext
        _set_values(default, parts.get(_NEWCOMERS_CONTEXT, self._start[_NEWCOMERS_CONTEXT]))
        return []


def _contexts() -> dict[str, Any]:
    decimal = sys.modules["decimal"]
    return {"context": decimal.getcontext(), _NEWCOMERS_CONTEXT: decimal.DefaultContext}


def _values_of(context: Any) -> Any:
    return context.__reduce__()[1]


def _set_values(context: Any, values: Any) -> None:
    *settings, flags, traps = values
    for name, value in zip(_CONTEXT_VALUES, settings, strict=True):
        setattr(context, name, value)
    for signals, raised in ((context.flags, flags), (context.traps, traps)):
        for signal in signals:
            signals[signal] = signal in raised


class Locale(Plain):
    """The categories that `locale.setlocale` changed."""

    name = "locale"
    _CATEGORIES = ("LC_CTYPE", "LC_COLLATE", "LC_TIME", "LC_NUMERIC", "LC_MONETARY", "LC_MESSAGES")

    def begin(self) -> None:
        """Take note of all categories."""
        import _locale

        self._set = _locale.setlocale
        self._all = _locale.LC_ALL
        self._known = {name: getattr(_locale, name) for name in self._CATEGORIES if hasattr(_locale, name)}
        self._start = self._now()

    def _now(self) -> dict[str, str]:
        return {name: self._set(category) for name, category in self._known.items()}

    def mark(self) -> Any:
        """Return all categories in one string."""
        return self._set(self._all)

    def read(self) -> Any:
        """Return those that changed."""
        changed = {name: value for name, value in self._now().items() if value != self._start[name]}
        return changed or None

    def write(self, state: Any) -> list[str]:
        """Set them."""
        problems = []
        for name, value in {**self._start, **(state or {})}.items():
            try:
                self._set(self._known[name], value)
            except Exception as error:  # noqa: BLE001 - locale.Error is a direct subclass of Exception
                problems.append(f"the locale {value} can't be set here ({name}: {error})")
        return problems


class Hooks(Parts):
    """Functions and streams that the session put in place of the interpreter's."""

    name = "hooks"
    live = True
    _PLACES = (
        ("sys", "displayhook"),
        ("sys", "excepthook"),
        ("sys", "unraisablehook"),
        ("sys", "breakpointhook"),
        ("sys", "stdout"),
        ("sys", "stderr"),
        ("sys", "stdin"),
        ("threading", "excepthook"),
        ("warnings", "showwarning"),
        ("warnings", "formatwarning"),
    )
    _STREAMS = frozenset({"stdout", "stderr", "stdin"})

    def begin(self) -> None:
        """Take note of what is there."""
        self._start = self._now()
        self._seen: list[Any] = []

    def _now(self) -> dict[str, Any]:
        modules = sys.modules
        return {
            f"{module}.{name}": getattr(modules[module], name)
            for module, name in self._PLACES
            if module in modules and hasattr(modules[module], name)
        }

    def mark(self) -> Any:
        """Return which objects are there."""
        # Kept, so that their ids can't come to mean others.
        self._seen = list(self._now().values())
        return [*map(id, self._seen)]

    def read(self) -> dict[str, Any]:
        """Return those of the session."""
        return {
            place: value
            for place, value in self._now().items()
            if value is not self._start.get(place) and not self._is_own(place, value)
        }

    def _is_own(self, place: str, value: Any) -> bool:
        """Whether it is a stream that the kernel has put back, or the hook of `logging.captureWarnings`."""
        name = place.rpartition(".")[2]
        if name in self._STREAMS:
            return value is getattr(sys, f"__{name}__", None)
        logging = sys.modules.get("logging")
        return value is getattr(logging, "_showwarning", self)

    def write(self, parts: dict[str, Any]) -> list[str]:
        """Put them in place."""
        for place, value in {**self._start, **parts}.items():
            module, name = place.split(".")
            if place in parts or not self._is_own(place, getattr(sys.modules[module], name, None)):
                setattr(sys.modules[module], name, value)
        return []


class Builtins(Parts):
    """Names that the session put among the builtins, and builtins that it replaced."""

    name = "builtins"
    module = "builtins"
    live = True
    _OTHERS = frozenset({"_"})
    """The last result is the kernel's."""

    def begin(self) -> None:
        """Take note of the builtins."""
        self._start = dict(builtins.__dict__)

    def mark(self) -> Any:
        """Return all names and which objects they are."""
        names = builtins.__dict__
        return [*names, *map(id, names.values())]

    def read(self) -> dict[str, Any]:
        """Return those of the session."""
        missing = object()
        start = self._start
        return {
            name: value
            for name, value in builtins.__dict__.items()
            if start.get(name, missing) is not value and name not in self._OTHERS and not _is_machinery(name)
        }

    def write(self, parts: dict[str, Any]) -> list[str]:
        """Put them there."""
        for name in self.read().keys() - parts.keys():
            if name in self._start:
                setattr(builtins, name, self._start[name])
            else:
                delattr(builtins, name)
        for name, value in parts.items():
            setattr(builtins, name, value)
        return []


def _is_machinery(name: str) -> bool:
    """Whether it is a name for the machinery: compiled modules leave such notes to each other among the builtins."""
    return name.startswith("__")


class Multiprocessing(Plain):
    """How `multiprocessing` starts processes."""

    name = "multiprocessing"
    module = "multiprocessing"

    def read(self) -> Any:
        """Return the start method if one was set."""
        return sys.modules["multiprocessing"].get_start_method(allow_none=True)

    def write(self, state: Any) -> list[str]:
        """Set it."""
        try:
            sys.modules["multiprocessing"].set_start_method(state, force=True)
        except ValueError as error:
            return [failed("start method", error)]
        return []


class ModuleNames(Parts):
    """What Python gives the session's module itself: its docstring, and the annotations of its variables."""

    name = "module"
    _NAMES = ("__doc__", "__annotations__", "__annotate__", "__conditional_annotations__")

    def __init__(self, namespace: dict[str, Any]) -> None:
        """Args: namespace: the session's."""
        self._namespace = namespace

    def mark(self) -> Any:
        """Return the docstring, and what is annotated with which objects."""
        get = self._namespace.get
        annotations = get("__annotations__")
        annotated = [*annotations, *map(id, annotations.values())] if type(annotations) is dict else None
        return get("__doc__"), annotated, id(get("__annotate__"))

    def read(self) -> dict[str, Any]:
        """Return what there is."""
        found = {name: self._namespace[name] for name in self._NAMES if self._namespace.get(name) is not None}
        if not found.get("__annotations__", True):
            del found["__annotations__"]
        return found

    def write(self, parts: dict[str, Any]) -> list[str]:
        """Set it."""
        for name in self._NAMES:
            if name in parts:
                self._namespace[name] = parts[name]
            elif name == "__doc__":
                self._namespace[name] = None
            else:
                self._namespace.pop(name, None)
        return []
