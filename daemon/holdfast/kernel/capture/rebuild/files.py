"""Opening files again, as they were open. Nothing here ever creates, truncates or empties a file of the user's."""

from __future__ import annotations

import importlib
import io
import os
import stat
import weakref
from hashlib import blake2b
from typing import Any

from . import Unavailable, destructive, give_names

_LOOKED_AT = 1 << 16
"""Bytes at the beginning, and before the position, by which a file that has changed is found to be the same so far."""


def signature(about: os.stat_result, path: Any, position: int) -> dict[str, Any]:
    """Return what tells whether a file is as it was: its size, time and number, and a digest of what lies before."""
    return {
        "size": about.st_size,
        "time": about.st_mtime_ns,
        "number": about.st_ino,
        "position": position,
        "digest": _digest(path, position),
    }


def _digest(path: Any, position: int) -> str | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | _ALWAYS)
    except OSError:
        return None
    try:
        head = os.pread(descriptor, min(position, _LOOKED_AT), 0)
        tail = os.pread(descriptor, min(position, _LOOKED_AT), max(0, position - _LOOKED_AT))
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return blake2b(head + tail, digest_size=16).hexdigest()


_ALWAYS = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOCTTY", 0)


def raw_file(path: Any, name: Any, mode: str, known: dict[str, Any] | None) -> io.FileIO:
    """Open a file again in the mode it had, but as it is: it is not emptied, and not made if it is gone.

    Args:
        path: absolute.
        name: what the file's attribute `name` was.
        known: its `signature`; None for a device.

    Raises:
        Unavailable: it is gone, or what was read or written so far is no longer in it.
    """
    shown = os.fsdecode(path)
    writes = os.O_RDWR if "+" in mode else os.O_RDONLY if "r" in mode else os.O_WRONLY
    flags = writes | (os.O_APPEND if "a" in mode else 0) | _ALWAYS
    try:
        descriptor = os.open(path, flags)
    except FileNotFoundError:
        raise Unavailable(f"the file {shown}, which it had open, is gone") from None
    except OSError as error:
        raise Unavailable(f"the file {shown} can't be opened again: {error.strerror}") from error
    try:
        about = os.fstat(descriptor)
        if stat.S_ISREG(about.st_mode) != (known is not None) or (known and not _is_same(about, path, known)):
            raise Unavailable(f"the file {shown}, which it had open, was changed since")
        made = io.FileIO(descriptor, mode)
    except BaseException:
        os.close(descriptor)
        raise
    made.name = name
    return made


def _is_same(about: os.stat_result, path: Any, known: dict[str, Any]) -> bool:
    if (about.st_size, about.st_mtime_ns, about.st_ino) == (known["size"], known["time"], known["number"]):
        return True
    digest = known["digest"]
    return digest is not None and about.st_size >= known["position"] and _digest(path, known["position"]) == digest


def unnamed_file(contents: bytes, mode: str) -> io.FileIO:
    """Return a temporary file without a name, with what was in it."""
    import tempfile

    with tempfile.TemporaryFile() as temporary:
        temporary.write(contents)
        temporary.flush()
        return io.FileIO(os.dup(temporary.fileno()), mode)


def buffered_file(kind: str, raw: Any) -> Any:
    """Return a ``BufferedReader``, ``BufferedWriter`` or ``BufferedRandom``."""
    return getattr(io, kind)(raw)


def text_file(buffer: Any, options: dict[str, Any]) -> io.TextIOWrapper:
    """Return a text file."""
    return io.TextIOWrapper(buffer, **options)


def set_text_state(text: io.TextIOWrapper, state: dict[str, Any]) -> None:
    """Set a text file's attributes and position."""
    text.__dict__.update(state["attributes"])
    if state["position"] is not None:
        text.seek(state["position"])


def set_position(file: Any, position: int | None) -> None:
    """Go to where we were."""
    if position is not None:
        file.seek(position)


