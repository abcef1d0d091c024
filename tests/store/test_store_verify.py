"""Verifying and repairing: whatever does not agree is named with what would be done, and what is undamaged stays."""

from __future__ import annotations

import os
import shutil
import sqlite3
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from store_making import (
    ENCRYPTED,
    KEY,
    OTHER_KEY,
    Store,
    Value,
    change,
    cipher_of,
    clear_only,
    damage,
    packs,
    place_of,
    streams,
    values,
)
from store_repair import examine, examined, found, repair

from holdfast.store.packs import BULK, LOG, PACK_HEADER, pack_header, scan

BIG = {name: os.urandom(1_200_000) for name in "abc"}


def build(folder: Path) -> dict[int, dict[str, Value]]:
    """Make a store of two sessions; return what the versions of the first hold."""
    state: dict[str, Value] = {}
    history: dict[int, dict[str, Value]] = {}
    with Store.open(folder, KEY) as store:
        for number, (name, data) in enumerate([*BIG.items(), ("d", b"d"), ("e", b"e" * 900), ("f", b"f")], 1):
            state[name] = (b"s", (data,))
            store.commit("a.py", change({name: state[name]}, code=f"run {number}"))
            history[number] = dict(state)
        store.set_label("a.py", 2, "mine")
        store.commit("b.py", change({"x": b"b"}))
        for key in store.sessions():
            store.write_metadata(key)
    return history


def every(folder: Path) -> dict[int, dict[str, Value]]:
    """Return what all versions of the first session hold."""
    with Store.open(folder, KEY) as store:
        return {record.version: values(store, "a.py", record.version) for record in store.history("a.py")}


def found_in(store: Store) -> list[tuple[str, str]]:
    """Return what is wrong with a store that is open."""
    return [(finding.problem.kind, finding.problem.what) for finding in examined(store)]


def edit(folder: Path, statement: str) -> None:
    """Change the catalog behind the store's back."""
    db = sqlite3.connect(folder / "catalog.sqlite")
    with db:
        db.execute(statement)
    db.close()


def log_of(folder: Path) -> Path:
    """Return the pack with the versions."""
    return place_of(folder, b'"code":"run 1"')[0]


def test_nothing_is_found_where_nothing_is_wrong(folder: Path) -> None:
    history = build(folder)
    assert examine(folder) == []
    assert repair(folder) == []
    assert every(folder) == history


def test_a_store_that_is_written_to_between_all_steps_of_an_examination_is_whole(folder: Path) -> None:
    build(folder)
    with Store.open(folder, KEY) as store:
        number = 0
        for number, so_far in enumerate(store.examine(), 1):
            examiner = so_far
            if number % 3 == 0:
                store.commit("a.py", change({"n": b"%d" % number, "m": (b"", (os.urandom(3000),))}))
            if number % 20 == 0:
                store.move("b.py", "c.py")
                store.set_label("a.py", 3, str(number))
                store.move("c.py", "b.py")
        for key in store.sessions():
            store.write_metadata(key)
        assert {finding.problem.kind for finding in examiner.findings} <= {"metadata"}
        assert number > 30


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE versions SET meta = substr(meta, 2) WHERE id & 1",
        "UPDATE versions SET seal = zeroblob(32)",
        "UPDATE versions SET delta = NULL, digest = x'00', signer = 7",
        "UPDATE versions SET parent = 1 WHERE parent > 1",
        "UPDATE versions SET pack = 99, offset = 5",
        "UPDATE versions SET base = 0",
        "UPDATE versions SET label = x'ff' WHERE label IS NOT NULL",
        "DELETE FROM versions WHERE id & 2",
        "UPDATE chunks SET offset = offset + 1",
        "UPDATE chunks SET pack = 'x'",
        "DELETE FROM chunks",
        "UPDATE sessions SET key = x'7a' WHERE id = 1",
        "UPDATE sessions SET key = x'ff' WHERE id = 1",
        "UPDATE sessions SET head = 1",
        "UPDATE sessions SET head = 77, next = 2",
        "UPDATE sessions SET trashed = x'30', reason = x'30'",
        "UPDATE sessions SET seal = 'text'",
        "DELETE FROM sessions WHERE id = 1",
        "UPDATE packs SET used = used - 100",
    ],
)
def test_damage_to_the_catalog_is_named_and_repaired_from_the_packs(folder: Path, statement: str) -> None:
    history = build(folder)
    edit(folder, statement)
    shutil.copytree(folder, folder.parent / "copy")
    if "packs" not in statement:  # which opening the folder puts right by itself
        assert found(folder)
    assert repair(folder) == []
    assert every(folder) == history
    with Store.open(folder, KEY) as store:
        assert store.sessions() == ["a.py", "b.py"]
        assert values(store, "a.py") == history[6]
        assert store.version("a.py", 2).label == "mine"
        store.commit("a.py", change({"new": b"1"}))


