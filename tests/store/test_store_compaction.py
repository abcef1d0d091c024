"""Old versions go, their bytes go, and whatever happens meanwhile, what stays is as it was."""

from __future__ import annotations

import random
import shutil
import sqlite3
from pathlib import Path

import pytest
from blake3 import blake3
from store_making import ENCRYPTED, KEY, OTHER_KEY, Store, Value, change, clear_only, packs, streams, values

from holdfast.store.catalog import SCHEMA
from holdfast.store.errors import Damaged, SaveFailed
from holdfast.store.records import Change, ComponentContent, Patch

RNG = random.Random(7)
LARGE = [RNG.randbytes(300_000) for _ in range(12)]


def finish(steps: object) -> None:
    for _ in steps:  # type: ignore[attr-defined]
        pass


def used(folder: Path) -> int:
    return sum(path.stat().st_size for path in packs(folder))


def fill(store: Store, versions: int) -> dict[int, dict[str, Value]]:
    """Make versions, each with a large buffer of its own, and return what they hold."""
    held: dict[int, dict[str, Value]] = {}
    now: dict[str, Value] = {}
    for number in range(1, versions + 1):
        sets: dict[str, Value] = {
            "big": (b"b%d" % number, (LARGE[number % len(LARGE)] + b"%d" % number,)),
            f"v{number % 4}": (b"%d" % number * 300, ()),
        }
        now = now | sets
        assert store.commit("a.py", change(sets)).version == number  # type: ignore[arg-type]
        held[number] = now
    return held


def test_versions_that_stay_can_be_read_as_before(store: Store) -> None:
    held = fill(store, 30)
    store.set_label("a.py", 7, "good")
    branch = store.commit("a.py", change({"other": b"line"}), parent=12).version
    held[branch] = held[12] | {"other": (b"line", ())}
    finish(store.thin("a.py", 5))
    left = {record.version for record in store.history("a.py")}
    # The newest five, the labelled one, and the one at which the lines part.
    assert left == {27, 28, 29, 30, branch, 7, 12}
    for number in left:
        assert values(store, "a.py", number) == held[number]
    assert store.check("a.py") == []
    gaps = [(gap.first, gap.last) for gap in store.thinned("a.py")]
    assert gaps == [(1, 6), (8, 11), (13, 26)]


def test_a_thinned_session_goes_on(store: Store) -> None:
    held = fill(store, 80)
    finish(store.thin("a.py", 3))
    for number in range(81, 160):
        store.commit("a.py", change({"x": b"%d" % number}))
    assert values(store, "a.py") == held[80] | {"x": (b"159", ())}
    finish(store.thin("a.py", 2))
    assert [record.version for record in store.history("a.py")] == [159, 158]
    assert [(gap.first, gap.last) for gap in store.thinned("a.py")] == [(1, 157)]
    assert values(store, "a.py") == held[80] | {"x": (b"159", ())}


def test_the_bytes_of_removed_versions_are_given_back(store: Store, folder: Path) -> None:
    held = fill(store, 40)
    before = used(folder)
    finish(store.thin("a.py", 2))
    *_, done = store.collect()
    assert done.problem is None
    assert done.freed > before // 2
    assert used(folder) < before // 6
    store.sync()
    store.checkpoint()
    for number in (39, 40):
        assert values(store, "a.py", number) == held[number]
    assert store.check("a.py") == []


def test_forgotten_sessions_take_no_room(store: Store, folder: Path) -> None:
    fill(store, 20)
    store.commit("b.py", change({"x": b"stays"}))
    store.forget("a.py")
    finish(store.collect())
    assert used(folder) < 100_000
    assert streams(store, "b.py") == {"x": b"stays"}


def test_what_is_in_the_trash_keeps_its_bytes(store: Store) -> None:
    held = fill(store, 6)
    store.trash("a.py", "deleted")
    store.commit("b.py", change({"x": (b"", (LARGE[0] * 2,))}))
    store.forget("b.py")
    finish(store.collect())
    store.recover("a.py")
    for number, expected in held.items():
        assert values(store, "a.py", number) == expected


def test_a_catalog_that_is_lost_after_a_compaction_comes_back_whole(folder: Path) -> None:
    with Store.open(folder, KEY) as store:
        held = fill(store, 40)
        store.set_label("a.py", 9, "good")
        finish(store.thin("a.py", 4))
        finish(store.collect())
        for number in range(41, 45):
            held[number] = held[number - 1] | {"x": (b"%d" % number, ())}
            store.commit("a.py", change({"x": b"%d" % number}))
        finish(store.thin("a.py", 3))
        store.commit("b.py", change({"y": b"y"}))
        left = {record.version: record.label for record in store.history("a.py")}
    for path in folder.glob("catalog.sqlite*"):
        path.unlink()
    with Store.open(folder, KEY) as store:
        assert {record.version: record.label for record in store.history("a.py")} == left
        head = store.head("a.py")
        assert head is not None
        assert head.version == 44
        for number in left:
            assert values(store, "a.py", number) == held[number]
        assert store.sessions() == ["a.py", "b.py"]
        assert [(gap.first, gap.last) for gap in store.thinned("a.py")] == [(1, 8), (10, 41)]


