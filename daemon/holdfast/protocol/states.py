"""What is stored for a document, by whom, and taking it away."""

from __future__ import annotations

import attrs
from lsprotocol.types import TextDocumentIdentifier

from holdfast.protocol.losses import Lost


@attrs.define
class Environment:
    """Where a state was saved: Python version, platform, and the distributions that its pickles name."""

    python: str
    platform: str
    packages: dict[str, str] = attrs.field(factory=dict)


@attrs.define
class Signer:
    """Somebody else who signed versions of a document. But for `trusted` and `trusted_at` it is what they say."""

    key_id: str
    versions: int
    first: str
    last: str
    trusted: bool
    name: str | None = None
    folder: str | None = None
    python: str = ""
    platform: str = ""
    trusted_at: str | None = None


@attrs.define
class State:
    """What is stored for a document."""

    has_saved_state: bool
    variable_count: int
    variable_names: list[str]
    file_size_bytes: int
    pickle_protocol: int
    state_file_exists: bool
    trusted: bool
    environment: Environment
    checksum: str | None = None
    version: int | None = None
    saved_at: str | None = None
    skipped: list[Lost] = attrs.field(factory=list)
    signers: list[Signer] = attrs.field(factory=list)
    """Others who signed versions of it."""
    signers_digest: str | None = None
    """Names exactly what of theirs is there and not trusted yet."""


@attrs.define
class TrustParams:
    """Let what others saved of a document be restored, or with `revoke` not any more.

    `digest` is `State.signers_digest` as the user was shown it: if there is something else by now, nothing is trusted.
    """

    text_document: TextDocumentIdentifier
    revoke: bool = False
    digest: str | None = None


@attrs.define
class ClearParams:
    """Clear a document's state: into the trash, or with ``forget`` past it."""

    text_document: TextDocumentIdentifier
    forget: bool = False


@attrs.define
class Cleared:
    """The outcome of clearing a document's state."""

    success: bool
    message: str


@attrs.define
class StateEventParams:
    """A document's state was cleared, or changed under our hands."""

    text_document: TextDocumentIdentifier
    reason: str
