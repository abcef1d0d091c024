"""The user's key, and state that was not signed with it."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import threading
from pathlib import Path

import pytest
from store_making import KEY, OTHER_KEY, Store, change, clear_only, streams

from holdfast.store.errors import Damaged, SaveFailed, StoreUnavailable, Untrusted
from holdfast.store.seal import Seal, load_key


def sql(folder: Path, statement: str, *parameters: object) -> None:
    """Change a closed catalog behind the store's back."""
    db = sqlite3.connect(folder / "catalog.sqlite")
    with db:
        db.execute(statement, parameters)
    db.close()


def test_the_key_is_made_once_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    first = load_key(tmp_path / "config")
    assert load_key(tmp_path / "config") == first
    assert len(first) == 32
    path = tmp_path / "config" / "key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in path.parent.iterdir()] == ["key"]


def test_a_key_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    load_key(tmp_path)
    (tmp_path / "key").chmod(0o644)
    load_key(tmp_path)
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600


@pytest.mark.skipif(os.name != "posix", reason="file modes")
def test_a_folder_in_which_others_could_exchange_the_key_is_closed_to_them(tmp_path: Path) -> None:
    load_key(tmp_path / "c")
    (tmp_path / "c").chmod(0o777)
    load_key(tmp_path / "c")
    assert stat.S_IMODE((tmp_path / "c").stat().st_mode) == 0o755


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only the administrator can give files away")
@pytest.mark.parametrize("part", ["key", "."])
def test_a_key_of_another_user_is_not_used(tmp_path: Path, part: str) -> None:
    load_key(tmp_path / "c")
    os.chown(tmp_path / "c" / part, 65534, 65534)
    with pytest.raises(StoreUnavailable, match="belongs to another user"):
        load_key(tmp_path / "c")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes in folders here")
def test_a_pipe_in_the_place_of_the_key_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "key")
    with pytest.raises(StoreUnavailable, match="does not hold a Holdfast key"):
        load_key(tmp_path)


