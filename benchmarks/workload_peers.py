"""The peers of the workloads: each in a Python environment of its own, installed from PyPI into a cache folder."""

from __future__ import annotations

import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
from contextlib import nullcontext
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import workload_marimo
from workload_cells import Workload
from workload_memory import Sampler, bytes_on_disk

HERE = Path(__file__).parent
DATA = ("numpy", "pandas", "scikit-learn")
EXTRA = ("pyarrow",)
"""With it pandas keeps texts in another way, so all candidates have it or none."""
ENVIRONMENTS = {
    "kishu": ["kishu"],
    "pickles": ["dill", "cloudpickle", "ipykernel", "jupyter_client"],
    "marimo": ["marimo"],
}
PEERS = {"Kishu": "kishu", "dill": "pickles", "cloudpickle": "pickles", "ipykernel": "pickles", "marimo": "marimo"}
THINK = 0.1
INLINE = ("dill", "cloudpickle")
"""These are called in the process whose session they keep."""


class PeerFailed(Exception):
    """A peer could not be installed, or does not do a workload; the text says why."""


class Environments:
    """The peers' environments, made when they are first needed.

    Args:
        cache: Where they are; what is there is used again.
    """

    def __init__(self, cache: Path) -> None:
        self._cache = cache

    def python(self, peer: str) -> Path:
        """Return a peer's Python, with the libraries of the workloads in the versions that Holdfast has.

        Raises:
            PeerFailed: it could not be installed.
        """
        name = PEERS[peer]
        folder = self._cache / name
        done = folder / "installed"
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.parent.mkdir(parents=True, exist_ok=True)
            subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
            wanted = [*ENVIRONMENTS[name], *(f"{one}=={number}" for one, number in libraries().items())]
            pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", *wanted]
            result = subprocess.run(pip, capture_output=True, text=True, check=False)
            if result.returncode:
                last = [line for line in result.stderr.splitlines() if line.startswith("ERROR")] or ["pip failed"]
                raise PeerFailed(f"could not be installed: {last[-1]}"[:300])
            done.touch()
        return folder / "bin" / "python"

    def versions(self, peer: str) -> dict[str, str]:
        """Return the versions of a peer's packages, and of the libraries in its environment."""
        code = "import json, sys; from importlib.metadata import version; "
        code += "print(json.dumps({n: version(n) for n in sys.argv[1:]}))"
        command = [str(self.python(peer)), "-c", code, peer.lower(), *libraries()]
        result = subprocess.run(command, capture_output=True, text=True, check=True)
        found: dict[str, str] = json.loads(result.stdout)
        return found


def libraries() -> dict[str, str]:
    """Return the versions of the libraries that the workloads use, here.

    Raises:
        PeerFailed: one is missing.
    """
    try:
        found = {name: version(name) for name in DATA}
    except PackageNotFoundError as error:
        raise PeerFailed(f"{error.name} is not installed here: pip install '.[benchmark]'") from error
    for name in EXTRA:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


class Lines:
    """A process that prints JSON objects.

    Attributes:
        found: What it printed.
        peak: The most memory that it and its children took; 0 if nobody looked, as looking takes time.
        trouble: Why it ended early; empty if it did not.
    """

    def __init__(self, command: list[str], limit: float, *, sampled: bool = False) -> None:
        self.found: list[dict[str, Any]] = []
        self.trouble = ""
        environment = os.environ | {"PYTHONPATH": str(HERE), "PYTHONWARNINGS": "ignore"}
        with tempfile.TemporaryFile("w+") as errors:
            process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment, start_new_session=True
            )
            assert process.stdout is not None
            late = threading.Event()

            def end() -> None:
                late.set()
                os.killpg(process.pid, signal.SIGKILL)

            timer = threading.Timer(limit, end)
            timer.start()
            sampler = Sampler(process.pid)
            with sampler if sampled else nullcontext():
                self.found = [json.loads(line) for line in process.stdout if line.startswith("{")]
                process.wait()
            timer.cancel()
            self.peak = sampler.peak
            if process.returncode:
                errors.seek(0)
                text = [line for line in errors.read().splitlines() if line.strip()] or ["no message"]
                self.trouble = f"not done within {limit:.0f} s" if late.is_set() else text[-1][:300]

    def of(self, key: str) -> list[dict[str, Any]]:
        """Return the objects that have some key."""
        return [line for line in self.found if key in line]


