"""One file that carries a session elsewhere."""

from __future__ import annotations

import json
import os
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import exports
import pytest
import pythons
from harness import Client, RpcError, opened, until_gone

from holdfast_client import portable


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
            "frame": "arrow" if find_spec("pyarrow") else "columns",
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


async def refused(client: Client, path: Path) -> RpcError:
    with pytest.raises(RpcError) as caught:
        await import_(client, "a.py", str(path))
    return caught.value


async def test_what_is_made_to_do_harm_is_refused_and_changes_nothing(daemon: Client, tmp_path: Path) -> None:
    await daemon.run("a.py", "x = 0")
    before = await daemon.request("holdfast/state/history", daemon.document("a.py"))
    for what, (make, detail) in exports.HOSTILE.items():
        path = tmp_path / "in.holdfast"
        make(path)
        error = await refused(daemon, path)
        assert (error.code, error.data["detail"]) == (-32013, detail), what
        assert "othing was imported" in error.message
    assert await daemon.request("holdfast/state/history", daemon.document("a.py")) == before
    assert await daemon.value("a.py", "x") == "0"
    assert {entry.name for entry in tmp_path.iterdir()} == {"in.holdfast", "work"}
    exports.good(path)
    await import_(daemon, "a.py", str(path))
    assert await daemon.value("a.py", "x") == "[1, 2, 3]"


@pytest.mark.parametrize(
    "signature", [None, {"signer": "0" * 16, "seal": "00"}, {}], ids=["none", "another's", "empty"]
)
async def test_pickles_of_strangers_are_not_loaded_and_all_else_is(
    daemon: Client, tmp_path: Path, signature: Any
) -> None:
    path, mark = tmp_path / "in.holdfast", tmp_path / "mark"
    exports.with_bomb(path, mark, signature)
    result = await import_(daemon, "a.py", str(path))
    assert [(lost["name"], lost["type"]) for lost in result["failed"]] == [("y", "Bomb")]
    assert "pickle" in result["failed"][0]["reason"] and "trust" in result["failed"][0]["remedy"]
    assert await daemon.value("a.py", "(x, 'y' in globals())") == "([1, 2, 3], False)"
    assert not mark.exists()
    await import_(daemon, "a.py", str(path), trust=True)
    assert mark.exists()


def changed(path: Path, **more: Any) -> None:
    """Write other things into an export's manifest, and leave its signature."""
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    told = json.loads(contents.pop("manifest.json"))
    exports.write(path, {**told, **more}, contents)


async def test_an_export_that_was_changed_since_it_was_signed_is_refused(daemon: Client, tmp_path: Path) -> None:
    await daemon.run("a.py", "x = [1]\ny = x")
    path = tmp_path / "out.holdfast"
    await export(daemon, "a.py", str(path))
    changed(path, counters={"executionCount": 9})
    await daemon.run("a.py", "x = 0")
    error = await refused(daemon, path)
    assert (error.code, error.data["detail"]) == (-32012, "forged")
    assert await daemon.value("a.py", "(x, y)") == "(0, [1])"


async def test_without_pickle_all_but_what_is_marked_comes_and_the_rest_is_named(daemon: Client) -> None:
    await daemon.run("a.py", "n = 1\nshared = [1]\nalias = shared\ndef double(x): return 2 * x")
    await export(daemon, "a.py", "out.holdfast")
    result = await import_(daemon, "b.py", "out.holdfast", pickle=False)
    assert result["variableCount"] == 1
    assert sorted(lost["name"] for lost in result["failed"]) == ["alias", "double", "shared"]
    assert all(lost["reason"] and lost["remedy"] for lost in result["failed"])
    result = await import_(daemon, "c.py", "out.holdfast", pickle=False, copies=True)
    assert [lost["name"] for lost in result["failed"]] == ["double"]
    assert "share nothing" in result["message"]
    assert await daemon.value("c.py", "(n, shared, alias, shared is alias)") == "(1, [1], [1], False)"
    found = portable.read(daemon.folder / "out.holdfast", copies=True)
    assert dict(found) == {
        "n": 1,
        "shared": [1],
        "alias": [1],
        "double": "def double(x): return 2 * x\n",
    }
    assert portable.read(daemon.folder / "out.holdfast").failed.keys() == {"shared", "alias", "double"}


