"""numpy's masked arrays, whose own pickles copy what is shared, make a mask of no mask, and settle what fills."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from ..rebuild import masked_arrays

if TYPE_CHECKING:
    from ..pickler import ComponentPickler


def _masked(pickler: ComponentPickler, array: Any) -> Any:
    numpy: Any = sys.modules["numpy"]
    data = array.view(numpy.ndarray)
    if data.base is array and data.flags.forc:
        # The memory is its own: the plain array stands for it, and is not a view of what it is a part of.
        pickler.memory[id(data)] = data
    return masked_arrays.masked_array, (type(array), data), dict(array.__dict__), None, None, masked_arrays.set_state


DERIVED = {("numpy.ma", "MaskedArray"): _masked, ("numpy.ma.core", "MaskedArray"): _masked}
