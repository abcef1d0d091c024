"""What differs between two values, said so that people can read it.

Both were brought back from what was saved, into a process that is there for this comparison alone: code of theirs may
run (``__eq__``, ``get_params``), nothing else sees its effects.
"""

from __future__ import annotations

import difflib
import math
import types
from typing import Any

from .look import library_base, preview, summarize
from .text import clean, mro_of, type_name

MOST = 20
"""Differences named of one value; of the rest, how many there are."""
_LONGEST = 100_000
"""Items compared one by one."""


def compare(name: str, before: Any, after: Any) -> dict[str, Any]:
    """Return ``{kind, lines, …}``: what differs, as lines for people, and as fields for programs.

    Args:
        name: the variable.
        before: its value in the one version.
        after: its value in the other.
    """
    try:
        found = _compare(before, after)
    except Exception as error:  # noqa: BLE001 - code of the values' own classes; all that can be told is from outside
        found = {"kind": "object", "lines": [f"could not be compared: {type_name(error)}: {clean(str(error))[:200]}"]}
    found["lines"] = [clean(str(line)) for line in found["lines"][: MOST + 1]]
    if not found["lines"]:
        one, two = summarize(name, before), summarize(name, after)
        found["lines"] = [_change(one["preview"], two["preview"])] if one != two else ["nothing that can be seen"]
    return found


def _compare(before: Any, after: Any) -> dict[str, Any]:
    if type(before) is not type(after) and type_name(before) != type_name(after):
        lines = [f"type: {_change(type_name(before), type_name(after))}", _change(preview(before), preview(after))]
        return {"kind": "type", "lines": lines}
    for module, name in (("pandas", "DataFrame"), ("pandas", "Series"), ("polars", "DataFrame"), ("numpy", "ndarray")):
        if library_base(before, module, name) is not None and library_base(after, module, name) is not None:
            from . import comparing_tables

            return comparing_tables.compare(module, name, before, after)
    if library_base(before, "torch", "Tensor") is not None:
        from . import comparing_tables

        return comparing_tables.compare_tensors(before, after)
    kind = type(before)
    if kind in (int, float, complex, bool) or library_base(before, "numpy", "generic") is not None:
        return _numbers(before, after)
    if kind is str:
        return _texts(before, after)
    if kind in (bytes, bytearray):
        return _bytes(before, after)
    if isinstance(before, dict) and isinstance(after, dict):
        return {"kind": "collection", **_mappings(before, after, "[{}]")}
    if isinstance(before, (list, tuple)):
        return _sequences(before, after)
    if isinstance(before, (set, frozenset)):
        return _sets(before, after)
    if kind is types.FunctionType:
        return _functions(before, after)
    return _objects(before, after)


