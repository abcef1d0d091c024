"""What SQLite's errors, and failed writes in general, mean for the state."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator

from .errors import Damaged, SaveFailed, StoreError, StoreUnavailable

NOTHING_LOST = "This version is not saved; those saved before are as they were."


@contextlib.contextmanager
def translated(*, saving: bool) -> Iterator[None]:
    """Turn SQLite's errors into the store's."""
    try:
        yield
    except (sqlite3.Error, OverflowError, MemoryError) as error:
        raise translate(error, saving=saving) from error
    except UnicodeDecodeError as error:  # the message of an error that quotes what is damaged
        raise damaged_catalog("it holds what is no text where text should be") from error


def translate(error: Exception, *, saving: bool) -> StoreError:
    code = getattr(error, "sqlite_errorcode", None)
    code = code & 0xFF if isinstance(code, int) else None
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return damaged_catalog(str(error))
    if isinstance(error, sqlite3.ProgrammingError) and "closed" in str(error):
        return StoreUnavailable(
            "closed", "The state folder was closed meanwhile. Nothing was read or saved; ask again."
        )
    if not saving and code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreUnavailable("in_use", "Another program holds the state's catalog locked. Close it and ask again.")
    if not saving and code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN):
        return StoreUnavailable(
            "io", f"The state's catalog cannot be read at present ({error}). Nothing was changed. Check the disk."
        )
    if not saving:
        return damaged_catalog(str(error))
    if code == sqlite3.SQLITE_FULL:
        return disk_full()
    if code == sqlite3.SQLITE_READONLY:
        return SaveFailed("read_only", f"The state folder has become read-only. {NOTHING_LOST} Make it writable again.")
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return SaveFailed(
            "busy", f"Another program holds the state's catalog locked. {NOTHING_LOST} Close that program."
        )
    return SaveFailed("io", f"The state's catalog could not be written ({error}). {NOTHING_LOST} Check the disk.")


def disk_full() -> SaveFailed:
    """Return the error for no room."""
    return SaveFailed("disk_full", f"There is no room left for the state folder. {NOTHING_LOST} Free some space.")


def damaged_catalog(why: str) -> Damaged:
    """Return the error for a catalog that cannot be read."""
    return Damaged(
        "catalog",
        "catalog.sqlite",
        f"The catalog of the saved state is damaged ({why}). Nothing was changed; the packs beside it hold everything "
        f"that a catalog is rebuilt from.",
    )
