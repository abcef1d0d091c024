"""What is in the files of a workspace, kept in a store of its own: one version of it for each run that wrote some."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from blake3 import blake3

from holdfast.store.errors import StoreError
from holdfast.store.records import Change, ComponentContent, ComponentEntry, Patch
from holdfast.store.store import Store

from .plan import ABSENT, UNKNOWN
from .rules import Rules, Stat, stat_of

logger = logging.getLogger(__name__)

KEY = "files"
"""The one session of this store."""
MAX_FILES = 20_000
"""Above, looking at all of them before and after each run would be felt: 20,000 take a seventh of a second."""
BATCH = 32 << 20
"""Bytes that one version takes in, about; what a run wrote beyond that is in the next one."""
_TICK = 20_000_000
"""Nanoseconds in which a file may be written twice without its times telling: it is read again then."""
_LARGE = "large:"


class Known(NamedTuple):
    """A file as it was seen last."""

    stat: Stat
    digest: str
    """BLAKE3 of the contents, hex; a stand-in for those of files that are too large."""


class TooMany(Exception):
    """The workspace has more files than can be followed."""


@dataclass(slots=True)
class Wrote:
    """What happened to files: between a look before and a look after."""

    created: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.created or self.changed or self.deleted)


class Contents:
    """Compares the files of a workspace with how they were seen last. For one thread at a time.

    Args:
        folder: the workspace.
        rules: which files count.
        is_document: whether a file is one that people have open or run: those are written by them.
    """

    def __init__(self, folder: Path, rules: Rules, is_document: Callable[[str], bool]) -> None:
        self._folder = folder
        self._rules = rules
        self._is_document = is_document
        self._known: dict[str, Known] | None = None
        self._restless: set[str] = set()

    def forget(self) -> None:
        """The store is another one: what is known is what that says."""
        self._known = None

    def look(self, store: Store, largest: int) -> Iterator[tuple[Change, Wrote]]:
        """Tell what is different from the last time, in pieces; each is known once the next is asked for.

        Args:
            store: has what was known before.
            largest: bytes above which contents are not kept.

        Raises:
            TooMany: nothing was looked at.
            StoreError: what was known cannot be read.
        """
        if self._known is None:
            self._known = _known_of(store)
        known, seen = self._known, dict[str, Stat]()
        for path, stat in self._rules.walk():
            if self._is_document(path):
                continue
            seen[path] = stat
            if len(seen) > MAX_FILES:
                raise TooMany
        piece = _Piece()
        for path, stat in seen.items():
            before = known.get(path)
            if before is not None and before.stat == stat and path not in self._restless:
                continue
            found = self._read(path, stat, largest)
            if found is None:
                continue  # gone meanwhile, or not ours to read
            after, data = found
            if before is not None and before.digest == after.digest:
                known[path] = after
                continue
            piece.add(path, after, data, created=before is None)
            if piece.size >= BATCH:
                yield piece.change, piece.wrote
                known.update(piece.known)
                piece = _Piece()
        for path in known.keys() - seen.keys():
            if not self._is_document(path):
                piece.remove(path)
        if piece.wrote:
            yield piece.change, piece.wrote
            known.update(piece.known)
            for path in piece.change.removed:
                known.pop(path, None)

    def _read(self, path: str, stat: Stat, largest: int) -> tuple[Known, bytes] | None:
        """Return a file as it is now, and its contents if they are kept."""
        self._restless.discard(path)
        try:
            with open(self._folder / path, "rb", opener=_no_link) as file:
                begun = stat_of(os.fstat(file.fileno()))
                data = file.read(largest + 1) if begun.size <= largest else b""
                ended = stat_of(os.fstat(file.fileno()))
        except OSError as error:
            logger.info("%s was not looked into: %s", path, error)
            return None
        if ended != begun or _now_in(ended) < _TICK:
            self._restless.add(path)
        if begun.size > largest or len(data) > largest:
            return Known(ended, f"{_LARGE}{ended.size}:{ended.modified}"), b""
        return Known(ended, blake3(data).hexdigest()), data


class _Piece:
    """What goes into one version."""

    def __init__(self) -> None:
        self.change = Change()
        self.wrote = Wrote()
        self.known: dict[str, Known] = {}
        self.size = 0

    def add(self, path: str, after: Known, data: bytes, *, created: bool) -> None:
        large = after.digest.startswith(_LARGE)
        self.change.changed.append(
            ComponentContent(
                path, (path,), after.digest, b"", [] if large else [data], {path: {"stat": list(after.stat)}}
            )
        )
        self.change.names_changed.append(path)
        (self.wrote.created if created else self.wrote.changed).append(path)
        self.known[path] = after
        self.size += len(data)

    def remove(self, path: str) -> None:
        self.change.removed.append(path)
        self.change.names_removed.append(path)
        self.wrote.deleted.append(path)


def _no_link(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))


def _now_in(stat: Stat) -> int:
    """Return how many nanoseconds ago a file was written; 0 where that lies in the future."""
    return max(0, time.time_ns() - max(stat.modified, stat.changed))


def _known_of(store: Store) -> dict[str, Known]:
    known = {}
    for path, entry in listing(store, None).items():
        known[path] = Known(_stat_in(entry), entry.fingerprint)
    return known


def _stat_in(entry: ComponentEntry) -> Stat:
    stat: Any = entry.summaries[entry.id]["stat"]
    return Stat(*stat)


def listing(store: Store, version: int | None) -> Mapping[str, ComponentEntry]:
    """Return the files that a version lists; none where there is no version."""
    return {} if store.head(KEY) is None else store.listing(KEY, version)


def is_kept(digest: str) -> bool:
    """Whether the contents that a digest stands for were kept."""
    return not digest.startswith(_LARGE)


def digest_of(path: Path, largest: int) -> str | None:
    """Return the digest of a file as it is now; None when there is none.

    Raises:
        OSError: it cannot be read, or is no plain file.
    """
    try:
        status = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    stat = stat_of(status)
    if stat.size > largest:
        return f"{_LARGE}{stat.size}:{stat.modified}"
    if path.is_symlink() or not path.is_file():
        raise OSError(f"{path} is no plain file")
    return blake3(path.read_bytes()).hexdigest()


class Past:
    """What the versions of the files hold. A version is listed once: many files take a tenth of a second."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._listed = lru_cache(maxsize=8)(self._list)

    def _list(self, version: int) -> Mapping[str, ComponentEntry] | None:
        try:
            return listing(self._store, version)
        except StoreError:
            return None

    def digest(self, version: int | None, path: str) -> str:
        """Return the digest of what was in a file; `UNKNOWN` where the version is no longer there."""
        files = {} if version is None else self._listed(version)
        if files is None:
            return UNKNOWN
        return files[path].fingerprint if path in files else ABSENT

    def contents(self, version: int, path: str) -> tuple[bytes, int]:
        """Return what was in a file, and its permissions.

        Raises:
            StoreError: it is not there, or damaged.
        """
        entry = (self._listed(version) or {}).get(path)
        if entry is None:
            raise StoreError("missing", f"version {version} of the files does not hold it")
        (data,) = self._store.read(entry).buffers
        assert not isinstance(data, Patch)
        return bytes(data), _stat_in(entry).mode
