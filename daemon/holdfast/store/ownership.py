"""Keeping a second daemon out where the file system has no locks: a file that exists once, and says whose it is."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import secrets
from pathlib import Path

OWNER_NAME = "lock.owner"
_MAX = 1024
_PLAIN = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


class Owned(Exception):
    """Somebody else has the folder, or had it on another machine; the message says who."""


class OwnerFile:
    """The file beside the lock. It outlives a daemon that is killed; whoever comes then can tell, on the same machine.

    Raises:
        Owned: somebody else has it.
        OSError: it cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / OWNER_NAME
        self._mine = json.dumps({**_here(), "pid": os.getpid(), "token": secrets.token_hex(8)}).encode("ascii")
        if not self._create() and not (self._is_left_over() and self._create()):
            raise Owned(self._holder())

    def _create(self) -> bool:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _PLAIN
        try:
            fd = os.open(self._path, flags, 0o600)
        except FileExistsError:
            return False
        with os.fdopen(fd, "wb") as file:
            file.write(self._mine)
        return True

    def _is_left_over(self) -> bool:
        """Whether its owner is known to be dead; then it is taken away, by one of all that find out."""
        said = self._said()
        same = {name: said.get(name) for name in _here()} == _here()
        pid = said.get("pid")
        if said.get("host") != _here()["host"] or not isinstance(pid, int) or pid <= 0:
            return False
        if same and _is_alive(pid):
            return False
        aside = self._path.with_name(f"{OWNER_NAME}.{secrets.token_hex(4)}")
        try:
            self._path.rename(aside)
        except OSError:
            return False
        aside.unlink(missing_ok=True)
        return True

    def _said(self) -> dict[str, object]:
        try:
            with self._path.open("rb") as file:
                found = json.loads(file.read(_MAX))
        except (OSError, ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    def _holder(self) -> str:
        said = self._said()
        return f"{said.get('pid', 'unknown')} on {said.get('host', 'an unknown machine')}"

    def release(self) -> None:
        """Let others in."""
        with contextlib.suppress(OSError):
            if self._path.read_bytes() == self._mine:
                self._path.unlink()


def _here() -> dict[str, str]:
    """Return what tells this machine, and this time that it runs, from others."""
    boot = ""
    with contextlib.suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    return {"host": platform.node(), "boot": boot}


def _is_alive(pid: int) -> bool:
    if pid == os.getpid() or os.name != "posix":
        return True  # elsewhere there is no signal that only asks
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