def test_what_an_upload_counts_on_is_not_collected(store: Store) -> None:
    fill(store, 3)
    shared = LARGE[3] + b"3"
    store.forget("a.py")
    with store._core.pins.hold() as pin:
        digests = [blake3(shared[at : at + (1 << 18)]).digest() for at in range(0, len(shared), 1 << 18)]
        assert pin.known(digests)
        finish(store.collect())
        assert set(pin.known(digests)) == set(digests)
    finish(store.collect())
    assert not store._core.known(digests)


def test_an_upload_outlives_compactions_before_its_commit(store: Store) -> None:
    fill(store, 8)
    store.forget("a.py")
    upload = store.upload()
    data = RNG.randbytes(3 << 18)
    for at in range(0, len(data), 1 << 18):
        upload.write(at, data[at : at + (1 << 18)])
        store.commit("b.py", change({"x": (b"", (LARGE[0] + b"%d" % at,))}))
        finish(store.collect())
    made = ComponentContent("big", ("big",), "fp", b"s", [Patch(len(data), upload=upload)])
    store.commit("a.py", Change(changed=[made], names_changed=["big"]))
    upload.release()
    finish(store.collect())
    assert values(store, "a.py")["big"][1][0] == data


def test_what_is_changed_in_bytes_that_are_gone_is_refused(store: Store) -> None:
    data = RNG.randbytes(3 << 18)

    def commit(buffer: bytes | Patch, fingerprint: str) -> None:
        made = ComponentContent("big", ("big",), fingerprint, b"s", [buffer])
        store.commit("a.py", Change(changed=[made], names_changed=["big"]))

    commit(Patch(len(data), runs=[(0, data)]), "first")
    commit(Patch(len(data), ("first", 0), [(0, bytes(1 << 18))]), "second")
    assert values(store, "a.py")["big"][1][0] == bytes(1 << 18) + data[1 << 18 :]
    store.commit("a.py", change({"x": b"x"}, removed=["big"]))
    finish(store.thin("a.py", 1))
    for _ in range(2):
        store._core.bulk.leave(0)
        finish(store.collect())
    with pytest.raises(SaveFailed):
        commit(Patch(len(data), ("second", 0), [(0, bytes(1 << 18))]), "third")
    assert streams(store, "a.py") == {"x": b"x"}


def test_commits_between_all_steps_of_a_compaction_lose_nothing(store: Store) -> None:
    held = fill(store, 24)
    number = 24
    finish(store.thin("a.py", 2))
    for step, _ in enumerate(store.collect()):
        number += 1
        # Among them bytes that were garbage when the collection began.
        sets: dict[str, Value] = {"again": (b"%d" % step, (LARGE[step % 12] + b"%d" % (step % 12 + 1),))}
        held[number] = held[number - 1] | sets
        store.commit("a.py", change(sets))  # type: ignore[arg-type]
    assert number > 40
    finish(store.collect())
    for each in range(23, number + 1):
        assert values(store, "a.py", each) == held[each]
    assert store.check("a.py") == []


def test_a_store_that_is_read_between_all_steps_is_whole(store: Store) -> None:
    held = fill(store, 20)
    finish(store.thin("a.py", 3))
    for _ in store.collect():
        assert values(store, "a.py", 18) == held[18]
        assert values(store, "a.py") == held[20]


def test_a_removal_while_garbage_is_sought_frees_nothing_that_is_needed(store: Store) -> None:
    held = fill(store, 20)
    steps = store.collect()
    next(steps)
    store.branch("a.py", 20, "b.py")
    store.forget("a.py")
    finish(steps)
    finish(store.collect())
    assert values(store, "b.py") == held[20]


def test_commits_of_a_session_of_many_variables_leave_listings_to_idle_time(folder: Path) -> None:
    many: dict[str, Value] = {f"v{number}": (b"%d" % number, ()) for number in range(7000)}
    with Store.open(folder, KEY) as store:
        store.commit("a.py", change(many))  # type: ignore[arg-type]
        for number in range(150):
            sets: dict[str, Value] = {f"v{i}": (b"%d" % number, ()) for i in range(number, number + 80)}
            many |= sets
            store.commit("a.py", change(sets))  # type: ignore[arg-type]
        session = store._places.require("a.py")
        assert [stub.number for stub in store._core.catalog.history.stubs(session.id) if stub.base] == [1]
        assert store.listing_is_due("a.py")
        finish(store.relist("a.py"))
        assert not store.listing_is_due("a.py")
        many["x"] = (b"x", ())
        store.commit("a.py", change({"x": b"x"}))
        assert not store.listing_is_due("a.py")
        assert len(store._core.timeline.chain(session, 152)) == 2
    for path in folder.glob("catalog.sqlite*"):
        path.unlink()
    with Store.open(folder, KEY) as store:
        finish(store.thin("a.py", 2))
        finish(store.collect())
        assert values(store, "a.py") == many


