"""What is saved of a document, told from the catalog alone: nothing is unpickled and no kernel is started."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from fnmatch import fnmatchcase
from itertools import zip_longest
from typing import Any

from holdfast import protocol
from holdfast.protocol import Environment, State, Variable, Version
from holdfast.saving import lost_list, visible
from holdfast.store.errors import StoreError, Untrusted
from holdfast.store.records import VersionRecord
from holdfast.store.store import Store
from holdfast.store.trusting import Signer, Strangers

PICKLE_PROTOCOL = 5
MAX_HISTORY = 1000
"""Versions listed when the client does not say how many; `before` gets the next ones."""
_ALL = 1 << 31


def no_state() -> State:
    """Return what is told of a document of which nothing is saved."""
    return State(
        has_saved_state=False,
        variable_count=0,
        variable_names=[],
        file_size_bytes=0,
        pickle_protocol=PICKLE_PROTOCOL,
        state_file_exists=False,
        trusted=True,
        environment=Environment(python="", platform=""),
    )


def state_of(store: Store | None, key: str) -> State:
    """Describe a document's saved state."""
    if store is None:
        return no_state()
    record = store.head(key)
    if record is None:
        state = no_state()
        state.state_file_exists = False
        return state
    trusted, names = True, []
    try:
        entries = store.listing(key)
        names = sorted(name for entry in entries.values() for name in visible(entry.members))
    except Untrusted:
        trusted = False
    strangers = Strangers([], {}, set()) if trusted and store.is_ours(key) else store.strangers(key)
    environment: Mapping[str, Any] = record.environment
    return State(
        has_saved_state=True,
        version=record.version,
        saved_at=record.saved_at,
        variable_count=len(names),
        variable_names=names,
        file_size_bytes=store.size(key),
        pickle_protocol=PICKLE_PROTOCOL,
        checksum=record.digest,
        state_file_exists=True,
        skipped=lost_list(record.skipped),
        trusted=trusted,
        signers=[_signer_of(store, key, signer) for signer in strangers.signers],
        signers_digest=strangers.digest or None,
        environment=Environment(
            python=str(environment.get("python", "")),
            platform=str(environment.get("platform", "")),
            packages={str(name): str(version) for name, version in (environment.get("packages") or {}).items()},
        ),
    )


def _signer_of(store: Store, key: str, signer: Signer) -> protocol.Signer:
    told: Mapping[str, Any] = {}
    with suppress(StoreError):
        told = store.version(key, signer.versions[-1]).environment
    return protocol.Signer(
        key_id=signer.key_id.hex(),
        name=signer.name,
        folder=signer.folder,
        python=str(told.get("python", "")),
        platform=str(told.get("platform", "")),
        versions=len(signer.versions),
        first=min(signer.saved),
        last=max(signer.saved),
        trusted=signer.trusted == len(signer.versions),
        trusted_at=signer.trusted_at,
    )


def variable_of(summary: Mapping[str, Any], *, saved: Any, version: int | None, loaded: bool) -> Variable:
    """Turn a kernel's summary of a value into the protocol's form."""
    return Variable(
        name=str(summary["name"]),
        type=str(summary.get("type", "")),
        preview=str(summary.get("preview", "")),
        saved=saved,
        loaded=loaded,
        shape=summary.get("shape"),
        length=summary.get("length"),
        bytes=summary.get("bytes"),
        version=version,
        cell=summary.get("cell"),
    )


def variables_of(store: Store | None, key: str, match: str | None) -> list[Variable]:
    """List the variables of the saved head, by name."""
    record = store.head(key) if store is not None else None
    if store is None or record is None:
        return []
    found = [
        variable_of({"name": name, **entry.summaries.get(name, {})}, saved="saved", version=entry.since, loaded=False)
        for entry in store.listing(key).values()
        for name in visible(entry.members)
        if match is None or fnmatchcase(name, match)
    ]
    return sorted(found, key=lambda variable: variable.name)


def version_of(record: VersionRecord) -> Version:
    """Turn the store's record of a version into the protocol's form."""
    return Version(
        version=record.version,
        saved_at=record.saved_at,
        code=record.code,
        changed=list(record.names_changed),
        removed=list(record.names_removed),
        bytes=record.bytes,
        duration=record.seconds * 1000,
        parent=record.parent,
        label=record.label,
    )


def origin_of(store: Store, key: str, name: str) -> list[Version]:
    """List the versions on the way to the head that made and changed a variable, since it was there last anew."""
    records = {record.version: record for record in store.history(key, _ALL)}
    head = store.head(key)
    at = None if head is None else head.version
    found: list[VersionRecord] = []
    while at is not None:
        if at not in records:  # removed to save room: the next older one has what it did
            at = max((version for version in records if version < at), default=None)
            continue
        if name in records[at].names_removed:
            break
        if name in records[at].names_changed:
            found.append(records[at])
        at = records[at].parent
    return [version_of(record) for record in reversed(found)]


def history_of(store: Store | None, key: str, limit: int | None, before: int | None) -> list[Version]:
    """List the versions of a document, newest first."""
    if store is None:
        return []
    records = store.history(key, MAX_HISTORY if limit is None else limit, before)
    versions = [version_of(record) for record in records]
    gaps = store.thinned(key)
    for version, older in zip_longest(versions, [entry.version for entry in versions[1:]]):
        # The last one listed says what is missing right before it; what lies further back, the next page does.
        below = [gap for gap in gaps if gap.last < version.version and (gap.first > older if older else True)]
        below = [gap for gap in below if older is not None or gap.last == version.version - 1]
        if below:
            version.thinned = sum(gap.last - gap.first + 1 for gap in below)
    return versions


__all__ = ["history_of", "no_state", "origin_of", "state_of", "variable_of", "variables_of", "version_of"]
