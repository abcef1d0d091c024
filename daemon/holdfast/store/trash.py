"""The trash folder: what repairs took out of a state folder, kept for as long as people may want it back."""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from .cipher import CLEAR, Cipher
from .errors import SaveFailed
from .folder import TRASH_NAME

_STAMP = "%Y-%m-%dT%H-%M-%S"
_NAME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d)-[0-9a-f]{4}")
_PLAIN = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


class Trash:
    """Where a repair puts what it takes out: a folder for each repair, made when something is put there.

    Args:
        state: the state folder.
        cipher: how what it says is written.
    """

    def __init__(self, state: Path, cipher: Cipher = CLEAR) -> None:
        self._cipher = cipher
        stamp = datetime.now().strftime(_STAMP)
        self.path = state / TRASH_NAME / f"{stamp}-{secrets.token_hex(2)}"

    def _made(self) -> Path:
        for folder in (self.path.parent, self.path):
            folder.mkdir(mode=0o700, exist_ok=True)
            if folder.is_symlink():
                raise NotADirectoryError(f"{folder} is a symbolic link")
        return self.path

    def take(self, path: Path) -> None:
        """Move a file here.

        Raises:
            OSError: it is where it was.
        """
        path.rename(self._made() / path.name)

    def keep(self, name: str, data: bytes) -> None:
        """Write down what is about to be removed.

        Raises:
            OSError: it could not be written.
        """
        path = self._made() / (f"{name}.encrypted" if self._cipher.encrypts else name)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _PLAIN, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(self._cipher.hide("trash", data))


def expire_repairs(state: Path, days: float) -> None:
    """Remove what repairs took out longer ago than this. What else somebody put there stays.

    Args:
        state: the state folder.
        days: how long it is kept, by the name of its folder and by when something was last put there.

    Raises:
        SaveFailed: kind ``trash``; some of it could not be removed.
    """
    limit = datetime.now() - timedelta(days=days)
    try:
        for path, stamp in _repairs(state / TRASH_NAME):
            if max(stamp, datetime.fromtimestamp(path.lstat().st_mtime)) < limit:
                shutil.rmtree(path)
    except OSError as error:
        raise SaveFailed("trash", f"{state / TRASH_NAME} could not be emptied: {error}") from error


def _repairs(trash: Path) -> Iterator[tuple[Path, datetime]]:
    """Yield the folders of repairs, and when these began."""
    if trash.is_symlink() or not trash.is_dir():
        return
    for path in sorted(trash.iterdir()):
        named = _NAME.fullmatch(path.name)
        if named is not None and path.is_dir() and not path.is_symlink():
            try:
                yield path, datetime.strptime(named[1], _STAMP)
            except ValueError:
                continue  # no date that there is
