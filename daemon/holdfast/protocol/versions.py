"""A document's versions: listing and naming them, bringing them back, and starting another document from one."""

from __future__ import annotations

import attrs
from lsprotocol.types import ProgressToken, TextDocumentIdentifier

from holdfast.protocol.files import FileAction, FilesWritten
from holdfast.protocol.losses import Lost, Rebuilt


@attrs.define
class HistoryParams:
    """List versions, newest first; ``before`` is a version number to go on from."""

    text_document: TextDocumentIdentifier
    limit: int | None = None
    before: int | None = None


@attrs.define
class OriginParams:
    """Ask which runs made a variable, and changed it."""

    text_document: TextDocumentIdentifier
    name: str


@attrs.define
class LabelParams:
    """Give a version a name, or without `label` take it away."""

    text_document: TextDocumentIdentifier
    version: int
    label: str | None = None


@attrs.define
class Version:
    """One entry of a document's history."""

    version: int
    saved_at: str
    code: str
    changed: list[str]
    removed: list[str]
    bytes: int
    duration: float
    parent: int | None = None
    label: str | None = None
    thinned: int | None = None
    """How many versions before this one, up to the next older one that is there, were removed to save room."""
    files: FilesWritten | None = None
    """What its run wrote, and the runs after it that saved nothing."""


@attrs.define
class StepParams:
    """Undo or redo; with `files` also what the runs did to files."""

    text_document: TextDocumentIdentifier
    files: bool = False


@attrs.define
class RestoreParams:
    """Bring back a version (the last one by default), or only some names of it."""

    text_document: TextDocumentIdentifier
    version: int | None = None
    names: list[str] | None = None
    work_done_token: ProgressToken | None = None
    files: bool = False


@attrs.define
class Restored:
    """The outcome of bringing a saved state back."""

    success: bool
    message: str
    variable_count: int
    restored: list[str]
    failed: list[Lost] = attrs.field(factory=list)
    version: int | None = None
    rebuilt: list[Rebuilt] = attrs.field(factory=list)
    files: list[FileAction] = attrs.field(factory=list)
    """With `trackFiles`: what the files that runs wrote would have to become, or became."""


@attrs.define
class StateRestoredParams:
    """A document's variables are back."""

    text_document: TextDocumentIdentifier
    version: int
    saved_at: str
    variable_count: int
    failed: list[Lost]
    message: str
    rebuilt: list[Rebuilt] = attrs.field(factory=list)


@attrs.define
class BranchParams:
    """Let another document, `to`, start from a version (the last by default) of this one."""

    text_document: TextDocumentIdentifier
    to: str
    version: int | None = None
