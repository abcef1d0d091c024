"""Every method by its name, with the types of what travels."""

from __future__ import annotations

from typing import Any

from holdfast.protocol.files import FilesBrought, FilesParams
from holdfast.protocol.runs import (
    ExecuteParams,
    InputParams,
    InputResult,
    Interrupted,
    OutputParams,
    Run,
    StateSavedParams,
)
from holdfast.protocol.sessions import DocumentParams, OptionalDocumentParams, RestartParams, Session
from holdfast.protocol.states import Cleared, ClearParams, State, StateEventParams, TrustParams
from holdfast.protocol.transfers import ExportParams, ImportParams, Transferred
from holdfast.protocol.upkeep import (
    Compacted,
    CompactParams,
    Encrypted,
    EncryptParams,
    UnlockParams,
    Usage,
    Verified,
    VerifyParams,
)
from holdfast.protocol.variables import Diff, DiffParams, Inspection, InspectParams, Variable, VariablesParams
from holdfast.protocol.versions import (
    BranchParams,
    HistoryParams,
    LabelParams,
    OriginParams,
    Restored,
    RestoreParams,
    StateRestoredParams,
    StepParams,
    Version,
)

VERSION = 1
"""Version of this protocol, answered in ``capabilities.experimental.holdfast``."""

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
STATE_UNLOCK = "holdfast/state/unlock"
STATE_ENCRYPT = "holdfast/state/encrypt"
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
    STATE_UNLOCK: (UnlockParams, Encrypted),
    STATE_ENCRYPT: (EncryptParams, Encrypted),
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
