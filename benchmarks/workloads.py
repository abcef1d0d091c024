"""What saving costs in whole sessions, and how that grows: Holdfast beside Kishu, dill, cloudpickle and ipykernel.

    python benchmarks/workloads.py                                  # everything, as published: about an hour
    python benchmarks/workloads.py --scale 0.1 --peers none         # a quick look
    python benchmarks/workloads.py --only W2 --peers dill           # one workload, one peer
    python benchmarks/workloads.py --report                         # measure nothing: tables of what is there

Results go into a JSON file, which later runs add to; the table, the bars and the plot are made from it.
docs/benchmarks.md says what is measured and how.
"""

from __future__ import annotations

import argparse
import compileall
import datetime
import gc
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import workload_growth
import workload_holdfast
import workload_peers
import workload_report
from workload_cells import Workload, workloads

import holdfast

ROOT = Path(__file__).parents[1]
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "holdfast-benchmarks"


class Results:
    """What was measured so far, in a file that is there after every step."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.data: dict[str, Any] = {"workloads": {}, "growth": {}}
        if path.exists():
            self.data = json.loads(path.read_text())

    def add(self, *keys: str, value: Any) -> None:
        """Put a result at its place, and write the file."""
        place = self.data
        for key in keys[:-1]:
            place = place.setdefault(key, {})
        place[keys[-1]] = value
        self.data["machine"] = machine()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        beside = self._path.with_name(self._path.name + ".new")
        beside.write_text(json.dumps(self.data, indent=1))
        beside.replace(self._path)


def machine() -> dict[str, Any]:
    """Return what the figures were measured on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "python": platform.python_version(),
        "platform": f"Linux {platform.release()}",
        "cores": os.cpu_count(),
        "processor": models[0].partition(":")[2].strip() if models else platform.machine(),
        "memory": memory,
    }


def stamp() -> dict[str, str]:
    """Return when this is measured, and of which commit."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.strip()
    return {"measured": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"), "commit": commit}


def attempt(title: str, action: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Measure one thing; what goes wrong is its result, and the others go on."""
    started = time.perf_counter()
    print(f"{title} …", flush=True)
    try:
        found = action()
    except Exception as error:  # noqa: BLE001 - a candidate that fails is a line of the table
        found = {"failed": f"{type(error).__name__}: {error}"[:400]}
        print(f"{title}: {found['failed']}", flush=True)
    gc.collect()
    print(f"{title}: {time.perf_counter() - started:.0f} s", flush=True)
    return stamp() | {"load_average": round(os.getloadavg()[1], 1)} | found


def measure_workload(workload: Workload, arguments: argparse.Namespace, results: Results, place: Path) -> None:
    """Measure one workload with Holdfast and with the peers, one after the other."""
    if not arguments.peers_only:
        title = f"{workload.name} Holdfast"
        found = attempt(
            title,
            lambda: workload_holdfast.measure(
                workload, place / "holdfast", arguments.pace, lambda phase: print(f"{title}: {phase}", flush=True)
            ),
        )
        results.add("workloads", workload.name, "Holdfast", value=found | {"scale": arguments.scale})
        shutil.rmtree(place / "holdfast", ignore_errors=True)
    environments = workload_peers.Environments(arguments.cache)
    for peer in arguments.peers:
        if peer == "ipykernel" and workload.name != "W7":
            continue

        def with_peer(peer: str = peer) -> dict[str, Any]:
            python = environments.python(peer)
            found = {"versions": environments.versions(peer)}
            limits = {"budget": arguments.budget, "limit": arguments.limit}
            return found | workload_peers.measure(peer, workload, python, place / peer, **limits)

        found = attempt(f"{workload.name} {peer}", with_peer)
        results.add("workloads", workload.name, peer, value=found | {"scale": arguments.scale})
        shutil.rmtree(place / peer, ignore_errors=True)


def chosen(text: str, every: list[str]) -> list[str]:
    """Return the members of a list that an option names: `all`, `none`, or names with commas between."""
    if text in ("all", "none"):
        return every if text == "all" else []
    names = [one for one in every if one.lower() in text.lower().split(",")]
    if not names:
        raise SystemExit(f"none of {text!r} is one of {', '.join(every)}")
    return names


def main() -> int:
    """Measure what was asked for, print the table and the bars, and say whether they are met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0, help="1: as published")
    parser.add_argument("--only", nargs="*", metavar="W", help="these workloads; default: all")
    parser.add_argument("--peers", default="all", help="all, none, or names with commas between")
    curves = ", ".join(workload_growth.CURVES)
    parser.add_argument("--growth", help=f"all, none, or of {curves}; default: all, with --only none")
    parser.add_argument("--peers-only", action="store_true", help="leave out Holdfast")
    parser.add_argument(
        "--budget", type=float, default=60.0, help="seconds after which a workload begins no further cell"
    )
    parser.add_argument(
        "--think", type=float, default=0.3, help="seconds of pause between cells, where there are pauses"
    )
    parser.add_argument("--restores", type=int, default=3, help="how often a restore is measured")
    parser.add_argument("--limit", type=float, default=600.0, help="seconds after which a peer is given up")
    parser.add_argument("--most", type=float, default=8000.0, help="the largest session of the growth curves, in MB")
    parser.add_argument("--json", type=Path, default=Path("workloads.json"), help="where results are, and are added")
    parser.add_argument("--cache", type=Path, default=CACHE, help="where the peers' environments are")
    parser.add_argument(
        "--folder", type=Path, help="where the sessions are kept meanwhile; default: a temporary folder"
    )
    parser.add_argument("--report", action="store_true", help="measure nothing")
    parser.add_argument("--publish", action="store_true", help="write tables and plot into docs/ and README.md")
    arguments = parser.parse_args()
    arguments.peers = chosen(arguments.peers, list(workload_peers.PEERS))
    arguments.pace = workload_holdfast.Pace(arguments.think, arguments.budget, arguments.restores)
    sizes = workload_growth.Sizes(min(1.0, arguments.scale), arguments.most)
    results = Results(arguments.json)
    arguments.folder = arguments.folder.resolve() if arguments.folder else None
    if not arguments.report:
        # As pip does when it installs a package: the peers' modules are compiled as well.
        compileall.compile_dir(Path(holdfast.__file__).parent, quiet=1)
        with tempfile.TemporaryDirectory(dir=arguments.folder, prefix="holdfast-workloads-") as folder:
            known = workloads(arguments.scale)
            for name in arguments.only if arguments.only is not None else known:
                measure_workload(known[name], arguments, results, Path(folder) / name)
            growth = arguments.growth or ("all" if arguments.only is None else "none")
            for curve in chosen(growth, list(workload_growth.CURVES)):
                action = workload_growth.CURVES[curve]
                at = Path(folder) / curve
                found = attempt(f"growth: {curve}", lambda action=action, at=at: action(at, sizes, arguments.pace))
                results.add("growth", curve, value=found)
                shutil.rmtree(at, ignore_errors=True)
    print(workload_report.tables(results.data))
    bars = workload_report.bars(results.data)
    print(workload_report.bars_table(bars))
    if arguments.publish:
        workload_report.publish(results.data, ROOT)
    return 0 if all(bar.met for bar in bars) else 1


if __name__ == "__main__":
    sys.exit(main())
