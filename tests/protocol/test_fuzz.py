"""Messages that no sound client would send: the daemon answers, and goes on."""

from __future__ import annotations

from pathlib import Path

import pytest
from fuzzing import fuzz


@pytest.mark.parametrize("seed", [1, 2])
def test_no_message_breaks_the_daemon(tmp_path: Path, seed: int) -> None:
    assert fuzz(tmp_path.resolve(), seed, 60) >= 60
