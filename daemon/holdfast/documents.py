"""Which document a URI means, and what its text is."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from lsprotocol.types import Position, Range
from pygls.uris import from_fs_path, to_fs_path

from holdfast import cells
from holdfast.errors import InvalidParams

_LANGUAGES = {
    ".py": "python",
    ".pyw": "python",
    ".ipynb": "python",
    ".js": "javascript",
    ".mjs": "javascript",
    ".cjs": "javascript",
}
MAX_URI = 1 << 14
_URI_KEY = "uri:"
_WINDOW = "holdfast"
"""The scheme of further windows on a file: ``holdfast:///path/to/analysis.py?name``."""


@dataclass(frozen=True, slots=True)
class Place:
    """What a URI names: `key` identifies its state (the path relative to the workspace, else the whole path or URI)."""

    uri: str
    key: str
    path: Path | None

    @property
    def name(self) -> str:
        """What people call it."""
        if self.path is None:
            return self.uri
        window = unquote(urlsplit(self.uri).query) if self.uri.startswith(f"{_WINDOW}:") else ""
        return f"{self.path.name}#{window}" if window else self.path.name

    @property
    def language_by_suffix(self) -> str:
        """The language that the file's ending tells."""
        suffix = (self.path.suffix if self.path else Path(urlsplit(self.uri).path).suffix).lower()
        return _LANGUAGES.get(suffix, "python")


def locate(uri: str, folder: Path) -> Place:
    """Return the place a URI names, seen from a workspace folder (a real path).

    Raises:
        InvalidParams: it is no URI, or names no file that could be.
    """
    if not isinstance(uri, str) or not uri or len(uri) > MAX_URI:
        raise InvalidParams(f"{str(uri)[:80]!r} is not a document's URI; nothing was done.", kind="badUri")
    try:
        parts = urlsplit(uri)
    except ValueError as error:
        raise InvalidParams(f"{uri[:200]!r} is not a URI ({error}); nothing was done.", kind="badUri") from error
    if not parts.scheme:
        raise InvalidParams(
            f"{uri[:200]!r} has no scheme; a file's URI starts with file://. Nothing was done.", kind="badUri"
        )
    if parts.scheme == _WINDOW:
        return _window(uri, folder)
    if parts.scheme != "file":
        return Place(uri, f"{_URI_KEY}{uri}", None)
    # A raw `#` or `?` in a file URI belongs to the file's name: clients that do not encode it mean it so.
    raw = uri.replace("#", "%23").replace("?", "%3F")
    text = to_fs_path(raw)
    if not text or "\0" in text or "\0" in unquote(uri):
        raise InvalidParams(f"{uri[:200]!r} names no file; nothing was done.", kind="badUri")
    try:
        path = _real_parent(text)
        is_folder = path.is_dir()
    except OSError as error:
        raise InvalidParams(
            f"{uri[:200]!r} names no file that can exist ({error.strerror}); nothing was done.", kind="badUri"
        ) from error
    if is_folder:
        raise InvalidParams(f"{path} is a folder; only files have sessions. Nothing was done.", kind="badUri")
    return Place(uri, key_of(path, folder), path)


def _window(uri: str, folder: Path) -> Place:
    """Return the place of a further window on a file: the file's text and folder, and a session of its own."""
    parts = urlsplit(uri)
    name = unquote(parts.query)
    if not name or parts.netloc:
        raise InvalidParams(
            f"{uri[:200]!r} names no window; that is {_WINDOW}:///path/to/file.py?name. Nothing was done.",
            kind="badUri",
        )
    base = locate(f"file://{parts.path}", folder)
    assert base.path is not None
    uri = window_uri(base.path, name)
    return Place(uri, f"{_URI_KEY}{uri}", base.path)


def window_uri(path: Path, name: str) -> str:
    """Return the URI of a further window on a file."""
    return f"{_WINDOW}{uri_of(path).removeprefix('file')}?{quote(name, safe='')}"


def _real_parent(text: str) -> Path:
    """Return a path with its folder's links resolved, but not the file's own: a link is a document of its own."""
    path = Path(os.path.normpath(text))
    return Path(os.path.realpath(path.parent)) / path.name


