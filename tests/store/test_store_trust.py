"""State of others that the user says may be restored: pinned by its digests, beside the key, and taken back again."""

from __future__ import annotations

import json
import os
import shutil
import stat
from pathlib import Path

import pytest
from store_making import KEY, OTHER_KEY, Store, change, clear_only, streams

from holdfast.loading import load
from holdfast.store.errors import Damaged, NoSuchVersion, SaveFailed, StoreUnavailable, Untrusted
from holdfast.store.records import Change, ComponentContent
from holdfast.store.seal import Seal


@pytest.fixture
def trusts(tmp_path: Path) -> Path:
    return tmp_path / "config" / "trust"


def theirs(folder: Path, *values: bytes, key: str = "a.py") -> None:
    with Store.open(folder, OTHER_KEY) as store:
        for value in values:
            store.commit(key, change({"x": value}, code=f"x = {value!r}"))


def refused(store: Store, key: str = "a.py", version: int | None = None) -> str:
    with pytest.raises(Untrusted) as caught:
        store.listing(key, version)
    return caught.value.kind


def test_what_others_saved_is_shown_with_who_they_say_they_are_and_restored_once_it_is_trusted(
    folder: Path, trusts: Path
) -> None:
    theirs(folder, b"1", b"2")
    with Store.open(folder, KEY, trusts=trusts) as store:
        found = store.strangers("a.py")
        (signer,) = found.signers
        assert signer.key_id == Seal(OTHER_KEY).key_id
        assert (signer.versions, signer.trusted, signer.folder) == ([1, 2], 0, str(folder))
        assert " on " in (signer.name or "")
        assert refused(store) == "unknown_signer"
        assert store.trust("a.py", found.digest) == 2
        assert streams(store, "a.py") == {"x": b"2"}
        assert streams(store, "a.py", 1) == {"x": b"1"}
        assert not store.sealed("a.py").ours
        (signer,) = store.strangers("a.py").signers
        assert signer.trusted == 2
        assert signer.trusted_at is not None
    with Store.open(folder, KEY, trusts=trusts) as store:
        assert streams(store, "a.py") == {"x": b"2"}
        store.commit("a.py", change({"y": b"3"}))
        assert streams(store, "a.py") == {"x": b"2", "y": b"3"}
    with Store.open(folder, KEY) as store:
        assert refused(store) == "unknown_signer"


@pytest.mark.skipif(os.name != "posix", reason="file modes")
def test_what_is_trusted_is_noted_for_its_owner_only_and_not_in_the_state_folder(folder: Path, trusts: Path) -> None:
    theirs(folder, b"1")
    before = {path: path.read_bytes() for path in (folder / "packs").iterdir()}
    with Store.open(folder, KEY, trusts=trusts) as store:
        store.trust("a.py")
    (note,) = trusts.iterdir()
    assert stat.S_IMODE(note.stat().st_mode) == 0o600
    assert stat.S_IMODE(trusts.stat().st_mode) == 0o700
    assert list(json.loads(note.read_text())["versions"].values()) == [1]
    assert all(path.read_bytes().startswith(content) for path, content in before.items())


def test_what_they_add_after_it_was_trusted_is_refused(folder: Path, trusts: Path) -> None:
    theirs(folder, b"1")
    with Store.open(folder, KEY, trusts=trusts) as store:
        store.trust("a.py")
    with Store.open(folder, OTHER_KEY) as store:
        store.commit("a.py", change({"x": b"evil"}, full=True))
    with Store.open(folder, KEY, trusts=trusts) as store:
        assert refused(store) == "unknown_signer"
        assert refused(store, version=2) == "unknown_signer"
        assert streams(store, "a.py", 1) == {"x": b"1"}


def test_what_changed_since_it_was_shown_is_not_trusted(folder: Path, trusts: Path) -> None:
    theirs(folder, b"1")
    with Store.open(folder, KEY, trusts=trusts) as store:
        shown = store.strangers("a.py").digest
    theirs(folder, b"2")
    with Store.open(folder, KEY, trusts=trusts) as store:
        with pytest.raises(Untrusted) as caught:
            store.trust("a.py", shown)
        assert caught.value.kind == "changed"
        assert refused(store) == "unknown_signer"
    assert not trusts.exists()


def test_a_copy_of_the_folder_has_the_same_versions_and_another_sessions_do_not_count(
    folder: Path, trusts: Path, tmp_path: Path
) -> None:
    theirs(folder, b"1")
    theirs(folder, b"1", key="b.py")
    shutil.copytree(folder, tmp_path / "copy")
    with Store.open(folder, KEY, trusts=trusts) as store:
        store.trust("a.py")
        assert refused(store, "b.py") == "unknown_signer"
    with Store.open(tmp_path / "copy", KEY, trusts=trusts) as store:
        assert streams(store, "a.py", 1) == {"x": b"1"}
        assert refused(store, "b.py", 1) == "unknown_signer"


