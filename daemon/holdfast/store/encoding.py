"""How a version is written down: its metadata, its delta, and the record that holds both in the log.

The metadata names the digest of the delta and the digest of the parent, and its own digest is what is signed: so one
seal covers a version, and the chain of seals covers everything it stands on.
"""

from __future__ import annotations

import base64
import json
import math
import struct
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import zstandard
from blake3 import blake3

from holdfast.quick_json import dumps

from .blobs import BlobRef, compress, decode_refs, reveal
from .cipher import ENCRYPTED, Cipher
from .packs import EVENT_RECORD, LISTING_RECORD, MAX_RECORD, RAW, VERSION_RECORD, ZSTD, Record, make_record
from .records import Buffer, Change, ComponentEntry, VersionRecord
from .rows import UUID_SIZE

VERSION_HEAD = struct.Struct("<8s32sI")
"""Signer, seal, length of the metadata; then metadata and delta."""
FIELD_INLINE_MAX = 512
"""Code, environment and the list of what was skipped are chunks of their own from here on: they repeat."""
_SURELY_INLINE = (FIELD_INLINE_MAX - 2) // 12
"""Characters that fit whatever they are: the longest take twelve bytes as JSON."""
_RECORD_COMPRESS_MIN = 2048
_DECODED_WHOLE = 1 << 16
_DELTA_START = '{"changed":['
_decoder = json.JSONDecoder()


class Delta(NamedTuple):
    """What a version changed; in a base version, all there is."""

    changed: list[ComponentEntry]
    removed: list[str]


class VersionParts(NamedTuple):
    """A version as it stands in the log."""

    signer: bytes
    seal: bytes
    meta: bytes
    delta: bytes


# ---------------------------------------------------------------------------------------------- delta


def encode_delta(entries: Iterable[ComponentEntry], removed: Iterable[str]) -> bytes:
    """Write a delta."""
    # One entry at a time: a listing of many takes a second, and the interpreter's lock is let go only in between.
    changed = b",".join(
        dumps([e.id, e.members, e.fingerprint, e.digest.hex(), e.size, e.summaries, e.since, _b64(e.content)])
        for e in entries
    )
    gone = list(removed)
    return b'{"changed":[%b],"removed":%b}' % (changed, dumps(gone) if gone else b"[]")


def decode_delta(data: bytes) -> Delta:
    """Read a delta.

    Raises:
        ValueError, TypeError, KeyError: it is not one.
    """
    document = json.loads(data) if len(data) <= _DECODED_WHOLE else _decode_slowly(data)
    return Delta([_entry(fields) for fields in document["changed"]], document["removed"])


def _entry(fields: list[Any]) -> ComponentEntry:
    id, members, fingerprint, digest, size, summaries, since, content = fields
    return ComponentEntry(
        id, tuple(members), fingerprint, bytes.fromhex(digest), size, summaries, since, base64.b64decode(content)
    )


def _decode_slowly(data: bytes) -> dict[str, Any]:
    """Read a large delta entry by entry, where it has the form in which it is written: the interpreter's lock, which
    reading it at one stroke would hold for long, is let go in between."""
    text = data.decode()
    at = len(_DELTA_START)
    if not text.startswith(_DELTA_START) or text[at : at + 1] != "[":
        found: dict[str, Any] = json.loads(text)
        return found
    changed = []
    while text[at : at + 1] == "[":
        fields, at = _decoder.raw_decode(text, at)
        changed.append(fields)
        at += text[at : at + 1] == ","
    rest: dict[str, Any] = json.loads(_DELTA_START + text[at:])
    return {**rest, "changed": changed}


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


# ---------------------------------------------------------------------------------------------- metadata


def encode_fields(
    change: Change, add: Callable[[Buffer], BlobRef], short: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Return the part of a version's metadata that describes the run; what is long goes into chunks.

    Args:
        change: the run.
        add: stores a blob.
        short: an environment that is known to be short enough to stay, as that of the version before may be.
    """
    fields: dict[str, Any] = {
        "runId": change.run_id,
        "executionCount": change.execution_count,
        "runSeconds": change.run_seconds,
        "namesChanged": list(change.names_changed),
        "namesRemoved": list(change.names_removed),
        "filename": change.filename,
        "line": change.line,
        "cell": change.cell,
    }
    for name, value in (
        ("code", change.code),
        ("skipped", list(change.skipped)),
        ("environment", change.environment),
    ):
        if not value or (isinstance(value, str) and len(value) <= _SURELY_INLINE) or value is short or value == short:
            fields[name] = value
            continue
        text = dumps(value)
        if len(text) <= FIELD_INLINE_MAX:
            fields[name] = value
        else:
            fields[name + "Blob"] = _b64(add(text).encode())
    return fields


def field(meta: dict[str, Any], name: str, read: Callable[[BlobRef], bytes]) -> Any:
    """Return a field that may have gone into chunks."""
    if name in meta:
        return meta[name]
    (ref,) = decode_refs(base64.b64decode(meta[name + "Blob"]))
    return json.loads(read(ref))


def field_refs(meta: dict[str, Any]) -> list[BlobRef]:
    """Return the blobs that a version's metadata needs."""
    names = ("codeBlob", "skippedBlob", "environmentBlob")
    return [ref for name in names if name in meta for ref in decode_refs(base64.b64decode(meta[name]))]


def decode_record(
    meta: dict[str, Any], digest: bytes, size: int, label: str | None, read: Callable[[BlobRef], bytes]
) -> VersionRecord:
    """Turn metadata into a record.

    Raises:
        ValueError, TypeError, KeyError: it is not that of a version.
    """
    skipped, environment = field(meta, "skipped", read), field(meta, "environment", read)
    seconds = float(meta["runSeconds"])
    if not (
        math.isfinite(seconds)
        and _are_texts(meta["namesChanged"])
        and _are_texts(meta["namesRemoved"])
        and isinstance(skipped, list)
        and all(map(_is_lost, skipped))
        and isinstance(environment, dict)
        and isinstance(environment.get("packages") or {}, dict)
        and isinstance(meta["filename"], str | None)
        and isinstance(meta["line"], int | None)
        and isinstance(meta["cell"], int | None)
        and abs(int(meta["executionCount"])) < 1 << 62
    ):
        raise TypeError("a field of a version is not what it should be")
    return VersionRecord(
        version=int(meta["version"]),
        parent=meta["parent"],
        saved_at=str(meta["savedAt"]),
        code=str(field(meta, "code", read)),
        run_id=str(meta["runId"]),
        execution_count=int(meta["executionCount"]),
        names_changed=tuple(meta["namesChanged"]),
        names_removed=tuple(meta["namesRemoved"]),
        skipped=tuple(skipped),
        environment=environment,
        bytes=size,
        seconds=seconds,
        label=label,
        digest=digest.hex(),
        filename=meta["filename"],
        line=meta["line"],
        cell=meta["cell"],
    )


def _is_lost(entry: object) -> bool:
    """Whether it can say what was lost, and which cell made it."""
    if not isinstance(entry, dict):
        return False
    cell = entry.get("cell") or {}
    return (
        _are_texts([entry.get(name, "") for name in ("name", "type", "reason", "remedy")])
        and _are_texts(entry.get("needs") or [])
        and isinstance(cell, dict)
        and isinstance(cell.get("code", ""), str)
        and isinstance(cell.get("executionCount", 0), int)
        and isinstance(cell.get("line"), int | None)
        and isinstance(cell.get("index"), int | None)
    )


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(part, str) for part in value)


