"""One file that carries a session elsewhere."""

from __future__ import annotations

import json
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from harness import Client, opened


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Client]:
    folder = tmp_path / "workspace"
    folder.mkdir()
    async with opened(folder) as client:
        yield client


async def export(client: Client, name: str, path: str, **more: Any) -> Any:
    return await client.request("holdfast/state/export", {**client.document(name), "path": path, **more})


async def import_(client: Client, name: str, path: str, **more: Any) -> Any:
    return await client.request("holdfast/state/import", {**client.document(name), "path": path, **more})


MAKE = """
import math
import numpy as np
import pandas as pd
n, big, text, pair = 3, 2**70, 'ü', (1, [2.5, float('inf')])
settings = {'a': [1, 2], 3: None}
shared = [1]
alias = shared
array = np.arange(6.0).reshape(2, 3)
view = array[0]
alone = np.arange(5, dtype='i2')
frame = pd.DataFrame({'a': [1, 2], 'b': ['x', None]})
class Point:
    def __init__(self, x): self.x = x
    def double(self): return Point(self.x * factor)
factor = 2
point = Point(4)
"""
CHECKS = [
    ("(n, big, text, pair, settings)", "(3, 1180591620717411303424, 'ü', (1, [2.5, inf]), {'a': [1, 2], 3: None})"),
    ("shared is alias", "True"),
    ("view.base is array or view.base is array.base", "True"),
    ("(alone.dtype.str, alone.sum().item())", "('<i2', 10)"),
    ("frame.dtypes.tolist() == [np.dtype('i8'), frame['b'].dtype], frame.to_dict('list')['a']", "(True, [1, 2])"),
    ("(type(point) is Point, point.double().x, math.floor(2.5))", "(True, 8, 2)"),
]


async def test_an_export_holds_values_in_open_forms_and_the_rest_as_pickle_marked_as_such(daemon: Client) -> None:
    await daemon.run("a.py", MAKE)
    result = await export(daemon, "a.py", "out.holdfast")
    assert result["failed"] == []
    path = daemon.folder / "out.holdfast"
    assert (result["path"], result["bytes"]) == (str(path), path.stat().st_size)
    with zipfile.ZipFile(path) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        forms = {entry["name"]: entry["form"] for entry in manifest["variables"]}
        assert {name: forms[name] for name in ("n", "big", "settings", "alone", "frame", "np")} == {
            "n": "json",
            "big": "json",
            "settings": "json",
            "alone": "npy",
            "frame": "arrow",
            "np": "module",
        }
        assert {name for name, form in forms.items() if form == "pickle"} == {
            *("shared", "alias", "array", "view", "Point", "point")
        }
        assert result["variableCount"] == len(forms)
        assert [run["code"] for run in manifest["history"]] == [MAKE]
        assert manifest["counters"] == {"executionCount": 1, "version": 1}


async def test_a_session_goes_on_in_another_workspace(daemon: Client, tmp_path: Path) -> None:
    await daemon.run("a.py", MAKE)
    await export(daemon, "a.py", str(tmp_path / "out.holdfast"))
    there = tmp_path / "there"
    there.mkdir()
    async with opened(there) as other:
        await other.run("b.py", "mine, n = 'stays', 'goes'")
        result = await import_(other, "b.py", "../out.holdfast")
        assert result["failed"] == []
        for expression, expected in [*CHECKS, ("mine", "'stays'")]:
            assert await other.value("b.py", expression) == expected
        newest, *_ = await other.request("holdfast/state/history", other.document("b.py"))
        assert (newest["version"], newest["label"]) == (result["version"], "imported from out.holdfast")
        assert newest["parent"] == 1
        await other.request("holdfast/state/undo", other.document("b.py"))
        assert await other.value("b.py", "(n, 'shared' in globals())") == "('goes', False)"
