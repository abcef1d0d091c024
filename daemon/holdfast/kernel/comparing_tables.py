"""What differs between two frames, series, arrays or tensors."""

from __future__ import annotations

import sys
from typing import Any

from .look import preview

_SHOWN = 5
"""Cells and columns that are shown of those that differ."""


def compare(module: str, name: str, before: Any, after: Any) -> dict[str, Any]:
    """Compare two values of a type that is known.

    Args:
        module: ``pandas``, ``polars`` or ``numpy``.
        name: the class there.
    """
    if module == "numpy":
        return _arrays(before, after)
    if module == "polars":
        return _polars(before, after)
    if name == "Series":
        label = "values"
        return _frames(before.to_frame(label), after.to_frame(label))
    return _frames(before, after)


def _change(before: Any, after: Any) -> str:
    return f"{before} → {after}"


# -- pandas


def _frames(before: Any, after: Any) -> dict[str, Any]:
    rows = [len(before), len(after)]
    added = [column for column in after.columns if column not in before.columns]
    removed = [column for column in before.columns if column not in after.columns]
    found: dict[str, Any] = {
        "kind": "frame",
        "rows": rows,
        "columnsAdded": list(map(str, added)),
        "columnsRemoved": list(map(str, removed)),
        "dtypes": {},
        "cells": {},
    }
    lines = [f"rows: {_change(f'{rows[0]:,}', f'{rows[1]:,}')}"] if rows[0] != rows[1] else []
    lines += [f"+ column {column}: {after[column].dtype}" for column in added[:_SHOWN]]
    lines += [f"- column {column}: {before[column].dtype}" for column in removed[:_SHOWN]]
    if len(added) + len(removed) > 2 * _SHOWN:
        lines.append(f"… {len(added):,} columns more, {len(removed):,} fewer in all")
    if not (before.columns.is_unique and after.columns.is_unique):
        return {**found, "differs": True, "lines": [*lines, "columns of one name: what is in them was not compared"]}
    common = [column for column in after.columns if column in before.columns]
    if [column for column in before.columns if column in after.columns] != common:
        lines.append("the columns are in another order")
    for column in common:
        one, two = before[column].dtype, after[column].dtype
        if one != two:
            found["dtypes"][str(column)] = [str(one), str(two)]
            lines.append(f"~ column {column}: {_change(one, two)}")
    left, right = before[common], after[common]
    if not left.index.equals(right.index):
        if not (left.index.is_unique and right.index.is_unique):
            lines.append("the index has other labels, some of them twice: rows were not compared")
            return {**found, "differs": True, "lines": lines}
        both = right.index.intersection(left.index, sort=False)
        gone, new = rows[0] - len(both), rows[1] - len(both)
        found["rowsAdded"], found["rowsRemoved"] = new, gone
        if gone or new:
            lines.append(f"rows by label: {new:,} new, {gone:,} gone")
        elif not left.index.equals(right.index):
            lines.append("the rows are in another order")
        left, right = left.loc[both], right.loc[both]
    lines += _cells(left, right, common, found)
    return {**found, "differs": bool(lines), "lines": lines}


def _cells(left: Any, right: Any, columns: list[Any], found: dict[str, Any]) -> list[str]:
    lines, total = [], 0
    for column in columns:
        different = _different(left[column], right[column])
        count = int(different.sum())
        if not count:
            continue
        total += count
        found["cells"][str(column)] = count
        if len(found["cells"]) <= _SHOWN:
            first = int(different.argmax())
            label = left.index[first]
            shown = _change(preview(left[column].iloc[first]), preview(right[column].iloc[first]))
            lines.append(f"~ {column}: {count:,} of {len(left):,} cells differ, as [{label}]: {shown}")
    found["cellsChanged"] = total
    if len(found["cells"]) > _SHOWN:
        lines.append(f"… {total:,} cells differ in {len(found['cells']):,} columns in all")
    return lines


def _different(one: Any, two: Any) -> Any:
    """Return for each row whether two columns differ there; missing values are equal to each other."""
    numpy = sys.modules["numpy"]
    try:
        unequal = numpy.asarray((one.reset_index(drop=True) != two.reset_index(drop=True)).fillna(True), dtype=bool)
    except (TypeError, ValueError):
        # Categories of other sets, or objects whose comparison is no truth value.
        unequal = numpy.array(
            [_unequal(a, b) for a, b in zip(one.astype(object), two.astype(object), strict=False)], dtype=bool
        )
    missing = numpy.asarray(one.isna()) & numpy.asarray(two.isna())
    return unequal & ~missing


def _unequal(one: Any, two: Any) -> bool:
    from .comparing import same

    return not same(one, two)


# -- polars


