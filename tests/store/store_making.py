"""Making changes and reading sessions back, for the tests of the store."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import pytest

from holdfast.store import store as product
from holdfast.store.cipher import CLEAR, NONCE_SIZE, Cipher, Encrypting
from holdfast.store.keyslots import NONE, PASSPHRASE, Encryption, read_envelope
from holdfast.store.packs import PACK_HEADER, read_at, scan
from holdfast.store.records import Change, ComponentContent
from holdfast.store.recovery import told_by_packs

ENCRYPTED = bool(os.environ.get("HOLDFAST_TEST_ENCRYPTED"))
"""Whether the tests of the store run on encrypted ones."""
clear_only = pytest.mark.skipif(ENCRYPTED, reason="looks at what an encrypted store does not have, or show")
KEY = b"k" * 32
OTHER_KEY = b"o" * 32

Value = tuple[bytes, tuple[bytes, ...]]
"""A variable as the store sees it: a stream and its buffers."""


class Store(product.Store):
    """A store that is encrypted if the tests are to run on encrypted ones; trying its passphrase costs nothing."""

    @classmethod
    def open(
        cls,
        folder: Path,
        key: bytes,
        *,
        create: bool = True,
        trusts: Path | None = None,
        within: Path | None = None,
        encryption: Encryption | None = None,
    ) -> Self:
        """See `holdfast.store.store.Store`."""
        own = encryption or secret()
        return super().open(folder, key, create=create, trusts=trusts, within=within, encryption=own)


def secret(wanted: str = PASSPHRASE if ENCRYPTED else NONE) -> Encryption:
    """Return what opens the stores of the tests, and encrypts new ones if that is wanted."""
    return Encryption(wanted, offered="a passphrase", cost=2)


def cipher_of(folder: Path) -> Cipher:
    """Return how a store's records are written."""
    told = told_by_packs(folder / "packs")
    if told is None or not told.is_encrypted:
        return CLEAR
    return Encrypting(secret().unlock(read_envelope(folder) or b"", folder))


def place_of(folder: Path, data: bytes) -> tuple[Path, int]:
    """Return the pack, and where in it bytes lie that are not compressed; encrypted, they lie in the same order."""
    cipher = cipher_of(folder)
    for path in packs(folder):
        with path.open("rb") as file:
            for record in scan(file.fileno(), PACK_HEADER.size, path.stat().st_size, cipher):
                stored = read_at(file.fileno(), record.payload, record.stored)
                opened = cipher.open(record.kind, record.codec, record.size, record.digest, stored)
                at = -1 if opened is None else opened.find(data)
                if at >= 0:
                    return path, record.payload + at + (NONCE_SIZE if cipher.encrypts else 0)
    raise LookupError(data)


def damage(folder: Path, data: bytes, at: int = 0, size: int = 1) -> None:
    """Change some bytes of what a pack holds, from `at` on."""
    path, offset = place_of(folder, data)
    content = bytearray(path.read_bytes())
    for place in range(offset + at, offset + at + size):
        content[place] ^= 1
    path.write_bytes(content)


def component(name: str, stream: bytes, *buffers: bytes | bytearray | memoryview) -> ComponentContent:
    """Return a component that holds one variable."""
    return ComponentContent(
        id=name,
        members=(name,),
        fingerprint=f"fp-{name}",
        stream=stream,
        buffers=buffers,
        summaries={name: {"name": name, "type": "bytes", "preview": repr(stream[:20])}},
    )


def change(
    values: Mapping[str, bytes | Value] | None = None,
    *,
    removed: Sequence[str] = (),
    full: bool = False,
    code: str = "",
) -> Change:
    """Return a change that sets variables and removes others."""
    changed = []
    for name, value in (values or {}).items():
        stream, buffers = (value, ()) if isinstance(value, bytes) else value
        changed.append(component(name, stream, *buffers))
    return Change(
        code=code,
        run_id="run",
        full=full,
        changed=changed,
        removed=list(removed),
        names_changed=[c.id for c in changed],
        names_removed=list(removed),
        environment={"python": "3.11.7", "packages": {}},
    )


def values(store: Store, key: str, version: int | None = None) -> dict[str, Value]:
    """Read a version whole."""
    found: dict[str, Value] = {}
    for name, entry in store.listing(key, version).items():
        content = store.read(entry)
        found[name] = (bytes(content.stream), tuple(bytes(buffer) for buffer in content.buffers))
    return found


def streams(store: Store, key: str, version: int | None = None) -> dict[str, bytes]:
    """Read the streams of a version."""
    return {name: stream for name, (stream, _) in values(store, key, version).items()}


def packs(folder: Path) -> list[Path]:
    """Return the pack files of a state folder."""
    return sorted((folder / "packs").iterdir())