async def test_some_names_of_any_version_are_exported_and_imported(daemon: Client) -> None:
    await daemon.run("a.py", "x, y, z = 1, 2, 3")
    await daemon.run("a.py", "x = 9")
    result = await export(daemon, "a.py", "out.holdfast", names=["x", "y"], version=1)
    assert (result["variableCount"], result["version"]) == (2, 1)
    await daemon.run("b.py", "y, mine = 0, 0")
    await import_(daemon, "b.py", "out.holdfast", names=["x"])
    assert await daemon.value("b.py", "(x, y, mine)") == "(1, 0, 0)"
    await import_(daemon, "b.py", "out.holdfast", replace=True)
    assert sorted(await daemon.variables("b.py")) == ["x", "y"]
    assert len(await daemon.request("holdfast/state/history", daemon.document("b.py"))) == 3
    for method, params in (("export", {"names": ["no"]}), ("import", {"names": ["no"]}), ("export", {"version": 99})):
        with pytest.raises(RpcError) as caught:
            await daemon.request(
                f"holdfast/state/{method}", {**daemon.document("a.py"), "path": "out.holdfast", **params}
            )
        assert caught.value.code == (-32014 if "version" in params else -32602)


async def test_what_is_no_file_cannot_be_imported(daemon: Client, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "nowhere", Path("/dev/zero")):
        error = await refused(daemon, path)
        assert (error.code, error.data["kind"]) == (-32602, "badPath")


async def test_what_goes_along_with_the_wanted_names_is_said(daemon: Client) -> None:
    await daemon.run("a.py", "shared = [1]\nsecret = [shared]\nn = 1")
    result = await export(daemon, "a.py", "out.holdfast", names=["shared", "n"])
    assert result["variableCount"] == 2 and "as well (secret)" in result["message"]
    await import_(daemon, "b.py", "out.holdfast")
    assert sorted(await daemon.variables("b.py")) == ["n", "shared"]


async def test_an_import_brings_back_what_was_changed_since_in_the_same_session(daemon: Client) -> None:
    await daemon.run("a.py", "class A:\n    n = 1\na = A()\nshared = [a]\nalias = shared\nmine = 1")
    await export(daemon, "a.py", "out.holdfast", names=["A", "a", "shared", "alias"])
    await daemon.run("a.py", "class A:\n    n = 2\nshared.clear()\na = alias = None\nmine = 2")
    await import_(daemon, "a.py", "out.holdfast")
    expected = "(True, True, True, 1, 2)"
    assert await daemon.value("a.py", "(type(a) is A, shared is alias, shared[0] is a, a.n, mine)") == expected
    await daemon.request("holdfast/restart", daemon.document("a.py"))
    assert await daemon.value("a.py", "(type(a) is A, shared is alias, shared[0] is a, a.n, mine)") == expected
    runs = await daemon.request("holdfast/state/origin", {**daemon.document("a.py"), "name": "alias"})
    assert runs[-1]["label"] == "imported from out.holdfast"


