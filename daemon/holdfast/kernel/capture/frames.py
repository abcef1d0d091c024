"""How the parts of pandas' frames are taken apart: without caches, and with what copy-on-write needs to know.

pandas is never imported here; whoever has a frame has pandas.
"""

from __future__ import annotations

import copyreg
import sys
from typing import TYPE_CHECKING, Any

from . import rebuild
from .kinds import module_of

if TYPE_CHECKING:
    from .pickler import ComponentPickler
    from .recipes import Recipe


def recipe_for(kind: type) -> Recipe | None:
    """Return the recipe for a type of pandas', or for a class derived from one that is pickled as pandas does it."""
    if "pandas" not in sys.modules:
        return None
    for base in kind.__mro__:
        recipe = _RECIPES.get((module_of(base), base.__name__))
        if recipe is not None and _is_pickled_alike(kind, base):
            return recipe
    return None


def _is_pickled_alike(kind: type, base: type) -> bool:
    return kind.__reduce_ex__ is base.__reduce_ex__ and (
        kind.__reduce__ is base.__reduce__ or module_of(kind).partition(".")[0] == "pandas"
    )


def _frame(pickler: ComponentPickler, frame: Any) -> Any:
    """Leave out what is the class's own: one list, which all frames have, would tie them together."""
    reduced = frame.__reduce_ex__(5)
    state = reduced[2]
    if type(state) is not dict:
        return reduced
    names = state.get("_metadata")
    if names is None or names is not getattr(type(frame), "_metadata", None):
        return reduced
    own = {name: value for name, value in state.items() if name != "_metadata"}
    return (*reduced[:2], own, *reduced[3:])


def _array(pickler: ComponentPickler, array: Any) -> Any:
    """Leave out the cache, which fills when somebody looks at the array."""
    if (reduced := _arrow_backed(array)) is not None:
        return reduced
    reduced = array.__reduce_ex__(5)
    state = reduced[2] if len(reduced) > 2 else None
    if type(state) is dict:
        return (*reduced[:2], _without_cache(state), *reduced[3:])
    if type(state) is tuple and len(state) in (2, 3) and type((*state, {})[2]) is dict:
        # pandas 2 wants attributes also where there are none.
        return (*reduced[:2], (*state[:2], _without_cache((*state, {})[2])), *reduced[3:])
    return reduced


def _arrow_backed(array: Any) -> Any:
    """Return the reduce value of an array whose memory is Arrow's; pandas itself would make a copy of it first."""
    data = getattr(array, "__dict__", {}).get("_pa_array")
    if data is None or not data.num_chunks or data.get_total_buffer_size() > 2 * data.nbytes + _SPARE_BYTES:
        # A slice of something much larger: the copy is smaller.
        return None
    new: Any = copyreg.__newobj__  # type: ignore[attr-defined]  # not in the stubs
    return new, (type(array),), {**_without_cache(array.__dict__), "_pa_array": data.chunks}


_SPARE_BYTES = 1 << 16


def _without_cache(attributes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if name != "_cache"}


def _block(pickler: ComponentPickler, block: Any) -> Any:
    """Copy-on-write copies a block before it changes as long as others refer to its values: keep who they are."""
    references = getattr(block, "refs", None)
    reduced = block.__reduce_ex__(5)
    if references is None or len(reduced) != 2:
        return reduced
    make, (values, *place) = reduced
    if type(values) is type(block.values) and values.shape == block.values.shape:
        # pandas itself would make a copy of what does not lie in the order of C, and share nothing.
        values = block.values
    return rebuild.block, (make, (values, *place), references)


def _series(pickler: ComponentPickler, manager: Any) -> Any:
    """As a frame's: pandas itself would take the values out of their block."""
    return type(manager), (manager.blocks[0], manager.axes[0])


def _index(pickler: ComponentPickler, index: Any) -> Any:
    """As for a block: an index can show the values of a column."""
    references = getattr(index, "_references", None)
    reduced = index.__reduce_ex__(5)
    if references is None or type(index).__name__ == "RangeIndex" or any(reduced[2:]):
        return reduced
    return (*reduced[:2], references, None, None, rebuild.set_index_references)


def _references(pickler: ComponentPickler, references: Any) -> Any:
    return rebuild.block_references, ()


_RECIPES: dict[tuple[str, str], Recipe] = {
    ("pandas.core.generic", "NDFrame"): _frame,
    ("pandas._libs.arrays", "NDArrayBacked"): _array,
    ("pandas.core.arrays.base", "ExtensionArray"): _array,
    ("pandas.api.extensions", "ExtensionArray"): _array,
    ("pandas._libs.internals", "Block"): _block,
    ("pandas.core.internals.managers", "SingleBlockManager"): _series,
    ("pandas._libs.internals", "BlockValuesRefs"): _references,
    ("pandas", "Index"): _index,
    ("pandas.core.indexes.base", "Index"): _index,
}
