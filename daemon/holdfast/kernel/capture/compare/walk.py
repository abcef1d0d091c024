"""Whether an object came back as it was: two graphs walked side by side, without recursion, until they differ.

Only what is certain counts as a difference, since it costs the user the variable: another type, another shape, plain
data that is missing or has another value. What can't be told apart for sure is taken for equal.
"""

from __future__ import annotations

import types
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from ..kinds import ATOMS, module_of
from . import instances, libraries

Path = tuple[Any, Any] | None
"""How to get to an object from where the comparison began: the steps before, and the last one.

A step is text (``.name``), an index, or a tuple with the key of a mapping: what it says is only made when it is told.
"""
Pair = tuple[Any, Any, Path]
Pairs = Iterable[Pair]
"""What has to be alike for two objects to be alike."""
Handler = Callable[["Comparison", Any, Any, Path], Pairs]


@dataclass(frozen=True)
class Difference:
    """The first thing that did not come back as it was.

    Attributes:
        path: where it is, as an expression after the variable's name: ``.weights_[3]``.
        what: what is wrong there, as the end of a sentence: ``is missing``.
    """

    path: str
    what: str


class _Differs(Exception):
    def __init__(self, difference: Difference) -> None:
        super().__init__(difference.what)
        self.difference = difference


class Comparison:
    """One walk through two graphs.

    Args:
        anew: definitions that were loaded as well, by the id of the living one: instances of the one are as good as
            instances of the other.
        ignored: paths at which a difference says nothing.
        opaque: types of which only the user knows what comes back.
    """

    def __init__(
        self, anew: Mapping[int, Any] | None = None, ignored: Collection[str] = (), opaque: tuple[type, ...] = ()
    ) -> None:
        self._anew = dict(anew or {})
        self._ignored = frozenset(ignored)
        self._opaque = opaque
        self._work: list[Pair | Iterator[Pair]] = []
        self._seen: set[tuple[int, int]] = set()
        self._alive: list[Any] = []

    def difference(self, live: Any, loaded: Any) -> Difference | None:
        """Return the first difference, None if there is none."""
        self._work = [(live, loaded, None)]
        try:
            while self._work:
                top = self._work[-1]
                if isinstance(top, tuple):
                    self._work.pop()
                    self._step(*top)
                elif (pair := next(top, None)) is None:
                    self._work.pop()
                else:
                    self._step(*pair)
        except _Differs as found:
            return found.difference
        finally:
            self._work.clear()
        return None

    def differ(self, path: Path, what: str) -> None:
        """Report a difference, unless it is one that says nothing."""
        text = _text(path)
        if text not in self._ignored:
            raise _Differs(Difference(text, what))

    def keep(self, thing: Any) -> Any:
        """Keep a temporary object alive, so that its id means nothing else, and return it."""
        self._alive.append(thing)
        return thing

    def is_same_type(self, live: type, loaded: type) -> bool:
        """Whether two types are one, or one and its copy that was loaded, or made alike by a library's function."""
        if live is loaded or self._anew.get(id(live)) is loaded:
            return True
        names = [(module_of(kind), type.__getattribute__(kind, "__qualname__")) for kind in (live, loaded)]
        return names[0] == names[1] and names[0][0] != "__main__"

    def same(self, live: Any, loaded: Any) -> bool:
        """Whether two parts are alike, found out at once."""
        return Comparison(self._anew, opaque=self._opaque).difference(live, loaded) is None

    def _step(self, live: Any, loaded: Any, path: Path) -> None:
        if live is loaded or self._anew.get(id(live)) is loaded:
            return
        kind = type(live)
        if self._opaque and issubclass(kind, self._opaque):
            return
        if kind in _VALUES and type(loaded) is kind:
            if not is_equal_value(live, loaded):
                self.differ(path, f"is {_short(loaded)} instead of {_short(live)}")
            return
        if not self.is_same_type(kind, type(loaded)):
            if kind.__name__ == type(loaded).__name__ and instances.says_equal(kind, live, loaded):
                # Made alike, by a library that makes classes as it needs them.
                return
            self.differ(path, f"is a {type(loaded).__name__} instead of a {kind.__name__}")
            return
        key = (id(live), id(loaded))
        if key in self._seen:
            return
        self._seen.add(key)
        more = handler_of(kind)(self, live, loaded, path)
        if isinstance(more, list):
            more.reverse()
            self._work += more
        else:
            self._work.append(iter(more))


