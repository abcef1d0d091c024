"""What the session puts on imported modules and classes: ``module.LEVEL = 3``, ``DataFrame.total = total``.

An attribute of something imported is no variable, and it is gone with the process. Which attributes a run can have set
is read from its bytecode; what lies there afterwards is kept as a value of the session, with what it shares.
"""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Collection, Iterable
from typing import Any

from .components import KEPT
from .pickler import Session

PATCH = f"{KEPT}patch:"
"""Followed by the module's name, a colon, and the path within it: ``pandas:DataFrame.total``."""

_ELSEWHERE = frozenset({"__main__", "__mp_main__", "builtins", "warnings", "holdfast"})
"""Modules whose attributes are ours to set, or are kept as ambient state."""
_NOT_KEPT = {
    "sys": frozenset(
        {
            "stdin", "stdout", "stderr", "path", "argv", "tracebacklimit", "dont_write_bytecode", "ps1", "ps2",
            "displayhook", "excepthook", "unraisablehook", "breakpointhook",
        }
    ),
    "threading": frozenset({"excepthook"}),
    "decimal": frozenset({"DefaultContext"}),
    "pandas": frozenset({"options"}),
}  # fmt: skip
"""Attributes for which the same holds, with what lies in them."""
_GONE = object()
_UNSEEN = object()
_EXTENDED = (
    ("pandas", "DataFrame"),
    ("pandas", "Series"),
    ("pandas", "Index"),
    ("polars", "DataFrame"),
    ("polars", "LazyFrame"),
    ("polars", "Series"),
    ("polars", "Expr"),
    ("xarray", "Dataset"),
    ("xarray", "DataArray"),
)
"""Classes that are made to be extended by decorators and by other libraries: accessors, ``tqdm.pandas()``."""

Chain = tuple[str, ...]


