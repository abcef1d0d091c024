"""Opening a state folder: is it ours, which format, and what did a killed writer leave behind."""

from __future__ import annotations

import contextlib
import getpass
import os
import platform
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from .aftermath import boot_id, forget_what_never_arrived
from .appending import PackAppender, write_error
from .catalog import APPLICATION_ID, CATALOG_NAME, ENCRYPTED_FORMAT, Catalog, peek
from .cipher import CLEAR, Cipher, Encrypting
from .compacting import remove_retired
from .converting import CONVERTED, convert, problem_of, take_place
from .converting import commit as commit_conversion
from .core import Core, now
from .errors import Damaged, NoSuchVersion, StoreError, StoreUnavailable, Untrusted
from .fitting import fits, is_encrypted
from .folder import FILES_NAME, PACKS_NAME, SESSIONS_NAME, FolderLock, furnish, prepare
from .keyslots import (
    ENVELOPE_NAME,
    NONE,
    Encryption,
    clear_draft,
    is_envelope,
    put_aside,
    read_envelope,
    unreadable,
    write_envelope,
)
from .mending import stand_on
from .packs import BULK, LOG, PackFolder, open_plain
from .recovery import Recovery, told_by_packs
from .seal import Seal
from .trusts import Trusts

_SECTOR = 512
_LARGEST_UNBEGUN = 16 << 10
"""Bytes of a catalog before its first transaction is on the disk; SQLite writes a page or two."""
_MAYBE_UNSYNCED = 64
"""Packs that a daemon which was killed may have written in the second since it last had all of them on the disk."""


