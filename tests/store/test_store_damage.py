"""Damage: every flipped bit is harmless or named, and what is undamaged is still there."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
from pathlib import Path

import pytest
from store_making import KEY, Store, Value, change, damage, packs, streams, values

from holdfast.store.errors import Damaged, StoreError
from holdfast.store.packs import PACK_HEADER


def build(folder: Path) -> dict[int, dict[str, Value]]:
    """Make a store with small and large variables over some versions; return what each version holds."""
    rng = random.Random(4)
    state: dict[str, Value] = {}
    history: dict[int, dict[str, Value]] = {}
    with Store.open(folder, KEY) as store:
        for number in range(1, 13):
            name = f"v{number % 4}"
            state[name] = (rng.randbytes(300), (rng.randbytes(70_000), b"z" * 5000)) if number % 3 else (b"tiny", ())
            store.commit("a.py", change({name: state[name]}))
            history[number] = dict(state)
    return history


def survey(folder: Path, history: dict[int, dict[str, Value]]) -> tuple[int, int]:
    """Read all that can be read; fail on a wrong value or any error that is not the store's. Return good and named."""
    good = named = 0
    try:
        store = Store.open(folder, KEY)
    except StoreError:
        return 0, 1
    with store, contextlib.suppress(StoreError):
        store.history("a.py")
        store.check("a.py")
        for number, expected in history.items():
            try:
                listing = store.listing("a.py", number)
            except StoreError:
                named += 1
                continue
            assert set(listing) == set(expected)
            for name, entry in listing.items():
                try:
                    content = store.read(entry)
                except Damaged as error:
                    assert name in error.what
                    named += 1
                else:
                    assert (content.stream, tuple(content.buffers)) == expected[name]
                    good += 1
    return good, named


def test_flipped_zeroed_and_cut_bytes_never_give_a_wrong_value(tmp_path: Path) -> None:
    history = build(tmp_path / "original")
    whole = survey(tmp_path / "original", history)
    assert whole == (sum(map(len, history.values())), 0)
    rng = random.Random(7)
    for trial in range(150):
        folder = tmp_path / "copy"
        shutil.copytree(tmp_path / "original", folder)
        victim = rng.choice([folder / "catalog.sqlite", *packs(folder)])
        data = bytearray(victim.read_bytes())
        at = rng.randrange(len(data))
        if trial % 4 == 0:
            data[at] ^= 1 << rng.randrange(8)
        elif trial % 4 == 1:
            data[at : at + 512] = bytes(len(data[at : at + 512]))
        elif trial % 4 == 2:
            del data[at:]
        else:
            other = rng.randrange(len(data))
            data[at], data[other] = data[other], data[at]
        victim.write_bytes(data)
        survey(folder, history)
        shutil.rmtree(folder)


def test_damage_to_one_variable_leaves_the_others(folder: Path) -> None:
    given = {name: (b"s", (os.urandom(100_000),)) for name in "abc"}
    with Store.open(folder, KEY) as store:
        store.commit("a.py", change(given))  # type: ignore[arg-type]
    damage(folder, given["b"][1][0], 5000)
    with Store.open(folder, KEY) as store:
        listing = store.listing("a.py")
        for name in "ac":
            assert store.read(listing[name]).buffers[0] == given[name][1][0]
        with pytest.raises(Damaged, match="b are damaged") as caught:
            store.read(listing["b"])
        assert caught.value.what == "b"


def test_saving_a_damaged_variable_again_heals_it(folder: Path) -> None:
    data = os.urandom(100_000)
    with Store.open(folder, KEY) as store:
        store.commit("a.py", change({"x": (b"s", (data,))}))
    damage(folder, data, 50_000, 10)
    with Store.open(folder, KEY) as store:
        with pytest.raises(Damaged):
            store.read(store.listing("a.py")["x"])
        store.commit("a.py", change({"x": (b"s", (data,))}))
        assert values(store, "a.py", 1) == values(store, "a.py", 2) == {"x": (b"s", (data,))}


