"""The format's readers, fed with what nobody wrote: they say what is wrong, and never break down, hang or swell.

    PYTHONPATH=tests python tests/store/store_fuzz.py --minutes 10 --seed 1

Bit rot is found by checksums before any reader sees it. Here the checksums are right: what they cover was written by
somebody who knows the format, and has no key.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from blake3 import blake3
from hypothesis import given, seed
from hypothesis import strategies as st
from mutation import changed, examples, places
from store_making import KEY, Store, change, cipher_of

from holdfast.store.blobs import decode_refs, unpack
from holdfast.store.cipher import CLEAR
from holdfast.store.encoding import (
    VersionParts,
    beginning,
    decode_delta,
    decode_record,
    event_record,
    open_payload,
    split_version,
    version_record,
)
from holdfast.store.errors import StoreError
from holdfast.store.packs import EVENT_RECORD, RAW, VERSION_RECORD, ZSTD, Record, read_at, scan

DECLARED = (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError, StoreError)
"""What readers may raise; their callers make a named problem of it."""
PATIENCE = 20.0
"""Seconds that nothing takes unless it hangs."""
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.text(max_size=20)
    | st.sampled_from(["../../x", "/etc/passwd", "\0", "a" * 5000]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)


def build(folder: Path) -> None:
    """Make a store with values inline, in chunks and in extents, deltas, an event and a label."""
    rng = random.Random(5)
    with Store.open(folder, KEY) as store:
        store.commit("a.py", change({"x": b"1", "large": rng.randbytes(600_000), "text": b"a" * 9000}))
        store.commit("a.py", change({"x": b"2"}, removed=["text"]))
        store.commit("b.py", change({"y": rng.randbytes(5000)}, code="y = 1"))
        store.set_label("a.py", 1, "first")
        store.move("b.py", "c.py")
        store.settle()


def records(folder: Path) -> Iterator[tuple[Path, Record, bytes]]:
    """Go through the records of versions and events, with their payloads."""
    cipher = cipher_of(folder)
    for path in sorted((folder / "packs").glob("*.pack")):
        with path.open("rb") as file:
            for record in scan(file.fileno(), 64, path.stat().st_size, cipher):
                if record.kind in (VERSION_RECORD, EVENT_RECORD):
                    stored = read_at(file.fileno(), record.payload, record.stored)
                    payload = open_payload(cipher, record, stored)
                    assert payload is not None
                    yield path, record, payload


@st.composite
def texts_like(draw: st.DrawFn, original: bytes) -> bytes:
    """Make JSON nearly like some, or bytes nearly like it."""
    if draw(st.booleans()):
        document = json.loads(original)
        for _ in range(draw(st.integers(1, 3))):
            document = changed(document, draw(st.sampled_from(list(places(document)))), draw(VALUES))
        return json.dumps(document).encode("utf-8", "surrogatepass")
    return draw(bytes_like(original))


@st.composite
def bytes_like(draw: st.DrawFn, original: bytes) -> bytes:
    """Make bytes nearly like some."""
    data = bytearray(original)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        end = min(len(data), at + draw(st.integers(0, 20)))
        data[at:end] = draw(st.binary(max_size=20))
    return bytes(data)


def declared(read: Callable[[], object]) -> None:
    """Call a reader, which may refuse."""
    started = time.monotonic()
    with contextlib.suppress(*DECLARED):
        read()
    assert time.monotonic() - started < PATIENCE, "a reader hangs"


def fuzz_readers(original: Path, number: int, count: int) -> None:
    """Feed the readers of records one by one."""
    payloads = [payload for _, record, payload in records(original) if record.kind == VERSION_RECORD]
    parts = [split_version(payload) for payload in payloads]
    deltas = st.sampled_from([part.delta for part in parts]).flatmap(texts_like)
    metas = st.sampled_from([part.meta for part in parts]).flatmap(texts_like)
    contents = [entry.content for part in parts for entry in decode_delta(part.delta).changed]
    refs = st.sampled_from(contents).flatmap(bytes_like) | st.binary(max_size=200)
    whole = st.sampled_from(payloads).flatmap(bytes_like) | st.binary(max_size=200)

    @seed(number)
    @examples(count)
    @given(deltas, metas, refs, whole, st.integers(0, 2**40))
    def run(delta: bytes, meta: bytes, ref: bytes, payload: bytes, size: int) -> None:
        declared(lambda: decode_delta(delta))
        declared(lambda: decode_record(json.loads(meta), b"d" * 32, 1, None, lambda ref: b"{}"))
        declared(lambda: decode_refs(ref))
        declared(lambda: split_version(payload))
        for codec in (RAW, ZSTD, 7):
            declared(lambda codec=codec: unpack(payload, codec, size))  # type: ignore[misc]
            record = Record(VERSION_RECORD, codec, 0, 64, len(payload), size, b"d" * 32, ())
            declared(lambda record=record: beginning(CLEAR, record, lambda size: payload[:size], 1 << 20))  # type: ignore[misc]

    run()


def fuzz_folders(original: Path, number: int, count: int) -> None:
    """Put records with right checksums into a store whose catalog is lost, and read all that it says it has."""
    found, cipher = list(records(original)), cipher_of(original)

    @seed(number)
    @examples(count)
    @given(st.data())
    def run(data: st.DataObject) -> None:
        path, record, payload = data.draw(st.sampled_from(found))
        if record.kind == EVENT_RECORD:
            new = data.draw(texts_like(payload))
            try:
                made = event_record(cipher, json.loads(new))
            except ValueError:
                return
        else:
            parts = split_version(payload)
            meta = data.draw(texts_like(parts.meta)) if data.draw(st.booleans()) else parts.meta
            delta = data.draw(texts_like(parts.delta)) if meta is parts.meta else parts.delta
            made = version_record(cipher, VersionParts(parts.signer, parts.seal, meta, delta))
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "state"
            shutil.copytree(original, folder)
            (folder / "catalog.sqlite").unlink()
            pack = folder / "packs" / path.name
            old = pack.read_bytes()
            pack.write_bytes(old[: record.offset] + made + old[record.end :])
            started = time.monotonic()
            read_everything(folder)
            assert time.monotonic() - started < PATIENCE, "opening or reading hangs"

    run()


def read_everything(folder: Path) -> None:
    """Open a store and read what it has; what is refused has to be refused in the declared way."""
    try:
        store = Store.open(folder, KEY)
    except StoreError:
        return
    with store:
        for key in store.sessions():
            try:
                for record in store.history(key):
                    try:
                        for entry in store.listing(key, record.version).values():
                            content = store.read(entry)
                            assert blake3(bytes(content.stream)).digest()
                    except StoreError:
                        continue
                store.check(key)
                store.write_metadata(key)
            except StoreError:
                continue
    inside = {path.resolve().is_relative_to(folder.resolve()) for path in folder.rglob("*")}
    assert inside <= {True}, "something was written outside"


def main() -> None:
    """Fuzz for some minutes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    os.umask(0o077)
    with tempfile.TemporaryDirectory() as scratch:
        original = Path(scratch) / "state"
        build(original)
        started, number = time.monotonic(), arguments.seed
        while time.monotonic() - started < arguments.minutes * 60:
            fuzz_readers(original, number, 500)
            fuzz_folders(original, number, 50)
            number += 1
            print(f"up to seed {number - 1}: {time.monotonic() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
