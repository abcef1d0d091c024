"""How what a store writes looks on the disk: as it is, or encrypted (see `docs/format.md`).

Everything above works with plain payloads, values and digests; only what is written passes through here, and what was
read. So equal chunks are stored once in an encrypted store, too, and seals and digests are those of what is encrypted.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .errors import StoreUnavailable
from .records import Buffer

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

ENCRYPTED = 0x80
"""The bit of a codec that says so."""
NONCE_SIZE, TAG_SIZE = 12, 16
OVERHEAD = NONCE_SIZE + TAG_SIZE
"""Bytes by which encrypting makes something longer."""
KEY_SIZE = 32
_ABOUT = struct.Struct("<4sBBI32s")
"""What a record's payload is bound to: magic, kind, codec, size, and digest of what is in it."""


class Cipher:
    """Leaves everything as it is: that of a store that is not encrypted."""

    encrypts = False

    def cover(self, digests: Sequence[bytes]) -> Sequence[bytes]:
        """Return digests as they are written."""
        return digests

    def uncover(self, covered: Sequence[bytes]) -> Sequence[bytes]:
        """Return digests that were written."""
        return covered

    def close(self, kind: int, codec: int, size: int, digest: bytes, payload: Buffer) -> Buffer:
        """Return a record's payload as it is written.

        Args:
            kind: of record.
            codec: that of the payload, with the bit that says whether it is encrypted.
            size: of the payload, uncompressed.
            digest: the same.
            payload: what is in it.
        """
        return payload

    def open(self, kind: int, codec: int, size: int, digest: bytes, stored: bytes) -> bytes | None:
        """Return a record's payload, as `close` got it; None if it is not what was written."""
        return stored

    def hide(self, place: str, value: bytes) -> bytes:
        """Return a value as it stands in the catalog.

        Args:
            place: the column; a value is not taken for one of another column.
            value: the value.
        """
        return value

    def show(self, place: str, hidden: bytes) -> bytes | None:
        """Return a value of the catalog; None if it is not one that was written there."""
        return hidden

    def hide_name(self, name: bytes) -> bytes:
        """Return what names a session as it stands in the catalog: always the same for the same name."""
        return name

    def show_name(self, hidden: bytes) -> bytes | None:
        """Return what names a session; None if it is not what was written."""
        return hidden


CLEAR = Cipher()


class Encrypting(Cipher):
    """AES-256-GCM with random nonces (NIST SP 800-38D, 8.2.2), each with a key of its own for records and the catalog.

    The names of sessions, by which they are looked up, are encrypted with AES-SIV (RFC 5297), which needs no nonce.
    Digests are looked up, too: as they look random and fill two blocks, AES itself permutes them. The keys are derived
    from the store's data key with HKDF-SHA-256 (RFC 5869).

    Args:
        data_key: 32 random bytes.

    Raises:
        StoreUnavailable: the package `cryptography` is not there.
    """

    encrypts = True

    def __init__(self, data_key: bytes) -> None:
        require_cryptography()
        from cryptography.hazmat.primitives.ciphers import Cipher as BlockCipher
        from cryptography.hazmat.primitives.ciphers import algorithms, modes
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF

        def derived(purpose: bytes, length: int = KEY_SIZE) -> bytes:
            return HKDF(SHA256(), length, None, b"holdfast encryption 1 " + purpose).derive(data_key)

        self._records = AESGCM(derived(b"records"))
        self._values = AESGCM(derived(b"catalog"))
        self._names = AESSIV(derived(b"names", 2 * KEY_SIZE))
        # One block after the other: two digests never have a half in common, or blake3 would be broken.
        self._digests = BlockCipher(algorithms.AES(derived(b"digests")), modes.ECB())

    def cover(self, digests: Sequence[bytes]) -> Sequence[bytes]:
        """See `Cipher`."""
        return _split(self._digests.encryptor().update(b"".join(digests)))

    def uncover(self, covered: Sequence[bytes]) -> Sequence[bytes]:
        """See `Cipher`. What is no digest comes back as it is: it will not be that of anything."""
        if not all(isinstance(digest, bytes) and len(digest) == KEY_SIZE for digest in covered):
            return [self.uncover([one])[0] if isinstance(one, bytes) and len(one) == 32 else one for one in covered]
        return _split(self._digests.decryptor().update(b"".join(covered)))

    def close(self, kind: int, codec: int, size: int, digest: bytes, payload: Buffer) -> Buffer:
        """See `Cipher`."""
        return _encrypt(self._records, payload, _about(kind, codec, size, digest))

    def open(self, kind: int, codec: int, size: int, digest: bytes, stored: bytes) -> bytes | None:
        """See `Cipher`. What is not encrypted is not what this store writes."""
        return _decrypt(self._records, stored, _about(kind, codec, size, digest)) if codec & ENCRYPTED else None

    def hide(self, place: str, value: bytes) -> bytes:
        """See `Cipher`."""
        return _encrypt(self._values, value, place.encode("ascii"))

    def show(self, place: str, hidden: bytes) -> bytes | None:
        """See `Cipher`."""
        return _decrypt(self._values, hidden, place.encode("ascii"))

    def hide_name(self, name: bytes) -> bytes:
        """See `Cipher`."""
        return self._names.encrypt(name, [b"session"]) if name else name

    def show_name(self, hidden: bytes) -> bytes | None:
        """See `Cipher`."""
        from cryptography.exceptions import InvalidTag

        try:
            return self._names.decrypt(hidden, [b"session"]) if hidden else hidden
        except (InvalidTag, ValueError):
            return None


def _split(digests: bytes) -> list[bytes]:
    return [digests[at : at + 32] for at in range(0, len(digests), 32)]


def _about(kind: int, codec: int, size: int, digest: bytes) -> bytes:
    return _ABOUT.pack(b"HFrc", kind, codec, size, digest)


def _encrypt(key: AESGCM, data: Buffer, about: bytes) -> bytes:
    nonce = os.urandom(NONCE_SIZE)
    return nonce + key.encrypt(nonce, data, about)


def _decrypt(key: AESGCM, data: bytes, about: bytes) -> bytes | None:
    from cryptography.exceptions import InvalidTag

    if len(data) < OVERHEAD:
        return None
    view = memoryview(data)
    try:
        return key.decrypt(view[:NONCE_SIZE], view[NONCE_SIZE:], about)
    except InvalidTag:
        return None


def require_cryptography() -> None:
    """See to it that the package `cryptography` is there.

    Raises:
        StoreUnavailable: kind ``locked``; it is not.
    """
    try:
        import cryptography.hazmat.primitives.ciphers.aead  # noqa: F401 - whether it can be imported
    except ImportError as error:
        raise StoreUnavailable(
            "locked",
            "Encrypted state needs the package `cryptography`, which is not installed. Nothing was read or saved; "
            "`pip install 'holdfast[encryption]'` installs it.",
        ) from error