@pytest.mark.parametrize("size", [0, 5000])
def test_a_catalog_that_cannot_be_opened_is_moved_away_and_made_anew(folder: Path, size: int) -> None:
    history = build(folder)
    (folder / "catalog.sqlite").write_bytes(b"?" * size + (folder / "catalog.sqlite").read_bytes()[size:])
    if size:
        assert found(folder) == [("catalog", "catalog.sqlite")]
    assert repair(folder) == []
    assert every(folder) == history
    assert [path.name for path in folder.glob("trash/*/catalog.sqlite")] == (["catalog.sqlite"] if size else [])


def test_what_only_the_old_catalog_has_is_taken_from_it(folder: Path) -> None:
    history = build(folder)
    damage(folder, b'"code":"run 5"', 9)
    damaged = folder / "catalog.sqlite"
    content = bytearray(damaged.read_bytes())
    page = content.find(b"CREATE UNIQUE INDEX live")
    content[page : page + 6] = b"BROKEN"
    damaged.write_bytes(content)
    assert found(folder) == [("catalog", "catalog.sqlite")]
    repair(folder)
    assert every(folder) == history


def test_a_header_that_is_damaged_is_written_anew(folder: Path) -> None:
    history = build(folder)
    for path in packs(folder):
        content = path.read_bytes()
        path.write_bytes(b"\0" * 40 + content[40:])
    assert sorted(found(folder)) == [("pack", path.name) for path in packs(folder)]
    assert repair(folder) == []
    assert every(folder) == history
    for path in packs(folder):
        path.write_bytes(b"\0" * PACK_HEADER.size + path.read_bytes()[PACK_HEADER.size :])
    (folder / "catalog.sqlite").write_bytes(b"?" * 5000)
    assert repair(folder) == []
    assert every(folder) == history


def test_a_version_whose_record_is_damaged_is_written_again_from_the_catalog(folder: Path) -> None:
    history = build(folder)
    damage(folder, b'"code":"run 3"', 9)
    assert ("copy", "version 3 of a.py") in found(folder)
    assert repair(folder) == []
    for path in folder.glob("catalog.sqlite*"):
        path.unlink()
    assert every(folder) == history
    with Store.open(folder, KEY) as store:
        assert values(store, "a.py") == history[6]
        assert store.version("a.py", 2).label == "mine"


def test_a_version_that_is_lost_goes_and_what_was_made_since_stays(folder: Path) -> None:
    history = build(folder)
    damage(folder, b'"code":"run 4"', 9)
    edit(folder, "UPDATE versions SET meta = x'00' WHERE id = (1 << 32) + 4")
    kinds = {what: kind for kind, what in found(folder)}
    assert kinds["version 4 of a.py"] == "version"
    assert kinds["version 5 of a.py"] == "chain"
    assert kinds["the newest state of a.py"] == "head"
    assert repair(folder) == []
    with Store.open(folder, KEY) as store:
        # The newest that is whole comes back, and what was saved later can be had from its version.
        assert values(store, "a.py") == history[3]
        assert values(store, "a.py", 6) == {name: history[6][name] for name in "ef"}
        assert "incomplete" in str(store.version("a.py", 6).label)
        assert [record.version for record in store.history("a.py")] == [6, 5, 3, 2, 1]
        assert store.commit("a.py", change({"new": b"1"})).version == 7
    assert len(list(folder.glob("trash/*/version-4-of-*.json*"))) == 1
    assert found(folder) == ([] if ENCRYPTED else [("metadata", "metadata.json of a.py")])


def test_bytes_that_are_lost_are_named_and_stored_anew_when_they_are_saved_again(folder: Path) -> None:
    history = build(folder)
    damage(folder, BIG["b"][:50])
    named = found(folder)
    assert ("lost", "b of a.py, as saved by version 2") in named
    remaining = repair(folder)
    assert remaining == [("lost", "b of a.py, as saved by version 2")]
    with Store.open(folder, KEY) as store:
        listing = store.listing("a.py")
        assert bytes(store.read(listing["a"]).buffers[0]) == BIG["a"]
        # Saved again it takes the room of a chunk, and heals the versions that lacked it.
        store.commit("a.py", change({"b": (b"s", (BIG["b"],))}))
        store.write_metadata("a.py")
    assert found(folder) == []
    assert {number: held for number, held in every(folder).items() if number <= 6} == history


