"""What large bytes and texts, which are stored beside the stream, are rebuilt with."""

from __future__ import annotations

from typing import Any

from . import give_names


def bytes_of(buffer: Any) -> bytes:
    """Return bytes."""
    return bytes(buffer)


def bytearray_of(buffer: Any) -> bytearray:
    """Return a bytearray."""
    return bytearray(buffer)


def bytes_view(buffer: Any, format: Any, shape: tuple[int, ...]) -> memoryview:
    """Return a view of a part of bytes; the rest of them is not there any more."""
    view = memoryview(bytes(buffer))
    return view.cast(format, shape) if format != "B" or len(shape) != 1 else view


def text_of(buffer: Any) -> str:
    """Return a text that is stored as UTF-8."""
    return str(buffer, "utf-8", "surrogatepass")


give_names(globals())
