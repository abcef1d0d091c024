"""Bytes: stored once, written where they changed, compressed where that pays."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from store_making import KEY, Store, change, clear_only, values

from holdfast.store.blobs import BlobRef, decode_refs
from holdfast.store.packs import CHUNK_SIZE, EXTENT_CHUNKS, EXTENT_RECORD, PACK_HEADER, scan

SIZES = [0, 1, 128, 129, 511, 512, 65535, 65536, CHUNK_SIZE - 1, CHUNK_SIZE, CHUNK_SIZE + 1, 3 * CHUNK_SIZE]


@pytest.mark.parametrize(
    "make", [os.urandom, lambda size: b"ab" * (size // 2) + b"c" * (size % 2)], ids=["noise", "text"]
)
def test_any_size_comes_back_as_it_was(store: Store, make) -> None:  # type: ignore[no-untyped-def]
    given = {f"v{size}": (make(size), (make(size), bytearray(make(size)))) for size in SIZES}
    store.commit("a.py", change(given))  # type: ignore[arg-type]
    assert values(store, "a.py") == {name: (s, (b, bytes(c))) for name, (s, (b, c)) in given.items()}


def test_a_tree_of_two_levels_comes_back_as_it_was(store: Store) -> None:
    block = os.urandom(CHUNK_SIZE)
    data = bytearray(block * (EXTENT_CHUNKS + 3) + b"tail")
    data[CHUNK_SIZE * 50 + 7] ^= 1
    store.commit("a.py", change({"x": (b"s", (bytes(data),))}))
    assert values(store, "a.py")["x"][1] == (bytes(data),)


def test_one_changed_byte_in_a_large_buffer_costs_one_chunk(store: Store) -> None:
    data = bytearray(os.urandom(40 * 1024 * 1024))
    store.commit("a.py", change({"x": (b"s", (memoryview(data),))}))  # type: ignore[arg-type,dict-item]
    data[35 * 1024 * 1024] ^= 255
    record = store.commit("a.py", change({"x": (b"s", (memoryview(data),))}))  # type: ignore[arg-type,dict-item]
    assert record.bytes < CHUNK_SIZE + 20_000
    assert values(store, "a.py")["x"][1] == (bytes(data),)


def test_the_same_bytes_in_two_files_are_stored_once(store: Store) -> None:
    data = os.urandom(2_000_000)
    store.commit("a.py", change({"x": (b"s", (data,))}))
    assert store.commit("b.py", change({"y": (b"t", (data,))})).bytes < 2000
    assert store.size("a.py") > 2_000_000
    assert store.size("b.py") < 2000


def test_what_compresses_is_compressed(store: Store) -> None:
    assert store.commit("a.py", change({"x": (b"s", (bytes(8_000_000),))})).bytes < 20_000


@clear_only
def test_raw_chunks_lie_together_on_page_boundaries(folder: Path) -> None:
    data = os.urandom(5 * CHUNK_SIZE + 100)
    with Store.open(folder, KEY) as store:
        store.commit("a.py", change({"x": (b"s", (data,))}))
    for path in (folder / "packs").iterdir():
        with path.open("rb") as file:
            for record in scan(file.fileno(), PACK_HEADER.size, path.stat().st_size):
                if record.kind == EXTENT_RECORD:
                    assert record.payload % 4096 == 0
                    assert path.read_bytes()[record.payload : record.end] == data
                    return
    pytest.fail("no extent was written")


def test_many_buffers_of_one_component_come_back_in_order(store: Store) -> None:
    buffers = tuple(b"%05d" % i * 50 for i in range(3000))
    store.commit("a.py", change({"x": (b"s", buffers)}))
    assert values(store, "a.py")["x"] == (b"s", buffers)


def test_many_small_chunks_in_one_commit_come_back(store: Store) -> None:
    given = {f"v{i}": os.urandom(700) for i in range(4000)}
    store.commit("a.py", change(given))  # type: ignore[arg-type]
    assert values(store, "a.py") == {name: (data, ()) for name, data in given.items()}


@pytest.mark.parametrize(
    "data",
    [
        b"\0",
        BlobRef(300, 1, b"d" * 32).encode(),
        BlobRef(1 << 60, 9, b"d" * 32).encode(),
        BlobRef(200, 255, b"x" * 200).encode(),
    ],
)
def test_references_that_contradict_themselves_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="reference"):
        decode_refs(data)