def test_a_lost_pack_is_named_and_what_it_held_is_stored_anew(folder: Path) -> None:
    data = os.urandom(100_000)
    with Store.open(folder, KEY) as store:
        store.commit("a.py", change({"x": (b"s", (data,)), "y": b"small"}))
    (bulk,) = [path for path in packs(folder) if path.stat().st_size > 90_000]
    bulk.unlink()
    with Store.open(folder, KEY) as store:
        assert {p.what for p in store.check("a.py")} == {bulk.name, "x"}
        assert store.read(store.listing("a.py")["y"]).stream == b"small"
        store.commit("a.py", change({"x": (b"s", (data,))}))
        assert values(store, "a.py") == {"x": (b"s", (data,)), "y": (b"small", ())}


def test_a_damaged_version_in_the_catalog_is_read_from_the_log(folder: Path) -> None:
    import sqlite3

    with Store.open(folder, KEY) as store:
        store.commit("a.py", change({"x": b"1"}, code="one"))
        store.commit("a.py", change({"y": b"2"}, code="two"))
    db = sqlite3.connect(folder / "catalog.sqlite")
    with db:
        db.execute("UPDATE versions SET meta = substr(meta, 2), seal = x'00', delta = x'' WHERE id & 3 = 1")
    db.close()
    with Store.open(folder, KEY) as store:
        assert streams(store, "a.py") == {"x": b"1", "y": b"2"}
        assert [r.code for r in store.history("a.py")] == ["two", "one"]


def test_garbage_behind_the_last_version_is_cut_off(folder: Path) -> None:
    with Store.open(folder, KEY) as store:
        store.commit("a.py", change({"x": b"1", "big": (b"", (os.urandom(100_000),))}))
    lengths = {path: path.stat().st_size for path in packs(folder)}
    for path in lengths:
        with path.open("ab") as file:
            file.write(os.urandom(5000))
    with Store.open(folder, KEY) as store:
        assert {path: path.stat().st_size for path in packs(folder)} == lengths
        store.commit("a.py", change({"y": b"2"}))
        assert streams(store, "a.py").keys() == {"x", "y", "big"}


@pytest.mark.parametrize("what", ["catalog alone", "catalog and its log"])
def test_a_lost_catalog_is_rebuilt_from_the_packs(folder: Path, what: str) -> None:
    history = build(folder)
    with Store.open(folder, KEY) as store:
        store.set_label("a.py", 3, "here")
        store.commit("b.py", change({"x": b"b"}))
        store.commit("gone.py", change({"x": b"g"}))
        store.forget("gone.py")
        store.commit("old.py", change({"x": b"o"}))
        store.trash("old.py", "deleted")
        store.move("b.py", "c.py")
        store.set_head("a.py", 5)
        before = [store.version("a.py", n) for n in history]
        sizes = store.size("a.py"), store.size("c.py")
    (folder / "catalog.sqlite").unlink()
    if what != "catalog alone":
        for path in folder.glob("catalog.sqlite-*"):
            path.unlink()
    with Store.open(folder, KEY) as store:
        assert store.sessions() == ["a.py", "c.py"]
        assert [t.key for t in store.trashed()] == ["old.py"]
        assert values(store, "a.py") == history[5]
        assert store.tip("a.py") == 12
        assert {n: values(store, "a.py", n) for n in history} == history
        assert [store.version("a.py", n).digest for n in history] == [record.digest for record in before]
        assert store.version("a.py", 3).label == "here"
        assert store.check("a.py") == []
        assert sizes[1] == store.size("c.py")
        assert store.commit("a.py", change({"new": b"1"})).version == 13
    with Store.open(folder, KEY) as store:
        assert values(store, "a.py") == {**history[5], "new": (b"1", ())}


def test_a_rebuild_goes_on_behind_a_damaged_record(folder: Path) -> None:
    with Store.open(folder, KEY) as store:
        for number in range(20):
            store.commit(f"{number}.py", change({"x": b"%d" % number}))
    (log,) = packs(folder)
    data = bytearray(log.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 3] = b"???"
    log.write_bytes(data)
    (folder / "catalog.sqlite").unlink()
    with Store.open(folder, KEY) as store:
        found = [key for key in store.sessions() if streams(store, key) == {"x": key.removesuffix(".py").encode()}]
        assert len(found) >= 18


