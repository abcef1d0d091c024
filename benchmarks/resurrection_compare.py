"""Comparing two ways through a script: what each cell showed, and the variables at the end."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from resurrection_sides import Record

_UNLIKE = (
    (re.compile(r"0x[0-9a-fA-F]{6,}"), "0x…"),
    (re.compile(r"(sk-(?:container|estimator)-id-)[\w-]+"), r"\1…"),
    (re.compile(r"/tmp/tmp\w{8}"), "/tmp/tmp…"),
    (re.compile(r"(?:lines \d+ to \d+, )?/tmp/ipykernel_\d+/\d+\.py"), "<cell>"),
)
"""What may read otherwise in texts: addresses, the numbers that scikit-learn's diagrams count up, temporary folders."""


def shown(outputs: list[dict[str, Any]]) -> list[str]:
    """Return what a cell showed, as lines to compare: streams joined, texts without addresses, pictures as hashes."""
    lines: list[str] = []
    streams: dict[str, str] = {}
    for output in outputs:
        kind = output["output_type"]
        if kind == "stream":
            streams[output["name"]] = streams.get(output["name"], "") + output["text"]
        elif kind == "clear_output":
            streams.clear()
            lines.clear()
        else:
            for mime, content in sorted(output.get("data", {}).items()):
                text = content if isinstance(content, str) else repr(content)
                plain = mime.startswith("text/") and len(text) < 100_000
                value = like(text) if plain else hashlib.sha256(like(text).encode()).hexdigest()[:16]
                lines.append(f"{kind} {mime}: {value}")
    for name in sorted(streams):
        lines.extend(f"{name}: {line}" for line in like(streams[name]).splitlines())
    return lines


def like(text: str) -> str:
    """Return a text without what may differ from one run to the next."""
    for pattern, replacement in _UNLIKE:
        text = pattern.sub(replacement, text)
    return text


def _first_difference(one: list[str], two: list[str]) -> str:
    for left, right in zip(one, two, strict=False):
        if left != right:
            start = next(
                (i for i, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right))
            )
            start = max(0, start - 40)
            return f"{left[start : start + 120]!r} became {right[start : start + 120]!r}"
    if len(one) > len(two):
        return f"{one[len(two)][:160]!r} is missing"
    return f"{two[len(one)][:160]!r} is too much"


def differences(one: Record, two: Record) -> dict[str, str]:
    """Return where two ways through a script differ, and how: cells as "cell 3", variables by their place."""
    found: dict[str, str] = {}
    failed = (one.error is None) != (two.error is None)
    compared = min(len(one.outputs), len(two.outputs)) - failed
    for index in range(compared):
        if (left := shown(one.outputs[index])) != (right := shown(two.outputs[index])):
            found[f"cell {index}"] = _first_difference(left, right)
    if failed:
        error = two.error or one.error or {}
        found[f"cell {compared} fails"] = f"{error.get('ename')}: {error.get('evalue')}"[:300]
        return found
    for place in one.digest.keys() | two.digest.keys():
        left_line, right_line = one.digest.get(place), two.digest.get(place)
        if left_line != right_line:
            found[place] = f"{left_line} became {right_line}"[:400]
    return found


def variable_of(place: str) -> str:
    """Return the variable in which a place lies."""
    match = re.match(r"\w+", place)
    return match.group() if match else place
