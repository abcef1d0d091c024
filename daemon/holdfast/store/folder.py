"""The `.state` folder itself: is it ours, may we write, and nobody else at the same time."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
import time
from pathlib import Path

from .catalog import CATALOG_NAME
from .errors import StoreUnavailable
from .ownership import OWNER_NAME, Owned, OwnerFile

PACKS_NAME = "packs"
SESSIONS_NAME = "sessions"
FILES_NAME = "files"
"""Another folder like this one, encrypted with the same key."""
LOCK_NAME = "lock"
TRASH_NAME = "trash"
"""What repairs took out, a folder for each."""
_JOURNAL_MAGIC = b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"
PATIENCE = 0.5
"""Seconds to wait for the lock: a daemon that was just killed holds it until the system has cleared it away."""
_OURS = (
    CATALOG_NAME,
    PACKS_NAME,
    SESSIONS_NAME,
    LOCK_NAME,
    TRASH_NAME,
    ".gitignore",
    "daemon",
    "logs",
    FILES_NAME,
    "encryption.json",
    "converting",
    "converted",
)
"""What may lie in a folder without a catalog that we still take for ours; others' folders are left alone."""


def prepare(folder: Path, *, create: bool, within: Path | None = None) -> None:
    """Check the folder, or make it.

    Args:
        folder: the folder.
        create: make it if it is not there.
        within: the state folder, if this is one inside of it.

    Raises:
        StoreUnavailable: it cannot be used; nothing in it was changed.
    """
    if within is not None:
        if within.is_symlink():
            raise _link(within)
        if create and not within.exists():
            _make(within)
    try:
        status = folder.lstat()
    except FileNotFoundError:
        if not create:
            raise absent(folder) from None
        _make(folder)
        return
    except OSError as error:
        raise _unusable(folder, error) from error
    if stat.S_ISLNK(status.st_mode):
        raise _link(folder)
    if not stat.S_ISDIR(status.st_mode):
        raise StoreUnavailable(
            "not_a_folder",
            f"{folder} is a file, where a folder for the saved state should be. Nothing was saved or overwritten. Move "
            f"the file away, or set stateFolder to another place.",
        )
    _check_contents(folder, create)


def _link(folder: Path) -> StoreUnavailable:
    return StoreUnavailable(
        "symlink",
        f"{folder} is a symbolic link; state is not written through links, which may lead anywhere. Nothing was "
        f"saved. Replace it by a folder, or set stateFolder to where the state shall be kept.",
    )


def _check_contents(folder: Path, create: bool) -> None:
    try:
        with os.scandir(folder) as entries:
            names = {entry.name: entry.stat(follow_symlinks=False) for entry in entries}
    except OSError as error:
        raise _unusable(folder, error) from error
    for name, status in names.items():
        if name.startswith(_OURS):
            _check_entry(folder / name, status)
    if CATALOG_NAME not in names and PACKS_NAME not in names:
        strange = sorted(name for name in names if not name.startswith(_OURS))
        if strange:
            raise StoreUnavailable(
                "foreign",
                f"{folder} holds other things ({', '.join(strange[:3])}) and no saved state. Nothing was "
                f"written to it. Set stateFolder to another place, or empty the folder.",
            )
        if not create:
            raise absent(folder)


def _check_entry(path: Path, status: os.stat_result) -> None:
    """Refuse what is not what it should be: a link leads anywhere, and whoever opens a pipe waits."""
    if stat.S_ISLNK(status.st_mode):
        raise StoreUnavailable(
            "symlink",
            f"{path} is a symbolic link; state is not read or written through links. Nothing was changed. "
            f"Replace it by what it points to.",
        )
    is_folder = path.name in (PACKS_NAME, SESSIONS_NAME)
    if path.name.startswith((CATALOG_NAME, LOCK_NAME)) and not stat.S_ISREG(status.st_mode):
        raise _strange(path, "is no file")
    if is_folder and not stat.S_ISDIR(status.st_mode):
        raise _strange(path, "is no folder")
    if path.name in (CATALOG_NAME, LOCK_NAME) and status.st_nlink > 1:
        raise _strange(
            path, "has a second name (a hard link), so it may be somebody else's file", "Replace it by a copy of itself"
        )
    if path.name == f"{CATALOG_NAME}-journal" and _names_a_journal(path):
        raise _strange(path, "was made to have SQLite delete a file elsewhere")


def _strange(path: Path, what: str, remedy: str = "Move it away") -> StoreUnavailable:
    return StoreUnavailable(
        "foreign",
        f"{path} {what}. Nothing was read or written. Holdfast made no such thing: find out where the folder comes "
        f"from. {remedy}, if you trust the rest.",
    )