async def test_an_import_needs_no_kernel_and_is_there_after_kill_nine(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "in.holdfast"
    exports.good(path)
    async with opened(folder) as first:
        await first.run("a.py", "large = bytes(1 << 20)\nx = 0")
    async with opened(folder) as second:
        await import_(second, "a.py", str(path))
        await second.kill()
    await until_gone(folder)
    async with opened(folder) as third:
        assert await third.value("a.py", "(x, len(large))") == "([1, 2, 3], 1048576)"


async def test_an_export_appears_whole_and_replaces_nothing_but_exports(daemon: Client) -> None:
    await daemon.run("a.py", "x = 1")
    target = daemon.folder / "notes.txt"
    target.write_text("mine")
    for path, more, kind in (
        ("notes.txt", {}, "exists"),
        ("nowhere/out.holdfast", {}, "badPath"),
        (".", {}, "badPath"),
        ("a\0b", {}, "badPath"),
        ("n" * 300, {}, "badPath"),
        ("", {}, "badPath"),
    ):
        with pytest.raises(RpcError) as caught:
            await export(daemon, "a.py", path, **more)
        assert (caught.value.code, caught.value.data["kind"]) == (-32602, kind)
    assert target.read_text() == "mine"
    await export(daemon, "a.py", "notes.txt", overwrite=True)
    await daemon.run("a.py", "x = 2")
    await export(daemon, "a.py", "notes.txt")
    assert dict(portable.read(target)) == {"x": 2}
    assert target.stat().st_mode & 0o777 == 0o600
    assert {entry.name for entry in daemon.folder.iterdir()} == {".state", "notes.txt"}


async def test_an_export_does_not_wait_for_a_cell_and_an_import_is_refused_beside_one(daemon: Client) -> None:
    await daemon.run("a.py", "import time\nx = 1")
    await export(daemon, "a.py", "out.holdfast")
    _, running = daemon.start_request(
        "holdfast/execute", {**daemon.document("a.py"), "code": "print('begun')\nwhile True: time.sleep(0.01)"}
    )
    await daemon.notified("holdfast/output")
    assert (await export(daemon, "a.py", "out.holdfast"))["variableCount"] == 2
    error = await refused(daemon, daemon.folder / "out.holdfast")
    assert error.code == -32015
    await daemon.request("holdfast/interrupt", daemon.document("a.py"))
    await running


async def test_plain_json_holds_what_json_can_and_is_imported_again(daemon: Client) -> None:
    await daemon.run(
        "a.py",
        "n, pair, raw = 2**60, (1, 'ü'), bytes(99_999)\nshared = [1]\nalias = shared\ndef double(x): return 2 * x",
    )
    result = await export(daemon, "a.py", "out.json")
    document = json.loads((daemon.folder / "out.json").read_text(encoding="utf-8"))
    assert (document["format"], result["variableCount"]) == ("holdfast json", 6)
    told = {entry["name"]: entry for entry in document["variables"]}
    assert told["n"]["value"] == {"$": "int", "value": str(2**60)}
    assert told["alias"]["value"] == [1] and "shares" in told["alias"]["reason"]
    assert "value" not in told["double"] and told["double"]["source"].startswith("def double")
    assert document["counters"]["executionCount"] == 1 and document["history"][0]["code"].startswith("n, pair")
    result = await import_(daemon, "b.py", "out.json")
    assert [lost["name"] for lost in result["failed"]] == ["double"]
    assert (
        await daemon.value("b.py", "(n == 2**60, pair, len(raw), shared is alias)") == "(True, (1, 'ü'), 99999, False)"
    )


async def test_the_runs_and_the_files_that_they_wrote_are_told(daemon: Client) -> None:
    await daemon.run("a.py", "x = 1")
    await daemon.run("a.py", "from pathlib import Path\nPath('made.txt').write_text('1')\nx = 2")
    await export(daemon, "a.py", "out.holdfast")
    manifest = portable.read(daemon.folder / "out.holdfast").manifest
    assert [run["version"] for run in manifest["history"]] == [2, 1]
    assert manifest["files"] == [{"path": "made.txt", "how": "created", "version": 2}]


@pytest.mark.skipif(pythons.find("3.10") is None or pythons.find("3.13") is None, reason="needs two more Pythons")
async def test_an_export_of_one_python_is_imported_into_another_that_has_less(tmp_path: Path) -> None:
    (here := tmp_path / "here").mkdir()
    (there := tmp_path / "there").mkdir()
    async with opened(here) as first:
        await first.run("a.py", MAKE)
        await export(first, "a.py", "../full.holdfast")
    async with opened(here, options={"interpreter": pythons.find("3.10")}) as first:
        await first.run(
            "b.py", "class Point: x = 1\ndef double(x): return 2 * x\nshared = [double]\nalias = shared\nn = {1}"
        )
        await export(first, "b.py", "../old.holdfast")
    async with opened(there, options={"interpreter": pythons.find("3.13")}) as second:
        result = await import_(second, "a.py", "../old.holdfast")
        assert result["failed"] == []
        assert await second.value("a.py", "(alias[0](n.pop()), shared is alias, Point.x)") == "(2, True, 1)"
        result = await import_(second, "a.py", "../full.holdfast", names=["n", "alone", "frame", "pd"])
        assert await second.value("a.py", "n") == "3"
        failed = {lost["name"]: lost for lost in result["failed"]}
        assert failed.keys() == {"alone", "frame", "pd"}
        assert "numpy" in failed["alone"]["reason"] and "install numpy" in failed["alone"]["remedy"]