_VALUES = ATOMS
_WIDE = 10_000
"""Containers above this size are gone through one by one, not all at once."""


def is_equal_value(live: Any, loaded: Any) -> bool:
    """Whether two immutable values of one type are equal; nan is nan."""
    if live == loaded:
        return True
    if isinstance(live, complex):
        return is_equal_value(live.real, loaded.real) and is_equal_value(live.imag, loaded.imag)
    return bool(live != live and loaded != loaded)


def _text(path: Path) -> str:
    steps = []
    while path is not None:
        path, step = path
        steps.append(step if isinstance(step, str) else _item(step))
    if len(steps) > 12:
        steps[6:-6] = ["…"]
    return "".join(reversed(steps))


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "…"


def _item(step: Any) -> str:
    if isinstance(step, int):
        return f"[{step}]"
    (key,) = step
    return f"[{_short(key)}]" if type(key) in ATOMS else f"[<{type(key).__name__}>]"


# -- builtin containers: their content, past whatever a subclass makes of it


def _sequence(comparison: Comparison, live: Any, loaded: Any, path: Path) -> Pairs:
    base = next(kind for kind in (list, tuple, deque) if isinstance(live, kind))
    if base.__len__(live) != base.__len__(loaded):
        comparison.differ(path, f"has {base.__len__(loaded)} items instead of {base.__len__(live)}")
        return []
    if type(live) is base and set(map(type, live)) <= ATOMS and _same_types(live, loaded) and live == loaded:
        # As fast as C compares, for the usual case that they are equal; True is not 1.
        return []
    paths = ((path, index) for index in range(base.__len__(live)))
    pairs = zip(base.__iter__(live), base.__iter__(loaded), paths, strict=False)
    return list(pairs) if base.__len__(live) < _WIDE else pairs


def _same_types(live: Any, loaded: Any) -> bool:
    return list(map(type, live)) == list(map(type, loaded))


def _set(comparison: Comparison, live: Any, loaded: Any, path: Path) -> Pairs:
    if len(live) != len(loaded):
        comparison.differ(path, f"has {len(loaded)} items instead of {len(live)}")
    elif set(map(type, live)) <= ATOMS and not all(item in loaded or item != item for item in live):
        comparison.differ(path, "has other items")
    return []


def _dict(comparison: Comparison, live: Any, loaded: Any, path: Path) -> Pairs:
    if dict.__len__(live) != dict.__len__(loaded):
        missing = [key for key in dict.keys(live) if type(key) in ATOMS and not dict.__contains__(loaded, key)]
        if missing:
            comparison.differ((path, (missing[0],)), "is missing")
        else:
            comparison.differ(path, f"has {dict.__len__(loaded)} items instead of {dict.__len__(live)}")
        return []
    pairs = _items(comparison, live, loaded, path)
    return list(pairs) if dict.__len__(live) < _WIDE else pairs


def _items(comparison: Comparison, live: Any, loaded: Any, path: Path) -> Iterator[Pair]:
    for (key, value), (other_key, other) in zip(dict.items(live), dict.items(loaded), strict=False):
        if type(key) in ATOMS:
            if dict.__contains__(loaded, key):
                yield value, dict.__getitem__(loaded, key), (path, (key,))
            elif key == key:
                comparison.differ((path, (key,)), "is missing")
        elif type(key) is type(other_key):
            # Pickle keeps the order; a key that is known by identity can't be looked up.
            yield value, other, (path, (key,))


def _default_dict(comparison: Comparison, live: Any, loaded: Any, path: Path) -> Pairs:
    return [*_dict(comparison, live, loaded, path), (live.default_factory, loaded.default_factory, path)]


def _bytes(comparison: Comparison, live: Any, loaded: Any, path: Path) -> Pairs:
    if bytes(live) != bytes(loaded):
        comparison.differ(path, "has other bytes")
    return []


# -- what Python itself is made of


def _function(comparison: Comparison, live: Any, loaded: Any, path: Path) -> Pairs:
    if live.__code__.co_code != loaded.__code__.co_code or live.__qualname__ != loaded.__qualname__:
        comparison.differ(path, "is another function")
    return [
        (live.__defaults__, loaded.__defaults__, (path, ".__defaults__")),
        (live.__kwdefaults__, loaded.__kwdefaults__, (path, ".__kwdefaults__")),
        (live.__closure__, loaded.__closure__, (path, ".__closure__")),
        (dict(live.__dict__), dict(loaded.__dict__), (path, ".__dict__")),
    ]


