"""The workspace's access to its store: opened when needed, noticed when it goes away, big writes off the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from holdfast.store.catalog import CATALOG_NAME
from holdfast.store.errors import StoreError, StoreUnavailable
from holdfast.store.keyslots import Encryption
from holdfast.store.records import Change, Head, Patch, VersionRecord
from holdfast.store.seal import config_folder, load_key
from holdfast.store.store import Store
from holdfast.store.trusts import TRUST_NAME
from holdfast.upkeep import Upkeep

logger = logging.getLogger(__name__)

T = TypeVar("T")

INLINE_BYTES = 1 << 17
"""Changes up to this size are committed on the event loop: a hop to a thread costs more than the write."""
SETTLE_DELAY = 0.02
"""Seconds until the catalog notes what was committed to the log alone: after the answer, and before anybody looks."""
RETRY_DELAY = 10.0
"""Seconds until that is tried again, in the store's thread, when it failed."""
IDLE_DELAY = 1.0
"""Seconds without a commit after which it is written through to the disk, and the readable metadata beside it."""


class Archive:
    """One workspace's `.state` folder.

    `generation` counts the catalogs seen: it changes when the folder was removed or replaced, and whoever saved
    under an older
    one has everything to save again.

    Args:
        folder: The `.state` folder.
        on_lost: Called with a reason when the folder was removed under us, or replaced (the second argument).
        on_conflict: Called with a reason when another process wrote to it.
        encryption: What opens the folder if it is encrypted, and says whether it is to be.
        warn: Tells people of what they should know.
        inside: The folder is one inside of the `.state` folder.
    """

    def __init__(
        self,
        folder: Path,
        on_lost: Callable[[str, bool], None],
        on_conflict: Callable[[str], None],
        *,
        encryption: Encryption,
        warn: Callable[[str], None],
        inside: bool = False,
    ) -> None:
        self.folder = folder
        self._inside = inside
        self._encryption = encryption
        self._warn = warn
        self.generation = 0
        self._on_lost = on_lost
        self._on_conflict = on_conflict
        self._store: Store | None = None
        self._opening: asyncio.Task[None] | None = None
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="holdfast-store")
        self._jobs = 0
        self._unwritten: set[str] = set()
        self._describing: set[str] = set()
        self._settling: asyncio.TimerHandle | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._writing_through: asyncio.Task[None] | None = None
        self._tidying: asyncio.Task[None] | None = None
        self._untidied: set[str] = set()
        self.committed_at = 0.0
        self.upkeep = Upkeep(self)

    # ------------------------------------------------------------------ opening

    @property
    def at_hand(self) -> Store | None:
        """The store that is open, unchecked; None where there is none, and while it is being opened."""
        return self._store

    async def opened(self, *, create: bool = True) -> Store:
        """Return the open store. It is opened in its thread: that can mean to read all packs, which takes long.

        Raises:
            StoreUnavailable: it cannot be opened, or there is none and `create` is false.
        """
        if self._store is not None and not self._store.intact():
            self._lose("it was removed or replaced")
        while self._store is None:
            if self._opening is None or self._opening.done():
                self._opening = asyncio.create_task(self._open(create))
                self._opening.add_done_callback(_look_at)
                mine = True
            else:
                mine = False
            try:
                # Whoever asked first may be gone before it is open; a store that nobody knows of would keep the lock.
                await asyncio.shield(self._opening)
            except StoreUnavailable as error:
                if mine or not create or error.kind != "absent":
                    raise
        return self._store

    async def rewrite(self, *, decrypt: bool = False) -> None:
        """Have all that is saved encrypted, if it is to be and is not; or decrypted.

        Sessions that have saved to the folder have nothing to save again: it holds what it held.

        Raises:
            StoreUnavailable: it could not be done. What is saved is as it was.
        """
        async with self.upkeep.alone():
            await self.opened()
            while self._jobs:
                await asyncio.sleep(SETTLE_DELAY)
            store, self._store = self._store, None
            self._opening = asyncio.create_task(self._open(True, store, decrypt=decrypt))
            self._opening.add_done_callback(_look_at)
            await asyncio.shield(self._opening)
        for key in (await self.opened()).sessions():
            self.touched(key)  # what is not encrypted is described for people

    async def _open(self, create: bool, before: Store | None = None, *, decrypt: bool = False) -> None:
        """Open the folder.

        Args:
            create: Make it if there is none.
            before: It is open, and to be written anew; whoever saved to it goes on with what becomes of it.
            decrypt: It is not to be encrypted any more.
        """
        folder = self.folder
        within = folder.parent if self._inside else None

        def work() -> Store:
            if before is not None:
                _checkpoint_and_close(before)
            key, trusts = load_key(), config_folder() / TRUST_NAME
            if decrypt:
                return Store.decrypt(folder, key, trusts=trusts, within=within, encryption=self._encryption)
            store = Store.open(folder, key, create=create, trusts=trusts, within=within, encryption=self._encryption)
            store.redescribe()
            return store

        store = await asyncio.get_running_loop().run_in_executor(self._executor, work)
        if folder != self.folder:  # another one was chosen meanwhile, which whoever waits opens next
            store.close()
            return
        self._store = store
        if before is None:
            self.generation += 1
        if store.in_clear is not None:
            self._warn(f"The state in {folder} is to be encrypted, and is not. {store.in_clear}")
        others = store.shared_with
        if others is not None:
            logger.warning(
                "%s: %s. What they change is found and never unpickled, and restores are slower for it; "
                "`chmod 700` keeps others out",
                folder,
                others,
            )

    async def current(self) -> Store:
        """Return the store that was opened last, unchecked; its commits notice by themselves when the folder is gone.

        Raises:
            StoreUnavailable: it cannot be opened.
        """
        return self._store if self._store is not None else await self.opened()

    async def existing(self) -> Store | None:
        """Return the store if there is one to read, without making one; None also when it cannot be opened."""
        try:
            return await self.readable()
        except StoreUnavailable as error:
            logger.info("no store to read: %s", error)
            return None

    async def readable(self) -> Store | None:
        """Return the store, or None when nothing was ever saved here.

        Raises:
            StoreUnavailable: there is something, but it cannot be read.
        """
        try:
            return await self.opened(create=False)
        except StoreUnavailable as error:
            if error.kind == "absent":
                return None
            raise

    async def openable(self) -> tuple[str | None, Store | None]:
        """Return why the catalog cannot be read, if that is so, else the store, if there is one.

        Raises:
            StoreUnavailable: it cannot be used for another reason.
        """
        try:
            return None, await self.readable()
        except StoreUnavailable as error:
            if error.kind != "damaged":
                raise
            return error.message, None

    async def reopen(self) -> None:
        """Close the store and open it anew: what it remembers of what it held does not hold any more."""
        while self._jobs:
            await asyncio.sleep(SETTLE_DELAY)
        if self._store is not None:
            self._store.close()
            self._store = None
        self.generation += 1

    def make_way(self) -> Path:
        """Move a catalog that cannot be read away, so that the next use makes it anew; return where it is.

        Raises:
            StoreError: it could not be moved.
        """
        from holdfast.store.rebuilding import make_way

        if self._store is not None:
            self._store.close()
            self._store = None
        self.generation += 1
        return make_way(self.folder)

    def move_to(self, folder: Path) -> None:
        """Use another folder from now on; what was saved in the old one stays there."""
        if folder != self.folder:
            self.folder = folder
            if self._store is not None:
                self._lose("another folder was chosen")

    def look(self) -> None:
        """Check whether the folder is still ours, and was written by nobody else; called on file system events."""
        if self._store is None:
            return
        if not self._store.intact():
            self._lose("it was removed or replaced")
        else:
            self._notice_others(self._store)

    def _notice_others(self, store: Store) -> None:
        if store.changed_outside():
            self._on_conflict(
                f"Another process changed {self.folder}. What is in memory stays as it is, and the next run is saved "
                "beside what the other one wrote; `holdfast restore` brings that back."
            )

    def _lose(self, what: str) -> None:
        store, self._store = self._store, None
        self.generation += 1
        if store is not None:
            self._executor.submit(store.close)
        replaced = (self.folder / CATALOG_NAME).exists()
        self._on_lost(
            f"{self.folder} is no longer the folder that was saved to: {what}. The variables are still in memory, "
            "and the next run saves all of them again.",
            replaced,
        )

    # ------------------------------------------------------------------ use

    async def run(self, work: Callable[[Store], T], *, create: bool = True) -> T:
        """Do something with the store in its thread.

        Raises:
            StoreUnavailable: the store cannot be opened.
        """
        store = await self.opened(create=create)
        self._jobs += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, work, store)
        finally:
            self._jobs -= 1

    async def in_thread(self, work: Callable[[Store], T]) -> T:
        """Do a step of upkeep in the store's thread; small commits pass it by.

        Raises:
            StoreUnavailable: the store cannot be opened.
        """
        store = await self.opened(create=False)
        return await asyncio.get_running_loop().run_in_executor(self._executor, work, store)

    def later(self, steps: Iterator[object]) -> None:
        """Have a piece of upkeep that was not gone through to its end clear up in the store's thread."""
        if isinstance(steps, Generator):
            with contextlib.suppress(RuntimeError):  # closed: so are the files that it had open
                self._executor.submit(steps.close)

    def start(self, work: Callable[[Store], T]) -> Future[T]:
        """Have something done in the store's thread, after what was asked before; the caller waits for it elsewhere.

        The store has to be at hand.
        """
        store = self._store
        assert store is not None
        loop = asyncio.get_running_loop()
        self._jobs += 1

        def over(_: Future[T]) -> None:
            loop.call_soon_threadsafe(self._job_is_over)

        future = self._executor.submit(work, store)
        future.add_done_callback(over)
        return future

    def _job_is_over(self) -> None:
        self._jobs -= 1

    async def commit(self, key: str, change: Change, *, parent: int | Head | None, synced: bool) -> VersionRecord:
        """Make a version exist; small ones are written at once.

        Raises:
            StoreUnavailable: the store cannot be opened or written to.
        """
        size = 0
        for component in change.changed:
            for blob in (component.stream, *component.buffers):
                size += blob.size if isinstance(blob, Patch) else memoryview(blob).nbytes
        if size <= INLINE_BYTES and not self._jobs and not synced and self._store is not None:
            record = self._store.commit(key, change, parent=parent)
        else:
            record = await self.run(lambda store: store.commit(key, change, parent=parent, synced=synced))
        if self._settling is None and self._store is not None and self._store.unsettled:
            self._settling = asyncio.get_running_loop().call_later(SETTLE_DELAY, self._settle)
        self.touched(key)
        return record

    def is_undescribed(self, key: str) -> bool:
        """Whether what describes a session for people is going to be written."""
        return key in self._unwritten or key in self._describing

    def touched(self, key: str) -> None:
        """Another version is a session's state: it is written through and described once there are no more of these."""
        self._unwritten.add(key)
        self.committed_at = time.monotonic()
        if self._idle is None:
            self._idle = asyncio.get_running_loop().call_later(IDLE_DELAY, self._start_upkeep)

    def _settle(self) -> None:
        self._settling = None
        store = self._store
        if store is None or not store.unsettled:
            return
        if self._jobs:  # their thread may hold the store's lock for long
            self._settling = asyncio.get_running_loop().call_later(SETTLE_DELAY, self._settle)
            return
        try:
            store.settle()
        except StoreUnavailable:
            self.look()
        except StoreError as error:  # the upkeep that every commit brings about tries again
            logger.warning("what was saved is safe, and its catalog could not be written: %s", error)

    def _start_upkeep(self) -> None:
        self._idle = None
        waiting = self.committed_at + IDLE_DELAY - time.monotonic()
        if waiting > 0 or (self._writing_through is not None and not self._writing_through.done()):
            self._idle = asyncio.get_running_loop().call_later(max(waiting, IDLE_DELAY / 4), self._start_upkeep)
        else:
            self._writing_through = asyncio.create_task(self._keep_up())

    async def _keep_up(self) -> None:
        """Write through to the disk, and write the metadata files; failures only matter to those who read these."""
        keys, self._unwritten = self._unwritten, set()
        if self._store is None or not self._store.intact():
            return
        self._notice_others(self._store)

        def work(store: Store) -> None:
            store.sync()
            for key in keys:
                store.write_metadata(key)
            store.checkpoint()

        self._describing |= keys
        try:
            await self.run(work, create=False)
        except (StoreError, OSError) as error:
            logger.warning("the state is saved, but its upkeep failed: %s", error)
            self._unwritten |= keys
            if self._idle is None and self._store is not None and self._store.unsettled:
                self._idle = asyncio.get_running_loop().call_later(RETRY_DELAY, self._start_upkeep)
            return
        finally:
            self._describing -= keys
        self._untidied |= keys
        # A task of its own: it may take minutes, and what is saved meanwhile is to be written through.
        if self._tidying is None or self._tidying.done():
            self._tidying = asyncio.create_task(self._tidy())

    async def _tidy(self) -> None:
        while self._untidied:
            keys, self._untidied = self._untidied, set()
            await self.upkeep.tidy(keys)

    async def sync(self) -> None:
        """Return once everything committed is on the disk and described beside it.

        Raises:
            StoreUnavailable: it could not be written.
        """
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        keys, self._unwritten = self._unwritten, set()

        def work(store: Store) -> None:
            store.sync()
            for key in keys:
                store.write_metadata(key)

        if self._store is not None:
            try:
                await self.run(work)
            except BaseException:
                self._unwritten |= keys
                raise

    async def close(self) -> None:
        """Write everything through and close."""
        if self._settling is not None:
            self._settling.cancel()
            self._settling = None
        for task in (self._writing_through, self._tidying):
            if task is not None:
                task.cancel()
                await asyncio.wait([task])
        if self._opening is not None:
            await asyncio.wait([self._opening])
        try:
            await self.sync()
            await self._in_thread_close()
        except (StoreError, OSError) as error:
            logger.warning("closing the store: %s", error)
        finally:
            self._executor.shutdown(wait=True)

    async def _in_thread_close(self) -> None:
        store, self._store = self._store, None
        if store is not None:
            await asyncio.get_running_loop().run_in_executor(self._executor, _checkpoint_and_close, store)


def _look_at(opening: asyncio.Task[None]) -> None:
    """Those who waited for it may be gone; then nobody is told what came of it."""
    if not opening.cancelled():
        opening.exception()


def _checkpoint_and_close(store: Store) -> None:
    store.checkpoint()
    store.close()
