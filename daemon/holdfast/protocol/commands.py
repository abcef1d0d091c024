"""What the commands of `workspace/executeCommand` take."""

from __future__ import annotations

import attrs
from lsprotocol.types import Range, TextDocumentIdentifier

from holdfast.protocol.runs import CellRef


@attrs.define
class Target:
    """What a command is about: a document, and where in it."""

    text_document: TextDocumentIdentifier
    range: Range | None = None
    cell: CellRef | None = None
    version: int | None = None
    match: str | None = None
    limit: int | None = None
