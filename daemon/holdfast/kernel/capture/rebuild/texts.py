"""What arrays of texts are filled with."""

from __future__ import annotations

from typing import Any

from . import give_names


def fill(made: Any, state: tuple[Any, ...]) -> None:
    """Set the items of an array of objects, in memory order, and then the writeable flag.

    Args:
        made: the array.
        state: columns, the places of what is no text (64 bits each), what is there (one thing if it is the same
            everywhere), and whether the array may be written to. A column is a list of its items; or a tuple: a list of
            batches, numbers that say which text stands where (or None: each stands where it is), and their dtype. A
            batch is the character between its texts, and the texts as UTF-8.
    """
    import numpy

    columns, places, others, writeable = state
    flat = made.view(numpy.ndarray).ravel(order="K")
    at = 0
    for column in columns:
        if type(column) is list:
            for item in column:
                flat[at] = item
                at += 1
            continue
        batches, codes, kind = column
        parts = [str(batch, "utf-8", "surrogatepass").split(separator) for separator, batch in batches]
        if codes is None:
            for texts in parts:
                flat[at : at + len(texts)] = texts
                at += len(texts)
            continue
        numbers = numpy.frombuffer(codes, kind)
        known = numpy.empty(sum(map(len, parts)), object)
        known[:] = [text for texts in parts for text in texts]
        flat[at : at + len(numbers)] = known.take(numbers)
        at += len(numbers)
    where = numpy.frombuffer(places, numpy.int64).tolist()
    for place, item in zip(where, others * len(where) if len(others) == 1 else others, strict=True):
        flat[place] = item
    if not writeable:
        made.flags.writeable = False


give_names(globals())
