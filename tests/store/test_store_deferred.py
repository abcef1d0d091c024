"""Small commits are in the log first and in the catalog later: nobody can tell, whatever happens in between."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from store_making import KEY, Store, Value, change, packs, streams, values
from test_store_fault_points import killed_at
from test_store_full import limit as limit
from thorough import THOROUGH

from holdfast.store import core
from holdfast.store.backlog import MAX_VERSIONS
from holdfast.store.errors import SaveFailed, StoreUnavailable, Untrusted

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
STEP = 1 if THOROUGH else 3
"""Of the many calls that reach the disk, how many lie between two at which a process is killed."""
MEDIUM = bytes(range(256)) * 8


def commit(store: Store, count: int, key: str = "a.py") -> None:
    """Make versions, each with a chunk of its own and one that all share."""
    head = store.head(key)
    first = 1 if head is None else head.version + 1
    for number in range(first, first + count):
        record = store.commit(key, change(expected(number)))
        assert record.version == number


def expected(number: int) -> dict[str, bytes | Value]:
    """Return what `commit` puts into a version."""
    return {"x": (b"%d" % number, (b"%d" % number * 300, MEDIUM)), f"y{number % 3}": b"%d" % number}


def agrees(store: Store, count: int, key: str = "a.py") -> None:
    """Expect `count` versions, all whole."""
    assert [record.version for record in store.history(key, 1000)] == list(range(count, 0, -1))
    for number in range(1, count + 1):
        found = values(store, key, number)
        assert found["x"] == expected(number)["x"]
        for before in range(max(1, number - 2), number + 1):
            assert found[f"y{before % 3}"] == (b"%d" % before, ())
    head = store.head(key)
    assert head is not None
    assert head.version == count
    assert values(store, key) == values(store, key, count)
    assert store.check(key) == []


def killed_after(folder: Path, act: Callable[[Store], None]) -> None:
    """Do `act` in a process that is killed when it is done."""
    child = os.fork()
    if child == 0:
        try:
            act(Store.open(folder, KEY))
            os.kill(os.getpid(), signal.SIGKILL)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)


def in_catalog(folder: Path) -> int:
    """Count the versions that another program finds in the catalog."""
    db = sqlite3.connect(folder / "catalog.sqlite")
    (count,) = db.execute("SELECT count(*) FROM versions").fetchone()
    db.close()
    return int(count)


def test_small_commits_reach_the_catalog_when_settled_or_asked_for(folder: Path, store: Store) -> None:
    commit(store, 9)
    assert store.unsettled == 8
    assert in_catalog(folder) == 1
    store.settle()
    assert (store.unsettled, in_catalog(folder)) == (0, 9)
    store.settle()
    commit(store, 3)
    agrees(store, 12)
    assert store.unsettled == 0


def test_no_more_than_so_many_versions_wait(store: Store) -> None:
    waiting = []
    for number in range(1, MAX_VERSIONS + 20):
        for key in ("a.py", "b.py", "c.py"):
            store.commit(key, change(expected(number)))
            waiting.append(store.unsettled)
    assert max(waiting) == MAX_VERSIONS
    for key in ("a.py", "b.py", "c.py"):
        agrees(store, MAX_VERSIONS + 19, key)


def test_versions_of_many_sessions_wait_together(folder: Path) -> None:
    with Store.open(folder, KEY) as store:
        for key in ("a.py", "b.py", "c.py"):
            store.commit(key, change(expected(1)))
        for number in range(2, 8):
            for key in ("a.py", "b.py", "c.py"):
                store.commit(key, change(expected(number)))
        assert store.unsettled == 18
    with Store.open(folder, KEY) as store:
        for key in ("a.py", "b.py", "c.py"):
            agrees(store, 7, key)


def test_bytes_that_wait_are_stored_once(folder: Path, store: Store) -> None:
    unlike = os.urandom(20_000)
    store.commit("a.py", change({"z": b"0"}))
    before = sum(path.stat().st_size for path in packs(folder))
    for name in "abcdef":
        store.commit("a.py", change({name: unlike}))
    assert store.unsettled == 6
    assert sum(path.stat().st_size for path in packs(folder)) - before < 30_000
    assert streams(store, "a.py") == {"z": b"0"} | dict.fromkeys("abcdef", unlike)


@needs_fork
def test_versions_that_the_catalog_had_not_noted_survive_kill_9_again_and_again(folder: Path) -> None:
    killed_after(folder, lambda store: commit(store, 20))
    count = 20
    for more in (1, 2, 30, 64, 65, 100):
        killed_after(folder, lambda store, more=more: commit(store, more))  # type: ignore[misc]
        count += more
    # Opened and killed before anything was done with it, twice.
    killed_after(folder, lambda _: None)
    killed_after(folder, lambda _: None)
    with Store.open(folder, KEY) as store:
        agrees(store, count)
        commit(store, 3)
    with Store.open(folder, KEY) as store:
        agrees(store, count + 3)


@needs_fork
@pytest.mark.parametrize("loss", ["catalog.sqlite-wal", "catalog.sqlite"])
def test_versions_come_back_from_the_log_when_the_catalog_is_further_behind(folder: Path, loss: str) -> None:
    def act(store: Store) -> None:
        commit(store, 10)
        store.checkpoint()
        commit(store, 10)
        store.settle()
        commit(store, 10)

    killed_after(folder, act)
    (folder / loss).unlink()
    with Store.open(folder, KEY) as store:
        agrees(store, 30)


@needs_fork
def test_versions_come_back_from_several_logs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "LOG_PACK_LIMIT", 8000)
    killed_after(folder, lambda store: commit(store, 40))
    assert len(packs(folder)) > 3
    with Store.open(folder, KEY) as store:
        agrees(store, 40)
        commit(store, 40)
        agrees(store, 80)


@needs_fork
def test_a_kill_at_any_write_of_many_small_commits_loses_none_before_it(tmp_path: Path) -> None:
    original = tmp_path / "original"
    with Store.open(original, KEY) as store:
        commit(store, 3)

    def act(store: Store) -> None:
        commit(store, 4)
        store.settle()
        commit(store, 3)
        store.move("a.py", "b.py")

    reached, folder = [], tmp_path / "killed"
    for point in range(0, 500, STEP):
        shutil.copytree(original, folder)
        came_so_far = killed_at(point, folder, act)
        # The process that takes the versions in is killed as well, wherever it is.
        for later in (point % 40, point % 7):
            killed_at(later, folder, lambda _: None)
        with Store.open(folder, KEY) as store:
            (key,) = store.sessions()
            head = store.head(key)
            assert head is not None
            agrees(store, head.version, key)
            assert store.trashed() == []
            reached.append((head.version, key))
        shutil.rmtree(folder)
        if not came_so_far:
            break
    assert reached == sorted(reached)
    assert (reached[0], reached[-1]) == ((3, "a.py"), (10, "b.py"))


@needs_fork
def test_a_torn_record_costs_no_version_before_it(folder: Path) -> None:
    killed_after(folder, lambda store: commit(store, 8))
    (log,) = packs(folder)
    os.truncate(log, log.stat().st_size - 100)
    with Store.open(folder, KEY) as store:
        agrees(store, 7)
        commit(store, 2)
        agrees(store, 9)


def test_a_catalog_that_is_full_keeps_versions_waiting_and_shows_them(folder: Path, limit) -> None:  # type: ignore[no-untyped-def]
    with Store.open(folder, KEY) as store:
        commit(store, 1)
        for number in range(2, 7):
            store.commit("a.py", change(expected(number)))
        assert store.unsettled == 5
        limit((folder / "catalog.sqlite-wal").stat().st_size)
        for _ in range(2):
            with pytest.raises(SaveFailed):
                store.settle()
            agrees(store, 6)
            assert store.sessions() == ["a.py"]
            assert store.unsettled == 5
        for use in (
            lambda: store.commit("a.py", change({"x": b"no"})),
            lambda: store.move("a.py", "b.py"),
            lambda: store.trash("a.py", "deleted"),
            lambda: store.set_head("a.py", 1),
            store.sync,
        ):
            with pytest.raises(SaveFailed):
                use()
        agrees(store, 6)
        limit(None)
        commit(store, 2)
        agrees(store, 8)
        assert store.unsettled == 0
    with Store.open(folder, KEY) as store:
        agrees(store, 8)


def test_versions_that_a_full_catalog_never_took_are_there_at_the_next_opening(folder: Path, limit) -> None:  # type: ignore[no-untyped-def]
    store = Store.open(folder, KEY)
    commit(store, 5)
    limit((folder / "catalog.sqlite-wal").stat().st_size)
    store.close()
    limit(None)
    assert in_catalog(folder) == 1
    with Store.open(folder, KEY) as store:
        agrees(store, 5)


def test_a_log_that_is_full_fails_the_commit_and_keeps_those_that_wait(folder: Path, limit) -> None:  # type: ignore[no-untyped-def]
    with Store.open(folder, KEY) as store:
        commit(store, 5)
        limit(packs(folder)[0].stat().st_size + 50)
        with pytest.raises(SaveFailed):
            store.commit("a.py", change({"x": b"no"}))
        limit(None)
        assert store.unsettled == 4
        agrees(store, 5)
        commit(store, 1)
    with Store.open(folder, KEY) as store:
        agrees(store, 6)


def test_what_is_done_to_a_session_right_after_finds_the_versions_that_wait(folder: Path) -> None:
    with Store.open(folder, KEY) as store:
        commit(store, 4)
        store.move("a.py", "b.py")
        agrees(store, 4, "b.py")
        commit(store, 4, "b.py")
        assert store.trash("b.py", "deleted")
        assert (store.sessions(), store.trashed()[0].version) == ([], 8)
        # The next commit is to a new session of that name, not on top of the one in the trash.
        assert store.commit("b.py", change({"x": b"new"})).version == 1
        assert store.commit("b.py", change({"y": b"new"})).version == 2
        assert store.recover("b.py")
        agrees(store, 8, "b.py")
        commit(store, 4, "b.py")
        store.set_head("b.py", 10)
        assert store.tip("b.py") == 12
        assert store.commit("b.py", change({"z": b"branch"})).parent == 10
        assert store.commit("b.py", change({"z": b"branched"})).parent == 13
        store.set_label("b.py", 14, "here")
        store.commit("b.py", change({"z": b"15"}))
        assert store.branch("b.py", None, "c.py").version == 1
        assert streams(store, "c.py")["z"] == b"15"
        store.commit("c.py", change({"z": b"2"}))
        store.commit("c.py", change({"z": b"3"}))
        assert store.forget("c.py") == 1
        assert store.commit("c.py", change({"z": b"4"})).version == 1
        store.commit("c.py", change({"z": b"5"}))
        assert store.size("c.py") > 0
    with Store.open(folder, KEY) as store:
        assert store.sessions() == ["b.py", "c.py"]
        assert streams(store, "b.py")["z"] == b"15"
        assert store.version("b.py", 14).label == "here"
        assert streams(store, "c.py") == {"z": b"5"}
        assert [trashed.version for trashed in store.trashed()] == [2]


def test_a_version_on_an_older_one_comes_after_those_that_wait(store: Store) -> None:
    commit(store, 5)
    record = store.commit("a.py", change({"z": b"1"}), parent=2)
    assert (record.version, record.parent) == (6, 2)
    record = store.commit("a.py", change({"z": b"2"}), parent=6)
    assert (record.version, record.parent) == (7, 6)
    assert store.commit("a.py", change({"w": b"1"}), parent=None).version == 8
    assert streams(store, "a.py", 7) == {"x": b"2", "y1": b"1", "y2": b"2", "z": b"2"}
    assert streams(store, "a.py", 8) == {"w": b"1"}


@pytest.mark.parametrize("loss", ["everything", "catalog.sqlite", "catalog.sqlite-wal", "packs"])
@pytest.mark.parametrize("notice", [Store.intact, Store.settle, lambda store: store.commit("a.py", change({}))])
def test_a_folder_removed_while_versions_wait_is_noticed(
    folder: Path, loss: str, notice: Callable[[Store], bool | None]
) -> None:
    store = Store.open(folder, KEY)
    commit(store, 5)
    victim = folder if loss == "everything" else folder / loss
    if victim.is_dir():
        shutil.rmtree(victim)
    else:
        victim.unlink()
    try:
        notice(store)
    except StoreUnavailable as error:
        assert error.kind == "gone"
    assert not store.intact()
    for use in (store.settle, store.sessions, lambda: store.commit("a.py", change({}))):
        with pytest.raises(StoreUnavailable) as caught:
            use()
        assert caught.value.kind == "gone"
    with Store.open(folder, KEY) as again:
        if loss.startswith("catalog"):
            # The log lies in the folder, and with it everything that was said to be saved.
            assert values(again, "a.py", 5)["x"] == expected(5)["x"]
        store.close()
        again.commit("b.py", change({"x": b"1"}))
    with Store.open(folder, KEY) as last:
        assert streams(last, "b.py") == {"x": b"1"}


def test_what_others_did_to_the_catalog_is_seen_by_the_next_small_commit(folder: Path) -> None:
    with Store.open(folder, KEY) as store:
        commit(store, 3)
        store.settle()
        db = sqlite3.connect(folder / "catalog.sqlite")
        with db:
            db.execute("UPDATE sessions SET head = 1, tip = 1")
        db.close()
        assert store.changed_outside()
        with pytest.raises(Untrusted):
            store.listing("a.py")
        assert store.commit("a.py", change({"z": b"1"})).parent == 1
        assert not store.changed_outside()


def test_a_catalog_that_another_program_holds_costs_no_version(folder: Path) -> None:
    with Store.open(folder, KEY) as store:
        commit(store, 5)
        db = sqlite3.connect(folder / "catalog.sqlite", isolation_level=None)
        db.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable) as caught:
            store.head("a.py")
        assert caught.value.kind == "busy"
        assert store.unsettled == 4
        db.execute("ROLLBACK")
        db.close()
        agrees(store, 5)


def test_the_time_of_settling_leaves_no_trace(tmp_path: Path) -> None:
    logs = []
    for place, every in ((tmp_path / "a", 1), (tmp_path / "b", 5), (tmp_path / "c", sys.maxsize)):
        with Store.open(place, KEY) as store:
            for number in range(1, 12):
                store.commit("a.py", change(expected(number)))
                if number % every == 0:
                    store.settle()
            agrees(store, 11)
            logs.append([(record.version, record.parent, record.code) for record in store.history("a.py")])
            assert store.size("a.py") == sum(record.bytes for record in store.history("a.py"))
    assert logs[0] == logs[1] == logs[2]
