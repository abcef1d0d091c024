from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from store_making import KEY, Store


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a store goes; not there yet."""
    return tmp_path / ".state"


@pytest.fixture
def store(folder: Path) -> Iterator[Store]:
    """An empty store."""
    with Store.open(folder, KEY) as opened:
        yield opened
