"""How open files are taken apart: where they are, how they were opened, and where in them we are.

What was written so far is flushed, so that the position is true. A file is never read to its end for this, and never
moved as far as its user can tell.
"""

from __future__ import annotations

import codecs
import contextlib
import gc
import io
import os
import stat
import sys
from pickle import PicklingError
from typing import TYPE_CHECKING, Any

from ..kinds import ATOMS
from ..rebuild import bare_object, global_object, system_stream
from ..rebuild import files as rebuild

if TYPE_CHECKING:
    from ..pickler import ComponentPickler
    from .registry import Recipe

CONTENTS_BYTES = 16 << 20
"""Files without a name are kept with what is in them up to this size."""

_NEWLINES = ("", "\n", "\r", "\r\n")
_STATELESS = frozenset({"utf-8", "ascii", "iso8859-1", "cp1252"})


def _text(pickler: ComponentPickler, text: io.TextIOWrapper) -> Any:
    for name in ("stdout", "stderr", "stdin"):
        if text is getattr(sys, name) or text is getattr(sys, f"__{name}__"):
            return pickler.known_as(system_stream, (name,), text)
    pickler.session.require_original()
    try:
        buffer: Any = text.buffer
    except ValueError as error:
        raise PicklingError(str(error)) from error
    raw = getattr(buffer, "raw", None)
    if raw is not None and sum(part is raw for part in gc.get_referents(text)):
        # A reference that pickling doesn't meet.
        pickler.weak[id(raw)] -= 1
    options: dict[str, Any] = {"encoding": text.encoding, "errors": text.errors}
    attributes = dict(text.__dict__)
    if text.closed:
        return rebuild.closed_file, ("TextIOWrapper", type(buffer).__name__, _name(buffer), options), attributes
    if text.writable():
        _flush(pickler, text, buffer)
    position = _text_position(text) if buffer.seekable() else None
    options |= {"line_buffering": text.line_buffering, "write_through": text.write_through, "newline": _newline(text)}
    state = {"attributes": attributes, "position": position}
    return rebuild.text_file, (buffer, options), state, None, None, rebuild.set_text_state


def _flush(pickler: ComponentPickler, text: io.TextIOWrapper, buffer: Any) -> None:
    before = len(buffer.getbuffer()) if type(buffer) is io.BytesIO else None
    text.flush()
    if before is not None and before != len(buffer.getbuffer()) and any(thing is buffer for thing in pickler.visited):
        raise PicklingError("it held text that its buffer had not got yet; flush it")


def _newline(text: io.TextIOWrapper) -> str | None:
    """Return the argument with which a text file was opened; only its references tell."""
    parts = [part for part in gc.get_referents(text) if part is not text.encoding and part is not text.errors]
    found = [part for part in parts if type(part) is str and part in _NEWLINES]
    if not found or len([part for part in parts if type(part) is str]) > 1:
        return found[0] if found else None
    # What was decoded and not read yet may look alike. Only universal newlines have a decoder of their own.
    universal = any(type(part) is io.IncrementalNewlineDecoder for part in parts)
    if not universal or not text.readable():
        return str(found[0])
    if found[0] == "":
        text.seek(text.tell())
        return "" if any(type(part) is str and part == "" for part in gc.get_referents(text)) else None
    return None


def _text_position(text: io.TextIOWrapper) -> int:
    try:
        return text.tell()
    except OSError:
        return _position_in_iteration(text)


