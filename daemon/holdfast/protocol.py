"""Every custom method of the wire protocol: names, parameters, results.

The classes here are what travels; wire names are the camelCase of the field names. Outputs are nbformat 4.5 output
objects and travel unchanged as plain dictionaries. Times are milliseconds, sizes bytes, dates ISO 8601 with offset.
`docs/protocol.md` is the page that clients are written against.
"""

from __future__ import annotations

import functools
from typing import Any, Literal

import attrs
from cattrs import Converter
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override
from lsprotocol import converters
from lsprotocol.types import Location, ProgressToken, Range, TextDocumentIdentifier

VERSION = 1
"""Version of this protocol, answered in ``capabilities.experimental.holdfast``."""

# ---------------------------------------------------------------------------------------------- results


@attrs.define
class LostCell:
    """The cell that made a variable, as it was run; without a line it was no part of the document."""

    code: str
    execution_count: int
    line: int | None = None
    index: int | None = None
    rebuild: bool = False


@attrs.define
class Lost:
    """A variable that could not be saved or restored: why, what the user can do, and which cell would make it again."""

    name: str
    type: str
    reason: str
    remedy: str
    cell: LostCell | None = None
    needs: list[str] | None = None


@attrs.define
class Rebuilt:
    """Variables that a restore could not bring back, and that their cell has made again."""

    names: list[str]
    run_id: str
    cell: LostCell


@attrs.define
class RunError:
    """A failed run: what a notebook's error output holds, where, and for a dead kernel the cause in words."""

    ename: str
    evalue: str
    traceback: list[str] = attrs.field(factory=list)
    location: Location | None = None
    cause: str | None = None


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
class Variable:
    """One variable, live or as last saved."""

    name: str
    type: str
    preview: str
    saved: Literal["saved", "saving", "skipped"]
    loaded: bool
    shape: list[int] | None = None
    length: int | None = None
    bytes: int | None = None
    version: int | None = None
    cell: int | None = None


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
class FilesWritten:
    """The files that a run wrote, relative to the workspace."""

    created: list[str] = attrs.field(factory=list)
    changed: list[str] = attrs.field(factory=list)
    deleted: list[str] = attrs.field(factory=list)


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
class Look:
    """What a variable is, seen from outside."""

    type: str
    preview: str
    shape: list[int] | None = None
    length: int | None = None
    bytes: int | None = None


@attrs.define
class Difference:
    """A variable that is another one, or has other contents."""

    name: str
    before: Look
    after: Look
    details: dict[str, Any] | None = None
    """What differs inside: ``kind``, ``lines`` for people, and fields that depend on the kind."""


@attrs.define
class Diff:
    """What differs between two versions, or between a version and memory."""

    added: list[str]
    removed: list[str]
    changed: list[Difference]


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
class Compacted:
    """What removing old versions and garbage has won."""

    removed: int
    before: int
    after: int
    message: str


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
class Transferred:
    """What an export has written, or an import has brought."""

    path: str
    variable_count: int
    bytes: int
    message: str
    failed: list[Lost] = attrs.field(factory=list)
    version: int | None = None


@attrs.define
class Cleared:
    """The outcome of clearing a document's state."""

    success: bool
    message: str


@attrs.define
class Interrupted:
    """Whether there was a run to interrupt."""

    interrupted: bool


@attrs.define
class Inspection:
    """A look at the value of an expression: a mime bundle, and for tables and arrays a page of rows."""

    type: str
    data: dict[str, Any]
    rows: list[Any] | None = None
    columns: list[Any] | None = None
    total: int | None = None


# ---------------------------------------------------------------------------------------------- parameters


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


@attrs.define
class DocumentParams:
    """A request about one document."""

    text_document: TextDocumentIdentifier


@attrs.define
class StepParams:
    """Undo or redo; with `files` also what the runs did to files."""

    text_document: TextDocumentIdentifier
    files: bool = False


@attrs.define
class FilesParams:
    """The files as they were at a version (the one that is restored, by default); with `apply` they become that."""

    text_document: TextDocumentIdentifier
    version: int | None = None
    apply: bool = False


@attrs.define
class OptionalDocumentParams:
    """A request about one document, or about all of them."""

    text_document: TextDocumentIdentifier | None = None
    work_done_token: ProgressToken | None = None


@attrs.define
class RestartParams:
    """Restart the kernel, with or without the saved state."""

    text_document: TextDocumentIdentifier
    restore: bool = True
    work_done_token: ProgressToken | None = None


