"""What users can choose: `initializationOptions.holdfast`, `holdfast.*` in the configuration, or the command line."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from holdfast.errors import InvalidParams
from holdfast.protocol import camel_case
from holdfast.store.keyslots import MODES, NONE

CLOSE_GRACE = 600.0
DELETE_GRACE = 10.0
REBUILD_TIMEOUT = 600.0
KEEP = 1000
"""Days of work: a version of a small session takes two kilobytes, so it is not the number that costs."""
QUOTA = 10_000_000_000
"""What a folder that nobody looks into may take of a laptop's disk, and ten times a session of a gigabyte."""
TRACK_FILES_LIMIT = 10_000_000
"""Tables and pictures that a cell writes are smaller; larger ones would be read in full after they were written."""
REBUILD = ("never", "marked", "always")
_SWITCHES = {
    *("persist", "spare", "skip_secrets", "rollback_on_error", "track_files"),
    *("code_lens", "inlay_hints", "hover", "document_symbols", "folding_ranges", "selection_ranges"),
}


@dataclass(slots=True)
class Settings:
    """The settings of a workspace's daemon.

    Attributes:
        interpreter: Path of the Python that runs cells.
        state_folder: Where state is kept; relative paths count from the workspace.
        grace: Seconds that a closed file keeps its kernel and a deleted file its state. None: 600 s and 10 s.
        persist: Whether successful runs are saved.
        spare: Whether a started kernel stands ready.
        rebuild: Which cells may be run again for variables that a restore could not bring back.
        rebuild_timeout: Seconds that such a cell may take; 0: no limit.
        trash_days: Days for which the state of deleted files can be recovered, and what repairs took out is kept.
        keep: Versions of each file that stay; 0: all.
        quota: Bytes that the saved state of the workspace may take; 0: no limit.
        max_variable_bytes: Variables that take more are not saved; 0: no limit.
        skip_patterns: Glob patterns of names that are not saved.
        skip_secrets: Whether text and bytes are not saved whose names look like those of secrets.
        track_files: Whether what is in the files of the workspace is kept, so that an undo can bring them back.
        track_files_limit: Bytes above which that is not done for a file.
        encryption: How saved state is encrypted that is not: "none", "passphrase" or "keyring".
        code_lens: Whether it is shown above cells what can be done with them, and what became of them.
        inlay_hints: Whether it is shown at assignments what they bound.
        hover: Whether it is told of a name what it stands for in the session.
        document_symbols: Whether cells are in the outline.
        folding_ranges: Whether cells can be folded.
        selection_ranges: Whether a selection grows to the cell.
        rollback_on_error: Whether memory goes back to what is saved when a run fails, unless the run says otherwise.
    """

    interpreter: str = sys.executable
    state_folder: str = ".state"
    grace: float | None = None
    persist: bool = True
    spare: bool = True
    trash_days: float = 30.0
    keep: int = KEEP
    quota: int = QUOTA
    rebuild: str = "marked"
    rebuild_timeout: float = REBUILD_TIMEOUT
    max_variable_bytes: int = 0
    skip_patterns: tuple[str, ...] = ()
    skip_secrets: bool = False
    encryption: str = NONE
    code_lens: bool = True
    inlay_hints: bool = True
    hover: bool = True
    document_symbols: bool = True
    folding_ranges: bool = True
    selection_ranges: bool = True
    rollback_on_error: bool = False
    track_files: bool = False
    track_files_limit: int = TRACK_FILES_LIMIT

    @property
    def close_grace(self) -> float:
        """Seconds that a closed file keeps its kernel."""
        return CLOSE_GRACE if self.grace is None else self.grace

    @property
    def delete_grace(self) -> float:
        """Seconds that a deleted file keeps its state."""
        return DELETE_GRACE if self.grace is None else self.grace

    @property
    def limits(self) -> dict[str, Any]:
        """What kernels are told of what is not to be saved."""
        return {
            "maxVariableBytes": self.max_variable_bytes,
            "skipPatterns": list(self.skip_patterns),
            "skipSecrets": self.skip_secrets,
        }

    def update(self, values: Mapping[str, Any], folder: Path) -> set[str]:
        """Take over what is set in `values` (wire names), leave the rest; return the names of the fields that changed.

        Unknown keys are left to newer versions and other clients.

        Raises:
            InvalidParams: a value has the wrong type; nothing was taken over.
        """
        taken: dict[str, Any] = {}
        for field in fields(self):
            value = values.get(camel_case(field.name))
            if value is None:
                continue
            taken[field.name] = _checked(field.name, value, folder)
        changed = {name for name, value in taken.items() if getattr(self, name) != value}
        for name in changed:
            setattr(self, name, taken[name])
        return changed


def _checked(name: str, value: Any, folder: Path) -> Any:
    wire = camel_case(name)
    if name in _SWITCHES:
        if not isinstance(value, bool):
            raise InvalidParams(f"holdfast.{wire} has to be true or false, not {value!r}; the setting is as before.")
        return value
    if name in {"grace", "trash_days", "rebuild_timeout"}:
        if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
            raise InvalidParams(
                f"holdfast.{wire} has to be a number of at least 0, not {value!r}; the setting is as before."
            )
        return float(value)
    if name == "rebuild":
        if value not in REBUILD:
            raise InvalidParams(
                f'holdfast.{wire} has to be "never", "marked" or "always", not {value!r}; the setting is as before.'
            )
        return value
    if name == "encryption":
        if value not in MODES:
            raise InvalidParams(
                f'holdfast.{wire} has to be "none", "passphrase" or "keyring", not {value!r}; the setting is as before.'
            )
        return value
    if name == "track_files_limit":
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise InvalidParams(
                f"holdfast.{wire} has to be a number of bytes, not {value!r}; the setting is as before."
            )
        return value
    if name in {"max_variable_bytes", "quota", "keep"}:
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            unit = "versions" if name == "keep" else "bytes"
            raise InvalidParams(
                f"holdfast.{wire} has to be a number of {unit}, or 0 for no limit, not {value!r}; "
                "the setting is as before."
            )
        return value
    if name == "skip_patterns":
        if not isinstance(value, list) or not all(isinstance(pattern, str) for pattern in value):
            raise InvalidParams(f"holdfast.{wire} has to be a list of names, not {value!r}; the setting is as before.")
        return tuple(value)
    if not isinstance(value, str) or not value or "\0" in value:
        raise InvalidParams(f"holdfast.{wire} has to be a path, not {value!r}; the setting is as before.")
    if name == "interpreter":
        return _interpreter(value, folder)
    return value


def _interpreter(value: str, folder: Path) -> str:
    """Return the interpreter as an absolute path; names without a folder are looked up on PATH."""
    expanded = Path(os.path.expandvars(value)).expanduser()
    if expanded.is_absolute():
        return str(expanded)
    if len(expanded.parts) == 1 and (found := shutil.which(value)):
        return found
    return str(folder / expanded)
