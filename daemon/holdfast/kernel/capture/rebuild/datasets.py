"""Files that xarray reads, and CatBoost's models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from . import Unavailable, give_names


def set_file_manager(made: Any, state: tuple[Any, tuple[str, int, int]]) -> None:
    """Let a file be read where it is, if it is the one that it was.

    Raises:
        Unavailable: it is gone or has changed.
    """
    settings, (path, size, changed) = state
    # What can't be initialized would complain when it goes.
    made.__setstate__(settings)
    try:
        found = Path(path).stat()
    except OSError:
        raise Unavailable(f"the file {path}, from which it is read, is gone") from None
    if (found.st_size, found.st_mtime_ns) != (size, changed):
        raise Unavailable(f"the file {path}, from which it is read, has changed since it was saved")


def set_model(made: Any, state: tuple[dict[str, Any], dict[str, Any]]) -> None:
    """Set a model's own state, and then what was set on it."""
    settings, added = state
    made.__setstate__(settings)
    for name, value in added.items():
        made.__dict__.setdefault(name, value)


give_names(globals())
