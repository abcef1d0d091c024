"""Large arrays of which little exists: what was never touched is not read, not sent, and not made to exist."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from sessions import Session

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux says which memory exists")

MAKE = "import numpy as np\na = np.zeros(4 << 27)\na[:: 60_000_001] = 7; a[-1] = 3"
"""4 GiB, ten places written."""


def resident_bytes() -> int:
    """Return how much memory of the process exists."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def test_what_was_never_touched_costs_nothing() -> None:
    session = Session()
    session.execute(MAKE)
    before = resident_bytes()
    (component,) = [c for c in session.save().changed if "a" in c.members]
    stored = session.store[component.id]
    assert sum(buffer.nbytes for buffer in stored.buffers) + len(stored.stream) < 1 << 20
    reborn = session.reborn()
    assert reborn.value("a.shape == (4 << 27,) and a.base is None and a.flags.writeable")
    assert reborn.value(
        "[a[i] for i in range(0, 4 << 27, 60_000_001)] == [7] * 9 and a[-1] == 3 and a[1] == a[-2] == 0"
    )
    assert resident_bytes() - before < 200 << 20
    assert not reborn.run("a.sum; globals()").changed


def test_a_change_of_value_or_of_place_is_seen() -> None:
    session = Session()
    session.run(MAKE)
    assert not session.run("a[5]").changed
    assert session.run("a[5] = 1").changed
    assert session.run("a[5] = 0").changed
    assert session.run("a[5_000_000] = 7; a[0] = 0; a[60_000_001] = 0; a[60_000_002] = 7").changed
    reborn = session.reborn()
    assert reborn.value("a[5_000_000] == 7 and a[0] == a[5] == a[60_000_001] == 0 and a[60_000_002] == 7")


def test_views_share_its_memory_and_layouts_stay() -> None:
    session = Session()
    session.run("import numpy as np\na = np.zeros((3000, 8000), order='F'); part = a[100:200]; a[150, 7] = 5")
    session.run("b = np.zeros(10_000_000, 'i8'); b[9] = 1; b.flags.writeable = False")
    reborn = session.reborn()
    assert reborn.value("np.shares_memory(a, part) and part[50, 7] == 5 and a.flags.f_contiguous")
    assert reborn.value("b[9] == 1 and b.sum() == 1 and not b.flags.writeable")


def test_an_array_that_is_full_is_stored_as_before() -> None:
    session = Session()
    session.run("import numpy as np\na = np.ones(10_000_000)")
    (stored,) = [c for c in session.store.values() if "a" in c.members]
    assert [buffer.nbytes for buffer in stored.buffers] == [80_000_000]
