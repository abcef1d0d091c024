"""One open file: its queue of runs, its kernel, its timeline."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from typing import Any, Protocol, TypeVar

from lsprotocol.types import TextDocumentIdentifier

from holdfast import protocol
from holdfast.archive import Archive
from holdfast.background import Background
from holdfast.documents import Place, uri_of
from holdfast.errors import Busy, HoldfastError, InvalidParams, KernelFailed
from holdfast.execution import Execution, error_output, run_error
from holdfast.files.history import FileHistory
from holdfast.kernel.wire import Message
from holdfast.kernel_client import CopyGone, Emit, KernelClient
from holdfast.kernel_life import KernelLife
from holdfast.progress import Progress
from holdfast.protocol import Restored, Run, RunError, Saved
from holdfast.runtimes.base import Death, Kernel, KernelDied
from holdfast.runtimes.pool import KernelPool
from holdfast.saver import Saver, Turn
from holdfast.settings import Settings
from holdfast.store.errors import StoreError
from holdfast.verification import Verification

logger = logging.getLogger(__name__)
T = TypeVar("T")


class RunWatcher(Protocol):
    """Whoever is told what becomes of runs."""

    def began(self, key: str, run: Execution) -> None:
        """A run of a document begins."""

    def ended(self, run: Execution, outcome: Run) -> None:
        """It is over."""

    def saved(self, run_id: str, state: Saved) -> None:
        """What it changed was saved after it was over, or could not be."""

    def forget(self, key: str) -> None:
        """The variables of a document are gone."""


class Session:
    """The variables of one document and the kernel that holds them.

    Runs take turns in the order in which they were asked for; whatever changes the variables as a whole takes a turn,
    too.
    """

    def __init__(
        self,
        place: Place,
        language: str,
        *,
        pool: KernelPool,
        archive: Archive,
        files: FileHistory,
        settings: Settings,
        folder: Path,
        emit: Emit,
        progress: Progress,
        text: Callable[[Place], str],
        watcher: RunWatcher,
    ) -> None:
        self._watcher = watcher
        self.saver = Saver(place.key, archive, self._announce_saved)
        self._archive = archive
        self._files = files
        self._settings = settings
        self._emit = emit
        self._client = KernelClient(place, emit)
        self._client.on_part = self.saver.take_part
        self._life = KernelLife(
            self._client,
            self.saver,
            language,
            pool=pool,
            archive=archive,
            settings=settings,
            folder=folder,
            emit=emit,
            progress=progress,
            text=lambda: text(self.place),
            on_status=self._tell_status,
        )
        self._verification = Verification(self._client, self.saver, self._life.turn, self._announce_saved)
        self._queued = 0
        self._background = Background()

    # ------------------------------------------------------------------ what it looks like

    @property
    def place(self) -> Place:
        """Where the document is."""
        return self._client.place

    @place.setter
    def place(self, place: Place) -> None:
        self._client.place = place

    @property
    def identifier(self) -> TextDocumentIdentifier:
        """The document as clients name it."""
        return self._client.identifier

    @property
    def busy(self) -> bool:
        """Whether something holds the turn."""
        return self._life.turn.locked()

    @property
    def is_live(self) -> bool:
        """Whether a kernel holds the variables."""
        return self._client.living is not None

    @property
    def interpreter(self) -> str:
        """The interpreter that runs, or would run, the document."""
        kernel = self._client.kernel
        return kernel.interpreter if kernel is not None else self._settings.interpreter

    def describe(self, *, memory: bool = False) -> protocol.Session:
        """Return the session as the protocol shows it; its memory, which costs a look into /proc, only on demand."""
        kernel = self._client.living
        return protocol.Session(
            text_document=self.identifier,
            language=self._life.language,
            status=self._life.status,
            execution_count=self._life.execution_count,
            queue=self._queued,
            dirty=kernel is not None and self.saver.dirty,
            interpreter=self.interpreter,
            pid=kernel.pid if kernel is not None else None,
            version=self.saver.version,
            memory=kernel.memory if memory and kernel is not None else None,
        )

    def _tell_status(self) -> None:
        self._emit(protocol.SESSION_STATUS, self.describe())

    def _announce_saved(self, run_id: str, state: Saved) -> None:
        self._watcher.saved(run_id, state)
        self._emit(
            protocol.STATE_SAVED,
            protocol.StateSavedParams(text_document=self.identifier, run_id=run_id, state=state),
        )

    # ------------------------------------------------------------------ runs

    async def execute(self, run: Execution) -> Run:
        """Run code when its turn comes, and save what it changed.

        Cancelling the caller takes the run out of the queue, or interrupts it.

        Raises:
            KernelFailed: no kernel could be started.
        """
        outcome: asyncio.Future[Run] = asyncio.get_running_loop().create_future()
        self._background.spawn(self._perform(run, outcome))
        try:
            return await asyncio.shield(outcome)
        except asyncio.CancelledError:
            run.cancelled = True
            if self._client.current is run:
                self._client.interrupt_run(run, "the request was cancelled")
            raise

    async def _perform(self, run: Execution, outcome: asyncio.Future[Run]) -> None:
        self._queued += 1
        try:
            await self._life.turn.acquire()
        finally:
            self._queued -= 1
        try:
            if run.cancelled:
                outcome.cancel()
                return
            try:
                await self._run(run, outcome)
            except HoldfastError as error:
                self._fail(outcome, error)
            except Exception as error:
                logger.exception("a run broke down inside the daemon")
                self._fail(
                    outcome,
                    HoldfastError(f"The run broke down inside Holdfast ({error!r}); the saved state is as before."),
                )
                raise
        finally:
            self._client.current = None
            self._life.turn.release()
            if outcome.done() and not outcome.cancelled():
                outcome.exception()  # mark as seen: a cancelled request has nobody left to look

    @staticmethod
    def _fail(outcome: asyncio.Future[Run], error: HoldfastError) -> None:
        if not outcome.done():
            outcome.set_exception(error)

    async def _run(self, run: Execution, outcome: asyncio.Future[Run]) -> None:
        persist = run.options.persist and self._settings.persist
        if persist:
            await self._prepare_store()
        life = self._life
        kernel = await life.ensure()
        life.execution_count += 1
        files = self._files
        if files.keeps:
            await files.look_before(self.place.key)
        span = files.begin(run.run_id, self.place.key, run.code, life.execution_count, self.saver.version)
        self._client.start(run, kernel, life.execution_count, persist=persist, full=self.saver.needs_full)
        life.set_status("busy")
        self._watcher.began(self.place.key, run)
        try:
            message = await self._client.result(run)
            span.end()
        except KernelDied as error:
            span.end()
            if not run.begun and run.interrupted_at is None and not run.cancelled and not life.ended:
                self._client.current = None
                await life.revive()
                life.execution_count -= 1
                await self._run(run, outcome)
                return
            self._resolve(outcome, run, self._died(run, error.death))
            self._client.current = None
            await life.revive()
            return
        if files.keeps:
            run.wrote = await files.look_after(span)
        await self._conclude(run, message, persist, outcome, kernel)

    def _rolls_back(self, run: Execution) -> bool:
        wanted = run.options.rollback_on_error
        return self._settings.rollback_on_error if wanted is None else wanted

    async def _prepare_store(self) -> None:
        try:
            await self._archive.current()
        except StoreError as error:
            logger.info("the run goes on without a store: %s", error)

    async def _conclude(
        self, run: Execution, message: Message, persist: bool, outcome: asyncio.Future[Run], kernel: Kernel
    ) -> None:
        header = message.header
        status: protocol.RunStatus = header["status"]
        error = run_error(run, header.get("error"))
        duration = run.took = float(header.get("seconds") or 0.0) * 1000
        if error is not None:
            self._client.output(run, error_output(error))
        turn: Turn | None = None
        snapshot = header.get("snapshot")
        pending = snapshot == "pending"
        if status != "ok":
            self.saver.note_unsaved()
            saved = Saved("unchanged" if persist else "off", version=self.saver.version, skipped=self.saver.skipped)
            if status == "error" and self._rolls_back(run):
                await self._life.roll_back()
        elif not persist:
            self.saver.note_unsaved()
            saved = Saved("off", version=self.saver.version, skipped=self.saver.skipped)
        elif pending:
            saved, turn = self.saver.pending()
        elif snapshot is None:
            saved = self.saver.no_snapshot()
        else:
            saved = await self.saver.save(snapshot, message.buffers, run, kernel)
        result = Run(
            run_id=run.run_id,
            status=status,
            execution_count=run.count,
            duration=duration,
            state=saved,
            outputs=run.collected(),
            error=error,
        )
        self._life.worked()
        if turn is None:
            self._client.current = None
            self._life.set_status("idle")
            self._resolve(outcome, run, result)
            return
        self._resolve(outcome, run, result)
        if header.get("copy"):
            # The kernel itself is ready for the next run.
            self._background.spawn(self._save_later(run, kernel, turn))
            self._client.current = None
            self._life.set_status("idle")
        else:
            await self._save_later(run, kernel, turn)

    async def _save_later(self, run: Execution, kernel: Kernel, turn: Turn) -> None:
        """Save the snapshot of a run that was answered before it was taken."""
        try:
            captured = await self._client.captured(run)
            self._is_idle(run)
            if captured.header["snapshot"] is None:
                self._announce_saved(run.run_id, self.saver.no_snapshot())
            else:
                snapshot = captured.header["snapshot"]
                await self.saver.save_and_announce(snapshot, captured.buffers, run, kernel, turn)
        except CopyGone as gone:
            logger.info("a copy of the kernel of %s ended before it had saved; the kernel saves", self.place.key)
            self.saver.give_up(turn)
            await self._save_instead(run, kernel, gone.seq)
        except KernelDied as died:
            self._say_not_saved(run, died)
            if self._client.current is run:
                self._client.current = None
                await self._life.revive()
        finally:
            self.saver.give_up(turn)

    async def _save_instead(self, run: Execution, kernel: Kernel, seq: int) -> None:
        kernel.send({"type": "rejected", "seq": seq})
        try:
            self._announce_saved(run.run_id, await self.saver.capture(kernel, run))
        except KernelDied as died:
            self._say_not_saved(run, died)

    def _say_not_saved(self, run: Execution, died: KernelDied) -> None:
        reason = f"The run's changes were not saved: {died.death.cause}."
        self._announce_saved(run.run_id, Saved("failed", version=self.saver.version, reason=reason))

    def _is_idle(self, run: Execution) -> None:
        if self._client.current is run:
            self._client.current = None
            self._life.set_status("idle")

    def _resolve(self, outcome: asyncio.Future[Run], run: Execution, result: Run) -> None:
        self._watcher.ended(run, result)
        if not outcome.done():
            outcome.set_result(result)

    def _died(self, run: Execution, death: Death) -> Run:
        interrupted = run.interrupted_at is not None
        cause = run.cause if interrupted and run.cause else death.cause
        ename = "KeyboardInterrupt" if interrupted else "KernelDied"
        back = (
            f"A new kernel starts with version {self.saver.version}, the last one saved."
            if self.saver.version is not None
            else "A new kernel starts; nothing had been saved."
        )
        error = RunError(
            ename=ename,
            evalue=f"{cause}. {back}",
            traceback=[f"{ename}: {cause}", back, *death.crash_report.splitlines()],
            cause=cause,
        )
        self._client.output(run, error_output(error))
        return Run(
            run_id=run.run_id,
            status="interrupted" if interrupted else "died",
            execution_count=run.count,
            duration=run.milliseconds,
            state=Saved("unchanged", version=self.saver.version, skipped=self.saver.skipped),
            outputs=run.collected(),
            error=error,
        )

    # ------------------------------------------------------------------ the run that is under way

    def interrupt(self) -> bool:
        """Interrupt the running cell; asked for a second time, end its kernel. Returns whether there was one."""
        return self._client.interrupt()

    def hold_output_while(self, congested: Callable[[], bool]) -> None:
        """Let the kernel wait with its output while `congested` says so; `resume_output` ends the wait."""
        self._client.hold_output_while(congested)

    def resume_output(self) -> None:
        """Clients have caught up."""
        self._client.resume_output()

    # ------------------------------------------------------------------ the state as a whole

    async def restore(self, version: int | None, names: list[str] | None) -> Restored:
        """Bring a saved version back into the kernel.

        Raises:
            Busy: a cell runs. NoVersion, NotTrusted, StateDamaged: as they say; memory is as before.
        """
        self._refuse_when_busy("restore")
        return await self._life.restore(version, names)

    async def undo(self) -> Restored:
        """Take back the last run.

        Raises:
            Busy: a cell runs. NotTrusted, StateDamaged: as they say; memory is as before.
        """
        self._refuse_when_busy("undo")
        return await self._life.step_back()

    async def redo(self) -> Restored:
        """Go again to what was taken back last.

        Raises:
            Busy: a cell runs. NotTrusted, StateDamaged: as they say; memory is as before.
        """
        self._refuse_when_busy("redo")
        return await self._life.step_forward()

    async def take_in(self, work: Callable[[Kernel], Awaitable[T]]) -> T:
        """Let something bring variables into the kernel from elsewhere, when its turn comes.

        Raises:
            Busy: a cell runs. KernelFailed: the kernel died of it; the saved state is as before.
        """
        self._refuse_when_busy("import")
        return await self._life.take_in(work)

    async def stand_on_head(self) -> None:
        """Something else became the saved state: so does memory, now if there is a kernel, else when one starts."""
        await self._life.stand_on_head()

    def trust_changed(self, revoked: Collection[int] | None) -> None:
        """What is saved may be restored now, or not any more. Memory stays; a kernel that starts follows it.

        Args:
            revoked: the versions with which came in what is not trusted any more; None: all of it may be restored.
        """
        if self._client.living is None:
            self.saver.forget()
        elif revoked is not None:
            self._life.refuse(revoked)
            self.saver.start_over()
            self.saver.note_unsaved()

    async def restart(self, restore: bool) -> None:
        """End the kernel and start a new one, with or without the saved variables.

        Raises:
            KernelFailed: no new kernel could be started.
        """
        await self._life.restart(restore)

    async def clear(self) -> None:
        """Forget the variables in memory; what is on disk is the caller's business.

        Raises:
            Busy: a cell runs.
        """
        self._refuse_when_busy("clear the state")
        await self._life.clear()
        self._watcher.forget(self.place.key)

    def _refuse_when_busy(self, what: str) -> None:
        if self._client.current is not None or self._queued:
            raise Busy(f"A cell is running, so the session cannot {what} now; interrupt it first, or wait.")

    # ------------------------------------------------------------------ a look at the variables

    async def inspect(self, params: protocol.InspectParams) -> dict[str, Any]:
        """Look at the value of an expression.

        Raises:
            InvalidParams: the expression has no value, or cannot be shown.
            Busy: only names can be shown while a cell runs.
        """
        kernel = self._client.living
        if kernel is None or self._life.status in {"starting", "restoring"}:
            async with self._life.turn:
                kernel = await self._life.ensure()
        order = params.sort
        sort: Any = (
            order
            if order is None or isinstance(order, str)
            else [
                {"column": part.column, "descending": part.descending}
                for part in (order if isinstance(order, list) else [order])
            ]
        )
        try:
            answer = await kernel.request(
                {
                    "type": "inspect",
                    "expression": params.expression,
                    "offset": params.offset,
                    "limit": params.limit,
                    "sort": sort,
                    "filter": params.filter,
                }
            )
        except KernelDied as error:
            raise KernelFailed(
                f"The kernel died while it looked at the value ({error.death.cause}).", kind="kernelDied"
            ) from error
        problem = answer.header.get("error")
        if problem is not None:
            if problem.get("kind") == "busy":
                raise Busy(problem["message"])
            raise InvalidParams(problem["message"], kind=problem.get("kind") or "inspect")
        result: dict[str, Any] = answer.header["result"]
        return result

    async def live_variables(self, match: str | None) -> list[dict[str, Any]] | None:
        """Return the kernel's own listing, or None when no kernel holds the variables."""
        kernel = self._client.living
        if kernel is None or self._life.status not in {"idle", "busy"}:
            return None
        try:
            answer = await kernel.request({"type": "variables", "match": match})
        except KernelDied:
            return None
        listing: list[dict[str, Any]] = answer.header["variables"]
        return listing

    async def beside(self, version: dict[str, str]) -> tuple[set[str], dict[str, dict[str, Any]]] | None:
        """Compare memory with a version; None when no kernel holds the variables.

        Args:
            version: the kernel's digests of its components, by id.

        Returns:
            The components that are as in the version, and the summaries of all variables.

        Raises:
            Busy: a cell runs.
        """
        kernel = self._client.living
        if kernel is None:
            return None
        self._refuse_when_busy("compare with memory")
        async with self._life.turn:
            try:
                answer = await kernel.request({"type": "differing", "version": version})
                listing = await kernel.request({"type": "variables", "match": None})
            except KernelDied:
                return None
        live = {summary["name"]: summary for summary in listing.header["variables"]}
        return version.keys() - {*answer.header["others"]}, live

    async def verified(self) -> None:
        """Return when what was saved was tried, and what does not come back is no longer called saved."""
        await self._verification.verified()

    # ------------------------------------------------------------------ moving and ending

    def move(self, place: Place) -> None:
        """Follow the document to its new place."""
        self.place = place
        self.saver.key = place.key
        if self._client.kernel is not None and place.path is not None:
            self._client.kernel.send(
                {
                    "type": "rename",
                    "file": str(place.path),
                    "uri": uri_of(place.path),
                    "cwd": str(place.path.parent),
                }
            )
        self._emit(protocol.SESSION_STATUS, self.describe())

    def limits_changed(self) -> None:
        """The settings say something else of what is to be saved: the next capture follows it."""
        if self._client.living is not None:
            self._client.living.send({"type": "choose", "limits": self._settings.limits})

    async def retire(self) -> None:
        """End the kernel of a file that nobody has open; the state stays."""
        await self._life.retire()

    async def end(self) -> None:
        """End the session: what runs is interrupted, what is being saved is finished, the kernel goes."""
        await self._life.end()
