"""Run real scripts with a kill -9 between every two cells, and compare them with uninterrupted runs.

    python benchmarks/resurrection.py FOLDER_OR_FILE... [--mode all] [--json FILE] [--jobs 2]

Each script runs without interruption, and then with kernel and daemon killed after each cell. Outputs of all cells and
all variables have to be equal. Where they are not, it runs twice more without interruption: what differs then is not
deterministic, and does not count.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from resurrection_compare import differences, variable_of
from resurrection_sides import Record, TooSlow, Workplace, holdfast, peer

from holdfast.cells import split

MODES = ("holdfast", "dill", "cloudpickle")
_NETWORK = (
    "URLError", "HTTPError", "ConnectionError", "gaierror", "ConnectionRefusedError", "ProxyError", "ConnectError",
    "RemoteDisconnected", "MaxRetryError", "OpenMLError", "NewConnectionError",
)  # fmt: skip
_NETWORK_WORDS = ("urlopen error", "Connection refused", "Name or service not known", "name resolution", "127.0.0.1:9")
_SHOWN = 6


def judge(
    mode: str, script: Path, *, interpreter: str, limit: float, folder: Path, kernel_only: bool = False
) -> dict[str, Any]:
    """Run a script in one mode and say what became of it.

    Returns:
        ``verdict`` and ``details``; with ``deterministic``, which is false where uninterrupted runs differ.
    """
    cells = split(script.read_text(encoding="utf-8"))
    result: dict[str, Any] = {"cells": sum(cell.kind == "code" for cell in cells)}
    place = Workplace(folder, script)

    def through(*, interrupted: bool) -> Record:
        options: dict[str, Any] = {"interpreter": interpreter, "interrupted": interrupted, "limit": limit}
        if mode == "holdfast":
            return holdfast(place, cells, kernel_only=kernel_only, **options)
        return peer(place, cells, keep=mode, **options)

    try:
        return result | _judged(result, through)
    except TooSlow as error:
        return result | {"verdict": "too slow", "details": {"": str(error)}}
    except Exception as error:  # noqa: BLE001 - whatever fails is this script's result, and the others go on
        return result | {"verdict": "runner failed", "details": {"": f"{type(error).__name__}: {error}"[:400]}}
    finally:
        place.remove()


def _judged(result: dict[str, Any], through: Any) -> dict[str, Any]:
    first = through(interrupted=False)
    result["seconds"] = round(first.seconds, 1)
    if first.error is not None:
        return _unfit(first.error)
    killed = through(interrupted=True)
    result["seconds_interrupted"] = round(killed.seconds, 1)
    found = differences(first, killed)
    unsteady: dict[str, str] = {}
    # What two runs agree in is deterministic; two runs may agree by chance, as sets of few members do.
    for _ in range(2):
        if found:
            unsteady |= differences(first, through(interrupted=False))
            found = _beyond(found, unsteady)
    answer: dict[str, Any] = {"deterministic": not unsteady, "lost": killed.lost}
    if unsteady:
        answer["unsteady"] = dict(sorted(unsteady.items())[:_SHOWN])
    if not found:
        return answer | {"verdict": "equal", "details": {}}
    names = {variable_of(place) for place in found if not place.startswith("cell ")}
    failed = [text for place, text in found.items() if place.endswith(" fails")]
    by_loss = "*" in killed.lost or (
        names <= killed.lost.keys()
        and all(place.endswith(" fails") or variable_of(place) in killed.lost for place in found)
        and all(any(name in text for name in killed.lost) for text in failed)
    )
    order = sorted(found, key=lambda place: (not place.startswith("cell "), len(place), place))
    return answer | {
        "verdict": "lost" if by_loss and killed.lost else "differs",
        "details": {place: found[place] for place in order[:40]},
        "differences": len(found),
    }


def _beyond(found: dict[str, str], unsteady: dict[str, str]) -> dict[str, str]:
    """Return the differences in cells and variables that are the same in all uninterrupted runs."""
    moving = {variable_of(place) for place in unsteady if not place.startswith("cell ")}
    return {
        place: text
        for place, text in found.items()
        if place not in unsteady and (place.startswith("cell ") or variable_of(place) not in moving)
    }


def _unfit(error: dict[str, Any]) -> dict[str, Any]:
    text = f"{error['ename']}: {error['evalue']}"
    trace = text + "".join(error.get("traceback") or "")
    if error["ename"] in ("ModuleNotFoundError", "ImportError"):
        verdict = "missing package"
    elif error["ename"] in _NETWORK or any(word in trace for word in _NETWORK_WORDS):
        verdict = "needs network"
    else:
        verdict = "raises by itself"
    return {"verdict": verdict, "details": {"": text[:300]}}


def find_scripts(paths: list[Path], only: list[str]) -> list[tuple[str, Path]]:
    """Return the scripts with ``# %%`` cells under some paths, and what to call them."""
    found = []
    for path in paths:
        files = [path] if path.is_file() else sorted(path.rglob("*.py"))
        for file in files:
            name = file.name if path.is_file() else str(file.relative_to(path))
            if only and not any(fnmatch.fnmatch(name, pattern) for pattern in only):
                continue
            try:
                text = file.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue
            if path.is_file() or len(split(text)) > 1:
                found.append((name, file.resolve()))
    return found


