"""Things of the standard library that pickle refuses or gets wrong: kept by a recipe, or named with a remedy."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from sessions import Session


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A database with a table of two rows."""
    path = tmp_path / "d.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE t (a INT, b TEXT)")
    connection.execute("INSERT INTO t VALUES (1, 'x'), (2, 'y')")
    connection.commit()
    connection.close()
    return path


def test_a_connection_to_a_file_is_made_again_as_it_was(database: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.sqlite"
    session = Session()
    session.run(
        f"import sqlite3\nc = sqlite3.connect({str(database)!r}, isolation_level=None, check_same_thread=False, "
        "detect_types=sqlite3.PARSE_COLNAMES | sqlite3.PARSE_DECLTYPES); c.row_factory = sqlite3.Row; same = [c]"
    )
    session.run(f"c.execute('PRAGMA foreign_keys = ON'); c.execute('ATTACH ? AS o', ({str(other)!r},))")
    session.run("c.execute('CREATE TABLE o.u (z)'); r = c.execute('SELECT a, b FROM t').fetchone()")
    shown = "(c.isolation_level, c.row_factory is sqlite3.Row, [tuple(x) for x in c.execute('PRAGMA foreign_keys')])"
    reborn = session.reborn()
    assert reborn.value("same[0] is c and r['b'] == 'x' and r.keys() == ['a', 'b']")
    assert reborn.value(shown) == session.value(shown) == (None, True, [(1,)])
    reborn.execute("sqlite3.register_converter('INT', lambda b: 'converted')")
    try:
        assert reborn.value("tuple(c.execute('SELECT a, b AS \"n [x]\" FROM t').fetchone())") == ("converted", "x")
        assert reborn.value("c.execute('SELECT b AS \"n [x]\" FROM t').description[0][0]") == "n"
    finally:
        del sqlite3.converters["INT"]
    reborn.execute("import threading; t = threading.Thread(target=lambda: got.append(c.execute('SELECT 5')))")
    reborn.execute("got = []; t.start(); t.join()")
    assert len(reborn.names["got"]) == 1
    assert reborn.value("c.execute('SELECT count(*) FROM o.u').fetchone()[0]") == 0


def test_a_database_in_memory_is_kept_with_what_is_in_it() -> None:
    session = Session()
    session.run("import sqlite3; c = sqlite3.connect(':memory:'); e = sqlite3.connect(':memory:')")
    session.run("c.execute('CREATE TABLE t (a)'); c.executemany('INSERT INTO t VALUES (?)', [(1,), (2,)]); c.commit()")
    reborn = session.reborn()
    reborn.run("c.execute('INSERT INTO t VALUES (3)'); c.commit()")
    assert reborn.reborn().value("c.execute('SELECT a FROM t').fetchall()") == [(1,), (2,), (3,)]
    assert reborn.value("e.execute('SELECT count(*) FROM sqlite_master').fetchone()") == (0,)


@pytest.mark.parametrize(
    ("cell", "reason", "remedy"),
    [
        ("c.execute(\"INSERT INTO t VALUES (3, 'z')\")", "not committed", "commit()"),
        ("c.execute('CREATE TEMP TABLE q (a)')", "temporary tables", "drop"),
        ("c.execute(\"ATTACH ':memory:' AS m\")", "in memory attached", "attach a file"),
        ("cur = c.execute('SELECT 1'); del c", "cursor", "fetchall"),
    ],
)
def test_what_a_connection_can_not_keep_is_named(cell: str, reason: str, remedy: str, database: Path) -> None:
    session = Session()
    session.execute(f"import sqlite3; c = sqlite3.connect({str(database)!r})")
    (lost,) = session.run(cell).skipped
    assert reason in lost.reason and remedy in lost.remedy


def test_saving_a_connection_changes_nothing_in_it(database: Path) -> None:
    session = Session()
    session.execute(f"import sqlite3; seen = []; c = sqlite3.connect({str(database)!r}); c.text_factory = bytes")
    session.execute("c.row_factory = lambda cursor, row: seen.append(row)")
    before = dict(sqlite3.converters)
    session.save()
    assert session.value("seen == [] and c.text_factory is bytes and not c.in_transaction")
    assert sqlite3.converters == before


def test_a_database_that_is_gone_is_said_and_not_made(database: Path) -> None:
    session = Session()
    session.run(f"import sqlite3; c = sqlite3.connect({str(database)!r})")
    database.unlink()
    reborn = session.reborn()
    assert reborn.outcome is not None
    assert "is gone" in reborn.outcome.failed[0].reason
    assert not database.exists()


def test_a_closed_connection_comes_back_closed(database: Path) -> None:
    session = Session()
    session.run(f"import sqlite3; c = sqlite3.connect({str(database)!r}); c.close()")
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        session.reborn().value("c.execute('SELECT 1')")


@pytest.mark.parametrize(
    ("cell", "kind"),
    [
        ("import threading; x = threading.Thread(target=print)", "Thread"),
        ("import threading; x = threading.Timer(9, print)", "Timer"),
        ("import subprocess; x = subprocess.Popen(['sleep', '60']); x.kill()", "Popen"),
        ("import multiprocessing; x = multiprocessing.Process(target=print)", "Process"),
        ("import concurrent.futures as f; x = f.ThreadPoolExecutor(1)", "ThreadPoolExecutor"),
        ("import concurrent.futures as f; x = f.Future()", "Future"),
        ("import asyncio; x = asyncio.new_event_loop()", "EventLoop"),
        ("import asyncio; loop = asyncio.new_event_loop(); x = loop.create_future(); del loop", "Future"),
        ("import threading; x = threading.Lock(); x.acquire()", "lock"),
        ("import threading; x = threading.RLock(); x.acquire()", "RLock"),
        ("import threading; x = threading.Condition(); x.acquire()", "Condition"),
        ("import hashlib; x = hashlib.md5()", "HASH"),
        ("import csv; x = csv.reader(line for line in [])", "reader"),
        ("import contextvars; x = contextvars.ContextVar('v').set(1)", "Token"),
        ("import ctypes; x = ctypes.pointer(ctypes.c_int(3))", "LP_c_int"),
        ("import ctypes; x = ctypes.CDLL(None)", "CDLL"),
        ("import ctypes\nclass S(ctypes.Structure): _fields_ = [('a', ctypes.c_int)]\nx = S(1)", "S"),
    ],
)
def test_what_lives_in_the_process_is_named_with_a_remedy(cell: str, kind: str) -> None:
    session = Session()
    snapshot = session.run(cell)
    (lost,) = [lost for lost in snapshot.skipped if lost.name == "x"]
    assert kind in lost.type
    assert len(lost.remedy) > 20 and "holdfast.register" not in lost.remedy
    session.execute("if hasattr(x, 'wait') and hasattr(x, 'pid'): x.wait()\nif hasattr(x, 'close'): x.close()")


def test_a_running_generator_is_named_with_where_it_was_written() -> None:
    session = Session()
    session.execute("\n\ndef numbers():\n    yield 1\ng = numbers()\nnext(g)")
    (lost,) = session.save().skipped
    assert "in the middle of running numbers, line 3 of <cell>" in lost.reason


def test_what_was_used_in_an_event_loop_is_kept_without_it() -> None:
    session = Session()
    session.run(
        "import asyncio\nqueue, event, lock = asyncio.Queue(), asyncio.Event(), asyncio.Lock()\n"
        "async def wait():\n    later = asyncio.create_task(queue.get()); await asyncio.sleep(0)\n"
        "    queue.put_nowait(1); await later; queue.put_nowait(2)\n    async with lock: event.set()\n"
        "asyncio.run(wait())"
    )
    assert session.value("queue._loop") is not None
    assert not session.save().skipped
    reborn = session.reborn()
    assert reborn.value("asyncio.run(queue.get()) == 2 and event.is_set() and not lock.locked()")


def test_an_rlock_that_another_thread_holds_is_named() -> None:
    session = Session()
    session.execute(
        "import threading; r = threading.RLock(); t = threading.Thread(target=r.acquire); t.start(); t.join()"
    )
    session.execute("del t")
    (lost,) = session.save().skipped
    assert "held right now" in lost.reason


@pytest.mark.parametrize(
    "cell",
    [
        "import sqlite3; x = sqlite3.connect(':memory:'); x.execute('CREATE TABLE t (a)'); x.commit()",
        "x = open(__import__('os').__file__); x.readline()",
        "x = open(__import__('os').devnull, 'w'); x.write('a')",
        "import itertools; x = itertools.chain([1], [2]); next(x)",
        "import queue; x = queue.Queue(); x.put([1])",
        "import threading; x = threading.Event()",
    ],
)
def test_what_only_the_session_refers_to_is_not_looked_at_by_every_run(cell: str) -> None:
    session = Session()
    assert not session.run(cell).skipped
    session.execute("len('a')")
    assert "x" not in session.capture._state.due(full=False)