def _position_in_iteration(text: io.TextIOWrapper) -> int:
    """Return the position of a file whose lines are being iterated over, which it doesn't tell by itself.

    A little is read, up to where it tells again, and the file is put back.
    """
    encoding = codecs.lookup(text.encoding).name
    parts = gc.get_referents(text)
    ahead = max([len(part) for part in parts if type(part) is str], default=0) + 1
    decoders = [part for part in parts if hasattr(part, "getstate") and hasattr(part, "decode")]
    buffer: Any = text.buffer
    raw = getattr(buffer, "raw", None)
    refusal = PicklingError("it is in the middle of an iteration, and can't tell where")
    if encoding not in _STATELESS or type(raw) is not io.FileIO or len(decoders) != 1:
        raise refusal
    end, held = buffer.tell(), decoders[0].getstate()[0]
    around = (ahead + io.DEFAULT_BUFFER_SIZE * 4) * 4
    first = max(0, end - around)
    try:
        seen = os.pread(raw.fileno(), end - first + around, first)
        following = seen[end - first - len(held) :]
        codecs.getincrementaldecoder(encoding)(text.errors or "strict").decode(following)
    except (OSError, UnicodeError) as error:
        raise refusal from error
    width = _bytes_of_newline(text, seen)
    if not width or (text.errors or "strict") not in ("strict", "surrogateescape"):
        raise refusal
    text.flush()
    taken = text.read(ahead)
    while text.tell() >> 63:
        # Between a carriage return and a line feed; a position there is more than a number of bytes.
        taken += text.read(1)
    length = len(taken.encode(encoding, text.errors or "strict")) + taken.count("\n") * (width - 1)
    text.seek(text.tell() - length)
    return text.tell()


def _bytes_of_newline(text: io.TextIOWrapper, seen: bytes) -> int:
    """Return how many bytes are behind a newline that is read, 0 if that differs from line to line."""
    strings = [part for part in gc.get_referents(text) if type(part) is str]
    strings = [part for part in strings if part is not text.encoding and part is not text.errors]
    if b"\r" not in seen or (len(strings) > 1 and strings[0] in _NEWLINES):
        return 1
    inner = seen[seen.startswith(b"\n") : len(seen) - seen.endswith(b"\r")]
    return 2 if inner.count(b"\r\n") == inner.count(b"\r") == inner.count(b"\n") else 0


def _buffered(pickler: ComponentPickler, buffered: Any) -> Any:
    if (standard := _within_standard_stream(pickler, buffered)) is not None:
        return standard
    pickler.session.require_original()
    kind = type(buffered).__name__
    if buffered.closed:
        return rebuild.closed_file, (kind, kind, _name(buffered), {})
    if buffered.writable():
        buffered.flush()
    position = buffered.tell() if buffered.seekable() else None
    return rebuild.buffered_file, (kind, buffered.raw), position, None, None, rebuild.set_position


def _within_standard_stream(pickler: ComponentPickler, file: Any) -> Any:
    """Return the reduce value of the buffer of a standard stream, or of what that writes to."""
    for name in ("stdin", "stdout", "stderr"):
        buffer = getattr(getattr(sys, name), "buffer", None)
        if file is buffer:
            return pickler.known_as(global_object, ("sys", f"{name}.buffer"), file)
        if file is getattr(buffer, "raw", buffer):
            return pickler.known_as(global_object, ("sys", f"{name}.buffer.raw"), file)
    return None


def _raw(pickler: ComponentPickler, raw: io.FileIO) -> Any:
    if (standard := _within_standard_stream(pickler, raw)) is not None:
        return standard
    pickler.session.require_original()
    name = _name(raw)
    if raw.closed:
        return rebuild.closed_file, ("FileIO", "", name, {"mode": raw.mode})
    about = os.fstat(raw.fileno())
    if stat.S_ISREG(about.st_mode) and not about.st_nlink:
        return _unnamed(raw, name, about)
    if not stat.S_ISREG(about.st_mode) and not stat.S_ISCHR(about.st_mode):
        raise PicklingError("it is a pipe or a socket, which can't be opened again")
    path = _path(name, raw.fileno(), about)
    if stat.S_ISCHR(about.st_mode):
        return rebuild.raw_file, (path, name, raw.mode, None)
    position = raw.tell()
    known = rebuild.signature(about, path, position)
    return rebuild.raw_file, (path, name, raw.mode, known), position, None, None, rebuild.set_position


def _unnamed(raw: io.FileIO, name: Any, about: os.stat_result) -> Any:
    if about.st_size > CONTENTS_BYTES or not raw.readable():
        raise PicklingError("it was deleted, or never had a name")
    contents = os.pread(raw.fileno(), about.st_size, 0)
    return rebuild.unnamed_file, (contents, raw.mode), raw.tell(), None, None, rebuild.set_position


