"""The life of a session's kernel: started, filled with the saved variables, followed by another, ended."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from typing import TypeVar

from holdfast import protocol
from holdfast.archive import Archive
from holdfast.background import Background
from holdfast.errors import InvalidParams, KernelFailed, NotTrusted, NoVersion, StateDamaged
from holdfast.kernel_client import Emit, KernelClient, attachment
from holdfast.loading import Loaded
from holdfast.progress import Progress
from holdfast.protocol import Restored
from holdfast.rebuild import Rebuilder, RebuildKilled
from holdfast.restoring import Brought, Restorer
from holdfast.runtimes.base import Kernel, KernelDied
from holdfast.runtimes.pool import KernelPool
from holdfast.saver import Saver
from holdfast.saving import visible
from holdfast.settings import Settings

logger = logging.getLogger(__name__)
T = TypeVar("T")

MAX_DEATHS = 3
"""Kernels that may die in a row while they restore before nobody tries again unasked."""


class KernelLife:
    """Sees to it that a session has a kernel when it needs one, with the saved variables in it.

    Attributes:
        turn: Held by whatever runs code or changes the variables as a whole.
        status: What clients are told of the session; changes go to `on_status`.
    """

    def __init__(
        self,
        client: KernelClient,
        saver: Saver,
        language: str,
        *,
        pool: KernelPool,
        archive: Archive,
        settings: Settings,
        folder: Path,
        emit: Emit,
        progress: Progress,
        text: Callable[[], str],
        on_status: Callable[[], None],
    ) -> None:
        self.language = language
        self.turn = asyncio.Lock()
        self.status: protocol.SessionStatus = "cold"
        self.execution_count = 0
        self.ended = False
        self._client = client
        self._saver = saver
        self._pool = pool
        self._settings = settings
        self._rebuilder = Rebuilder(client, settings, text, lambda: self.ended or self._restarting)
        self._restorer = Restorer(client, saver, archive, self._rebuilder, emit, progress)
        self._folder = folder
        self._emit = emit
        self._on_status = on_status
        self._deaths = 0
        self._restarting = False
        self._background = Background()
        client.on_death = self._died

    def set_status(self, status: protocol.SessionStatus) -> None:
        """Take note of what the session is doing, and tell it where it is new."""
        if status != self.status:
            self.status = status
            self._on_status()

    def worked(self) -> None:
        """The kernel finished a run: deaths before count no more."""
        self._deaths = 0

    # ------------------------------------------------------------------ a kernel, and the next one

    async def ensure(self) -> Kernel:
        """Return a living kernel with the saved variables in it; the caller holds the turn."""
        if self.ended:
            raise KernelFailed("The session has ended; run again to start a new one.", kind="ended")
        living = self._client.living
        if living is not None:
            if living.interpreter == self._settings.interpreter or self._saver.dirty:
                return living
            await self._leave_interpreter(living)
        self.set_status("starting")
        try:
            with self._pool.held():
                kernel = await self._start_with_variables()
        except KernelFailed:
            self.set_status("dead")
            raise
        except KernelDied as error:
            self.set_status("dead")
            raise KernelFailed(
                f"The kernel died while it restored the saved variables ({error.death.cause}); "
                "the saved state is untouched. "
                "Restore an older version, or clear the state."
            ) from error
        self.set_status("idle")
        return kernel

    async def _start_with_variables(self) -> Kernel:
        while True:
            kernel = await self._start_kernel()
            try:
                await self._restore_on_start(kernel)
            except RebuildKilled:
                # It comes to an end: a cell that killed its kernel is not run again.
                self.set_status("starting")
                continue
            return kernel

    async def _start_kernel(self) -> Kernel:
        if self.language != "python":
            raise KernelFailed(
                f"There is no runtime for {self.language} in this installation; only Python cells can be run.",
                kind="noRuntime",
            )
        kernel = await self._pool.take(self._settings.interpreter, self._folder)
        self._client.use(kernel)
        kernel.send(attachment(self._client.place, self._folder, self._settings.limits, self.execution_count))
        return kernel

    def _died(self) -> None:
        self._restorer.kernel_gone()
        self.set_status("dead")
        if self._client.current is None and not self.turn.locked() and not self.ended:
            self._background.spawn(self._revive_in_turn())

    async def _leave_interpreter(self, kernel: Kernel) -> None:
        """Another interpreter was chosen: go on there, with what is saved; nothing else is in memory."""
        await self._saver.settled()
        self._client.kernel = None
        await kernel.stop(2.0)
        self._saver.kernel_lost()

    async def _revive_in_turn(self) -> None:
        async with self.turn:
            await self.revive()

    async def revive(self) -> None:
        """Put a new kernel with the last saved version in the place of one that died; the caller holds the turn."""
        if self.ended or self._restarting:
            return
        self._deaths += 1
        if self._deaths > MAX_DEATHS:
            logger.warning(
                "kernel of %s died %d times in a row; the next run starts one", self._client.place.key, self._deaths
            )
            return
        self._saver.kernel_lost()
        try:
            await self.ensure()
        except KernelFailed as error:
            if self.ended or self._restarting:
                return
            logger.warning("no new kernel for %s: %s", self._client.place.key, error.message)

    async def restart(self, restore: bool) -> None:
        """End the kernel and start a new one, with or without the saved variables.

        Raises:
            KernelFailed: no new kernel could be started.
        """
        self._restarting = True
        try:
            self._client.end_run("the kernel was restarted")
            await self.turn.acquire()
        finally:
            self._restarting = False
        try:
            await self._saver.settled()
            await self._stop_kernel(1.0)
            self._deaths = 0
            self._rebuilder.try_all_again()
            self._saver.kernel_lost()
            if not restore:
                self._saver.start_over()
                self.execution_count = 0
            self.set_status("cold")
            await self.ensure()
        finally:
            self.turn.release()

    async def clear(self) -> None:
        """Forget the variables in memory; what is on disk is the caller's business."""
        async with self.turn:
            await self._saver.settled()
            await self._stop_kernel(1.0)
            self._saver.forget()
            self.execution_count = 0
            self.set_status("cold")

    async def retire(self) -> None:
        """End the kernel of a file that nobody has open; the state stays."""
        if self.turn.locked():
            return
        async with self.turn:
            await self._saver.settled()
            await self._stop_kernel(2.0)
            self._saver.kernel_lost()
            self.set_status("cold")

    async def end(self) -> None:
        """End the session: what runs is interrupted, what is being saved is finished, the kernel goes."""
        self.ended = True
        self._client.end_run("the session ended")
        await self._saver.settled()
        await self._stop_kernel(2.0)
        self.set_status("dead")

    async def _stop_kernel(self, timeout: float) -> None:
        kernel, self._client.kernel = self._client.kernel, None
        self._restorer.kernel_gone()
        if kernel is not None:
            await kernel.stop(timeout)

    # ------------------------------------------------------------------ the saved variables

    async def restore(self, version: int | None, names: list[str] | None) -> Restored:
        """Bring a saved version back into the kernel.

        Raises:
            NoVersion, NotTrusted, StateDamaged: as they say; memory is as before.
        """
        async with self.turn:
            await self._saver.settled()
            return await self._shown_restore(version, names)

    def refuse(self, versions: Collection[int]) -> None:
        """What came in with these versions is not to be loaded any more; what is in memory stays."""
        self._restorer.refuse(versions)

    async def _shown_restore(self, version: int | None, names: list[str] | None) -> Restored:
        with self._restorer.shown():
            return await self._restore(version, names)

    async def stand_on_head(self) -> None:
        """Something else became the saved state: so does memory, now if there is a kernel, else when one starts."""
        async with self.turn:
            await self._saver.settled()
            if self._client.living is not None:
                await self._restore(None, None)
            else:
                self._saver.forget()

    async def step_back(self) -> Restored:
        """Take back the last run: what it left unsaved in memory, or else the version that it made.

        Raises:
            NotTrusted, StateDamaged: as they say; memory is as before.
        """
        async with self.turn:
            await self._saver.settled()
            head = await self._restorer.head()
            if head is None:
                return Restored(
                    False, "Nothing is saved, so there is nothing to go back to; memory is as before.", 0, []
                )
            living = self._client.living
            # Also where the session was started empty, beside what is saved.
            unsaved = self._saver.skip_restore
            if living is not None and self._saver.dirty and not unsaved:
                unsaved = await self._restorer.has_more(living, head.version)
            target = head.version if unsaved else head.parent
            if target is None:
                message = f"Version {head.version} is the first; there is nothing before it. Memory is as before."
                return Restored(False, message, len(self._saver.names), [], version=head.version)
            return await self._shown_restore(target, None)

    async def step_forward(self) -> Restored:
        """Go again to the version that was taken back last.

        Raises:
            NotTrusted, StateDamaged: as they say; memory is as before.
        """
        async with self.turn:
            await self._saver.settled()
            target = await self._restorer.following()
            if target is None:
                message = "Nothing was undone since the last run, so there is nothing to redo; memory is as before."
                return Restored(False, message, len(self._saver.names), [], version=self._saver.version)
            return await self._shown_restore(target, None)

    async def _restore(self, version: int | None, names: list[str] | None) -> Restored:
        living = self._client.living
        try:
            loaded = await self._restorer.load(version, names, beside=living if names is None else None)
        except KernelDied:
            loaded = await self._restorer.load(version, names)
        if loaded is None:
            return Restored(False, "There is no saved state to restore; memory is as before.", 0, [])
        if names is not None:
            known = {name for entry in loaded.entries.values() for name in visible(entry.members)}
            missing = [name for name in names if name not in known]
            if missing:
                raise InvalidParams(
                    f"Version {loaded.record.version} holds no {', '.join(missing)}; nothing was restored.",
                    kind="noSuchName",
                )
            kernel = await self.ensure()
        else:
            # What is in memory goes away anyway: a kernel that is only starting need not restore it first.
            kernel = self._client.living or await self._start_kernel()
        self.set_status("restoring")
        self._rebuilder.try_all_again()
        try:
            brought = await self._bring_back(kernel, loaded, names)
            if names is None and version is not None:
                await self._saver.set_head(loaded.record.version)
            restored = await self._restorer.finish(kernel, brought)
            if names is not None and self._settings.persist:
                await self._saver.capture(kernel)
            return restored
        except KernelDied as error:
            raise KernelFailed(
                f"The kernel died while it restored ({error.death.cause}); the saved state is untouched."
            ) from error
        finally:
            self.set_status("idle" if kernel.death is None else "dead")

    async def _bring_back(self, kernel: Kernel, loaded: Loaded, names: list[str] | None) -> Brought:
        brought = await self._restorer.send(kernel, loaded, names)
        if names is None:
            self.execution_count = max(self.execution_count, loaded.record.execution_count)
        return brought

    async def take_in(self, work: Callable[[Kernel], Awaitable[T]]) -> T:
        """Let something bring variables into the kernel from elsewhere.

        Raises:
            KernelFailed: the kernel died of it; the saved state is as before. And whatever `work` raises.
        """
        async with self.turn:
            await self._saver.settled()
            kernel = await self.ensure()
            self.set_status("restoring")
            try:
                return await work(kernel)
            except KernelDied as error:
                raise KernelFailed(
                    f"The kernel died of what was imported ({error.death.cause}); the saved state is as before."
                ) from error
            finally:
                self.set_status("idle" if kernel.death is None else "dead")

    async def roll_back(self) -> None:
        """Take memory back to the last saved version after a failed run; the caller holds the turn."""
        kernel = self._client.kernel
        assert kernel is not None
        await self._saver.settled()
        version = self._saver.version
        try:
            loaded = await self._restorer.load(version, beside=kernel) if version is not None else None
            if loaded is not None:
                await self._restorer.finish(kernel, await self._bring_back(kernel, loaded, None))
            else:
                await kernel.request(
                    {
                        "type": "restore",
                        "mode": "replace",
                        "names": None,
                        "components": [],
                        "executionCount": 0,
                    }
                )
        except KernelDied as error:
            logger.warning("the kernel died while it rolled back: %s", error.death.cause)

    async def _restore_on_start(self, kernel: Kernel) -> None:
        """Bring the saved variables into a new kernel; what cannot be read is told, and stands in no run's way."""
        if self._saver.skip_restore:
            return
        await self._saver.settled()  # what the last kernel sent may still be on its way
        try:
            loaded = await self._restorer.load(self._saver.version)
        except (NotTrusted, StateDamaged) as error:
            self._saver.start_over()
            reason = (
                f"{error.message} The session starts without it; nothing was deleted, "
                "and what is saved from now on stands beside it."
            )
            self._emit(protocol.STATE_CONFLICT, protocol.StateEventParams(self._client.identifier, reason))
            return
        except NoVersion:
            loaded = await self._restorer.load(None)
        if loaded is not None:
            self.set_status("restoring")
            await self._restorer.finish(kernel, await self._bring_back(kernel, loaded, None))
