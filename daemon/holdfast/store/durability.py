"""Getting onto the disk what the operating system has, and keeping the catalog's write-ahead log short."""

from __future__ import annotations

import contextlib
import os
import threading
from abc import abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from .appending import write_error
from .catalog import Catalog, Checkpointer
from .errors import StoreError
from .packs import PackFolder, flush, sync_folder

WAL_VALVE = 16 << 20
"""A write-ahead log of this size is moved into the catalog by the commit that meets it, if idle time never came."""
_RELIEF = 16
"""Transactions of upkeep after which the write-ahead log is moved into the catalog."""


class Durability:
    """The part of an open store (`core.Core`) that waits for the disk."""

    catalog: Catalog
    packs: PackFolder
    lock: threading.RLock
    _unsynced: set[int]
    _wal: Path
    _wal_size: int
    _valve: int
    _strain: int
    _checkpointer: Checkpointer | None
    _checkpoint_lock: threading.Lock

    @abstractmethod
    def require_current(self) -> None:
        """See `Core`."""

    @abstractmethod
    def require_open(self) -> None:
        """See `Core`."""

    @abstractmethod
    def writing(self, *, durable: bool = False) -> AbstractContextManager[None]:
        """See `Core`."""

    @abstractmethod
    def _settle(self) -> None:
        """See `Core`."""

    def sync(self) -> None:
        """Make everything committed so far durable: first the packs, then the catalog that speaks of them.

        Raises:
            SaveFailed, StoreUnavailable: it may not be.
        """
        with self.lock:
            self.require_current()
            numbers = sorted(self._unsynced)
        # The slow part, outside of the lock: commits go on meanwhile.
        self._sync_packs(numbers)
        self._sync_wal()
        with self.writing(durable=True):
            self.catalog.touch()

    def harden(self) -> None:
        """Make everything committed so far durable, as `sync` does, while commits go on.

        Raises:
            SaveFailed, StoreUnavailable: it may not be.
        """
        with self.lock:
            self.require_current()
            self._settle()
            numbers = sorted(self._unsynced)
        self._sync_packs(numbers)
        if not self._sync_wal():
            self.sync()

    def _sync_wal(self) -> bool:
        """Have all transactions so far on the disk, with nobody's lock held; whether that can be done here."""
        try:
            fd = os.open(self._wal, os.O_RDWR)  # SQLite holds no locks on this file, which closing it could drop
            try:
                flush(fd)
            finally:
                os.close(fd)
            sync_folder(self._wal.parent)
        except OSError:
            return False
        return True

    def relieve(self) -> None:
        """Keep the write-ahead log short in a long piece of upkeep, so that no commit meets the valve.

        Raises:
            SaveFailed, StoreUnavailable: it could not be moved; nothing is lost by that.
        """
        self._strain += 1
        if self._strain >= _RELIEF:
            self._strain = 0
            self.checkpoint()

    def _sync_packs(self, numbers: Sequence[int]) -> None:
        if not numbers:
            return
        try:
            self.packs.sync(numbers)
        except OSError as error:
            raise write_error(error) from error

    def checkpoint(self) -> None:
        """Move the write-ahead log into the catalog; for idle times. Commits of other threads go on meanwhile.

        Raises:
            SaveFailed, StoreUnavailable: it could not be moved; nothing is lost by that.
        """
        with self.lock:
            self.require_current()
            self._settle()
            numbers = sorted(self._unsynced)
        # What lands in the catalog is durable: so must be the bytes that it points to.
        self._sync_packs(numbers)
        with self._checkpoint_lock:
            self.require_open()
            if self._checkpointer is None:
                self._checkpointer = Checkpointer(self.catalog.path)
            self._checkpointer.run()

    def _mind_the_valve(self) -> None:
        if self._wal_size <= self._valve:
            return
        # The version at hand is saved; that the log could not be shortened is for the next commit to meet again.
        # It starts over from its beginning, and keeps its size until then: hence the distance to the next time.
        self._valve = self._wal_size + WAL_VALVE // 4
        with contextlib.suppress(StoreError):
            self.checkpoint()
