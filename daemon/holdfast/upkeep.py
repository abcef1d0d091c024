"""Keeping the state folder small: old versions are thinned and garbage is given back, in steps between other work."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Iterator
from typing import TYPE_CHECKING, TypeVar

from holdfast.store.compacting import Collected
from holdfast.store.errors import StoreError
from holdfast.store.store import Store
from holdfast.store.usage import Usage

if TYPE_CHECKING:
    from holdfast.archive import Archive

logger = logging.getLogger(__name__)

T = TypeVar("T")

QUIET = 0.25
"""Seconds without a commit after which upkeep that nobody waits for goes on."""
_PATIENCE = 32
"""Quarters of that after which a few milliseconds of it are done all the same, where commits never end."""
_GRAIN = 0.004
"""Seconds of small steps that are done at one stroke."""
_SLACK = 8
"""Versions are thinned once there are more than should stay by this part: each time costs a listing."""


class Upkeep:
    """Does the upkeep of an archive's store, one thing at a time, and gives way to commits.

    Args:
        archive: What it belongs to.

    Attributes:
        keep: How many versions of each file stay; 0: all.
        quota: Bytes that all saved state may take; 0: no limit.
    """

    def __init__(self, archive: Archive) -> None:
        self.keep = 0
        self.quota = 0
        self._archive = archive
        self._turn = asyncio.Lock()
        self._checked: set[str] = set()
        self._full_at = 0

    async def tidy(self, keys: Collection[str]) -> None:
        """Do what is due after these sessions were saved, when nobody needs the store."""
        try:
            async with self._turn:
                await self._tidy(keys)
        except StoreError as error:
            logger.warning("the state is saved, but its upkeep failed: %s", error)

    async def _tidy(self, keys: Collection[str]) -> None:
        store = await self._archive.existing()
        if store is None:
            return
        for key in keys:
            if store.listing_is_due(key):
                await self.drive(lambda store, key=key: store.relist(key), gently=True)  # type: ignore[misc]
        if self.keep:
            others = [key for key in store.sessions() if key not in self._checked]
            for key in {*keys, *others}:
                self._checked.add(key)
                if store.count(key) > self.keep + max(_SLACK, self.keep // _SLACK):
                    await self._thin(key, self.keep, gently=True)
        if store.collection_is_due:
            self._report(await self.drive(lambda store: store.collect(asked=False), gently=True))
        used = store.used
        # Where even the newest versions do not fit, there is nothing to be won until much more was written.
        if self.quota and used > max(self.quota, self._full_at):
            await self.drive(lambda store: store.fit(self.quota * 9 // 10, self.keep or 1 << 32), gently=True)
            self._report(await self.drive(lambda store: store.collect(asked=True), gently=True))
            self._full_at = store.used * 5 // 4 if store.used > self.quota else 0

    async def _thin(self, key: str, keep: int, *, gently: bool) -> int:
        try:
            return await self.drive(lambda store: store.thin(key, keep), gently=gently) or 0
        except StoreError as error:
            logger.warning("old versions of %s stay: %s", key, error)
            return 0

    async def compact(self, keys: Collection[str] | None, keep: int | None) -> tuple[int, int, int, str | None]:
        """Remove old versions now, and give back what nothing needs.

        Args:
            keys: The sessions of which old versions go; None: all.
            keep: How many versions of each stay; None: all there are.

        Returns:
            The versions removed, the bytes of the packs before and after, and what stood in the way of more.

        Raises:
            StoreError: it could not be done; what is there is whole.
        """
        async with self._turn:
            store = await self._archive.existing()
            if store is None:
                return 0, 0, 0, None
            before, removed = store.used, 0
            if keep is not None:
                for key in store.sessions() if keys is None else keys:
                    removed += await self._thin(key, keep, gently=False)
            done = await self.drive(lambda store: store.collect(), gently=False)
            store = await self._archive.existing()
            return removed, before, store.used if store is not None else 0, done.problem if done else None

    async def usage(self, keys: Collection[str] | None) -> Usage:
        """Find out what the room is used for.

        Raises:
            StoreError: it cannot be read.
        """
        async with self._turn:
            return await self.drive(lambda store: store.usage(keys), gently=False) or Usage()

    def alone(self) -> asyncio.Lock:
        """Return the lock under which there is no other upkeep; `drive` may be used in it."""
        return self._turn

    @staticmethod
    def _report(done: Collected | None) -> None:
        if done is not None and done.freed:
            logger.info("%d bytes of the saved state were given back to the disk", done.freed)
        if done is not None and done.problem:
            logger.warning("the state folder stays larger than it need be: %s", done.problem)

    async def drive(
        self, begin: Callable[[Store], Iterator[T]], *, gently: bool, watch: Callable[[T], None] | None = None
    ) -> T | None:
        """Go through the steps of a piece of work in the store's thread, a few milliseconds at a time.

        Args:
            begin: Begins it.
            gently: Nobody waits for it: it rests as long as it works, and while there are commits.
            watch: Called now and then with what was yielded last.
        """
        archive = self._archive
        steps = await archive.run(begin, create=False)
        result: T | None = None
        over = False

        def some(_: Store) -> T | None:
            nonlocal over, result
            until = time.monotonic() + _GRAIN
            while time.monotonic() < until:
                try:
                    result = next(steps)
                except StopIteration:
                    over = True
                    break
            return result

        try:
            while not over:
                waited = 0
                while gently and waited < _PATIENCE and time.monotonic() - archive.committed_at < QUIET:
                    await asyncio.sleep(QUIET / 4)
                    waited += 1
                await archive.in_thread(some)
                if watch is not None and result is not None:
                    watch(result)
                await asyncio.sleep(_GRAIN if gently else 0)
        finally:
            archive.later(steps)
        return result