class Opener:
    """How a state folder is opened.

    Args:
        folder: the state folder.
        key: the user's key.
        trusts: where it is noted what the user said of the state of others.
        within: the state folder, if this is one inside of it.
        encryption: what opens it if it is encrypted; also says whether it is to be.
    """

    def __init__(
        self,
        folder: Path,
        key: bytes,
        *,
        trusts: Path | None = None,
        within: Path | None = None,
        encryption: Encryption | None = None,
    ) -> None:
        self._folder = folder
        self._signing = key
        self._trusts = trusts
        self._within = within
        self._encryption = encryption or Encryption()

    def open(self, *, create: bool) -> Core:
        """Open it; encrypt it before, if it is to be and is not. If that cannot be done, `Core.in_clear` says why.

        Raises:
            StoreUnavailable: it cannot be used as it is.
        """
        with self._locked(create=create) as lock:
            core = self._open(lock)
            if self._is_wanted and not core.packs.cipher.encrypts:
                core = self._encrypt(core, lock)
            return core

    def decrypt(self) -> Core:
        """Open it, no longer encrypted.

        Raises:
            StoreUnavailable: it cannot be opened, or not be written anew. Nothing was changed.
        """
        with self._locked(create=False) as lock:
            core = self._open(lock)
            if core.packs.cipher.encrypts:
                self._require_alone(core)
                core = self._convert(core, lock, CLEAR)
            elif self._within is None:
                self._require_alone(core)
                (self._folder / ENVELOPE_NAME).unlink(missing_ok=True)  # of one that was to be encrypted
            if self._within is None:
                self._encryption.note_used(self._folder, None)
            return core

    @contextlib.contextmanager
    def _locked(self, *, create: bool) -> Iterator[FolderLock]:
        """Lock the folder and bring in order what lies in it; whoever opens it in the block keeps the lock.

        Raises:
            StoreUnavailable: it cannot be used as it is.
        """
        prepare(self._folder, create=create, within=self._within)
        # Nothing is written, not even the lock, before the folder is known to be ours.
        _require_ours(self._folder)
        lock = FolderLock(self._folder)
        try:
            take_place(self._folder)
            if self._within is None:
                with self._encryption.lock:
                    clear_draft(self._folder)
            if _is_unbegun(self._folder):
                (self._folder / CATALOG_NAME).unlink()
            furnish(self._folder)
            yield lock
        except BaseException:
            lock.release()
            raise

    @property
    def _is_wanted(self) -> bool:
        """Whether a store that is not encrypted is to be: where a key lies, or lay a moment ago, it always is."""
        known, place = self._encryption, self._keeps_key
        return not known.leaving and (known.wanted != NONE or known.has_used(place) or read_envelope(place) is not None)

    @property
    def _keeps_key(self) -> Path:
        """Where the key lies: what is inside of a state folder is encrypted with that one's."""
        return self._folder if self._within is None else self._within

    def _require_alone(self, core: Core) -> None:
        """Refuse to remove a key that another store needs; close this one then.

        Raises:
            StoreUnavailable: what lies inside is encrypted with it.
        """
        if self._within is None and is_encrypted(self._folder / FILES_NAME):
            core.keep_lock()
            core.close()
            raise StoreUnavailable(
                "unwritable",
                f"{self._folder / FILES_NAME} is encrypted with the key in {self._folder}, which would be lost. "
                f"Nothing was changed; `holdfast decrypt` decrypts both.",
            )

    def _key(self, copy: bytes | None, fits: Callable[[bytes], bool], *, may_make: bool) -> tuple[bytes, bytes]:
        """Return what holds the key, and the data key.

        Args:
            copy: what holds it as well, if the file is lost, damaged, or that of another state.
            fits: whether a data key is that of the store.
            may_make: nothing is encrypted with a key that might be lost: if there is none, there is to be one.

        Raises:
            StoreUnavailable: there is none, or it cannot be opened or written.
        """
        place = self._keeps_key
        with self._encryption.lock:
            found = read_envelope(place)
            candidates = [each for each in dict.fromkeys((found, copy)) if each is not None]
            if candidates:
                envelope, data_key = self._encryption.unlock_any(candidates, place, fits)
            elif may_make and not self._needs_another_key():
                envelope, data_key = self._encryption.make(place)
            else:
                raise unreadable(place)
            if found != envelope:
                try:
                    if found is not None and is_envelope(found, place):
                        put_aside(place)
                    write_envelope(place, envelope)
                except OSError as error:
                    raise problem_of(error) from error
            self._encryption.note_used(place, envelope)
        return envelope, data_key

    def _needs_another_key(self) -> bool:
        """Whether a new key would take the place of one that is needed, and only cannot be found or read."""
        place = self._keeps_key
        is_there = os.path.lexists(place / ENVELOPE_NAME)
        return is_there or is_encrypted(place) or is_encrypted(place / FILES_NAME)

    def _encrypt(self, core: Core, lock: FolderLock) -> Core:
        """Encrypt a store; if it is not whole, or there is no room, it stays as it is, and says so."""
        try:
            envelope, data_key = self._key(None, lambda _: True, may_make=True)
        except StoreUnavailable:
            core.keep_lock()
            core.close()
            raise
        try:
            return self._convert(core, lock, Encrypting(data_key))
        except StoreUnavailable as error:
            if (self._folder / CONVERTED).exists():
                raise
            if self._encryption.made != envelope:
                # Whoever can write here could else have everything saved in clear, by what cannot be encrypted.
                raise StoreUnavailable(
                    "unwritable",
                    f"A key lies in {self._folder}, so what is saved there is to be encrypted; it is not, and could "
                    f"not be. {error.message} Nothing is saved until then; cells run all the same. `holdfast "
                    f"decrypt` goes on without encryption.",
                ) from error
            self._take_back(envelope)
            core = self._open(lock)
            core.in_clear = error.message
            return core

    def _take_back(self, envelope: bytes) -> None:
        """Remove a key that was made just now and that nothing is encrypted with: else it would have to be known."""
        known = self._encryption
        with known.lock:
            # Whoever opens the folder inside makes its catalog before asking for the key.
            needed = self._within is not None or (self._folder / FILES_NAME / CATALOG_NAME).exists()
            if known.made == envelope and not needed:
                with contextlib.suppress(OSError):
                    (self._folder / ENVELOPE_NAME).unlink()
                    known.note_used(self._folder, None)

    def _convert(self, core: Core, lock: FolderLock, cipher: Cipher) -> Core:
        try:
            try:
                core.settle()
                convert(core, self._folder, cipher)
            finally:
                core.keep_lock()
                core.close()
            commit_conversion(self._folder)
        except (StoreError, OSError) as error:
            raise problem_of(error) from error
        take_place(self._folder)
        return self._open(lock)

    def _open(self, lock: FolderLock) -> Core:
        with contextlib.ExitStack() as undo:
            catalog = Catalog(self._folder / CATALOG_NAME)
            undo.callback(catalog.close)
            try:
                form = _identify(self._folder, catalog)
                told = told_by_packs(self._folder / PACKS_NAME)
                if form is not None:
                    encrypted = form == ENCRYPTED_FORMAT
                else:
                    encrypted = told.is_encrypted if told is not None else self._is_wanted
                store_id = secrets.token_bytes(16) if told is None else told.store_id
                if form is not None:
                    store_id = catalog.meta("store_id") or b""
                if len(store_id) != 16:
                    raise _damaged(self._folder, "it does not say which store it belongs to")
                if told is not None and told.store_id == store_id and told.is_encrypted != encrypted:
                    raise _damaged(self._folder, "it and the packs say different things about encryption")
                envelope, data_key, cipher = None, None, CLEAR
                if encrypted:
                    copy = None if form is None else catalog.envelope()
                    packs_folder = self._folder / PACKS_NAME
                    envelope, data_key = self._key(
                        copy,
                        lambda key: fits(Encrypting(key), catalog, packs_folder, store_id),
                        may_make=form is None and told is None,
                    )
                    cipher = Encrypting(data_key)
                    # Where it is told in clear what is saved; a conversion may have been unable to remove it.
                    shutil.rmtree(self._folder / SESSIONS_NAME, ignore_errors=True)
                catalog.use(cipher)
                catalog.prepare()
                if form is None:
                    catalog.create(store_id, now(), rebuilding=told is not None)
                else:
                    catalog.upgrade(form)
            except StoreError as error:
                raise _unavailable(error) from error
            packs = PackFolder(self._folder / PACKS_NAME, store_id, cipher)
            undo.callback(packs.close)
            core = Core(catalog, packs, Seal(self._signing), lock, Trusts(self._trusts))
            core.data_key = data_key
            try:
                _set_up(core, envelope if self._within is None else None)
            except StoreError as error:
                raise _unavailable(error) from error
            undo.pop_all()
            return core