def closed_file(kind: str, buffer: str, name: Any, options: dict[str, Any]) -> Any:
    """Return a closed file; it has its name, but was never open here.

    Args:
        kind: the name of its type.
        buffer: that of its buffer's type, or its own.
        options: of a ``FileIO`` its mode, of a text file its encoding.
    """
    mode = options["mode"] if kind == "FileIO" else _CLOSED_MODES.get(buffer, "rb")
    made: Any = io.FileIO(os.devnull, mode.replace("x", "w"))
    made.name = name
    if kind != "FileIO":
        made = getattr(io, buffer if buffer in _CLOSED_MODES else "BufferedReader")(made)
    if kind == "TextIOWrapper":
        made = io.TextIOWrapper(made, **options)
    made.close()
    return made


_CLOSED_MODES = {"BufferedReader": "rb", "BufferedWriter": "wb", "BufferedRandom": "rb+"}


def temporary_file() -> Any:
    """Return a ``NamedTemporaryFile`` with nothing in it."""
    import tempfile

    kind: Any = vars(tempfile)["_TemporaryFileWrapper"]
    return kind.__new__(kind)


def temporary_closer() -> Any:
    """Return what removes the file of a ``NamedTemporaryFile``, with nothing in it."""
    import tempfile

    kind: Any = vars(tempfile)["_TemporaryFileCloser"]
    made = kind.__new__(kind)
    destructive.append(lambda: made.__dict__.update(delete=False))
    return made


def set_attributes(made: Any, attributes: dict[str, Any]) -> None:
    """Set an object's instance dict."""
    made.__dict__.update(attributes)


def temporary_directory(name: str, alive: bool, attributes: dict[str, Any]) -> Any:
    """Return a ``TemporaryDirectory`` for a folder that is there, and that goes when the object does.

    Raises:
        Unavailable: it isn't there.
    """
    if alive and not os.path.isdir(name):  # noqa: PTH112
        raise Unavailable(f"the temporary folder {name} is gone")
    import tempfile

    kind: Any = tempfile.TemporaryDirectory
    made = kind.__new__(kind)
    made.__dict__.update(attributes)
    made._finalizer = weakref.finalize(
        made,
        kind._cleanup,
        name,
        warn_message=f"Implicitly cleaning up {made!r}",
        ignore_errors=attributes.get("_ignore_cleanup_errors", False),
        **({"delete": attributes["_delete"]} if "_delete" in attributes else {}),
    )
    if alive:
        destructive.append(made._finalizer.detach)
    else:
        made._finalizer.detach()
    return made


def decompressing_file(kind: str, source: Any, filename: Any) -> Any:
    """Return a ``GzipFile``, ``BZ2File`` or ``LZMAFile`` that reads from a file again."""
    source.seek(0)
    module: Any = importlib.import_module(_MODULES[kind])
    if kind == "GzipFile":
        made = module.GzipFile(filename=filename, mode="rb", fileobj=source)
        made.myfileobj = source
        return made
    made = getattr(module, kind)(source)
    made._closefp = True
    return made


def closed_decompressing_file(kind: str, attributes: dict[str, Any]) -> Any:
    """Return a ``GzipFile``, ``BZ2File`` or ``LZMAFile`` that was closed."""
    cls: Any = getattr(importlib.import_module(_MODULES[kind]), kind)
    made = cls.__new__(cls)
    made.__dict__.update(attributes)
    return made


_MODULES = {"GzipFile": "gzip", "BZ2File": "bz2", "LZMAFile": "lzma"}


def zip_file(source: Any, filename: Any, password: bytes | None) -> Any:
    """Return a ``ZipFile`` that is read."""
    zipfile = importlib.import_module("zipfile")
    source.seek(0)
    made: Any = zipfile.ZipFile(source)
    made.filename, made.pwd, made._filePassed = filename, password, 0
    return made


def zip_over_file(source: Any, filename: Any, password: bytes | None) -> Any:
    """Return a ``ZipFile`` that reads from a file which is somebody else's."""
    zipfile = importlib.import_module("zipfile")
    position = source.tell()
    made: Any = zipfile.ZipFile(source)
    source.seek(position)
    made.filename, made.pwd = filename, password
    return made


def tar_file(source: Any, name: Any, begun: bool, members: int) -> Any:
    """Return a ``TarFile`` that is read, as far as it was."""
    tarfile = importlib.import_module("tarfile")
    source.seek(0)
    made: Any = tarfile.TarFile(name=name, fileobj=source)
    made._extfileobj = False
    if begun:
        made.firstmember = None
        while len(made.members) < members and made.next() is not None:
            pass
    return made


give_names(globals())