def measure(
    peer: str, workload: Workload, python: Path, folder: Path, *, budget: float, limit: float
) -> dict[str, Any]:
    """Run one workload with one peer.

    Args:
        budget: Seconds after which no further cell is begun; the median over fewer cells is as good.
        limit: Seconds after which the whole is given up.

    Raises:
        PeerFailed: the peer does not do this workload.
    """
    folder.mkdir(parents=True)
    if peer == "marimo":
        return with_marimo(workload, python, folder, limit)
    task = {name: getattr(workload, name) for name in ("setup", "cells", "every", "touch")}
    task |= {"budget": budget if workload.alike else limit, "think": THINK}

    def run(how: str, *, sampled: bool = False, **more: Any) -> Lines:
        state = folder / how.replace("-load", "-run")
        if peer in INLINE:
            command = ["-c", "__import__('workload_inline').main()", *how.split("-")[:2]]
        else:
            state.mkdir(exist_ok=True)
            command = [str(HERE / "workload_jupyter.py"), how]
        path = folder / "task.json"
        path.write_text(json.dumps(task | {"state": str(state)} | more))
        return Lines([str(python), *command, str(path)], limit, sampled=sampled)

    lines = run(f"{peer}-run" if peer in INLINE else peer.lower())
    cells = lines.of("cell")
    if not cells:
        raise PeerFailed(lines.trouble)
    result = summary(workload, cells, lines.of("setup")[0]["bytes"]) | {"trouble": lines.trouble}
    if peer in INLINE:
        restored = run(f"{peer}-load")
        result["trouble"] = result["trouble"] or restored.trouble
        lines.found += restored.found
    for line in lines.of("every"):
        result |= {"first": line["every"], "every": line["every"], "touch": line["touch"]}
    if peer != "ipykernel":
        few = workload.cells[: min(3, len(cells)) if workload.alike else len(cells)]
        kept = run(f"{peer}-run-again" if peer in INLINE else "kishu-alone", sampled=True, cells=few)
        plain = run("nothing-run" if peer in INLINE else "ipykernel", sampled=True, cells=few)
        if not kept.trouble and not plain.trouble:
            result["memory"] = max(0, kept.peak - plain.peak)
    return result


def with_marimo(workload: Workload, python: Path, folder: Path, limit: float) -> dict[str, Any]:
    """Run a notebook without caches, with caches that are empty, and with caches that have everything.

    Raises:
        PeerFailed: marimo cannot keep such a session.
    """
    if workload.name in workload_marimo.REFUSALS:
        raise PeerFailed(workload_marimo.REFUSALS[workload.name])
    cache = folder / "__marimo__"

    def run(*, cached: bool, sampled: bool = False) -> Lines:
        path = folder / "notebook.py"
        path.write_text(workload_marimo.notebook(workload, cached=cached))
        lines = Lines([str(python), str(path)], limit, sampled=sampled)
        if lines.trouble:
            raise PeerFailed(lines.trouble)
        return lines

    plain, cached = ({line["cell"]: line["took"] for line in run(cached=how).of("cell")} for how in (False, True))
    size = bytes_on_disk(cache)
    again = run(cached=True)
    shutil.rmtree(cache)
    peaks = [run(cached=how, sampled=True).peak for how in (False, True)]
    restored = max(line["at"] for line in again.of("cell")) - again.of("begins")[0]["at"]
    return {
        "cells": len(cached),
        "waits": [took - plain[cell] for cell, took in cached.items()],
        "trips": [],
        "codes": list(plain.values()),
        "bytes": size,
        "bytes_per_cell": size / len(cached),
        "trouble": "",
        "first": restored,
        "every": restored,
        "touch": again.of("touched")[0]["took"],
        "memory": max(0, peaks[1] - peaks[0]),
    }


def summary(workload: Workload, cells: list[dict[str, Any]], first_bytes: int) -> dict[str, Any]:
    """Return the waits and bytes of a peer's cells."""
    trips = [cell["trip"] for cell in cells if "trip" in cell]
    without = [cell["code"] for cell in cells if "code" in cell]
    if "wait" in cells[0]:
        waits = [cell["wait"] for cell in cells]
    elif without:
        usual = statistics.median(without)
        waits = [cell["trip"] - (usual if workload.alike else cell["code"]) for cell in cells]
    else:
        waits = []
    return {
        "cells": len(cells),
        "waits": waits,
        "trips": trips,
        "codes": without,
        "bytes": cells[-1]["bytes"],
        "bytes_per_cell": (cells[-1]["bytes"] - first_bytes) / len(cells),
    }
