"""Large values on their way from a kernel into the store: written piece by piece, before the commit that needs them."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import Future

from holdfast.archive import Archive
from holdfast.kernel.wire import Message
from holdfast.runtimes.base import FrameSource
from holdfast.store.patching import Upload
from holdfast.store.predecessors import Replaced

logger = logging.getLogger(__name__)

MOST_WAITING = 16 << 20
"""Bytes that may wait for the disk before the kernel is left waiting: memory that a save takes here."""


class Uploads:
    """The uploads of one kernel.

    Attributes:
        named: what has arrived or is being written, by the names that the snapshots have for it.
    """

    def __init__(self, archive: Archive) -> None:
        self.named: dict[str, Upload] = {}
        self._archive = archive
        self._waiting = 0
        self._held: set[FrameSource] = set()

    def take(self, key: str, source: FrameSource, message: Message) -> None:
        """Have a piece of a session's value written; the commits that follow come after it."""
        name, offset = str(message.header["upload"]), int(message.header["offset"])
        (data,) = message.buffers
        store = self._archive.at_hand
        if store is None:
            return  # The commit says why.
        upload = self.named.get(name)
        if upload is None:
            upload = self.named[name] = store.upload(_replaced(key, message))
        self._waiting += data.nbytes
        if self._waiting > MOST_WAITING:
            source.hold_frames()
            self._held.add(source)
        loop = asyncio.get_running_loop()

        def over(done: Future[None]) -> None:
            loop.call_soon_threadsafe(self._written, data.nbytes, done)

        self._archive.start(lambda _: upload.write(offset, data)).add_done_callback(over)

    def _written(self, size: int, done: Future[None]) -> None:
        self._waiting -= size
        if self._waiting <= MOST_WAITING // 2:
            for source in self._held:
                source.resume_frames()
            self._held.clear()
        if (error := done.exception()) is not None:
            logger.error("a large value could not be written: %r", error)

    def forget(self, seq: int) -> None:
        """A snapshot was committed, or never will be."""
        prefix = f"{seq}."
        for name in [name for name in self.named if name.startswith(prefix)]:
            self.named.pop(name).release()


def _replaced(key: str, message: Message) -> Replaced | None:
    """Return what a value takes the place of, if it arrives as a whole."""
    size = message.header.get("size")
    if size is None:
        return None
    component, _, which = str(message.header["upload"]).partition(".")[2].rpartition(".")
    return Replaced(key, component, 0 if which == "s" else int(which) + 1, int(size))
