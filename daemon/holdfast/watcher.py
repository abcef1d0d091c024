"""What happens to files on the disk: moved, gone, came back; the atomic saves of editors are none of these.

Editors save by writing in place, by renaming a new file over the old one, by renaming the old one away first, or by
deleting and creating. So nothing is concluded from one event: an event only says where to look, and a look a moment
later tells what is the case.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

from holdfast.documents import key_of, path_of

logger = logging.getLogger(__name__)

SETTLE = 0.3
"""Seconds after an event until the disk is looked at: longer than any editor's save takes."""
POLL = 2.0
"""Seconds between looks where the file system reports no events."""
MAX_FOLDERS = 5000
"""Folders up to which the workspace is watched as a tree; above, every known file is looked at now and then."""
Touched = Callable[[Path, bool], None]
_EVENTS: list[type[FileSystemEvent]] = [
    FileCreatedEvent,
    FileDeletedEvent,
    FileMovedEvent,
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    # Where the system can do that, what was written is told once: every save of ours would wake the watcher.
    FileClosedEvent if sys.platform == "linux" else FileModifiedEvent,
]


class Identity(NamedTuple):
    """What stays the same when a file is moved, and differs when its inode is used again."""

    device: int
    inode: int
    modified: int
    size: int


def identify(path: Path) -> Identity | None:
    """Return a file's identity, or None when there is none."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return Identity(status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)


class Watcher:
    """Watches the files of one workspace that have a session or a saved state.

    Args:
        folder: The workspace.
        grace: Returns the seconds for which a vanished file may come back.
        moved: Called with the old and the new key of a file or folder that was moved.
        gone: Called with the key of a file or folder that is gone for good.
        state_touched: Called when something in the state folder appeared, vanished or was replaced.
        state_folder: Where state is kept.
        touched: Called with a file that was written, appeared (`new`), or is gone.
    """

    def __init__(
        self,
        folder: Path,
        grace: Callable[[], float],
        *,
        moved: Callable[[str, str], None],
        gone: Callable[[str], None],
        state_touched: Callable[[], None],
        state_folder: Path,
        touched: Touched = lambda path, new: None,
    ) -> None:
        self.state_folder = state_folder
        self._folder = folder
        self._grace = grace
        self._moved = moved
        self._gone = gone
        self._state_touched = state_touched
        self._touched = touched
        self._known: dict[str, Identity | None] = {}
        self._vanished: dict[str, asyncio.TimerHandle] = {}
        self._looks: set[asyncio.TimerHandle] = set()
        self._recent: dict[tuple[int, int], tuple[Path, float]] = {}
        self._state_look: asyncio.TimerHandle | None = None
        self._observer: BaseObserver | None = None
        self._poll: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._starting: asyncio.Future[None] | None = None

    # ------------------------------------------------------------------ start and stop

    def start(self) -> None:
        """Begin to watch; on a large tree this goes on in a thread."""
        self._loop = asyncio.get_running_loop()
        self._starting = self._loop.run_in_executor(None, self._observe)

    def _observe(self) -> None:
        assert self._loop is not None
        if _count_folders(self._folder) > MAX_FOLDERS:
            logger.info("%s has more than %d folders: files are looked at every %g s", self._folder, MAX_FOLDERS, POLL)
            self._loop.call_soon_threadsafe(self._look_around)
            return
        # A folder that appears while its parent is being walked is met twice; watchdog 7.1 says so on stderr each time.
        warnings.filterwarnings("ignore", message="Callback with id", category=RuntimeWarning, module="watchdog")
        observer = Observer()
        try:
            observer.schedule(_Handler(self._from_thread), str(self._folder), recursive=True, event_filter=_EVENTS)
            observer.start()
        except OSError as error:
            logger.warning(
                "no file system events for %s (%s): files are looked at every %g s", self._folder, error, POLL
            )
            self._loop.call_soon_threadsafe(self._look_around)
            return
        self._observer = observer

    def stop(self) -> None:
        """Stop watching and forget all timers."""
        timers = [*self._looks, *self._vanished.values(), self._state_look, self._poll]
        for timer in timers:
            if timer is not None:
                timer.cancel()
        self._loop = None
        if self._observer is not None:
            # An event that comes while it stops is reported as an error by watchdog; it is none.
            logging.getLogger("watchdog").setLevel(logging.CRITICAL)
            self._observer.stop()

    # ------------------------------------------------------------------ what is watched

    def watch(self, key: str) -> None:
        """Follow a file from now on."""
        path = path_of(key, self._folder)
        if path is not None:
            self._known[key] = identify(path) or self._known.get(key)

    def forget(self, key: str) -> None:
        """Follow it no longer."""
        self._known.pop(key, None)
        self._cancel(key)

    def settle(self, key: str) -> None:
        """Make up for events that are still on their way, before a request about `key` is answered.

        A file that nobody knows, but that is the very one which is missing elsewhere, was moved.
        """
        path = path_of(key, self._folder)
        if path is None:
            return
        identity = identify(path)
        if key in self._known:
            if identity is not None:
                self._known[key] = identity
            return
        if identity is None:
            return
        for old, known in list(self._known.items()):
            if known == identity and not self._exists(old):
                self._follow(old, key)
                return

    def vanished(self, key: str) -> None:
        """A file or folder is said to be gone: if it stays away for the grace period, it is."""
        for name in self._known_under(key):
            if name not in self._vanished and self._loop is not None and self._known[name] is not None:
                self._vanished[name] = self._loop.call_later(self._grace(), self._expire, name)

    # ------------------------------------------------------------------ events

    def _from_thread(self, event: FileSystemEvent) -> None:
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._event, event)

    def _event(self, event: FileSystemEvent) -> None:
        if self._loop is None:
            return
        source = Path(os.fsdecode(event.src_path))
        target = Path(os.fsdecode(event.dest_path)) if event.dest_path else None
        if self._in_state_folder(source) or (target is not None and self._in_state_folder(target)):
            self._look_at_state()
            return
        if not event.is_directory:
            self._touched(source, event.event_type == "created")
            if target is not None:
                self._touched(target, True)
        if event.event_type in {"closed", "modified"}:
            return
        arrived = target if target is not None else source if event.event_type == "created" else None
        if arrived is not None:
            self._arrived(arrived)
        if event.event_type in {"deleted", "moved"}:
            key = key_of(source, self._folder)
            if self._known_under(key):
                new = key_of(target, self._folder) if target is not None else None
                # Renamed to what is no such file (`a.py~`), it may be on its way to a backup: a disk that is busy can
                # take its time until the editor has written the new one.
                backup = target is not None and target.suffix != source.suffix
                self._later(max(SETTLE, self._grace()) if backup else SETTLE, lambda: self._look_at(key, new))

    def _arrived(self, path: Path) -> None:
        identity = identify(path)
        if identity is None:
            return
        now = time.monotonic()
        self._recent[identity.device, identity.inode] = (path, now)
        if len(self._recent) > 1000:
            self._recent = {name: (where, when) for name, (where, when) in self._recent.items() if now - when < 60.0}
        key = key_of(path, self._folder)
        for name in self._known_under(key):
            known_path = path_of(name, self._folder)
            self._known[name] = (identify(known_path) if known_path else None) or self._known[name]
            if self._exists(name):
                self._cancel(name)
        for old in list(self._vanished):
            if self._known.get(old) == identity and not self._exists(old):
                self._follow(old, key)

    def _look_at(self, key: str, new: str | None) -> None:
        """A moment after a file or folder was reported moved or deleted: what is the case?"""
        if new is not None and not self._exists(key) and self._exists(new):
            for name in self._known_under(key):
                if not self._exists(name):
                    self._cancel(name)
            self._moved(key, new)
            return
        for name in self._known_under(key):
            if self._exists(name):
                self.watch(name)  # an atomic save: the same document in a new file
                continue
            identity = self._known[name]
            recent = self._recent.get((identity.device, identity.inode)) if identity is not None else None
            if recent is not None and identify(recent[0]) == identity and key_of(recent[0], self._folder) != name:
                self._follow(name, key_of(recent[0], self._folder))
            else:
                self.vanished(name)

    def _follow(self, old: str, new: str) -> None:
        self._cancel(old)
        self._moved(old, new)

    def _expire(self, key: str) -> None:
        self._vanished.pop(key, None)
        if not self._exists(key):
            self._gone(key)

    def _look_around(self) -> None:
        """Where there are no events: see whether the known files are still there."""
        if self._loop is None:
            return
        for key in list(self._known):
            if self._exists(key):
                self._cancel(key)
            else:
                self.vanished(key)
        self._state_touched()
        self._poll = self._loop.call_later(POLL, self._look_around)

    def _look_at_state(self) -> None:
        if self._state_look is None and self._loop is not None:

            def look() -> None:
                self._state_look = None
                self._state_touched()

            self._state_look = self._loop.call_later(SETTLE, look)

    # ------------------------------------------------------------------ small questions

    def _in_state_folder(self, path: Path) -> bool:
        return path == self.state_folder or self.state_folder in path.parents

    def _known_under(self, key: str) -> list[str]:
        prefix = f"{key}/"
        return [name for name in self._known if name == key or name.startswith(prefix)]

    def _exists(self, key: str) -> bool:
        path = path_of(key, self._folder)
        return path is not None and path.exists()

    def _cancel(self, key: str) -> None:
        timer = self._vanished.pop(key, None)
        if timer is not None:
            timer.cancel()

    def _later(self, delay: float, action: Callable[[], None]) -> None:
        assert self._loop is not None

        def act() -> None:
            self._looks.discard(handle)
            action()

        handle = self._loop.call_later(delay, act)
        self._looks.add(handle)


class _Handler(FileSystemEventHandler):
    """Passes every event on to the watcher."""

    def __init__(self, pass_on: Callable[[FileSystemEvent], None]) -> None:
        self._pass_on = pass_on

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Take an event in watchdog's thread."""
        self._pass_on(event)


def _count_folders(folder: Path) -> int:
    count, waiting = 0, [str(folder)]
    while waiting and count <= MAX_FOLDERS:
        count += 1
        try:
            with os.scandir(waiting.pop()) as found:
                waiting += [entry.path for entry in found if entry.is_dir(follow_symlinks=False)]
        except OSError:
            continue  # not readable: not watchable either
    return count
