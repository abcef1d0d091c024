"""What is put into a large value, or taken out of it, costs its own size."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

import pytest
from blake3 import blake3
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_making import KEY, Store, change, values

from holdfast.store.blobs import BlobRef
from holdfast.store.errors import SaveFailed
from holdfast.store.predecessors import Replaced
from holdfast.store.records import Change, ComponentContent, Patch
from holdfast.store.splicing import Before, Segment, decode_segments, encode_segments, splice

LARGE = random.Random(5).randbytes(5_000_000)
CHUNK = 262_144


def commit(store: Store, data: bytes, kind: str = "bytes") -> int:
    """Save a value with one buffer; return how many bytes that took."""
    made = ComponentContent("big", ("big",), "fp", b"stream", (data,), {"big": {"name": "big", "type": kind}})
    return store.commit("a.py", Change(changed=[made], names_changed=["big"])).bytes


def buffer(store: Store, version: int | None = None) -> bytes:
    return values(store, "a.py", version)["big"][1][0]


@pytest.mark.parametrize(
    ("start", "end", "new"),
    [
        (2_500_000, 2_500_000, b"ten bytes!"),
        (0, 0, b"x"),
        (10, 50, b""),
        (1_000_000, 1_300_000, b"y" * 77_000),
        (CHUNK, CHUNK, b"."),
        (CHUNK, 2 * CHUNK + 1, b""),
    ],
)
def test_an_insertion_or_a_cut_in_a_large_value_costs_its_size(store: Store, start: int, end: int, new: bytes) -> None:
    assert commit(store, LARGE) > len(LARGE)
    after = LARGE[:start] + new + LARGE[end:]
    assert commit(store, after) < 2 * CHUNK + len(new) + 2_000
    assert buffer(store) == after
    assert buffer(store, 1) == LARGE
    assert store.check("a.py") == []


def test_many_edits_one_after_the_other_stay_cheap_and_right(folder: Path) -> None:
    rng = random.Random(2)
    data, cost = LARGE, 0
    with Store.open(folder, KEY) as store:
        commit(store, data)
        for number in range(60):
            at = rng.randrange(len(data))
            data = data[:at] + rng.randbytes(rng.randrange(1, 40)) + data[at + rng.randrange(30) :]
            cost += commit(store, data)
            if number % 20 == 0:
                for _ in store.thin("a.py", 2):
                    pass
                for _ in store.collect():
                    pass
            assert buffer(store) == data
        assert cost < 60 * 3 * CHUNK
        store.branch("a.py", None, "b.py")
        store.forget("a.py")
        for _ in store.collect():
            pass
    for path in folder.glob("catalog.sqlite*"):
        path.unlink()
    with Store.open(folder, KEY) as store:
        assert values(store, "b.py")["big"][1][0] == data


def test_what_is_appended_costs_its_size(store: Store) -> None:
    commit(store, LARGE)
    assert commit(store, LARGE + b"more") < CHUNK + 2_000
    assert commit(store, b"<" + LARGE + b"more") < CHUNK + 8_000
    assert buffer(store) == b"<" + LARGE + b"more"


def test_arrays_stay_on_page_boundaries_to_be_mapped(store: Store) -> None:
    commit(store, LARGE, "ndarray")
    assert commit(store, b"x" * 8 + LARGE, "ndarray") > len(LARGE)
    text = b"".join(b"%d," % number for number in range(900_000))
    first = commit(store, text, "ndarray")
    # What is compressed is not mapped anyway.
    assert commit(store, b"x" * 8 + text, "ndarray") < first / 4


def test_an_edit_of_a_value_whose_chunks_are_gone_is_stored_whole(folder: Path) -> None:
    with Store.open(folder, KEY) as store:
        commit(store, LARGE)
        store._core.catalog._db.execute("DELETE FROM chunks WHERE size < 262144 AND size > 4096")
        after = LARGE[:100] + b"!" + LARGE[100:]
        commit(store, after)
        assert buffer(store) == after


def upload(store: Store, data: bytes, part: int = 1 << 20) -> int:
    """Save a value whose buffer arrives in parts; return how many bytes that took."""
    arriving = store.upload(Replaced("a.py", "big", 1, len(data)))
    for at in range(0, len(data), part):
        arriving.write(at, data[at : at + part])
    patch = Patch(len(data), upload=arriving)
    made = ComponentContent("big", ("big",), "fp", b"stream", (patch,), {"big": {"name": "big", "type": "bytes"}})
    try:
        return store.commit("a.py", Change(changed=[made], names_changed=["big"])).bytes
    finally:
        arriving.release()


def test_a_large_value_that_arrives_in_parts_costs_what_changed(store: Store) -> None:
    rng = random.Random(8)
    data = LARGE
    assert upload(store, data) > len(data)
    edits = [(2_500_000, 0, 10), (0, 0, 1), (100, 7, 0), (4_900_000, 300_000, 5), (CHUNK, CHUNK, 0), (CHUNK, 0, CHUNK)]
    for at, gone, put in edits:
        data = data[:at] + rng.randbytes(put) + data[at + gone :]
        assert upload(store, data) < 2 * CHUNK + put + 3_000, (at, gone, put)
        assert buffer(store) == data
    data += b"more"
    assert upload(store, data) < CHUNK + 3_000
    assert buffer(store) == data
    assert store.check("a.py") == []


def test_what_is_only_longer_stays_cut_at_fixed_places(store: Store) -> None:
    upload(store, LARGE)
    assert upload(store, LARGE + LARGE[:700_000]) < 1_000_000
    reader = store._core.reader
    entry = store.listing("a.py")["big"]
    assert not reader.refs(entry.content, entry.digest, "")[1].is_splice
    assert buffer(store) == LARGE + LARGE[:700_000]
    assert upload(store, LARGE) < 3_000
    assert buffer(store) == LARGE


def test_a_part_that_is_missing_fails_the_save(store: Store) -> None:
    upload(store, LARGE)
    arriving = store.upload(Replaced("a.py", "big", 1, len(LARGE) + 1))
    arriving.write(0, LARGE[: 1 << 20])
    arriving.write(2 << 20, LARGE[2 << 20 :])
    made = ComponentContent("big", ("big",), "fp", b"", (Patch(len(LARGE) + 1, upload=arriving),))
    with pytest.raises(SaveFailed):
        store.commit("a.py", Change(changed=[made]))
    assert buffer(store) == LARGE


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_parts_put_together_are_the_blob(data: st.DataObject) -> None:
    rng = random.Random(data.draw(st.integers(0, 1 << 30)))
    sizes = st.sampled_from([0, 1, 100, CHUNK - 1, CHUNK, 3 * CHUNK])
    old = rng.randbytes(data.draw(st.integers(4 * CHUNK, 9 * CHUNK)))
    new = old
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(new)))
        new = new[:at] + rng.randbytes(data.draw(sizes)) + new[at + data.draw(sizes) :]
    with tempfile.TemporaryDirectory() as folder, Store.open(Path(folder) / ".state", KEY) as store:
        upload(store, old)
        if new:
            upload(store, new, data.draw(st.sampled_from([CHUNK, 4 * CHUNK])))
            assert buffer(store) == new


@pytest.mark.parametrize("size", [1, CHUNK - 1, CHUNK, CHUNK + 1])
def test_a_buffer_that_arrives_in_pieces_may_be_as_small_as_one_chunk(store: Store, size: int) -> None:
    upload(store, b"a" * (4 * CHUNK))
    upload(store, b"b" * size)
    assert buffer(store) == b"b" * size


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_splice_is_the_blob(data: st.DataObject) -> None:
    rng = random.Random(data.draw(st.integers(0, 1 << 30)))
    old = rng.randbytes(data.draw(st.integers(4 * CHUNK, 9 * CHUNK)))
    at = data.draw(st.integers(0, len(old)))
    gone = data.draw(st.sampled_from([0, 1, 100, CHUNK, 3 * CHUNK]))
    new = old[:at] + rng.randbytes(data.draw(st.sampled_from([0, 1, 128, 129, CHUNK, 300_000]))) + old[at + gone :]
    blobs: dict[bytes, bytes] = {}

    def add(view: bytes | memoryview) -> BlobRef:
        digest = blake3(view).digest()
        blobs[digest] = bytes(view)
        return BlobRef(len(view), 0 if len(view) <= CHUNK else 1, digest)

    pieces = [(blake3(old[i : i + CHUNK]).digest(), len(old[i : i + CHUNK])) for i in range(0, len(old), CHUNK)]
    before = Before(len(old), [Segment(add(old), 0, len(pieces))], pieces)
    segments = splice(memoryview(new), before, add)
    if segments is None:
        return
    assert decode_segments(encode_segments(segments), len(new)) == segments
    parts = [blobs[s.ref.value][s.first * CHUNK : (s.first + s.count) * CHUNK] for s in segments]
    assert b"".join(parts) == new


def test_small_values_are_as_before(store: Store) -> None:
    store.commit("a.py", change({"x": b"1" * 300_000}))
    store.commit("a.py", change({"x": b"2" + b"1" * 300_000}))
    assert values(store, "a.py")["x"] == (b"2" + b"1" * 300_000, ())