class Patches:
    """Notes which attributes of imported things the session has set, and sets them again."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._sizes: dict[tuple[str, str], int] = {}
        self._originals: dict[str, Any] = {}
        """What lay there before the session set it; `_UNSEEN` where the module was imported by the same run."""

    def look_around(self) -> set[str]:
        """Find what code that was called has put on classes, replaced and taken away; return the members concerned."""
        noted = self._refresh()
        for place in _EXTENDED:
            if place[0] not in sys.modules:
                continue
            cls = getattr(sys.modules[place[0]], place[1], None)
            if not isinstance(cls, type) or len(cls.__dict__) == self._sizes.get(place):
                continue
            self._sizes[place] = len(cls.__dict__)
            for name, value in tuple(cls.__dict__.items()):
                if _is_foreign(value, place[0]):
                    member = f"{PATCH}{cls.__module__}:{cls.__qualname__}.{name}"
                    self._session.kept[member] = value
                    noted.add(member)
        return noted

    def _refresh(self) -> set[str]:
        """Take the values that lie there now: what is registered again leaves the number of attributes alone."""
        noted = set()
        for member in [member for member in self._session.kept if member.startswith(PATCH)]:
            holder, name = _find(member)
            value = _GONE if holder is None else _own(holder, name)
            if value is _GONE:
                del self._session.kept[member]
            elif value is not self._session.kept[member]:
                self._session.kept[member] = value
            else:
                continue
            noted.add(member)
        return noted

    def expect(self, chains: Iterable[Chain]) -> None:
        """A run may set attributes: remember what lies there before the session sets it for the first time."""
        for chain in chains:
            place = self._place(chain)
            if place is not None and place[1] not in self._session.kept:
                self._originals.setdefault(place[1], _own(place[0], chain[-1]))

    def apply(self, member: str, value: Any) -> str | None:
        """Set an attribute as it was saved; return why that failed, or None."""
        module = _module(member)
        try:
            importlib.import_module(module)
            holder, name = _find(member)
            if holder is None:
                return f"{module} has no {_path(member).rpartition('.')[0]} any more"
            self._originals.setdefault(member, _own(holder, name))
            setattr(holder, name, value)
        except Exception as error:  # noqa: BLE001 - imports and metaclasses run code of libraries; said to the user
            return f"setting it raised {type(error).__name__}: {error}"
        return None

    def take_back(self, left: Collection[str]) -> list[tuple[str, str]]:
        """Put back what lay there before the session came, but for what is `left`; return what failed, and why."""
        problems = []
        for member in [member for member in self._originals if member not in left]:
            original = self._originals[member]
            if original is _UNSEEN:
                continue
            del self._originals[member]
            try:
                holder, name = _find(member)
                if holder is None or _own(holder, name) is original:
                    continue
                if original is _GONE:
                    delattr(holder, name)
                else:
                    setattr(holder, name, original)
            except Exception as error:  # noqa: BLE001 - metaclasses run code of libraries; said to the user
                problems.append((member, f"putting it back raised {type(error).__name__}: {error}"))
        return problems

    def note(self, chains: Iterable[Chain]) -> set[str]:
        """Look at what assignments to attributes left behind; return the members whose value may be new.

        Args:
            chains: names as they stand in the code: ``("pd", "DataFrame", "total")`` for ``pd.DataFrame.total = …``.
        """
        noted = set()
        for chain in chains:
            place = self._place(chain)
            if place is None:
                continue
            holder, member = place
            value = _own(holder, chain[-1])
            self._originals.setdefault(member, _UNSEEN)
            if value is not _GONE:
                self._session.kept[member] = value
            elif self._session.kept.pop(member, _GONE) is _GONE:
                continue
            noted.add(member)
        return noted

    def _place(self, chain: Chain) -> tuple[Any, str] | None:
        start: Any = self._session.namespace.get(chain[0], _GONE)
        if not _is_holder(start) or not self._session.definitions.importable(start):
            return None
        holder = start
        for name in chain[1:-1]:
            holder = _own(holder, name)
            if holder is _GONE:
                return None
        if not _is_holder(holder):
            # An object that a library keeps: `pandas.options.display.max_rows = 5`.
            if not isinstance(start, types.ModuleType) or type(holder).__module__ == "__main__":
                return None
            if chain[1] in _NOT_KEPT.get(start.__name__, ()):
                return None
            return holder, f"{PATCH}{start.__name__}:{'.'.join(chain[1:])}"
        if not self._session.definitions.importable(holder):
            return None
        module = holder.__name__ if isinstance(holder, types.ModuleType) else holder.__module__
        path = chain[-1] if isinstance(holder, types.ModuleType) else f"{holder.__qualname__}.{chain[-1]}"
        if module in _ELSEWHERE or path in _NOT_KEPT.get(module, ()) or module.startswith("_holdfast"):
            return None
        return holder, f"{PATCH}{module}:{path}"


def _module(member: str) -> str:
    return member.split(":", 2)[2].partition(":")[0]


def _path(member: str) -> str:
    return member.split(":", 2)[2].partition(":")[2]


def _find(member: str) -> tuple[Any, str]:
    """Return the module or class that a patch belongs to (None if it is not there), and the attribute's name."""
    *way, name = _path(member).split(".")
    holder: Any = sys.modules.get(_module(member))
    for step in way:
        holder = _own(holder, step)
        if holder is _GONE:
            return None, name
    return holder, name


def _is_foreign(value: Any, package: str) -> bool:
    """Whether an attribute of a class in `package` comes from the session or from another library."""
    if isinstance(value, (types.FunctionType, type)):
        return value.__module__.partition(".")[0] not in (package, "builtins", "typing", "abc", "functools")
    parts = getattr(value, "__dict__", None)
    # An accessor holds the class that was registered.
    return type(parts) is dict and any(
        isinstance(part, type) and part.__module__ == "__main__" for part in parts.values()
    )


def _is_holder(thing: Any) -> bool:
    # isinstance() asks the object for its class: that is code of the user's.
    return issubclass(type(thing), (types.ModuleType, type))


def _own(holder: Any, name: str) -> Any:
    """Return what lies in the namespace of a module or class itself, or an attribute of any other object."""
    if isinstance(holder, type):
        return type.__getattribute__(holder, "__dict__").get(name, _GONE)
    if type(holder) is types.ModuleType:
        return holder.__dict__.get(name, _GONE)
    try:
        # Of a module of a class of its own the attributes may be properties.
        return getattr(holder, name, _GONE)
    except Exception:  # noqa: BLE001 - code of a library, which refuses to be asked
        return _GONE
