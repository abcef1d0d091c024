"""Readers and writers of `csv`: their dialect, and what they read from or write to."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

from ..rebuild import delimited as rebuild
from .registry import CannotKeep

if TYPE_CHECKING:
    from ..pickler import ComponentPickler
    from .registry import Recipe

_OPTIONS = (
    "delimiter", "doublequote", "escapechar", "lineterminator", "quotechar", "quoting", "skipinitialspace", "strict",
)  # fmt: skip


def _options(thing: Any) -> dict[str, Any]:
    return {name: getattr(thing.dialect, name) for name in _OPTIONS}


def _others(thing: Any) -> list[Any]:
    """Return what a reader or writer refers to, besides its dialect and types."""
    return [part for part in gc.get_referents(thing) if part is not thing.dialect and not isinstance(part, type)]


def _reader(pickler: ComponentPickler, reader: Any) -> Any:
    others = _others(reader)
    if len(others) != 1 or not hasattr(type(others[0]), "__next__"):
        raise CannotKeep("it is in the middle of a row", "keep its rows: list(…)")
    return rebuild.reader, (others[0], _options(reader), reader.line_num)


def _writer(pickler: ComponentPickler, writer: Any) -> Any:
    others = _others(writer)
    target = getattr(others[0], "__self__", None) if len(others) == 1 else None
    if target is None or getattr(target, "write", None) != others[0]:
        raise CannotKeep("what it writes to can't be known", "make it again over its file in the cell that uses it")
    return rebuild.writer, (target, _options(writer))


def _dialect(pickler: ComponentPickler, dialect: Any) -> Any:
    return rebuild.dialect, ({name: getattr(dialect, name) for name in _OPTIONS},)


RECIPES: dict[tuple[str, str], Recipe] = {
    ("_csv", "reader"): _reader,
    ("_csv", "writer"): _writer,
    ("_csv", "Dialect"): _dialect,
}