def test_many_first_starts_at_once_agree_on_one_key(tmp_path: Path) -> None:
    keys: list[bytes] = []
    threads = [threading.Thread(target=lambda: keys.append(load_key(tmp_path / "c"))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 16
    assert len(set(keys)) == 1


def test_something_else_in_the_keys_place_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"short")
    with pytest.raises(StoreUnavailable) as caught:
        load_key(tmp_path)
    assert caught.value.kind == "key"
    assert (tmp_path / "key").read_bytes() == b"short"


def test_the_environment_says_where_the_key_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_CONFIG_DIR", str(tmp_path / "x"))
    load_key()
    assert (tmp_path / "x" / "key").exists()


def test_a_seal_is_for_one_purpose_and_one_list_of_parts() -> None:
    seal = Seal(KEY)
    signed = seal.sign(b"version", b"ab", b"c")
    assert seal.verify(signed, b"version", b"ab", b"c")
    assert not seal.verify(signed, b"version", b"a", b"bc")
    assert not seal.verify(signed, b"position", b"ab", b"c")
    assert not Seal(OTHER_KEY).verify(signed, b"version", b"ab", b"c")


def test_state_signed_with_another_key_is_shown_but_not_listed(folder: Path) -> None:
    with Store.open(folder, OTHER_KEY) as store:
        store.commit("a.py", change({"x": b"1"}, code="x = 1"))
    with Store.open(folder, KEY) as store:
        head = store.head("a.py")
        assert head is not None
        assert head.code == "x = 1"
        for version in (None, 1):
            with pytest.raises(Untrusted) as caught:
                store.listing("a.py", version)
            assert caught.value.kind == "unknown_signer"
        assert [p.kind for p in store.check("a.py")] == ["untrusted"]


def test_nothing_is_saved_on_top_of_a_strangers_state_but_a_full_save_is_ones_own(folder: Path) -> None:
    with Store.open(folder, OTHER_KEY) as store:
        store.commit("a.py", change({"evil": b"1"}))
    with Store.open(folder, KEY) as store:
        with pytest.raises(SaveFailed) as caught:
            store.commit("a.py", change({"x": b"1"}))
        assert caught.value.kind == "untrusted"
        assert store.commit("a.py", change({"x": b"1"}, full=True)).version == 2
        assert streams(store, "a.py") == {"x": b"1"}
        store.commit("a.py", change({"y": b"2"}))
        assert streams(store, "a.py") == {"x": b"1", "y": b"2"}
        with pytest.raises(Untrusted):
            store.listing("a.py", 1)


@clear_only
def test_a_changed_delta_with_fitting_digests_is_refused(folder: Path) -> None:
    """Somebody rewrote a version in catalog and log, digests and all, but has no key."""
    from blake3 import blake3

    with Store.open(folder, KEY) as store:
        store.commit("a.py", change({"x": b"good"}))
    db = sqlite3.connect(folder / "catalog.sqlite")
    meta, delta = db.execute("SELECT meta, delta FROM versions").fetchone()
    delta = delta.replace(b'"x"', b'"y"')
    document = json.loads(meta)
    document["delta"] = blake3(delta).hexdigest()
    meta = json.dumps(document).encode()
    with db:
        db.execute("UPDATE versions SET meta = ?, delta = ?, digest = ?", (meta, delta, blake3(meta).digest()))
    db.close()
    for path in (folder / "packs").iterdir():
        path.write_bytes(path.read_bytes()[:64])
    with Store.open(folder, KEY) as store, pytest.raises(Untrusted) as caught:
        store.listing("a.py", 1)
    assert caught.value.kind == "wrong_seal"


def test_a_version_moved_in_from_another_session_is_refused(folder: Path) -> None:
    with Store.open(folder, KEY) as store:
        store.commit("a.py", change({"x": b"a"}))
        store.commit("b.py", change({"x": b"b"}))
    sql(
        folder,
        "UPDATE versions SET (meta, delta, digest, seal, pack, offset) ="
        " (SELECT meta, delta, digest, seal, pack, offset FROM versions WHERE id >> 32 = 2) WHERE id >> 32 = 1",
    )
    with Store.open(folder, KEY) as store:
        with pytest.raises(Damaged):
            store.listing("a.py", 1)
        assert streams(store, "b.py") == {"x": b"b"}


@pytest.mark.parametrize("statement", ["UPDATE sessions SET head = 1, tip = 1", "UPDATE sessions SET next = 9"])
def test_a_head_moved_by_others_is_noticed_and_every_version_stays_within_reach(folder: Path, statement: str) -> None:
    with Store.open(folder, KEY) as store:
        for value in (b"1", b"2", b"3"):
            store.commit("a.py", change({"x": value}))
    sql(folder, statement)
    with Store.open(folder, KEY) as store:
        with pytest.raises(Untrusted):
            store.listing("a.py")
        assert streams(store, "a.py", 3) == {"x": b"3"}
        store.set_head("a.py", 3)
        assert streams(store, "a.py") == {"x": b"3"}


def test_an_earlier_head_put_back_whole_is_noticed(folder: Path) -> None:
    with Store.open(folder, KEY) as store:
        store.commit("a.py", change({"x": b"1"}))
    db = sqlite3.connect(folder / "catalog.sqlite")
    old = db.execute("SELECT head, tip, next, seal FROM sessions").fetchone()
    db.close()
    with Store.open(folder, KEY) as store:
        store.commit("a.py", change({"x": b"2"}))
    sql(folder, "UPDATE sessions SET head = ?, tip = ?, next = ?, seal = ?", *old)
    with Store.open(folder, KEY) as store, pytest.raises(Untrusted) as caught:
        store.listing("a.py")
    assert caught.value.kind == "rolled_back"


@pytest.mark.skipif(os.name != "posix", reason="file modes")
def test_everything_in_the_folder_is_for_its_owner_only(folder: Path) -> None:
    before = os.umask(0)
    try:
        with Store.open(folder, KEY) as store:
            store.commit("a.py", change({"x": b"1"}))
            store.write_metadata("a.py")
            for path in [folder, *folder.rglob("*")]:
                if path.name != ".gitignore":
                    assert path.stat().st_mode & 0o077 == 0, path
    finally:
        os.umask(before)
