"""Bit rot, a few times; `python tests/store/store_rot.py` does it ten thousand times."""

from __future__ import annotations

import os

from store_rot import run

COUNT = int(os.environ.get("HOLDFAST_ROT", "24"))


def test_damaged_bytes_are_harmless_or_named_and_all_that_is_undamaged_is_restored() -> None:
    outcomes, failures = run(0, COUNT, seed=7)
    assert failures == []
    assert sum(outcomes.values()) == COUNT
    assert len(outcomes) == 3
