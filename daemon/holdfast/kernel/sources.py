"""Source lines as they were run, for tracebacks, warnings and inspect.getsource.

The lines that ran are those of the editor's buffer, not those on disk; code without a file has no lines anywhere else.
They are laid over the file's lines in linecache, in entries without a modification time, which checkcache() keeps.
"""

# pathlib would be a tenth of the time it takes to start.
# ruff: noqa: PTH116

from __future__ import annotations

import linecache
import os
from io import open_code


class Sources:
    """The lines of every file and pseudo-file (``<run 3>``) that code was run from."""

    def __init__(self) -> None:
        self._lines: dict[str, list[str]] = {}
        self._ran: dict[str, bytearray] = {}
        self._stamps: dict[str, tuple[int, int] | None] = {}

    def ran(self, filename: str, first: int, code: str) -> None:
        """Note that `code` is run, its first line being line `first` (from 0) of `filename`."""
        lines = self._lines.setdefault(filename, [])
        ran = self._ran.setdefault(filename, bytearray())
        self._refresh(filename, lines, ran)
        if "\r" in code:
            code = code.replace("\r\n", "\n").replace("\r", "\n")
        new = [line + "\n" for line in code.removesuffix("\n").split("\n")]
        end = first + len(new)
        if len(lines) < first:
            lines.extend(["\n"] * (first - len(lines)))
        ran.extend(bytes(max(0, end - len(ran))))
        lines[first:end] = new
        ran[first:end] = b"\1" * len(new)
        self._enter(filename)

    def restore(self) -> None:
        """Put all lines back; user code may have called linecache.clearcache()."""
        for filename in self._lines:
            self._enter(filename)

    def _enter(self, filename: str) -> None:
        lines = self._lines[filename]
        entry = linecache.cache.get(filename)
        if entry is None or len(entry) != 4 or entry[2] is not lines:
            # The size is only compared together with the time.
            linecache.cache[filename] = (0, None, lines, filename)

    def _refresh(self, filename: str, lines: list[str], ran: bytearray) -> None:
        """Fill lines that were never run from the disk, when the file there is new or has changed."""
        try:
            status = os.stat(filename)
        except (OSError, ValueError):
            return
        stamp = (status.st_mtime_ns, status.st_size)
        if self._stamps.get(filename) == stamp:
            return
        self._stamps[filename] = stamp
        for number, line in enumerate(_read(filename)):
            if number >= len(lines):
                lines.append(line)
            elif number >= len(ran) or not ran[number]:
                lines[number] = line


def _read(filename: str) -> list[str]:
    if not filename.endswith((".py", ".pyw", ".pyi")):
        return []
    try:
        from tokenize import detect_encoding

        with open_code(filename) as file:
            encoding, _ = detect_encoding(file.readline)
            file.seek(0)
            return [line + "\n" for line in file.read().decode(encoding, "replace").splitlines()]
    except (OSError, SyntaxError, LookupError):
        # Unreadable or not Python: the lines that are run are known all the same.
        return []
