"""Sessions follow their files, and what is thrown away can be fetched back."""

from __future__ import annotations

import json
from pathlib import Path

from store_making import KEY, Store, change, clear_only, streams


def test_state_follows_a_renamed_file(store: Store) -> None:
    store.commit("a.py", change({"x": b"1"}))
    store.move("a.py", "b/c.py")
    assert store.sessions() == ["b/c.py"]
    assert streams(store, "b/c.py") == {"x": b"1"}
    assert store.commit("b/c.py", change({"x": b"2"})).version == 2


def test_state_follows_a_renamed_folder_and_its_neighbours_stay(store: Store) -> None:
    for key in ("d/a.py", "d/e/b.py", "d2/c.py", "d.py"):
        store.commit(key, change({"x": key.encode()}))
    assert sorted(store.move_folder("d", "new")) == [("d/a.py", "new/a.py"), ("d/e/b.py", "new/e/b.py")]
    assert store.sessions() == ["d.py", "d2/c.py", "new/a.py", "new/e/b.py"]
    assert streams(store, "new/e/b.py") == {"x": b"d/e/b.py"}


def test_a_file_moved_onto_another_sends_that_ones_state_to_the_trash(store: Store) -> None:
    store.commit("a.py", change({"x": b"a"}))
    store.commit("b.py", change({"x": b"b"}))
    store.move("a.py", "b.py")
    assert streams(store, "b.py") == {"x": b"a"}
    assert [t.key for t in store.trashed()] == ["b.py"]
    assert store.recover("b.py")
    assert streams(store, "b.py") == {"x": b"b"}
    assert [t.version for t in store.trashed("b.py")] == [1]


def test_trash_and_recover(store: Store) -> None:
    store.commit("a.py", change({"x": b"1"}))
    assert store.trash("a.py", "the file was deleted")
    assert not store.trash("a.py", "again")
    assert (store.sessions(), store.head("a.py")) == ([], None)
    (trashed,) = store.trashed("a.py")
    assert (trashed.reason, trashed.version) == ("the file was deleted", 1)
    assert store.commit("a.py", change({"y": b"new"})).version == 1
    assert store.recover("a.py")
    assert streams(store, "a.py") == {"x": b"1"}
    assert not store.recover("other.py")


def test_forgotten_is_gone_from_the_trash_too(store: Store) -> None:
    store.commit("a.py", change({"x": b"1"}))
    store.trash("a.py", "deleted")
    store.commit("a.py", change({"x": b"2"}))
    assert store.forget("a.py") == 2
    assert (store.trashed(), store.sessions(), store.recover("a.py")) == ([], [], False)
    assert store.commit("a.py", change({"x": b"3"})).version == 1


def test_the_trash_expires_by_age(store: Store) -> None:
    store.commit("a.py", change({"x": b"1"}))
    store.trash("a.py", "deleted")
    assert store.expire_trash(1) == 0
    assert store.expire_trash(-1) == 1
    assert store.trashed() == []


@clear_only
def test_metadata_describes_the_head_and_goes_with_the_session(folder: Path, store: Store) -> None:
    record = store.commit("d/a.py", change({"x": b"1", "y": b"22"}))
    store.write_metadata("d/a.py")
    path = folder / "sessions/d/a.py/metadata.json"
    said = json.loads(path.read_text())
    assert (said["version"], said["variableCount"], said["checksum"]) == (1, 2, record.digest)
    assert [v["name"] for v in said["variables"]] == ["x", "y"]
    assert path.stat().st_mode & 0o777 == 0o600
    store.move("d/a.py", "b.py")
    assert not (folder / "sessions/d").exists()
    assert (folder / "sessions/b.py/metadata.json").exists()
    store.trash("b.py", "deleted")
    assert not (folder / "sessions").exists()


def test_metadata_is_not_written_through_links(folder: Path, store: Store, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    store.commit("d/a.py", change({"x": b"1"}))
    (folder / "sessions").mkdir()
    (folder / "sessions/d").symlink_to(elsewhere)
    store.move("d/a.py", "d/b.py")
    assert list(elsewhere.iterdir()) == []


def test_places_survive_the_process(folder: Path) -> None:
    with Store.open(folder, KEY) as store:
        store.commit("a.py", change({"x": b"1"}))
        store.commit("b.py", change({"x": b"2"}))
        store.move("a.py", "c.py")
        store.trash("b.py", "deleted")
    with Store.open(folder, KEY) as store:
        assert store.sessions() == ["c.py"]
        assert [t.key for t in store.trashed()] == ["b.py"]
