"""Disk full and its kin: the save fails as a whole, what was saved stays, and the next one works when there is room."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from store_making import KEY, Store, change, streams, values

from holdfast.store.errors import SaveFailed, StoreError, StoreUnavailable

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs POSIX limits")


@pytest.fixture
def limit() -> Iterator[object]:
    """Return a function that limits the size of the files this process writes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    def set_limit(size: int | None) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, before if size is None else (size, before[1]))

    yield set_limit
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, ignored)


@pytest.mark.parametrize("size", range(0, 70_000, 3_001))
def test_a_save_that_does_not_fit_fails_whole_and_the_next_one_works(folder: Path, limit, size: int) -> None:  # type: ignore[no-untyped-def]
    big = os.urandom(60_000)
    with Store.open(folder, KEY) as store:
        store.commit("a.py", change({"x": b"1"}))
        limit(size)
        try:
            store.commit("a.py", change({"x": b"2", "big": (b"b", (big,))}))
            saved = True
        except SaveFailed as error:
            assert error.kind in ("disk_full", "io")
            saved = False
        finally:
            limit(None)
        assert streams(store, "a.py") == ({"x": b"2", "big": b"b"} if saved else {"x": b"1"})
        store.commit("a.py", change({"y": b"3"}))
        expected = {"x": (b"2", ()), "big": (b"b", (big,))} if saved else {"x": (b"1", ())}
        assert values(store, "a.py") == {**expected, "y": (b"3", ())}
        assert store.check("a.py") == []
    with Store.open(folder, KEY) as store:
        assert values(store, "a.py") == {**expected, "y": (b"3", ())}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes."""
    place = tmp_path / "disk"
    place.mkdir()
    if shutil.which("mount") is None or os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)], capture_output=True, check=False
    )
    if made.returncode != 0:
        pytest.skip("this system does not let us mount a tmpfs")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_on_a_full_disk_saving_resumes_when_there_is_room(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    with Store.open(small_disk / ".state", KEY) as store:
        store.commit("a.py", change({"x": b"0"}))
        last, failures = 0, 0
        for number in range(1, 60):
            ballast.write_bytes(b"")
            free = shutil.disk_usage(small_disk).free
            if number % 3:
                ballast.write_bytes(bytes(max(0, free - 4096 * (number % 8))))
            try:
                store.commit("a.py", change({"x": b"%d" % number, "pad": (b"", (os.urandom(3000),))}))
                last = number
            except SaveFailed as error:
                assert error.kind == "disk_full"
                failures += 1
            assert streams(store, "a.py")["x"] == b"%d" % last
        assert failures > 5
        assert last == 57 or last > 50
        ballast.unlink()
        store.commit("a.py", change({"x": b"end"}))
    with Store.open(small_disk / ".state", KEY) as store:
        assert streams(store, "a.py")["x"] == b"end"


def test_opening_on_a_full_disk_says_so_and_works_later(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(shutil.disk_usage(small_disk).free))
    with pytest.raises(StoreUnavailable, match="room"):
        Store.open(small_disk / ".state", KEY)
    ballast.unlink()
    with Store.open(small_disk / ".state", KEY) as store:
        store.commit("a.py", change({"x": b"1"}))


def test_a_file_system_that_becomes_read_only_fails_saves_and_keeps_reading(small_disk: Path) -> None:
    with Store.open(small_disk / ".state", KEY) as store:
        store.commit("a.py", change({"x": b"1"}))
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(StoreUnavailable) as caught:
        Store.open(small_disk / ".state", KEY)
    assert caught.value.kind == "unwritable"
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    with Store.open(small_disk / ".state", KEY) as store:
        assert streams(store, "a.py") == {"x": b"1"}


def test_a_failed_save_leaves_nothing_that_a_later_process_takes_for_one(folder: Path, limit) -> None:  # type: ignore[no-untyped-def]
    with Store.open(folder, KEY) as store:
        store.commit("a.py", change({"x": b"1"}))
        store.checkpoint()
        limit((folder / "catalog.sqlite-wal").stat().st_size)
        with pytest.raises(StoreError):
            for number in range(100):
                store.commit("a.py", change({"x": b"no %d" % number}))
        said = store.head("a.py")
        limit(None)
    with Store.open(folder, KEY) as store:
        assert store.head("a.py") == said
