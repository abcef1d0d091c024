"""Whether an instance came back as it was: its attributes and slots, and what its class says about equality.

Most classes are pickled by their attributes: then every attribute has to come back. A class that has a way of its own
to be pickled may leave out what it makes again when it is needed (caches, locks, connections). There only an attribute
counts that is open to users and holds plain data, or what the class itself calls unequal.
"""

from __future__ import annotations

import copyreg
import sys
import types
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..kinds import ATOMS
from ..verification import HOOKS

if TYPE_CHECKING:
    from .walk import Comparison, Pair, Pairs, Path

_MISSING: Any = object()
_REMADE = ("cache", "memo", "lazy", "lock", "buffer", "pool", "temp", "tmp", "stale", "dirty", "handle", "session")
"""What is called so is made again when it is needed."""
_LOOK_AT = 1000
"""Items of a container that are looked at to find out whether it holds plain data."""
_TABLES = {"DataFrame", "Series", "Index", "Categorical", "LazyFrame", "Table", "Tensor", "ndarray"}
_NUMBERS = frozenset({bool, int, float, complex, str, bytes})


def is_authored(kind: type) -> bool:
    """Whether instances of a class are pickled in a way that somebody wrote for it."""
    return any(
        base is not object and (any(hook in vars(base) for hook in HOOKS) or base in copyreg.dispatch_table)
        for base in kind.__mro__
    )


def instance(comparison: Comparison, live: Any, loaded: Any, path: Path) -> Pairs:
    """Compare two instances of one class, or of a class and its copy."""
    kind = type(live)
    authored = is_authored(kind)
    equal = says_equal(kind, live, loaded)
    if authored and equal is True:
        return []
    mine, theirs = state_of(live), state_of(loaded)
    if equal is False and not (authored and _has_plain_data(mine)):
        if not mine:
            comparison.differ(path, "is not equal to what it was")
        # What the class leaves out may be just what makes the difference.
        authored = False
    if authored:
        return _authored(comparison, mine, (loaded, theirs), path)
    if not mine and not theirs:
        return _of_c_type(comparison, live, loaded, path)
    return _all(comparison, mine, (loaded, theirs), path)


def attributes(comparison: Comparison, live: Any, loaded: Any, path: Path) -> Pairs:
    """Compare the attributes of two objects whose content is compared elsewhere."""
    mine, theirs = state_of(live), state_of(loaded)
    if is_authored(type(live)):
        return _authored(comparison, mine, (loaded, theirs), path)
    return _all(comparison, mine, (loaded, theirs), path)


def says_equal(kind: type, live: Any, loaded: Any) -> bool | None:
    """Return what the class's own ``==`` says, None if it has none or does not answer with a truth value."""
    own: Any = kind.__eq__
    if own is object.__eq__:
        return None
    try:
        answer = live == loaded
        sane = live == live
    except Exception:  # noqa: BLE001 - code of users and libraries; without an answer the attributes decide
        return None
    return answer if isinstance(answer, bool) and sane is True else None


def state_of(thing: Any) -> dict[str, Any]:
    """Return the attributes and the slots that are set, past any code of the class."""
    state: dict[str, Any] = {}
    for base in reversed(type(thing).__mro__):
        for name, slot in tuple(vars(base).items()):
            if type(slot) is types.MemberDescriptorType and name not in ("__dict__", "__weakref__"):
                try:
                    state[name] = slot.__get__(thing)
                except Exception:  # noqa: BLE001 - a slot that is not set, or a class that was put in another's place
                    continue
    with suppress(AttributeError, TypeError, ValueError):  # none of its own, or something else under that name
        state.update(object.__getattribute__(thing, "__dict__"))
    return state


def _all(comparison: Comparison, mine: dict[str, Any], loaded: tuple[Any, dict[str, Any]], path: Path) -> list[Pair]:
    """Every attribute has to be back, save those that are made again when somebody asks for them."""
    thing, theirs = loaded
    pairs: list[Pair] = []
    for name, value in mine.items():
        other = theirs.get(name, _MISSING)
        step = (path, f".{name}")
        if other is _MISSING:
            if not _is_computed(type(thing), name) and _is_data(value) and not _is_remade(name):
                _missing(comparison, thing, name, value, step)
            continue
        if (value is None or other is None) and value is not other and not _is_data(value):
            continue
        pairs.append((value, other, step))
    return pairs


