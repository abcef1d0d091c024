"""Generators, coroutines and asynchronous generators that have not begun, or are at their end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from . import give_names


def not_begun(function: Any, arguments: tuple[Any, ...], named: dict[str, Any], name: str, qualified: str) -> Any:
    """Return what a generator function or coroutine function makes of arguments, which runs none of its code."""
    made = function(*arguments, **named)
    made.__name__, made.__qualname__ = name, qualified
    return made


def ended(kind: str, name: str, qualified: str) -> Any:
    """Return a generator that has nothing more to give, or a coroutine that was awaited.

    Args:
        kind: the name of its type.
    """
    made: Any = {"generator": _generator, "coroutine": _coroutine, "async_generator": _async_generator}[kind]()
    made.__name__, made.__qualname__ = name, qualified
    if kind == "async_generator":
        try:
            made.aclose().send(None)
        except StopIteration:
            return made
    made.close()
    return made


def _generator() -> Iterator[None]:
    yield


async def _coroutine() -> None:
    """Return nothing."""


async def _async_generator() -> AsyncIterator[None]:
    yield


give_names(globals())
