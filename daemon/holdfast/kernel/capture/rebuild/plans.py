"""Polars' plans."""

from __future__ import annotations

from typing import Any

from . import give_names

kept: dict[str, Any] = {}
"""Objects in plans that were restored, by their marks: polars looks for them when it carries a plan out."""


def plan(cls: Any, written: Any, objects: dict[str, Any]) -> Any:
    """Return a ``LazyFrame`` or ``Expr``.

    Args:
        written: as polars writes it, with marks in place of Python objects.
        objects: these, by their marks.
    """
    kept.update(objects)
    made = cls.__new__(cls)
    made.__setstate__(bytes(written))
    return made


def marked(mark: str) -> Any:
    """Return an object of a plan."""
    return kept[mark]


give_names(globals())
