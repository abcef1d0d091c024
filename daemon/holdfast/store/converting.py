"""Encrypting a store that is not, or the other way round: all of it is written anew, and takes the old one's place.

1. The new store is written to `converting/` beside the old one, record by record, each verified, and put on the disk.
   A kill up to here leaves a folder that the next opening removes.
2. That folder is renamed to `converted/`: from here on the new store is the store.
3. Its parts are moved into place, and the old ones removed, by this process or by whichever opens the folder next.

Digests and seals are those of what is encrypted, so versions, signatures and what is trusted stay what they are.
"""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

from .appending import write_error
from .blobs import Location
from .catalog import CATALOG_NAME, Catalog
from .cipher import Cipher
from .copying import Needed, PackCopy
from .core import Core, now
from .errors import Damaged, SaveFailed, StoreError, StoreUnavailable
from .folder import PACKS_NAME, SESSIONS_NAME
from .keyslots import ENVELOPE_NAME
from .ledger import ListingRow
from .mending import strays
from .packs import PackFolder, flush, sync_folder
from .rows import VersionRow

CONVERTING, CONVERTED = "converting", "converted"
_OLD_PACKS, _ENCRYPTED, _DECRYPTED = "packs.old", "encrypted", "decrypted"
_PAGE = 500
_SPARE = 16 << 20


def convert(core: Core, folder: Path, cipher: Cipher) -> None:
    """Write a store anew, encrypted or not; nothing of it counts before `commit`.

    Args:
        core: the store, which nobody uses meanwhile.
        folder: its folder.
        cipher: how the new one is written.

    Raises:
        StoreError: something is damaged, or there is no room. Nothing was changed.
    """
    target = folder / CONVERTING
    try:
        shutil.rmtree(target, ignore_errors=True)
        _require_room(core, folder)
        (target / PACKS_NAME).mkdir(mode=0o700, parents=True)
        target.chmod(0o700)
        _Conversion(core, target, cipher).run()
        (target / (_ENCRYPTED if cipher.encrypts else _DECRYPTED)).touch(0o600)
        for place in (target / PACKS_NAME, target, folder):
            sync_folder(place)
    except OSError as error:
        shutil.rmtree(target, ignore_errors=True)
        raise write_error(error) from error
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise


def _require_room(core: Core, folder: Path) -> None:
    used = sum(used for _, used in core.catalog.packs().values()) + core.catalog.path.stat().st_size
    free = shutil.disk_usage(folder).free
    if free < used + used // 16 + _SPARE:
        raise SaveFailed(
            "disk_full",
            f"The state in {folder} is written anew to be encrypted or decrypted, which takes {used >> 20} MiB beside "
            f"it; {free >> 20} MiB are free. Nothing was changed. Free some space and try again.",
        )


class _Conversion:
    """One store written anew."""

    def __init__(self, core: Core, target: Path, cipher: Cipher) -> None:
        self._core = core
        self._packs = PackFolder(target / PACKS_NAME, core.packs.store_id, cipher)
        path = target / CATALOG_NAME
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        self._catalog = Catalog(path, cipher)
        self._records: dict[str, dict[int, tuple[int, int]]] = {"versions": {}, "listings": {}}

    def run(self) -> None:
        """Do it, and have it on the disk."""
        core, catalog = self._core, self._catalog
        if core.short or strays(core):
            raise _not_whole("some of its packs are damaged")
        try:
            catalog.prepare()
            catalog.create(core.packs.store_id, now(), rebuilding=False)
            self._copy_packs()
            self._copy_rows()
            with catalog.transaction(durable=True):
                catalog.note_hardened(core.boot)
        except Damaged as error:
            raise _not_whole(error.message) from error
        finally:
            catalog.close()
            self._packs.close()
        fd = os.open(catalog.path, os.O_RDWR)
        try:
            flush(fd)
        finally:
            os.close(fd)

    def _copy_packs(self) -> None:
        core, needed = self._core, self._needed()
        for number, (kind, used) in core.catalog.packs().items():
            order = core.packs.header(number).order
            copy = PackCopy(self._packs, number, kind, order, core.packs)
            try:
                for _ in copy.take(number, used, needed.get(number, Needed({}, {}, {}))):
                    pass
                copy.finish()
            finally:
                copy.give_up()
            moves = copy.moves
            with self._catalog.transaction():
                self._catalog.set_pack(number, kind, copy.end)
                self._catalog.add_chunks([(digest, place) for digest, _, place in moves.chunks])
            for table, places in (("versions", moves.versions), ("listings", moves.listings)):
                self._records[table].update((identity, (pack, offset)) for identity, pack, offset in places)

    def _needed(self) -> dict[int, Needed]:
        found: dict[int, Needed] = {}

        def of(pack: int) -> Needed:
            return found.setdefault(pack, Needed({}, {}, {}))

        history = self._core.catalog.history
        for page in history.chunks(_PAGE):
            for digest, place in page:
                of(place.pack).chunks[place.offset] = digest, Location(*place)
        for table in ("versions", "listings"):
            for places in history.places(table, _PAGE):
                for identity, pack, offset in places:
                    needed = of(pack)
                    (needed.versions if table == "versions" else needed.listings)[offset] = identity
        unknown = found.keys() - self._core.catalog.packs().keys()
        if unknown:
            raise _not_whole(f"pack {min(unknown)} is missing")
        return found

    def _copy_rows(self) -> None:
        old, new = self._core.catalog, self._catalog
        with new.transaction():
            for signer in old.signers():
                new.add_signer(*signer)
            for session in old.sessions("1"):
                new.put_session(session)
                for gap in old.history.gaps(session.id):
                    new.history.note_gap(session.id, gap.first, gap.last, gap.at)
        for ids in old.history.version_ids(_PAGE):
            with new.transaction():
                for identity in ids:
                    self._copy_version(identity)
        if len(self._records["versions"]) != sum(len(ids) for ids in new.history.version_ids(_PAGE)):
            raise _not_whole("versions in its packs are not in its catalog")

    def _copy_version(self, identity: int) -> None:
        old, new = self._core.catalog, self._catalog
        session, number = identity >> 32, identity & 0xFFFFFFFF
        row, delta = old.version(session, number), old.delta(session, number)
        place = self._records["versions"].get(identity)
        if row is None or delta is None or place is None:
            raise _not_whole(f"version {number} of a session cannot be read")
        moved = row._replace(pack=place[0], offset=place[1])
        new.add_versions([(moved, delta)])
        _require_same(new.version(session, number), moved)
        listing = old.history.listing(session, number)
        if listing is not None:
            place = self._records["listings"].get(identity)
            if place is None:
                raise _not_whole(f"the listing of version {number} cannot be read")
            listed = listing._replace(pack=place[0], offset=place[1])
            new.history.add_listing(listed)
            _require_same(new.history.listing(session, number), listed)


