"""Which open form a value has, and how what was written in it is read."""

from __future__ import annotations

import inspect
import io
import sys
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from . import arrays, columns, tables, values
from .values import Damaged, MissingLibrary, NotExact

RAW_FROM = 1 << 16
"""Bytes from this size on are written as they are, smaller ones as JSON."""
SAMPLE = 1 << 16
"""Bytes of a value by which it is decided whether compressing it pays."""


@dataclass(frozen=True)
class Told:
    """A value in an open form.

    Attributes:
        form: its name.
        suffix: of a file in this form; "" if it is told by `details` alone.
        details: what has to be known beside the bytes.
        write: writes the bytes.
        size: how many they are, about.
        sample: some of them.
    """

    form: str
    suffix: str
    write: Callable[[arrays.Sink], object]
    size: int
    sample: bytes
    details: dict[str, Any] = field(default_factory=dict)


def tell(value: Any, *, separate: bool = False, plain: bool = False) -> Told:
    """Return a value in the form that it has.

    Args:
        separate: tell an object that occurs several times as so many objects.
        plain: JSON is preferred, however large it is.

    Raises:
        NotExact: it has none in which it would come back as it is.
    """
    if arrays.is_array(value):
        arrays.check(value)
        details = {} if value.flags.writeable else {"writeable": False}
        head = value.reshape(-1)[: max(1, SAMPLE // (value.itemsize or 1))] if value.flags.c_contiguous else value[:1]
        return Told("npy", ".npy", lambda sink: arrays.write(value, sink), value.nbytes, head.tobytes(), details)
    kind = tables.kind_of(value)
    if kind is not None:
        try:
            details, data = tables.dump(kind, value)
        except MissingLibrary as error:
            return _columns(kind, value, error.name)
        return _bytes_of("arrow", ".arrow", data, {"kind": kind, **details})
    if type(value) in (bytes, bytearray) and len(value) >= RAW_FROM and not plain:
        return _bytes_of("bytes", ".bin", value, {"kind": type(value).__name__})
    if type(value) is types.ModuleType:
        return _module(value)
    return _bytes_of("json", ".json", values.dump(value, separate=separate))


def _bytes_of(form: str, suffix: str, data: Any, details: dict[str, Any] | None = None) -> Told:
    view = memoryview(data)
    return Told(form, suffix, lambda sink: sink.write(view), view.nbytes, bytes(view[:SAMPLE]), details or {})


def _columns(kind: str, value: Any, missing: str) -> Told:
    """Return a table as it is told where there is no pyarrow."""
    if kind not in columns.KINDS:
        raise NotExact(f"there is no {missing} in its environment")
    return _bytes_of("columns", ".json", columns.dump(kind, value), {"kind": kind})


def _module(module: types.ModuleType) -> Told:
    name = module.__name__
    if sys.modules.get(name) is not module or name == "__main__":
        raise NotExact("it is a module that cannot be imported")
    return Told("module", "", lambda sink: None, 0, b"", {"module": name})


def source(value: Any) -> Told | None:
    """Return the text of a function or class of the session, for people."""
    if not isinstance(value, types.FunctionType | type) or value.__module__ != "__main__":
        return None
    try:
        text = inspect.getsource(value)
    except (OSError, TypeError):
        return None
    return _bytes_of("source", ".py", text.encode("utf-8", "replace"))


class Intake(Protocol):
    """A value on its way in."""

    def feed(self, data: bytes | memoryview) -> None:
        """Take in the next bytes."""

    def value(self) -> Any:
        """Return the value, all of which has come."""


class _Collected:
    def __init__(self, size: int, finish: Callable[[bytearray], Any]) -> None:
        self._data = bytearray(size)
        self._filled = 0
        self._finish = finish

    def feed(self, data: bytes | memoryview) -> None:
        """Take in the next bytes."""
        view = memoryview(data)
        if self._filled + view.nbytes > len(self._data):
            raise Damaged("there is more of it than was said")
        self._data[self._filled : self._filled + view.nbytes] = view
        self._filled += view.nbytes

    def value(self) -> Any:
        """Return the value, all of which has come."""
        if self._filled != len(self._data):
            raise Damaged("a part of it is missing")
        return self._finish(self._data)


class _ReadOnly(arrays.ArrayIntake):
    def value(self) -> Any:
        """Return the array."""
        array = super().value()
        array.flags.writeable = False
        return array


def intake(form: str, details: Mapping[str, Any], size: int, *, follows: bool) -> Intake:
    """Return what takes in a value of `size` bytes in an open form; it raises Damaged and MissingLibrary.

    Args:
        follows: whether modules are imported that are not loaded already.

    Raises:
        Damaged: there is no such form.
    """
    if form == "npy":
        return _ReadOnly(size) if details.get("writeable") is False else arrays.ArrayIntake(size)
    if form == "module":
        return _Collected(0, lambda data: _imported(str(details.get("module")), follows=follows))
    finish = _FINISH.get(form)
    if finish is None:
        raise Damaged(f"there is no form {form[:40]!r}")
    return _Collected(size, lambda data: finish(details, data))


def _imported(name: str, *, follows: bool) -> Any:
    if name in sys.modules and name != "__main__":
        return sys.modules[name]
    if not follows:
        raise NotExact(name)
    try:
        __import__(name)
    except ImportError:
        raise MissingLibrary(name) from None
    return sys.modules[name]


def _raw(details: Mapping[str, Any], data: bytearray) -> Any:
    kind = details.get("kind")
    if kind not in ("bytes", "bytearray"):
        raise Damaged("it is no kind of bytes that is known here")
    return data if kind == "bytearray" else bytes(data)


_FINISH: dict[str, Callable[[Mapping[str, Any], bytearray], Any]] = {
    "json": lambda details, data: values.load(data),
    "arrow": lambda details, data: tables.load(dict(details), data),
    "bytes": _raw,
    "columns": lambda details, data: columns.load(str(details.get("kind")), data),
}


def read(form: str, details: Mapping[str, Any], data: bytes, *, follows: bool = False) -> Any:
    """Return a value that is at hand as a whole; raises as `intake` and what it returns do."""
    taken = intake(form, details, len(data), follows=follows)
    taken.feed(data)
    return taken.value()


def written(told: Told) -> bytes:
    """Return what `told.write` writes."""
    sink = io.BytesIO()
    told.write(sink)
    return sink.getvalue()
