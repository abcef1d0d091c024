"""Kills at random instants, a few; `python tests/store/store_torture.py` makes ten thousand."""

from __future__ import annotations

import os

import pytest
from store_torture import run

COUNT = int(os.environ.get("HOLDFAST_KILLS", "20"))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
def test_kills_at_random_instants_lose_no_version_and_leave_nothing_that_a_verification_finds() -> None:
    outcomes, failures = run(COUNT, seed=11)
    assert failures == []
    assert outcomes["versions saved"] > COUNT / 4