class Results:
    """The results so far, in a file that is there after every script."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self.scripts: dict[str, dict[str, Any]] = {}
        if path is not None and path.exists():
            self.scripts = json.loads(path.read_text())["scripts"]

    def add(self, name: str, mode: str, result: dict[str, Any]) -> None:
        """Take a result and write the file."""
        with self._lock:
            self.scripts.setdefault(name, {})[mode] = result
            if self._path is not None:
                beside = self._path.with_name(self._path.name + ".new")
                beside.write_text(json.dumps({"python": sys.version.split()[0], "scripts": self.scripts}, indent=1))
                beside.replace(self._path)


def _say(name: str, mode: str, result: dict[str, Any]) -> None:
    unsteady = "" if result.get("deterministic", True) else " (not deterministic; the rest compared)"
    times = " ".join(f"{result[key]:.0f} s" for key in ("seconds", "seconds_interrupted") if key in result)
    print(f"{result['verdict']:<16} {mode:<11} {name}  [{result['cells']} cells, {times}]{unsteady}", flush=True)
    for place, text in list(result.get("details", {}).items())[:_SHOWN]:
        print(f"      {place}: {text}", flush=True)
    for lost, reason in list(result.get("lost", {}).items())[:_SHOWN]:
        print(f"      lost: {lost}: {reason}", flush=True)


def summarize(results: dict[str, dict[str, Any]], modes: list[str]) -> str:
    """Return the table of totals, the modes side by side."""
    kinds = [
        "equal",
        "lost",
        "differs",
        "needs network",
        "missing package",
        "too slow",
        "raises by itself",
        "runner failed",
    ]
    rows = ["", f"{'':<34}" + "".join(f"{mode:>13}" for mode in modes)]

    def row(title: str, count: Any) -> None:
        rows.append(f"{title:<34}" + "".join(f"{count(mode):>13}" for mode in modes))

    def of(mode: str, deterministic: bool | None = None) -> Counter[str]:
        return Counter(
            entry[mode]["verdict"]
            for entry in results.values()
            if mode in entry and (deterministic is None or entry[mode].get("deterministic") is deterministic)
        )

    row("scripts", lambda mode: sum(of(mode).values()))
    row("deterministic and offline", lambda mode: sum(of(mode, deterministic=True).values()))
    for kind in kinds[:3]:
        row(f"  {kind}", lambda mode, kind=kind: of(mode, deterministic=True)[kind])
    row("not deterministic, compared so far", lambda mode: sum(of(mode, deterministic=False).values()))
    for kind in kinds[:3]:
        row(f"  the rest: {kind}", lambda mode, kind=kind: of(mode, deterministic=False)[kind])
    for kind in kinds[3:]:
        row(kind, lambda mode, kind=kind: of(mode)[kind])
    return "\n".join(rows)


def main() -> int:
    """Return 1 if a script that is deterministic and needs no network did not come out equal."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="+", type=Path, help="scripts, or folders to look for scripts with cells in")
    parser.add_argument("--mode", choices=[*MODES, "all"], default="holdfast")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write results there, and go on where it ended")
    parser.add_argument("--again", action="store_true", help="also run what the file has already")
    parser.add_argument("--only", action="append", default=[], metavar="GLOB", help="names of scripts; may be repeated")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--limit", type=float, default=60.0, help="seconds for an uninterrupted run; default 60")
    parser.add_argument("--interpreter", default=sys.executable, help="the Python that runs the cells")
    parser.add_argument("--kernel-only", action="store_true", help="leave the daemon alive")
    arguments = parser.parse_args()
    modes = list(MODES) if arguments.mode == "all" else [arguments.mode]
    results = Results(arguments.json)
    scripts = find_scripts(arguments.paths, arguments.only)
    base = Path(tempfile.mkdtemp(prefix="resurrection-"))
    todo = [
        (number, name, script, mode)
        for number, (name, script) in enumerate(scripts)
        for mode in modes
        if arguments.again or mode not in results.scripts.get(name, {})
    ]

    # Short scripts first: there is something to look at soon.
    todo.sort(key=lambda item: len(split(item[2].read_text(encoding="utf-8"))))

    def work(item: tuple[int, str, Path, str]) -> None:
        number, name, script, mode = item
        folder = base / f"{number}-{mode}"
        result = judge(
            mode,
            script,
            interpreter=arguments.interpreter,
            limit=arguments.limit,
            folder=folder,
            kernel_only=arguments.kernel_only,
        )
        results.add(name, mode, result)
        _say(name, mode, result)

    started = time.monotonic()
    try:
        with ThreadPoolExecutor(arguments.jobs) as pool:
            list(pool.map(work, todo))
    finally:
        shutil.rmtree(base, ignore_errors=True)
    named = {name: results.scripts[name] for name, _ in scripts if name in results.scripts}
    print(summarize(named, modes))
    print(f"{time.monotonic() - started:.0f} s for {len(todo)} of {len(scripts) * len(modes)} runs")
    wrong = [
        name
        for name, entry in named.items()
        for mode in modes
        if mode in entry and entry[mode].get("deterministic") and entry[mode]["verdict"] != "equal"
    ]
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
