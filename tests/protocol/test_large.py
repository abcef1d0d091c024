"""What is deep, large or hostile, across the death of a real daemon."""

from __future__ import annotations

from pathlib import Path

from harness import opened

CELL = """
import numpy as np
deep = None
for n in range(50_000):
    deep = [n, deep]
sparse = np.zeros(1 << 25)
sparse[5] = sparse[-1] = 1.5
class Hostile:
    def __reduce__(self): raise SystemExit('no')
    def __repr__(self): raise ValueError('no')
    def __eq__(self, other): raise ValueError('no')
hostile, plain = Hostile(), {'a': [1]}
"""
COUNT = """
def count(node):
    found = 0
    while node is not None:
        node, found = node[1], found + 1
    return found
"""


async def test_what_is_deep_or_sparse_survives_kill_9_beside_what_refuses_to_be_saved(folder: Path) -> None:
    async with opened(folder) as client:
        await client.run("a.py", CELL)
        state = await client.flush("a.py")
        assert [lost["name"] for lost in state["skipped"]] == ["hostile"]
        assert state["fileSizeBytes"] < 64 << 20
    async with opened(folder) as client:
        await client.run("a.py", COUNT)
        look = "count(deep), sparse.shape, float(sparse.sum()), plain, 'hostile' in globals()"
        assert await client.value("a.py", look) == "(50000, (33554432,), 3.0, {'a': [1]}, False)"
