"""Python's search for circles of garbage, put off while many objects are made that are all still needed."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sized
from contextlib import contextmanager

MANY = 1000
_put_off: list[bool] = []
"""While it is put off: whether the session wants it afterwards."""


@contextmanager
def kept_off(work: Sized | None = None, *, loading: bool = False) -> Iterator[None]:
    """Put it off.

    Args:
        work: what is done meanwhile: it is only put off if that is more than a little.
        loading: what is made meanwhile is there to stay, and counts as old afterwards. Else it would be searched
            as soon as this ends: all at once, and while somebody waits.
    """
    if (work is not None and len(work) < MANY) or not gc.isenabled():
        yield
        return
    gc.disable()
    _put_off.append(True)
    try:
        yield
    finally:
        if _put_off.pop():
            if loading:
                _grow_old()
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


def _grow_old() -> None:
    """Let all objects be of the oldest generation, which is searched when it has grown.

    Not where the session has frozen objects: they would no longer be. Some hundred are Python 3.12's own.
    """
    if gc.get_count()[0] > MANY > gc.get_freeze_count():
        gc.freeze()
        gc.unfreeze()
