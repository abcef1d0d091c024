"""The key that a store is encrypted with: random, and kept in `.state/encryption.json`, encrypted itself.

It is encrypted with what a passphrase becomes by scrypt (RFC 7914), or with a key in the keyring of the system. So a
passphrase is changed without writing anything else anew.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import threading
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .cipher import KEY_SIZE, NONCE_SIZE, require_cryptography
from .errors import UNREADABLE, StoreUnavailable
from .folder import FolderLock
from .packs import flush, open_plain, sync_folder, write_at
from .seal import config_folder

ENVELOPE_NAME = "encryption.json"
_DRAFT_NAME = f"{ENVELOPE_NAME}.new"
NONE, PASSPHRASE, KEYRING = "none", "passphrase", "keyring"
MODES = (NONE, PASSPHRASE, KEYRING)
_SERVICE, _USER = "holdfast", "state"
SCRYPT_COST = 1 << 17
"""With r = 8: 128 MiB and half a second for each passphrase that somebody tries."""
_MAX_COST = 1 << 20
_MAX_SIZE = 1 << 16
_PATIENCE = 20
"""How often it is tried to be the only one who makes a key in the keyring; each takes half a second."""


@dataclass(slots=True)
class Encryption:
    """What opens encrypted stores of one workspace, and whether those that are not are to be encrypted.

    Attributes:
        leaving: the workspace is being decrypted: nothing is encrypted meanwhile.
        wanted: ``none``, ``passphrase`` or ``keyring``: how a store is encrypted that is not.
        passphrase: what the user typed to open one; tried once.
        new_passphrase: what the user chose for one that is to be encrypted; used once.
        offered: stands in for both, as long as it lives.
        cost: of trying a passphrase (scrypt's N).
        made: the envelope that was made last.
        lock: held while a folder is given a key, so that it does not get two.
    """

    wanted: str = NONE
    passphrase: str | None = None
    new_passphrase: str | None = None
    offered: str | None = None
    cost: int = SCRYPT_COST
    lock: threading.Lock = field(default_factory=threading.Lock)
    made: bytes | None = None
    leaving: bool = False
    _known: dict[bytes, bytes] = field(default_factory=dict)
    _used: dict[Path, bytes] = field(default_factory=dict)

    def make(self, where: Path) -> tuple[bytes, bytes]:
        """Return an envelope for a folder that has none, and the data key in it: a new one, or the one used there last.

        Args:
            where: the state folder.

        Raises:
            StoreUnavailable: kind ``locked``; there is no passphrase, or no keyring.
        """
        if where in self._used:
            return self._used[where], self._known[self._used[where]]
        self.made, data_key = self.wrap(secrets.token_bytes(KEY_SIZE), where)
        return self.made, data_key

    def note_used(self, where: Path, envelope: bytes | None) -> None:
        """Remember what a folder is encrypted with: if it is removed, it is made anew no less encrypted.

        Args:
            where: the state folder.
            envelope: what holds the key; None: it is not encrypted any more.
        """
        if envelope is None:
            self._used.pop(where, None)
        else:
            self._used[where] = envelope

    def has_used(self, where: Path) -> bool:
        """Whether a folder is, or was before it was removed, encrypted."""
        return where in self._used

    def wrap(self, data_key: bytes, where: Path) -> tuple[bytes, bytes]:
        """Return an envelope that holds a data key, opened in the way that is wanted, and that key.

        Raises:
            StoreUnavailable: kind ``locked``; there is no passphrase, or no keyring.
        """
        require_cryptography()
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        if self.wanted == KEYRING:
            wrapping = _keyring_key(create=True)
            if isinstance(wrapping, str):
                raise StoreUnavailable(
                    "locked",
                    f"The state in {where} is to be encrypted with a key in the keyring. {wrapping} {_UNSAVED}",
                )
            slot: dict[str, Any] = {"kind": KEYRING, "service": _SERVICE, "user": _USER}
        else:
            salt = secrets.token_bytes(16)
            chosen = self.new_passphrase or self.offered
            if chosen is None:
                raise StoreUnavailable(
                    "locked",
                    f"The state in {where} is to be encrypted, and has no passphrase yet. Nothing is saved until it "
                    f"has one; cells run all the same. `holdfast encrypt` asks for it.",
                )
            wrapping = _stretch(chosen, salt, self.cost, 8, 1)
            slot = {"kind": PASSPHRASE, "kdf": "scrypt", "salt": salt.hex(), "n": self.cost, "r": 8, "p": 1}
        nonce = os.urandom(NONCE_SIZE)
        slot |= {"nonce": nonce.hex(), "key": AESGCM(wrapping).encrypt(nonce, data_key, _about(slot)).hex()}
        text = json.dumps({"format": 1, "cipher": "AES-256-GCM", "slots": [slot]}, indent=2).encode("ascii") + b"\n"
        self._known[text] = data_key
        self.new_passphrase = None
        return text, data_key

    def unlock(self, envelope: bytes, where: Path) -> bytes:
        """Return the data key of an envelope.

        Raises:
            StoreUnavailable: kind ``locked``; what opens it is not at hand, or is not the right one.
        """
        if envelope in self._known:
            return self._known[envelope]
        require_cryptography()
        refused: StoreUnavailable | None = None
        for slot in _slots(envelope, where):
            try:
                key = self._open(slot, where)
            except StoreUnavailable as error:
                refused = error
                continue
            self._known[envelope] = key
            return key
        raise refused or unreadable(where)

    def unlock_any(self, envelopes: Iterable[bytes], where: Path, fits: Callable[[bytes], bool]) -> tuple[bytes, bytes]:
        """Return the first of these envelopes that holds the key of a store, and that data key.

        Args:
            envelopes: at least one.
            where: the state folder, for messages.
            fits: whether a data key is that of the store.

        Raises:
            StoreUnavailable: none does, or what opens them is not at hand.
        """
        refused: StoreUnavailable | None = None
        try:
            for envelope in envelopes:
                try:
                    data_key = self.unlock(envelope, where)
                except StoreUnavailable as error:
                    if error.kind == "newer":
                        raise
                    refused = error if refused is None or refused.kind == "damaged" else refused
                    continue
                if fits(data_key):
                    return envelope, data_key
                refused = another(where)
        finally:
            self.passphrase = None
        raise refused or unreadable(where)

    def learn(self, other: Encryption) -> None:
        """Open what another one opens, too."""
        self._known.update(other._known)
        self._used.update(other._used)

    def _open(self, slot: dict[str, Any], where: Path) -> bytes:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        if slot["kind"] == KEYRING:
            wrapping = _keyring_key(create=False)
            if isinstance(wrapping, str):
                raise locked(where, wrapping, _UNLOCK_KEYRING)
            wrong = (
                "The keyring's key is not the one that it was encrypted with: it comes from another user or machine."
            )
            remedy = "Open it there, and run `holdfast encrypt` with a passphrase."
        else:
            given = self.offered if self.passphrase is None else self.passphrase
            remedy = "`holdfast unlock` asks for the passphrase."
            if given is None:
                raise locked(where, "Its passphrase is not known yet.", remedy)
            wrapping = _stretch(given, bytes.fromhex(slot["salt"]), slot["n"], slot["r"], slot["p"])
            wrong = "The passphrase is not the right one."
        try:
            return AESGCM(wrapping).decrypt(bytes.fromhex(slot["nonce"]), bytes.fromhex(slot["key"]), _about(slot))
        except InvalidTag:
            raise locked(where, wrong, remedy) from None


_UNSAVED = "Nothing is saved until then; cells run all the same."
_UNLOCK_KEYRING = "Unlock the keyring, then `holdfast unlock` tries again."


def locked(where: Path, why: str, remedy: str) -> StoreUnavailable:
    """Return the error for a store that cannot be opened without its key."""
    return StoreUnavailable(
        "locked", f"The state in {where} is encrypted. {why} Nothing was read or changed. {_UNSAVED} {remedy}"
    )


def another(where: Path) -> StoreUnavailable:
    """Return the error for a key that is not that of the store."""
    return locked(
        where,
        f"{where / ENVELOPE_NAME} holds the key of another state than this.",
        "Put the right file back from a backup.",
    )


def unreadable(where: Path) -> StoreUnavailable:
    """Return the error for a key that is lost."""
    return StoreUnavailable(
        "damaged",
        f"{where / ENVELOPE_NAME} holds the key of the encrypted state, and is missing or not readable. Without it "
        f"nothing of the state can be read. Nothing was changed; put the file back from a backup.",
    )


def _about(slot: dict[str, Any]) -> bytes:
    return f"holdfast data key 1 {slot['kind']}".encode("ascii")


def _slots(envelope: bytes, where: Path) -> list[dict[str, Any]]:
    """Return the ways to open an envelope.

    Raises:
        StoreUnavailable: it is not readable, or a newer Holdfast's.
    """
    try:
        document = json.loads(envelope)
        if document["format"] != 1:
            raise StoreUnavailable(
                "newer",
                f"{where / ENVELOPE_NAME} was written by a newer Holdfast. Nothing was changed; update Holdfast.",
            )
        slots = document["slots"]
        right = isinstance(slots, list) and 0 < len(slots) < 16 and all(map(_is_slot, slots))
        right = right and sum(slot.get("n", 0) for slot in slots) <= _MAX_COST
    except UNREADABLE:
        right = False
    if not right:
        raise unreadable(where)
    return list(slots)


def _is_slot(slot: dict[str, Any]) -> bool:
    """Whether it can be opened, with no more time and memory than a passphrase should take.

    Raises:
        ValueError, TypeError, KeyError: it is nothing of the kind.
    """
    sizes = len(bytes.fromhex(slot["nonce"])), len(bytes.fromhex(slot["key"]))
    if sizes != (NONCE_SIZE, KEY_SIZE + 16):
        return False
    if slot["kind"] == KEYRING:
        return (slot["service"], slot["user"]) == (_SERVICE, _USER) and "n" not in slot
    cost, block, lanes = (slot[name] for name in ("n", "r", "p"))
    return (
        slot["kind"] == PASSPHRASE
        and slot["kdf"] == "scrypt"
        and 8 <= len(bytes.fromhex(slot["salt"])) <= 64
        and all(type(number) is int for number in (cost, block, lanes))
        and 2 <= cost <= _MAX_COST
        and cost & (cost - 1) == 0
        and (block, lanes) == (8, 1)
    )


def _stretch(passphrase: str, salt: bytes, cost: int, block: int, lanes: int) -> bytes:
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    text = unicodedata.normalize("NFC", passphrase).encode("utf-8", "surrogatepass")
    try:
        return Scrypt(salt=salt, length=KEY_SIZE, n=cost, r=block, p=lanes).derive(text)
    except MemoryError:
        need = cost * block * 128 >> 20
        raise StoreUnavailable(
            "locked", f"Trying a passphrase takes {need} MiB of memory, which are not there. {_UNSAVED} Free some."
        ) from None


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Keep the user's other daemons from making a key in the keyring meanwhile: of two, only the last would stay.

    Raises:
        OSError: it cannot be done.
    """
    place = config_folder()
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock: FolderLock | None = None
    for attempt in range(_PATIENCE):
        try:
            lock = FolderLock(place)
            break
        except StoreUnavailable as error:
            if error.kind != "in_use" or attempt == _PATIENCE - 1:
                raise OSError(error.message) from error
    assert lock is not None
    try:
        yield
    finally:
        lock.release()


def _keyring_key(*, create: bool) -> bytes | str:
    """Return the user's key in the keyring of the system; make one, if there is none and that is wanted.

    Returns:
        The key; or why there is none, as a sentence: there is no keyring, or it is not opened, or has no such key.
    """
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError:
        return "The package `keyring` is not installed (`pip install 'holdfast[encryption]'`)."
    try:
        text = keyring.get_password(_SERVICE, _USER)
        if text is None and create:
            with _alone():
                text = keyring.get_password(_SERVICE, _USER)
                if text is None:
                    keyring.set_password(_SERVICE, _USER, secrets.token_hex(KEY_SIZE))
                    text = keyring.get_password(_SERVICE, _USER)
    except (KeyringError, OSError, RuntimeError) as error:
        return f"The keyring of the system cannot be used ({error})."
    try:
        key = bytes.fromhex(text or "")
    except ValueError:
        key = b""
    return key if len(key) == KEY_SIZE else "The keyring of the system has no key for it."


# ---------------------------------------------------------------------------------------------- the file


def read_envelope(folder: Path) -> bytes | None:
    """Return what a state folder's `encryption.json` holds; None if there is none, or it cannot be read."""
    try:
        fd = open_plain(folder / ENVELOPE_NAME, os.O_RDONLY)
    except OSError:
        return None
    with os.fdopen(fd, "rb") as file:
        return file.read(_MAX_SIZE)


def clear_draft(folder: Path) -> None:
    """Remove what `write_envelope` leaves when it is killed. Nobody may be writing."""
    with contextlib.suppress(OSError):
        (folder / _DRAFT_NAME).unlink(missing_ok=True)


def put_aside(folder: Path) -> None:
    """Keep an `encryption.json` that holds another key, under another name, so that its place can be taken.

    Raises:
        OSError: it could not be done.
    """
    (folder / ENVELOPE_NAME).rename(folder / f"{ENVELOPE_NAME}.{secrets.token_hex(4)}")


def is_envelope(envelope: bytes, where: Path) -> bool:
    """Whether these bytes could hold a key."""
    try:
        return bool(_slots(envelope, where))
    except StoreUnavailable:
        return False


def write_envelope(folder: Path, envelope: bytes) -> None:
    """Write a state folder's `encryption.json`, on the disk when this returns: without it nothing can be read.

    Raises:
        OSError: it could not be written; what was there before still is.
    """
    draft = folder / _DRAFT_NAME
    draft.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    fd = os.open(draft, flags, 0o600)
    try:
        write_at(fd, [envelope], 0)
        flush(fd)
    finally:
        os.close(fd)
    draft.replace(folder / ENVELOPE_NAME)
    sync_folder(folder)