def change_key(core: Core, folder: Path, encryption: Encryption) -> None:
    """See `Store.change_key`."""
    if core.data_key is None:
        return
    before = read_envelope(folder)
    envelope, _ = encryption.wrap(core.data_key, folder)
    try:
        with core.writing(durable=True):
            core.catalog.note_envelope(envelope)
            try:
                write_envelope(folder, envelope)
            except OSError as error:
                raise write_error(error) from error
    except BaseException:
        if before is not None and read_envelope(folder) != before:
            with contextlib.suppress(OSError):  # then the new one opens it; both hold the same key
                write_envelope(folder, before)
        raise
    encryption.note_used(folder, envelope)


def _require_ours(folder: Path) -> None:
    """Look at an existing catalog before anything is written into the folder."""
    path = folder / CATALOG_NAME
    if not path.exists():
        return
    try:
        seen = peek(path)
    except Damaged as error:
        if _is_unbegun(folder):
            return
        raise _damaged(folder, "it is not a database") from error
    if seen is not None and not seen[1] and seen[0] != APPLICATION_ID:
        if told_by_packs(folder / PACKS_NAME) is not None:
            raise _damaged(folder, "it does not say any more that it is one")
        raise _foreign(folder)


def _is_unbegun(folder: Path) -> bool:
    """Whether the power went while the catalog was made for the first time: its length reached the disk, and its
    beginning did not. Nothing was ever saved then."""
    path, packs = folder / CATALOG_NAME, folder / PACKS_NAME
    if not path.exists() or (packs.exists() and any(packs.iterdir())):
        return False
    try:
        fd = open_plain(path, os.O_RDONLY)
    except OSError:
        return False
    with os.fdopen(fd, "rb") as file:
        begin = file.read(_SECTOR)
        return len(begin) == _SECTOR and not any(begin) and os.fstat(fd).st_size <= _LARGEST_UNBEGUN


def _identify(folder: Path, catalog: Catalog) -> int | None:
    """Return the catalog's format; None if it has yet to be made.

    Raises:
        StoreUnavailable: it is another program's, a newer Holdfast's, or not what it should be.
    """
    application, form, empty = catalog.identity()
    if empty and application in (0, APPLICATION_ID):
        return None
    if application != APPLICATION_ID:
        raise _foreign(folder)
    if catalog.is_misnumbered(form):
        raise _damaged(folder, "it says two different things about its format")
    if form > ENCRYPTED_FORMAT:
        raise StoreUnavailable(
            "newer",
            f"The state in {folder} was saved by a newer Holdfast (format {form}; this one knows {ENCRYPTED_FORMAT}). "
            f"Nothing in it was changed. Update Holdfast, or set stateFolder to another place.",
        )
    if not catalog.check_schema(form):
        raise _damaged(folder, "its tables are not those of a Holdfast catalog")
    return form