def same(one: Any, two: Any) -> bool:
    """Whether two values are equal, as far as they themselves can say."""
    if one is two:
        return True
    if type_name(one) != type_name(two):
        return False
    array = library_base(one, "numpy", "ndarray")
    if array is not None or library_base(one, "pandas", "DataFrame") or library_base(one, "torch", "Tensor"):
        return not compare("", one, two).get("differs", True)
    if isinstance(one, float) and math.isnan(one):
        return isinstance(two, float) and math.isnan(two)
    if isinstance(one, dict) and isinstance(two, dict):
        return one.keys() == two.keys() and all(same(one[key], two[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(two) and all(map(same, one, two))
    if _equal(one, two):
        return True
    if _is_compared_by_identity(one) and hasattr(one, "__dict__"):
        return same(vars(one), vars(two))
    return False


def _is_compared_by_identity(value: Any) -> bool:
    comparison: Any = type(value).__eq__
    return comparison is object.__eq__


def _equal(one: Any, two: Any) -> bool:
    try:
        return bool(one == two)
    except Exception:  # noqa: BLE001 - a class's own code, which cannot say: then they are not known to be equal
        return False


def _change(before: str, after: str) -> str:
    return f"{before} → {after}"


def _more(lines: list[str], count: int, what: str) -> list[str]:
    return lines if count <= len(lines) else [*lines, f"… {count - len(lines):,} more {what}"]


def _numbers(before: Any, after: Any) -> dict[str, Any]:
    lines = [_change(preview(before), preview(after))]
    try:
        delta = after - before
        if isinstance(before, bool) or delta != delta:
            return {"kind": "number", "lines": lines}
        ratio = f" ({100 * float(delta) / abs(before):+.3g} %)" if before and not isinstance(before, complex) else ""
        sign = "" if isinstance(delta, complex) or delta < 0 else "+"
        lines = [f"{lines[0]}: {sign}{preview(delta)}{ratio}"]
    except (TypeError, ArithmeticError, ValueError):
        pass  # numbers between which there is no difference, as dates of numpy without a unit
    return {"kind": "number", "lines": lines}


def _texts(before: str, after: str) -> dict[str, Any]:
    found: dict[str, Any] = {"kind": "text", "length": [len(before), len(after)]}
    if "\n" in before + after and len(before) + len(after) <= _LONGEST:
        lines = list(difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=1))[2:]
    else:
        at = next((index for index, (one, two) in enumerate(zip(before, after, strict=False)) if one != two), None)
        if at is None:
            at = min(len(before), len(after))
        around = slice(max(0, at - 20), at + 40)
        lines = [f"from character {at:,}: {_change(repr(before[around]), repr(after[around]))}"]
        if len(before) != len(after):
            lines.insert(0, f"length: {_change(f'{len(before):,}', f'{len(after):,}')}")
    return {**found, "lines": _more(lines[:MOST], len(lines), "lines")}


def _bytes(before: Any, after: Any) -> dict[str, Any]:
    length = [len(before), len(after)]
    at = next((index for index, (one, two) in enumerate(zip(before, after, strict=False)) if one != two), min(length))
    lines = [f"length: {_change(f'{length[0]:,}', f'{length[1]:,}')}"] if length[0] != length[1] else []
    return {"kind": "bytes", "length": length, "lines": [*lines, f"from byte {at:,} on"]}


def _mappings(before: Any, after: Any, shown: str) -> dict[str, Any]:
    added = [key for key in after if key not in before]
    removed = [key for key in before if key not in after]
    common = [key for key in after if key in before]
    changed = [key for key in common[:_LONGEST] if not same(before[key], after[key])]
    lines = []
    if len(before) != len(after):
        lines.append(f"length: {_change(f'{len(before):,}', f'{len(after):,}')}")
    each = [f"+ {shown.format(preview(key))}: {preview(after[key])}" for key in added[:MOST]]
    each += [f"- {shown.format(preview(key))}: {preview(before[key])}" for key in removed[:MOST]]
    each += [
        f"~ {shown.format(preview(key))}: {_inner(before[key], after[key])}" for key in changed[: MOST - len(lines)]
    ]
    lines += each[: MOST - len(lines)]
    count = len(added) + len(removed) + len(changed)
    if count > len(each[: MOST - 1]):
        lines.append(f"… {count:,} keys differ in all")
    return {
        "added": [preview(key) for key in added[:MOST]],
        "removed": [preview(key) for key in removed[:MOST]],
        "changed": [preview(key) for key in changed[:MOST]],
        "counts": [len(added), len(removed), len(changed)],
        "lines": lines,
    }


def _inner(before: Any, after: Any) -> str:
    """What differs in something that a value holds, on a line."""
    one, two = preview(before), preview(after)
    if one != two:
        return _change(one, two)
    lines = compare("", before, after)["lines"]
    return f"{one}: {lines[0]}" if lines else one


def _sequences(before: Any, after: Any) -> dict[str, Any]:
    length = [len(before), len(after)]
    lines = [f"length: {_change(f'{length[0]:,}', f'{length[1]:,}')}"] if length[0] != length[1] else []
    start, both = 0, min(length)
    while start < min(both, _LONGEST) and same(before[start], after[start]):
        start += 1
    end = 0
    while end < min(both - start, _LONGEST) and same(before[-1 - end], after[-1 - end]):
        end += 1
    left, right = before[start : length[0] - end], after[start : length[1] - end]
    changed = []
    if len(left) == len(right):
        pairs = enumerate(zip(left[:_LONGEST], right, strict=False), start)
        changed = [(index, one, two) for index, (one, two) in pairs if not same(one, two)]
        each = [f"~ [{index}]: {_inner(one, two)}" for index, one, two in changed[:MOST]]
    else:
        each = [f"- [{index}]: {preview(item)}" for index, item in enumerate(left[:MOST], start)]
        each += [f"+ [{index}]: {preview(item)}" for index, item in enumerate(right[:MOST], start)]
    count = len(changed) or (len(left) + len(right) if len(left) != len(right) else 0)
    return {
        "kind": "collection",
        "length": length,
        "from": start,
        "counts": [len(right) if not changed else 0, len(left) if not changed else 0, len(changed)],
        "lines": _more([*lines, *each[: MOST - 1]], count + len(lines), "items"),
    }


def _sets(before: Any, after: Any) -> dict[str, Any]:
    added, removed = sorted(map(preview, after - before)), sorted(map(preview, before - after))
    lines = [*(f"+ {item}" for item in added), *(f"- {item}" for item in removed)]
    return {
        "kind": "collection",
        "length": [len(before), len(after)],
        "counts": [len(added), len(removed), 0],
        "lines": _more(lines[:MOST], len(lines), "items"),
    }


def _functions(before: Any, after: Any) -> dict[str, Any]:
    import inspect

    try:
        one, two = inspect.getsource(before), inspect.getsource(after)
    except (OSError, TypeError):
        one = two = ""
    lines = list(difflib.unified_diff(one.splitlines(), two.splitlines(), lineterm="", n=1))[2:]
    if not lines:
        parts = ("__defaults__", "__kwdefaults__", "__annotations__", "__dict__")
        lines = [
            f"{part}: {_change(preview(getattr(before, part)), preview(getattr(after, part)))}"
            for part in parts
            if not same(getattr(before, part), getattr(after, part))
        ]
        if before.__code__ != after.__code__:
            lines.insert(0, "its code is another one")
    return {"kind": "function", "lines": _more(lines[:MOST], len(lines), "lines")}


def _objects(before: Any, after: Any) -> dict[str, Any]:
    if callable(getattr(before, "state_dict", None)) and library_base(before, "torch.nn", "Module") is not None:
        return {"kind": "model", **_mappings(dict(before.state_dict()), dict(after.state_dict()), "{}")}
    if callable(getattr(before, "get_params", None)) and not isinstance(before, type):
        return _estimators(before, after)
    if any(base is type for base in mro_of(type(before))):
        one, two = (_plain(dict(vars(value))) for value in (before, after))
        return {"kind": "class", **_mappings(one, two, "{}")}
    state = [_state(value) for value in (before, after)]
    if state[0] is None or state[1] is None:
        return {"kind": "object", "lines": []}
    return {"kind": "object", **_mappings(state[0], state[1], ".{}")}


def _estimators(before: Any, after: Any) -> dict[str, Any]:
    """Compare models as scikit-learn has them: what they were told, and what they learnt (names that end in ``_``)."""
    told = _mappings(before.get_params(), after.get_params(), "{}")
    learnt = _mappings(_learnt(before), _learnt(after), ".{}")
    return {
        "kind": "model",
        "parameters": {key: told[key] for key in ("added", "removed", "changed")},
        "learnt": {key: learnt[key] for key in ("added", "removed", "changed")},
        "lines": [*told["lines"], *learnt["lines"]],
    }


def _learnt(model: Any) -> dict[str, Any]:
    return {name: value for name, value in vars(model).items() if name.endswith("_") and not name.startswith("__")}


def _state(value: Any) -> dict[str, Any] | None:
    found: dict[str, Any] = {}
    for base in mro_of(type(value)):
        slots = base.__dict__.get("__slots__", ())
        for slot in (slots,) if isinstance(slots, str) else slots:
            if slot not in ("__dict__", "__weakref__") and hasattr(value, slot):
                found[slot] = getattr(value, slot)
    attributes = getattr(value, "__dict__", None)
    if type(attributes) is dict:
        found.update(attributes)
    elif not found:
        return None
    return found


def _plain(members: dict[str, Any]) -> dict[str, Any]:
    """Return a class's members without what every class has, functions by what they do."""
    hidden = ("__dict__", "__weakref__", "__module__", "__qualname__", "__doc__", "__firstlineno__", "__annotate__")
    return {
        name: _Code(value) if isinstance(value, types.FunctionType) else value
        for name, value in members.items()
        if name not in hidden
    }


class _Code:
    """A method, for comparison."""

    def __init__(self, function: types.FunctionType) -> None:
        self._function = function
        code = function.__code__
        self._meaning = (code.co_code, code.co_names, code.co_varnames, repr(function.__defaults__), _constants(code))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Code) and self._meaning == other._meaning

    def __hash__(self) -> int:
        return hash(self._meaning[0])


def _constants(code: types.CodeType) -> tuple[Any, ...]:
    return tuple(
        (_constants(part), part.co_code) if isinstance(part, types.CodeType) else (type_name(part), repr(part))
        for part in code.co_consts
    )
