"""How the cost of a save grows: with the session, with the change, with the versions, with the variables."""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workload_holdfast import Pace, TimedClient, Trip, daemon
from workload_memory import bytes_on_disk, settled_bytes

MEGABYTE = 1_000_000
ROW = 125_000
"""Numbers in a megabyte."""


@dataclass
class Sizes:
    """How far the curves go.

    Attributes:
        scale: Part of their full length, at most 1.
        most: The largest session, in MB, at scale 1.
    """

    scale: float = 1.0
    most: float = 8000.0


def _compare(client: TimedClient, name: str, cells: list[str], usual: float, pace: Pace) -> dict[str, Any]:
    """Run half of some cells paced and the others in a burst, with saves; `usual` is the wait for one without."""
    paced: list[Trip] = []
    for code in cells[: len(cells) // 2]:
        client.think(pace.think)
        paced.append(client.timed(name, code))
        client.settle()
    burst = [client.timed(name, code) for code in cells[len(cells) // 2 :]]
    client.settle()
    return {
        "wait": statistics.median(trip.wait - usual for trip in paced),
        "burst": statistics.median(trip.wait - usual for trip in burst),
        "lag": statistics.median(trip.lag for trip in paced),
        "usual": usual,
    }


def _without(client: TimedClient, name: str, cells: list[str]) -> float:
    """Return the usual wait for cells that are not saved, in a session of which nothing is saved yet."""
    return statistics.median(client.timed(name, code, persist=False).wait for code in cells)


def _rows(first: int, count: int, rows: int) -> list[str]:
    made = (first + i for i in range(count))
    return [f"a[{i * 37 % rows}] = np.random.default_rng({i + 10**6}).random({ROW})" for i in made]


def session_size(folder: Path, sizes: Sizes, pace: Pace) -> dict[str, Any]:
    """One megabyte of an array is written in place, in arrays from 1 MB to 8 GB."""
    points = []
    for megabytes in (1, 8, 80, 400, 2000, 8000):
        if megabytes > sizes.most * sizes.scale:
            continue
        at = folder / str(megabytes)
        with daemon(at) as client:
            client.timed("a.py", "import numpy as np", persist=False)
            make = (
                f"a = np.empty(({megabytes}, {ROW}))\nfor i in range(len(a)): np.random.default_rng(i).random(out=a[i])"
            )
            client.timed("a.py", make, persist=False)
            usual = _without(client, "a.py", _rows(0, 7, megabytes))
            client.timed("a.py", "x = 1")
            client.settle()
            client.flush()
            before = settled_bytes(at / ".state")
            found = _compare(client, "a.py", _rows(7, 14, megabytes), usual, pace)
            client.flush()
            found["bytes_per_cell"] = (settled_bytes(at / ".state") - before) / 14
            points.append({"megabytes": megabytes} | found)
        shutil.rmtree(at, ignore_errors=True)
    return {"points": points}


def change_size(folder: Path, sizes: Sizes, pace: Pace) -> dict[str, Any]:
    """Parts of several sizes of one array of 1 GB are written in place."""
    points = []
    total = round(125_000_000 * sizes.scale)
    with daemon(folder) as client:
        client.timed("a.py", f"import numpy as np\na = np.random.default_rng(1).random({total})", persist=False)
        client.timed("a.py", "x = 1")
        client.settle()
        for size in (8, 64 << 10, 1 << 20, 16 << 20, 256 << 20):
            count = size // 8
            if count > total // 2:
                continue
            step = max(1, (total - count) // 21)
            made = [f"= np.random.default_rng({i}).random({count})" for i in range(20 if size < 16 << 20 else 6)]
            cells = [f"a[{i * step}:{i * step + count}] {values}" for i, values in enumerate(made)]
            client.timed("b.py", f"import numpy as np\nb = np.zeros({count})", persist=False)
            usual = _without(client, "b.py", [f"b[:] {values}" for values in made])
            points.append({"bytes": size} | _compare(client, "a.py", cells, usual, pace))
    return {"points": points}


def versions(folder: Path, sizes: Sizes, pace: Pace) -> dict[str, Any]:
    """A small session gets 10,000 versions."""
    most = max(10, round(10_000 * sizes.scale))
    points = []
    with daemon(folder) as client:
        client.timed("a.py", "rows = list(range(100))\nname = 'a'\ntotal = 0.0\ndef f(x): return x + total")
        client.flush()
        empty = bytes_on_disk(folder / ".state")
        waits: list[float] = []
        for number in range(1, most + 1):
            waits.append(client.timed("a.py", f"x = {number}").wait)
            if number in {10, 100, 1000, most}:
                client.flush()
                points.append(
                    {
                        "versions": number,
                        "trip": statistics.median(waits[-max(10, number // 10) :]),
                        "bytes": bytes_on_disk(folder / ".state"),
                    }
                )
    return {"points": points, "bytes_empty": empty, "bytes_closed": bytes_on_disk(folder / ".state")}


def variables(folder: Path, sizes: Sizes, pace: Pace) -> dict[str, Any]:
    """One variable changes in sessions of 1 to 100,000 variables."""
    points = []
    for count in (1, 100, 1000, 10_000, 100_000):
        if count > 100_000 * sizes.scale:
            continue
        with daemon(folder / str(count)) as client:
            client.timed("a.py", f"globals().update((f'v{{i}}', i) for i in range({count}))", persist=False)
            client.timed("b.py", "v0 = 0", persist=False)
            usual = _without(client, "b.py", [f"v0 = {i}" for i in range(20)])
            client.timed("a.py", "v0 = 20")
            client.settle()
            points.append(
                {"variables": count} | _compare(client, "a.py", [f"v0 = {i}" for i in range(30, 70)], usual, pace)
            )
    return {"points": points}


CURVES: dict[str, Callable[[Path, Sizes, Pace], dict[str, Any]]] = {
    "session": session_size,
    "change": change_size,
    "versions": versions,
    "variables": variables,
}
