"""Appending to packs: what a failed or killed commit left behind its end is taken back or written over."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Sequence

from .errors import SaveFailed, StoreError, StoreUnavailable
from .failures import NOTHING_LOST, disk_full
from .packs import PackFolder, write_at
from .records import Buffer


class PackAppender:
    """Appends records of one kind, in one pack after another. Its caller holds the lock that goes with the kind.

    Args:
        packs: the files.
        kind: `packs.LOG` or `packs.BULK`.
        limit: a pack that has reached this size is followed by a new one.
        allocate: returns the number for a new pack.

    Attributes:
        touched: for every pack written since the last `settle` or `abort`, where it ends now.
    """

    def __init__(self, packs: PackFolder, kind: int, limit: int, allocate: Callable[[], int]) -> None:
        self.kind = kind
        self.touched: dict[int, int] = {}
        self._packs = packs
        self._limit = limit
        self._allocate = allocate
        self._settled: dict[int, int] = {}
        self._current: int | None = None
        self._end = 0

    def resume(self, number: int, used: int) -> None:
        """Go on with a pack of an earlier time."""
        self._current, self._end = number, used
        self._settled[number] = used

    @property
    def current(self) -> int | None:
        """The pack that the next record goes to, as far as known."""
        return self._current

    def position(self, size: int) -> tuple[int, int]:
        """Return the pack and the offset at which the next `size` bytes will be written.

        Raises:
            SaveFailed: a new pack is needed and cannot be made.
        """
        if self._current is None or (self._end + size > self._limit and self._end > self._limit // 8):
            number = self._allocate()
            try:
                used = self._packs.create(number, self.kind)
            except OSError as error:
                raise write_error(error) from error
            self.resume(number, used)
        assert self._current is not None
        return self._current, self._end

    def leave(self, least: int) -> None:
        """Have the next record begin a new pack, if this one has at least so many bytes; nothing may be unsettled."""
        if self._current is not None and self._end >= least and not self.touched:
            self._current, self._end = None, 0

    def append(self, views: Sequence[Buffer]) -> None:
        """Write at the position.

        Raises:
            SaveFailed: not all of it could be written; `abort` has to follow.
        """
        number = self._current
        assert number is not None
        self.touched[number] = self._end
        try:
            self._end += write_at(self._packs.fd(number), views, self._end)
        except OSError as error:
            raise write_error(error) from error
        self.touched[number] = self._end

    def settle(self) -> list[int]:
        """What was appended is part of the store now; return the packs that hold it."""
        numbers = list(self.touched)
        current = self._current
        self._settled.update(self.touched)
        self._settled = {number: end for number, end in self._settled.items() if number == current}
        self.touched.clear()
        return numbers

    def abort(self) -> None:
        """Take back everything since the last `settle`."""
        for number in self.touched:
            self._packs.cut(number, self._settled[number])
        if self._current is not None:
            self._end = self._settled[self._current]
        self.touched.clear()


class BulkWrites:
    """One commit's use of the bulk packs, which it has for itself from its first large chunk on."""

    def __init__(self, appender: PackAppender, lock: threading.Lock) -> None:
        self._appender = appender
        self._lock = lock
        self._held = False

    def position(self, size: int) -> tuple[int, int]:
        """See `PackAppender.position`."""
        if not self._held:
            self._lock.acquire()
            self._held = True
        return self._appender.position(size)

    def append(self, views: Sequence[Buffer]) -> None:
        """See `PackAppender.append`."""
        self._appender.append(views)

    @property
    def touched(self) -> dict[int, int]:
        """What this commit wrote: packs and where they end."""
        return self._appender.touched if self._held else {}

    def settle(self) -> list[int]:
        """See `PackAppender.settle`."""
        return self._appender.settle() if self._held else []

    def release(self) -> None:
        """Take back what was not settled, and let others write."""
        if self._held:
            self._held = False
            try:
                self._appender.abort()
            finally:
                self._lock.release()


def write_error(error: OSError) -> StoreError:
    """Say what a failed write means."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return disk_full()
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM, errno.EBADF):
        return SaveFailed("read_only", f"The state folder has become read-only. {NOTHING_LOST} Make it writable again.")
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ESTALE, errno.EEXIST):
        return gone()
    return SaveFailed("io", f"The state could not be written ({error.strerror}). {NOTHING_LOST} Check the disk.")


def gone() -> StoreUnavailable:
    """Return the error for a folder that was removed or replaced while in use."""
    return StoreUnavailable(
        "gone",
        "The state folder was removed or replaced by something other than Holdfast. Nothing more can be saved to it; "
        "variables in memory are unharmed, and opening the folder anew saves all of them again.",
    )
