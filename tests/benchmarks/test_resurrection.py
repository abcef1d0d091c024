"""The benchmark that kills daemon and kernel between the cells of real scripts sees what was lost, and only that."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

RUNNER = Path(__file__).parents[2] / "benchmarks" / "resurrection.py"

KEPT = """\
rows = [1]
same = rows
# %%
rows.append(2)
print(same)
same
"""
GENERATOR = """\
numbers = (n for n in range(3))
next(numbers)
# %%
print(next(numbers))
"""
LATE_BINDING = """\
factor = 1
def scaled(n):
    return n * factor
# %%
factor = 2
print(scaled(21))
"""
UNSTEADY = f"""\
import os
token = os.urandom(8)
{KEPT}"""


def judged(folder: Path, mode: str, **scripts: str) -> dict[str, dict[str, Any]]:
    """Run scripts in a mode, and return what the JSON file says of each."""
    for name, text in scripts.items():
        (folder / f"{name}.py").write_text(text)
    results = folder / "results.json"
    command = [sys.executable, str(RUNNER), str(folder), "--mode", mode, "--json", str(results), "--jobs", "2"]
    run = subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ))
    assert run.returncode in (0, 1), run.stderr
    return {name.removesuffix(".py"): entry[mode] for name, entry in json.loads(results.read_text())["scripts"].items()}


def test_the_benchmark_finds_equal_what_survives_and_names_what_does_not(tmp_path: Path) -> None:
    found = judged(tmp_path, "holdfast", kept=KEPT, generator=GENERATOR)
    assert found["kept"]["verdict"] == "equal", found["kept"]
    assert found["generator"]["verdict"] == "lost"
    assert "numbers" in found["generator"]["lost"]
    assert any("fails" in place for place in found["generator"]["details"])


def test_the_benchmark_sees_what_cloudpickle_gets_wrong(tmp_path: Path) -> None:
    found = judged(tmp_path, "cloudpickle", unsteady=UNSTEADY, late=LATE_BINDING)
    assert found["unsteady"]["verdict"] == "equal", found["unsteady"]
    assert found["late"]["deterministic"] and not found["unsteady"]["deterministic"]
    assert found["late"]["verdict"] == "differs"
    assert "cell 1" in found["late"]["details"]


def test_the_benchmark_sees_what_dill_loses(tmp_path: Path) -> None:
    pytest.importorskip("dill")
    found = judged(tmp_path, "dill", kept=KEPT, generator=GENERATOR)
    assert found["kept"]["verdict"] == "equal", found["kept"]
    assert found["generator"]["verdict"] == "lost"
