"""The order in which sets of numbers are iterated over.

It follows from the numbers, from how much room the set has, and from what was put into it when and taken out again. So
a set that is made of the same numbers anew is often in another order, and a loop over it goes another way. Here is
found out how to make one in the same order, by what Python does with an item: it looks at places in an order which the
hash decides, and takes the first that is free. Whether that succeeds is seen by trying.

Hashes of strings differ from process to process, and so do their orders; sets with such are left alone.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import chain, compress, islice
from typing import Any

from .kinds import module_of
from .rebuild import sets

Orders = list[tuple[Any, tuple[Any, ...]]]
"""Sets, each with the persistent id that it is stored as."""

AT_MOST = 1_000
"""Items of a set whose order is found out: it takes 20 microseconds for each."""
FIND_IN_ALL = 4_000
"""Items of all the sets of a component whose orders are found out: more would take longer than a tenth of a second."""
LOOK_AT_IN_ALL = 50_000
"""Items of all the sets of a component that are looked at, for whether they would come back in another order."""

_KINDS = frozenset({set, frozenset})
_NUMBERS = (bool, int, float, complex)
_EMPTY_BYTES = set().__sizeof__()
_FIRST_ROOM = 8
_ENTRY_BYTES = (set(range(5)).__sizeof__() - _EMPTY_BYTES) // 32
_NEIGHBOURS = 9
_PLACES = 48
_TURNS = 24


def orders_of(visited: Sequence[Any]) -> Orders:
    """Return those sets that would come back in another order, and how they come back in theirs."""
    found: Orders = []
    known: set[int] = set()
    to_look_at, to_find = LOOK_AT_IN_ALL, FIND_IN_ALL
    for thing in compress(visited, map(_KINDS.__contains__, map(type, visited))):
        if id(thing) not in known:
            known.add(id(thing))
            to_look_at -= len(thing)
            if to_look_at < 0:
                break
            if 1 < len(thing) <= min(AT_MOST, to_find) and all(map(_has_lasting_hash, thing)) and _is_another(thing):
                to_find -= len(thing)
                way = way_to(thing)
                if way is not None:
                    found.append((thing, ("ordered", len(found), *way)))
    return found


def _is_another(collection: Any) -> bool:
    """Whether the set is in another order when it is made anew."""
    items = list(collection)
    return list(type(collection)(items)) != items


def _has_lasting_hash(item: Any) -> bool:
    kind = type(item)
    if kind in _NUMBERS:
        return True
    if kind is tuple:
        return all(map(_has_lasting_hash, item))
    return bool(module_of(kind) == "numpy" and hasattr(kind, "dtype") and item.dtype.kind in "biuf")


def way_to(collection: Any) -> tuple[bool, int, tuple[Any, ...], tuple[int, ...]] | None:
    """Return arguments of `sets.ordered` that give the set in its order; None if none are found."""
    items = list(collection)
    frozen = type(collection) is frozenset
    room = _room(collection)
    first = _in_places(items, room)
    # What did not fit at the end went to the beginning: it is put in last.
    turned: Iterator[tuple[list[Any], list[int]]] = (
        (items[turn:] + items[:turn], []) for turn in range(min(len(items), _TURNS))
    )
    for order, fillers in turned if first is None else chain((first,), turned):
        for way in _ways(frozen, room, order, fillers):
            made = sets.ordered(*way)
            if list(made) == items and (frozen or _room(made) == room):
                return way
    return None


def _room(collection: Any) -> int:
    return (collection.__sizeof__() - _EMPTY_BYTES) // _ENTRY_BYTES or _FIRST_ROOM


def _ways(
    frozen: bool, room: int, order: list[Any], fillers: list[int]
) -> Iterator[tuple[bool, int, tuple[Any, ...], tuple[int, ...]]]:
    if frozen:
        if not fillers:
            yield True, len(order), tuple(order), ()
            yield True, 0, tuple(order), ()
        return
    if room == _FIRST_ROOM:
        yield False, 0, tuple(order), tuple(fillers)
        return
    # Python gives as much room as the first power of two above twice the number of items.
    more = max(room // 4, 5) - len(order)
    if more > 0:
        taken = set(order)
        added = list(islice((number for number in range(-2, -room * 4, -1) if number not in taken), more))
        order, fillers = order + added, fillers + added
    yield False, min(len(order), room // 2 - 1), tuple(order), tuple(fillers)


def _in_places(items: list[Any], room: int) -> tuple[list[Any], list[int]] | None:
    """Return an order in which items go to places one after the other, and what has to be put in between.

    Returns:
        the items with the fillers among them, and the fillers; None if there is no such order.
    """
    mask = room - 1
    ways = [list(islice(_probes(hash(item), mask), _PLACES)) for item in items]
    upper = _next_in_row([way[0] for way in ways], room)
    places: list[int] = []
    last = -1
    for way, limit in zip(ways, upper, strict=True):
        later = [place for place in way if place > last]
        if not later:
            return None
        last = next((place for place in later if place < max(limit, last + 2)), min(later))
        places.append(last)
    whose = {place: number for number, place in enumerate(places)}
    needs: list[set[int]] = []
    empty: set[int] = set()
    for way, place in zip(ways, places, strict=True):
        before = way[: way.index(place)]
        needs.append({whose[one] for one in before if one in whose})
        empty.update(one for one in before if one not in whose)
    taken = set(items)
    fillers = [next(number for number in range(place, room * 64, room) if number not in taken) for place in empty]
    order = _after_their_needs(needs)
    return None if order is None else ([*fillers, *[items[number] for number in order]], fillers)


def _probes(hash_value: int, mask: int) -> Iterator[int]:
    """Return the places that Python looks at for an item, in order."""
    perturb = hash_value & 0xFFFFFFFFFFFFFFFF
    place = perturb & mask
    while True:
        yield place
        if place + _NEIGHBOURS <= mask:
            yield from range(place + 1, place + _NEIGHBOURS + 1)
        perturb >>= 5
        place = (place * 5 + 1 + perturb) & mask


def _next_in_row(homes: list[int], room: int) -> list[int]:
    """Return for each item where it has to lie before: the home of the next in the longest row of rising ones."""
    tails: list[int] = []
    ends: list[int] = []
    before: list[int | None] = []
    for number, home in enumerate(homes):
        position = bisect_right(tails, home)
        before.append(ends[position - 1] if position else None)
        tails[position : position + 1] = [home]
        ends[position : position + 1] = [number]
    row: set[int] = set()
    current: int | None = ends[-1]
    while current is not None:
        row.add(current)
        current = before[current]
    upper: list[int] = []
    limit = room
    for number in reversed(range(len(homes))):
        upper.append(limit if number not in row else max(limit, homes[number] + 1))
        if number in row:
            limit = homes[number] + 1
    return upper[::-1]


def _after_their_needs(needs: list[set[int]]) -> list[int] | None:
    """Return the numbers of items, each after those that it needs; None if some need each other."""
    waiting = [set(need) for need in needs]
    needed_by: dict[int, list[int]] = {}
    for number, need in enumerate(needs):
        for other in need:
            needed_by.setdefault(other, []).append(number)
    ready = [number for number, need in enumerate(waiting) if not need]
    order: list[int] = []
    for number in ready:
        order.append(number)
        for other in needed_by.get(number, ()):
            waiting[other].discard(number)
            if not waiting[other]:
                ready.append(other)
    return order if len(order) == len(needs) else None
