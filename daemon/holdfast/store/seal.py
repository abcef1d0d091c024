"""The user's key, and the seals made with it: who wrote a version, and that nobody changed it since.

Unpickling is code execution. A version is unpickled only if its seal was made with a key of this user on this machine.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
import stat
from pathlib import Path

import platformdirs

from .errors import StoreUnavailable

KEY_SIZE = 32
KEY_NAME = "key"
SEAL_SIZE = 32


class Seal:
    """Signs and verifies with one key (HMAC-SHA256); what a seal is for is part of what is signed."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_SIZE:
            raise ValueError(f"a key has {KEY_SIZE} bytes")
        # Begun once and copied: to look the algorithm up anew for every seal is ten times as dear.
        self._begun = hmac.new(key, b"holdfast seal 1\0", "sha256")
        self.key_id = hashlib.sha256(b"holdfast key id\0" + key).digest()[:8]
        """Says which key, and nothing about the key."""

    def sign(self, purpose: bytes, *parts: bytes) -> bytes:
        """Return the seal over `parts`; each is preceded by its length, so no two lists of parts look alike."""
        code = self._begun.copy()
        code.update(b"".join([len(part).to_bytes(8, "little") + part for part in (purpose, *parts)]))
        return code.digest()

    def verify(self, seal: bytes, purpose: bytes, *parts: bytes) -> bool:
        """Whether `seal` was made with this key over exactly these parts."""
        return hmac.compare_digest(seal, self.sign(purpose, *parts))


def config_folder() -> Path:
    """Return the user's configuration folder of Holdfast; `HOLDFAST_CONFIG_DIR` overrides it."""
    override = os.environ.get("HOLDFAST_CONFIG_DIR")
    return Path(override) if override else Path(platformdirs.user_config_dir("holdfast"))


def load_key(folder: Path | None = None) -> bytes:
    """Return the user's key; make one the first time.

    Raises:
        StoreUnavailable: kind ``key``; the key cannot be read, made, or is not one. It is never overwritten, since
            all saved state hangs on it.
    """
    folder = config_folder() if folder is None else folder
    path = folder / KEY_NAME
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _secure(folder)
        with contextlib.suppress(FileExistsError):
            if not path.exists():
                _create(path)
        return _read(path)
    except OSError as error:
        raise StoreUnavailable(
            "key",
            f"The key that signs saved state, {path}, cannot be used ({error.strerror or error}). Nothing was read or "
            f"saved. Make the folder readable and writable for you, or point HOLDFAST_CONFIG_DIR at one that is.",
        ) from error


def _secure(folder: Path) -> None:
    """See to it that nobody else can exchange the key.

    Raises:
        OSError: the folder's mode cannot be corrected.
        StoreUnavailable: kind ``key``; it is somebody else's.
    """
    if os.name != "posix":
        return
    status = folder.stat()
    _require_own(folder, status)
    if status.st_mode & 0o022:
        folder.chmod(stat.S_IMODE(status.st_mode) & ~0o022)


def _require_own(path: Path, status: os.stat_result) -> None:
    if os.name == "posix" and status.st_uid not in (os.geteuid(), 0):
        raise StoreUnavailable(
            "key",
            f"{path} belongs to another user, who could sign state that runs code as you. Nothing was read or saved. "
            f"Make it yours (chown), or point HOLDFAST_CONFIG_DIR at a folder of yours.",
        )


def _create(path: Path) -> None:
    """Write a new key under another name and link it into place: it appears whole, and the first to come wins."""
    draft = path.with_name(f"{KEY_NAME}.{os.getpid()}.{secrets.token_hex(4)}")
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        try:
            os.write(fd, secrets.token_bytes(KEY_SIZE))
            os.fsync(fd)
        finally:
            os.close(fd)
        try:
            os.link(draft, path)
        except FileExistsError:
            raise
        except OSError:
            # No hard links here (FAT, some network shares). Windows refuses to rename over a file; elsewhere the
            # window in which two first starts race is that of this one call.
            if path.exists():
                raise FileExistsError(path) from None
            draft.rename(path)
    finally:
        draft.unlink(missing_ok=True)


def _read(path: Path) -> bytes:
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
    fd = os.open(path, flags)
    try:
        status = os.fstat(fd)
        _require_own(path, status)
        key = os.read(fd, KEY_SIZE + 1) if stat.S_ISREG(status.st_mode) else b""
        mode = status.st_mode
        if os.name == "posix" and stat.S_IMODE(mode) & 0o077:
            # Others could have read it, which cannot be undone; they shall not read it from now on.
            os.fchmod(fd, 0o600)
    finally:
        os.close(fd)
    if len(key) != KEY_SIZE:
        raise StoreUnavailable(
            "key",
            f"{path} does not hold a Holdfast key. Saved state cannot be verified, so none is read. Put the key back "
            f"from a backup; only if there is none, remove the file: state saved before then has to be trusted anew.",
        )
    return key
