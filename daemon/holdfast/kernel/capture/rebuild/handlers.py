"""The functions that pickles of logging handlers name."""

from __future__ import annotations

import io
import logging
from typing import Any

from . import give_names


def make_handler(cls: Any) -> Any:
    """Return a handler to which nothing has happened yet."""
    return cls.__new__(cls)


def set_handler_state(handler: Any, state: dict[str, Any]) -> None:
    """Give a handler its attributes and a lock of its own; a file is appended to, whatever it was opened for first."""
    handler.__dict__.update(state)
    handler.createLock()
    if isinstance(handler, logging.FileHandler):
        vars(handler).update(stream=None, mode="a", _closed=False, _builtin_open=io.open)
    if handler.name:
        logging._handlers[handler.name] = handler  # type: ignore[attr-defined]
    logging._addHandlerRef(handler)  # type: ignore[attr-defined]


give_names(globals())
