"""Reading versions: finding a sound copy, verifying who wrote it, and walking the chain to a complete listing."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple, NoReturn

from blake3 import blake3

from .blobs import BlobRef
from .catalog import Catalog
from .cipher import OVERHEAD
from .encoding import VersionParts, beginning, decode_delta, decode_record, open_payload, split_version
from .errors import Damaged, NoSuchVersion, StoreError, Untrusted
from .ledger import ListingRow
from .packs import LISTING_RECORD, MAX_RECORD, RECORD_HEADER, RECORD_MAGIC, VERSION_RECORD, PackFolder, Record
from .reading import ChunkReader
from .records import ComponentEntry, VersionRecord
from .rows import SessionRow, VersionRow, from_blob
from .seal import Seal
from .trusts import Trusts

_UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, RecursionError)
"""What taking apart a document that is not what it should be can raise."""


UNSEALED_META = 1 << 22
UNSEALED_DELTA = 1 << 23
"""Bytes of metadata and of a delta that are read of a version that nobody vouches for: as JSON they take many times as
much memory. All of a history's metadata together:"""
UNSEALED_HISTORY = 1 << 25
UNSEALED_RECORD = 1 << 27
"""Bytes of a record in the log that are unpacked to be noted or compared as a whole, and not taken apart."""
UNSEALED_BLOB = 1 << 20
"""Bytes of its code, or what else is only shown: a blob can be said to be of any size."""


class Version(NamedTuple):
    """A version whose digests are right; `trusted` says that its seal is ours, or that the user trusts this content."""

    row: VersionRow
    meta: dict[str, Any]
    delta: bytes | None
    trusted: bool
    ours: bool
    """Whether the seal is the user's own."""

    @property
    def is_base(self) -> bool:
        """Whether the delta is a complete listing, as the signed metadata says."""
        return bool(self.meta["base"])

    @property
    def parent(self) -> int | None:
        """The number of the parent, as the signed metadata says."""
        parent = self.meta["parent"]
        return None if parent is None else int(parent)


class Sealed(NamedTuple):
    """A version that was verified, and what it holds."""

    record: VersionRecord
    entries: dict[str, ComponentEntry]
    ours: bool
    """Whether the user's own key sealed all of it; else some of it is what somebody else made and the user trusts."""


