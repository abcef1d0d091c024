"""What a kernel finds out about its saves afterwards: variables that would not come back are no longer called saved."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

from holdfast.kernel_client import KernelClient
from holdfast.protocol import Saved
from holdfast.runtimes.base import Kernel, KernelDied
from holdfast.saver import Saver

logger = logging.getLogger(__name__)

WAIT = 15.0
"""Seconds that `verified` waits at most: more than the kernel gives one attempt."""
ROUNDS = 3
"""How often `verified` waits for what was saved again while it waited."""


class Verification:
    """Saves a session again without the variables of which its kernel says that they would not come back.

    Args:
        turn: held while the kernel captures.
        announce: is told the id of the run that made them, and what is saved now.
    """

    def __init__(
        self, client: KernelClient, saver: Saver, turn: asyncio.Lock, announce: Callable[[str, Saved], None]
    ) -> None:
        self._client = client
        self._saver = saver
        self._turn = turn
        self._announce = announce
        self._saving: set[asyncio.Task[None]] = set()
        client.on_unfaithful = self._unfaithful

    def _unfaithful(self, kernel: Kernel, run_id: str) -> None:
        task = asyncio.create_task(self._save_again(kernel, run_id))
        self._saving.add(task)
        task.add_done_callback(self._saving.discard)

    async def _save_again(self, kernel: Kernel, run_id: str) -> None:
        async with self._turn:
            if self._client.living is not kernel:
                return
            try:
                saved = await self._saver.capture_unfaithful(kernel)
            except KernelDied as error:
                logger.info("what does not come back is still in the last version: %s", error.death.cause)
                return
        if saved is not None:
            # Else a run says it.
            self._announce(run_id, saved)

    async def verified(self) -> None:
        """Return when all that is worth it was tried and what failed is not in the newest version, or after a while."""
        with contextlib.suppress(TimeoutError, KernelDied):
            async with asyncio.timeout(WAIT):
                for _ in range(ROUNDS):
                    kernel = self._client.living
                    if kernel is None or self._turn.locked():
                        return
                    await kernel.request({"type": "verify"})
                    if not self._saving:
                        return
                    await asyncio.wait(self._saving)