def _cell(comparison: Comparison, live: Any, loaded: Any, path: Path) -> Pairs:
    try:
        return [(live.cell_contents, loaded.cell_contents, path)]
    except ValueError:
        return []


def _method(comparison: Comparison, live: Any, loaded: Any, path: Path) -> Pairs:
    return [(live.__func__, loaded.__func__, path), (live.__self__, loaded.__self__, (path, ".__self__"))]


def _partial(comparison: Comparison, live: Any, loaded: Any, path: Path) -> Pairs:
    return [
        (live.func, loaded.func, (path, ".func")),
        (live.args, loaded.args, (path, ".args")),
        (live.keywords, loaded.keywords, (path, ".keywords")),
    ]


def _class(comparison: Comparison, live: Any, loaded: Any, path: Path) -> Pairs:
    if live.__qualname__ != loaded.__qualname__ or live.__module__ != loaded.__module__:
        comparison.differ(path, f"is the class {loaded.__qualname__} instead of {live.__qualname__}")
    return []


def _module(comparison: Comparison, live: Any, loaded: Any, path: Path) -> Pairs:
    if live.__name__ != loaded.__name__:
        comparison.differ(path, f"is the module {loaded.__name__} instead of {live.__name__}")
    return []


def _nothing(comparison: Comparison, live: Any, loaded: Any, path: Path) -> Pairs:
    return []


_EXACT: dict[type, Handler] = {
    list: _sequence,
    tuple: _sequence,
    deque: _sequence,
    set: _set,
    frozenset: _set,
    dict: _dict,
    OrderedDict: _dict,
    defaultdict: _default_dict,
    bytearray: _bytes,
    types.FunctionType: _function,
    types.CellType: _cell,
    types.MethodType: _method,
    partial: _partial,
    types.BuiltinFunctionType: _nothing,
    types.CodeType: _nothing,
    memoryview: _nothing,
    object: _nothing,
}


_CONTAINERS = (list, tuple, deque, set, frozenset, dict, bytearray, bytes)


def content_handler(kind: type) -> Handler | None:
    """Return how the content of an instance of a builtin container's subclass is compared.

    None also if the class keeps its content elsewhere: what lies in the builtin part says nothing then.
    """
    base: Any = next((base for base in _CONTAINERS if issubclass(kind, base)), None)
    if base is None or kind.__len__ is not base.__len__ or kind.__iter__ is not base.__iter__:  # type: ignore[attr-defined]
        return None
    if issubclass(kind, (list, tuple, deque)):
        return _sequence
    if issubclass(kind, (set, frozenset)):
        return _set
    if issubclass(kind, dict):
        return _dict
    return _bytes if issubclass(kind, (bytearray, bytes)) else None


def _value_of_subclass(comparison: Comparison, live: Any, loaded: Any, path: Path) -> Pairs:
    base = next(kind for kind in _SCALARS if isinstance(live, kind))
    if not is_equal_value(base.__pos__(live) if base is not str else base.__str__(live), _plain(base, loaded)):
        comparison.differ(path, "has another value")
    return instances.attributes(comparison, live, loaded, path)


_SCALARS: tuple[Any, ...] = (int, float, complex, str)


def _plain(base: Any, value: Any) -> Any:
    return base.__str__(value) if base is str else base.__pos__(value)


def handler_of(kind: type) -> Handler:
    """Return how two objects of a type are compared."""
    handler = _EXACT.get(kind)
    if handler is not None:
        return handler
    if issubclass(kind, type):
        return _class
    if issubclass(kind, types.ModuleType):
        return _module
    handler = libraries.handler_of(kind)
    if handler is not None:
        return handler
    if issubclass(kind, _SCALARS):
        return _value_of_subclass
    content = content_handler(kind)
    if content is None:
        return instances.instance

    def both(comparison: Comparison, live: Any, loaded: Any, path: Path) -> Pairs:
        inside = content(comparison, live, loaded, path)
        attributes = list(instances.attributes(comparison, live, loaded, path))
        return attributes + inside if isinstance(inside, list) else [*attributes, *inside]

    return both
