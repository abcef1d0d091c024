"""The catalog's rows, read with suspicion: any column of a damaged file may hold anything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from .cipher import Cipher
from .failures import damaged_catalog

UUID_SIZE = 16
LONGEST = 1 << 20
"""Bytes of a key, and of whatever else stands in a row beside a version's metadata and delta."""
META_MAX = 1 << 26
"""Bytes of a version's metadata."""


def to_blob(text: str) -> bytes:
    """Return text as it is kept."""
    return text.encode("utf-8", "surrogatepass")


def from_blob(data: bytes) -> str:
    """Return kept text."""
    return data.decode("utf-8", "surrogatepass")


class SessionRow(NamedTuple):
    """A session as it is kept. `uuid` is its identity; the key is a label that moves."""

    id: int
    uuid: bytes
    key: bytes
    trashed: bytes | None
    reason: bytes | None
    head: int | None
    tip: int | None
    """The newest version of the line that the head stands on: where redo leads."""
    next: int
    written: int
    """Bytes that its versions were the first to need."""
    signer: bytes
    seal: bytes


class VersionRow(NamedTuple):
    """A version as it is kept, without its delta."""

    id: int
    parent: int | None
    base: int
    """1: the delta is a complete listing."""
    depth: int
    """Deltas since the last complete listing."""
    weight: int
    """Bytes of those deltas."""
    listing: int
    """Bytes of that listing."""
    pack: int
    offset: int
    """Its record in the log: the second copy."""
    written: int
    label: bytes | None
    signer: bytes
    seal: bytes
    digest: bytes
    meta: bytes

    @property
    def number(self) -> int:
        """The number that people see."""
        return self.id & 0xFFFFFFFF


def version_id(session: int, number: int) -> int:
    """Return the row of a version: those of a session lie together, in order."""
    return (session << 32) + number


def session_row(row: Sequence[Any], cipher: Cipher) -> SessionRow:
    """Return a session's row.

    Raises:
        Damaged: it is not what was written.
    """
    found = SessionRow(*row)
    if cipher.encrypts:
        key = cipher.show_name(found.key) if isinstance(found.key, bytes) else None
        if key is None:
            raise damaged_catalog("what a session is called cannot be decrypted")
        trashed, reason = shown(cipher, "trashed", found.trashed), shown(cipher, "reason", found.reason)
        if (trashed, reason).count(None) != (found.trashed, found.reason).count(None):
            raise damaged_catalog("where a session is cannot be decrypted")
        found = found._replace(key=key, trashed=trashed, reason=reason)
    numbers = (found.head, found.tip)
    if not (
        all(isinstance(part, bytes) for part in (found.uuid, found.key, found.signer, found.seal))
        and all(number is None or isinstance(number, int) for number in numbers)
        and all(isinstance(number, int) for number in (found.next, found.written))
        and all(part is None or isinstance(part, bytes) for part in (found.trashed, found.reason))
        and len(found.uuid) == UUID_SIZE
    ):
        raise damaged_catalog("a session's row is not readable")
    try:
        for text in (found.key, found.trashed, found.reason):
            if text is not None:
                from_blob(text)
    except UnicodeDecodeError as error:
        raise damaged_catalog("what a session is called is no text") from error
    return found


def version_row(row: Sequence[Any], cipher: Cipher) -> VersionRow:
    """Return a version's row, with nothing in place of what cannot be read."""
    found = VersionRow(*row)
    if cipher.encrypts:
        found = found._replace(
            label=shown(cipher, "label", found.label),
            digest=cipher.uncover((found.digest,))[0],
            meta=shown(cipher, "meta", found.meta) or b"",
        )
    numbers = (found.base, found.depth, found.weight, found.listing, found.pack, found.offset, found.written)
    # What is not a number or bytes is noise; the digest and the seal decide about the rest.
    clean = found._replace(
        parent=found.parent if isinstance(found.parent, int) else None,
        label=found.label if isinstance(found.label, bytes) and _is_text(found.label) else None,
        signer=_bytes(found.signer),
        seal=_bytes(found.seal),
        digest=_bytes(found.digest),
        meta=_bytes(found.meta),
    )
    if all(isinstance(number, int) for number in numbers):
        return clean
    return clean._replace(base=0, depth=0, weight=0, listing=0, pack=0, offset=0, written=0)


def shown(cipher: Cipher, column: str, value: object) -> bytes | None:
    """Return what stands in a column that is encrypted; None if that is not what was written, or nothing is there."""
    return cipher.show(column, value) if isinstance(value, bytes) else None


def hidden(cipher: Cipher, column: str, value: bytes | None) -> bytes | None:
    """Return what is to be written into a column that is encrypted."""
    return None if value is None else cipher.hide(column, value)


def _is_text(data: bytes) -> bool:
    try:
        from_blob(data)
    except UnicodeDecodeError:
        return False
    return True


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else b""
