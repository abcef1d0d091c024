"""The state folder as a whole: what it takes, what makes it smaller, and whether it is sound."""

from __future__ import annotations

import attrs
from lsprotocol.types import ProgressToken, TextDocumentIdentifier


@attrs.define
class VariableUsage:
    """Variables that are saved together, and the bytes that they take on the disk."""

    names: list[str]
    types: list[str]
    size: int
    stored: int
    shared: int
    history: int
    versions: int


@attrs.define
class FileUsage:
    """What the saved state of one file takes."""

    text_document: TextDocumentIdentifier
    trashed: bool
    versions: int
    stored: int
    history: int
    records: int
    variables: list[VariableUsage]


@attrs.define
class Usage:
    """What the state folder takes, and what would make it smaller."""

    folder: str
    bytes: int
    garbage: int
    files: list[FileUsage]
    suggestions: list[str]


@attrs.define
class CompactParams:
    """Remove what nothing needs; with ``keep``, all but the newest versions first (of one document, or of all)."""

    text_document: TextDocumentIdentifier | None = None
    keep: int | None = None


@attrs.define
class Compacted:
    """What removing old versions and garbage has won."""

    removed: int
    before: int
    after: int
    message: str


@attrs.define
class VerifyParams:
    """Derive all that is saved anew from the disk (of one document, or of all); with ``repair``, put it right."""

    text_document: TextDocumentIdentifier | None = None
    repair: bool = False
    work_done_token: ProgressToken | None = None


@attrs.define
class UnlockParams:
    """Open encrypted state with its passphrase."""

    passphrase: str


@attrs.define
class EncryptParams:
    """Encrypt saved state (``mode``: ``passphrase`` or ``keyring``), change what opens it, or decrypt it (``none``)."""

    mode: str
    passphrase: str | None = None


@attrs.define
class Encrypted:
    """Whether saved state is encrypted now; `left`: folders in which something of it still lies in clear."""

    encrypted: bool
    folder: str
    message: str
    left: list[str]


@attrs.define
class FoundProblem:
    """Something that is wrong with saved state, and what a repair does about it, or did."""

    kind: str
    what: str
    remedy: str
    repaired: bool = False


@attrs.define
class Verified:
    """What an examination of saved state found; `ok`: nothing that remains."""

    ok: bool
    checked: int
    problems: list[FoundProblem]
