"""sqlite3: connections are opened again; what lies in memory is kept as the bytes of its database."""

from __future__ import annotations

import gc
import os
import sys
import tempfile
import threading
from typing import TYPE_CHECKING, Any

from ..rebuild import databases as rebuild
from .registry import CannotKeep

if TYPE_CHECKING:
    from ..pickler import ComponentPickler
    from .registry import Recipe

CONTENTS_BYTES = 256 << 20
"""Databases in memory are kept up to this size."""

_PRAGMAS = ("foreign_keys", "busy_timeout", "synchronous", "cache_size", "query_only", "recursive_triggers")
_PER_FILE = "connect in the cell that uses it, and keep what it returned"


def _connection(pickler: ComponentPickler, connection: Any) -> Any:
    pickler.session.require_original()
    sqlite3: Any = sys.modules["sqlite3"]
    try:
        uncommitted = connection.in_transaction
        connection.total_changes  # noqa: B018 - raises if it is closed
    except sqlite3.ProgrammingError as error:
        if "closed" in str(error):
            return rebuild.closed_connection, ()
        raise
    if uncommitted:
        raise CannotKeep(
            "it has a transaction that is not committed", "call commit() or rollback() before the cell ends"
        )
    factory = connection.text_factory
    connection.text_factory = str
    try:
        main, attached, settings = _look(connection)
        contents = None if main else _contents(sqlite3, connection)
        options = {
            "isolation_level": connection.isolation_level,
            "detect_types": _detected_types(sqlite3, connection),
            "check_same_thread": _is_bound_to_thread(connection),
        }
    finally:
        connection.text_factory = factory
    if (autocommit := getattr(connection, "autocommit", -1)) != -1:
        options["autocommit"] = autocommit
    pickler.weak[id(connection)] -= _own_references(connection)
    state = {"row_factory": connection.row_factory, "text_factory": factory, "settings": settings}
    made = rebuild.connection, (main, contents, attached, options)
    return (*made, state, None, None, rebuild.set_connection_state)


def _own_references(connection: Any) -> int:
    """Return how often its cache of statements refers to it."""
    count = 0
    for cache in gc.get_referents(connection):
        for part in gc.get_referents(cache) if type(cache).__name__ == "_lru_cache_wrapper" else ():
            count += part is connection
            count += sum(value is connection for value in part.values()) if type(part) is dict else 0
    return count


def _ask(connection: Any, question: str) -> list[Any]:
    cursor = connection.cursor()
    cursor.row_factory = None
    try:
        rows: list[Any] = cursor.execute(question).fetchall()
        return rows
    finally:
        cursor.close()


def _look(connection: Any) -> tuple[str, list[tuple[str, str]], dict[str, Any]]:
    """Return the main database's file, those that are attached, and what is set for the connection alone."""
    databases = {name: file for _, name, file in _ask(connection, "PRAGMA database_list")}
    if _ask(connection, "SELECT count(*) FROM sqlite_temp_master")[0][0]:
        raise CannotKeep("it has temporary tables, which no other connection sees", "drop them, or make them tables")
    attached = [(name, file) for name, file in databases.items() if name not in ("main", "temp")]
    if not all(file for _, file in attached):
        raise CannotKeep("it has a database in memory attached", "detach it, or attach a file")
    settings = {}
    for name in _PRAGMAS:
        answer = _ask(connection, f"PRAGMA {name}")
        if answer:
            settings[name] = answer[0][0]
    return databases["main"] or "", attached, settings


def _contents(sqlite3: Any, connection: Any) -> bytes:
    pages = _ask(connection, "PRAGMA page_count")[0][0] * _ask(connection, "PRAGMA page_size")[0][0]
    if pages > CONTENTS_BYTES:
        raise CannotKeep(f"its database in memory is larger than {CONTENTS_BYTES >> 20} MiB", "keep it in a file")
    if not pages:
        return b""
    if hasattr(connection, "serialize"):
        contents: bytes = connection.serialize()
        return contents
    handle, path = tempfile.mkstemp()
    os.close(handle)
    try:
        copy = sqlite3.connect(path)
        connection.backup(copy)
        copy.close()
        with open(path, "rb") as file:  # noqa: PTH123
            return file.read()
    finally:
        os.unlink(path)  # noqa: PTH108


def _detected_types(sqlite3: Any, connection: Any) -> int:
    """Return what only the way it answers tells: column names lose their type, and declared types are converted."""
    detected = 0
    cursor = connection.cursor()
    cursor.execute('SELECT 1 AS "a [b]"')
    if cursor.description[0][0] == "a":
        detected |= sqlite3.PARSE_COLNAMES
    cursor.close()
    converters = sqlite3.converters
    missing = object()
    before = converters.get("INT", missing)
    converters["INT"] = lambda text: _CONVERTED
    try:
        # The column is declared as INT; without any table there is no row, and no way to know.
        if any(row[0] is _CONVERTED for row in _ask(connection, "SELECT rootpage FROM sqlite_master LIMIT 1")):
            detected |= sqlite3.PARSE_DECLTYPES
    finally:
        if before is missing:
            del converters["INT"]
        else:
            converters["INT"] = before
    return detected


_CONVERTED = object()


def _is_bound_to_thread(connection: Any) -> bool:
    refused = []

    def touch() -> None:
        try:
            connection.in_transaction  # noqa: B018 - not checked in all versions
            connection.cursor().close()
        except Exception:  # noqa: BLE001 - sqlite3.ProgrammingError: it may only be used by the thread that made it
            refused.append(True)

    thread = threading.Thread(target=touch, name="holdfast: sqlite3")
    thread.start()
    thread.join()
    return bool(refused)


def _row(pickler: ComponentPickler, row: Any) -> Any:
    return rebuild.row, (tuple(row.keys()), tuple(row))


def _cursor(pickler: ComponentPickler, cursor: Any) -> Any:
    raise CannotKeep("where a cursor is in its results can't be known", "keep the rows: cursor.fetchall()")


RECIPES: dict[tuple[str, str], Recipe] = {
    ("sqlite3", "Connection"): _connection,
    ("sqlite3", "Row"): _row,
    ("sqlite3", "Cursor"): _cursor,
}
