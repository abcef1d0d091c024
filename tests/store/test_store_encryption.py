"""Encrypted state: nothing of what is saved can be read without its key, and everything else is as it is without."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_kills import kill_after
from store_making import KEY, Store, change, cipher_of, packs, place_of, secret, values
from store_repair import examine, found, repair

from holdfast.store.cipher import OVERHEAD, Encrypting
from holdfast.store.errors import Damaged, StoreError, StoreUnavailable
from holdfast.store.keyslots import KEYRING, PASSPHRASE, Encryption
from holdfast.store.packs import CHUNK_RECORD, PACK_HEADER, scan

LARGE = random.Random(1).randbytes(700_000)
MARK = b"SECRETMARK"
"""Stands in all that may not be found in the folder."""


def encrypted(folder: Path, encryption: Encryption | None = None) -> Store:
    """Open a store that is encrypted, and encrypt it before if it is not."""
    return Store.open(folder, KEY, encryption=encryption or secret(PASSPHRASE))


def plain(folder: Path) -> Store:
    """Open a store as it is."""
    return Store.open(folder, KEY, encryption=secret("none"))


def fill(store: Store) -> None:
    """Save what has all kinds of things in it: branches, labels, gaps, listings, the trash."""
    name = MARK.decode()
    for number in range(1, 9):
        store.commit(
            f"dir/{name}.py",
            change({"x": (b"%d " % number + MARK * 20, ()), name: (MARK, (LARGE, MARK * 9000))}, code=f"{name} = 1"),
        )
    store.set_label(f"dir/{name}.py", 3, f"label {name}")
    for _ in store.thin(f"dir/{name}.py", 3):
        pass
    for _ in store.collect():
        pass
    store.set_head(f"dir/{name}.py", 7)
    store.commit(f"dir/{name}.py", change({"y": b"a branch"}))
    store.commit("b.py", change({"y": (b"same", (LARGE,))}))
    store.commit("gone.py", change({"z": MARK}))
    store.trash("gone.py", f"deleted {name}")


def everything(store: Store) -> dict[str, Any]:
    """Return all that can be told of a store."""
    told: dict[str, Any] = {"trash": [(t.key, t.trashed_at, t.reason, t.version) for t in store.trashed()]}
    for key in store.sessions():
        head = store.head(key)
        told[key] = {
            "head": head and head.version,
            "tip": store.tip(key),
            "history": store.history(key),
            "thinned": store.thinned(key),
            "listings": {record.version: store.listing(key, record.version) for record in store.history(key)},
            "values": {record.version: values(store, key, record.version) for record in store.history(key)},
            "ours": store.is_ours(key),
        }
    return told


def contents(folder: Path) -> dict[Path, bytes]:
    """Return the files of a folder, but for the lock."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "lock"}


@pytest.fixture
def clear(folder: Path) -> dict[str, Any]:
    """Make a store that is not encrypted; return all that can be told of it."""
    with plain(folder) as store:
        fill(store)
        store.write_metadata("b.py")
        return everything(store)


def test_nothing_that_was_saved_nor_what_it_is_called_can_be_found_in_the_folder(folder: Path) -> None:
    with encrypted(folder) as store:
        fill(store)
        for key in store.sessions():
            store.write_metadata(key)
        store.sync()
        digests = [entry.digest for key in store.sessions() for entry in store.listing(key).values()]
        digests += [bytes.fromhex(record.digest) for key in store.sessions() for record in store.history(key)]
        during = contents(folder)
    for files in (during, contents(folder)):
        assert any(path.name == "catalog.sqlite" for path in files)
        for path, data in files.items():
            for hidden in (MARK, LARGE[:100], LARGE[-100:], b"b.py", b"namesChanged", b"deleted", *digests):
                assert hidden not in data, path


def test_what_is_encrypted_comes_back_and_is_stored_once(folder: Path) -> None:
    with encrypted(folder) as store:
        fill(store)
        told = everything(store)
        before = sum(path.stat().st_size for path in packs(folder))
        store.commit("c.py", change({"again": (b"t", (LARGE,))}))
        store.commit("d.py", change({"and again": (b"u", (LARGE + b"x", MARK * 9000))}))
        assert sum(path.stat().st_size for path in packs(folder)) < before + 300_000
        store.forget("c.py")
        store.forget("d.py")
    with encrypted(folder) as store:
        assert everything(store) == told
        assert store.is_encrypted
    assert examine(folder) == []


