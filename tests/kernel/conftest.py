"""A kernel process for each test that asks for one, attached to a document in a folder of its own; one for many."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from driver import Kernel


@pytest.fixture
def document(tmp_path: Path) -> Path:
    """Where the document is; the file itself does not exist unless the test writes it."""
    return tmp_path / "analysis.py"


@pytest.fixture(scope="module")
def lasting_kernel() -> Iterator[Kernel]:
    """A kernel for all tests of a file that run a cell and leave nothing behind that others could mind."""
    with Kernel() as kernel:
        kernel.attach()
        yield kernel


@pytest.fixture
def kernel(document: Path) -> Iterator[Kernel]:
    """A kernel attached to `document`."""
    with Kernel() as kernel:
        kernel.attach(document, cwd=document.parent, path0=str(document.parent))
        yield kernel