# ---------------------------------------------------------------------------------------------- log records


def version_record(cipher: Cipher, parts: VersionParts) -> bytes:
    """Return a version's record for the log."""
    head = VERSION_HEAD.pack(parts.signer, parts.seal, len(parts.meta))
    return _record(cipher, VERSION_RECORD, b"".join((head, parts.meta, parts.delta)))


def listing_record(cipher: Cipher, parts: VersionParts) -> bytes:
    """Return the record of a complete listing that was made of a version later, so that those before it may go."""
    head = VERSION_HEAD.pack(parts.signer, parts.seal, len(parts.meta))
    return _record(cipher, LISTING_RECORD, b"".join((head, parts.meta, parts.delta)))


def event_record(cipher: Cipher, events: list[dict[str, Any]]) -> bytes:
    """Return the record of what befell sessions at one stroke: their places, their heads, a label."""
    return _record(cipher, EVENT_RECORD, dumps(events))


def _record(cipher: Cipher, kind: int, payload: bytes) -> bytes:
    digest, size, codec = blake3(payload).digest(), len(payload), RAW
    if size >= _RECORD_COMPRESS_MIN:
        packed = compress(payload)
        if len(packed) < size:
            payload, codec = packed, ZSTD
    header, stored, _ = make_record(cipher, kind, codec, size, digest, payload)
    return b"".join((header, stored))


def open_payload(cipher: Cipher, record: Record, stored: bytes) -> bytes | None:
    """Return a log record's payload, None if it is not what was written."""
    if record.size > MAX_RECORD:
        return None
    payload = reveal(cipher, record.kind, record.codec, record.size, record.digest, stored)
    return payload if payload is not None and blake3(payload).digest() == record.digest else None


def beginning(cipher: Cipher, record: Record, read: Callable[[int], bytes], most: int) -> VersionParts:
    """Take the payload of a version's record, or of a listing's, apart up to its metadata; the delta may be cut off.

    Args:
        cipher: the store's.
        record: the record.
        read: returns so many bytes from the beginning of its payload.
        most: bytes that are unpacked at most, and read, unless it is encrypted: then only all of it can be read.

    Raises:
        ValueError: it is not one, or its metadata are longer.
    """
    stored = read(record.stored if cipher.encrypts else min(record.stored, most))
    packed = cipher.open(record.kind, record.codec, record.size, record.digest, stored)
    if packed is None:
        raise ValueError("it cannot be decrypted")
    stored = packed[:most]
    if record.codec & ~ENCRYPTED == ZSTD:
        try:
            with zstandard.ZstdDecompressor().stream_reader(stored) as reader:
                stored = reader.read(most)
        except zstandard.ZstdError as error:
            raise ValueError("it cannot be unpacked") from error
    return split_version(stored)


def split_version(payload: bytes) -> VersionParts:
    """Take the payload of a version's record, or of a listing's, apart.

    Raises:
        ValueError: it is too short.
    """
    if len(payload) < VERSION_HEAD.size:
        raise ValueError("a version record is cut off")
    signer, seal, length = VERSION_HEAD.unpack_from(payload)
    end = VERSION_HEAD.size + length
    if end > len(payload):
        raise ValueError("a version record is cut off")
    return VersionParts(signer, seal, payload[VERSION_HEAD.size : end], payload[end:])


def is_event(event: object) -> bool:
    """Whether something says of a session what events say, in the types that it should."""
    if not isinstance(event, dict) or len(bytes.fromhex(event["session"])) != UUID_SIZE:
        return False
    number, label = event.get("label") or (0, None)
    return (
        all(isinstance(event.get(name), int | None) for name in ("head", "tip"))
        and all(isinstance(event.get(name), str | None) for name in ("key", "trashed", "reason", "at"))
        and isinstance(number, int)
        and isinstance(label, str | None)
        and all(isinstance(end, int) for first, last in event.get("thinned", ()) for end in (first, last))
        and all(isinstance(cut, int) for cut in event.get("cuts", ()))
    )
