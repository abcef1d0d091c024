"""A kill before and after every call that reaches the disk: what was before, or what comes after; nothing else."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from store_making import KEY, Value, change, values

from holdfast.store.store import Store

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")

REACHES_THE_DISK = {
    "pwritev",
    "execute",
    "executemany",
    "fsync",
    "ftruncate",
    "open",
    "mkdir",
    "unlink",
    "rename",
    "replace",
}
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


def killed_at(point: int, folder: Path, act: Callable[[Store], None]) -> bool:
    """Do `act` in a process that is killed at the given point; whether it came that far."""
    child = os.fork()
    if child == 0:
        try:
            store = Store.open(folder, KEY)
            left = point

            def count(_: FrameType, event: str, called: Any) -> None:
                nonlocal left
                if event in ("c_call", "c_return") and called.__name__ in REACHES_THE_DISK:
                    if left == 0:
                        os.kill(os.getpid(), signal.SIGKILL)
                    left -= 1

            sys.setprofile(count)
            act(store)
            sys.setprofile(None)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


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
