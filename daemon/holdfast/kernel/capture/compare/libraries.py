"""Whether arrays, tables and tensors came back as they were: exactly, nan equal to nan, each as its library counts.

No library is imported here; whoever has an object of one has imported it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from . import instances

if TYPE_CHECKING:
    from .walk import Comparison, Handler, Pair, Pairs, Path


def handler_of(kind: type) -> Handler | None:
    """Return how two objects of a library's type are compared, None if nothing particular is known of it."""
    for base in kind.__mro__:
        module = str(type.__getattribute__(base, "__module__"))
        top = module.partition(".")[0]
        handler = _HANDLERS.get((top, base.__name__))
        if handler is not None:
            return handler
    return None


# -- numpy


def _array(comparison: Comparison, live: Any, loaded: Any, path: Path) -> Pairs:
    if live.dtype != loaded.dtype:
        comparison.differ(path, f"has the dtype {loaded.dtype} instead of {live.dtype}")
    elif live.shape != loaded.shape:
        comparison.differ(path, f"has the shape {loaded.shape} instead of {live.shape}")
    elif live.dtype.hasobject:
        return [*_attributes(comparison, live, loaded, path), *_objects(comparison, live, loaded, path)]
    elif not _same_values(live, loaded):
        comparison.differ(path, "has other values")
    return _attributes(comparison, live, loaded, path)


def _attributes(comparison: Comparison, live: Any, loaded: Any, path: Path) -> list[Pair]:
    if type(live).__name__ == "ndarray":
        return []
    return list(instances.attributes(comparison, live, loaded, path))


def _objects(comparison: Comparison, live: Any, loaded: Any, path: Path) -> list[Pair]:
    if live.dtype.kind != "O":
        return []
    numpy: Any = sys.modules["numpy"]
    one, other = comparison.keep(
        (live.view(numpy.ndarray).ravel().tolist(), loaded.view(numpy.ndarray).ravel().tolist())
    )
    return [(one, other, path)]


def _same_values(live: Any, loaded: Any) -> bool:
    numpy: Any = sys.modules["numpy"]
    one, other = live.view(numpy.ndarray), loaded.view(numpy.ndarray)
    if one.dtype.kind == "V":
        return bool(one.tobytes() == other.tobytes()) or one.dtype.names is not None
    same = one == other
    if numpy.all(same):
        return True
    return bool(numpy.all(same | ((one != one) & (other != other)))) if one.dtype.kind in "fcmMT" else False


def _masked(comparison: Comparison, live: Any, loaded: Any, path: Path) -> Pairs:
    numpy: Any = sys.modules["numpy"]
    masks = comparison.keep((numpy.ma.getmaskarray(live), numpy.ma.getmaskarray(loaded)))
    data = comparison.keep((live.filled(), loaded.filled())) if not live.dtype.hasobject else (None, None)
    return [(*masks, path), (*data, path)]


def _scalar(comparison: Comparison, live: Any, loaded: Any, path: Path) -> Pairs:
    numpy: Any = sys.modules["numpy"]
    if live.dtype.hasobject:
        return []
    if live.dtype != loaded.dtype or not _same_values(numpy.asarray(live), numpy.asarray(loaded)):
        comparison.differ(path, "has another value")
    return []


def _dtype(comparison: Comparison, live: Any, loaded: Any, path: Path) -> Pairs:
    if live != loaded:
        comparison.differ(path, f"is {loaded} instead of {live}")
    return []


def _bit_generator(comparison: Comparison, live: Any, loaded: Any, path: Path) -> Pairs:
    return [(*comparison.keep((live.state, loaded.state)), (path, ".state"))]


def _generator(comparison: Comparison, live: Any, loaded: Any, path: Path) -> Pairs:
    return [(*comparison.keep((live.bit_generator, loaded.bit_generator)), path)]


def _random_state(comparison: Comparison, live: Any, loaded: Any, path: Path) -> Pairs:
    states = comparison.keep((live.get_state(legacy=False), loaded.get_state(legacy=False)))
    return [(*states, (path, ".get_state()"))]


# -- pandas