def test_trust_that_is_taken_back_ends_also_for_what_was_saved_on_top(folder: Path, trusts: Path) -> None:
    theirs(folder, b"1", b"2")
    with Store.open(folder, KEY, trusts=trusts) as store:
        store.trust("a.py")
        store.commit("a.py", change({"y": b"3"}))
        store.commit("a.py", change({"x": b"2", "y": b"3", "z": b"4"}, full=True))
        store.branch("a.py", None, "b.py")
        store.branch("b.py", None, "c.py")
        store.commit("a.py", change({"x": b"mine"}))
        assert sorted(store.distrust("a.py")) == ["a.py", "b.py", "c.py"]
        assert refused(store, version=1) == "unknown_signer"
        assert refused(store, version=3) == "unknown_signer"
        assert refused(store, version=4) == "revoked"
        assert refused(store, "b.py") == "revoked"
        assert refused(store, "c.py") == "revoked"
        assert streams(store, "a.py") == {"x": b"mine", "y": b"3", "z": b"4"}
    with Store.open(folder, KEY, trusts=trusts) as store:
        assert refused(store, version=4) == "revoked"
        with pytest.raises(SaveFailed) as caught:
            store.commit("b.py", change({"z": b"5"}))
        assert caught.value.kind == "untrusted"
        assert store.commit("b.py", change({"z": b"5"}, full=True)).version == 2
        assert streams(store, "b.py") == {"z": b"5"}
        store.trust("a.py")
        assert streams(store, "a.py", 4)["x"] == b"2"
        store.trust("c.py")
        assert streams(store, "c.py")["x"] == b"2"


def test_a_signer_who_lies_about_when_a_variable_came_in_hides_nothing_from_a_trust_taken_back(
    folder: Path, trusts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from holdfast.store import committing

    honest = committing._entries
    monkeypatch.setattr(committing, "_entries", lambda stored, number: honest(stored, 99))
    theirs(folder, b"1")
    monkeypatch.undo()
    with Store.open(folder, KEY, trusts=trusts) as store:
        store.trust("a.py")
        store.commit("a.py", change({"x": b"1", "y": b"2"}, full=True))
        store.distrust("a.py")
        assert refused(store) == "revoked"


def test_listings_made_later_by_others_are_trusted_with_their_versions(folder: Path, trusts: Path) -> None:
    theirs(folder, b"1", b"2", b"3")
    with Store.open(folder, OTHER_KEY) as store:
        for _ in store.thin("a.py", 1):
            pass
    with Store.open(folder, KEY, trusts=trusts) as store:
        assert refused(store) == "unknown_signer"
        store.trust("a.py")
        assert streams(store, "a.py") == {"x": b"3"}


def test_what_was_changed_under_ones_own_name_cannot_be_trusted(folder: Path, trusts: Path) -> None:
    from test_store_seal import sql

    with Store.open(folder, KEY, trusts=trusts) as store:
        store.commit("a.py", change({"x": b"1"}))
    sql(folder, "UPDATE versions SET seal = x'00', pack = 0")
    with Store.open(folder, KEY, trusts=trusts) as store:
        assert not store.strangers("a.py").signers
        with pytest.raises(Untrusted) as caught:
            store.trust("a.py")
        assert caught.value.kind == "wrong_seal"


def test_a_note_of_trust_that_cannot_be_read_trusts_nothing_and_says_so(folder: Path, trusts: Path) -> None:
    theirs(folder, b"1")
    with Store.open(folder, KEY, trusts=trusts) as store:
        store.trust("a.py")
        (note,) = trusts.iterdir()
        note.write_text("{")
        with pytest.raises(StoreUnavailable) as caught:
            store.listing("a.py")
        assert str(note) in caught.value.message


def test_there_is_nothing_to_trust_in_what_is_not_there(folder: Path, trusts: Path) -> None:
    with Store.open(folder, KEY, trusts=trusts) as store:
        with pytest.raises(NoSuchVersion):
            store.trust("a.py")
        store.commit("a.py", change({"x": b"1"}))
        assert store.trust("a.py") == 0
        assert store.distrust("a.py") == []
        assert not trusts.exists()


def test_bytes_that_are_changed_after_they_were_trusted_are_damaged(folder: Path, trusts: Path) -> None:
    theirs(folder, os.urandom(5000))
    with Store.open(folder, KEY, trusts=trusts) as store:
        store.trust("a.py")
        (entry,) = store.listing("a.py").values()
    pack = folder / "packs" / "000001.pack"
    data = bytearray(pack.read_bytes())
    data[1000] ^= 1
    pack.write_bytes(data)
    with Store.open(folder, KEY, trusts=trusts) as store, pytest.raises(Damaged):
        store.read(entry)


def mapped(store: Store) -> list[str]:
    """Return the components of which a kernel would map something."""
    loaded = load(store, "a.py", None)
    assert loaded is not None
    loaded.release("kernel")
    loaded.release("verification")
    return [described["id"] for described in loaded.components if "maps" in described]


@clear_only
def test_what_others_made_or_can_write_to_is_compared_before_it_is_used(folder: Path, trusts: Path) -> None:
    large = ComponentContent("x", ("x",), "f", b"stream", [os.urandom(17 << 20)], {})
    with Store.open(folder, OTHER_KEY) as store:
        store.commit("a.py", Change(code="x", changed=[large]))
        assert mapped(store) == ["x"]
        folder.chmod(0o770)
        assert store.shared_with == "a group may write to it"
        assert mapped(store) == []
        folder.chmod(0o700)
        assert mapped(store) == ["x"]
    with Store.open(folder, KEY, trusts=trusts) as store:
        store.trust("a.py")
        assert mapped(store) == []
