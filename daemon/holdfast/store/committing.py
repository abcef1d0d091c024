"""Making versions: a change becomes chunks, a signed delta, and one transaction."""

from __future__ import annotations

import functools
import secrets
from collections.abc import Iterable
from typing import Any, NamedTuple

from blake3 import blake3

from holdfast.quick_json import dumps

from .appending import BulkWrites
from .backlog import NewVersion
from .blobs import Location
from .chunks import ChunkWriter
from .core import Core, describe, now
from .encoding import VersionParts, encode_delta, encode_fields, event_record, version_record
from .errors import Damaged, NoSuchVersion, SaveFailed, StoreError, Untrusted
from .listings import Listings
from .packs import CHUNK_SIZE
from .patching import Base, Bases, Upload
from .pins import Pin
from .predecessors import Predecessors, Replaced
from .records import HEAD, Buffer, Change, ComponentContent, ComponentEntry, Head, Patch, VersionRecord
from .rows import SessionRow, VersionRow, from_blob, to_blob, version_id

BASE_EVERY = 64
"""A complete listing is written once this many deltas lie between and they weigh as much as the listing: reading
then costs at most twice the listing, and all listings together at most as much as the deltas."""

LISTED_LATER = 1 << 20
"""Complete listings of more bytes are made in idle time, not by a commit: that of 100,000 variables takes a second."""
_PATIENCE = 4


class _Stored(NamedTuple):
    """A component whose bytes are stored, before its version has a number."""

    id: str
    members: tuple[str, ...]
    fingerprint: str
    digest: bytes
    size: int
    summaries: dict[str, dict[str, Any]]
    content: bytes