def _labels(comparison: Comparison, live: Any, loaded: Any, path: Path) -> Pairs:
    """Compare two indexes."""
    if len(live) != len(loaded):
        comparison.differ(path, f"has {len(loaded)} labels instead of {len(live)}")
        return []
    pairs: list[Pair] = [(list(live.names), list(loaded.names), (path, ".names"))]
    if hasattr(live, "levels"):
        pairs += [(one, other, path) for one, other in zip(live.levels, loaded.levels, strict=False)]
        pairs += [(one, other, path) for one, other in zip(live.codes, loaded.codes, strict=False)]
    elif type(live).__name__ != "RangeIndex" or not live.equals(loaded):
        pairs.append((live.array, loaded.array, path))
    if getattr(live, "freq", None) != getattr(loaded, "freq", None):
        comparison.differ((path, ".freq"), f"is {loaded.freq} instead of {live.freq}")
    result: list[Pair] = comparison.keep(pairs)
    return result


def _values(comparison: Comparison, live: Any, loaded: Any, path: Path) -> Pairs:
    """Compare two extension arrays."""
    if live.dtype != loaded.dtype:
        comparison.differ(path, f"has the dtype {loaded.dtype} instead of {live.dtype}")
    elif len(live) != len(loaded):
        comparison.differ(path, f"has {len(loaded)} items instead of {len(live)}")
    elif not live.equals(loaded):
        # Items that are known by identity are not equal for pandas.
        pairs: list[Pair] = comparison.keep([(list(live), list(loaded), path)])
        return pairs
    return []


def _numpy_values(comparison: Comparison, live: Any, loaded: Any, path: Path) -> Pairs:
    pairs: list[Pair] = comparison.keep([(live.to_numpy(), loaded.to_numpy(), path)])
    return pairs


def _categorical(comparison: Comparison, live: Any, loaded: Any, path: Path) -> Pairs:
    if live.ordered != loaded.ordered:
        comparison.differ((path, ".ordered"), f"is {loaded.ordered} instead of {live.ordered}")
    pairs: list[Pair] = comparison.keep(
        [
            (live.categories, loaded.categories, (path, ".categories")),
            (live.codes, loaded.codes, (path, ".codes")),
        ]
    )
    return pairs


def _series(comparison: Comparison, live: Any, loaded: Any, path: Path) -> Pairs:
    if len(live) != len(loaded):
        comparison.differ(path, f"has {len(loaded)} rows instead of {len(live)}")
        return []
    pairs: list[Pair] = comparison.keep(
        [
            (live.name, loaded.name, (path, ".name")),
            (live.index, loaded.index, (path, ".index")),
            (live.array, loaded.array, path),
            *_of_frame(comparison, live, loaded, path),
        ]
    )
    return pairs


def _frame(comparison: Comparison, live: Any, loaded: Any, path: Path) -> Pairs:
    if live.shape != loaded.shape:
        comparison.differ(path, f"has the shape {loaded.shape} instead of {live.shape}")
        return []
    pairs: list[Pair] = [
        (live.columns, loaded.columns, (path, ".columns")),
        (live.index, loaded.index, (path, ".index")),
        *_of_frame(comparison, live, loaded, path),
    ]
    for position, column in enumerate(live.columns):
        one, other = live.iloc[:, position].array, loaded.iloc[:, position].array
        pairs.append((one, other, (path, (column,))))
    result: list[Pair] = comparison.keep(pairs)
    return result


def _of_frame(comparison: Comparison, live: Any, loaded: Any, path: Path) -> list[Pair]:
    if live.flags.allows_duplicate_labels != loaded.flags.allows_duplicate_labels:
        comparison.differ((path, ".flags.allows_duplicate_labels"), "is not what it was")
    pairs: list[Pair] = [(live.attrs, loaded.attrs, (path, ".attrs"))]
    for name in getattr(type(live), "_metadata", ()):
        if isinstance(name, str) and name != "_name" and name != "name":
            one, other = getattr(live, name, None), getattr(loaded, name, None)
            if instances.is_plain(one):
                pairs.append((one, other, (path, f".{name}")))
    return pairs


