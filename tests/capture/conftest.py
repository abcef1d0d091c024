"""Makes the kernel's package importable under the name that it has in a kernel, and keeps ``__main__`` as it was."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import holdfast.kernel.capture.session  # noqa: F401 - for the names below

for _name in [name for name in sys.modules if name.startswith("holdfast.kernel")]:
    sys.modules.setdefault(_name.replace("holdfast.kernel", "_holdfast_kernel"), sys.modules[_name])
sys.path.insert(0, str(Path(__file__).parent))


_THRESHOLD = gc.get_threshold()


@pytest.fixture(autouse=True)
def own_garbage() -> None:
    """Sessions of other tests in this process may have turned the search for garbage off, or frozen what there is."""
    gc.enable()
    gc.set_threshold(*_THRESHOLD)
    gc.unfreeze()


@pytest.fixture(autouse=True)
def own_main() -> Iterator[None]:
    """A session replaces ``__main__``."""
    before = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = before
