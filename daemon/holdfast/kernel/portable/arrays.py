"""Arrays as NPY: numpy's own format, whose header is a Python literal and never code."""

from __future__ import annotations

import ast
import struct
import sys
from typing import Any, Protocol

from .values import Damaged, MissingLibrary, NotExact

MAGIC = b"\x93NUMPY"
MOST_HEADER = 1 << 20
"""Bytes; a header says the type of the items, and types have few fields."""


class Sink(Protocol):
    """What bytes are written to."""

    def write(self, data: Any, /) -> Any:
        """Write bytes."""


def is_array(value: object) -> bool:
    """Whether a value is an array; no subclass of one."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and type(value) is numpy.ndarray


def check(array: Any) -> None:
    """Find out whether NPY can hold an array as it is.

    Raises:
        NotExact: it cannot.
    """
    from numpy.lib import format as npy

    kind = array.dtype
    if kind.hasobject or not kind.itemsize:
        raise NotExact("its items are objects" if kind.hasobject else "its items are nothing")
    try:
        again = npy.descr_to_dtype(npy.dtype_to_descr(kind))
    except (ValueError, TypeError) as error:
        raise NotExact(f"NPY has no word for its type {kind}") from error
    if again != kind or again.type is not kind.type or again.isalignedstruct != kind.isalignedstruct or kind.metadata:
        raise NotExact(f"NPY has no word for its type {kind}")


def write(array: Any, sink: Sink) -> None:
    """Write an array that `check` has nothing against."""
    from numpy.lib import format as npy

    npy.write_array(sink, array, allow_pickle=False)


class ArrayIntake:
    """An array on its way: its bytes go where they are to stay, as they come.

    Args:
        size: of all that comes, in bytes.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._head = bytearray()
        self._array: Any = None
        self._target = memoryview(b"")
        self._filled = 0

    def feed(self, data: bytes | memoryview) -> None:
        """Take in the next bytes.

        Raises:
            Damaged: they are no array's.
            MissingLibrary: there is no numpy here.
        """
        view = memoryview(data)
        if self._array is None:
            self._head += view
            start = self._begin()
            if start is None:
                return
            view = memoryview(bytes(self._head))[start:]
            self._head = bytearray()
        if self._filled + view.nbytes > self._target.nbytes:
            raise Damaged("there is more of it than its header says")
        if view.nbytes:
            self._target[self._filled : self._filled + view.nbytes] = view
        self._filled += view.nbytes

    def value(self) -> Any:
        """Return the array, all of which has come; raises as `feed` does."""
        if self._array is None:
            raise Damaged("its header is not whole")
        if self._filled != self._target.nbytes:
            raise Damaged("a part of it is missing")
        return self._array

    def _begin(self) -> int | None:
        """Make room for the array once its header is there; return where its bytes begin."""
        head = bytes(self._head[:12])
        if len(head) < 12:
            return None
        if not head.startswith(MAGIC) or head[6] not in (1, 2, 3):
            raise Damaged("it is no array in NPY form")
        wide = head[6] > 1
        (length,) = struct.unpack_from("<I" if wide else "<H", head, 8)
        start = (12 if wide else 10) + length
        if length > MOST_HEADER:
            raise Damaged("its header is too large")
        if len(self._head) < start:
            return None
        text = bytes(self._head[12 if wide else 10 : start])
        self._make(text.decode("utf-8" if head[6] == 3 else "latin-1"), self._size - start)
        return int(start)

    def _make(self, header: str, size: int) -> None:
        try:
            import numpy
            from numpy.lib import format as npy
        except ImportError:
            raise MissingLibrary("numpy") from None
        try:
            about = ast.literal_eval(header.strip())
            kind = npy.descr_to_dtype(about["descr"])
            shape, fortran = tuple(about["shape"]), about["fortran_order"] is True
            if not all(type(length) is int and length >= 0 for length in shape):
                raise ValueError("a shape consists of lengths")
        except (ValueError, TypeError, KeyError, SyntaxError, RecursionError, MemoryError) as error:
            raise Damaged(f"its header says nothing: {error}"[:200]) from error
        if kind.hasobject or not kind.itemsize:
            raise Damaged("its items are objects, which only a pickle could hold, or nothing")
        count = 1
        for length in shape:
            count *= length
        if count * kind.itemsize != size:
            raise Damaged("its header says another size than it has")
        try:
            self._array = numpy.empty(shape, kind, order="F" if fortran else "C")
        except (ValueError, MemoryError) as error:
            raise Damaged(f"there can be no such array: {error}"[:200]) from error
        if size:
            flat = self._array.ravel(order="K").view("u1") if self._array.ndim else self._array.reshape(1).view("u1")
            self._target = memoryview(flat)
