"""Handlers of `logging`: all but the lock, and a file is opened again when the next record comes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from ..rebuild import handlers

if TYPE_CHECKING:
    from ..pickler import ComponentPickler

_MADE_ANEW = frozenset({"lock", "_builtin_open"})
_OF_FILE = frozenset({"stream", "mode", "_closed"})


def _handler(pickler: ComponentPickler, handler: Any) -> Any:
    logging: Any = sys.modules["logging"]
    left_out = _MADE_ANEW | _OF_FILE if isinstance(handler, logging.FileHandler) else _MADE_ANEW
    state = {name: value for name, value in handler.__dict__.items() if name not in left_out}
    return handlers.make_handler, (type(handler),), state, None, None, handlers.set_handler_state


DERIVED = {("logging", "Handler"): _handler}
