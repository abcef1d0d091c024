"""Exports and imports."""

from __future__ import annotations

from typing import Literal

import attrs
from lsprotocol.types import ProgressToken, TextDocumentIdentifier

from holdfast.protocol.losses import Lost


@attrs.define
class ExportParams:
    """Write a version (the last by default), or only some names of it, into one file."""

    text_document: TextDocumentIdentifier
    path: str
    names: list[str] | None = None
    version: int | None = None
    format: Literal["holdfast", "json"] | None = None
    overwrite: bool = False
    work_done_token: ProgressToken | None = None


@attrs.define
class ImportParams:
    """Bring the variables of an export, or only some of them, into a document."""

    text_document: TextDocumentIdentifier
    path: str
    names: list[str] | None = None
    pickle: bool = True
    trust: bool = False
    copies: bool = False
    replace: bool = False
    work_done_token: ProgressToken | None = None


@attrs.define
class Transferred:
    """What an export has written, or an import has brought."""

    path: str
    variable_count: int
    bytes: int
    message: str
    failed: list[Lost] = attrs.field(factory=list)
    version: int | None = None
