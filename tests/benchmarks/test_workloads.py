"""The benchmark of saves measures what its table says, at a size at which it takes seconds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

RUNNER = Path(__file__).parents[2] / "benchmarks" / "workloads.py"


def test_the_benchmark_of_saves_measures_every_figure_of_its_table(tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    command = [
        sys.executable,
        str(RUNNER),
        "--only",
        "W2",
        "--scale",
        "0.002",
        "--peers",
        "none",
        "--budget",
        "0.1",
        "--think",
        "0.01",
    ]
    command += ["--json", str(results), "--folder", str(tmp_path), "--restores", "1"]
    run = subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ))
    assert "| W2: bytes a cell |" in run.stdout, run.stderr
    found = json.loads(results.read_text())["workloads"]["W2"]["Holdfast"]
    assert "failed" not in found, found
    assert len(found["paced"]["waits"]) == len(found["burst"]["waits"]) == found["paced"]["cells"] >= 1
    assert 500_000 < found["paced"]["bytes_per_cell"] < 3_000_000, "a cell changes 1 MB that does not compress"
    assert min(found["restore"][part] for part in ("first", "every", "touch")) > 0
    assert found["memory"]["session"] > 1 << 20