def _name(file: Any) -> Any:
    name = getattr(file, "name", None)
    return os.fspath(name) if isinstance(name, os.PathLike) else name


def _path(name: Any, descriptor: int, about: os.stat_result) -> Any:
    """Return the absolute path of an open file, of which `name` may have been relative to another folder."""
    candidates = [os.path.abspath(name)] if isinstance(name, (str, bytes)) else []  # noqa: PTH100 - bytes as well
    with contextlib.suppress(OSError):  # Elsewhere than on Linux there is no such folder.
        candidates.append(os.readlink(f"/proc/self/fd/{descriptor}"))  # noqa: PTH115
    for path in candidates:
        try:
            if os.path.samestat(os.stat(path), about):  # noqa: PTH116
                return path
        except OSError:
            continue
    raise PicklingError(f"its file {name!r} is no longer there under this name, or never had one")


def _temporary(pickler: ComponentPickler, wrapper: Any) -> Any:
    attributes = {key: value for key, value in wrapper.__dict__.items() if key in ("file", "name", "delete", "_closer")}
    return rebuild.temporary_file, (), attributes, None, None, rebuild.set_attributes


def _temporary_closer(pickler: ComponentPickler, closer: Any) -> Any:
    return rebuild.temporary_closer, (), dict(closer.__dict__), None, None, rebuild.set_attributes


def _temporary_directory(pickler: ComponentPickler, directory: Any) -> Any:
    kept = {key: value for key, value in directory.__dict__.items() if key != "_finalizer"}
    return rebuild.temporary_directory, (directory.name, directory._finalizer.alive, kept)


def _decompressing(pickler: ComponentPickler, file: Any) -> Any:
    kind = type(file).__name__
    source = file.myfileobj if kind == "GzipFile" else file._fp
    if file.closed:
        # What is left of it are its name and mode.
        attributes = {name: value for name, value in vars(file).items() if type(value) in ATOMS}
        return rebuild.closed_decompressing_file, (kind, attributes)
    own = source is not None if kind == "GzipFile" else file._closefp
    if not own or not file.readable():
        raise PicklingError("only files that are read, and were opened by their path, can be opened again")
    return rebuild.decompressing_file, (kind, source, getattr(file, "name", None)), file.tell(), None, None, (
        rebuild.set_position
    )  # fmt: skip


def _zip(pickler: ComponentPickler, archive: Any) -> Any:
    if archive.fp is None:
        return bare_object, (type(archive),), dict(archive.__dict__), None, None, rebuild.set_attributes
    if archive.mode != "r":
        raise PicklingError("only archives that are read can be opened again")
    make = rebuild.zip_over_file if archive._filePassed else rebuild.zip_file
    return make, (archive.fp, archive.filename, archive.pwd)


def _tar(pickler: ComponentPickler, archive: Any) -> Any:
    if archive.closed:
        return bare_object, (type(archive),), dict(archive.__dict__), None, None, rebuild.set_attributes
    if archive.mode != "r" or archive._extfileobj or getattr(archive, "_stream", False):
        raise PicklingError("only archives that are read, and were opened by their path, can be opened again")
    return rebuild.tar_file, (archive.fileobj, archive.name, archive.firstmember is None, len(archive.members))


RECIPES: dict[tuple[str, str], Recipe] = {
    ("_io", "TextIOWrapper"): _text,
    ("_io", "BufferedReader"): _buffered,
    ("_io", "BufferedWriter"): _buffered,
    ("_io", "BufferedRandom"): _buffered,
    ("_io", "FileIO"): _raw,
    ("tempfile", "_TemporaryFileWrapper"): _temporary,
    ("tempfile", "_TemporaryFileCloser"): _temporary_closer,
    ("tempfile", "TemporaryDirectory"): _temporary_directory,
    ("gzip", "GzipFile"): _decompressing,
    ("bz2", "BZ2File"): _decompressing,
    ("lzma", "LZMAFile"): _decompressing,
    ("zipfile", "ZipFile"): _zip,
    ("tarfile", "TarFile"): _tar,
}
