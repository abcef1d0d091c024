"""Making iterators again that go on where they were; what they iterate over is not moved by it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

from . import Unavailable, give_names


def view_iterator(mapping: dict[Any, Any], kind: str, backwards: bool, passed: int, size: int) -> Iterator[Any]:
    """Return an iterator over a dict's keys, values or items that has passed some of them.

    Raises:
        Unavailable: the dict isn't whole yet: it holds its own iterator.
    """
    if len(mapping) != size:
        raise Unavailable("an iterator over a dict that holds it can't be made again")
    view: Any = getattr(dict, kind)(mapping)
    made: Iterator[Any] = reversed(view) if backwards else iter(view)
    for _ in range(passed):
        next(made)
    return made


class _Nothing:
    def __getitem__(self, index: int) -> Any:
        raise IndexError


AT_THEIR_END: dict[str, Callable[[], Iterator[Any]]] = {
    "iterator": lambda: iter(_Nothing()),  # a sequence by its `__getitem__` alone
    "bytes_iterator": lambda: iter(b""),
    "bytearray_iterator": lambda: iter(bytearray()),
    "callable_iterator": lambda: iter(int, 0),
    "list_iterator": lambda: iter([]),
    "list_reverseiterator": lambda: reversed([]),
    "tuple_iterator": lambda: iter(()),
}
"""What an iterator of a type is that has nothing to give, by the name of the type."""


def ended(kind: str) -> Iterator[Any]:
    """Return an iterator that is at its end: one that would not go on if what it iterates over grew."""
    if kind in AT_THEIR_END:
        made = AT_THEIR_END[kind]()
    else:
        part = next(part for part in ("key", "value", "item") if part in kind) + "s"
        view: Any = getattr(dict, part)({})
        made = reversed(view) if "reverse" in kind else iter(view)
    for _ in made:
        pass
    return made


def function_over(kind: str, function: Any, source: Any) -> Any:
    """Return a ``starmap`` or ``filterfalse``."""
    return getattr(itertools, kind)(function, source)


def compress(data: Any, selectors: Any) -> Any:
    """Return an ``itertools.compress``."""
    return itertools.compress(data, selectors)


def count(start: Any, step: Any) -> Any:
    """Return an ``itertools.count``."""
    return itertools.count(start, step)


def repeat(element: Any, times: int | None) -> Any:
    """Return an ``itertools.repeat``."""
    return itertools.repeat(element) if times is None else itertools.repeat(element, times)


def cycle_begun(saved: tuple[Any, ...], source: Any) -> Any:
    """Return an ``itertools.cycle`` in its first round: some are behind it, the others are still in `source`."""
    if not saved:
        return itertools.cycle(source)
    made = itertools.cycle(itertools.chain(saved, source))
    for _ in saved:
        next(made)
    return made


def chain(source: Any = (), active: Any = None) -> Any:
    """Return an ``itertools.chain`` over the iterables in `source`, after what is left of `active`."""
    rest = itertools.chain.from_iterable(source)
    return rest if active is None else itertools.chain(active, rest)


def zip_longest(sources: tuple[Any, ...], filling: Any) -> Any:
    """Return an ``itertools.zip_longest``."""
    return itertools.zip_longest(*sources, fillvalue=filling)


def accumulate(source: Any, function: Any, initial: Any) -> Any:
    """Return an ``itertools.accumulate`` that hasn't begun."""
    return itertools.accumulate(source, function, initial=initial)


def accumulate_begun(source: Any, function: Any, total: Any) -> Any:
    """Return an ``itertools.accumulate`` that has come to a total."""
    if total is None:
        # As an initial value it would mean that there is none.
        made = itertools.accumulate(itertools.chain((None,), source), function)
    else:
        made = itertools.accumulate(source, function, initial=total)
    next(made)
    return made


def pairwise(source: Any = ()) -> Any:
    """Return an ``itertools.pairwise`` that hasn't begun."""
    return itertools.pairwise(source)


def pairwise_begun(source: Any, last: Any) -> Any:
    """Return an ``itertools.pairwise`` after a pair of which `last` was the second."""
    return itertools.pairwise(itertools.chain((last,), source))


def resumed(kind: str, arguments: tuple[Any, ...], *state: Any) -> Any:
    """Return an iterator of `itertools` in the state that ``__reduce__`` gave.

    Raises:
        Unavailable: this version of Python can't set it.
    """
    if kind == "islice" and len(arguments) == 4:
        source, start, stop, step = arguments
        passed = state[0] if state else 0
        return itertools.islice(source, start - passed, None if stop is None else stop - passed, step)
    made: Any = getattr(itertools, kind)(*arguments)
    for value in state:
        if not hasattr(made, "__setstate__"):
            raise Unavailable(f"an itertools.{kind} can't be put where it was in this version of Python")
        made.__setstate__(value)
    return made


give_names(globals())
