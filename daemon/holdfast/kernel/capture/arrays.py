"""How numpy arrays are taken apart: owners of memory out of band, views as views of their owner.

numpy is never imported here; whoever has an array has numpy.
"""

from __future__ import annotations

import sys
import types
from pickle import PickleBuffer
from typing import TYPE_CHECKING, Any

from . import rebuild, recipes, texts
from .rebuild import texts as rebuild_texts

if TYPE_CHECKING:
    from .pickler import ComponentPickler

IN_BAND_BYTES = 1 << 12
"""Smaller buffers travel inside the pickle stream: a buffer of its own costs more than the copy."""

SPARSE_BYTES = 64 << 20
"""Of larger arrays only the memory that exists is stored, where little of it does; see `sparse`."""


def is_array_type(kind: type) -> bool:
    """Whether instances are numpy arrays without a reduction of their own."""
    numpy: Any = sys.modules.get("numpy")
    ndarray = getattr(numpy, "ndarray", None)
    if ndarray is None or not issubclass(kind, ndarray):
        return False
    return kind is ndarray or (
        kind.__reduce__ is ndarray.__reduce__
        and kind.__reduce_ex__ is ndarray.__reduce_ex__
        and kind.__setstate__ is ndarray.__setstate__  # type: ignore[attr-defined]
        and kind is not getattr(numpy, "memmap", None)
    )


def reduce_array(pickler: ComponentPickler, array: Any) -> Any:
    """Return the reduce value of an array: its memory, or where in another object's memory it lies."""
    numpy: Any = sys.modules["numpy"]
    cls, dtype = type(array), array.dtype
    if (dtype.hasobject and dtype.kind != "O") or dtype.kind == "T":
        # Structures that hold objects, and strings on a heap of their own: as numpy does it, without sharing.
        return array.__reduce_ex__(5)
    root = array if id(array) in pickler.memory else owner_of(numpy, array)
    if root is array:
        reduced = _reduce_owner(numpy, cls, array, pickler.passing)
    elif root is None and (shown := _reduce_shown(pickler, numpy, array)) is not None:
        reduced = shown
    elif root is None:
        reduced = _reduce_owner(numpy, cls, array.copy(order="K"), pickler.passing)
    else:
        reduced = _reduce_view(numpy, cls, array, root, pickler.passing)
    attributes = getattr(array, "__dict__", None)
    if attributes and len(reduced) == 2:
        return (*reduced, attributes, None, None, rebuild.set_dict)
    return reduced


def is_exported(value: Any) -> bool:
    """Whether pickling `value` leaves a buffer that shows its memory."""
    if type(value).__name__ != "ndarray" or value.dtype.hasobject or value.nbytes < IN_BAND_BYTES:
        return False
    return owner_of(sys.modules["numpy"], value) is value


def owner_of(numpy: Any, array: Any) -> Any:
    """Return the object whose memory `array` shows: an array (maybe itself), bytes, a bytearray; None if unknown."""
    current = array
    while True:
        base = current.base
        if base is None:
            return current if _is_compact(current) else None
        if rebuild.mapped.get(id(current), _nothing)() is current:
            return current
        if type(base).__name__ == "DummyArray":
            base = base.base
        if isinstance(base, numpy.ndarray):
            current = base
            continue
        owner = base.obj if isinstance(base, memoryview) else base
        if type(owner).__name__ in _CYTHON_VIEWS:
            owner = getattr(owner, "base", owner)
        if isinstance(owner, numpy.ndarray):
            current = owner
            continue
        if not array.size or array.dtype.hasobject:
            return None
        if isinstance(owner, (bytes, bytearray)):
            return owner
        # Whose memory it is, is unknown; but arrays that are views of one of them share it.
        known = type(current) is numpy.ndarray and _is_compact(current) and not recipes.shows_memory(type(owner))
        return current if known else None


_CYTHON_VIEWS = frozenset(["memoryview", "_memoryviewslice"])
"""Types, one in each compiled module, of what Cython makes of a memoryview in a variable; ``base`` is what it shows."""


def is_writeable(array: Any) -> bool:
    """Whether an array may be written to; asked without the warning that numpy has for arrays of `broadcast_arrays`."""
    return bool(array.flags.num & _WRITEABLE)


_WRITEABLE = 0x400  # NPY_ARRAY_WRITEABLE


def _nothing() -> None:
    return None


def _axes(array: Any) -> tuple[int, ...]:
    """Return the axes from the slowest to the fastest in memory."""
    return tuple(sorted(range(array.ndim), key=lambda axis: (-array.strides[axis], -array.shape[axis])))


def _is_compact(array: Any) -> bool:
    """Whether an owner's items fill its memory without gaps, whatever the order of its axes."""
    if array.flags.c_contiguous or array.flags.f_contiguous:
        return True
    compact: bool = array.transpose(_axes(array)).flags.c_contiguous
    return compact


def _reduce_owner(numpy: Any, cls: type, array: Any, passing: set[int]) -> Any:
    writeable = is_writeable(array)
    if array.dtype.hasobject:
        items = list(array.ravel(order="K"))
        axes = _axes(array)
        made = rebuild.object_array, (cls, array.shape, axes)
        if len(items) >= texts.AT_LEAST:
            row = array.shape[axes[-1]]
            state = texts.state_of(items, row if row >= texts.AT_LEAST else len(items), passing)
            if state is not None:
                return (*made, (*state, writeable), None, None, rebuild_texts.fill)
            items = list(array.ravel(order="K"))
        return (*made, (items, writeable), None, None, rebuild.fill_object_array)
    if array.nbytes >= SPARSE_BYTES:
        from . import sparse

        if (reduced := sparse.reduce(array)) is not None:
            return reduced
    memory = array.view(numpy.ndarray).ravel(order="K").view(numpy.uint8)
    return rebuild.array, (cls, array.dtype, array.shape, array.strides, writeable, PickleBuffer(memory))


def _reduce_view(numpy: Any, cls: type, array: Any, root: Any, passing: set[int]) -> Any:
    if isinstance(root, numpy.ndarray):
        start, size = _start(root), root.nbytes
    else:
        start, size = _start(numpy.frombuffer(root, numpy.uint8)), len(root)
    offset = _start(array) - start
    if not array.size or not 0 <= offset <= size:
        return _reduce_owner(numpy, cls, array.copy(order="K"), passing)
    return rebuild.array_view, (
        cls, root, offset, array.dtype, array.shape, array.strides, is_writeable(array),
    )  # fmt: skip


def _reduce_shown(pickler: ComponentPickler, numpy: Any, array: Any) -> Any:
    """Return the reduce value of an array over the memory of a compiled object; None if it is not known to be one."""
    current = array
    while isinstance(current.base, numpy.ndarray):
        current = current.base
    owner = current.base
    if not array.size or owner is None or not recipes.shows_memory(type(owner)):
        return None
    if (reduce := recipes.place_of_arrays(type(owner))) is not None:
        return reduce(array, owner)
    from .rebuild import compiled

    for name, attribute in vars(type(owner)).items():
        if isinstance(attribute, types.GetSetDescriptorType):
            memory = compiled.memory_of(owner, name)
            if memory is not None and 0 <= (offset := _start(array) - _start(memory)) < memory.nbytes:
                place = (offset, array.dtype, array.shape, array.strides, is_writeable(array))
                return compiled.array_of, (type(array), owner, name, *place)
    return None


def _start(array: Any) -> int:
    address: int = array.__array_interface__["data"][0]
    return address