def _by_equality(comparison: Comparison, live: Any, loaded: Any, path: Path) -> Pairs:
    try:
        different = live != loaded and live == live
    except Exception:  # noqa: BLE001 - code of libraries; without an answer nothing is certain
        return []
    if different is True:
        comparison.differ(path, f"is {str(loaded)[:40]} instead of {str(live)[:40]}")
    return []


# -- polars, pyarrow


def _polars(comparison: Comparison, live: Any, loaded: Any, path: Path) -> Pairs:
    schema = "schema" if hasattr(live, "schema") else "dtype"
    if getattr(live, schema) != getattr(loaded, schema):
        comparison.differ(path, f"has the {schema} {getattr(loaded, schema)} instead of {getattr(live, schema)}")
    elif "Object" not in str(getattr(live, schema)) and not live.equals(loaded, null_equal=True):
        comparison.differ(path, "has other values")
    return []


def _arrow(comparison: Comparison, live: Any, loaded: Any, path: Path) -> Pairs:
    kind = getattr(live, "schema", None), getattr(live, "type", None)
    other = getattr(loaded, "schema", None), getattr(loaded, "type", None)
    if kind != other:
        comparison.differ(path, "has another schema")
    elif len(live) != len(loaded) or (not live.equals(loaded) and live.equals(live)):
        # Arrow does not call nan equal to nan: an array that is not equal to itself says nothing.
        comparison.differ(path, "has other values")
    return []


# -- torch


def _tensor(comparison: Comparison, live: Any, loaded: Any, path: Path) -> Pairs:
    names = ("dtype", "device", "shape", "layout")
    # The result of a computation comes back without the graph that made it.
    for name in (*names, "requires_grad") if live.is_leaf else names:
        one, other = getattr(live, name), getattr(loaded, name)
        if one != other:
            comparison.differ((path, f".{name}"), f"is {other} instead of {one}")
            return []
    torch: Any = sys.modules["torch"]
    if live.device.type != "cpu" or live.layout is not torch.strided or live.is_quantized:
        return []
    one, other = live.detach(), loaded.detach()
    if not torch.equal(one, other) and not bool(((one == other) | ((one != one) & (other != other))).all()):
        comparison.differ(path, "has other values")
    return []


_HANDLERS: dict[tuple[str, str], Handler] = {
    ("numpy", "MaskedArray"): _masked,
    ("numpy", "ndarray"): _array,
    ("numpy", "generic"): _scalar,
    ("numpy", "dtype"): _dtype,
    ("numpy", "BitGenerator"): _bit_generator,
    ("numpy", "Generator"): _generator,
    ("numpy", "RandomState"): _random_state,
    ("pandas", "DataFrame"): _frame,
    ("pandas", "Series"): _series,
    ("pandas", "Index"): _labels,
    ("pandas", "Categorical"): _categorical,
    ("pandas", "NumpyExtensionArray"): _numpy_values,
    ("pandas", "PandasArray"): _numpy_values,
    ("pandas", "ExtensionArray"): _values,
    ("pandas", "ExtensionDtype"): _by_equality,
    ("pandas", "Timestamp"): _by_equality,
    ("pandas", "Timedelta"): _by_equality,
    ("pandas", "Period"): _by_equality,
    ("pandas", "_Period"): _by_equality,
    ("pandas", "Interval"): _by_equality,
    ("pandas", "BaseOffset"): _by_equality,
    ("pandas", "NaTType"): _by_equality,
    ("pandas", "NAType"): _by_equality,
    ("polars", "DataFrame"): _polars,
    ("polars", "Series"): _polars,
    ("polars", "LazyFrame"): lambda comparison, live, loaded, path: [],
    ("polars", "Expr"): lambda comparison, live, loaded, path: [],
    ("pyarrow", "_PandasConvertible"): _arrow,
    ("pyarrow", "RecordBatch"): _arrow,
    ("pyarrow", "Schema"): _by_equality,
    ("pyarrow", "DataType"): _by_equality,
    ("torch", "Tensor"): _tensor,
}
