"""The readers of the format, fed with what nobody wrote."""

from __future__ import annotations

from pathlib import Path

import pytest
from store_fuzz import build, fuzz_folders, fuzz_readers


@pytest.fixture
def original(tmp_path: Path) -> Path:
    """A store that is closed."""
    build(tmp_path / "state")
    return tmp_path / "state"


def test_readers_refuse_what_nobody_wrote_in_the_declared_way(original: Path) -> None:
    fuzz_readers(original, 1, 100)


def test_records_with_right_checksums_and_wrong_contents_are_refused_or_harmless(original: Path) -> None:
    fuzz_folders(original, 1, 25)
