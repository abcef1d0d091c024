"""Queues and thread-local values."""

from __future__ import annotations

import importlib
import threading
from typing import Any

from . import give_names


def simple_queue() -> Any:
    """Return an empty ``queue.SimpleQueue``."""
    return importlib.import_module("queue").SimpleQueue()


def fill_queue(made: Any, items: list[Any]) -> None:
    """Put items into a queue."""
    for item in items:
        made.put(item)


def main_thread() -> threading.Thread:
    """Return the thread that runs the cells."""
    return threading.main_thread()


def local() -> Any:
    """Return a ``threading.local``."""
    return threading.local()


def of_loop(cls: Any) -> Any:
    """Return a lock, event or queue of `asyncio` without attributes."""
    return cls.__new__(cls)


def set_attributes(made: Any, attributes: dict[str, Any]) -> None:
    """Set the attributes that an object has in this thread."""
    made.__dict__.update(attributes)


give_names(globals())