def _require_same(found: VersionRow | ListingRow | None, expected: VersionRow | ListingRow) -> None:
    if found != expected:
        raise _not_whole("what was written is not what is read")


def _not_whole(why: str) -> SaveFailed:
    return SaveFailed(
        "damaged",
        f"The state was not written anew, since it is not whole: {why.rstrip('.')}. Nothing was changed. "
        f"`holdfast verify --repair` says what is damaged, and repairs what can be; then try again.",
    )


def commit(folder: Path) -> None:
    """Have the store that `convert` wrote be the store.

    Raises:
        OSError: it is not; the old one still is.
    """
    (folder / CONVERTING).rename(folder / CONVERTED)
    sync_folder(folder)


def take_place(folder: Path) -> None:
    """Move what was converted into place, if that is still to be done; and remove what was never finished.

    Args:
        folder: the state folder, locked.

    Raises:
        StoreUnavailable: it could not be done; whoever opens the folder next goes on with it.
    """
    try:
        if (folder / CONVERTING).exists():
            shutil.rmtree(folder / CONVERTING)
        if (folder / CONVERTED).exists():
            _take_place(folder, folder / CONVERTED)
        if (folder / _OLD_PACKS).exists():
            shutil.rmtree(folder / _OLD_PACKS)
    except OSError as error:
        raise StoreUnavailable(
            "unwritable",
            f"The state in {folder} was encrypted or decrypted, and could not be put into place ({error}). Nothing is "
            f"lost; the next opening of the folder tries again.",
        ) from error


def _take_place(folder: Path, new: Path) -> None:
    for path in (new, new / PACKS_NAME, new / CATALOG_NAME):
        if path.is_symlink() or (path == new and not stat.S_ISDIR(path.lstat().st_mode)):
            raise StoreUnavailable(
                "symlink", f"{path} is a symbolic link, which Holdfast never makes. Nothing was changed; remove it."
            )
    # Each step is right to be done again; a step that was done has nothing left to move.
    if (new / PACKS_NAME).exists():
        if (folder / PACKS_NAME).exists():
            shutil.rmtree(folder / _OLD_PACKS, ignore_errors=True)
            (folder / PACKS_NAME).rename(folder / _OLD_PACKS)
        (new / PACKS_NAME).rename(folder / PACKS_NAME)
    if (new / CATALOG_NAME).exists():
        for side in ("-wal", "-shm"):
            (folder / f"{CATALOG_NAME}{side}").unlink(missing_ok=True)
        sync_folder(folder)  # a log of the old catalog beside the new one would be taken for this one's
        (new / CATALOG_NAME).replace(folder / CATALOG_NAME)
    if (new / _ENCRYPTED).exists():
        shutil.rmtree(folder / SESSIONS_NAME, ignore_errors=True)  # where it was told in clear what is saved
    if (new / _DECRYPTED).exists():
        (folder / ENVELOPE_NAME).unlink(missing_ok=True)
    sync_folder(folder)
    shutil.rmtree(new)
    sync_folder(folder)


def problem_of(error: StoreError | OSError) -> StoreUnavailable:
    """Return why a store could not be converted as a reason for which it cannot be used."""
    if isinstance(error, StoreUnavailable):
        return error
    if isinstance(error, StoreError):
        return StoreUnavailable("unwritable", error.message)
    return StoreUnavailable("unwritable", f"The state could not be encrypted or decrypted ({error}).")
