"""Versions: what is committed is read back, from any version, in any later process."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from store_making import KEY, Store, change, clear_only, component, packs, streams, values

from holdfast.store.errors import NoSuchVersion, SaveFailed
from holdfast.store.records import Change
from holdfast.store.store import HEAD


def test_a_commit_is_read_back_by_the_next_process(folder: Path) -> None:
    with Store.open(folder, KEY) as store:
        store.commit("a.py", change({"x": b"one", "y": (b"two", (b"buffer" * 1000, b""))}, code="x = 1"))
    with Store.open(folder, KEY) as store:
        assert values(store, "a.py") == {"x": (b"one", ()), "y": (b"two", (b"buffer" * 1000, b""))}
        head = store.head("a.py")
        assert head is not None
        assert (head.version, head.parent, head.code) == (1, None, "x = 1")


def test_a_version_holds_what_its_change_did_not_touch(store: Store) -> None:
    store.commit("a.py", change({"x": b"1", "y": b"1", "z": b"1"}))
    store.commit("a.py", change({"y": b"2"}, removed=["z"]))
    assert streams(store, "a.py") == {"x": b"1", "y": b"2"}
    assert streams(store, "a.py", 1) == {"x": b"1", "y": b"1", "z": b"1"}
    assert {name: entry.since for name, entry in store.listing("a.py").items()} == {"x": 1, "y": 2}


def test_every_field_of_a_change_comes_back(store: Store) -> None:
    given = Change(
        code="x = '\ud800 \x00 ü'",
        run_id="r1",
        execution_count=7,
        run_seconds=1.5,
        changed=[component("x", b"1")],
        removed=["gone"],
        names_changed=["x"],
        names_removed=["gone"],
        skipped=[{"name": "g", "type": "generator", "reason": "no", "remedy": "list(g)"}],
        environment={"python": "3.11.7", "packages": {f"p{i}": "1.0" for i in range(200)}},
        filename="a.py",
        line=3,
        cell=1,
    )
    made = store.commit("a.py", given)
    read = store.version("a.py", 1)
    assert made == read
    for name in ("code", "run_id", "execution_count", "filename", "line", "cell", "environment"):
        assert getattr(read, name) == getattr(given, name)
    assert (read.seconds, list(read.skipped), list(read.names_removed)) == (1.5, given.skipped, ["gone"])


def test_building_on_an_older_version_starts_a_branch_and_loses_nothing(store: Store) -> None:
    for value in (b"1", b"2", b"3"):
        store.commit("a.py", change({"x": value}))
    record = store.commit("a.py", change({"y": b"branch"}), parent=1)
    assert (record.version, record.parent) == (4, 1)
    assert streams(store, "a.py") == {"x": b"1", "y": b"branch"}
    assert streams(store, "a.py", 3) == {"x": b"3"}
    assert [(r.version, r.parent) for r in store.history("a.py", 10)] == [(4, 1), (3, 2), (2, 1), (1, None)]
    assert [r.version for r in store.history("a.py", 2, before=4)] == [3, 2]


def test_a_full_change_leaves_only_what_it_names_and_keeps_since_when(store: Store) -> None:
    store.commit("a.py", change({"x": b"1", "y": b"1"}))
    store.commit("a.py", change({"x": b"1", "z": b"2"}, full=True))
    assert streams(store, "a.py") == {"x": b"1", "z": b"2"}
    assert store.listing("a.py")["x"].since == 1


def test_a_commit_without_parent_begins_anew_in_the_same_history(store: Store) -> None:
    store.commit("a.py", change({"x": b"1"}))
    record = store.commit("a.py", change({"y": b"2"}), parent=None)
    assert (record.version, record.parent) == (2, None)
    assert streams(store, "a.py") == {"y": b"2"}


def test_a_parent_that_is_not_there_is_refused(store: Store) -> None:
    store.commit("a.py", change({"x": b"1"}))
    with pytest.raises(SaveFailed) as caught:
        store.commit("a.py", change({"x": b"2"}), parent=9)
    assert caught.value.kind == "no_parent"
    assert streams(store, "a.py") == {"x": b"1"}


def test_long_histories_stay_readable_at_every_version_and_small(folder: Path) -> None:
    with Store.open(folder, KEY) as store:
        for number in range(300):
            store.commit("a.py", change({f"v{number % 7}": b"%d" % number}))
        for version in (1, 63, 64, 65, 128, 129, 200, 300):
            expected = {f"v{n % 7}": b"%d" % n for n in range(version)}
            assert streams(store, "a.py", version) == expected
        chain = store._core.timeline.chain(store._places.require("a.py"), 300)
        assert len(chain) <= 2 * 64
        per_version = sum(r.bytes for r in store.history("a.py", 300)) / 300
    assert per_version < 2500
    on_disk = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert on_disk < 300 * 5000


def test_undo_moves_the_head_and_redo_knows_the_way_back(store: Store) -> None:
    for value in (b"1", b"2", b"3"):
        store.commit("a.py", change({"x": value}))
    store.set_head("a.py", 1)
    assert streams(store, "a.py") == {"x": b"1"}
    assert store.tip("a.py") == 3
    store.commit("a.py", change({"x": b"4"}))
    assert store.tip("a.py") == 4
    store.set_head("a.py", 3)
    assert (store.tip("a.py"), streams(store, "a.py")) == (3, {"x": b"3"})
    with pytest.raises(NoSuchVersion):
        store.set_head("a.py", 77)


def test_a_branch_to_another_file_shares_the_bytes(folder: Path) -> None:
    with Store.open(folder, KEY) as store:
        big = os.urandom(1 << 20)
        store.commit("a.py", change({"x": b"1", "big": (b"b", (big,))}))
        store.commit("a.py", change({"x": b"2"}))
        before = sum(path.stat().st_size for path in packs(folder))
        record = store.branch("a.py", 1, "sub/b.py")
        assert sum(path.stat().st_size for path in packs(folder)) - before < 5000
        assert (record.version, record.parent) == (1, None)
        store.commit("sub/b.py", change({"x": b"3"}))
        assert values(store, "sub/b.py") == {"x": (b"3", ()), "big": (b"b", (big,))}
        assert streams(store, "a.py")["x"] == b"2"


def test_labels_are_kept_and_taken_away(store: Store) -> None:
    store.commit("a.py", change({"x": b"1"}))
    store.set_label("a.py", 1, "before the purge")
    assert store.version("a.py", 1).label == "before the purge"
    store.set_label("a.py", 1, None)
    assert store.version("a.py", 1).label is None


@clear_only
@pytest.mark.parametrize(
    "key", ["ä b#%\n.py", "untitled:Untitled-1", "/abs/x.py", "../x.py", "a\udcff.py", "x\0y", "", "."]
)
def test_any_key_is_a_session_and_its_metadata_stays_inside(folder: Path, store: Store, key: str) -> None:
    store.commit(key, change({"x": b"1"}))
    assert store.sessions() == [key]
    assert streams(store, key) == {"x": b"1"}
    store.write_metadata(key)
    (written,) = (folder / "sessions").rglob("metadata.json")
    assert written.resolve().is_relative_to((folder / "sessions").resolve())
    store.move(key, "plain.py")
    assert [str(p.relative_to(folder)) for p in folder.rglob("metadata.json")] == ["sessions/plain.py/metadata.json"]


def test_the_head_is_what_a_commit_builds_on_unless_told_otherwise(store: Store) -> None:
    assert store.head("a.py") is None
    store.commit("a.py", change({"x": b"1"}), parent=HEAD)
    assert store.commit("a.py", change({"y": b"1"})).parent == 1
    assert streams(store, "a.py") == {"x": b"1", "y": b"1"}
