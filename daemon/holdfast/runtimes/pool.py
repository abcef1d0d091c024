"""A spare kernel, already started, so that the first run of a new file does not wait for an interpreter."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from holdfast.errors import KernelFailed
from holdfast.runtimes.base import Kernel
from holdfast.runtimes.python import PythonKernel

logger = logging.getLogger(__name__)

REFILL_DELAY = 0.2
"""Seconds to wait before starting the next spare: the cell that took the last one goes first."""
HELD_MOST = 5.0
"""Seconds for which the next spare waits for a restore that takes long."""


class KernelPool:
    """Hands out started kernels, and keeps one ahead for the usual interpreter."""

    def __init__(self, folder: Path, interpreter: str, *, spare: bool = True) -> None:
        self._folder = folder
        self._interpreter = interpreter
        self._wanted = spare
        self._spare: asyncio.Task[PythonKernel] | None = None
        self._refill: asyncio.TimerHandle | None = None
        self._holders = 0
        self._closed = False

    def prepare(self) -> None:
        """Start the spare now, in the background."""
        if self._wanted and not self._closed and self._spare is None:
            self._spare = asyncio.create_task(PythonKernel.start(self._interpreter, self._folder))
            self._spare.add_done_callback(_report)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let no spare start meanwhile, for a while: somebody waits for the processor that it would take."""
        self._holders += 1
        try:
            yield
        finally:
            self._holders -= 1

    def use_interpreter(self, interpreter: str) -> None:
        """Make spares with another interpreter from now on."""
        if interpreter != self._interpreter:
            self._interpreter = interpreter
            self._discard()
            self.prepare()

    async def take(self, interpreter: str, folder: Path) -> Kernel:
        """Return a started kernel, the spare when it fits and lives.

        Raises:
            KernelFailed: none could be started.
        """
        spare, self._spare = (self._spare, None) if interpreter == self._interpreter else (None, self._spare)
        if self._wanted and not self._closed:
            if self._refill is not None:
                self._refill.cancel()
            self._refill_later(0.0)
        if spare is not None:
            try:
                kernel = await asyncio.shield(spare)
            except KernelFailed:
                logger.warning("the spare kernel did not start; starting another")
            else:
                if kernel.death is None:
                    return kernel
        return await PythonKernel.start(interpreter, folder)

    async def close(self) -> None:
        """End the spare."""
        self._closed = True
        if self._refill is not None:
            self._refill.cancel()
        spare, self._spare = self._spare, None
        if spare is not None:
            try:
                await (await spare).stop(1.0)
            except KernelFailed:
                logger.debug("the spare kernel had not started")

    def _refill_later(self, waited: float) -> None:
        self._refill = asyncio.get_running_loop().call_later(REFILL_DELAY, self._refill_now, waited + REFILL_DELAY)

    def _refill_now(self, waited: float) -> None:
        if self._holders and waited < HELD_MOST:
            self._refill_later(waited)
        else:
            self.prepare()

    def _discard(self) -> None:
        spare, self._spare = self._spare, None
        if spare is not None:
            spare.add_done_callback(
                lambda task: (
                    task.result().kill("its interpreter is no longer the chosen one")
                    if not task.cancelled() and task.exception() is None
                    else None
                )
            )


def _report(task: asyncio.Task[PythonKernel]) -> None:
    if not task.cancelled() and task.exception() is not None:
        logger.warning("no spare kernel: %s", task.exception())
