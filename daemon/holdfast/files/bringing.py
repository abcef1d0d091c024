"""Writing files as they were: whole or not at all, and never over what somebody else wrote."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from .contents import digest_of
from .plan import ABSENT
from .rules import DRAFT


class Refused(Exception):
    """A file was left as it is, for a reason to be told."""


def bring(folder: Path, path: str, expected: str, data: bytes | None, mode: int, largest: int) -> None:
    """Give a file other contents, or take it away.

    Args:
        folder: the workspace.
        path: the file in it.
        expected: digest of what it holds; if it holds something else by now, it is left alone.
        data: what it is to hold; None: it is to go.
        mode: its permissions, if it is made anew.
        largest: bytes above which files are not compared.

    Raises:
        Refused: it was left as it is.
    """
    target = folder / path
    try:
        parent = Path(os.path.realpath(target.parent))
        if not parent.is_relative_to(os.path.realpath(folder)):
            raise Refused("it lies outside of the workspace now: a folder became a link")
        if (digest_of(target, largest) or ABSENT) != expected:
            raise Refused("it was changed since by something else")
        if data is None:
            target.unlink()
            return
        parent.mkdir(parents=True, exist_ok=True)
        draft = parent / f".{secrets.token_hex(4)}{DRAFT}"
        try:
            with draft.open("xb") as file:
                file.write(data)
            draft.chmod(target.stat().st_mode & 0o777 if expected != ABSENT else mode)
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise Refused(f"it could not be written ({error.strerror or error})") from error
