"""The folder: what is not ours is left alone, what goes away under us is noticed."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

import pytest
from store_making import KEY, Store, change, packs, streams, values

from holdfast.store.catalog import ENCRYPTED_FORMAT
from holdfast.store.errors import StoreUnavailable


def refused(folder: Path, kind: str, *, create: bool = True) -> None:
    """Expect that the folder is refused, and left as it was."""
    before = {path: path.read_bytes() for path in folder.parent.rglob("*") if path.is_file()}
    with pytest.raises(StoreUnavailable) as caught:
        Store.open(folder, KEY, create=create)
    assert caught.value.kind == kind
    after = {path: path.read_bytes() for path in folder.parent.rglob("*") if path.is_file() and path.name != "lock"}
    assert {path: data for path, data in before.items() if path.name != "lock"} == after


def test_nothing_is_made_when_only_reading(folder: Path) -> None:
    refused(folder, "absent", create=False)
    assert not folder.exists()
    folder.mkdir()
    refused(folder, "absent", create=False)


def test_a_file_in_its_place_is_refused(folder: Path) -> None:
    folder.write_text("mine")
    refused(folder, "not_a_folder")


def test_a_link_in_its_place_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    folder.symlink_to(tmp_path / "elsewhere")
    refused(folder, "symlink")


@pytest.mark.parametrize("name", ["catalog.sqlite", "packs", "catalog.sqlite-wal", "sessions"])
def test_links_inside_are_refused(folder: Path, tmp_path: Path, name: str) -> None:
    folder.mkdir()
    (folder / name).symlink_to(tmp_path / "elsewhere")
    refused(folder, "symlink")


def test_another_programs_folder_is_refused(folder: Path) -> None:
    folder.mkdir()
    (folder / "terraform.tfstate").write_text("{}")
    refused(folder, "foreign")


def test_another_programs_database_is_refused(folder: Path) -> None:
    folder.mkdir()
    db = sqlite3.connect(folder / "catalog.sqlite")
    with db:
        db.execute("CREATE TABLE t (x)")
    db.close()
    refused(folder, "foreign")


def test_what_is_no_database_is_refused(folder: Path) -> None:
    folder.mkdir()
    (folder / "catalog.sqlite").write_bytes(b"hello" * 1000)
    refused(folder, "damaged")


def test_a_newer_format_is_refused_without_harm(folder: Path) -> None:
    with Store.open(folder, KEY) as store:
        store.commit("a.py", change({"x": b"1"}))
    db = sqlite3.connect(folder / "catalog.sqlite")
    with db:
        db.execute(f"PRAGMA user_version = {ENCRYPTED_FORMAT + 1}")
        db.execute("UPDATE meta SET value = ? WHERE name = 'format'", (b"%d" % (ENCRYPTED_FORMAT + 1),))
    db.close()
    refused(folder, "newer")


@pytest.mark.parametrize("number", [0, 1, 1 << 20])
def test_damage_to_the_number_of_the_format_is_not_taken_for_another_format(folder: Path, number: int) -> None:
    with Store.open(folder, KEY) as store:
        store.commit("a.py", change({"x": b"1"}))
    db = sqlite3.connect(folder / "catalog.sqlite")
    db.execute(f"PRAGMA user_version = {number}")
    db.close()
    refused(folder, "damaged")


def test_a_catalog_that_lost_its_mark_is_damaged_and_not_another_programs(folder: Path) -> None:
    with Store.open(folder, KEY) as store:
        store.commit("a.py", change({"x": b"1"}))
    db = sqlite3.connect(folder / "catalog.sqlite")
    db.execute("PRAGMA application_id = 7")
    db.close()
    refused(folder, "damaged")


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TRIGGER t AFTER INSERT ON versions BEGIN DELETE FROM versions; END",
        "CREATE VIEW v AS SELECT 1",
        "ALTER TABLE versions ADD COLUMN evil DEFAULT (abs(-1))",
    ],
)
def test_a_catalog_that_acts_by_itself_is_refused(folder: Path, statement: str) -> None:
    Store.open(folder, KEY).close()
    db = sqlite3.connect(folder / "catalog.sqlite")
    with db:
        db.execute(statement)
    db.close()
    refused(folder, "damaged")


def test_one_folder_has_one_writer(folder: Path) -> None:
    with Store.open(folder, KEY) as store:
        store.commit("a.py", change({"x": b"1"}))
        with pytest.raises(StoreUnavailable, match=str(os.getpid())) as caught:
            Store.open(folder, KEY)
        assert caught.value.kind == "in_use"
        store.commit("a.py", change({"x": b"2"}))
    Store.open(folder, KEY).close()


def test_git_does_not_see_it(folder: Path, store: Store) -> None:
    assert (folder / ".gitignore").read_text() == "*\n"


@pytest.mark.parametrize("loss", ["everything", "catalog.sqlite", "catalog.sqlite-wal", "packs"])
def test_a_folder_removed_under_us_is_noticed_and_never_written_to_in_vain(folder: Path, loss: str) -> None:
    store = Store.open(folder, KEY)
    store.commit("a.py", change({"x": b"1"}))
    assert store.intact()
    victim = folder if loss == "everything" else folder / loss
    if victim.is_dir():
        shutil.rmtree(victim)
    else:
        victim.unlink()
    assert not store.intact()
    with pytest.raises(StoreUnavailable) as caught:
        store.commit("a.py", change({"x": b"2"}))
    assert caught.value.kind == "gone"
    with Store.open(folder, KEY) as again:
        if loss.startswith("catalog"):
            assert streams(again, "a.py") == {"x": b"1"}
        store.close()
        again.commit("b.py", change({"x": b"3"}))
        assert again.intact()
        again.commit("b.py", change({"y": b"4"}))
    with Store.open(folder, KEY) as last:
        assert streams(last, "b.py") == {"x": b"3", "y": b"4"}


def test_a_folder_replaced_by_another_state_is_noticed(folder: Path, tmp_path: Path) -> None:
    store = Store.open(folder, KEY)
    store.commit("a.py", change({"x": b"1"}))
    folder.rename(tmp_path / "aside")
    with Store.open(folder, KEY) as other:
        other.commit("a.py", change({"x": b"other"}))
    assert not store.intact()
    assert store.changed_outside()
    store.close()
    with Store.open(folder, KEY) as other:
        assert streams(other, "a.py") == {"x": b"other"}
    with Store.open(tmp_path / "aside", KEY) as moved:
        assert streams(moved, "a.py") == {"x": b"1"}


def test_a_write_by_others_is_noticed_once(folder: Path, store: Store) -> None:
    store.commit("a.py", change({"x": b"1"}))
    assert not store.changed_outside()
    db = sqlite3.connect(folder / "catalog.sqlite")
    with db:
        db.execute("INSERT OR REPLACE INTO meta VALUES ('x', 1)")
    db.close()
    assert store.changed_outside()
    assert not store.changed_outside()


def test_own_idle_work_is_not_taken_for_others(store: Store) -> None:
    for number in range(20):
        store.commit("a.py", change({"x": b"%d" % number}))
        store.sync()
        store.checkpoint()
        assert not store.changed_outside()


def test_a_copied_folder_is_the_same_state(folder: Path, tmp_path: Path) -> None:
    with Store.open(folder, KEY) as store:
        store.commit("a.py", change({"x": b"1"}))
    shutil.copytree(folder, tmp_path / "copy")
    with Store.open(tmp_path / "copy", KEY) as store:
        assert streams(store, "a.py") == {"x": b"1"}


def test_a_closed_store_says_so(folder: Path) -> None:
    store = Store.open(folder, KEY)
    store.close()
    store.close()
    assert not store.intact()
    for use in (lambda: store.commit("a.py", change({"x": b"1"})), lambda: store.head("a.py"), store.sync):
        with pytest.raises(StoreUnavailable) as caught:
            use()
        assert caught.value.kind == "closed"


def test_idle_work_keeps_the_folder_small(folder: Path, store: Store) -> None:
    for number in range(300):
        store.commit("a.py", change({"x": b"%d" % number}))
    store.sync()
    store.checkpoint()
    store.commit("a.py", change({"x": b"last"}))
    assert (folder / "catalog.sqlite-wal").stat().st_size <= 1 << 20
    assert len(packs(folder)) == 1


@pytest.mark.parametrize("torn", [512, 2048])
def test_a_catalog_whose_making_the_power_cut_short_is_made_anew(folder: Path, torn: int) -> None:
    with Store.open(folder, KEY):
        page = (folder / "catalog.sqlite").read_bytes()[:4096]
    for path in folder.glob("catalog.sqlite*"):
        path.unlink()
    (folder / "catalog.sqlite").write_bytes(bytes(torn) + page[torn:])
    with Store.open(folder, KEY) as store:
        store.commit("a.py", change({"x": b"1"}))
    with Store.open(folder, KEY) as store:
        assert values(store, "a.py") == {"x": (b"1", ())}
    # Where something was saved, that is damage, and somebody else's file is nobody's to remove.
    for content, was_used in ((bytes(torn) + page[torn:], True), (b"mine" + page[4:], False)):
        (folder / "catalog.sqlite").write_bytes(content)
        if not was_used:
            shutil.rmtree(folder / "packs")
        with pytest.raises(StoreUnavailable) as caught:
            Store.open(folder, KEY)
        assert caught.value.kind == "damaged"
        assert (folder / "catalog.sqlite").read_bytes() == content
