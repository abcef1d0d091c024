"""The open files and their kernels."""

from __future__ import annotations

from typing import Literal

import attrs
from lsprotocol.types import ProgressToken, TextDocumentIdentifier


@attrs.define
class DocumentParams:
    """A request about one document."""

    text_document: TextDocumentIdentifier


@attrs.define
class OptionalDocumentParams:
    """A request about one document, or about all of them."""

    text_document: TextDocumentIdentifier | None = None
    work_done_token: ProgressToken | None = None


SessionStatus = Literal["cold", "starting", "restoring", "idle", "busy", "dead"]


@attrs.define
class Session:
    """One open file and its kernel."""

    text_document: TextDocumentIdentifier
    language: str
    status: SessionStatus
    execution_count: int
    queue: int
    dirty: bool
    interpreter: str | None = None
    pid: int | None = None
    version: int | None = None
    memory: int | None = None


@attrs.define
class RestartParams:
    """Restart the kernel, with or without the saved state."""

    text_document: TextDocumentIdentifier
    restore: bool = True
    work_done_token: ProgressToken | None = None