class Committer:
    """Writes versions."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._short_environment: dict[str, Any] | None = None
        self._bases = Bases(core)
        self._listings = Listings()
        self._predecessors = Predecessors(core, self._listings)

    def commit(self, key: str, change: Change, parent: int | Head | None, synced: bool) -> VersionRecord:
        """See `Store.commit`."""
        core = self._core
        bulk = BulkWrites(core.bulk, core.bulk_lock)
        pin = core.pins.hold()
        try:
            writer = ChunkWriter(pin.known, bulk, core.packs.cipher)
            stored = []
            ends: dict[int, int] = {}
            for component in change.changed:
                id, members, fingerprint, stream, buffers, summaries = component
                for patch in _patches(component):
                    self._take_upload(patch, ends)
                digest, size, content = writer.add_content(
                    stream,
                    buffers,
                    functools.partial(self._base, key, parent, id, pin),
                    None if change.full else self._predecessors.of(key, component, pin),
                )
                stored.append(_Stored(id, members, fingerprint, digest, size, summaries, content))
            fields = encode_fields(change, writer.add, self._short_environment)
            self._short_environment = fields.get("environment")
            with core.lock:
                meta = None
                small = not writer.rows and sum(component.size for component in stored) <= CHUNK_SIZE
                if small and not synced and not change.full:
                    meta = self._defer(key, parent, change, stored, fields, writer)
                if meta is None:
                    meta = self._commit(key, parent, change, stored, fields, writer, synced, bulk, ends)
                session, row = core.heads[key]
        finally:
            bulk.release()
            pin.release()
        core.heal(writer.rows)
        for component, kept in zip(change.changed, stored, strict=True):
            if any(isinstance(buffer, Patch) for buffer in component.buffers):
                lists = {
                    index: buffer.lists
                    for index, buffer in enumerate(component.buffers)
                    if isinstance(buffer, Patch) and buffer.lists
                }
                self._bases.note(session, component.id, component.fingerprint, kept.content, kept.digest, lists)
        return VersionRecord(
            version=row.number,
            parent=row.parent,
            saved_at=meta["savedAt"],
            code=change.code,
            run_id=change.run_id,
            execution_count=change.execution_count,
            names_changed=tuple(change.names_changed),
            names_removed=tuple(change.names_removed),
            skipped=tuple(change.skipped),
            environment=change.environment,
            bytes=row.written,
            seconds=change.run_seconds,
            label=None,
            digest=row.digest.hex(),
            filename=change.filename,
            line=change.line,
            cell=change.cell,
        )

    def _defer(
        self,
        key: str,
        parent: int | Head | None,
        change: Change,
        stored: list[_Stored],
        fields: dict[str, Any],
        writer: ChunkWriter,
    ) -> dict[str, Any] | None:
        """Write a version to the log alone; return its metadata, None if it takes the catalog to make it.

        Only small ones: after a kill, whether they are whole has to be plain without reading lists of chunks.
        """
        core = self._core
        known = core.known_head(key)
        if known is None:
            return None
        session, above = known
        if parent is not HEAD and parent != session.head:
            return None
        entries = _entries(stored, session.next)
        delta = encode_delta(entries, change.removed)
        if _is_base_due(above, delta):
            return None
        meta = {**fields, "base": False, "version": session.next, "session": session.uuid.hex()}
        try:
            version = self._append(session, above, meta, delta, writer, [])
            core.defer(version)
        except BaseException:
            core.log.abort()
            raise
        self._stand(key, version, entries, change)
        return meta

    def _stand(self, key: str, version: NewVersion, entries: list[ComponentEntry], change: Change) -> None:
        """Remember that a session stands on a version that this process made."""
        row = version.row
        self._core.verified[version.session.uuid] = row
        self._core.heads[key] = (version.session, row)
        above = None if change.full else row.parent
        self._listings.follow(version.session.uuid, above, row.number, entries, change.removed)

    def _commit(
        self,
        key: str,
        parent: int | Head | None,
        change: Change,
        stored: list[_Stored],
        fields: dict[str, Any],
        writer: ChunkWriter,
        synced: bool,
        bulk: BulkWrites,
        ends: dict[int, int],
    ) -> dict[str, Any]:
        """Write a version to log and catalog; return its metadata."""
        core = self._core
        with core.writing(durable=synced, bulk=bulk, ends=ends):
            session = core.catalog.live(to_blob(key))
            created = session is None
            if session is None:
                session = core.catalog.add_session(secrets.token_bytes(16), to_blob(key))
            number = max(session.next, core.catalog.newest(session.id) + 1)
            above = self._parent(session, session.head if parent is HEAD else parent, change.full)
            entries = _entries(stored, number)
            if above is not None and change.full:
                entries = self._keep_since(session, above, entries)
            base, delta = self._delta(session, above, change, entries)
            meta = {**fields, "base": base, "version": number, "session": session.uuid.hex()}
            version = self._append(session, above, meta, delta, writer, [describe(session)] if created else [])
            version.note(core.catalog, core.sealed)
        self._stand(key, version, entries, change)
        return meta

    def branch(self, source: SessionRow, number: int, to: str) -> int:
        """Write a complete listing of `source` at `number` as the next version of another session; return its number.

        Raises:
            NoSuchVersion, Damaged, Untrusted, SaveFailed.
        """
        core = self._core
        with core.lock, core.writing():
            core.heads.clear()
            entries = core.timeline.listing(source, number)
            origin = core.timeline.version(source, number)
            session = core.catalog.live(to_blob(to))
            created = session is None
            if session is None:
                session = core.catalog.add_session(secrets.token_bytes(16), to_blob(to))
            new = max(session.next, core.catalog.newest(session.id) + 1)
            above = self._parent(session, session.head, full=True)
            delta = encode_delta((_since(entry, new) for entry in entries.values()), ())
            meta = {
                **origin.meta,
                "base": True,
                "version": new,
                "session": session.uuid.hex(),
                "origin": {"session": source.uuid.hex(), "version": number, "key": from_blob(source.key)},
            }
            writer = ChunkWriter(core.known, BulkWrites(core.bulk, core.bulk_lock))  # has nothing to write
            version = self._append(session, above, meta, delta, writer, [describe(session)] if created else [])
            version.note(core.catalog, core.sealed)
        self._core.verified[session.uuid] = version.row
        return new

    # ------------------------------------------------------------------ parts of a commit

    def upload(self, replaced: Replaced | None) -> Upload:
        """See `Store.upload`."""
        return Upload(self._core, self._predecessors, replaced)

    def _take_upload(self, patch: Patch, ends: dict[int, int]) -> None:
        upload = patch.upload
        if upload is None:
            return
        if upload.core is not self._core:
            raise SaveFailed("no_base", "A large value was sent to a state folder that is gone.")
        for number, end in upload.ends.items():
            ends[number] = max(end, ends.get(number, 0))

    def _base(self, key: str, parent: int | Head | None, component: str, pin: Pin, patch: Patch) -> Base:
        core = self._core
        with core.lock:
            if key in core.heads:
                session: SessionRow | None = core.heads[key][0]
            else:
                with core.reading():
                    session = core.catalog.live(to_blob(key))
            if session is not None and parent is not HEAD:
                session = session._replace(head=parent)
            return self._bases.find(session, component, patch, pin)

    def _parent(self, session: SessionRow, number: int | None, full: bool) -> VersionRow | None:
        """Return the version to build on.

        A delta on top of something unreadable or untrusted could never be read again, however well it was saved: so
        the whole chain is verified, once in this process.
        """
        if number is None:
            return None
        verified = self._core.verified.get(session.uuid)
        if verified is not None and verified.number == number:
            return verified
        try:
            if not full:
                self._core.timeline.require_restorable(session, number)
            return self._core.timeline.version(session, number).row
        except NoSuchVersion as error:
            if full:
                return None
            raise SaveFailed("no_parent", f"{error.message} Nothing was saved on top of it.") from error
        except (Damaged, Untrusted) as error:
            if full:
                return self._core.catalog.version(session.id, number)
            kind = "untrusted" if isinstance(error, Untrusted) else "damaged"
            raise SaveFailed(
                kind, f"This version is not saved, since it would build on one that cannot be restored. {error.message}"
            ) from error

    def _delta(
        self, session: SessionRow, above: VersionRow | None, change: Change, entries: list[ComponentEntry]
    ) -> tuple[bool, bytes]:
        """Return whether this is a complete listing, and the encoded delta."""
        if above is None or change.full:
            return True, encode_delta(entries, ())
        delta = encode_delta(entries, change.removed)
        if not _is_base_due(above, delta):
            return False, delta
        listing = self._listings.of(session.uuid, above.number)
        if listing is None:
            listing = self._core.timeline.listing(session, above.number)
            self._listings.note(session.uuid, above.number, dict(listing))
        for gone in change.removed:
            listing.pop(gone, None)
        listing.update((entry.id, entry) for entry in entries)
        return True, encode_delta(listing.values(), ())

    def _keep_since(
        self, session: SessionRow, above: VersionRow, entries: list[ComponentEntry]
    ) -> list[ComponentEntry]:
        """A complete listing says again what was there: that does not make it new."""
        try:
            before = self._core.timeline.listing(session, above.number)
        except StoreError:
            # What came before cannot be read, which is why everything is saved anew; then all of it is new.
            return entries
        kept = []
        for entry in entries:
            old = before.get(entry.id)
            same = old is not None and old.digest == entry.digest and old.members == entry.members
            kept.append(_since(entry, old.since) if old is not None and same else entry)
        return kept

    def _append(
        self,
        session: SessionRow,
        above: VersionRow | None,
        meta: dict[str, Any],
        delta: bytes,
        writer: ChunkWriter,
        events: list[dict[str, Any]],
    ) -> NewVersion:
        """Append to the log all that makes the version exist; return what the catalog is to note."""
        core = self._core
        number = meta["version"]
        meta["parent"] = None if above is None else above.number
        meta["parentDigest"] = None if above is None else above.digest.hex()
        meta["savedAt"] = now()
        meta["delta"] = blake3(delta).hexdigest()
        meta["chunkBytes"] = writer.written
        text = dumps(meta)
        digest = blake3(text).digest()
        seal = core.seal.sign(b"version", digest)
        record = version_record(core.packs.cipher, VersionParts(core.seal.key_id, seal, text, delta))
        opening = event_record(core.packs.cipher, events) if events else b""
        chunks = sum(len(header) + len(payload) for _, header, payload, _, _ in writer.pending)
        pack, offset = core.log.position(len(opening) + chunks + len(record))
        views: list[Buffer] = [opening]
        offset += len(opening)
        for name, header, payload, size, codec in writer.pending:
            offset += len(header)
            writer.rows.append((name, Location(pack, offset, len(payload), size, codec)))
            offset += len(payload)
            views += (header, payload)
        core.log.append([*views, record])
        base = meta["base"]
        row = VersionRow(
            id=version_id(session.id, number),
            parent=meta["parent"],
            base=int(base),
            depth=0 if base or above is None else above.depth + 1,
            weight=0 if base or above is None else above.weight + len(delta),
            listing=len(delta) if base or above is None else above.listing,
            pack=pack,
            offset=offset,
            written=writer.written + len(record),
            label=None,
            signer=core.seal.key_id,
            seal=seal,
            digest=digest,
            meta=text,
        )
        moved = session._replace(head=number, tip=number, next=number + 1, written=session.written + row.written)
        return NewVersion(moved, row, delta, writer.rows)


def _patches(component: ComponentContent) -> list[Patch]:
    return [blob for blob in (component.stream, *component.buffers) if isinstance(blob, Patch)]


def is_listing_due(row: VersionRow) -> bool:
    """Whether a version of a session of many components is to get a listing of its own in idle time."""
    return row.listing > LISTED_LATER and row.depth + 1 >= BASE_EVERY and row.weight >= row.listing


def _is_base_due(above: VersionRow, delta: bytes) -> bool:
    # If idle time never comes, somebody has to wait.
    least = above.listing if above.listing <= LISTED_LATER else _PATIENCE * above.listing
    return above.depth + 1 >= BASE_EVERY and above.weight + len(delta) >= least


def _entries(stored: Iterable[_Stored], number: int) -> list[ComponentEntry]:
    return [
        ComponentEntry(id, members, fingerprint, digest, size, summaries, number, content)
        for id, members, fingerprint, digest, size, summaries, content in stored
    ]


def _since(entry: ComponentEntry, number: int) -> ComponentEntry:
    return ComponentEntry(
        entry.id, entry.members, entry.fingerprint, entry.digest, entry.size, entry.summaries, number, entry.content
    )