@attrs.define
class VariablesParams:
    """List variables whose name matches a glob pattern."""

    text_document: TextDocumentIdentifier
    match: str | None = None


@attrs.define
class SortBy:
    """Order of the rows of an inspected table."""

    column: str
    descending: bool = False


SortOrder = str | SortBy | list[SortBy] | None


@attrs.define
class InspectParams:
    """Look at the value of an expression; ``offset`` and ``limit`` page through rows."""

    text_document: TextDocumentIdentifier
    expression: str
    offset: int | None = None
    limit: int | None = None
    sort: SortOrder = None
    filter: str | None = None


@attrs.define
class RestoreParams:
    """Bring back a version (the last one by default), or only some names of it."""

    text_document: TextDocumentIdentifier
    version: int | None = None
    names: list[str] | None = None
    work_done_token: ProgressToken | None = None
    files: bool = False


@attrs.define
class BranchParams:
    """Let another document, `to`, start from a version (the last by default) of this one."""

    text_document: TextDocumentIdentifier
    to: str
    version: int | None = None


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
class DiffParams:
    """Compare a version with another, or without `to` with memory."""

    text_document: TextDocumentIdentifier
    from_: int
    to: int | None = None
    details: bool = False
    names: list[str] | None = None


@attrs.define
class TrustParams:
    """Let what others saved of a document be restored, or with `revoke` not any more.

    `digest` is `State.signers_digest` as the user was shown it: if there is something else by now, nothing is trusted.
    """

    text_document: TextDocumentIdentifier
    revoke: bool = False
    digest: str | None = None


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
class ClearParams:
    """Clear a document's state: into the trash, or with ``forget`` past it."""

    text_document: TextDocumentIdentifier
    forget: bool = False


@attrs.define
class CompactParams:
    """Remove what nothing needs; with ``keep``, all but the newest versions first (of one document, or of all)."""

    text_document: TextDocumentIdentifier | None = None
    keep: int | None = None


@attrs.define
class VerifyParams:
    """Derive all that is saved anew from the disk (of one document, or of all); with ``repair``, put it right."""

    text_document: TextDocumentIdentifier | None = None
    repair: bool = False
    work_done_token: ProgressToken | None = None


@attrs.define
class HistoryParams:
    """List versions, newest first; ``before`` is a version number to go on from."""

    text_document: TextDocumentIdentifier
    limit: int | None = None
    before: int | None = None


# ---------------------------------------------------------------------------------------------- notifications


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
class StateEventParams:
    """A document's state was cleared, or changed under our hands."""

    text_document: TextDocumentIdentifier
    reason: str


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


# ---------------------------------------------------------------------------------------------- methods

EXECUTE = "holdfast/execute"
INTERRUPT = "holdfast/interrupt"
RESTART = "holdfast/restart"
SESSIONS = "holdfast/sessions"
VARIABLES = "holdfast/variables"
INSPECT = "holdfast/inspect"
STATE_GET = "holdfast/state/get"
STATE_FLUSH = "holdfast/state/flush"
STATE_RESTORE = "holdfast/state/restore"
STATE_UNDO = "holdfast/state/undo"
STATE_REDO = "holdfast/state/redo"
STATE_FILES = "holdfast/state/files"
STATE_DIFF = "holdfast/state/diff"
STATE_TRUST = "holdfast/state/trust"
STATE_ORIGIN = "holdfast/state/origin"
STATE_BRANCH = "holdfast/state/branch"
STATE_LABEL = "holdfast/state/label"
STATE_EXPORT = "holdfast/state/export"
STATE_IMPORT = "holdfast/state/import"
STATE_CLEAR = "holdfast/state/clear"
STATE_HISTORY = "holdfast/state/history"
STATE_USAGE = "holdfast/state/usage"
STATE_COMPACT = "holdfast/state/compact"
STATE_VERIFY = "holdfast/state/verify"
STOP = "holdfast/stop"
"""Ends the daemon for all its clients, everything flushed first (what ``holdfast stop`` sends)."""

OUTPUT = "holdfast/output"
SESSION_STATUS = "holdfast/sessionStatus"
STATE_SAVED = "holdfast/state/saved"
STATE_RESTORED = "holdfast/state/restored"
STATE_CLEARED = "holdfast/state/cleared"
STATE_CONFLICT = "holdfast/state/conflict"
INPUT = "holdfast/input"