def _names_a_journal(path: Path) -> bool:
    """Whether a rollback journal names one of several databases: SQLite deletes that in the end. Ours never does."""
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - len(_JOURNAL_MAGIC)))
        return file.read() == _JOURNAL_MAGIC


def _make(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _unusable(folder, error) from error


def furnish(folder: Path) -> None:
    """Make what belongs into the folder besides the catalog.

    Raises:
        StoreUnavailable: it cannot be written to.
    """
    try:
        packs = folder / PACKS_NAME
        packs.mkdir(mode=0o700, exist_ok=True)
        if not stat.S_ISDIR(packs.lstat().st_mode):
            raise NotADirectoryError(errno.ENOTDIR, "it is not a folder", str(packs))
        with contextlib.suppress(FileExistsError), (folder / ".gitignore").open("x", encoding="ascii") as file:
            file.write("*\n")
        catalog = folder / CATALOG_NAME
        with contextlib.suppress(FileExistsError):
            # SQLite gives its side files the rights of the file that it finds.
            os.close(os.open(catalog, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        if not os.access(catalog, os.W_OK) or not os.access(packs, os.W_OK):
            raise PermissionError(errno.EACCES, "no permission to write", str(catalog))
    except OSError as error:
        raise _unusable(folder, error) from error


def who_else_writes(folder: Path) -> str | None:
    """Say who else can write to a state folder; None if nobody can, or the system does not tell."""
    if os.name != "posix":
        return None
    try:
        status = folder.lstat()
    except OSError:
        return None
    if status.st_uid != os.geteuid():
        return f"it belongs to another user (number {status.st_uid})"
    if status.st_mode & stat.S_IWOTH:
        return "everybody may write to it"
    return "a group may write to it" if status.st_mode & stat.S_IWGRP else None


def absent(folder: Path) -> StoreUnavailable:
    """Return the error for no state."""
    return StoreUnavailable("absent", f"There is no saved state in {folder}. Running a cell saves the first.")


def _unusable(folder: Path, error: OSError) -> StoreUnavailable:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        why, remedy = "there is no room left", "Free some space"
    elif error.errno == errno.EROFS:
        why, remedy = "its file system is read-only", "Set stateFolder to a place that is not"
    else:
        why, remedy = (error.strerror or str(error)), "Make it a folder that you can read and write"
    return StoreUnavailable(
        "unwritable",
        f"The state folder {folder} cannot be used ({why}). Nothing is saved; cells run all the same. {remedy}.",
    )


class FolderLock:
    """Keeps a second daemon out; released by the operating system when its holder dies, however it dies.

    Raises:
        StoreUnavailable: kind ``in_use``.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / LOCK_NAME
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
        try:
            self._fd = os.open(path, flags | getattr(os, "O_NONBLOCK", 0), 0o600)
        except OSError as error:
            raise _unusable(folder, error) from error
        try:
            _check_entry(path, os.fstat(self._fd))
        except StoreUnavailable:
            os.close(self._fd)
            raise
        self._owner: OwnerFile | None = None
        try:
            if not self._acquire():
                self._owner = OwnerFile(folder)
        except Owned as error:
            os.close(self._fd)
            raise StoreUnavailable(
                "in_use",
                f"Another Holdfast (process {error}) keeps the state in {folder}, or was killed there. Nothing is "
                f"saved by this one, since the file system has no locks to tell. Stop the other; if it is gone, remove "
                f"{folder / OWNER_NAME}.",
            ) from error
        except OSError as error:
            holder = os.read(self._fd, 64).decode("ascii", "replace").strip()
            os.close(self._fd)
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES, errno.EAGAIN):
                raise _unusable(folder, error) from error
            raise StoreUnavailable(
                "in_use",
                f"Another Holdfast (process {holder or 'unknown'}) keeps the state in {folder}. Nothing is saved by "
                f"this one; use the other, or stop it first.",
            ) from error
        with contextlib.suppress(
            OSError
        ):  # the holder's name is a courtesy; on a full disk the lock counts all the same
            os.ftruncate(self._fd, 0)
            os.lseek(self._fd, 0, os.SEEK_SET)
            os.write(self._fd, f"{os.getpid()}\n".encode("ascii"))

    def _acquire(self) -> bool:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return _lock(self._fd)
            except OSError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.02)

    def release(self) -> None:
        """Let others in."""
        owner, self._owner = self._owner, None
        if owner is not None:
            owner.release()
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


if sys.platform != "win32":
    import fcntl

    def _lock(fd: int) -> bool:
        """Lock the file; whether the file system has locks. Raises OSError if somebody else has it."""
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES, errno.EAGAIN):
                raise
            return False
        return True
else:
    import msvcrt

    def _lock(fd: int) -> bool:
        os.lseek(fd, 1 << 20, os.SEEK_SET)  # Windows locks are mandatory: lock a byte that nobody reads
        msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        return True
