"""Open files come back where they were, and nothing that Holdfast does ever empties one."""

from __future__ import annotations

from pathlib import Path

import pytest
from sessions import Session


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A text file of a few lines."""
    path = tmp_path / "lines.txt"
    path.write_text("".join(f"line {number}\n" for number in range(5000)))
    return path


@pytest.mark.parametrize("mode", ["w", "wb", "x", "xb", "w+", "wb+", "a", "ab", "a+", "r+", "rb+"])
def test_a_file_open_for_writing_is_never_emptied(mode: str, tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    if "r" in mode or "a" in mode:
        path.write_bytes(b"before\n")
    text = "" if "b" in mode else ".decode()"
    session = Session()
    session.run(f"f = open({str(path)!r}, {mode!r}); g = [f]")
    session.run(f"f.write(b'one\\ntwo\\n'{text})")
    there = path.read_bytes()
    assert b"two" in there
    session.execute(f"f.write(b'never saved\\n'{text}); f.flush()")
    with_more = path.read_bytes()
    reborn = session.reborn()
    assert path.read_bytes() == with_more
    assert reborn.value("g[0] is f and not f.closed")
    assert reborn.value(f"f.mode == {session.value('f.mode')!r} and f.name == {str(path)!r}")
    reborn.run(f"f.write(b'three\\n'{text}); f.flush()")
    start = with_more if "a" in mode else there
    assert path.read_bytes().startswith(start + b"three\n")
    assert not reborn.reborn().outcome.failed  # type: ignore[union-attr]
    assert path.read_bytes().startswith(start + b"three\n")


@pytest.mark.parametrize(
    ("opened", "read"),
    [
        ("open(path)", "f.readline()"),
        ("open(path, 'rb')", "f.read(7)"),
        ("open(path, 'rb', buffering=0)", "f.read(7)"),
        ("open(path, newline='')", "f.readline()"),
        ("open(path, newline='\\n', encoding='latin-1', errors='replace')", "f.readline()"),
        ("open(path, 'r+b')", "f.read(3)"),
        ("open(path)", "next(f)"),
        ("open(path, encoding='utf-8')", "[next(f) for _ in range(3000)]"),
        ("open(path)", "[next(f) for _ in range(5000)]"),
        ("open(path)", "f.read()"),
        ("gzip.open(packed, 'rt')", "f.readline()"),
        ("gzip.open(packed)", "f.read(20000)"),
        ("bz2.open(packed2)", "f.read(20)"),
        ("lzma.open(packed3, 'rt')", "f.readline()"),
    ],
)
def test_reading_goes_on_where_it_was_and_saving_moves_nothing(opened: str, read: str, file: Path) -> None:
    session = Session()
    session.execute(f"import gzip, bz2, lzma\npath = {str(file)!r}; packed = path + '.gz'")
    session.execute("packed2 = path + '.bz2'; packed3 = path + '.xz'\ndata = open(path, 'rb').read()")
    session.execute(
        "for m, p in ((gzip, packed), (bz2, packed2), (lzma, packed3)):\n    with m.open(p, 'w') as o: o.write(data)"
    )
    session.execute("del o, m, p")
    control = Session()
    control.names.update(session.names)
    for one in (session, control):
        one.execute(f"f = {opened}; first = {read}")
    assert not session.save().skipped
    reborn = session.reborn()
    expected = control.value("f.read()")
    assert session.value("f.read()") == expected
    assert reborn.value("f.read()") == expected
    about = "[getattr(f, name, None) for name in ('__class__', 'encoding', 'errors', 'name', 'mode')]"
    assert reborn.value(about) == control.value(about)


@pytest.mark.parametrize("newline", [None, "", "\n", "\r", "\r\n"])
@pytest.mark.parametrize("contents", [b"a\r\nb\r\n", b"\n", b"\n\n\n", b""])
def test_newlines_are_read_and_written_as_before(newline: str | None, contents: bytes, tmp_path: Path) -> None:
    path = tmp_path / "n.txt"
    path.write_bytes(contents)
    session = Session()
    session.run(f"r = open({str(path)!r}, newline={newline!r}); r.read(1)")
    session.run(f"w = open({str(tmp_path / 'w.txt')!r}, 'w', newline={newline!r}); w.write('\\n')")
    reborn = session.reborn()
    assert reborn.value("r.read()") == session.value("r.read()")
    reborn.execute("w.write('x\\n'); w.flush()")
    with (tmp_path / "v.txt").open("w", newline=newline) as other:
        other.write("\nx\n")
    assert (tmp_path / "w.txt").read_bytes() == (tmp_path / "v.txt").read_bytes()


@pytest.mark.parametrize("newline", [None, "", "\n"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("lines", [3, 700, 3000])
def test_a_file_in_the_middle_of_an_iteration_goes_on(
    newline: str | None, end: str, lines: int, tmp_path: Path
) -> None:
    path = tmp_path / "lines.txt"
    path.write_bytes("".join(f"Zeile {number} äöü{end}" for number in range(4000)).encode())
    script = f"f = open({str(path)!r}, newline={newline!r}, encoding='utf-8'); some = [next(f) for _ in range({lines})]"
    session, control = Session(), Session()
    for one in (session, control):
        one.execute(script)
    assert not session.save().skipped
    expected = control.value("list(f)")
    assert session.reborn().value("list(f)") == expected
    assert session.value("list(f)") == expected


def test_the_parts_of_a_file_stay_parts_of_it(file: Path) -> None:
    session = Session()
    session.run(f"f = open({str(file)!r}); b = f.buffer; r = b.raw; f.readline()")
    reborn = session.reborn()
    assert reborn.value("f.buffer is b and b.raw is r")


def test_closed_files_come_back_closed(file: Path) -> None:
    session = Session()
    session.run(f"import os\nwith open({str(file)!r}) as f: pass\nw = open({str(file)!r}, 'ab', 0); w.close()")
    session.run(f"b = open({str(file)!r}, 'ab'); b.close()")
    file.unlink()
    reborn = session.reborn()
    assert reborn.value("f.closed and w.closed and b.closed and f.name == w.name == b.name and f.mode == 'r'")
    assert reborn.value("type(b).__name__") == "BufferedWriter"


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda path: path.unlink(), "is gone"),
        (lambda path: path.write_text("short"), "was changed since"),
        (lambda path: path.write_text("X" * 100_000), "was changed since"),
    ],
)
def test_a_file_that_is_gone_or_changed_is_said(change: object, word: str, file: Path) -> None:
    session = Session()
    session.run(f"f = open({str(file)!r}); f.readline(); other = 1")
    change(file)  # type: ignore[operator]
    reborn = session.reborn()
    assert reborn.outcome is not None
    (lost,) = reborn.outcome.failed
    assert lost.name == "f" and word in lost.reason and str(file) in lost.reason and len(lost.remedy) > 20
    assert "f" not in reborn.names and reborn.value("other") == 1


def test_a_file_that_only_grew_is_read_on(file: Path) -> None:
    session = Session()
    session.run(f"f = open({str(file)!r}); f.readline()")
    with file.open("a") as more:
        more.write("more\n")
    assert session.reborn().value("f.read()").endswith("line 4999\nmore\n")


def test_pipes_and_sockets_are_named() -> None:
    session = Session()
    snapshot = session.run("import os; p, q = os.pipe(); f = os.fdopen(p)")
    assert [lost.name for lost in snapshot.skipped] == ["f"]
    assert "pipe" in snapshot.skipped[0].reason


def test_a_path_that_was_relative_to_another_folder_is_found(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.parent)
    session = Session()
    session.run(f"f = open({file.name!r})")
    monkeypatch.chdir("/")
    session.run("f.readline()")
    assert session.reborn().value("(f.name, f.readline())") == (file.name, "line 1\n")


def test_temporary_files_and_folders_are_found_again(tmp_path: Path) -> None:
    session = Session()
    session.run(
        f"import tempfile\nt = tempfile.NamedTemporaryFile('w+', dir={str(tmp_path)!r}); t.write('abc'); t.seek(1)\n"
        f"d = tempfile.TemporaryDirectory(dir={str(tmp_path)!r})\n"
        "u = tempfile.TemporaryFile(); u.write(b'xyz'); u.seek(1)\n"
        "s = tempfile.SpooledTemporaryFile(); s.write(b'def'); s.seek(2)"
    )
    session.execute("t._closer.delete = False; d._finalizer.detach()")
    reborn = session.reborn()
    assert not reborn.outcome.failed  # type: ignore[union-attr]
    assert reborn.value("(t.read(), u.read(), s.read())") == ("bc", b"yz", b"f")
    assert reborn.value("t.name == t.file.name and d.name") == session.value("d.name")
    reborn.value("(t.close(), d.cleanup())")
    assert not list(tmp_path.iterdir())


def test_archives_that_are_read_are_opened_again(tmp_path: Path) -> None:
    session = Session()
    session.run(
        f"import zipfile, tarfile, io, os\nos.chdir({str(tmp_path)!r})\n"
        "with zipfile.ZipFile('a.zip', 'w') as z: z.writestr('in.txt', 'inside')\n"
        "with tarfile.open('a.tgz', 'w:gz') as t:\n    for n in 'abc':\n"
        "        i = tarfile.TarInfo(n); i.size = 1; t.addfile(i, io.BytesIO(n.encode()))\n"
        "z = zipfile.ZipFile('a.zip'); t = tarfile.open('a.tgz'); first = t.next().name"
    )
    reborn = session.reborn()
    assert reborn.value("(z.read('in.txt'), z.filename, t.next().name, t.extractfile('c').read())") == (
        b"inside", "a.zip", "b", b"c",
    )  # fmt: skip


def test_memory_files_keep_contents_and_position() -> None:
    session = Session()
    session.run("import io; s = io.StringIO('abc\\r\\n', newline=''); s.read(1); b = io.BytesIO(b'xyz'); b.read(2)")
    session.run(
        "raw = io.BytesIO(); t = io.TextIOWrapper(raw); t.write('held back')\n"
        "p = io.BufferedReader(io.BytesIO(b'1234')); p.peek(1)"
    )
    reborn = session.reborn()
    assert reborn.value("(s.read(), b.read(), p.read())") == ("bc\r\n", b"z", b"1234")
    assert reborn.value("t.buffer is raw and t.write('!') and t.flush() is None and raw.getvalue()") == b"held back!"


def test_a_restore_that_fails_removes_no_temporary_file(tmp_path: Path) -> None:
    session = Session()
    session.run(
        f"import tempfile\nt = tempfile.NamedTemporaryFile(dir={str(tmp_path)!r}, suffix='.t')\n"
        f"d = tempfile.TemporaryDirectory(dir={str(tmp_path)!r}); gone = open({str(tmp_path / 'gone')!r}, 'w')\n"
        "all = [t, d, gone]"
    )
    session.execute("t._closer.delete = False; d._finalizer.detach()")
    (tmp_path / "gone").unlink()
    there = sorted(tmp_path.iterdir())
    reborn = session.reborn()
    assert {lost.name for lost in reborn.outcome.failed} == {"all", "d", "gone", "t"}  # type: ignore[union-attr]
    assert sorted(tmp_path.iterdir()) == there
    assert len(there) == 2


@pytest.mark.parametrize("module", ["gzip", "bz2", "lzma"])
def test_a_compressed_file_that_was_closed_is_closed(module: str, tmp_path: Path) -> None:
    session = Session()
    snapshot = session.run(
        f"import {module}\nwith {module}.open({str(tmp_path / 'packed')!r}, 'wb') as written: written.write(b'kelp')\n"
        f"with {module}.open({str(tmp_path / 'packed')!r}) as read: text = read.read()"
    )
    assert not snapshot.skipped
    about = "[(type(f), f.closed, getattr(f, 'name', None), getattr(f, 'mode', None)) for f in (written, read)]"
    expected = session.value(about)
    session = session.reborn()
    assert session.value(about) == expected
    session.run("del written; read.close()")