def key_of(path: Path, folder: Path) -> str:
    """Return the key of a file's state: POSIX, relative to the workspace where it lies inside."""
    try:
        key = path.relative_to(folder).as_posix()
    except ValueError:
        return path.as_posix()
    return f"./{key}" if key.startswith(_URI_KEY) else key


def path_of(key: str, folder: Path) -> Path | None:
    """Return the file that a key belongs to; None for documents that are no files."""
    return None if key.startswith(_URI_KEY) else folder / key


def uri_of(path: Path) -> str:
    """Return a file's URI."""
    uri = from_fs_path(str(path))
    assert uri is not None
    return str(uri)


def uri_of_key(key: str) -> str:
    """Return the URI of a document that is no file."""
    return key.removeprefix(_URI_KEY)


def path_of_uri(uri: str) -> Path | None:
    """Return the path that a file URI names, folders included; None for anything else."""
    if not isinstance(uri, str) or not uri.startswith("file:") or "\0" in unquote(uri):
        return None
    text = to_fs_path(uri.replace("#", "%23").replace("?", "%3F"))
    return _real_parent(text) if text else None


@dataclass(slots=True)
class OpenDocument:
    """A document some clients hold open: who, in which language, and how to get its text as they see it."""

    language: str | None
    texts: dict[object, Callable[[], str]] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The text as the client that opened or changed it last sees it."""
        return next(reversed(self.texts.values()))()


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of code to run: where in the document it begins (line from 0), the cell it is, the cells in it."""

    code: str
    line: int | None
    cell: int | None = None
    parts: Sequence[cells.Part] = ()


def read_text(place: Place) -> str:
    """Return a file's text.

    Raises:
        InvalidParams: it cannot be read.
    """
    if place.path is None:
        raise InvalidParams(
            f"{place.uri} is not open and is no file, so there is no text to run; pass `code`.", kind="noText"
        )
    try:
        return place.path.read_text(encoding="utf-8-sig", errors="strict")
    except FileNotFoundError:
        raise InvalidParams(
            f"{place.path} does not exist, so there is nothing to run; nothing was changed.", kind="noText"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidParams(f"{place.path} cannot be read ({error}); nothing was run.", kind="noText") from error


def _offset(line: str, character: int, encoding: str) -> int:
    """Turn an LSP character offset into one of code points."""
    if encoding == "utf-32" or line.isascii():
        return min(character, len(line))
    units = 0
    for index, char in enumerate(line):
        if units >= character:
            return index
        units += len(char.encode("utf-8")) if encoding == "utf-8" else (2 if ord(char) > 0xFFFF else 1)
    return len(line)


def passage(text: str, range_: Range, encoding: str = "utf-16") -> Passage:
    """Return the code in a range. An empty range means the whole line; common indentation is taken away.

    Raises:
        InvalidParams: the range lies outside the document or runs backwards.
    """
    lines = cells.split_lines(text)
    start, end = range_.start, range_.end
    if (start.line, start.character) > (end.line, end.character) or start.line >= len(lines) or start.line < 0:
        raise InvalidParams(
            f"The range begins at line {start.line} of a document of {len(lines)} lines, or runs backwards; "
            "nothing was run."
        )
    if start == end:
        end = Position(start.line, len(lines[start.line]) * 4)
        start = Position(start.line, 0)
    picked = lines[start.line : end.line + 1]
    if end.line < len(lines):
        picked[-1] = picked[-1][: _offset(picked[-1], end.character, encoding)]
    skipped = _offset(lines[start.line], start.character, encoding)
    # Keep columns right where what is left out is only white space.
    picked[0] = picked[0] if not picked[0][:skipped].strip() else picked[0][skipped:]
    return Passage(_dedent(picked), start.line, parts=cells.parts(text, start.line, len(picked)))


def _dedent(lines: list[str]) -> str:
    first = next((line for line in lines if line.strip()), "")
    margin = first[: len(first) - len(first.lstrip())]
    if margin and all(line.startswith(margin) or not line.strip() for line in lines):
        lines = [line[len(margin) :] if line.strip() else "" for line in lines]
    return "\n".join(lines)