def test_without_the_right_passphrase_nothing_is_read_or_changed(folder: Path) -> None:
    with encrypted(folder) as store:
        store.commit("a.py", change({"x": b"1"}))
    before = contents(folder)
    for wrong in (Encryption(), Encryption(PASSPHRASE), Encryption(PASSPHRASE, "wrong"), Encryption(KEYRING, "")):
        with pytest.raises(StoreUnavailable) as caught:
            encrypted(folder, wrong)
        assert caught.value.kind == "locked"
        assert str(folder) in caught.value.message
        assert contents(folder) == before
    right = Encryption(passphrase="a passphrase")
    with encrypted(folder, right) as store:
        assert values(store, "a.py") == {"x": (b"1", ())}
    assert right.passphrase is None  # it is kept no longer than it is needed
    with encrypted(folder, right) as store:
        assert store.is_encrypted


def test_a_passphrase_is_the_same_however_its_characters_are_put_together(folder: Path) -> None:
    with encrypted(folder, Encryption(PASSPHRASE, new_passphrase="passé", cost=2)) as store:
        store.commit("a.py", change({"x": b"1"}))
    with encrypted(folder, Encryption(passphrase="passe\u0301")) as store:
        assert values(store, "a.py") == {"x": (b"1", ())}


def test_a_passphrase_is_changed_without_writing_anything_else_anew(folder: Path) -> None:
    with encrypted(folder) as store:
        store.commit("a.py", change({"x": (b"1", (LARGE,))}))
        store.change_key(Encryption(PASSPHRASE, new_passphrase="another", cost=2))
        before = contents(folder / "packs")
    with pytest.raises(StoreUnavailable, match="passphrase is not the right one"):
        encrypted(folder)
    with encrypted(folder, Encryption(passphrase="another")) as store:
        assert values(store, "a.py") == {"x": (b"1", (LARGE,))}
    assert contents(folder / "packs") == before
    (folder / "encryption.json").unlink()  # nor does its copy know the old one
    with pytest.raises(StoreUnavailable, match="passphrase is not the right one"):
        encrypted(folder)


def test_a_real_passphrase_takes_128_megabytes_to_try(folder: Path) -> None:
    with encrypted(folder, Encryption(PASSPHRASE, new_passphrase="a passphrase")) as store:
        store.commit("a.py", change({"x": b"1"}))
    (slot,) = json.loads((folder / "encryption.json").read_bytes())["slots"]
    assert 128 * slot["n"] * slot["r"] == 128 << 20
    with encrypted(folder) as store:
        assert values(store, "a.py") == {"x": (b"1", ())}


@pytest.fixture
def keyring_folder(tmp_path: Path) -> Iterator[Path]:
    """Use a keyring that keeps its secrets in a file."""
    keyring = pytest.importorskip("keyring")
    backend = pytest.importorskip("keyrings.alt.file").PlaintextKeyring()
    backend.file_path = str(tmp_path / "keyring.cfg")
    before = keyring.get_keyring()
    keyring.set_keyring(backend)
    yield tmp_path
    keyring.set_keyring(before)


def test_the_key_of_the_systems_keyring_opens_it_without_a_question(folder: Path, keyring_folder: Path) -> None:
    with encrypted(folder, Encryption(KEYRING)) as store:
        fill(store)
        told = everything(store)
    with encrypted(folder, Encryption()) as store:
        assert everything(store) == told
    (keyring_folder / "keyring.cfg").rename(keyring_folder / "away.cfg")
    with pytest.raises(StoreUnavailable, match="has no key for it"):
        encrypted(folder, Encryption())
    encrypted(folder.parent / "other", Encryption(KEYRING)).close()  # which makes another key
    with pytest.raises(StoreUnavailable, match="comes from another user or machine"):
        encrypted(folder, Encryption())


def test_where_there_is_no_keyring_nothing_is_saved_and_it_says_why(folder: Path) -> None:
    keyring = pytest.importorskip("keyring")
    before = keyring.get_keyring()
    keyring.set_keyring(__import__("keyring.backends.fail").backends.fail.Keyring())
    try:
        with pytest.raises(StoreUnavailable, match="keyring of the system cannot be used") as caught:
            encrypted(folder, Encryption(KEYRING))
    finally:
        keyring.set_keyring(before)
    assert caught.value.kind == "locked"


# ---------------------------------------------------------------------------------------------- the key


