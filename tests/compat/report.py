"""Runs the compatibility table and writes docs/compatibility.md.

``python tests/compat/report.py PYTHON [PYTHON ...]``: an entry runs under the first of these interpreters that can
import what it needs. ``--only TEXT`` runs the entries with this in their name, and takes the others from the results
of the last report.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import subprocess
import sys
import tempfile
from collections import Counter
from itertools import groupby
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import lives
import table
from entry import Entry

PAGE = Path(__file__).parents[2] / "docs" / "compatibility.md"
PROBE = """
import importlib, sys
from importlib import metadata
try:
    for module in sys.argv[2:]:
        importlib.import_module(module)
except BaseException as error:
    print("no", type(error).__name__, str(error).splitlines()[0][:200])
else:
    try:
        print("yes", metadata.version(sys.argv[1]))
    except metadata.PackageNotFoundError:
        print("yes", sys.version.split()[0])
"""
DISTRIBUTIONS = {
    "opencv-python": "opencv-python-headless",
    "tensorflow": "tensorflow-cpu",
}
NOT_INSTALLED = {
    "dataprep": "its last release, 0.4.1, needs pandas 1 and numpy 1, which the other packages no longer work with",
}
"""Why a package is not there, where that is known."""
HEAD = """# Compatibility

What becomes of objects of libraries when their session dies. Each row is a class that the coverage table of
[Kishu](https://github.com/illinoisdata/kishu) names; the last section has some that it doesn't. `tests/compat/` makes
an instance in one process, saves it, and kills the process with `SIGKILL`. A second process restores it, compares it
with what the first one saw, changes it, saves it, and is killed. A third restores and compares again. Compared are
values (predictions, pixels, contents), types, and which objects are the same or share memory.

- **right**: it came back as it was, both times.
- **named lost**: when it is saved, it is listed under `skipped`, with the reason and what to do instead. Nothing
  else is lost with it.
- **not run**: the package could not be installed or imported there.

Run with {python} on Linux, without a GPU. To make this page again: `pip install -e .[compat]`, then
`python tests/compat/report.py python`.

{counts}
"""


def probe(interpreter: str, package: str, modules: tuple[str, ...]) -> tuple[bool, str]:
    """Return whether an interpreter can import modules, and the package's version or what went wrong."""
    distribution = DISTRIBUTIONS.get(package, package)
    done = subprocess.run(
        [interpreter, "-c", PROBE, distribution, *modules],
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", **lives.ENVIRONMENT, **lives.environment_of(package)},
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith(("yes ", "no "))]
    if not lines:
        return False, f"importing it ends the process with {done.returncode}"
    answer, _, rest = lines[-1].partition(" ")
    return answer == "yes", rest


def choose(interpreters: list[str], package: str, modules: tuple[str, ...]) -> tuple[str | None, str]:
    """Return the interpreter to use and the package's version, or None and why there is none."""
    reason = ""
    for interpreter in interpreters:
        found, text = probe(interpreter, package, modules)
        if found:
            return interpreter, text
        reason = reason or text
    return None, reason


def run_all(interpreters: list[str], only: str | None, results: dict[str, dict[str, object]]) -> None:
    """Run the entries and put what became of them into `results`, by name."""
    for package, group in groupby(table.ENTRIES, key=lambda entry: entry.package):
        entries = [entry for entry in group if only is None or only in entry.name]
        for modules, alike in groupby(entries, key=lambda entry: entry.modules):
            run = list(alike)
            interpreter, text = choose(interpreters, package, modules)
            if interpreter is None:
                outcomes = [lives.Outcome("not run", [NOT_INSTALLED.get(package, text)]) for _ in run]
            else:
                with tempfile.TemporaryDirectory() as folder:
                    outcomes = lives.run(interpreter, Path(folder), run)
            for entry, outcome in zip(run, outcomes, strict=True):
                version = text if interpreter is not None else ""
                results[entry.name] = {"version": version, **dataclasses.asdict(outcome)}
                print(f"{outcome.result:10} {entry.name}", *outcome.details, sep="\n    ", flush=True)


def cell(text: str) -> str:
    """Return text as it fits into a table."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def rows(entries: list[Entry], results: dict[str, dict[str, object]]) -> list[str]:
    """Return the lines of a table."""
    lines = ["| package | version | class | result | |", "| --- | --- | --- | --- | --- |"]
    for entry in entries:
        result = results[entry.name]
        details = [str(detail) for detail in result["details"]]  # type: ignore[attr-defined]
        said = ". ".join(f"{part[:1].upper()}{part[1:]}" for part in map(cell, details)) if details else ""
        lines.append(f"| {entry.package} | {result['version']} | `{entry.cls}` | {result['result']} | {said} |")
    return lines


def write(results: dict[str, dict[str, object]], python: str) -> None:
    """Write the page."""
    listed = [entry for entry in table.ENTRIES if not entry.extra]
    extra = [entry for entry in table.ENTRIES if entry.extra]
    counts = Counter(str(results[entry.name]["result"]) for entry in listed)
    said = ", ".join(f"{counts[kind]} {kind}" for kind in ("right", "named lost", "wrong", "not run") if counts[kind])
    parts = [HEAD.format(python=python, counts=f"Of {len(listed)} classes: **{said}**."), *rows(listed, results)]
    if extra:
        parts += ["", "## Beyond that table", "", *rows(extra, results)]
    PAGE.write_text("\n".join(parts) + "\n", encoding="utf-8")
    print(said)


def main() -> None:
    """Run, write, and fail if something came back wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("interpreters", nargs="+")
    parser.add_argument("--only")
    parser.add_argument("--results", type=Path, default=Path(tempfile.gettempdir()) / "holdfast-compatibility.json")
    options = parser.parse_args()
    results: dict[str, dict[str, object]] = {}
    if options.only is not None and options.results.exists():
        results = json.loads(options.results.read_text())
    run_all(options.interpreters, options.only, results)
    options.results.write_text(json.dumps(results))
    done = subprocess.run([options.interpreters[0], "--version"], capture_output=True, text=True, check=True)
    write(results, done.stdout.strip())
    if any(result["result"] == "wrong" for result in results.values()):
        raise SystemExit("something came back wrong")


if __name__ == "__main__":
    main()
