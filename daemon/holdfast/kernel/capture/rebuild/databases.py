"""Opening databases again."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from typing import Any
from urllib.parse import quote

from . import Unavailable, give_names


def closed_connection() -> sqlite3.Connection:
    """Return a connection that is closed."""
    made = sqlite3.connect(":memory:")
    made.close()
    return made


def connection(
    file: str, contents: bytes | None, attached: list[tuple[str, str]], options: dict[str, Any]
) -> sqlite3.Connection:
    """Connect to a database again; nothing is made that isn't there.

    Args:
        file: of the main database; empty for one in memory.
        contents: of the one in memory, as they would be in a file.
        attached: names and files of those that are attached.
        options: for ``sqlite3.connect``.

    Raises:
        Unavailable: a file is gone.
    """
    for path in [path for path in (file, *(other for _, other in attached)) if path]:
        if not os.path.exists(path):  # noqa: PTH110
            raise Unavailable(f"the database {path}, to which it was connected, is gone")
    if not hasattr(sqlite3.Connection, "autocommit"):
        options = {name: value for name, value in options.items() if name != "autocommit"}
    if file:
        made: sqlite3.Connection = sqlite3.connect(f"file:{quote(file)}?mode=rw", uri=True, **options)
    else:
        made = sqlite3.connect(":memory:", **options)
        if contents:
            _fill(made, contents)
    for name, other in attached:
        made.execute(f"ATTACH DATABASE ? AS {_quoted(name)}", (other,))
    return made


def _fill(made: sqlite3.Connection, contents: bytes) -> None:
    handle, path = tempfile.mkstemp()
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(contents)
        source = sqlite3.connect(path)
        source.backup(made)
        source.close()
    finally:
        os.unlink(path)  # noqa: PTH108


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def set_connection_state(made: sqlite3.Connection, state: dict[str, Any]) -> None:
    """Set a connection's factories and what holds for it alone."""
    for name, value in state["settings"].items():
        made.execute(f"PRAGMA {name} = {int(value)}").close()
    made.row_factory = state["row_factory"]
    made.text_factory = state["text_factory"]


def row(names: tuple[str, ...], values: tuple[Any, ...]) -> sqlite3.Row:
    """Return a row of a result."""
    source = sqlite3.connect(":memory:")
    cursor = source.execute("SELECT " + ", ".join(f"1 AS {_quoted(name)}" for name in names))
    made = sqlite3.Row(cursor, values)
    source.close()
    return made


give_names(globals())