@pytest.mark.parametrize("which", [0, 1])
def test_a_pack_that_is_missing_is_named_with_what_it_held(folder: Path, which: int) -> None:
    history = build(folder)
    path = packs(folder)[which]
    is_log = path == log_of(folder)
    path.rename(folder.parent / "away")
    assert ("pack", path.name) in found(folder)
    remaining = repair(folder)
    if is_log:
        assert ("lost", "e of a.py, as saved by version 5") in remaining
    else:
        assert {what for kind, what in remaining} == {
            f"{name} of a.py, as saved by version {number}" for number, name in enumerate("abc", 1)
        }
    with Store.open(folder, KEY) as store:
        assert streams(store, "b.py") == {"x": b"b"}
        store.commit("a.py", change(dict(history[6]), full=True))
        assert values(store, "a.py") == history[6]


@clear_only
def test_files_that_are_none_of_the_stores_go_to_the_trash_and_metadata_is_written_anew(folder: Path) -> None:
    history = build(folder)
    (folder / "packs" / "000001.copy.bak").write_bytes(b"mine")
    shutil.copy(packs(folder)[0], folder / "packs" / "notes.pack")
    (folder / "sessions" / "a.py" / "metadata.json").write_text('{"document": "a.py"}')
    (folder / "sessions" / "b.py" / "metadata.json").unlink()
    assert sorted(found(folder)) == [
        ("metadata", "metadata.json of a.py"),
        ("metadata", "metadata.json of b.py"),
        ("orphan", "packs/000001.copy.bak"),
        ("orphan", "packs/notes.pack"),
    ]
    assert repair(folder) == []
    assert sorted(path.name for path in folder.glob("trash/*/*")) == ["000001.copy.bak", "notes.pack"]
    assert every(folder) == history


def test_what_repairs_took_out_stays_as_long_as_what_was_deleted(folder: Path, tmp_path: Path) -> None:
    build(folder)
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").write_text("mine")
    for name in ("old", "young"):
        (folder / "packs" / name).write_bytes(b"mine")
        assert repair(folder) == []
    trash = folder / "trash"
    repairs = {next(path.iterdir()).name: path for path in trash.iterdir()}
    long_ago = (datetime.now() - timedelta(days=31)).timestamp()
    old = repairs["old"].rename(trash / datetime.fromtimestamp(long_ago).strftime("%Y-%m-%dT%H-%M-%S-0a1b"))
    moved = repairs["young"].rename(old.with_name(f"{old.name[:-4]}ffff"))  # something was put there since
    others = [trash / "2020-01-01", trash / "2020-99-01T00-00-00-0123", trash / "2020-01-01T00-00-00-0123"]
    others[0].mkdir()
    others[1].mkdir()
    others[2].symlink_to(kept)
    for path in (old, *others):
        os.utime(path, (long_ago, long_ago), follow_symlinks=False)
    with Store.open(folder, KEY) as store:
        assert store.expire_trash(32) == 0
        assert old.exists()
        assert store.expire_trash(30) == 0
    assert sorted(trash.iterdir()) == sorted([moved, *others])
    assert (kept / "file").exists()


def test_packs_that_were_not_begun_when_their_writer_was_killed_go_when_the_state_is_opened(folder: Path) -> None:
    history = build(folder)
    with Store.open(folder, KEY) as store:
        store_id = store._core.packs.store_id
    kept = packs(folder)
    unbegun = [
        b"",
        pack_header(LOG, 11, store_id, encrypted=ENCRYPTED)[:20],
        pack_header(BULK, 12, store_id, encrypted=ENCRYPTED)[:-1],
        bytes(PACK_HEADER.size),
    ]
    others = [b"mine", pack_header(LOG, 15, b"somebody else's!")[:60], bytes(PACK_HEADER.size + 1)]
    files = [folder / "packs" / f"{number:06d}.pack" for number in range(10, 18)]
    for path, content in zip(files, [*unbegun, *others], strict=False):
        path.write_bytes(content)
    files[-1].symlink_to(folder / "nowhere")
    with Store.open(folder, KEY):
        assert packs(folder) == [*kept, *files[len(unbegun) :]]
    assert every(folder) == history


def test_an_upload_under_way_is_no_file_that_belongs_to_nobody(folder: Path) -> None:
    from holdfast.store.records import Change, ComponentContent, Patch

    large = os.urandom(600_000)
    with Store.open(folder, KEY) as store:
        store.commit("a.py", change({"x": b"1"}))
        upload = store.upload()
        upload.write(0, large[: 2 * 262_144])
        for number in range(3):
            store._core.log.leave(0)
            store.commit("a.py", change({"x": b"%d" % number * 500}))
        store.write_metadata("a.py")
        assert found_in(store) == []
        upload.write(2 * 262_144, large[2 * 262_144 :])
        patch = Patch(len(large), upload=upload)
        store.commit("a.py", Change(changed=[ComponentContent("l", ("l",), "fp", b"s", [patch])]))
        store.write_metadata("a.py")
        assert found_in(store) == []
        assert bytes(store.read(store.listing("a.py")["l"]).buffers[0]) == large


