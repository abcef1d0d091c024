"""Tables, the list of bars and the plot, from the results of workloads.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from workload_bars import MISSING, Bar, bars, holdfast_wait, median, p95
from workload_cells import workloads

BEGIN, END = (
    "<!-- measured: benchmarks/workloads.py --publish writes what stands between these lines -->",
    "<!-- end of measured -->",
)
PICTURE = (
    "![Extra wait a cell with each candidate, and how that of Holdfast grows with the session](images/benchmarks.svg)"
)
BUSY = ": others used the machine meanwhile, so times are longer, and vary more, than on a quiet one"
CANDIDATES = ("Holdfast", "Kishu", "dill", "cloudpickle", "marimo", "ipykernel")
HEAD = (
    "candidate",
    "extra wait a cell: median (p95)",
    "the same, cells back to back",
    "saved after",
    "on disk",
    "more a cell",
    "restore: first",
    "all",
    "all read",
    "peak memory",
)


def seconds(value: float | None) -> str:
    """Return a time in its usual unit."""
    if value is None:
        return "–"
    return f"{value:.3g} s" if abs(value) >= 1 else f"{value * 1000:.3g} ms"


def size(value: float | None) -> str:
    """Return bytes in their usual unit."""
    if value is None:
        return "–"
    for unit, step in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if abs(value) >= step:
            return f"{value / step:.3g} {unit}"
    return f"{value:.0f} B"


def _table(rows: list[tuple[str, ...]], head: tuple[str, ...]) -> str:
    rule = "| --- |" + " ---: |" * (len(head) - 1)
    return "\n".join(["| " + " | ".join(head) + " |", rule, *("| " + " | ".join(row) + " |" for row in rows)])


def _waits(waits: list[float] | None) -> str:
    return f"{seconds(median(waits))} ({seconds(p95(waits))})" if waits else "–"


def _row(name: str, found: dict[str, Any]) -> tuple[str, ...]:
    if "failed" in found:
        return (name, found["failed"].partition(": ")[2], *[""] * (len(HEAD) - 2))
    if name == "Holdfast":
        paced, back, restore = found["paced"], found["burst"], found["restore"]
        return (
            "**Holdfast**",
            _waits(paced["waits"]),
            _waits(back["waits"]),
            seconds(median(paced["lags"])),
            size(paced["bytes"]),
            size(paced["bytes_per_cell"]),
            seconds(restore["first"]),
            seconds(restore["every"]),
            seconds(restore["every"] + restore["touch"]),
            size(found["memory"]["memory"]),
        )
    read = found["every"] + found["touch"] if "every" in found else None
    kept = name != "ipykernel"
    return (
        name + (f" ({found['trouble']})" if found.get("trouble") else ""),
        _waits(found["waits"]),
        "",
        "at once" if kept else "",
        size(found["bytes"]) if kept else "",
        size(found["bytes_per_cell"]) if name in ("Kishu", "marimo") else "last state only" if kept else "",
        seconds(found.get("first")) if kept else "",
        seconds(found.get("every")) if kept else "",
        seconds(read) if kept else "",
        size(found.get("memory")) if kept else "",
    )


def tables(data: dict[str, Any]) -> str:
    """Return one table for each workload, and one for each growth curve."""
    parts = []
    for name, workload in workloads(1.0).items():
        found = data["workloads"].get(name, {})
        rows = [_row(candidate, found[candidate]) for candidate in CANDIDATES if candidate in found]
        if not rows:
            continue
        scale = next(iter(found.values())).get("scale", 1)
        counts = ", ".join(
            f"{candidate} {cells}"
            for candidate in CANDIDATES
            if (cells := (found.get(candidate, {}).get("paced") or found.get(candidate, {})).get("cells"))
        )
        title = f"### {name}: {workload.title}" + ("" if scale == 1 else f" (at scale {scale:g})")
        parts += [title, _table(rows, HEAD), f"Cells measured: {counts}."]
        trips = {one: x.get("burst", x).get("trips") for one, x in found.items() if "failed" not in x}
        if name == "W7":
            said = "; ".join(f"{one} {seconds(median(values))}" for one, values in trips.items() if values)
            parts.append(f"Round trips, with whatever is saved: {said}.")
    growth = data.get("growth", {})
    for curve, title, unit in (
        ("session", "### Growth with the session: 1 MB of an array is written in place", "megabytes"),
        ("change", "### Growth with the change: bytes of a 1 GB array are written in place", "bytes"),
        ("variables", "### Growth with the variables: one of them changes", "variables"),
    ):
        points = growth.get(curve, {}).get("points")
        if points:
            head = (unit, "extra wait", "cells back to back", "saved after", "the cell without a save")
            rows = [(f"{p[unit]:,}", *(seconds(p[key]) for key in ("wait", "burst", "lag", "usual"))) for p in points]
            parts += [title, _table(rows, head)]
    points = growth.get("versions", {}).get("points")
    if points:
        rows = [(f"{p['versions']:,}", seconds(p["trip"]), size(p["bytes"])) for p in points]
        parts += [
            "### Growth with the versions: `x = 1` again and again",
            _table(rows, ("versions", "round trip", "on disk")),
        ]
    return "\n\n".join(parts)


def bars_table(found: list[Bar]) -> str:
    """Return the bars as a table."""
    return _table([_bar_row(bar) for bar in found], ("bar", "measured", "at most", "", "from"))


def _bar_row(bar: Bar) -> tuple[str, ...]:
    show = {"ratio": lambda value: f"{value:.3g}", "bytes": size, "seconds": seconds}[bar.unit]
    value = MISSING if bar.value is None else show(bar.value)
    return (
        bar.title,
        value,
        show(bar.most),
        "met" if bar.met else MISSING if bar.value is None else "MISSED",
        bar.detail,
    )


def _about(data: dict[str, Any]) -> str:
    machine = data["machine"]
    versions: dict[str, str] = {}
    for found in data["workloads"].values():
        for one in found.values():
            versions |= one.get("versions", {})
    days = sorted(one["measured"] for found in data["workloads"].values() for one in found.values())
    commits = {found["Holdfast"]["commit"] for found in data["workloads"].values() if "Holdfast" in found}
    packages = ", ".join(f"{name} {number}" for name, number in sorted(versions.items()))
    between = " to ".join(sorted({days[0], days[-1]}))
    several = " The figures come from several runs." if len(commits) > 1 else ""
    loads = [one["load_average"] for found in data["workloads"].values() for one in found.values()]
    return (
        f"Measured {between} on a virtual machine with {machine['cores']} cores ({machine['processor']}) and "
        f"{machine['memory'] / 2**30:.0f} GB, {machine['platform']}, Python {machine['python']}; Holdfast at "
        f"{', '.join(sorted(commits))}; {packages}. The load average was {min(loads):g} to {max(loads):g}"
        f"{BUSY if max(loads) > 2 * machine['cores'] else ''}.{several}"
    )


def overview(data: dict[str, Any]) -> str:
    """Return one line for each workload: extra wait, bytes on disk and restore, Holdfast's and the peers'."""
    drawn = ("Holdfast", "Kishu", "dill", "cloudpickle")
    rows = []
    for name, workload in workloads(1.0).items():
        found = data["workloads"].get(name, {})
        cells = []
        for candidate in drawn:
            one = found.get(candidate, {"failed": MISSING})
            if "failed" in one:
                cells.append("–")
                continue
            wait = holdfast_wait(one) if candidate == "Holdfast" else median(one["waits"])
            restored = one.get("restore", one).get("every")
            cells.append(f"{seconds(wait)} · {size(one.get('paced', one)['bytes'])} · {seconds(restored)}")
        if name != "W7" and found:
            rows.append((f"{name}: {workload.title}", *cells))
    return _table(rows, ("extra wait a cell · on disk · until all is back", *drawn))


def publish(data: dict[str, Any], root: Path) -> None:
    """Write tables, bars and the plot into the documentation, and an overview into the README."""
    docs = root / "docs"
    parts = [_about(data), PICTURE, "### Bars", bars_table(bars(data)), tables(data)]
    _write_between(docs / "benchmarks.md", "\n\n".join(parts))
    _write_between(root / "README.md", overview(data))
    plot(data, docs / "images" / "benchmarks.svg")


def _write_between(page: Path, made: str) -> None:
    text = page.read_text()
    before, begin, rest = text.partition(BEGIN)
    if begin:
        page.write_text(f"{before}{BEGIN}\n\n{made}\n\n{END}{rest.partition(END)[2]}")


def plot(data: dict[str, Any], path: Path) -> None:
    """Draw the waits side by side, and how they grow with the session."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "holdfast"
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4), width_ratios=(3, 2))
    names = [name for name in data["workloads"] if name != "W7"]
    drawn = ("Holdfast", "Kishu", "dill", "cloudpickle")
    colours = ("#1b7f5c", "#c9622f", "#8a8f98", "#4b6cb7")
    for place, (candidate, colour) in enumerate(zip(drawn, colours, strict=True)):
        waits = []
        for name in names:
            found = data["workloads"][name].get(candidate, {})
            values = found.get("burst", found).get("waits")
            waits.append(max((median(values) or 0) * 1000, 0.01) if values else 0)
        positions = [index + (place - 1.5) * 0.2 for index in range(len(names))]
        left.bar(positions, waits, 0.2, label=candidate + (", back to back" if not place else ""), color=colour)
    left.set_yscale("log")
    left.set_ylim(0.5, None)
    left.set_xticks(range(len(names)), names)
    left.set_ylabel("extra wait a cell, ms (median)")
    left.legend(frameon=False, fontsize=8)
    points = data.get("growth", {}).get("session", {}).get("points", [])
    for key, label, style in (("wait", "with pauses", "o-"), ("burst", "back to back", "s--")):
        pairs = [(point["megabytes"], max(point[key] * 1000, 0.01)) for point in points]
        right.plot([pair[0] for pair in pairs], [pair[1] for pair in pairs], style, color=colours[0], label=label)
    right.set_xscale("log")
    right.set_yscale("log")
    right.set_ylim(0.1, None)
    right.set_xlabel("session, MB; each cell changes 1 MB of it")
    right.set_ylabel("extra wait a cell, ms")
    right.legend(frameon=False, fontsize=8)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
