"""Documents changed at random, for the fuzzers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hypothesis import HealthCheck, Phase, settings


def places(value: Any, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Go through the paths to everything inside of a value."""
    yield here
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from places(child, (*here, key))


def changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """Return a copy of a value in which one thing is another."""
    if not path:
        return new
    first, *rest = path
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[first] = changed(value[first], tuple(rest), new)
    return copy


def examples(count: int) -> settings:
    """Return how Hypothesis is to run: as often as said, without a memory of its own; a seed brings a run back."""
    return settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