def _authored(
    comparison: Comparison, mine: dict[str, Any], loaded: tuple[Any, dict[str, Any]], path: Path
) -> list[Pair]:
    thing, theirs = loaded
    pairs: list[Pair] = []
    kept = False
    for name, value in mine.items():
        if name.startswith("_") or _is_remade(name) or not is_plain(value):
            continue
        other = theirs.get(name, _MISSING)
        step = (path, f".{name}")
        if other is _MISSING:
            if not _is_computed(type(thing), name) and _is_data(value):
                _missing(comparison, thing, name, value, step)
            continue
        kept = True
        if type(value) is bool or (other is None and not _is_data(value)):
            continue
        pairs.append((value, other, step))
    if not kept and not pairs:
        _check_emptied(comparison, mine, theirs, path)
    return pairs


def _check_emptied(comparison: Comparison, mine: dict[str, Any], theirs: dict[str, Any], path: Path) -> None:
    """A class may keep some of its private data out of its pickles, but not all of it."""
    data = [name for name, value in mine.items() if is_plain(value) and _is_data(value) and not _is_remade(name)]
    if data and not any(value is not None for value in theirs.values()):
        comparison.differ((path, f".{data[0]}"), "is missing")


def _missing(comparison: Comparison, thing: Any, name: str, value: Any, path: Path) -> None:
    """An attribute is not where it was; it may be found in the class, or be made by ``__getattr__``."""
    try:
        found = getattr(thing, name)
    except Exception:  # noqa: BLE001 - code of users and libraries; whatever it raises, the attribute is not there
        comparison.differ(path, "is missing")
        return
    comparison.keep((found,))
    if is_plain(found) and not comparison.same(value, found):
        comparison.differ(path, "has another value")


def _is_computed(kind: type, name: str) -> bool:
    """Whether an attribute is the remembered answer of a property."""
    for base in kind.__mro__:
        descriptor = vars(base).get(name)
        if descriptor is not None:
            return type(descriptor) is not types.MemberDescriptorType and hasattr(type(descriptor), "__get__")
    return False


def _is_remade(name: str) -> bool:
    return any(part in name.lower() for part in _REMADE) or name.startswith("__")


def _is_data(value: Any) -> bool:
    """Whether there is something in a value that could be lost."""
    if value is None:
        return False
    try:
        return not hasattr(type(value), "__len__") or len(value) > 0
    except Exception:  # noqa: BLE001 - code of libraries
        return False


def _has_plain_data(state: dict[str, Any]) -> bool:
    return any(is_plain(value) and _is_data(value) for name, value in state.items() if not name.startswith("_"))


def is_plain(value: Any) -> bool:
    """Whether a value is data and nothing but data: numbers, text, arrays, tables, and containers of these."""
    left = _LOOK_AT
    work = [value]
    while work and left:
        left -= 1
        thing = work.pop()
        kind = type(thing)
        if kind in ATOMS:
            continue
        if kind in (list, tuple, set, frozenset):
            work.extend(thing if len(thing) <= left else list(thing)[:left])
        elif kind is dict:
            work.extend(list(thing.values())[:left])
        elif not _is_data_type(kind):
            return False
    return True


def _is_data_type(kind: type) -> bool:
    if any(base in _NUMBERS for base in kind.__mro__):
        return True
    top = str(type.__getattribute__(kind, "__module__")).partition(".")[0]
    if top == "numpy":
        numpy: Any = sys.modules["numpy"]
        return issubclass(kind, (numpy.ndarray, numpy.generic))
    return top in ("pandas", "polars", "pyarrow", "torch") and kind.__name__ in _TABLES


def _of_c_type(comparison: Comparison, live: Any, loaded: Any, path: Path) -> list[Pair]:
    """Compare what an object without attributes of its own shows of itself."""
    pairs: list[Pair] = comparison.keep(list(_shown(live, loaded, path)))
    return list(pairs)


def _shown(live: Any, loaded: Any, path: Path) -> Iterator[Pair]:
    for base in type(live).__mro__:
        if base is object or not _is_foreign(base):
            continue
        for name, descriptor in tuple(vars(base).items()):
            if type(descriptor) is not types.GetSetDescriptorType or name.startswith("_") or _is_remade(name):
                continue
            try:
                value = descriptor.__get__(live)
            except Exception:  # noqa: BLE001 - code of libraries; what can't be read can't be compared
                continue
            if not is_plain(value) or not _is_data(value) or type(value) is bool:
                continue
            try:
                other = descriptor.__get__(loaded)
            except Exception:  # noqa: BLE001 - as above
                continue
            yield value, other, (path, f".{name}")


def _is_foreign(kind: type) -> bool:
    return str(type.__getattribute__(kind, "__module__")).partition(".")[0] not in sys.stdlib_module_names
