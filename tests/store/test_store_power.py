"""Power cuts, a few; `python tests/store/store_power.py` makes ten thousand."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from store_power import cuts, record, run
from thorough import THOROUGH

COUNT = int(os.environ.get("HOLDFAST_POWER", "60" if THOROUGH else "40"))


def can_trace() -> bool:
    """Whether `strace` is there, and may be used."""
    if shutil.which("strace") is None:
        return False
    return subprocess.run(["strace", "-o", "/dev/null", "true"], check=False, capture_output=True).returncode == 0


def test_what_was_synced_survives_a_power_cut_at_any_moment_whatever_else_the_disk_has(tmp_path: Path) -> None:
    if not can_trace():
        pytest.skip("recording what reaches the disk needs strace")
    ops = record(tmp_path)
    assert sum(op.kind == "sync" for op in ops) > 20
    outcomes, failures = run(ops, str(tmp_path / "w"), cuts(ops, COUNT, seed=3), seed=3)
    assert failures == []
    assert outcomes["whole"] > COUNT / 2
