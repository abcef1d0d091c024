"""A kill before and after every call that reaches the disk: what was before, or what comes after; nothing else."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from store_kills import killed_at
from store_making import KEY, Store, Value, change, values
from store_repair import examined

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")

LARGE = random.Random(1).randbytes(400_000)

Outcome = tuple[dict[str, dict[str, Value]], list[str]]


def act_commit(store: Store) -> None:
    store.commit("a.py", change({"x": b"2", "big": (b"b", (LARGE,))}, removed=["y"]))


def act_commit_synced(store: Store) -> None:
    store.commit("a.py", change({"x": (b"2" * 700, (b"medium" * 40,))}), synced=True)


def act_first_commit(store: Store) -> None:
    store.commit("new.py", change({"x": b"new"}))


def act_move_onto_another(store: Store) -> None:
    store.move("a.py", "b.py")


def act_trash(store: Store) -> None:
    store.trash("a.py", "deleted")


def act_forget(store: Store) -> None:
    store.forget("a.py")


def act_set_head(store: Store) -> None:
    store.set_head("a.py", 1)


def act_sync_and_checkpoint(store: Store) -> None:
    store.sync()
    store.checkpoint()


def act_close(store: Store) -> None:
    store.close()


ACTS: list[Callable[[Store], None]] = [
    act_commit,
    act_commit_synced,
    act_first_commit,
    act_move_onto_another,
    act_trash,
    act_forget,
    act_set_head,
    act_sync_and_checkpoint,
    act_close,
]


def observe(folder: Path) -> Outcome:
    """Open the store as the next process does, and read all there is."""
    with Store.open(folder, KEY) as store:
        for key in store.sessions():
            assert store.check(key) == []
        return {key: values(store, key) for key in store.sessions()}, sorted(t.key for t in store.trashed())


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.__name__.removeprefix("act_"))
def test_a_kill_at_any_write_leaves_before_or_after(tmp_path: Path, act: Callable[[Store], None]) -> None:
    original = tmp_path / "original"
    with Store.open(original, KEY) as store:
        store.commit("a.py", change({"x": b"0", "y": b"0"}))
        store.commit("a.py", change({"x": b"1"}))
        store.commit("b.py", change({"x": b"b"}))
    before = observe(original)
    shutil.copytree(original, tmp_path / "done")
    with Store.open(tmp_path / "done", KEY) as store:
        act(store)
    after = observe(tmp_path / "done")
    seen = []
    for point in range(500):
        folder = tmp_path / "killed"
        shutil.copytree(original, folder)
        came_so_far = killed_at(point, folder, act)
        found = observe(folder)
        assert found in (before, after), point
        # Whatever was found is what stays, and the store goes on from there.
        assert observe(folder) == found
        with Store.open(folder, KEY) as store:
            store.commit("z.py", change({"z": b"z"}))
        assert observe(folder) == (found[0] | {"z.py": {"z": (b"z", ())}}, found[1])
        shutil.rmtree(folder)
        seen.append(found == after)
        if not came_so_far:
            break
    else:
        pytest.fail("the act never ended")
    assert seen[-1]
    # Once it happened, no later kill undoes it.
    assert seen == sorted(seen)


def act_begin_both_packs(store: Store) -> None:
    store._core.log.leave(0)
    store._core.bulk.leave(0)
    store.commit("a.py", change({"big": (b"b", (LARGE,))}))


def test_a_kill_while_packs_are_begun_leaves_no_file_that_belongs_to_nobody(tmp_path: Path) -> None:
    original = tmp_path / "original"
    with Store.open(original, KEY) as store:
        store.commit("a.py", change({"x": (b"x", (LARGE[::-1],))}))
    for point in range(100):
        folder = tmp_path / "killed"
        shutil.copytree(original, folder)
        came_so_far = killed_at(point, folder, act_begin_both_packs)
        with Store.open(folder, KEY) as store:
            act_begin_both_packs(store)  # what lies before the newest pack is of nobody who writes
            store.write_metadata("a.py")
            assert [finding.problem.what for finding in examined(store)] == [], point
        shutil.rmtree(folder)
        if not came_so_far:
            break
    else:
        pytest.fail("it never ended")


def act_thin_and_collect(store: Store) -> None:
    for _ in store.thin("a.py", 2):
        pass
    for _ in store.collect():
        pass


def test_a_kill_at_any_write_of_a_compaction_leaves_all_that_is_needed(tmp_path: Path) -> None:
    original = tmp_path / "original"
    held: dict[int, dict[str, Value]] = {}
    rng = random.Random(3)
    with Store.open(original, KEY) as store:
        for number in range(1, 8):
            buffer = rng.randbytes(300_000)
            held[number] = {"x": (b"%d" % number * 20_000, ()), "big": (b"", (buffer,))}
            store.commit("a.py", change(held[number]))  # type: ignore[arg-type]
        store.set_label("a.py", 3, "good")
        store.commit("gone.py", change({"x": (b"", (rng.randbytes(500_000),))}))
        store.forget("gone.py")
        store._core.log.leave(0)
        store._core.bulk.leave(0)
        held[8] = held[7] | {"y": (b"y", ())}
        store.commit("a.py", change({"y": b"y"}))
    step, points = 11, 0
    for point in range(0, 2000, step):
        folder = tmp_path / "killed"
        shutil.copytree(original, folder)
        came_so_far = killed_at(point + (point // step) % step, folder, act_thin_and_collect)
        without_catalog = tmp_path / "without"
        shutil.copytree(folder, without_catalog)
        for path in without_catalog.glob("catalog.sqlite*"):
            path.unlink()
        for place in (folder, without_catalog):
            for _ in range(2):
                with Store.open(place, KEY) as store:
                    left = {record.version for record in store.history("a.py")}
                    assert {3, 7, 8} <= left, point
                    assert store.sessions() == ["a.py"]
                    assert store.trashed() == []
                    for number in left & {3, 7, 8} if place is without_catalog else left:
                        assert values(store, "a.py", number) == held[number], point
                    head = store.head("a.py")
                    assert head is not None
                    assert head.version == 8
                    assert store.check("a.py") == []
                    act_thin_and_collect(store)
                    assert {record.version for record in store.history("a.py")} == {3, 7, 8}
            shutil.rmtree(place)
        points += 1
        if not came_so_far:
            break
    else:
        pytest.fail("it never ended")
    assert points > 10
