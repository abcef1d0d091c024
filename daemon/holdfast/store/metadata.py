"""The `metadata.json` beside the catalog, one per session: for people and their tools; nothing is taken from it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .packs import open_plain
from .records import ComponentEntry, VersionRecord

METADATA_NAME = "metadata.json"
_ELSEWHERE = "@elsewhere"
_FORBIDDEN = set('<>:"|?*\\')
_PATH_MAX = 1024
_BEGINNING = 1 << 14
"""Bytes in which the version stands, with the longest of keys before it."""
_VERSION = re.compile(rb'^  "version": (\d{1,10}),$', re.MULTILINE)


def metadata_folder(sessions: Path, key: str) -> Path:
    """Return where a session's metadata lies: its own path below `sessions`, or a digest where it cannot be one."""
    parts = key.split("/")
    plain = len(key) <= _PATH_MAX and all(_is_plain(part) for part in parts)
    if plain and parts[0] != _ELSEWHERE:
        return sessions.joinpath(*parts)
    return sessions / _ELSEWHERE / hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _is_plain(part: str) -> bool:
    if part in ("", ".", "..", METADATA_NAME) or part[-1] in " ." or len(os.fsencode(_printable(part))) > 240:
        return False
    return part == _printable(part) and not _FORBIDDEN.intersection(part) and all(ord(c) >= 32 for c in part)


def _printable(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")


def describe(record: VersionRecord, listing: Mapping[str, ComponentEntry], size: int, key: str) -> dict[str, Any]:
    """Return what the file says."""
    variables = []
    for entry in listing.values():
        for name in entry.members:
            if not name.startswith("\0"):
                summary = entry.summaries.get(name, {})
                variables.append(
                    {
                        "name": name,
                        "type": summary.get("type"),
                        "preview": summary.get("preview"),
                        "bytes": summary.get("bytes", entry.size),
                        "version": entry.since,
                    }
                )
    return {
        "document": key,
        "savedAt": record.saved_at,
        "version": record.version,
        "variableCount": len(variables),
        "variables": sorted(variables, key=lambda variable: str(variable["name"])),
        "sizes": {"content": sum(entry.size for entry in listing.values()), "stored": size},
        "checksum": record.digest,
        "skipped": list(record.skipped),
        "environment": record.environment,
    }


def write(sessions: Path, key: str, document: dict[str, Any]) -> None:
    """Put the file into place, whole or not at all.

    Raises:
        OSError: it could not be written.
    """
    folder = metadata_folder(sessions, key)
    _make_real(sessions.parent, folder)
    path = folder / METADATA_NAME
    draft = folder / f".{METADATA_NAME}.{secrets.token_hex(4)}"
    text = json.dumps(document, indent=2, default=str).encode("ascii")
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(text)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _make_real(top: Path, folder: Path) -> None:
    """Make folders down to this one, none of them a link that leads elsewhere."""
    for part in reversed([folder, *folder.parents][: len(folder.relative_to(top).parts)]):
        with contextlib.suppress(FileExistsError):
            part.mkdir(mode=0o700)
        if part.is_symlink():
            raise NotADirectoryError(f"{part} is a symbolic link")


def version_told(sessions: Path, key: str) -> int | None:
    """Return the version that the file tells of; None if it cannot be told, or there is none."""
    try:
        fd = open_plain(metadata_folder(sessions, key) / METADATA_NAME, os.O_RDONLY)
    except OSError:
        return None
    with os.fdopen(fd, "rb") as file:
        told = _VERSION.search(file.read(_BEGINNING))
    return None if told is None else int(told[1])


def remove(sessions: Path, key: str) -> None:
    """Take the file away, and the folders that are empty then.

    Raises:
        OSError: it is there and could not be removed.
    """
    folder = metadata_folder(sessions, key)
    if any(part.is_symlink() for part in [folder, *folder.parents][: len(folder.relative_to(sessions.parent).parts)]):
        return
    try:
        (folder / METADATA_NAME).unlink(missing_ok=True)
    except NotADirectoryError:
        return
    for part in [folder, *folder.parents]:
        if part == sessions.parent:
            return
        try:
            part.rmdir()
        except OSError:
            return  # not empty: other sessions' metadata lies there
