"""The key of an encrypted store: it is never lost to another, and nothing is written with a wrong one."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
import threading
from pathlib import Path

import pytest
from store_making import KEY, OTHER_KEY, Store, change, damage, secret, values
from store_repair import repair

from holdfast.store import converting
from holdfast.store.cipher import Encrypting
from holdfast.store.errors import SaveFailed, StoreUnavailable
from holdfast.store.keyslots import KEYRING, PASSPHRASE, Encryption, read_envelope
from holdfast.store.packs import sync_folder
from holdfast.store.rebuilding import make_way


def encrypted(folder: Path, encryption: Encryption | None = None) -> Store:
    """Open a store that is encrypted, and encrypt it before if it is not."""
    return Store.open(folder, KEY, encryption=encryption or secret(PASSPHRASE))


def inside(folder: Path, encryption: Encryption | None = None) -> Store:
    """Open the store inside of a state folder."""
    return Store.open(folder / "files", KEY, within=folder, encryption=encryption or secret("none"))


@pytest.fixture
def envelope(folder: Path) -> bytes:
    """Make an encrypted store with a variable; return what holds its key."""
    with encrypted(folder) as store:
        store.commit("a.py", change({"x": b"1"}))
    return (folder / "encryption.json").read_bytes()


def test_the_key_file_of_another_state_is_put_aside_and_the_right_one_comes_back(folder: Path, envelope: bytes) -> None:
    encrypted(folder.parent / "other").close()
    other = (folder.parent / "other" / "encryption.json").read_bytes()
    (folder / "encryption.json").write_bytes(other)
    with encrypted(folder) as store:
        assert values(store, "a.py") == {"x": (b"1", ())}
    assert (folder / "encryption.json").read_bytes() == envelope
    assert [path.read_bytes() for path in folder.glob("encryption.json.*")] == [other]


def test_a_catalog_is_not_made_anew_with_the_key_of_another_state(folder: Path, envelope: bytes) -> None:
    encrypted(folder.parent / "other").close()
    (folder / "encryption.json").write_bytes((folder.parent / "other" / "encryption.json").read_bytes())
    for path in folder.glob("catalog.sqlite*"):
        path.unlink()
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="holds the key of another state") as caught:
            encrypted(folder)
        assert caught.value.kind == "locked"
    (folder / "encryption.json").write_bytes(envelope)
    with encrypted(folder) as store:
        assert values(store, "a.py") == {"x": (b"1", ())}


def test_no_new_key_is_made_where_another_store_needs_the_lost_one(folder: Path, envelope: bytes) -> None:
    (folder / "encryption.json").unlink()
    with pytest.raises(StoreUnavailable, match="put the file back"):
        inside(folder, secret(PASSPHRASE))
    assert not (folder / "encryption.json").exists()
    with encrypted(folder) as store:
        assert values(store, "a.py") == {"x": (b"1", ())}
    assert (folder / "encryption.json").read_bytes() == envelope

    other = folder.parent / "other"
    Store.open(other, KEY, encryption=secret("none")).close()
    with inside(other, secret(PASSPHRASE)) as files:
        files.commit("files", change({"f": b"1"}))
    shutil.move(other / "encryption.json", folder.parent / "away")
    with pytest.raises(StoreUnavailable, match="put the file back"):
        encrypted(other)
    shutil.move(folder.parent / "away", other / "encryption.json")
    with inside(other) as files:
        assert values(files, "files") == {"f": (b"1", ())}


def test_a_key_that_something_inside_needs_is_not_removed(folder: Path, envelope: bytes) -> None:
    with inside(folder) as files:
        files.commit("files", change({"f": b"1"}))
    with pytest.raises(StoreUnavailable, match="which would be lost"):
        Store.decrypt(folder, KEY, encryption=secret())
    with inside(folder) as files:
        assert values(files, "files") == {"f": (b"1", ())}
    Store.decrypt(folder / "files", KEY, within=folder, encryption=secret()).close()
    with Store.decrypt(folder, KEY, encryption=secret()) as store:
        assert values(store, "a.py") == {"x": (b"1", ())}
    assert not (folder / "encryption.json").exists()


def test_a_store_that_could_not_be_encrypted_asks_for_no_passphrase(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store.open(folder, KEY, encryption=secret("none")) as store:
        store.commit("a.py", change({"x": b"1"}))
    monkeypatch.setattr(converting, "_SPARE", 1 << 60)  # no disk has that much room
    with encrypted(folder, Encryption(PASSPHRASE, new_passphrase="forgotten", cost=2)) as store:
        assert "Free some space" in str(store.in_clear)
    with Store.open(folder, KEY, encryption=Encryption()) as store:
        assert values(store, "a.py") == {"x": (b"1", ())}


def test_a_folder_that_is_removed_while_it_is_known_is_made_anew_with_its_key(folder: Path, envelope: bytes) -> None:
    known = Encryption(passphrase="a passphrase")
    encrypted(folder, known).close()
    shutil.rmtree(folder)
    with encrypted(folder, known) as store:
        assert store.is_encrypted
    assert (folder / "encryption.json").read_bytes() == envelope
    Store.decrypt(folder, KEY, encryption=known).close()
    shutil.rmtree(folder)
    with encrypted(folder, known) as store:
        assert not store.is_encrypted


def test_a_passphrase_that_could_not_be_changed_is_still_the_right_one(
    folder: Path, envelope: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with encrypted(folder) as store:

        def synced_in_vain(place: Path) -> None:
            sync_folder(place)
            monkeypatch.undo()
            raise OSError(5, "the disk is gone")

        monkeypatch.setattr("holdfast.store.keyslots.sync_folder", synced_in_vain)
        with pytest.raises(SaveFailed):
            store.change_key(Encryption(PASSPHRASE, new_passphrase="another", cost=2))
    assert (folder / "encryption.json").read_bytes() == envelope
    with encrypted(folder) as store:
        assert values(store, "a.py") == {"x": (b"1", ())}


def test_what_a_repair_takes_out_of_an_encrypted_store_is_encrypted(folder: Path, envelope: bytes) -> None:
    with encrypted(folder) as store:
        store.commit("hidden.py", change({"hiddenname": b"1"}))
    db = sqlite3.connect(folder / "catalog.sqlite")
    with db:
        ((pack, offset),) = db.execute("SELECT pack, offset FROM versions WHERE id = (SELECT max(id) FROM versions)")
        db.execute("UPDATE versions SET delta = x'00' WHERE id = (SELECT max(id) FROM versions)")
    db.close()
    path = folder / "packs" / f"{pack:06d}.pack"
    content = bytearray(path.read_bytes())
    content[offset + 80] ^= 1
    path.write_bytes(content)
    repair(folder)
    (kept,) = (folder / "trash").glob("*/version-*")
    assert b"hidden" not in kept.read_bytes()
    cipher = Encrypting(secret().unlock(read_envelope(folder) or b"", folder))
    assert b'"document": "hidden.py"' in (cipher.show("trash", kept.read_bytes()) or b"")


def test_of_two_who_make_the_keyrings_key_at_once_both_use_the_same(folder: Path) -> None:
    keyring = pytest.importorskip("keyring")
    both = threading.Barrier(2)
    kept: dict[tuple[str, str], str] = {}

    class Slow(keyring.backend.KeyringBackend):  # type: ignore[misc, name-defined]
        """Answers that there is no key when both have asked."""

        priority = 1

        def get_password(self, service: str, user: str) -> str | None:
            """Return what is kept."""
            found = kept.get((service, user))
            if found is None:
                with contextlib.suppress(threading.BrokenBarrierError):
                    both.wait(1)
            return found

        def set_password(self, service: str, user: str, password: str) -> None:
            """Keep something."""
            kept[service, user] = password

    before = keyring.get_keyring()
    keyring.set_keyring(Slow())
    try:
        made: list[tuple[bytes, bytes]] = []
        threads = [
            threading.Thread(target=lambda name=name: made.append(Encryption(KEYRING).make(folder / name)))  # type: ignore[misc]
            for name in ("one", "other")
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(made) == 2
        for envelope, data_key in made:
            assert Encryption().unlock(envelope, folder) == data_key
    finally:
        keyring.set_keyring(before)


def test_nothing_is_saved_in_clear_where_somebody_says_that_it_is_not_encrypted(folder: Path, envelope: bytes) -> None:
    other = folder.parent / "other"
    with Store.open(other, OTHER_KEY, encryption=secret("none")) as store:
        store.commit("a.py", change({"x": b"made to be damaged"}))
    damage(other, b"made to be damaged")
    for exchanged in (False, True):
        if exchanged:
            shutil.rmtree(folder / "packs")
            shutil.copytree(other / "packs", folder / "packs")
            shutil.copy(other / "catalog.sqlite", folder)
        else:
            db = sqlite3.connect(folder / "catalog.sqlite")
            with db:
                db.execute("PRAGMA user_version = 2")
                db.execute("UPDATE meta SET value = ? WHERE name = 'format'", (b"2",))
            db.close()
        with pytest.raises(StoreUnavailable) as caught:
            encrypted(folder)
        assert caught.value.kind == ("unwritable" if exchanged else "damaged")
        if not exchanged:
            repaired = folder.parent / "repaired"
            shutil.copytree(folder, repaired)
            make_way(repaired)
            with encrypted(repaired) as store:
                assert values(store, "a.py") == {"x": (b"1", ())}
    with Store.decrypt(folder, KEY, encryption=secret()) as store:  # as the message says
        assert not store.is_encrypted


def test_a_key_file_with_many_costly_slots_is_refused(folder: Path, envelope: bytes) -> None:
    document = json.loads(envelope)
    document["slots"] = [{**document["slots"][0], "n": 1 << 19}] * 3
    with pytest.raises(StoreUnavailable) as caught:
        Encryption(offered="a passphrase").unlock(json.dumps(document).encode(), folder)
    assert caught.value.kind == "damaged"