def test_what_somebody_else_signed_is_named_and_left_as_it_is(folder: Path) -> None:
    build(folder)
    before = {path: path.read_bytes() for path in packs(folder)}
    named = found(folder, OTHER_KEY)
    assert {kind for kind, _ in named} == {"untrusted"}
    assert ("untrusted", "version 1 of a.py") in named
    assert repair(folder, OTHER_KEY) == found(folder, OTHER_KEY)
    assert {path: path.read_bytes() for path in packs(folder)} == before


@pytest.mark.parametrize("which", ["record", "event"])
def test_after_a_repair_a_lost_catalog_comes_back_whole(folder: Path, which: str) -> None:
    history = build(folder)
    with Store.open(folder, KEY) as store:
        store.set_head("a.py", 4)
        store.move("b.py", "c.py")
        for key in store.sessions():
            store.write_metadata(key)
    damage(folder, b'"key":"c.py"' if which == "event" else b'"code":"run 5"', 3)
    assert found(folder)
    assert repair(folder) == []
    for path in folder.glob("catalog.sqlite*"):
        path.unlink()
    assert found(folder) == []
    with Store.open(folder, KEY) as store:
        assert store.sessions() == ["a.py", "c.py"]
        assert values(store, "a.py") == history[4]
        assert store.tip("a.py") == 6
    assert every(folder) == history


def test_a_repair_that_is_killed_between_any_two_of_its_steps_can_be_done_again(folder: Path) -> None:
    history = build(folder)
    damage(folder, b'"code":"run 3"', 9)
    edit(folder, "UPDATE versions SET seal = x'00' WHERE id & 4")
    edit(folder, "DELETE FROM chunks")
    steps = len(examine(folder))
    assert steps > 3
    original = folder.parent / "original"
    shutil.copytree(folder, original)
    for last in range(steps):
        shutil.rmtree(folder)
        shutil.copytree(original, folder)
        store = Store.open(folder, KEY)
        *_, examiner = store.examine()
        for _ in store.mend(examiner.findings[:last]):
            pass
        store.close()
        assert repair(folder) == []
        assert every(folder) == history


def test_a_log_that_was_cut_between_two_records_is_not_believed_about_what_it_does_not_tell_any_more(
    folder: Path,
) -> None:
    history = build(folder)
    with Store.open(folder, KEY) as store:
        store.move("b.py", "c.py")
        for key in store.sessions():
            store.write_metadata(key)
    log, cipher = log_of(folder), cipher_of(folder)
    with log.open("rb") as file:
        *_, last = scan(file.fileno(), PACK_HEADER.size, log.stat().st_size, cipher)
    os.truncate(log, last.offset)
    assert ("log", log.name) in found(folder)
    assert repair(folder) == []
    for path in [None, *folder.glob("catalog.sqlite*")]:
        if path is not None:
            path.unlink()
        with Store.open(folder, KEY) as store:
            assert store.sessions() == ["a.py", "c.py"]
    assert every(folder) == history


def test_a_catalog_whose_tables_are_described_by_no_text_is_made_anew(folder: Path) -> None:
    history = build(folder)
    damaged = folder / "catalog.sqlite"
    content = bytearray(damaged.read_bytes())
    at = content.find(b"CREATE TABLE chunks") + 7
    content[at : at + 12] = b"\xff\xfe\xfd [\xf3\xf76W\xe7\xa6V"
    damaged.write_bytes(content)
    assert found(folder) == [("catalog", "catalog.sqlite")]
    repair(folder)
    assert every(folder) == history


def test_a_catalog_that_is_made_anew_has_the_newest_version_that_can_be_read(folder: Path) -> None:
    history = build(folder)
    damage(folder, b'"code":"run 5"', 9)
    for path in folder.glob("catalog.sqlite*"):
        path.unlink()
    for _ in range(2):
        with Store.open(folder, KEY) as store:
            assert values(store, "a.py") == history[4]
            assert [record.version for record in store.history("a.py")] == [6, 4, 3, 2, 1]
            assert streams(store, "b.py") == {"x": b"b"}
    with Store.open(folder, KEY) as store:
        assert store.commit("a.py", change({"new": b"1"})).version == 7
        assert values(store, "a.py") == history[4] | {"new": (b"1", ())}
