"""How long a person waits for `x = 1`, and for the first result in a new file: Holdfast, which saves the state,
against ipykernel,
which does not.

Run it with ``--json`` for machine-readable output. Rounds of the candidates alternate, so that a noisy machine is
noisy for all of them.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jupyter_client.manager import KernelManager
from stdio_client import StdioClient

BARS = {
    "persisted / not persisted": 1.5,
    "persisted / ipykernel": 0.5,
    "first result / ipykernel start to first result": 0.1,
}


def timed(action: Callable[[], Any]) -> float:
    """Return how long an action takes, in milliseconds."""
    start = time.perf_counter()
    action()
    return (time.perf_counter() - start) * 1000


def ipykernel_start_to_first_result() -> float:
    """Start a fresh ipykernel and wait for the result of `1 + 1`."""
    manager = KernelManager(kernel_name="python3")

    def start() -> None:
        manager.start_kernel()
        client = manager.blocking_client()
        client.start_channels()
        client.wait_for_ready(timeout=60)
        client.execute("1 + 1", reply=True, timeout=60)
        client.stop_channels()

    duration = timed(start)
    manager.shutdown_kernel(now=True)
    return duration


def measure(rounds: int, per_round: int, starts: int) -> dict[str, list[float]]:
    """Return samples in milliseconds by name."""
    samples: dict[str, list[float]] = {
        name: []
        for name in ("persisted", "not persisted", "ipykernel", "first result", "ipykernel start to first result")
    }
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        persisted = StdioClient(Path(one))
        not_persisted = StdioClient(Path(two), {"persist": False})
        manager = KernelManager(kernel_name="python3")
        manager.start_kernel()
        jupyter = manager.blocking_client()
        jupyter.start_channels()
        jupyter.wait_for_ready(timeout=60)
        candidates: dict[str, Callable[[int], Any]] = {
            "persisted": lambda n: persisted.run("a.py", f"x = {n}"),
            "not persisted": lambda n: not_persisted.run("a.py", f"x = {n}"),
            "ipykernel": lambda n: jupyter.execute(f"x = {n}", reply=True, timeout=60),
        }
        number = 0
        for action in candidates.values():
            for _ in range(20):
                number += 1
                action(number)
        for _ in range(rounds):
            for name, action in candidates.items():
                for _ in range(per_round):
                    number += 1
                    samples[name].append(timed(lambda action=action, number=number: action(number)))  # type: ignore[misc]
        for start in range(starts):
            wait_for_spare(persisted)
            samples["first result"].append(timed(lambda start=start: persisted.run(f"new{start}.py", "1 + 1")))  # type: ignore[misc]
            samples["ipykernel start to first result"].append(ipykernel_start_to_first_result())
        jupyter.stop_channels()
        manager.shutdown_kernel(now=True)
        persisted.close()
        not_persisted.close()
    return samples


def wait_for_spare(client: StdioClient) -> None:
    """A person opens a new file now and then, not every few milliseconds: let the daemon start its next spare."""
    deadline = time.perf_counter() + 1.0
    while time.perf_counter() < deadline:
        client.request("holdfast/sessions", None)
        time.sleep(0.05)


def main() -> int:
    """Measure, print, and say whether the bars are met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--per-round", type=int, default=50)
    parser.add_argument("--starts", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    samples = measure(arguments.rounds, arguments.per_round, arguments.starts)
    medians = {name: statistics.median(values) for name, values in samples.items()}
    ratios = {pair: medians[pair.split(" / ")[0]] / medians[pair.split(" / ")[1]] for pair in BARS}
    machine = {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "ipykernel": version("ipykernel"),
    }
    if arguments.json:
        print(json.dumps({"machine": machine, "median_ms": medians, "ratios": ratios, "bars": BARS}))
    else:
        print("  ".join(f"{name} {value}" for name, value in machine.items()))
        for name, values in samples.items():
            ordered = sorted(values)
            p95 = ordered[int(len(ordered) * 0.95) - 1]
            print(f"{name:35} median {statistics.median(values):8.2f} ms   p95 {p95:8.2f} ms   n {len(values)}")
        for pair, ratio in ratios.items():
            verdict = "met" if ratio <= BARS[pair] else "MISSED"
            print(f"{pair:50} {ratio:6.3f}   bar {BARS[pair]}   {verdict}")
    return 0 if all(ratio <= BARS[pair] for pair, ratio in ratios.items()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
