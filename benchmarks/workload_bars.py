"""The bars: what the figures have to be, as ratios in one run or as bytes."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any

MISSING = "not measured"
MEGABYTE = 1_000_000
LEAST = 0.0001
"""Seconds; what is less than this is noise, and nothing is divided by it."""


@dataclass
class Bar:
    """One bar.

    Attributes:
        title: What is measured.
        value: The figure; None if something for it is missing.
        most: The largest figure that meets it.
        unit: What the figure counts: a ratio, bytes, or seconds.
        detail: The figures that the value comes from.
    """

    title: str
    value: float | None
    most: float
    unit: str = "ratio"
    detail: str = ""

    @property
    def met(self) -> bool:
        """Whether the figure is there, and small enough."""
        return self.value is not None and self.value <= self.most


def median(values: list[float] | None) -> float | None:
    """Return the median, or None where there is nothing."""
    return statistics.median(values) if values else None


def p95(values: list[float] | None) -> float | None:
    """Return the value that one in twenty exceeds, or None where there is nothing."""
    return sorted(values)[max(0, round(len(values) * 0.95) - 1)] if values else None


def holdfast_wait(found: dict[str, Any]) -> float | None:
    """Return the usual extra wait of Holdfast: that with pauses or that without, whichever is longer."""
    waits = [median(found.get(mode, {}).get("waits")) for mode in ("paced", "burst")]
    return max((wait for wait in waits if wait is not None), default=None)


def ratio(mine: float | None, theirs: float | None) -> float | None:
    """Divide, if both are there."""
    return None if mine is None or theirs is None else max(mine, 0) / max(theirs, LEAST)


def _times(name: str, mine: float | None, theirs: float | None) -> str:
    def shown(value: float | None) -> str:
        if value is None:
            return MISSING
        return f"{value:.3g} s" if value >= 1 else f"{value * 1000:.3g} ms"

    return f"{shown(mine)}; {name} {shown(theirs)}"


def bars(data: dict[str, Any]) -> list[Bar]:
    """Return all bars with what was measured for them."""
    all_found: dict[str, dict[str, Any]] = data["workloads"]

    def of(workload: str, candidate: str = "Holdfast") -> dict[str, Any]:
        found: dict[str, Any] = all_found.get(workload, {}).get(candidate, {})
        return found

    made: list[Bar] = []
    for workload, peer, part in (
        ("W1", "Kishu", 20),
        ("W2", "dill", 100),
        ("W4", "dill", 100),
        ("W3", "cloudpickle", 20),
        ("W5", "cloudpickle", 20),
    ):
        mine, theirs = holdfast_wait(of(workload)), median(of(workload, peer).get("waits"))
        title = f"{workload}: extra wait a cell, of {peer}'s (1/{part})"
        made.append(Bar(title, ratio(mine, theirs), 1 / part, detail=_times(peer, mine, theirs)))
    paced = of("W1").get("paced", {})
    mine, theirs = median(paced.get("waits")), median(paced.get("small"))
    title = "W1: extra wait a cell, of that without the array"
    made.insert(1, Bar(title, ratio(mine, theirs), 2, detail=_times("without", mine, theirs)))
    made.append(_growth(data["growth"].get("session", {}).get("points", [])))
    for workload, most in (("W1", 20_000), ("W2", 1.5 * MEGABYTE)):
        made.append(
            Bar(f"{workload}: bytes a cell", of(workload).get("paced", {}).get("bytes_per_cell"), most, "bytes")
        )
    for workload in ("W3", "W5"):
        sizes = of(workload).get("paced", {}).get("bytes"), of(workload, "Kishu").get("bytes")
        detail = "; ".join(
            f"{name}{MISSING if size is None else f'{size / MEGABYTE:.4g} MB'}"
            for name, size in zip(("", "Kishu "), sizes, strict=True)
        )
        made.append(Bar(f"{workload}: bytes in all, of Kishu's (1/2)", ratio(*sizes), 0.5, detail=detail))
    points = [point for point in data["growth"].get("versions", {}).get("points", []) if point["versions"] == 10_000]
    made.append(
        Bar("10,000 versions of a small session", points[0]["bytes"] if points else None, 50 * MEGABYTE, "bytes")
    )
    for workload in ("W1", "W2"):
        restored = of(workload).get("restore", {})
        detail = f"{restored['imports'] * 1000:.3g} ms of it: import numpy" if "imports" in restored else ""
        made.append(Bar(f"{workload}: restore to the first variable", restored.get("first"), 0.05, "seconds", detail))
    for workload in ("W3", "W4", "W5"):
        mine, theirs = of(workload).get("restore", {}).get("every"), of(workload, "cloudpickle").get("every")
        title = f"{workload}: restore of all, of what pickle.load takes"
        made.append(Bar(title, ratio(mine, theirs), 1, detail=_times("pickle.load", mine, theirs)))
    mine, theirs = median(of("W7").get("burst", {}).get("trips")), median(of("W7", "ipykernel").get("trips"))
    title = "W7: round trip with save, of ipykernel's without (1/3)"
    made.append(Bar(title, ratio(mine, theirs), 1 / 3, detail=_times("ipykernel", mine, theirs)))
    for workload in ("W1", "W2", "W3", "W4", "W5"):
        found = of(workload).get("memory", {})
        most = max(64 << 20, found.get("session", 0) / 10)
        made.append(Bar(f"{workload}: peak memory of saves", found.get("memory"), most, "bytes"))
    return made


def _growth(points: list[dict[str, Any]]) -> Bar:
    by_size = {point["megabytes"]: point for point in points}
    small, large = by_size.get(80), by_size.get(8000)
    title = "extra wait at 8 GB, of that at 80 MB"
    if small is None or large is None:
        return Bar(title, None, 3)
    ratios = {mode: large[mode] / max(small[mode], LEAST) for mode in ("wait", "burst")}
    worst = max(ratios, key=lambda mode: ratios[mode])
    return Bar(title, ratios[worst], 3, detail=_times("80 MB", large[worst], small[worst]))