def _polars(before: Any, after: Any) -> dict[str, Any]:
    rows = [before.height, after.height]
    old, new = dict(before.schema), dict(after.schema)
    found: dict[str, Any] = {
        "kind": "frame",
        "rows": rows,
        "columnsAdded": [column for column in new if column not in old],
        "columnsRemoved": [column for column in old if column not in new],
        "dtypes": {
            column: [str(old[column]), str(new[column])]
            for column in new
            if old.get(column, new[column]) != new[column]
        },
        "cells": {},
    }
    lines = [f"rows: {_change(f'{rows[0]:,}', f'{rows[1]:,}')}"] if rows[0] != rows[1] else []
    lines += [f"+ column {column}: {new[column]}" for column in found["columnsAdded"][:_SHOWN]]
    lines += [f"- column {column}: {old[column]}" for column in found["columnsRemoved"][:_SHOWN]]
    lines += [f"~ column {column}: {_change(*types)}" for column, types in found["dtypes"].items()]
    both = min(rows)
    for column in new:
        if column not in old or column in found["dtypes"]:
            continue
        different = before[column].head(both).ne_missing(after[column].head(both))
        count = int(different.sum() or 0)
        if count:
            found["cells"][column] = count
            first = different.arg_max()
            shown = _change(preview(before[column][first]), preview(after[column][first]))
            lines.append(f"~ {column}: {count:,} of the first {both:,} cells differ, as row {first}: {shown}")
    found["cellsChanged"] = sum(found["cells"].values())
    return {**found, "differs": bool(lines), "lines": lines}


# -- arrays


def _outside(before: Any, after: Any) -> tuple[dict[str, Any], list[str]]:
    """Compare shapes and dtypes; return fields and lines."""
    shapes, dtypes = [tuple(before.shape), tuple(after.shape)], [str(before.dtype), str(after.dtype)]
    pairs: dict[str, list[Any]] = {"shape": shapes, "dtype": dtypes}
    lines = [f"{name}: {_change(*pair)}" for name, pair in pairs.items() if pair[0] != pair[1]]
    return {"kind": "array", "shape": list(map(list, shapes)), "dtype": dtypes}, lines


def _arrays(before: Any, after: Any) -> dict[str, Any]:
    numpy = sys.modules["numpy"]
    found, lines = _outside(before, after)
    if before.shape == after.shape:
        changed = numpy.asarray(_unequal_elements(numpy, before, after))
        count = int(changed.sum())
        found["changed"], found["fraction"] = count, count / before.size if before.size else 0.0
        if count:
            at = tuple(int(index) for index in numpy.unravel_index(int(changed.argmax()), changed.shape))
            shown = _change(preview(before[at]), preview(after[at]))
            lines.append(
                f"{count:,} of {before.size:,} elements differ ({found['fraction']:.3%}), as {list(at)}: {shown}"
            )
    if lines:
        found["statistics"] = [_statistics(numpy, before), _statistics(numpy, after)]
        lines += _told(*found["statistics"])
    return {**found, "differs": bool(lines), "lines": lines}


def _unequal_elements(numpy: Any, before: Any, after: Any) -> Any:
    if before.dtype.hasobject or after.dtype.hasobject:
        pairs = zip(before.ravel(), after.ravel(), strict=False)
        return numpy.array([_unequal(one, two) for one, two in pairs], dtype=bool).reshape(before.shape)
    unequal = before != after
    if before.dtype.kind in "fcmM" and after.dtype.kind in "fcmM":
        unequal &= (
            ~(numpy.isnan(before) & numpy.isnan(after))
            if before.dtype.kind in "fc"
            else ~(numpy.isnat(before) & numpy.isnat(after))
        )
    return unequal


def _statistics(numpy: Any, values: Any) -> dict[str, float]:
    """Return minimum, maximum, mean and standard deviation of what is a number and finite."""
    if values.dtype.kind not in "biuf" or not values.size:
        return {}
    if values.dtype.kind == "f":
        values = values[numpy.isfinite(values)]
    if not values.size:
        return {}
    wide = numpy.float64
    return {
        "min": float(values.min()),
        "max": float(values.max()),
        "mean": float(values.mean(dtype=wide)),
        "std": float(values.std(dtype=wide)),
    }


def _told(before: dict[str, float], after: dict[str, float]) -> list[str]:
    names = [name for name in after if name in before and before[name] != after[name]]
    return [f"{name}: {_change(f'{before[name]:.6g}', f'{after[name]:.6g}')}" for name in names]


def compare_tensors(before: Any, after: Any) -> dict[str, Any]:
    """Compare two tensors of torch."""
    found, lines = _outside(before, after)
    if not lines:
        one, two = before.detach(), after.detach()
        unequal = (one != two) & ~((one != one) & (two != two))
        count, size = int(unequal.sum()), int(one.numel())
        found["changed"], found["fraction"] = count, count / size if size else 0.0
        if count:
            lines.append(f"{count:,} of {size:,} elements differ ({found['fraction']:.3%})")
            if one.is_floating_point():
                lines.append(
                    f"mean: {_change(f'{float(one.double().mean()):.6g}', f'{float(two.double().mean()):.6g}')}"
                )
    return {**found, "differs": bool(lines), "lines": lines}
