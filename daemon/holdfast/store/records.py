"""The store's records: what the daemon hands in, and what it gets back. Plain values, no behaviour."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from .patching import Upload

Buffer = bytes | bytearray | memoryview
"""Anything whose bytes can be kept; memoryviews have to be contiguous."""

Summary = dict[str, Any]
"""What is shown of a variable without loading it; JSON, made by the kernel."""


class Head(enum.Enum):
    """The type of `HEAD`."""

    HEAD = "head"


HEAD: Final = Head.HEAD
"""As the parent of a commit: whatever the session's head is then, nothing if it has none."""


@dataclass(slots=True)
class Patch:
    """A large buffer of which only parts are at hand; all of them begin and end on the boundaries of chunks.

    Attributes:
        size: of the whole buffer, in bytes.
        base: what it is like where no part says something else: the fingerprint of the component as it was committed,
            and which of its buffers. None: the parts are all of it.
        runs: parts, each with its offset.
        upload: parts that were written before.
        lists: of the digests of its chunks, known once it is stored.
    """

    size: int
    base: tuple[str, int] | None = None
    runs: list[tuple[int, Buffer]] = field(default_factory=list)
    upload: Upload | None = None
    lists: list[bytes] = field(default_factory=list)

    @property
    def whole(self) -> Buffer | None:
        """All of the buffer, if that is at hand in one piece."""
        alone = self.base is None and self.upload is None and len(self.runs) == 1
        return self.runs[0][1] if alone and memoryview(self.runs[0][1]).nbytes == self.size else None

    @property
    def nbytes(self) -> int:
        """How many bytes are at hand."""
        return sum(memoryview(data).nbytes for _, data in self.runs)


class ComponentContent(NamedTuple):
    """Variables that share objects, pickled together: one stream and its out-of-band buffers."""

    id: str
    members: tuple[str, ...]
    fingerprint: str
    """The kernel's own digest; kept and handed back, never looked into."""
    stream: Buffer | Patch
    buffers: Sequence[Buffer | Patch]
    summaries: dict[str, Summary] = {}  # noqa: RUF012 - never written to
    """One per visible name."""


class ComponentEntry(NamedTuple):
    """A component as a version lists it."""

    id: str
    members: tuple[str, ...]
    fingerprint: str
    digest: bytes
    """BLAKE3 over the references to stream and buffers: equal digests, equal content."""
    size: int
    """Bytes of stream and buffers together, uncompressed."""
    summaries: dict[str, Summary]
    since: int
    """The version that wrote it."""
    content: bytes
    """Where the bytes are, encoded (see `docs/format.md`); opaque to callers."""


@dataclass(slots=True)
class Change:
    """What a run did to a session: the input of a commit."""

    code: str = ""
    run_id: str = ""
    execution_count: int = 0
    run_seconds: float = 0.0
    full: bool = False
    """`changed` is the complete listing; whatever it does not name is gone."""
    changed: list[ComponentContent] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    """Ids of components."""
    names_changed: list[str] = field(default_factory=list)
    names_removed: list[str] = field(default_factory=list)
    skipped: list[dict[str, Any]] = field(default_factory=list)
    """The complete list of what this version does not hold: name, type, reason, remedy."""
    environment: dict[str, Any] = field(default_factory=dict)
    """Python, platform, and the packages which the pickles need."""
    filename: str | None = None
    line: int | None = None
    cell: int | None = None


class VersionRecord(NamedTuple):
    """A version of a session: what was run, what it changed. Not verified; `Store.listing` verifies."""

    version: int
    parent: int | None
    saved_at: str
    """ISO 8601 with offset."""
    code: str
    run_id: str
    execution_count: int
    names_changed: tuple[str, ...]
    names_removed: tuple[str, ...]
    skipped: tuple[dict[str, Any], ...]
    environment: dict[str, Any]
    bytes: int
    """New bytes written for it, after deduplication and compression."""
    seconds: float
    """How long the run took."""
    label: str | None
    digest: str
    """Hex. Covers everything here but bytes and label, the whole delta, and the parent's digest."""
    filename: str | None = None
    line: int | None = None
    cell: int | None = None


@dataclass(frozen=True, slots=True)
class TrashedSession:
    """A session whose file is gone; `Store.recover` brings it back."""

    key: str
    trashed_at: str
    reason: str
    version: int | None
    bytes: int


@dataclass(frozen=True, slots=True)
class Problem:
    """Something a check found."""

    kind: str
    """``damaged``, ``missing`` or ``untrusted``."""
    what: str
    remedy: str
