"""Running cells: what is asked for, what comes while they run, and what became of them and of the state."""

from __future__ import annotations

from typing import Any, Literal

import attrs
from lsprotocol.types import Location, ProgressToken, Range, TextDocumentIdentifier

from holdfast.protocol.losses import Lost


@attrs.define
class CellRef:
    """A cell by its position in the document, counted from 0."""

    index: int


@attrs.define
class ExecuteOptions:
    """How a run is to be treated; ``timeout`` is in milliseconds."""

    persist: bool = True
    rollback_on_error: bool | None = None
    collect_outputs: bool = False
    timeout: float | None = None
    durability: Literal["committed", "synced"] = "committed"


@attrs.define
class ExecuteParams:
    """Run ``code``, a ``range`` or a ``cell`` of the document; with none of them the whole document.

    A client that wants to know its run's outputs from the first one on chooses the ``run_id`` itself.
    """

    text_document: TextDocumentIdentifier
    code: str | None = None
    range: Range | None = None
    cell: CellRef | None = None
    options: ExecuteOptions = attrs.field(factory=ExecuteOptions)
    run_id: str | None = None
    work_done_token: ProgressToken | None = None


SavedStatus = Literal["saved", "saving", "unchanged", "off", "failed"]


@attrs.define
class Saved:
    """What became of the state after a run; ``saved`` is only said once it survives a kill."""

    status: SavedStatus
    version: int | None = None
    changed: list[str] = attrs.field(factory=list)
    removed: list[str] = attrs.field(factory=list)
    skipped: list[Lost] = attrs.field(factory=list)
    bytes: int | None = None
    duration: float | None = None
    reason: str | None = None


@attrs.define
class RunError:
    """A failed run: what a notebook's error output holds, where, and for a dead kernel the cause in words."""

    ename: str
    evalue: str
    traceback: list[str] = attrs.field(factory=list)
    location: Location | None = None
    cause: str | None = None


RunStatus = Literal["ok", "error", "interrupted", "died"]


@attrs.define
class Run:
    """The outcome of one run of a cell, a range or a document."""

    run_id: str
    status: RunStatus
    execution_count: int
    duration: float
    state: Saved
    outputs: list[dict[str, Any]] | None = None
    error: RunError | None = None


@attrs.define
class Interrupted:
    """Whether there was a run to interrupt."""

    interrupted: bool


@attrs.define
class OutputParams:
    """A piece of a run's output, as it comes."""

    text_document: TextDocumentIdentifier
    run_id: str
    output: dict[str, Any]


@attrs.define
class StateSavedParams:
    """What was ``saving`` in a run's result is settled."""

    text_document: TextDocumentIdentifier
    run_id: str
    state: Saved


@attrs.define
class InputParams:
    """User code called ``input()`` or ``getpass()``."""

    text_document: TextDocumentIdentifier
    run_id: str
    prompt: str
    password: bool


@attrs.define
class InputResult:
    """What the user typed."""

    value: str