def test_a_lost_key_file_comes_back_from_its_copy(folder: Path) -> None:
    with encrypted(folder) as store:
        fill(store)
        told = everything(store)
    envelope = (folder / "encryption.json").read_bytes()
    for damaged in (None, b"", b"{}", b"[1]", envelope[:-40]):
        (folder / "encryption.json").unlink()
        if damaged is not None:
            (folder / "encryption.json").write_bytes(damaged)
        with encrypted(folder) as store:
            assert everything(store) == told
        assert (folder / "encryption.json").read_bytes() == envelope


def test_a_lost_catalog_is_made_anew_with_the_key_and_not_without(folder: Path) -> None:
    with encrypted(folder) as store:
        fill(store)
        told = everything(store)
    for path in folder.glob("catalog.sqlite*"):
        path.unlink()
    shutil.copytree(folder, folder.parent / "without")
    with encrypted(folder) as store:
        assert everything(store) == told
    (folder.parent / "without" / "encryption.json").unlink()
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="put the file back from a backup"):
            encrypted(folder.parent / "without")
    shutil.copy(folder / "encryption.json", folder.parent / "without")
    with encrypted(folder.parent / "without") as store:
        assert everything(store) == told


def test_damage_is_named_and_repaired_as_without_encryption(folder: Path) -> None:
    with encrypted(folder) as store:
        fill(store)
        told = everything(store)
    for statement in (
        "UPDATE versions SET meta = substr(meta, 2)",
        "UPDATE versions SET delta = x'', label = x'00'",
        "UPDATE sessions SET key = x'00' WHERE id = 1",
        "UPDATE sessions SET trashed = x'00' WHERE trashed IS NOT NULL",
        "UPDATE listings SET meta = x'', delta = NULL",
        "UPDATE chunks SET digest = substr(digest, 2) || x'00'",
        "DELETE FROM chunks",
    ):
        db = sqlite3.connect(folder / "catalog.sqlite")
        with db:
            db.execute(statement)
        db.close()
        assert found(folder)
        assert repair(folder) == []
        with encrypted(folder) as store:
            assert everything(store) == told, statement


def test_what_is_encrypted_is_not_taken_for_anything_else(folder: Path) -> None:
    first, second = b"first " + LARGE[:5000], b"other " + LARGE[:5000]
    with encrypted(folder) as store:
        store.commit("a.py", change({"x": first, "y": second}))
    path, _ = place_of(folder, b"first")
    with path.open("rb") as file:
        chunks = [
            record
            for record in scan(file.fileno(), PACK_HEADER.size, path.stat().st_size, cipher_of(folder))
            if record.kind == CHUNK_RECORD and record.size == len(first)
        ]
    assert len(chunks) == 2
    content, (one, two) = bytearray(path.read_bytes()), chunks
    assert one.stored == len(first) + OVERHEAD
    content[one.payload : one.end], content[two.payload : two.end] = (
        content[two.payload : two.end],
        content[one.payload : one.end],
    )
    path.write_bytes(content)
    with encrypted(folder) as store:
        for entry in store.listing("a.py").values():
            with pytest.raises(Damaged):
                store.read(entry)


SLOTS = st.fixed_dictionaries(
    {},
    optional={
        "kind": st.sampled_from(["passphrase", "keyring", "?", 7]),
        "kdf": st.sampled_from(["scrypt", "argon2", None]),
        "salt": st.sampled_from(["", "00" * 16, "zz", 3]),
        "n": st.sampled_from([0, 1, 3, 2, 1 << 17, 1 << 21, 1 << 70, -2, True, "2", 2.0]),
        "r": st.sampled_from([8, 0, 1 << 20, "8"]),
        "p": st.sampled_from([1, 0, 1 << 20, None]),
        "nonce": st.sampled_from(["00" * 12, "00" * 11, None]),
        "key": st.sampled_from(["00" * 48, "00" * 47, [], "zz" * 48]),
    },
)
ENVELOPES = st.one_of(
    st.binary(max_size=40),
    st.builds(
        lambda document: json.dumps(document).encode(),
        st.one_of(
            st.fixed_dictionaries(
                {"format": st.sampled_from([1, 2, 0, "1"]), "slots": st.lists(SLOTS, max_size=3) | st.none()}
            ),
            st.recursive(st.none() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3)),
        ),
    ),
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(ENVELOPES)
def test_a_key_file_that_somebody_made_is_refused(envelope: bytes) -> None:
    with pytest.raises(StoreUnavailable) as caught:
        Encryption(passphrase="a passphrase").unlock(envelope, Path("/x/.state"))
    assert caught.value.kind in ("locked", "damaged", "newer")


# ---------------------------------------------------------------------------------------------- from one to the other


