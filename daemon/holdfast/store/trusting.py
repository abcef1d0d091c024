"""State that others signed: who they say they are, and the user's word that it may be restored."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from blake3 import blake3

from .core import Core, now
from .errors import Damaged, NoSuchVersion, StoreError, Untrusted
from .places import Places
from .rows import SessionRow, from_blob
from .timeline import Version


@dataclass(slots=True)
class Signer:
    """Somebody else's key, and what was signed with it of one session. All but `trusted_at` is what they say."""

    key_id: bytes
    name: str | None
    folder: str | None
    versions: list[int] = field(default_factory=list)
    saved: list[str] = field(default_factory=list)
    """When each of these versions was saved."""
    trusted: int = 0
    """How many of them the user trusts."""
    trusted_at: str | None = None


@dataclass(slots=True)
class Strangers:
    """What others signed of one session."""

    signers: list[Signer]
    pins: dict[bytes, int]
    """What is not trusted: digests of versions, and their numbers."""
    listings: set[bytes]
    """Digests of complete listings that others made of versions later."""

    @property
    def digest(self) -> str:
        """Names exactly what `pins` and `listings` hold; empty if there is nothing to be trusted."""
        if not self.pins:
            return ""
        return blake3(b"".join([*sorted(self.pins), *sorted(self.listings)])).hexdigest()


