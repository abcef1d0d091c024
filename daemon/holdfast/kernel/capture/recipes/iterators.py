"""How iterators are taken apart without moving them: what they iterate over, and where they are.

From 3.14 on the iterators of `itertools` don't say that. Many can be known by what they refer to, which is looked at in
every version; the others are lost there.
"""

from __future__ import annotations

import gc
import itertools
import warnings
from pickle import PicklingError
from typing import TYPE_CHECKING, Any

from ..rebuild import iterators as rebuild

if TYPE_CHECKING:
    from ..pickler import ComponentPickler
    from .registry import Recipe


def _dict_iterator(pickler: ComponentPickler, iterator: Any) -> Any:
    """Keep an iterator on its dict; a dict that has changed under it makes it raise, here as in a loop."""
    remaining = iterator.__reduce__()[1][0]
    owner = next((part for part in gc.get_referents(iterator) if isinstance(part, dict)), None)
    name = type(iterator).__name__
    if owner is None:
        return rebuild.ended, (name,)
    kind = next(kind for kind in ("key", "value", "item") if kind in name) + "s"
    backwards = "reverse" in name
    passed = len(owner) - len(remaining)
    if not _is_rest(remaining, rebuild.view_iterator(owner, kind, backwards, passed, len(owner))):
        return iter, (remaining,)
    return rebuild.view_iterator, (owner, kind, backwards, passed, len(owner))


def _sequence_iterator(pickler: ComponentPickler, iterator: Any) -> Any:
    """Leave it to Python, but for what is at its end, of which that would make one that is not, or of another type."""
    function, arguments, *state = iterator.__reduce__()
    if (
        function is iter
        and not state
        and len(arguments) == 1
        and type(arguments[0]) in (tuple, list, str)
        and not arguments[0]
    ):
        return rebuild.ended, (type(iterator).__name__,)
    return NotImplemented


def _is_rest(remaining: list[Any], iterator: Any) -> bool:
    rest = list(iterator)
    return len(rest) == len(remaining) and all(
        one is other or (type(one) is tuple and all(a is b for a, b in zip(one, other, strict=True)))
        for one, other in zip(rest, remaining, strict=True)
    )


def _parts(iterator: Any) -> list[Any]:
    """Return what an iterator refers to, in the order of its C structure."""
    parts = gc.get_referents(iterator)
    if parts and parts[0] is type(iterator):
        del parts[0]
    return parts


def _unknown(iterator: Any) -> PicklingError:
    return PicklingError(f"where an itertools.{type(iterator).__name__} is can't be known in this version of Python")


_known: dict[type, bool] = {}


def _parts_in_order(iterator: Any, *arguments: Any) -> list[Any]:
    """Return an iterator's parts, once a sample has shown that they are in the order expected in this Python."""
    kind = type(iterator)
    if kind not in _known:
        samples = [iter(()) if argument is iter else argument for argument in arguments]
        shown = _parts(kind(*samples))[: len(samples)]
        expected = samples[::-1] if kind in _FUNCTION_LAST else samples
        _known[kind] = len(shown) == len(expected) and all(map(_is, shown, expected))
    if not _known[kind]:
        raise _unknown(iterator)
    return _parts(iterator)


def _is(one: object, other: object) -> bool:
    return one is other


_FUNCTION_LAST = (itertools.starmap, itertools.filterfalse)


def _function_and_iterator(pickler: ComponentPickler, iterator: Any) -> Any:
    source, function = _parts_in_order(iterator, len, iter)
    return rebuild.function_over, (type(iterator).__name__, function, source)


def _compress(pickler: ComponentPickler, iterator: Any) -> Any:
    data, selectors = _parts_in_order(iterator, iter, iter)
    return rebuild.compress, (data, selectors)


def _count(pickler: ComponentPickler, iterator: Any) -> Any:
    parts = _parts(iterator)
    if len(parts) == 1:
        # It counts in C; only its representation tells.
        return rebuild.count, (int(repr(iterator)[len("count(") : -1]), 1)
    start, step = parts
    return rebuild.count, (start, step)


def _repeat(pickler: ComponentPickler, iterator: Any) -> Any:
    (element,) = _parts(iterator)
    try:
        times = iterator.__length_hint__()
    except TypeError:
        return rebuild.repeat, (element, None)
    return rebuild.repeat, (element, times)