def test_a_store_that_is_encrypted_later_holds_what_it_held(folder: Path, clear: dict[str, Any]) -> None:
    with encrypted(folder) as store:
        assert store.is_encrypted
        assert everything(store) == clear
        store.commit("b.py", change({"new": b"1"}))
    for path, data in contents(folder).items():
        assert MARK not in data, path
        assert LARGE[:100] not in data, path
    assert not (folder / "sessions").exists()
    assert examine(folder) == []
    with plain(folder) as store:  # what is encrypted stays encrypted
        assert store.is_encrypted
        assert values(store, "b.py") == {"y": (b"same", (LARGE,)), "new": (b"1", ())}


def test_a_store_that_is_decrypted_holds_what_it_held(folder: Path, clear: dict[str, Any]) -> None:
    encrypted(folder).close()
    with Store.decrypt(folder, KEY, encryption=secret()) as store:
        assert not store.is_encrypted
        assert everything(store) == clear
        store.commit("b.py", change({"new": b"1"}))
        for key in store.sessions():
            store.write_metadata(key)
    assert not (folder / "encryption.json").exists()
    (folder / "encryption.json").write_bytes(b"of one that could not be encrypted")
    with Store.decrypt(folder, KEY, encryption=Encryption()) as store:
        assert values(store, "b.py") == {"y": (b"same", (LARGE,)), "new": (b"1", ())}
        assert [finding.problem for finding in list(store.examine())[-1].findings] == []


def test_a_store_that_is_not_whole_is_not_encrypted_and_stays_as_it_is(folder: Path, clear: dict[str, Any]) -> None:
    path, offset = place_of(folder, LARGE[:100])
    content = bytearray(path.read_bytes())
    content[offset] ^= 1
    path.write_bytes(content)
    before = contents(folder)
    with encrypted(folder) as store:
        assert "holdfast verify --repair" in str(store.in_clear)
        assert not store.is_encrypted
        assert store.head("b.py") is not None
    kept = {place: data for place, data in contents(folder).items() if place.name != "encryption.json"}
    for files in (kept, before):  # opening a catalog writes to it
        del files[folder / "catalog.sqlite"]
    assert kept == before
    assert not (folder / "converting").exists()
    content[offset] ^= 1
    path.write_bytes(content)
    with encrypted(folder) as store:
        assert everything(store) == clear


