"""Readers and writers of `csv`."""

from __future__ import annotations

import csv
from itertools import chain, repeat
from typing import Any

from . import give_names


def reader(lines: Any, options: dict[str, Any], passed: int) -> Any:
    """Return a ``csv.reader`` that has read some lines; none of `lines` is read for it."""
    if not passed:
        return csv.reader(lines, **options)
    # It counts lines by itself, and an empty one is an empty row.
    made = csv.reader(chain(repeat("", passed), lines), **options)
    for _ in range(passed):
        next(made)
    return made


def writer(target: Any, options: dict[str, Any]) -> Any:
    """Return a ``csv.writer``."""
    return csv.writer(target, **options)


def dialect(options: dict[str, Any]) -> Any:
    """Return the dialect of a reader or writer."""
    return csv.reader((), **options).dialect


give_names(globals())
