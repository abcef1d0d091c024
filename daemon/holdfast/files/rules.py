"""Which files of a workspace count: not what `.gitignore` excludes, nor what tools keep for themselves."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pathspec import GitIgnoreSpec

NEVER = frozenset(
    {".git", ".hg", ".svn", ".jj", "__pycache__", ".ipynb_checkpoints", "node_modules", ".tox", ".nox"}
    | {".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis"}
)
"""Names of folders that are nobody's results."""
_IGNORE = ".gitignore"
_ENVIRONMENT = "pyvenv.cfg"
DRAFT = ".holdfast-draft"
"""The ending of files that are being written here; they are renamed once they are whole."""


class Stat(NamedTuple):
    """What is different when a file was written; times in nanoseconds."""

    size: int
    modified: int
    changed: int
    inode: int
    mode: int


def stat_of(status: os.stat_result) -> Stat:
    """Return what counts of a file's status."""
    return Stat(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_mode & 0o777)


class Rules:
    """Says which files count, as git does: rules of inner folders come last and win, and nothing below an ignored
    folder counts (gitignore(5)).

    Args:
        folder: the workspace.
        state_folder: where state is kept.
    """

    def __init__(self, folder: Path, state_folder: Path) -> None:
        self._folder = folder
        self._state_folder = state_folder
        self._specs: dict[str, tuple[tuple[int, int], GitIgnoreSpec | None]] = {}
        self._verdicts: dict[str, bool] = {}

    def ignores(self, path: str) -> bool:
        """Whether a file does not count.

        Args:
            path: relative to the workspace, with slashes.
        """
        parts = path.split("/")
        for depth in range(len(parts)):
            self._refresh("/".join(parts[:depth]))
        folders = ("/".join(parts[:depth]) for depth in range(1, len(parts)))
        return any(map(self._ignores_folder, folders)) or path.endswith(DRAFT) or self._matches(path)

    def walk(self) -> Iterator[tuple[str, Stat]]:
        """Go through all files that count. Links are not followed, and are no files."""
        waiting = [""]
        while waiting:
            inner = waiting.pop()
            try:
                with os.scandir(self._folder / inner if inner else self._folder) as found:
                    entries = list(found)
            except OSError:
                continue  # gone, or not ours to read: there is nothing to tell of it
            names = {entry.name for entry in entries}
            if inner and _ENVIRONMENT in names:
                continue
            if _IGNORE in names or inner in self._specs:
                self._refresh(inner)
            for entry in entries:
                path = f"{inner}/{entry.name}" if inner else entry.name
                try:
                    if entry.is_dir(follow_symlinks=False):
                        if not self._ignores_folder(path, known_not_environment=True):
                            waiting.append(path)
                    elif entry.is_file(follow_symlinks=False):
                        status = stat_of(entry.stat(follow_symlinks=False))
                        if not path.endswith(DRAFT) and not self._matches(path):
                            yield path, status
                except OSError:
                    continue  # gone meanwhile

    def _ignores_folder(self, path: str, *, known_not_environment: bool = False) -> bool:
        if path.rpartition("/")[2] in NEVER or self._folder / path == self._state_folder:
            return True
        return self._matches(f"{path}/") or (
            not known_not_environment and (self._folder / path / _ENVIRONMENT).exists()
        )

    def _matches(self, path: str) -> bool:
        verdict = self._verdicts.get(path)
        if verdict is None:
            verdict = self._verdicts[path] = self._judge(path)
        return verdict

    def _judge(self, path: str) -> bool:
        inner = path.rstrip("/").rpartition("/")[0]
        while True:
            _, spec = self._specs.get(inner, (None, None))
            if spec is not None:
                verdict = spec.check_file(path[len(inner) + 1 :] if inner else path).include
                if verdict is not None:
                    return verdict
            if not inner:
                return False
            inner = inner.rpartition("/")[0]

    def _refresh(self, inner: str) -> None:
        """Read a folder's rules if they are other ones than before."""
        path = self._folder / inner / _IGNORE
        try:
            status = path.stat()
        except OSError:
            if self._specs.pop(inner, None) is not None:
                self._verdicts.clear()
            return
        stamp = (status.st_mtime_ns, status.st_size)
        if inner not in self._specs or self._specs[inner][0] != stamp:
            self._specs[inner] = (stamp, _read(path))
            self._verdicts.clear()


def _read(path: Path) -> GitIgnoreSpec | None:
    try:
        return GitIgnoreSpec.from_lines(path.read_text("utf-8", "replace").splitlines())
    except (OSError, ValueError):  # not readable, or a pattern that is none: git goes on as well
        return None
