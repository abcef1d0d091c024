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

PACKS_NAME = "packs"
SESSIONS_NAME = "sessions"
LOCK_NAME = "lock"
TRASH_NAME = "trash"
"""What repairs took out, a folder for each."""
PATIENCE = 0.5
"""Seconds to wait for the lock: a daemon that was just killed holds it until the system has cleared it away."""
_OURS = (CATALOG_NAME, PACKS_NAME, SESSIONS_NAME, LOCK_NAME, TRASH_NAME, ".gitignore", "daemon", "logs")
"""What may lie in a folder without a catalog that we still take for ours; others' folders are left alone."""


def prepare(folder: Path, *, create: bool) -> None:
    """Check the folder, or make it.

    Raises:
        StoreUnavailable: it cannot be used; nothing in it was changed.
    """
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
        raise StoreUnavailable(
            "symlink",
            f"{folder} is a symbolic link; state is not written through links, which may lead anywhere. Nothing was "
            f"saved. Replace it by a folder, or set stateFolder to where the state shall be kept.",
        )
    if not stat.S_ISDIR(status.st_mode):
        raise StoreUnavailable(
            "not_a_folder",
            f"{folder} is a file, where a folder for the saved state should be. Nothing was saved or overwritten. Move "
            f"the file away, or set stateFolder to another place.",
        )
    _check_contents(folder, create)


def _check_contents(folder: Path, create: bool) -> None:
    try:
        with os.scandir(folder) as entries:
            names = {entry.name: entry.is_symlink() for entry in entries}
    except OSError as error:
        raise _unusable(folder, error) from error
    for name, is_link in names.items():
        if is_link and name.startswith(_OURS):
            raise StoreUnavailable(
                "symlink",
                f"{folder / name} is a symbolic link; state is not read or written through links. Nothing was changed. "
                f"Replace it by what it points to.",
            )
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
            self._fd = os.open(path, flags, 0o600)
        except OSError as error:
            raise _unusable(folder, error) from error
        try:
            self._acquire()
        except OSError as error:
            holder = os.read(self._fd, 64).decode("ascii", "replace").strip()
            os.close(self._fd)
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

    def _acquire(self) -> None:
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
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


if sys.platform != "win32":
    import fcntl

    def _lock(fd: int) -> None:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES, errno.EAGAIN):
                raise
            # A file system without locks: SQLite's own, inside each transaction, still keep the catalog whole.
else:
    import msvcrt

    def _lock(fd: int) -> None:
        os.lseek(fd, 1 << 20, os.SEEK_SET)  # Windows locks are mandatory: lock a byte that nobody reads
        msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