def test_a_kill_at_any_write_while_a_store_is_encrypted_or_decrypted_loses_nothing(tmp_path: Path) -> None:
    original, other = tmp_path / "original", tmp_path / "other"
    with plain(original) as store:
        for number in range(3):
            store.commit("a.py", change({"x": b"%d" % number, "big": (b"s", (LARGE[number : number + 300_000],))}))
        store.set_label("a.py", 1, "first")
        told = everything(store)
    shutil.copytree(original, other)
    encrypted(other).close()
    for place, becomes in ((original, True), (other, False)):
        seen = []
        for point in range(0, 3000, 5):
            folder = tmp_path / "killed"
            shutil.copytree(place, folder)
            came_so_far = _converted_until(point + point // 5 % 5, folder, encrypt=becomes)
            with plain(folder) as store:
                assert everything(store) == told, point
                seen.append(store.is_encrypted == becomes)
                store.commit("z.py", change({"z": b"z"}))
            assert {path.name for path in folder.iterdir()} <= {
                *("catalog.sqlite", "packs", "lock", ".gitignore", "encryption.json")
            }
            assert {finding.problem.kind for finding in examine(folder)} <= {"metadata"}
            shutil.rmtree(folder)
            if not came_so_far:
                break
        else:
            pytest.fail("it never ended")
        assert seen[-1]


def _converted_until(point: int, folder: Path, *, encrypt: bool) -> bool:
    """Encrypt or decrypt a store in a process that is killed at a call that reaches the disk; whether it was."""
    child = os.fork()
    if child == 0:
        try:
            kill_after(point)
            (encrypted(folder) if encrypt else Store.decrypt(folder, KEY, encryption=secret())).close()
            sys.setprofile(None)
        except StoreError:
            os.kill(os.getpid(), signal.SIGABRT)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    assert not os.WIFSIGNALED(status) or os.WTERMSIG(status) == signal.SIGKILL
    return os.WIFSIGNALED(status)


def test_a_folder_that_was_never_finished_and_one_that_somebody_made_do_no_harm(
    folder: Path, clear: dict[str, Any]
) -> None:
    (folder / "converting" / "packs").mkdir(parents=True)
    (folder / "converting" / "packs" / "000001.pack").write_bytes(b"half")
    with plain(folder) as store:
        assert everything(store) == clear
    assert not (folder / "converting").exists()
    outside = folder.parent / "outside"
    outside.mkdir()
    (outside / "mine").write_bytes(b"1")
    for name in ("converted", "converting"):
        (folder / name).symlink_to(outside)
        with pytest.raises(StoreUnavailable) as caught:
            plain(folder)
        assert caught.value.kind == "symlink"
        (folder / name).unlink()
    (folder / "converted").mkdir()
    (folder / "converted" / "packs").symlink_to(outside)
    with pytest.raises(StoreUnavailable):
        plain(folder)
    shutil.rmtree(folder / "converted")
    assert (outside / "mine").read_bytes() == b"1"
    with plain(folder) as store:
        assert everything(store) == clear


def test_what_lies_in_an_encrypted_folder_is_encrypted_with_its_key(folder: Path) -> None:
    def inner(encryption: Encryption) -> Store:
        return Store.open(folder / "files", KEY, within=folder, encryption=encryption)

    with plain(folder) as store, inner(secret("none")) as files:
        store.commit("a.py", change({"x": MARK}))
        files.commit("files", change({"f": (b"", (LARGE,))}))
        files.write_metadata("files")
    with encrypted(folder) as store, inner(secret("none")) as files:
        assert store.is_encrypted
        assert files.is_encrypted
        assert values(files, "files") == {"f": (b"", (LARGE,))}
        store.change_key(Encryption(PASSPHRASE, new_passphrase="another", cost=2))
    assert not list(folder.rglob("metadata.json"))
    other = Encryption(offered="another")
    with inner(other) as files:
        assert values(files, "files") == {"f": (b"", (LARGE,))}
    (folder / "encryption.json").unlink()
    with pytest.raises(StoreUnavailable, match="put the file back"):
        inner(other)
    encrypted(folder, other).close()  # which has a copy
    inner(other).close()


def test_a_store_that_is_to_be_encrypted_is_not_made_before_it_has_a_passphrase(folder: Path) -> None:
    for wanted in (Encryption(PASSPHRASE), Encryption(PASSPHRASE, "typed to open another")):
        with pytest.raises(StoreUnavailable, match="holdfast encrypt") as caught:
            encrypted(folder, wanted)
        assert caught.value.kind == "locked"
    with encrypted(folder) as store:
        store.commit("a.py", change({"x": b"1"}))


def test_two_stores_of_a_folder_that_are_encrypted_at_once_have_one_key(folder: Path) -> None:
    for attempt in range(5):
        place, shared = folder / str(attempt), secret(PASSPHRASE)
        stores: list[Store] = []

        def open_inner(place: Path = place, shared: Encryption = shared, stores: list[Store] = stores) -> None:
            stores.append(Store.open(place / "files", KEY, within=place, encryption=shared))

        threads = [threading.Thread(target=open_inner), threading.Thread(target=encrypted, args=(place, shared))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        stores[0].commit("files", change({"f": b"1"}))
        stores[0].close()
        with Store.open(place / "files", KEY, within=place, encryption=secret("none")) as files:
            assert values(files, "files") == {"f": (b"1", ())}


def test_what_one_keys_cipher_wrote_another_cannot_read() -> None:
    one, other = Encrypting(b"1" * 32), Encrypting(b"2" * 32)
    digest = bytes(range(32))
    stored = bytes(one.close(CHUNK_RECORD, 0x80, 5, digest, b"bytes"))
    assert one.open(CHUNK_RECORD, 0x80, 5, digest, stored) == b"bytes"
    for kind, codec, size, name in (
        (2, 0x80, 5, digest),
        (1, 0x81, 5, digest),
        (1, 0x80, 6, digest),
        (1, 0x80, 5, b"x" * 32),
    ):
        assert one.open(kind, codec, size, name, stored) is None
    assert other.open(CHUNK_RECORD, 0x80, 5, digest, stored) is None
    assert one.open(CHUNK_RECORD, 0, 5, digest, b"bytes") is None
    assert one.uncover(one.cover([digest, b"y" * 32])) == [digest, b"y" * 32]
    assert one.cover([digest]) == one.cover([digest]) != other.cover([digest])
    assert one.show("label", one.hide("label", b"text")) == b"text"
    assert one.show("meta", one.hide("label", b"text")) is None
    assert one.show_name(one.hide_name(b"a.py")) == b"a.py"
    assert one.hide_name(b"a.py") == one.hide_name(b"a.py")
    assert other.show_name(one.hide_name(b"a.py")) is None
