"""Opening a state folder: is it ours, which format, and what did a killed writer leave behind."""

from __future__ import annotations

import contextlib
import getpass
import platform
import secrets
from pathlib import Path

from .aftermath import boot_id, forget_what_never_arrived
from .appending import PackAppender
from .catalog import APPLICATION_ID, CATALOG_NAME, FORMAT, Catalog, peek
from .compacting import remove_retired
from .core import Core, now
from .errors import Damaged, StoreError, StoreUnavailable
from .folder import PACKS_NAME, FolderLock, furnish, prepare
from .packs import BULK, LOG, PackFolder
from .recovery import Recovery, store_id_of
from .seal import Seal
from .trusts import Trusts

_MAYBE_UNSYNCED = 64
"""Packs that a daemon which was killed may have written in the second since it last had all of them on the disk."""


def open_core(
    folder: Path, key: bytes, *, create: bool, trusts: Path | None = None, within: Path | None = None
) -> Core:
    """Open a state folder.

    Raises:
        StoreUnavailable: it cannot be used as it is.
    """
    prepare(folder, create=create, within=within)
    # Nothing is written, not even the lock, before the folder is known to be ours.
    _require_ours(folder)
    with contextlib.ExitStack() as undo:
        lock = FolderLock(folder)
        undo.callback(lock.release)
        furnish(folder)
        catalog = Catalog(folder / CATALOG_NAME)
        undo.callback(catalog.close)
        try:
            missing = _identify(folder, catalog)
            catalog.prepare()
            if missing:
                found = store_id_of(folder / PACKS_NAME)
                catalog.create(found or secrets.token_bytes(16), now(), rebuilding=found is not None)
            store_id = catalog.meta("store_id")
        except StoreError as error:
            raise _unavailable(error) from error
        if store_id is None or len(store_id) != 16:
            raise _damaged(folder, "it does not say which store it belongs to")
        packs = PackFolder(folder / PACKS_NAME, store_id)
        undo.callback(packs.close)
        core = Core(catalog, packs, Seal(key), lock, Trusts(trusts))
        try:
            _set_up(core)
        except StoreError as error:
            raise _unavailable(error) from error
        undo.pop_all()
        return core


def _require_ours(folder: Path) -> None:
    """Look at an existing catalog before anything is written into the folder."""
    path = folder / CATALOG_NAME
    if not path.exists():
        return
    try:
        seen = peek(path)
    except Damaged as error:
        raise _damaged(folder, "it is not a database") from error
    if seen is not None and not seen[1] and seen[0] != APPLICATION_ID:
        if store_id_of(folder / PACKS_NAME) is not None:
            raise _damaged(folder, "it does not say any more that it is one")
        raise _foreign(folder)


def _identify(folder: Path, catalog: Catalog) -> bool:
    """Return whether the catalog has yet to be made.

    Raises:
        StoreUnavailable: it is another program's, a newer Holdfast's, or not what it should be.
    """
    application, form, empty = catalog.identity()
    if empty and application in (0, APPLICATION_ID):
        return True
    if application != APPLICATION_ID:
        raise _foreign(folder)
    if catalog.is_misnumbered(form):
        raise _damaged(folder, "it says two different things about its format")
    if form > FORMAT:
        raise StoreUnavailable(
            "newer",
            f"The state in {folder} was saved by a newer Holdfast (format {form}; this one knows {FORMAT}). Nothing in "
            f"it was changed. Update Holdfast, or set stateFolder to another place.",
        )
    if not catalog.check_schema(form):
        raise _damaged(folder, "its tables are not those of a Holdfast catalog")
    catalog.upgrade(form)
    return False


def _set_up(core: Core) -> None:
    core.packs.clear_drafts()
    _clear_unbegun(core)
    recovery = Recovery(core, rebuild=core.catalog.meta("rebuilding") is not None)
    recovery.run()
    core.short.update(recovery.short)
    forget_what_never_arrived(core)
    core.boot = boot_id()
    with core.writing():
        core.catalog.note_signer(core.seal.key_id, _me(), now(), str(core.packs.folder.parent.absolute()))
        core.catalog.note_format()
        core.catalog.rebuilt()
    _resume(core.log, LOG, core, recovery)
    _resume(core.bulk, BULK, core, recovery)
    # Who wrote them may have been killed before they were on the disk; what a catalog says to be synced has to be.
    core.note_unsynced([n for n in sorted(core.catalog.packs())[-_MAYBE_UNSYNCED:] if _is_readable(core, n)])
    remove_retired(core)


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
