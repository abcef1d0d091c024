"""What the user said of state that others signed: kept beside the user's key, never in the folder that it is about.

A seal of another user cannot be verified without that user's key. So what is trusted is not a signer but content: the
digests of the versions that were there when the user said so. A digest covers all that a version holds and all that it
builds on. Whoever writes to the state folder later can take versions away; they cannot add or change one.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import StoreUnavailable

TRUST_NAME = "trust"
"""The folder beside the key."""
_FORM = 1


@dataclass(frozen=True, slots=True)
class Trust:
    """What is trusted of one session, and what is not any more."""

    versions: Mapping[bytes, int] = field(default_factory=dict)
    """Digest of each trusted version, and its number."""
    listings: frozenset[bytes] = frozenset()
    """Digests of complete listings that were made of such versions later."""
    revoked: frozenset[int] = frozenset()
    """Numbers of versions whose trust was taken back: what came in with them is not restored, whoever signed it."""
    at: Mapping[str, str] = field(default_factory=dict)
    """When which signer's versions were trusted, by the key's id."""
    document: str = ""
    workspace: str = ""


_NONE = Trust()


class Trusts:
    """The records in one folder, one file for each session; what others change there is noticed.

    Args:
        folder: None where nothing is ever trusted.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._read: dict[bytes, tuple[tuple[int, int, int], Trust]] = {}

    def of(self, session: bytes) -> Trust:
        """Return what is trusted of a session.

        Raises:
            StoreUnavailable: kind ``key``; that is noted and cannot be read.
        """
        if self._folder is None:
            return _NONE
        path = self._path(session)
        try:
            status = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            return _NONE
        except OSError as error:
            raise _unusable(path, error) from error
        stamp = (status.st_mtime_ns, status.st_ino, status.st_size)
        known = self._read.get(session)
        if known is None or known[0] != stamp:
            try:
                known = self._read[session] = (stamp, _decode(path.read_bytes(), session))
            except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
                raise _unusable(path, error) from error
        return known[1]

    def is_pinned(self, session: bytes, digest: bytes) -> bool:
        """Whether the user trusts a version, or a listing of one, that somebody else signed."""
        found = self.of(session)
        return digest in found.versions or digest in found.listings

    def revoked(self, session: bytes) -> frozenset[int]:
        """Return the numbers of a session's versions whose trust was taken back."""
        return self.of(session).revoked

    def pin(
        self,
        session: bytes,
        versions: Mapping[bytes, int],
        listings: Iterable[bytes],
        signers: Collection[bytes],
        *,
        document: str,
        workspace: str,
        at: str,
    ) -> None:
        """Trust versions from now on; nothing of the session counts as taken back any more.

        Raises:
            StoreUnavailable: kind ``key``; that cannot be noted, and nothing is trusted.
        """
        before = self.of(session)
        self._write(
            session,
            Trust(
                versions={**before.versions, **versions},
                listings=before.listings.union(listings),
                at={**before.at, **{signer.hex(): at for signer in signers}},
                document=document,
                workspace=workspace,
            ),
        )

    def revoke(self, session: bytes, numbers: Iterable[int] = (), *, document: str, workspace: str) -> None:
        """Take back what is trusted of a session; what came in with further versions (`numbers`) as well.

        Raises:
            StoreUnavailable: kind ``key``; that cannot be noted, and everything is as before.
        """
        before = self.of(session)
        revoked = before.revoked.union(before.versions.values(), numbers)
        self._write(session, Trust(revoked=revoked, document=document, workspace=workspace))

    def _path(self, session: bytes) -> Path:
        assert self._folder is not None
        return self._folder / f"{session.hex()}.json"

    def _write(self, session: bytes, trust: Trust) -> None:
        if self._folder is None:
            raise StoreUnavailable("key", "There is no place to note what is trusted; nothing is.")
        path = self._path(session)
        draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), 0o600)
            try:
                with os.fdopen(fd, "wb") as file:
                    file.write(_encode(session, trust))
                    file.flush()
                    os.fsync(file.fileno())
                draft.replace(path)
            except BaseException:
                draft.unlink(missing_ok=True)
                raise
        except OSError as error:
            raise _unusable(path, error) from error
        self._read.pop(session, None)


def _encode(session: bytes, trust: Trust) -> bytes:
    document = {
        "format": _FORM,
        "session": session.hex(),
        "document": trust.document,
        "workspace": trust.workspace,
        "trustedAt": dict(trust.at),
        "versions": {digest.hex(): number for digest, number in trust.versions.items()},
        "listings": sorted(digest.hex() for digest in trust.listings),
        "revoked": sorted(trust.revoked),
    }
    return json.dumps(document, indent=1).encode("ascii")


def _decode(data: bytes, session: bytes) -> Trust:
    document: dict[str, Any] = json.loads(data)
    if document["format"] != _FORM or document["session"] != session.hex():
        raise ValueError("it is not about this session, or was written by a newer Holdfast")
    return Trust(
        versions={bytes.fromhex(digest): int(number) for digest, number in document["versions"].items()},
        listings=frozenset(bytes.fromhex(digest) for digest in document["listings"]),
        revoked=frozenset(int(number) for number in document["revoked"]),
        at={str(signer): str(at) for signer, at in document["trustedAt"].items()},
        document=str(document["document"]),
        workspace=str(document["workspace"]),
    )


def _unusable(path: Path, error: Exception) -> StoreUnavailable:
    why = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
    return StoreUnavailable(
        "key",
        f"What you said of the state of others, {path}, cannot be read or written ({why}). Nothing was trusted or "
        f"restored. Make the file readable and writable for you, or move it away: then nothing of it is trusted.",
    )