def test_nothing_is_collected_while_a_version_cannot_be_followed(folder: Path) -> None:
    with Store.open(folder, KEY) as store:
        held = fill(store, 8)
        held[9] = held[8]
        store.commit("a.py", change(held[8], full=True))  # type: ignore[arg-type]
        for number in (10, 11, 12):
            held[number] = held[number - 1] | {"x": (b"%d" % number, ())}
            store.commit("a.py", change({"x": b"%d" % number}))
        store.commit("other.py", change({"z": (b"", (RNG.randbytes(700_000),))}))
        store.forget("other.py")
    with sqlite3.connect(folder / "catalog.sqlite") as db:
        db.execute("UPDATE versions SET meta = x'00', pack = 77 WHERE id & 0xffffffff = 5")
    with Store.open(folder, KEY) as store:
        before = used(folder)
        *_, done = store.collect()
        assert done.problem is not None
        assert used(folder) >= before
        assert values(store, "a.py") == held[12]
        # It is removed like any other once it is old enough.
        finish(store.thin("a.py", 3))
        *_, done = store.collect()
        assert done.problem is None
        assert used(folder) < before


def test_a_version_that_cannot_be_read_stops_the_thinning_of_what_builds_on_it(folder: Path) -> None:
    with Store.open(folder, KEY) as store:
        fill(store, 12)
    with sqlite3.connect(folder / "catalog.sqlite") as db:
        db.execute("UPDATE versions SET meta = x'00', pack = 77 WHERE id & 0xffffffff = 5")
    with Store.open(folder, KEY) as store:
        with pytest.raises(Damaged):
            finish(store.thin("a.py", 3))
        assert len(store.history("a.py")) == 11


def test_a_listing_made_by_somebody_else_is_not_believed(folder: Path) -> None:
    with Store.open(folder, KEY) as store:
        fill(store, 10)
        finish(store.thin("a.py", 3))
    with Store.open(folder, OTHER_KEY) as store:
        assert store.check("a.py")[0].kind == "untrusted"
    with sqlite3.connect(folder / "catalog.sqlite") as db:
        (delta,) = db.execute("SELECT delta FROM listings").fetchone()
        db.execute(
            "UPDATE listings SET delta = ?", (delta.replace(b"fp-big", b"fp-bag") if not ENCRYPTED else delta[1:],)
        )
    with Store.open(folder, KEY) as store:
        # The copy in the log is whole.
        assert store.listing("a.py", 8)["big"].fingerprint == "fp-big"
    with sqlite3.connect(folder / "catalog.sqlite") as db:
        db.execute("UPDATE listings SET pack = 77")
    with Store.open(folder, KEY) as store, pytest.raises(Damaged):
        store.listing("a.py", 8)


@clear_only
def test_a_store_of_format_1_is_read_and_goes_on(folder: Path) -> None:
    with Store.open(folder, KEY) as store:
        held = fill(store, 10)
    with sqlite3.connect(folder / "catalog.sqlite") as db:
        for name in ("listings", "thinned"):
            assert name in SCHEMA
            db.execute(f"DROP TABLE {name}")
        db.execute("DELETE FROM meta WHERE name IN ('format', 'hardened')")
        db.execute("PRAGMA user_version = 1")
    with Store.open(folder, KEY) as store:
        assert values(store, "a.py") == held[10]
        finish(store.thin("a.py", 2))
        finish(store.collect())
        assert values(store, "a.py") == held[10]


def test_files_of_packs_stay_while_a_reader_is_about_to_open_them(store: Store, folder: Path) -> None:
    fill(store, 20)
    finish(store.thin("a.py", 2))
    before = set(packs(folder))
    with store._core.pins.files():
        finish(store.collect())
        assert before <= set(packs(folder))
    finish(store.collect())
    assert not before <= set(packs(folder))


def test_room_in_the_catalog_is_given_back(store: Store, folder: Path) -> None:
    for number in range(2500):
        store.commit("a.py", change({"x": b"%d" % number}, code=f"x = {number} # {'long ' * 60}"))
    store.checkpoint()
    before = (folder / "catalog.sqlite").stat().st_size
    finish(store.thin("a.py", 10))
    finish(store.collect())
    store.checkpoint()
    assert (folder / "catalog.sqlite").stat().st_size < before // 3


@pytest.mark.parametrize("what", ["copy", "draft"])
def test_what_a_killed_compaction_left_is_cleared_away(folder: Path, what: str) -> None:
    left = folder.parent / "killed" / ".state"
    with Store.open(folder, KEY) as store:
        held = fill(store, 10)
        finish(store.thin("a.py", 2))
        before = len(packs(folder))
        for _ in store.collect():
            if (
                any(path.suffix == ".copy" for path in packs(folder)) == (what == "draft")
                and len(packs(folder)) > before
            ):
                shutil.copytree(folder, left)
                break
    remains = len(packs(left))
    with Store.open(left, KEY) as store:
        assert values(store, "a.py") == held[10]
        assert len(packs(left)) < remains
        finish(store.collect())
        assert values(store, "a.py") == held[10]