def _set_up(core: Core, envelope: bytes | None) -> None:
    core.packs.clear_drafts()
    _clear_unbegun(core)
    is_rebuilt = core.catalog.meta("rebuilding") is not None
    recovery = Recovery(core, rebuild=is_rebuilt)
    recovery.run()
    core.short.update(recovery.short)
    forget_what_never_arrived(core)
    core.boot = boot_id()
    with core.writing():
        core.catalog.note_signer(core.seal.key_id, _me(), now(), str(core.packs.folder.parent.absolute()))
        core.catalog.note_format()
        if envelope is not None and core.catalog.envelope() != envelope:
            core.catalog.note_envelope(envelope)
        core.catalog.rebuilt()
    _resume(core.log, LOG, core, recovery)
    _resume(core.bulk, BULK, core, recovery)
    # Who wrote them may have been killed before they were on the disk; what a catalog says to be synced has to be.
    core.note_unsynced([n for n in sorted(core.catalog.packs())[-_MAYBE_UNSYNCED:] if _is_readable(core, n)])
    remove_retired(core)
    if is_rebuilt:
        _stand_on_what_is_whole(core)


def _stand_on_what_is_whole(core: Core) -> None:
    """In a catalog made anew a head is the last version in the log. What it builds on may have been damaged there: then
    the newest version that can be read comes back, and those after it stay in the history."""
    with core.reading():
        sessions = [session for session in core.catalog.sessions("1") if session.head is not None]
        for session in sessions:
            assert session.head is not None
            older = core.catalog.numbers(session.id, session.head, 1 << 32)
            for number in (session.head, *older):
                try:
                    core.timeline.chain(session, number)
                except (Damaged, NoSuchVersion):
                    continue
                except Untrusted:
                    break  # which is somebody else's, or changed: nobody chooses for the user then
                if number != session.head:
                    stand_on(core, session.uuid, number)
                break


def _clear_unbegun(core: Core) -> None:
    """Remove packs that were not begun and that nothing refers to; nobody else writes, for we have the lock."""
    known = {*core.catalog.packs(), *core.catalog.retired()}
    for number in core.packs.numbers():
        if number not in known and not core.catalog.referenced(number):
            core.packs.clear_unbegun(number)


def _resume(appender: PackAppender, kind: int, core: Core, recovery: Recovery) -> None:
    usable = [
        (number, used)
        for number, (its_kind, used) in core.catalog.packs().items()
        if its_kind == kind
        and number not in recovery.closed
        and core.packs.length(number) == used
        and not _is_copy(core, number)
    ]
    if usable:
        number, used = max(usable)
        try:
            if core.packs.is_shared(number):
                return
        except (OSError, StoreError):
            return  # unreadable: a new pack follows it
        appender.resume(number, used)


def _is_readable(core: Core, number: int) -> bool:
    try:
        core.packs.fd(number)
    except (OSError, StoreError):
        return False  # missing or damaged, which whoever reads from it is told
    return True


def _is_copy(core: Core, number: int) -> bool:
    """Whether a compaction made a pack: what is in it is older than its number, so nothing new may follow."""
    try:
        return core.packs.header(number).is_copy
    except (OSError, StoreError):
        return False  # not to be written to for another reason, as is found out below


def _me() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError, ImportError):
        user = "somebody"
    return f"{user} on {platform.node()}"


def _unavailable(error: StoreError) -> StoreUnavailable:
    return (
        error
        if isinstance(error, StoreUnavailable)
        else StoreUnavailable("damaged" if isinstance(error, Damaged) else "unwritable", error.message)
    )


def _foreign(folder: Path) -> StoreUnavailable:
    return StoreUnavailable(
        "foreign",
        f"{folder / CATALOG_NAME} belongs to another program. Nothing in it was changed. Set stateFolder to "
        f"another place.",
    )


def _damaged(folder: Path, why: str) -> StoreUnavailable:
    return StoreUnavailable(
        "damaged",
        f"The catalog of the saved state, {folder / CATALOG_NAME}, is damaged ({why}). Nothing was changed. The packs "
        f"beside it hold everything: move the catalog away, and it is rebuilt from them.",
    )
