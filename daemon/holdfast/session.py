"""One open file: its queue of runs, its kernel, its timeline."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from lsprotocol.types import Location, Position, Range, TextDocumentIdentifier

from holdfast import protocol
from holdfast.archive import Archive
from holdfast.documents import Place, uri_of
from holdfast.errors import (
    Busy,
    HoldfastError,
    InvalidParams,
    KernelFailed,
    NotTrusted,
    NoVersion,
    StateDamaged,
)
from holdfast.execution import Execution, error_output
from holdfast.kernel.wire import Message
from holdfast.protocol import Restored, Run, RunError, Saved
from holdfast.runtimes.base import Death, Kernel, KernelDied, StreamName
from holdfast.runtimes.pool import KernelPool
from holdfast.saver import Saver
from holdfast.saving import Loaded, load, lost_list, visible
from holdfast.settings import Settings
from holdfast.store.errors import Damaged, NoSuchVersion, StoreError, Untrusted

logger = logging.getLogger(__name__)

KILL_DELAY = 1.0
"""Seconds a first interrupt is given before a second one kills."""
TIMEOUT_GRACE = 3.0
"""Seconds between the interrupt for a passed timeout and the kill."""
MAX_DEATHS = 3
"""Kernels that may die in a row while they restore before nobody tries again unasked."""

Emit = Callable[[str, Any], None]


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
        settings: Settings,
        folder: Path,
        emit: Emit,
    ) -> None:
        self.place = place
        self.language = language
        self.kernel: Kernel | None = None
        self.status: protocol.SessionStatus = "cold"
        self.execution_count = 0
        self.saver = Saver(place.key, archive, self._announce_saved)
        self._pool = pool
        self._archive = archive
        self._settings = settings
        self._folder = folder
        self._emit = emit
        self._turn = asyncio.Lock()
        self._queued = 0
        self._current: Execution | None = None
        self._deaths = 0
        self._ended = False
        self._restarting = False
        self._background: set[asyncio.Task[Any]] = set()
        self._congested: Callable[[], bool] = lambda: False

    # ------------------------------------------------------------------ what it looks like

    @property
    def identifier(self) -> TextDocumentIdentifier:
        """The document as clients name it."""
        return TextDocumentIdentifier(uri=self.place.uri)

    @property
    def busy(self) -> bool:
        """Whether something holds the turn."""
        return self._turn.locked()

    @property
    def interpreter(self) -> str:
        """The interpreter that runs, or would run, the document."""
        return self.kernel.interpreter if self.kernel is not None else self._settings.interpreter

    def describe(self, *, memory: bool = False) -> protocol.Session:
        """Return the session as the protocol shows it; its memory, which costs a look into /proc, only on demand."""
        alive = self.kernel is not None and self.kernel.death is None
        return protocol.Session(
            text_document=self.identifier,
            language=self.language,
            status=self.status,
            execution_count=self.execution_count,
            queue=self._queued,
            dirty=alive and self.saver.dirty,
            interpreter=self.interpreter,
            pid=self.kernel.pid if alive and self.kernel is not None else None,
            version=self.saver.version,
            memory=self.kernel.memory if memory and alive and self.kernel is not None else None,
        )

    def _set_status(self, status: protocol.SessionStatus) -> None:
        if status != self.status:
            self.status = status
            self._emit(protocol.SESSION_STATUS, self.describe())

    def _announce_saved(self, run_id: str, state: Saved) -> None:
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
        self._spawn(self._perform(run, outcome))
        try:
            return await asyncio.shield(outcome)
        except asyncio.CancelledError:
            run.cancelled = True
            if self._current is run:
                self.interrupt_run(run, "the request was cancelled")
            raise

    async def _perform(self, run: Execution, outcome: asyncio.Future[Run]) -> None:
        self._queued += 1
        try:
            await self._turn.acquire()
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
            self._current = None
            self._turn.release()
            if outcome.done() and not outcome.cancelled():
                outcome.exception()  # mark as seen: a cancelled request has nobody left to look

    @staticmethod
    def _fail(outcome: asyncio.Future[Run], error: HoldfastError) -> None:
        if not outcome.done():
            outcome.set_exception(error)

    async def _run(self, run: Execution, outcome: asyncio.Future[Run]) -> None:
        persist = run.options.persist and self._settings.persist
        if persist:
            self._prepare_store()
        kernel = await self._ensure_kernel()
        self.execution_count += 1
        run.begin(self.execution_count)
        self._current = run
        self._send_run(run, kernel, persist)
        self._set_status("busy")
        if run.cancelled:
            self.interrupt_run(run, "the request was cancelled")
        timer = self._start_timeout(run)
        assert run.done is not None
        try:
            message: Message = await run.done
        except KernelDied as error:
            if not run.begun and run.interrupted_at is None and not run.cancelled and not self._ended:
                self._current = None
                await self._revive()
                self.execution_count -= 1
                await self._run(run, outcome)
                return
            self._resolve(outcome, self._died(run, error.death))
            self._current = None
            await self._revive()
            return
        finally:
            if timer is not None:
                timer.cancel()
        await self._conclude(run, message, persist, outcome, kernel)

    def _send_run(self, run: Execution, kernel: Kernel, persist: bool) -> None:
        kernel.send(
            {
                "type": "run",
                "run": run.run_id,
                "code": run.code,
                "filename": run.filename or f"<run {run.count}>",
                "line": run.line,
                "count": run.count,
                "persist": persist,
                "full": self.saver.needs_full,
                "cell": run.cell,
            }
        )

    async def _conclude(
        self, run: Execution, message: Message, persist: bool, outcome: asyncio.Future[Run], kernel: Kernel
    ) -> None:
        header = message.header
        status: protocol.RunStatus = header["status"]
        error = self._error_of(run, header.get("error"))
        duration = float(header.get("seconds") or 0.0) * 1000
        if error is not None:
            self._output(run, error_output(error))
        snapshot = header.get("snapshot")
        pending = snapshot == "pending"
        if status != "ok":
            self.saver.note_unsaved()
            saved = Saved("unchanged" if persist else "off", version=self.saver.version, skipped=self.saver.skipped)
            if status == "error" and run.options.rollback_on_error:
                await self._roll_back()
        elif not persist:
            self.saver.note_unsaved()
            saved = Saved("off", version=self.saver.version, skipped=self.saver.skipped)
        elif pending:
            saved = self.saver.pending()
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
        self._deaths = 0
        if not pending:
            self._current = None
            self._set_status("idle")
            self._resolve(outcome, result)
            return
        self._resolve(outcome, result)
        assert run.captured is not None
        try:
            captured: Message = await run.captured
            self._current = None
            self._set_status("idle")
            if captured.header["snapshot"] is None:
                self._announce_saved(run.run_id, self.saver.no_snapshot())
            else:
                await self.saver.save_and_announce(captured.header["snapshot"], captured.buffers, run, kernel)
        except KernelDied as died:
            reason = f"The run's changes were not saved: {died.death.cause}."
            self._announce_saved(run.run_id, Saved("failed", version=self.saver.version, reason=reason))
            self._current = None
            await self._revive()
        finally:
            self.saver.pending_over()

    @staticmethod
    def _resolve(outcome: asyncio.Future[Run], result: Run) -> None:
        if not outcome.done():
            outcome.set_result(result)

    def _error_of(self, run: Execution, error: dict[str, Any] | None) -> RunError | None:
        if error is None:
            return None
        location = None
        if error.get("line") is not None and run.filename is not None:
            start = Position(int(error["line"]), int(error.get("column") or 0))
            location = Location(uri=run.uri, range=Range(start=start, end=start))
        return RunError(
            ename=error["ename"],
            evalue=error["evalue"],
            traceback=list(error["traceback"]),
            location=location,
            cause=run.cause,
        )

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
        self._output(run, error_output(error))
        return Run(
            run_id=run.run_id,
            status="interrupted" if interrupted else "died",
            execution_count=run.count,
            duration=run.milliseconds,
            state=Saved("unchanged", version=self.saver.version, skipped=self.saver.skipped),
            outputs=run.collected(),
            error=error,
        )

    # ------------------------------------------------------------------ interrupts and timeouts

    def interrupt(self) -> bool:
        """Interrupt the running cell; asked for a second time, end its kernel. Returns whether there was one."""
        run = self._current
        if run is None or run.done is None or run.done.done():
            return False
        if run.interrupted_at is None:
            self.interrupt_run(run, None)
        else:
            wait = max(0.0, run.interrupted_at + KILL_DELAY - time.monotonic())
            asyncio.get_running_loop().call_later(
                wait, self._kill_run, run, "it was interrupted twice, and its kernel was ended"
            )
        return True

    def interrupt_run(self, run: Execution, cause: str | None) -> None:
        """Send the interrupt for a run."""
        run.cause = run.cause or cause
        run.interrupted_at = run.interrupted_at or time.monotonic()
        if self.kernel is not None:
            self.kernel.interrupt()

    def _kill_run(self, run: Execution, cause: str) -> None:
        if self._current is run and run.done is not None and not run.done.done() and self.kernel is not None:
            run.cause = f"{run.cause}; {cause}" if run.cause else cause
            run.interrupted_at = run.interrupted_at or time.monotonic()
            self.kernel.kill(cause)

    def _start_timeout(self, run: Execution) -> asyncio.TimerHandle | None:
        timeout = run.options.timeout
        if timeout is None:
            return None

        def passed() -> None:
            self.interrupt_run(run, f"the run took longer than its timeout of {timeout:g} ms")
            asyncio.get_running_loop().call_later(
                TIMEOUT_GRACE, self._kill_run, run, "it ignored the interrupt, and its kernel was ended"
            )

        return asyncio.get_running_loop().call_later(timeout / 1000, passed)

    # ------------------------------------------------------------------ the kernel

    def _prepare_store(self) -> None:
        try:
            self._archive.current()
        except StoreError as error:
            logger.info("the run goes on without a store: %s", error)

    async def _ensure_kernel(self) -> Kernel:
        """Return a living kernel with the saved variables in it; the caller holds the turn."""
        if self._ended:
            raise KernelFailed("The session has ended; run again to start a new one.", kind="ended")
        if self.kernel is not None and self.kernel.death is None:
            if self.kernel.interpreter == self._settings.interpreter or self.saver.dirty:
                return self.kernel
            await self._leave_interpreter(self.kernel)
        self._set_status("starting")
        try:
            kernel = await self._start_kernel()
            await self._restore_on_start(kernel)
        except KernelFailed:
            self._set_status("dead")
            raise
        except KernelDied as error:
            self._set_status("dead")
            raise KernelFailed(
                f"The kernel died while it restored the saved variables ({error.death.cause}); "
                "the saved state is untouched. "
                "Restore an older version, or clear the state."
            ) from error
        self._set_status("idle")
        return kernel

    async def _leave_interpreter(self, kernel: Kernel) -> None:
        """Another interpreter was chosen: go on there, with what is saved; nothing else is in memory."""
        await self.saver.settled()
        self.kernel = None
        await kernel.stop(2.0)
        self.saver.kernel_lost()

    async def _start_kernel(self) -> Kernel:
        if self.language != "python":
            raise KernelFailed(
                f"There is no runtime for {self.language} in this installation; only Python cells can be run.",
                kind="noRuntime",
            )
        path = self.place.path
        folder = path.parent if path is not None and path.parent.is_dir() else self._folder
        kernel = await self._pool.take(self._settings.interpreter, self._folder)
        kernel.on_message = lambda message: self._kernel_said(kernel, message)
        kernel.on_stream = self._kernel_wrote
        kernel.on_exit = lambda death: self._kernel_exited(kernel, death)
        kernel.send(
            {
                "type": "attach",
                "file": str(path) if path is not None else None,
                "uri": self.place.uri,
                "cwd": str(folder),
                "path0": str(folder),
                "name": path.name if path is not None else self.place.uri,
                "executionCount": self.execution_count,
            }
        )
        self.kernel = kernel
        return kernel

    async def _restore_on_start(self, kernel: Kernel) -> None:
        """Bring the saved variables into a new kernel; what cannot be read is told, and stands in no run's way."""
        if self.saver.skip_restore:
            return
        try:
            loaded = await self._load(self.saver.version)
        except (NotTrusted, StateDamaged) as error:
            self.saver.start_over()
            reason = (
                f"{error.message} The session starts without it; nothing was deleted, "
                "and what is saved from now on stands beside it."
            )
            self._emit(protocol.STATE_CONFLICT, protocol.StateEventParams(self.identifier, reason))
            return
        except NoVersion:
            loaded = await self._load(None)
        if loaded is not None:
            self._set_status("restoring")
            await self._send_version(kernel, loaded, "replace", None)

    async def _load(self, version: int | None) -> Loaded | None:
        try:
            if self._archive.readable() is None:
                return None
            return await self._archive.run(lambda store: load(store, self.place.key, version), create=False)
        except Untrusted as error:
            raise NotTrusted(error.message, detail=error.kind) from error
        except Damaged as error:
            raise StateDamaged(error.message, detail=error.what) from error
        except NoSuchVersion as error:
            raise NoVersion(error.message) from error
        except StoreError as error:
            raise StateDamaged(error.message, detail=error.kind) from error

    async def _send_version(self, kernel: Kernel, loaded: Loaded, mode: str, names: list[str] | None) -> Restored:
        answer = await kernel.request(
            {
                "type": "restore",
                "mode": mode,
                "names": names,
                "components": loaded.components,
                "executionCount": loaded.record.execution_count,
            },
            loaded.buffers,
        )
        restored = [str(name) for name in answer.header["restored"]]
        failed = [*loaded.unreadable, *lost_list(answer.header["failed"])]
        if names is not None:
            failed = [lost for lost in failed if lost.name in names]
        if mode == "replace":
            self.saver.restored(loaded, {lost.name for lost in failed})
            self.execution_count = max(self.execution_count, loaded.record.execution_count)
        noun = "variable" if len(restored) == 1 else "variables"
        message = f"Restored {len(restored)} {noun} from {loaded.record.saved_at}"
        if failed:
            message += f"; {len(failed)} could not be restored: " + ", ".join(lost.name for lost in failed[:5])
        self._emit(
            protocol.STATE_RESTORED,
            protocol.StateRestoredParams(
                text_document=self.identifier,
                version=loaded.record.version,
                saved_at=loaded.record.saved_at,
                variable_count=len(restored),
                failed=failed,
                message=message,
            ),
        )
        return Restored(
            success=not failed,
            message=message,
            variable_count=len(restored),
            restored=restored,
            failed=failed,
            version=loaded.record.version,
        )

    def _kernel_said(self, kernel: Kernel, message: Message) -> None:
        run, kind = self._current, message.header.get("type")
        if kind == "output" and run is not None:
            self._output(run, message.header["output"])
        elif kind == "started" and run is not None and message.header.get("run") == run.run_id:
            run.begun = True
        elif kind == "done" and run is not None and run.done is not None and message.header.get("run") == run.run_id:
            if not run.done.done():
                run.done.set_result(message)
        elif kind == "captured" and run is not None and run.captured is not None and not run.captured.done():
            run.captured.set_result(message)
        elif kind == "input" and run is not None:
            self._spawn(self._answer_input(kernel, run, message.header))
        elif kind == "log":
            logger.warning("kernel of %s: %s", self.place.key, message.header.get("message"))

    def _kernel_wrote(self, name: StreamName, text: str) -> None:
        self._output(self._current, {"output_type": "stream", "name": name, "text": text})

    def _output(self, run: Execution | None, output: dict[str, Any]) -> None:
        if run is not None:
            run.collect(output)
        run_id = run.run_id if run is not None else ""
        self._emit(protocol.OUTPUT, protocol.OutputParams(self.identifier, run_id, output))
        if self._congested() and self.kernel is not None:
            self.kernel.pause_output()

    def hold_output_while(self, congested: Callable[[], bool]) -> None:
        """Let the kernel wait with its output while `congested` says so; `resume_output` ends the wait."""
        self._congested = congested

    def resume_output(self) -> None:
        """Clients have caught up."""
        if self.kernel is not None and self.kernel.death is None:
            self.kernel.resume_output()

    async def _answer_input(self, kernel: Kernel, run: Execution, header: dict[str, Any]) -> None:
        params = protocol.InputParams(
            self.identifier, run.run_id, header.get("prompt", ""), bool(header.get("password"))
        )
        reply: dict[str, Any] = {"type": "input_reply", "id": header["id"]}
        try:
            if run.asker is None:
                raise HoldfastError("no client is there to answer")
            answer = await run.asker.ask(protocol.INPUT, params)
            kernel.send({**reply, "value": str(answer.value)})
        except Exception as error:  # noqa: BLE001 - whatever a client does instead of answering, the code gets an EOFError
            logger.warning("input for %s was not answered: %r", self.place.key, error)
            kernel.send({**reply, "error": f"no input: {error}"})

    def _kernel_exited(self, kernel: Kernel, death: Death) -> None:
        if kernel is not self.kernel:
            return
        logger.info("kernel of %s: %s", self.place.key, death.cause)
        self._set_status("dead")
        run = self._current
        if run is not None:
            for future in (run.done, run.captured):
                if future is not None and not future.done():
                    future.set_exception(KernelDied(death))
                    future.exception()  # seen: only one of the two is awaited
        elif not self._turn.locked() and not self._ended:
            self._spawn(self._revive_in_turn())

    async def _revive_in_turn(self) -> None:
        async with self._turn:
            await self._revive()

    async def _revive(self) -> None:
        """Put a new kernel with the last saved version in the place of one that died; the caller holds the turn."""
        if self._ended or self._restarting:
            return
        self._deaths += 1
        if self._deaths > MAX_DEATHS:
            logger.warning("kernel of %s died %d times in a row; the next run starts one", self.place.key, self._deaths)
            return
        self.saver.kernel_lost()
        try:
            await self._ensure_kernel()
        except KernelFailed as error:
            logger.warning("no new kernel for %s: %s", self.place.key, error.message)

    # ------------------------------------------------------------------ the state as a whole

    async def restore(self, version: int | None, names: list[str] | None) -> Restored:
        """Bring a saved version back into the kernel.

        Raises:
            Busy: a cell runs. NoVersion, NotTrusted, StateDamaged: as they say; memory is as before.
        """
        self._refuse_when_busy("restore")
        async with self._turn:
            await self.saver.settled()
            loaded = await self._load(version)
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
                kernel = await self._ensure_kernel()
            else:
                # What is in memory goes away anyway: a kernel that is only starting need not restore it first.
                kernel = (
                    self.kernel if self.kernel is not None and self.kernel.death is None else await self._start_kernel()
                )
            self._set_status("restoring")
            try:
                restored = await self._send_version(kernel, loaded, "replace" if names is None else "merge", names)
                if names is not None and self._settings.persist:
                    await self.saver.capture(kernel)
                elif version is not None:
                    await self.saver.set_head(loaded.record.version)
            except KernelDied as error:
                raise KernelFailed(
                    f"The kernel died while it restored ({error.death.cause}); the saved state is untouched."
                ) from error
            finally:
                self._set_status("idle" if kernel.death is None else "dead")
            return restored

    async def _roll_back(self) -> None:
        """Take memory back to the last saved version after a failed run; the caller holds the turn."""
        assert self.kernel is not None
        await self.saver.settled()
        version = self.saver.version
        loaded = await self._load(version) if version is not None else None
        try:
            if loaded is not None:
                await self._send_version(self.kernel, loaded, "replace", None)
            else:
                await self.kernel.request(
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

    async def restart(self, restore: bool) -> None:
        """End the kernel and start a new one, with or without the saved variables.

        Raises:
            KernelFailed: no new kernel could be started.
        """
        self._restarting = True
        try:
            if self._current is not None:
                self.interrupt_run(self._current, "the kernel was restarted")
                if self.kernel is not None and self._current.done is not None and not self._current.done.done():
                    self.kernel.kill("the kernel was restarted")
            await self._turn.acquire()
        finally:
            self._restarting = False
        try:
            await self.saver.settled()
            if self.kernel is not None:
                kernel, self.kernel = self.kernel, None
                await kernel.stop(1.0)
            self._deaths = 0
            self.saver.kernel_lost()
            if not restore:
                self.saver.start_over()
                self.execution_count = 0
            self._set_status("cold")
            await self._ensure_kernel()
        finally:
            self._turn.release()

    async def clear(self) -> None:
        """Forget the variables in memory; what is on disk is the caller's business.

        Raises:
            Busy: a cell runs.
        """
        self._refuse_when_busy("clear the state")
        async with self._turn:
            await self.saver.settled()
            kernel, self.kernel = self.kernel, None
            if kernel is not None:
                await kernel.stop(1.0)
            self.saver.forget()
            self.execution_count = 0
            self._set_status("cold")

    async def inspect(self, params: protocol.InspectParams) -> dict[str, Any]:
        """Look at the value of an expression.

        Raises:
            InvalidParams: the expression has no value, or cannot be shown.
            Busy: only names can be shown while a cell runs.
        """
        kernel = self.kernel
        if kernel is None or kernel.death is not None or self.status in {"starting", "restoring"}:
            async with self._turn:
                kernel = await self._ensure_kernel()
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
        kernel = self.kernel
        if kernel is None or kernel.death is not None or self.status not in {"idle", "busy"}:
            return None
        try:
            answer = await kernel.request({"type": "variables", "match": match})
        except KernelDied:
            return None
        listing: list[dict[str, Any]] = answer.header["variables"]
        return listing

    # ------------------------------------------------------------------ moving and ending

    def move(self, place: Place) -> None:
        """Follow the document to its new place."""
        self.place = place
        self.saver.key = place.key
        if self.kernel is not None and place.path is not None:
            self.kernel.send(
                {
                    "type": "rename",
                    "file": str(place.path),
                    "uri": uri_of(place.path),
                    "cwd": str(place.path.parent),
                }
            )
        self._emit(protocol.SESSION_STATUS, self.describe())

    async def retire(self) -> None:
        """End the kernel of a file that nobody has open; the state stays."""
        if self.busy:
            return
        async with self._turn:
            await self.saver.settled()
            kernel, self.kernel = self.kernel, None
            if kernel is not None:
                await kernel.stop(2.0)
            self.saver.kernel_lost()
            self._set_status("cold")

    async def end(self) -> None:
        """End the session: what runs is interrupted, what is being saved is finished, the kernel goes."""
        self._ended = True
        if self._current is not None:
            self.interrupt_run(self._current, "the session ended")
            if self.kernel is not None and self._current.done is not None and not self._current.done.done():
                self.kernel.kill("the session ended")
        await self.saver.settled()
        kernel, self.kernel = self.kernel, None
        if kernel is not None:
            await kernel.stop(2.0)
        self._set_status("dead")

    def _refuse_when_busy(self, what: str) -> None:
        if self._current is not None or self._queued:
            raise Busy(f"A cell is running, so the session cannot {what} now; interrupt it first, or wait.")

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
