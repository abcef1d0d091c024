"""Stores that were made by the code of their time are read for ever, and newer ones are refused without harm."""

from __future__ import annotations

import shutil
import sqlite3
import sys
from pathlib import Path

import pytest
from store_making import ENCRYPTED, Store, change, values
from store_repair import examine, found, repair

from holdfast.store.catalog import ENCRYPTED_FORMAT
from holdfast.store.errors import StoreUnavailable
from holdfast.store.seal import load_key

sys.path.insert(0, str(Path(__file__).parent / "formats"))

from make import expected

FORMATS = Path(__file__).parent / "formats"
NAMES = sorted(path.name for path in FORMATS.glob("format-*"))


def test_there_is_a_store_of_each_format() -> None:
    assert [f"format-{number}" for number in range(1, ENCRYPTED_FORMAT + 1)] == NAMES


@pytest.fixture(params=NAMES)
def made(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, bytes]:
    """A copy of a store of some format, and the key that it was sealed with, as the user has it."""
    shutil.copytree(FORMATS / request.param, tmp_path / request.param)
    return tmp_path / request.param / "state", load_key(tmp_path / request.param)


def is_whole(folder: Path, key: bytes) -> None:
    """Expect everything that the store was made with."""
    with Store.open(folder, key) as store:
        assert store.sessions() == ["c.py", "dir/a.py"]
        assert [one.key for one in store.trashed()] == ["old.py"]
        versions = [record.version for record in store.history("dir/a.py")]
        assert set(versions) >= {2, 4, 5, 6, 7}
        for version in versions:
            assert values(store, "dir/a.py", version) == expected()[version]
        assert values(store, "dir/a.py") == expected()[6]
        assert store.tip("dir/a.py") == 7
        record = store.version("dir/a.py", 2)
        assert record.label == "a label"
        assert record.code == "run(2)\n" * 40
        assert record.skipped[0]["remedy"] == "Make it again."
        assert record.environment["packages"] == {"numpy": "2.0"}
        assert store.check("dir/a.py") == []


def test_a_store_of_every_format_is_read_and_goes_on(made: tuple[Path, bytes]) -> None:
    folder, key = made
    is_whole(folder, key)
    # Metadata are for people, and no part of what is kept here.
    is_encrypted = ENCRYPTED or folder.parent.name == "format-3"
    assert {kind for kind, _ in found(folder, key)} == (set() if is_encrypted else {"metadata"})
    with Store.open(folder, key) as store:
        assert store.commit("c.py", change({"new": b"1"})).version == 2
        for _ in store.thin("dir/a.py", 3):
            pass
        for _ in store.collect():
            pass
    with Store.open(folder, key) as store:
        assert values(store, "c.py") == {"x": (b"x", ()), "new": (b"1", ())}
        assert values(store, "dir/a.py") == expected()[6]


def test_a_catalog_of_a_store_of_every_format_is_made_anew_from_the_packs(made: tuple[Path, bytes]) -> None:
    folder, key = made
    (folder / "catalog.sqlite").write_bytes(b"?" * 5000)
    assert repair(folder, key) == []
    assert found(folder, key) == []
    is_whole(folder, key)
    (folder / "catalog.sqlite").unlink()
    is_whole(folder, key)


@pytest.mark.parametrize("where", ["catalog", "pack"])
def test_a_store_of_a_newer_format_is_refused_without_harm(tmp_path: Path, where: str) -> None:
    from blake3 import blake3

    from holdfast.store.packs import PACK_HEADER, PACK_MAGIC

    shutil.copytree(FORMATS / NAMES[-1], tmp_path / "made")
    folder, key = tmp_path / "made" / "state", load_key(tmp_path / "made")
    if where == "catalog":
        db = sqlite3.connect(folder / "catalog.sqlite")
        with db:
            db.execute("UPDATE meta SET value = ? WHERE name = 'format'", (b"%d" % (ENCRYPTED_FORMAT + 1),))
            db.execute(f"PRAGMA user_version = {ENCRYPTED_FORMAT + 1}")
        db.close()
    else:
        pack = sorted((folder / "packs").iterdir())[0]
        _, _, *fields = PACK_HEADER.unpack(pack.read_bytes()[: PACK_HEADER.size])
        head = PACK_HEADER.pack(PACK_MAGIC, 4, *fields)[:-16]
        pack.write_bytes(head + blake3(head).digest()[:16] + pack.read_bytes()[PACK_HEADER.size :])
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    try:
        with Store.open(folder, key) as store:
            assert where == "pack"
            store.sessions()
    except StoreUnavailable as error:
        assert error.kind == "newer"
    with pytest.raises(StoreUnavailable, match="newer"):
        examine(folder, key)
    after = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "lock"}
    changed = {path.name for path, data in before.items() if after[path] != data}
    assert changed <= ({"catalog.sqlite"} if where == "pack" else set())
    assert {path.name for path in after} - {path.name for path in before} <= {".gitignore", "encryption.json"}
