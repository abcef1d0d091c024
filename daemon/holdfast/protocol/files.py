"""The files that runs wrote, and bringing them back."""

from __future__ import annotations

from typing import Literal

import attrs
from lsprotocol.types import TextDocumentIdentifier


@attrs.define
class FilesWritten:
    """The files that a run wrote, relative to the workspace."""

    created: list[str] = attrs.field(factory=list)
    changed: list[str] = attrs.field(factory=list)
    deleted: list[str] = attrs.field(factory=list)


@attrs.define
class FilesParams:
    """The files as they were at a version (the one that is restored, by default); with `apply` they become that."""

    text_document: TextDocumentIdentifier
    version: int | None = None
    apply: bool = False


@attrs.define
class FileAction:
    """What becomes of a file when files are brought back to how they were."""

    path: str
    """Relative to the workspace, with slashes."""
    action: Literal["write", "create", "delete"]
    status: Literal["offered", "done", "left"]
    """``left``: it is not touched, `reason` says why."""
    reason: str | None = None


@attrs.define
class FilesBrought:
    """The files that differ from how they were at a version, and what was or can be done about it."""

    version: int
    files: list[FileAction]
    message: str
