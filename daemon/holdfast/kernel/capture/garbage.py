"""Python's search for circles of garbage, put off while many objects are made that are all still needed."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sized
from contextlib import contextmanager

MANY = 1000


@contextmanager
def kept_off(work: Sized | None = None) -> Iterator[None]:
    """Put it off; with `work`, only if that is more than a little."""
    if (work is not None and len(work) < MANY) or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
