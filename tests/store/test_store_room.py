"""A disk with room for so many pages more, for every number; no inodes; read-only; a clock that goes backwards."""

from __future__ import annotations

import errno
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from store_making import KEY, Store, Value, change, clear_only, values
from store_repair import found

from holdfast.store import core as core_module
from holdfast.store.errors import SaveFailed, StoreError, StoreUnavailable
from holdfast.store.folder import TRASH_NAME
from holdfast.store.ownership import OWNER_NAME

STEP = int(os.environ.get("HOLDFAST_FULL_STEP", "23"))
"""Of so many numbers of free pages one is tried; 1 for all."""
PAGE = 4096
LARGE = random.Random(1).randbytes(300_000)
MEDIUM = random.Random(2).randbytes(20_000)


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Return a function that mounts a small file system with options, in the place of the one before."""
    place = tmp_path / "disk"
    place.mkdir()
    if shutil.which("mount") is None or os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")

    def mount(options: str) -> Path:
        subprocess.run(["umount", "-l", str(place)], check=False, capture_output=True)
        made = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], check=False)
        if made.returncode != 0:
            pytest.skip("this system does not let us mount a tmpfs")
        return place

    yield mount
    subprocess.run(["umount", "-l", str(place)], check=False, capture_output=True)


def prepare(folder: Path) -> dict[str, Value]:
    """Make a store with something in it."""
    with Store.open(folder, KEY) as store:
        for number in range(6):
            store.commit("a.py", change({"x": b"%d" % number, "big": (b"b", (LARGE[number:],))}))
        return values(store, "a.py")


def use(folder: Path, held: dict[str, Value]) -> int:
    """Do all that writes; whatever fails fails whole, and says so. Return how much of it failed."""
    failures = 0
    try:
        store = Store.open(folder, KEY)
    except StoreUnavailable as error:
        assert error.kind in ("unwritable", "io"), error
        return 1
    acts: list[tuple[Callable[[], object], dict[str, Value]]] = [
        (lambda: store.commit("a.py", change({"x": b"small"})), {"x": (b"small", ())}),
        (lambda: store.commit("a.py", change({"m": (b"m", (MEDIUM,))})), {"m": (b"m", (MEDIUM,))}),
        (lambda: store.commit("a.py", change({"x": b"synced"}), synced=True), {"x": (b"synced", ())}),
        (lambda: store.commit("a.py", change({"l": (LARGE[::-1], ())})), {"l": (LARGE[::-1], ())}),
        (store.settle, {}),
        (lambda: store.set_label("a.py", 3, "label"), {}),
        (store.sync, {}),
        (lambda: list(store.thin("a.py", 3)), {}),
        (lambda: list(store.collect()), {}),
        (store.checkpoint, {}),
        (lambda: store.write_metadata("a.py"), {}),
        (lambda: store.commit("a.py", change({"y": b"last"})), {"y": (b"last", ())}),
    ]
    with store:
        for act, then in acts:
            try:
                act()
                held.update(then)
            except (SaveFailed, StoreUnavailable) as error:
                assert error.kind in ("disk_full", "io", "metadata"), error
                failures += 1
            assert values(store, "a.py") == held
    return failures


def test_at_every_number_of_free_pages_nothing_that_was_saved_is_lost_and_saving_resumes(
    mounted: Callable[[str], Path],
) -> None:
    failed, free = [], 0
    while True:
        disk = mounted("size=12m")
        held = prepare(disk / ".state")
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(max(0, shutil.disk_usage(disk).free - free * PAGE)))
        failed.append(use(disk / ".state", held))
        ballast.unlink()
        with Store.open(disk / ".state", KEY) as store:
            assert values(store, "a.py") == held, free
            store.commit("a.py", change({"again": b"1"}))
            store.write_metadata("a.py")
        assert found(disk / ".state") == [], free
        if not failed[-1]:
            break
        free += STEP
    assert len(failed) > 200 // STEP


def test_without_inodes_nothing_that_was_saved_is_lost_and_saving_resumes(mounted: Callable[[str], Path]) -> None:
    for inodes in range(12):
        disk = mounted("size=12m,nr_inodes=60")
        held = prepare(disk / ".state")
        used = os.statvfs(disk)
        for number in range(used.f_ffree - inodes):
            (disk / str(number)).touch()
        use(disk / ".state", held)
        for path in disk.iterdir():
            if path.is_file():
                path.unlink()
        with Store.open(disk / ".state", KEY) as store:
            assert values(store, "a.py") == held
            store.commit("a.py", change({"again": b"1"}))
            store.write_metadata("a.py")
        assert found(disk / ".state") == []


def test_what_becomes_read_only_while_it_is_open_is_still_read_and_saving_resumes(
    mounted: Callable[[str], Path],
) -> None:
    disk = mounted("size=12m")
    held = prepare(disk / ".state")
    store = Store.open(disk / ".state", KEY)
    # A file system does not become read-only under files that are open for writing, but an error of the disk does it.
    made = subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=False, capture_output=True)
    if made.returncode == 0:
        with pytest.raises(StoreError):
            store.commit("a.py", change({"x": b"no"}), synced=True)
        assert values(store, "a.py") == held
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    store.commit("a.py", change({"x": b"yes"}))
    store.close()
    with Store.open(disk / ".state", KEY) as again:
        assert values(again, "a.py")["x"] == (b"yes", ())


def test_a_clock_that_goes_backwards_changes_no_order_and_expires_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [time.time_ns()]
    monkeypatch.setattr(core_module.time, "time_ns", lambda: clock[0])
    with Store.open(folder, KEY) as store:
        for number in range(1, 6):
            clock[0] -= 400 * 86_400 * 10**9
            store.commit("a.py", change({"x": b"%d" % number}))
        store.commit("old.py", change({"x": b"o"}))
        store.trash("old.py", "deleted")
        assert [record.version for record in store.history("a.py")] == [5, 4, 3, 2, 1]
        assert values(store, "a.py") == {"x": (b"5", ())}
        clock[0] += 5 * 400 * 86_400 * 10**9
        store.commit("young.py", change({"x": b"y"}))
        clock[0] += 5 * 400 * 86_400 * 10**9
        store.trash("young.py", "deleted")
        assert store.expire_trash(30) == 1  # what seems to be years old; what seems to come from the future stays
        assert [one.key for one in store.trashed()] == ["young.py"]
    with Store.open(folder, KEY) as store:
        assert values(store, "a.py") == {"x": (b"5", ())}
        assert store.commit("a.py", change({"x": b"6"})).version == 6


@clear_only
def test_a_pack_of_more_than_four_gigabytes_is_read_and_written(folder: Path) -> None:
    import sqlite3

    with Store.open(folder, KEY) as store:
        store.commit("a.py", change({"x": (b"s", (LARGE,))}))
    bulk = next(path for path in (folder / "packs").iterdir() if path.stat().st_size > 300_000)
    size = (5 << 30) + 7
    os.truncate(bulk, size)  # which takes no room
    db = sqlite3.connect(folder / "catalog.sqlite")
    with db:
        db.execute("UPDATE packs SET used = ? WHERE number = ?", (size, int(bulk.stem)))
    db.close()
    from holdfast.store import core

    limit, core.BULK_PACK_LIMIT = core.BULK_PACK_LIMIT, 8 << 30
    try:
        with Store.open(folder, KEY) as store:
            store.commit("a.py", change({"y": (b"s", (LARGE[::-1],))}))
            assert bulk.stat().st_size > size
    finally:
        core.BULK_PACK_LIMIT = limit
    with Store.open(folder, KEY) as store:
        assert values(store, "a.py") == {"x": (b"s", (LARGE,)), "y": (b"s", (LARGE[::-1],))}


@pytest.mark.skipif(not os.environ.get("HOLDFAST_LARGE"), reason="takes ten seconds: HOLDFAST_LARGE=1")
def test_a_value_of_more_than_four_gigabytes_is_saved_and_laid_out(folder: Path) -> None:
    import mmap

    from holdfast.store.layout import OpenPacks

    size = (4 << 30) + 12_345
    zeros = memoryview(mmap.mmap(-1, size))
    with Store.open(folder, KEY) as store:
        store.commit("a.py", change({"x": (b"s", (zeros,))}))  # type: ignore[dict-item]
    with Store.open(folder, KEY) as store:
        (entry,) = store.listing("a.py").values()
        assert entry.size == size + 1
        packs = OpenPacks()
        _, layout = store.layout(entry, packs)
        packs.close()
        assert layout.size == size
        assert sum(place.size for place in layout.places) == size
        assert store.check("a.py") == []


def test_what_repairs_put_into_the_trash_keeps_no_folder_from_being_opened(folder: Path) -> None:
    (folder / TRASH_NAME).mkdir(parents=True)
    with Store.open(folder, KEY) as store:
        store.commit("a.py", change({"x": b"1"}))


def test_a_workspace_that_is_moved_or_copied_while_closed_goes_on_each_by_itself(folder: Path, tmp_path: Path) -> None:
    with Store.open(folder, KEY) as store:
        store.commit("dir/a.py", change({"x": b"1"}))
    shutil.copytree(folder, tmp_path / "copy")
    folder.rename(tmp_path / "moved")
    for place, data in ((tmp_path / "copy", b"copy"), (tmp_path / "moved", b"moved")):
        with Store.open(place, KEY) as store:
            assert values(store, "dir/a.py") == {"x": (b"1", ())}
            assert store.commit("dir/a.py", change({"y": data})).version == 2
    for place, data in ((tmp_path / "copy", b"copy"), (tmp_path / "moved", b"moved")):
        with Store.open(place, KEY) as store:
            assert values(store, "dir/a.py") == {"x": (b"1", ()), "y": (data, ())}


OTHER_DAEMON = """
import errno, fcntl, sys
from pathlib import Path
def flock(*_): raise OSError(errno.ENOLCK, "No locks available")
fcntl.flock = flock
from store_making import KEY, Store, change
store = Store.open(Path(sys.argv[1]), KEY)
store.commit("a.py", change({"x": b"1"}))
print("open", flush=True)
sys.stdin.read()
"""


def test_where_the_file_system_has_no_locks_a_second_daemon_is_refused_all_the_same(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    command = [sys.executable, "-c", OTHER_DAEMON, str(folder)]
    other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
    assert other.stdout is not None and other.stdout.readline() == b"open\n"
    with pytest.raises(StoreUnavailable, match=str(other.pid)) as caught:
        Store.open(folder, KEY)
    assert caught.value.kind == "in_use"
    other.kill()
    other.communicate()
    # Its owner is dead, which can be told on the same machine.
    with Store.open(folder, KEY) as store:
        assert values(store, "a.py") == {"x": (b"1", ())}
        with pytest.raises(StoreUnavailable):
            Store.open(folder, KEY)
    (folder / OWNER_NAME).write_text('{"host": "elsewhere", "boot": "1", "pid": 1}')
    with pytest.raises(StoreUnavailable, match="elsewhere"):
        Store.open(folder, KEY)
    (folder / OWNER_NAME).unlink()
    Store.open(folder, KEY).close()
    assert not (folder / OWNER_NAME).exists()
