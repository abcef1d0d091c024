"""Arrays of texts, such as pandas' columns: stored as a few long texts beside the stream, not as a million objects.

The texts of a column are joined, with a character between them that is in none; in batches, so that one that changes
costs its batch. Where many are the same, each is stored once, and numbers say which stands where. Whatever else is in
the array (None, NaN, any object) is pickled as always.
"""

from __future__ import annotations

import sys
from pickle import PickleBuffer
from typing import Any

from .pages import LARGE

AT_LEAST = 1 << 12
"""Smaller arrays are not worth it."""
_SAMPLE = 10_000
_REPEATED = 0.05
_REPEATED_OF_LONG = 0.002
"""How many of a sample have to be there twice, for texts to be numbered."""
_LONG = 64
_TOO_LONG = 1 << 16
"""Texts of this length are left where they are; see `payloads`."""
_SEPARATORS = ("\0", "\x1f", "\x1e", "\x1d", "\x1c", "\x01", "\x02", "\n")


def state_of(items: list[Any], size: int, passing: set[int]) -> tuple[Any, ...] | None:
    """Return the first three arguments of `rebuild.texts.fill`; None for what is better pickled item by item.

    Args:
        items: of an array, in the order in which they lie in memory; some may be taken out.
        size: of its columns.
        passing: gets the ids of what is made here to be sent, and is gone then.
    """
    numpy: Any = sys.modules["numpy"]
    columns: list[Any] = []
    places: list[int] = []
    others: list[Any] = []
    for start in range(0, len(items), size):
        column = items[start : start + size] if size < len(items) else items
        sample = _sample(column)
        if sum(type(item) is str for item in sample) * 2 < len(sample):
            columns.append(column)
            continue
        if set(map(type, column)) != {str}:
            found = [place for place, item in enumerate(column) if type(item) is not str]
            others += [column[place] for place in found]
            places += [start + place for place in found]
            for place in found:
                column[place] = ""
        columns.append(_column(numpy, column, passing))
    if None in columns or all(type(column) is list for column in columns):
        return None
    where = numpy.array(places, numpy.int64).view(numpy.uint8)
    passing.add(id(where))
    return columns, PickleBuffer(where), others[:1] if len(set(map(id, others))) == 1 else others


def _sample(items: list[Any]) -> list[Any]:
    return items[:: max(len(items) // _SAMPLE, 1)]


def _column(numpy: Any, items: list[str], passing: set[int]) -> tuple[Any, ...] | None:
    """Return the batches of texts, the numbers that stand for the texts if they are numbered, and the numbers' type."""
    sample = [item for item in _sample(items) if item]
    length = sum(map(len, sample)) // (len(sample) or 1)
    if length >= _TOO_LONG:
        return None
    texts, codes, kind = items, None, ""
    if len(sample) - len(set(sample)) > len(sample) * (_REPEATED if length < _LONG else _REPEATED_OF_LONG):
        numbers = dict.fromkeys(items, 0)
        if len(numbers) < len(items):
            texts = list(numbers)
            for number, text in enumerate(texts):
                numbers[text] = number
            kind = numpy.min_scalar_type(len(texts)).str
            memory = numpy.fromiter(map(numbers.__getitem__, items), kind, len(items)).view(numpy.uint8)
            passing.add(id(memory))
            codes = PickleBuffer(memory)
    step = 1 << (LARGE // (length + 1)).bit_length()
    batches = [_batch(texts[start : start + step], passing) for start in range(0, len(texts), step)]
    return None if None in batches else (batches, codes, kind)


def _batch(texts: list[str], passing: set[int]) -> tuple[str, PickleBuffer] | None:
    """Return texts as one, with the character between them; None if there is none that is in none of them."""
    for separator in _SEPARATORS:
        joined = separator.join(texts)
        if joined.count(separator) == len(texts) - 1:
            encoded = joined.encode("utf-8", "surrogatepass")
            passing.add(id(encoded))
            return separator, PickleBuffer(encoded)
    return None