REQUESTS: dict[str, tuple[Any, Any]] = {
    EXECUTE: (ExecuteParams, Run),
    INTERRUPT: (DocumentParams, Interrupted),
    RESTART: (RestartParams, Session),
    SESSIONS: (None, list[Session]),
    VARIABLES: (VariablesParams, list[Variable]),
    INSPECT: (InspectParams, Inspection),
    STATE_GET: (DocumentParams, State),
    STATE_FLUSH: (OptionalDocumentParams, State | list[State]),
    STATE_RESTORE: (RestoreParams, Restored),
    STATE_UNDO: (StepParams, Restored),
    STATE_REDO: (StepParams, Restored),
    STATE_FILES: (FilesParams, FilesBrought),
    STATE_DIFF: (DiffParams, Diff),
    STATE_TRUST: (TrustParams, State),
    STATE_ORIGIN: (OriginParams, list[Version]),
    STATE_BRANCH: (BranchParams, Session),
    STATE_LABEL: (LabelParams, Version),
    STATE_EXPORT: (ExportParams, Transferred),
    STATE_IMPORT: (ImportParams, Transferred),
    STATE_CLEAR: (ClearParams, Cleared),
    STATE_HISTORY: (HistoryParams, list[Version]),
    STATE_USAGE: (OptionalDocumentParams, Usage),
    STATE_COMPACT: (CompactParams, Compacted),
    STATE_VERIFY: (VerifyParams, Verified),
    STOP: (None, None),
}
"""Client to server: method → (type of params, type of result)."""

NOTIFICATIONS: dict[str, Any] = {
    OUTPUT: OutputParams,
    SESSION_STATUS: Session,
    STATE_SAVED: StateSavedParams,
    STATE_RESTORED: StateRestoredParams,
    STATE_CLEARED: StateEventParams,
    STATE_CONFLICT: StateEventParams,
}
"""Server to client: method → type of params."""

SERVER_REQUESTS: dict[str, tuple[Any, Any]] = {INPUT: (InputParams, InputResult)}
"""Server to client, with an answer: method → (type of params, type of result)."""


def camel_case(name: str) -> str:
    """Return the wire name of a field: ``run_id`` → ``runId``."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _is_own(cls: Any) -> bool:
    return isinstance(cls, type) and attrs.has(cls) and cls.__module__ == __name__


def _strict(kind: type) -> Any:
    """cattrs would turn 5 into "5" and "no" into True.

    A client that sends these has made a mistake it should hear of.
    """

    def hook(value: Any, _: Any) -> Any:
        if kind in (int, float) and isinstance(value, int | float) and not isinstance(value, bool):
            number = kind(value)
            if kind is float or number == value:
                return number
        elif kind in (str, bool) and isinstance(value, kind):
            return value
        raise ValueError(f"expected {_KIND_NAMES[kind]}, not {str(value)[:60]!r}")

    return hook


_KIND_NAMES = {int: "an integer", float: "a number", str: "a string", bool: "true or false"}


def _sort_hook(value: Any, converter: Converter) -> Any:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list):
        return [converter.structure(part, SortBy) for part in value]
    return converter.structure(value, SortBy)


@functools.cache
def make_converter() -> Converter:
    """Return lsprotocol's converter with hooks for the classes above: camelCase on the wire, ``null`` left out.

    It is made once, since that takes longer than greeting a client.
    """
    converter = converters.get_converter()
    for kind in _KIND_NAMES:
        converter.register_structure_hook(kind, _strict(kind))

    def structure_hook(cls: Any) -> Any:
        attrs.resolve_types(cls)
        names: Any = {field.name: override(rename=camel_case(field.name)) for field in attrs.fields(cls)}
        structure = make_dict_structure_fn(cls, converter, **names)

        def hook(value: Any, kind: Any) -> Any:
            if not isinstance(value, dict):
                raise ValueError(f"expected an object, not {str(value)[:60]!r}")
            # `null` says the same as leaving a member out.
            return structure({name: part for name, part in value.items() if part is not None}, kind)

        return hook

    def unstructure_hook(cls: Any) -> Any:
        attrs.resolve_types(cls)
        names: Any = {
            field.name: override(rename=camel_case(field.name), omit_if_default=field.default is None)
            for field in attrs.fields(cls)
        }
        return make_dict_unstructure_fn(cls, converter, **names)

    converter.register_structure_hook_factory(_is_own, structure_hook)
    converter.register_unstructure_hook_factory(_is_own, unstructure_hook)
    converter.register_structure_hook(SortOrder, lambda value, _: _sort_hook(value, converter))
    return converter


__all__ = [name for name in globals() if name[0].isupper()] + ["camel_case", "make_converter"]
