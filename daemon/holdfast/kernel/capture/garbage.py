"""Python's search for circles of garbage, put off while many objects are made that are all still needed."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sized
from contextlib import contextmanager

MANY = 1000
_put_off: list[bool] = []
"""While it is put off: whether the session wants it afterwards."""


@contextmanager
def kept_off(work: Sized | None = None) -> Iterator[None]:
    """Put it off; with `work`, only if that is more than a little."""
    if (work is not None and len(work) < MANY) or not gc.isenabled():
        yield
        return
    gc.disable()
    _put_off.append(True)
    try:
        yield
    finally:
        if _put_off.pop():
            gc.enable()


def is_wanted() -> bool:
    """Whether the session has it on."""
    return _put_off[-1] if _put_off else gc.isenabled()


def want(on: bool) -> None:
    """Turn it on or off for the session; while it is put off, for afterwards."""
    if _put_off:
        _put_off[-1] = on
    elif on:
        gc.enable()
    else:
        gc.disable()