class Timeline:
    """Reads the versions of sessions. The store's lock is held around every call."""

    def __init__(self, catalog: Catalog, packs: PackFolder, reader: ChunkReader, seal: Seal, trusts: Trusts) -> None:
        self.catalog = catalog
        self._packs = packs
        self._reader = reader
        self._seal = seal
        self._trusts = trusts

    # ------------------------------------------------------------------ one version

    def version(self, session: SessionRow, number: int, *, with_delta: bool = False) -> Version:
        """Return a version, from the catalog or, where that is damaged, from the log.

        Raises:
            NoSuchVersion: there is none of that number.
            Damaged: neither copy is what was written.
        """
        row = self.catalog.version(session.id, number)
        if row is None:
            raise NoSuchVersion(from_blob(session.key), number)
        found = self._examine(session, row, None, with_delta)
        if found is None or not found.trusted:
            copy = self._second_copy(session, row)
            if copy is not None and (found is None or copy.trusted):
                found = copy
        if found is None:
            raise Damaged(
                "version",
                f"version {number} of {from_blob(session.key)}",
                f"Version {number} of {from_blob(session.key)} is damaged. It cannot be restored; versions that do not "
                f"build on it can: choose one from the history.",
            )
        return found

    def copies(self, session: SessionRow, row: VersionRow) -> tuple[Version | None, Version | None]:
        """Return what the catalog and what the log has of a version; None where that is not what was written."""
        own = self._examine(session, row, None, with_delta=True)
        return own, self._second_copy(session, row)

    def parts(self, pack: int, offset: int, kind: int) -> VersionParts | None:
        """Return what a version's or a listing's record holds, None if it is not whole."""
        return self._record(pack, offset, kind)

    def _examine(self, session: SessionRow, row: VersionRow, delta: bytes | None, with_delta: bool) -> Version | None:
        """Return the version if its digests hold and it is the one that the row claims to be.

        Args:
            delta: if None, and it is asked for, that of the catalog.
        """
        if blake3(row.meta).digest() != row.digest:
            return None
        ours, trusted = self._is_trusted(session.uuid, row)
        if not trusted and len(row.meta) > UNSEALED_META:
            return None
        try:
            meta = json.loads(row.meta)
            parent = meta["parent"]
            if meta["session"] != session.uuid.hex() or meta["version"] != row.number or "base" not in meta:
                return None
            if parent is not None and not (0 < parent < row.number and isinstance(meta["parentDigest"], str)):
                return None
            if with_delta:
                if delta is None:
                    delta = self.catalog.delta(session.id, row.number, MAX_RECORD if trusted else UNSEALED_DELTA)
                if delta is None or blake3(delta).hexdigest() != meta["delta"]:
                    return None
        except _UNREADABLE:
            return None
        return Version(row, meta, delta, trusted, ours)

    def _is_trusted(self, session: bytes, row: VersionRow) -> tuple[bool, bool]:
        """Return whether the user's own key sealed a version, and whether that or their word vouches for it."""
        ours = row.signer == self._seal.key_id and self._seal.verify(row.seal, b"version", row.digest)
        return ours, ours or self._trusts.is_pinned(session, row.digest)

    def _record(self, pack: int, offset: int, expected: int) -> VersionParts | None:
        """Return what a record of the log holds, None if it is not of the expected kind, or damaged."""
        try:
            head = self._packs.read(pack, offset, RECORD_HEADER.size)
            magic, kind, codec, _, _, size, stored, covered, check = RECORD_HEADER.unpack(head)
            if magic != RECORD_MAGIC or kind != expected or zlib.crc32(head[:-4]) != check:
                return None
            if max(size, stored) > MAX_RECORD + OVERHEAD:
                return None
            (digest,) = self._packs.cipher.uncover((covered,))
            record = Record(kind, codec, offset, offset + RECORD_HEADER.size, stored, size, digest, ())
            if max(size, stored) > UNSEALED_DELTA and not self._begins_sealed(pack, record):
                return None
            payload = open_payload(self._packs.cipher, record, self._packs.read(pack, record.payload, stored))
            return None if payload is None else split_version(payload)
        except (StoreError, ValueError, OverflowError, OSError):
            return None

    def _begins_sealed(self, pack: int, record: Record) -> bool:
        """Whether a large record holds something that is the user's own, told from its beginning."""
        read = partial(self._packs.read, pack, record.payload)
        return self.is_sealed(beginning(self._packs.cipher, record, read, UNSEALED_META))

    def is_sealed(self, parts: VersionParts) -> bool:
        """Whether a version or a listing in the log was sealed with the user's own key."""
        digest = blake3(parts.meta).digest()
        purposes = (b"version", b"listing")
        return parts.signer == self._seal.key_id and any(self._seal.verify(parts.seal, p, digest) for p in purposes)

    def _second_copy(self, session: SessionRow, row: VersionRow) -> Version | None:
        parts = self._record(row.pack, row.offset, VERSION_RECORD)
        if parts is None:
            return None
        copy = row._replace(signer=parts.signer, seal=parts.seal, meta=parts.meta, digest=blake3(parts.meta).digest())
        return self._examine(session, copy, parts.delta, with_delta=True)

    def record(self, session: SessionRow, number: int) -> VersionRecord:
        """Return a version as people see it. Not verified.

        Raises:
            NoSuchVersion: there is none of that number.
            Damaged: it cannot be read.
        """
        return self.describe(session, self.version(session, number))

    def describe(self, session: SessionRow, found: Version) -> VersionRecord:
        """Return a version as people see it. Not verified.

        Raises:
            Damaged: it cannot be read.
        """
        what = f"version {found.row.number} of {from_blob(session.key)}"
        label = None if found.row.label is None else from_blob(found.row.label)

        def read(ref: BlobRef) -> bytes:
            if ref.size > UNSEALED_BLOB and not found.trusted:
                raise ValueError("nobody vouches for that much")
            return self._reader.blob(ref, what)

        try:
            return decode_record(found.meta, found.row.digest, found.row.written, label, read)
        except _UNREADABLE as error:
            raise Damaged(
                "version",
                what,
                f"What was noted about {what} cannot be read. Its variables may still be restored.",
            ) from error

    # ------------------------------------------------------------------ trust

    def verify_position(self, session: SessionRow) -> None:
        """Check that the session stands where this user's daemon put it, and that nothing newer was hidden.

        Raises:
            Untrusted: it does not.
        """
        key = from_blob(session.key)
        if session.signer != self._seal.key_id or not self._seal.verify(session.seal, *position(session)):
            self._refuse(session.signer, f"the saved state of {key}")
        if self.catalog.newest(session.id) >= session.next:
            raise Untrusted(
                "rolled_back",
                f"The saved state of {key} was set back to an older version by something other than Holdfast. Nothing "
                f"was restored. Its history lists all versions; restore the one you want.",
            )

    def require_trusted(self, session: SessionRow, version: Version) -> None:
        """Check a version's seal.

        Raises:
            Untrusted: it is not this user's.
        """
        if not version.trusted:
            self._refuse(version.row.signer, f"version {version.row.number} of {from_blob(session.key)}")

    def _refuse(self, signer: bytes, what: str) -> NoReturn:
        if signer == self._seal.key_id:
            raise Untrusted(
                "wrong_seal",
                f"The seal of {what} does not match: it was changed by something other than Holdfast. It was not "
                f"restored, since restoring runs code. Restore another version from the history, or run the "
                f"file again.",
            )
        who = self.catalog.signer(signer)
        by = f", which says that it belongs to {who}" if who else ""
        raise Untrusted(
            "unknown_signer",
            f"This is not state that you saved on this machine: {what} was signed with another key{by}. It was not "
            f"restored, since restoring runs code. If you trust where it comes from, `holdfast trust FILE` shows "
            f"what is there and lets it be restored; otherwise run the file again.",
        )

    # ------------------------------------------------------------------ listings

    def chain(self, session: SessionRow, number: int) -> list[Version]:
        """Return the versions from the last complete listing to this one, each verified against seal and parent.

        Raises:
            NoSuchVersion, Damaged, Untrusted.
        """
        chain: list[Version] = []
        for version in self._ancestry(session, number):
            self.require_trusted(session, version)
            chain.append(version)
        chain.reverse()
        return chain

    def _ancestry(self, session: SessionRow, number: int) -> Iterator[Version]:
        at: int | None = number
        expected: str | None = None
        listed = self.catalog.history.listings_of(session.id)
        while at is not None:
            try:
                version = self.version(session, at, with_delta=True)
            except NoSuchVersion as error:
                if at == number:
                    raise
                raise _broken_chain(session, number, at) from error
            if expected is not None and version.row.digest.hex() != expected:
                raise _broken_chain(session, number, at)
            whole = self._listed(session, version) if at in listed and not version.is_base else None
            yield whole or version
            if version.is_base or whole is not None:
                return
            # Parents have lower numbers (checked when read), so this ends.
            at, expected = version.parent, version.meta["parentDigest"]
        raise _broken_chain(session, number, number)

    def _listed(self, session: SessionRow, version: Version) -> Version | None:
        """Return a version as if it were a base, by the complete listing that was made of it later; None if that is not
        to be trusted."""
        row = self.catalog.history.listing(session.id, version.row.number)
        if row is None:
            return None
        for parts in (VersionParts(row.signer, row.seal, row.meta, row.delta), self._listing_copy(row)):
            if parts is not None and self._is_listing_of(version, session, parts):
                return version._replace(meta={**version.meta, "base": True}, delta=parts.delta)
        return None

    def _listing_copy(self, row: ListingRow) -> VersionParts | None:
        return self._record(row.pack, row.offset, LISTING_RECORD)

    def listing_copies(
        self, session: SessionRow, version: VersionRow, row: ListingRow
    ) -> tuple[bytes | None, bytes | None]:
        """Return the listing made of a version later, as catalog and log have it; None where it is not whole."""
        found = Version(version, {}, None, trusted=False, ours=False)
        own = VersionParts(row.signer, row.seal, row.meta, row.delta)
        copy = self._listing_copy(row)
        return (
            own.delta if self._is_listing_of(found, session, own) else None,
            copy.delta if copy is not None and self._is_listing_of(found, session, copy) else None,
        )

    def listing_delta(self, row: ListingRow) -> bytes:
        """Return the bytes of a listing that was made later, whoever sealed it.

        Raises:
            Damaged: neither copy is what was written.
        """
        for parts in (VersionParts(row.signer, row.seal, row.meta, row.delta), self._listing_copy(row)):
            try:
                if parts is not None and not self._is_sealed_listing(parts) and len(parts.delta) > UNSEALED_DELTA:
                    continue
                if parts is not None and json.loads(parts.meta)["delta"] == blake3(parts.delta).hexdigest():
                    return parts.delta
            except _UNREADABLE:
                continue
        raise Damaged("listing", "a listing", "A listing of the saved state cannot be read.")

    def _is_listing_of(self, version: Version, session: SessionRow, parts: VersionParts) -> bool:
        """Whether it is this user's listing of this very version, and whole."""
        sealed = self._is_sealed_listing(parts) or self._trusts.is_pinned(session.uuid, blake3(parts.meta).digest())
        try:
            meta = json.loads(parts.meta)
            return (
                sealed
                and meta["session"] == session.uuid.hex()
                and meta["version"] == version.row.number
                and meta["digest"] == version.row.digest.hex()
                and meta["delta"] == blake3(parts.delta).hexdigest()
            )
        except _UNREADABLE:
            return False

    def require_restorable(self, session: SessionRow, number: int) -> None:
        """Check all that a version builds on.

        Raises:
            NoSuchVersion, Damaged, Untrusted.
        """
        if self._trusts.revoked(session.uuid):
            self.listing(session, number)
        else:
            self.chain(session, number)

    def sealed(self, session: SessionRow, number: int) -> Sealed:
        """Return a version as people see it with its components, both from the same bytes, which were verified.

        Raises:
            NoSuchVersion, Damaged, Untrusted.
        """
        chain = self.chain(session, number)
        entries = self._put_together(session, number, chain)
        return Sealed(self.describe(session, chain[-1]), entries, all(version.ours for version in chain))

    def _is_sealed_listing(self, parts: VersionParts) -> bool:
        digest = blake3(parts.meta).digest()
        return parts.signer == self._seal.key_id and self._seal.verify(parts.seal, b"listing", digest)

    def listing(self, session: SessionRow, number: int) -> dict[str, ComponentEntry]:
        """Return the components of a version by id.

        Raises:
            NoSuchVersion, Damaged, Untrusted.
        """
        return self._put_together(session, number, self.chain(session, number))

    def _put_together(self, session: SessionRow, number: int, chain: list[Version]) -> dict[str, ComponentEntry]:
        entries: dict[str, ComponentEntry] = {}
        try:
            for version in chain:
                assert version.delta is not None
                delta = decode_delta(version.delta)
                if version.is_base:
                    entries.clear()
                for gone in delta.removed:
                    entries.pop(gone, None)
                for entry in delta.changed if version.ours else self._as_theirs(session, version, delta.changed):
                    entries[entry.id] = entry
        except _UNREADABLE as error:
            raise _broken_chain(session, number, number) from error
        revoked = self._trusts.revoked(session.uuid)
        inherited = {entry.since: entry for entry in entries.values() if entry.since in revoked} if revoked else {}
        if inherited:
            key = from_blob(session.key)
            raise Untrusted(
                "revoked",
                f"Version {number} of {key} holds what came in with version {min(inherited)}, of which you took your "
                f"trust back. It was not restored. Restore another version from the history, or trust it again with "
                f"`holdfast trust FILE`.",
            )
        return entries

    def _as_theirs(
        self, session: SessionRow, version: Version, entries: list[ComponentEntry]
    ) -> Iterator[ComponentEntry]:
        """Yield what somebody else's version holds, as having come in with one of theirs, whatever they say of it: what
        came in with them is told from one's own by that when their trust is taken back."""
        theirs = set(self._trusts.of(session.uuid).versions.values())
        for entry in entries:
            yield entry if entry.since in theirs else entry._replace(since=version.row.number)


def position(session: SessionRow) -> tuple[bytes, bytes, bytes]:
    """Return what the seal of a session's position covers."""
    stand = f"{session.head} {session.tip} {session.next}".encode("ascii")
    return b"position", session.uuid, stand


def _broken_chain(session: SessionRow, number: int, at: int) -> Damaged:
    key = from_blob(session.key)
    return Damaged(
        "listing",
        f"version {number} of {key}",
        f"Version {number} of {key} builds on version {at}, which is missing or damaged, so its list of variables "
        f"cannot be read. Nothing was changed; restore another version from the history.",
    )