class Trusting:
    """The part of `Store` that is about the state of others."""

    _core: Core
    _places: Places

    def strangers(self, key: str) -> Strangers:
        """Return who else signed versions of a session, and what trusting them would pin. Reads every version."""
        with self._core.reading():
            session = self._places.find(key)
            return Strangers([], {}, set()) if session is None else self._strangers(session)

    def is_ours(self, key: str) -> bool:
        """Whether all versions of a session say that they were signed with the user's key, and the user never said
        anything about others."""
        with self._core.reading():
            session = self._places.find(key)
            if session is None:
                return True
            said = self._core.trusts.of(session.uuid)
            if said.at or said.revoked:
                return False
            return not self._core.catalog.history.has_other_signers(session.id, self._core.seal.key_id)

    def trust(self, key: str, expected: str | None = None) -> int:
        """Let the versions be restored that others signed of a session, as they are now; return how many.

        Args:
            key: the session.
            expected: `Strangers.digest` of what the user has seen.

        Raises:
            NoSuchVersion: there is no such session.
            Untrusted: kind ``changed``; what is there is not what was expected. Kind ``wrong_seal``: it says that it is
                the user's own, and is not.
            StoreUnavailable: kind ``key``; what is trusted cannot be noted.
            SaveFailed: what is trusted was noted, and the session could not be made to stand on it.
        """
        core = self._core
        with core.lock:
            with core.reading():
                session = self._places.require(key)
                found = self._strangers(session)
                if expected is not None and expected != found.digest:
                    raise Untrusted(
                        "changed",
                        f"What others saved of {key} is not what you were shown: it changed meanwhile. Nothing was "
                        f"trusted; look again with `holdfast trust FILE --list`.",
                    )
                if found.pins or core.trusts.revoked(session.uuid):
                    core.trusts.pin(
                        session.uuid,
                        found.pins,
                        found.listings,
                        [signer.key_id for signer in found.signers],
                        document=key,
                        workspace=str(core.packs.folder.parent.parent.absolute()),
                        at=now(),
                    )
                elif not found.signers:
                    self._require_own_head(session)
            self._forget_verified()
            self._take_position(key)
        return len(found.pins)

    def distrust(self, key: str) -> list[str]:
        """Take back what was trusted of a session, and of sessions that branched from it; return their keys.

        Raises:
            NoSuchVersion: there is no such session.
            StoreUnavailable: kind ``key``; that cannot be noted.
        """
        core = self._core
        with core.lock, core.reading():
            session = self._places.require(key)
            workspace = str(core.packs.folder.parent.parent.absolute())
            if not core.trusts.of(session.uuid).versions:
                return []
            heirs = self._heirs(session)
            core.trusts.revoke(session.uuid, document=key, workspace=workspace)
            for heir, numbers in heirs:
                core.trusts.revoke(heir.uuid, numbers, document=from_blob(heir.key), workspace=workspace)
            self._forget_verified()
        return [key, *(from_blob(heir.key) for heir, _ in heirs)]

    def revoked(self, key: str) -> frozenset[int]:
        """Return the versions of a session whose trust was taken back: what came in with them is not restored.

        Raises:
            NoSuchVersion: there is no such session.
            StoreUnavailable: kind ``key``; what is noted of it cannot be read.
        """
        with self._core.reading():
            return self._core.trusts.revoked(self._places.require(key).uuid)

    # ------------------------------------------------------------------

    def _strangers(self, session: SessionRow) -> Strangers:
        core = self._core
        said = core.trusts.of(session.uuid)
        signers: dict[bytes, Signer] = {}
        pins: dict[bytes, int] = {}
        for stub in core.catalog.history.stubs(session.id):
            try:
                version = core.timeline.version(session, stub.number)
            except (Damaged, NoSuchVersion):
                continue
            if version.ours or version.row.signer == core.seal.key_id:
                continue
            signer = self._signer(signers, version)
            if version.row.digest in said.versions:
                signer.trusted += 1
                signer.trusted_at = said.at.get(signer.key_id.hex())
            else:
                pins[version.row.digest] = version.row.number
        listings = self._listings(session) if signers else set()
        return Strangers(list(signers.values()), pins, listings - said.listings)

    def _signer(self, signers: dict[bytes, Signer], version: Version) -> Signer:
        key_id, meta = version.row.signer, version.meta
        if key_id not in signers:
            catalog = self._core.catalog
            signers[key_id] = Signer(key_id, catalog.signer(key_id), catalog.signer_folder(key_id))
        signer = signers[key_id]
        signer.versions.append(version.row.number)
        signer.saved.append(str(meta.get("savedAt"))[:40])
        return signer

    def _listings(self, session: SessionRow) -> set[bytes]:
        history = self._core.catalog.history
        rows = (history.listing(session.id, number) for number in history.listings_of(session.id))
        return {blake3(row.meta).digest() for row in rows if row is not None and row.signer != self._core.seal.key_id}

    def _require_own_head(self, session: SessionRow) -> None:
        """Nobody else signed anything: then what cannot be restored was changed, which nobody can be trusted for."""
        if session.head is not None:
            self._core.timeline.listing(session, session.head)

    def _take_position(self, key: str) -> None:
        """Seal where the session stands, if that is somewhere trusted."""
        core = self._core
        with core.writing():
            session = self._places.require(key)
            if session.head is None:
                return
            try:
                core.timeline.verify_position(session)
                return
            except Untrusted:
                core.timeline.listing(session, session.head)
            following = max(session.next, core.catalog.newest(session.id) + 1)
            moved = core.sealed(session._replace(next=following))
            core.log_event(moved)
            core.catalog.update_position(moved)

    def _forget_verified(self) -> None:
        self._core.heads.clear()
        self._core.verified.clear()

    def _heirs(self, session: SessionRow) -> list[tuple[SessionRow, list[int]]]:
        """Return the sessions that began as branches of one that holds what is trusted of others, and the versions they
        began with."""
        core = self._core
        numbers = set(core.trusts.of(session.uuid).versions.values())
        tainted: dict[bytes, set[int]] = {session.uuid: numbers | core.trusts.revoked(session.uuid)}
        rows = {row.uuid: row for row in core.catalog.sessions("1")}
        origins = [
            (row.uuid, stub.number, origin)
            for row in rows.values()
            for stub in core.catalog.history.stubs(row.id)
            if stub.base
            for origin in (_origin(core, row, stub.number),)
            if origin is not None
        ]
        found: dict[bytes, list[int]] = {}
        grown = True
        while grown:
            grown = False
            for uuid, number, (source, version) in origins:
                if source not in tainted or number in tainted.get(uuid, ()):
                    continue
                if _holds(core, rows.get(source), version, tainted[source]):
                    tainted.setdefault(uuid, set()).add(number)
                    found.setdefault(uuid, []).append(number)
                    grown = True
        return [(rows[uuid], numbers) for uuid, numbers in found.items() if uuid != session.uuid]


def _origin(core: Core, session: SessionRow, number: int) -> tuple[bytes, int] | None:
    """Return of which session and version a version is a branch."""
    row = core.catalog.version(session.id, number)
    if row is None or b'"origin"' not in row.meta:
        return None
    try:
        origin = json.loads(row.meta)["origin"]
        return bytes.fromhex(origin["session"]), int(origin["version"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _holds(core: Core, session: SessionRow | None, version: int, numbers: Iterable[int]) -> bool:
    """Whether a version holds what came in with others; also if that cannot be told any more."""
    try:
        if session is None:
            return True
        tainted = set(numbers)
        return any(entry.since in tainted for entry in core.timeline.listing(session, version).values())
    except StoreError:
        return True