def test_versions_which_a_power_cut_took_from_the_catalog_come_back_from_the_packs(
    folder: Path, tmp_path: Path
) -> None:
    with Store.open(folder, KEY) as store:
        store.commit("a.py", change({"x": b"1"}))
        store.checkpoint()
        shutil.copytree(folder, tmp_path / "cut")
        for number in range(2, 6):
            store.commit("a.py", change({"x": b"%d" % number, "big": (b"", (b"%d" % number * 100_000,))}))
    shutil.rmtree(tmp_path / "cut" / "packs")
    shutil.copytree(folder / "packs", tmp_path / "cut" / "packs")
    with Store.open(tmp_path / "cut", KEY) as store:
        assert values(store, "a.py") == {"x": (b"5", ()), "big": (b"", (b"5" * 100_000,))}
        assert len(store.history("a.py")) == 5
        assert store.commit("a.py", change({"x": b"6"})).version == 6


def test_what_a_power_cut_took_is_stored_anew_when_it_is_saved_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from holdfast.store import aftermath

    kept, lost, more = os.urandom(100_000), os.urandom(100_000), os.urandom(2_000_000)
    with Store.open(folder, KEY) as store:
        store.commit("a.py", change({"kept": (b"s", (kept,))}), synced=True)
        store.commit("a.py", change({"lost": (b"s", (lost,)), "more": (b"", (more,))}))
        shutil.copytree(folder, tmp_path / "cut")
    damage(tmp_path / "cut", lost, size=len(lost))  # the length was noted, and the bytes were not written
    monkeypatch.setattr(aftermath, "boot_id", lambda: b"the next")
    with Store.open(tmp_path / "cut", KEY) as store:
        assert [problem.what for problem in store.check("a.py")] == ["lost"]
        store.commit("b.py", change({"same": (b"s", (lost,)), "kept": (b"s", (kept,))}))
    with Store.open(tmp_path / "cut", KEY) as store:
        assert values(store, "b.py") == {"same": (b"s", (lost,)), "kept": (b"s", (kept,))}
        assert values(store, "a.py") == {"lost": (b"s", (lost,)), "kept": (b"s", (kept,)), "more": (b"", (more,))}


def test_a_version_in_the_packs_that_lacks_its_bytes_is_left_alone(folder: Path, tmp_path: Path) -> None:
    with Store.open(folder, KEY) as store:
        store.commit("a.py", change({"x": b"1"}))
        store.checkpoint()
        shutil.copytree(folder, tmp_path / "cut")
        store.commit("a.py", change({"big": (b"", (os.urandom(2_000_000),))}))
    log, _ = packs(folder)
    shutil.copy(log, tmp_path / "cut" / "packs" / log.name)
    length = log.stat().st_size
    with Store.open(tmp_path / "cut", KEY) as store:
        assert streams(store, "a.py") == {"x": b"1"}
        store.commit("a.py", change({"y": b"2"}))
    assert (tmp_path / "cut" / "packs" / log.name).read_bytes() == log.read_bytes()
    assert length == log.stat().st_size
    with Store.open(tmp_path / "cut", KEY) as store:
        assert streams(store, "a.py") == {"x": b"1", "y": b"2"}


def test_a_pack_of_another_store_is_not_believed(folder: Path, tmp_path: Path) -> None:
    for place, value in ((folder, b"mine" * 100), (tmp_path / "other", b"theirs" * 100)):
        with Store.open(place, KEY) as store:
            store.commit("a.py", change({"x": value}))
    shutil.copy(packs(tmp_path / "other")[0], packs(folder)[0])
    with Store.open(folder, KEY) as store, contextlib.suppress(StoreError):
        listing = store.listing("a.py")
        assert store.read(listing["x"]).stream == b"mine" * 100
    assert packs(folder)[0].stat().st_size > PACK_HEADER.size


@pytest.mark.parametrize(
    "statement", ["UPDATE packs SET used = 64", "UPDATE packs SET used = NULL", "DELETE FROM packs"]
)
def test_a_catalog_that_forgot_how_long_its_packs_are_costs_no_bytes(folder: Path, statement: str) -> None:
    import sqlite3

    history = build(folder)
    db = sqlite3.connect(folder / "catalog.sqlite")
    with db:
        db.execute(statement)
    db.close()
    with Store.open(folder, KEY) as store:
        store.commit("b.py", change({"x": b"1"}))
        assert {n: values(store, "a.py", n) for n in history} == history
    assert survey(folder, history)[1] == 0