def _cycle(pickler: ComponentPickler, iterator: Any) -> Any:
    parts = _parts(iterator)
    if len(parts) == 2 and type(parts[1]) is list:
        source, saved = parts
        return rebuild.cycle_begun, (tuple(saved), source)
    if len(parts) != 1 or type(parts[0]) is not list:
        raise _unknown(iterator)
    # Once round, and it is where it was.
    return rebuild.cycle_begun, ((), iter(list(itertools.islice(iterator, len(parts[0])))))


def _chain(pickler: ComponentPickler, iterator: Any) -> Any:
    parts = _parts_in_order(iterator)
    if len(parts) == 2 and not hasattr(type(parts[1]), "__next__"):
        raise _unknown(iterator)
    return rebuild.chain, tuple(parts)


def _zip_longest(pickler: ComponentPickler, iterator: Any) -> Any:
    parts = _parts(iterator)
    if len(parts) != 3 or type(parts[0]) is not tuple or type(parts[1]) is not tuple:
        raise _unknown(iterator)
    if len(gc.get_referents(parts[0])) < len(parts[0]):
        # Some are at their end and gone, and there is no looking at their places.
        return _by_its_own_reduction(pickler, iterator)
    return rebuild.zip_longest, (parts[0], parts[2])


def _accumulate(pickler: ComponentPickler, iterator: Any) -> Any:
    parts = _parts(iterator)
    function: Any = None
    if len(parts) == 4 or (len(parts) == 3 and callable(parts[0]) and not hasattr(type(parts[0]), "__next__")):
        function = parts.pop(0)
    if len(parts) not in (2, 3) or not hasattr(type(parts[0]), "__next__"):
        raise _unknown(iterator)
    source, *totals, initial = parts
    if totals:
        return rebuild.accumulate_begun, (source, function, totals[0])
    return rebuild.accumulate, (source, function, initial)


def _pairwise(pickler: ComponentPickler, iterator: Any) -> Any:
    parts = _parts(iterator)
    if parts and _PAIRS_ARE_KEPT:
        parts.pop()
    if len(parts) > 2:
        raise _unknown(iterator)
    return (rebuild.pairwise if len(parts) < 2 else rebuild.pairwise_begun), tuple(parts)


_PAIRS_ARE_KEPT = len(_parts(itertools.pairwise(()))) == 2
"""Whether the tuple that was returned last is a part as well."""


def _by_its_own_reduction(pickler: ComponentPickler, iterator: Any) -> Any:
    if "__reduce__" not in vars(type(iterator)):
        raise _unknown(iterator)
    function, arguments, *state = _quietly_reduced(iterator)
    if function is iter:
        return function, arguments
    return rebuild.resumed, (function.__name__, arguments, *state)


def _quietly_reduced(iterator: Any) -> Any:
    """Return the reduce value; from 3.12 on Python warns of it, which is not the user's concern.

    ``warnings.catch_warnings`` would let warnings that were shown once be shown again.
    """
    filters: Any = warnings.filters
    silence = ("ignore", None, DeprecationWarning, None, 0)
    filters.insert(0, silence)
    try:
        return iterator.__reduce__()
    finally:
        filters.remove(silence)


RECIPES: dict[tuple[str, str], Recipe] = {
    **{
        ("builtins", f"dict_{order}{part}iterator"): _dict_iterator
        for order in ("", "reverse")
        for part in ("key", "value", "item")
    },
    **{("builtins", name): _sequence_iterator for name in rebuild.AT_THEIR_END},
    ("itertools", "starmap"): _function_and_iterator,
    ("itertools", "filterfalse"): _function_and_iterator,
    ("itertools", "compress"): _compress,
    ("itertools", "count"): _count,
    ("itertools", "repeat"): _repeat,
    ("itertools", "cycle"): _cycle,
    ("itertools", "chain"): _chain,
    ("itertools", "zip_longest"): _zip_longest,
    ("itertools", "accumulate"): _accumulate,
    ("itertools", "pairwise"): _pairwise,
    **{
        ("itertools", name): _by_its_own_reduction
        for name in (
            "islice", "takewhile", "dropwhile", "product", "permutations", "combinations",
            "combinations_with_replacement", "groupby", "_grouper", "_tee", "_tee_dataobject", "batched",
        )
    },
}  # fmt: skip
