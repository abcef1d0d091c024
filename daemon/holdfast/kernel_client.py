"""What a session's kernel is told about the run that it works on, and what it says about it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lsprotocol.types import TextDocumentIdentifier

from holdfast import protocol
from holdfast.background import Background
from holdfast.documents import Place
from holdfast.errors import HoldfastError
from holdfast.execution import Execution
from holdfast.kernel.wire import Message
from holdfast.runtimes.base import CopySource, Death, FrameSource, Kernel, KernelDied, StreamName

logger = logging.getLogger(__name__)

KILL_DELAY = 1.0
"""Seconds a first interrupt is given before a second one kills."""
TIMEOUT_GRACE = 3.0
"""Seconds between the interrupt for a passed timeout and the kill."""

Emit = Callable[[str, Any], None]


def attachment(place: Place, folder: Path, limits: dict[str, Any], execution_count: int) -> dict[str, Any]:
    """Return the message by which a kernel becomes that of a document.

    Args:
        folder: the workspace, where code runs that has no folder of its own.
        limits: what of it is not to be saved.
    """
    path = place.path
    cwd = str(path.parent if path is not None and path.parent.is_dir() else folder)
    return {
        "type": "attach",
        "file": None if path is None else str(path),
        "uri": place.uri,
        "cwd": cwd,
        "path0": cwd,
        "name": place.name,
        "executionCount": execution_count,
        "limits": limits,
    }


class CopyGone(Exception):
    """The copy of a kernel that was to save came to nothing; `seq` is the number of its snapshot."""

    def __init__(self, seq: int) -> None:
        super().__init__(seq)
        self.seq = seq


class KernelClient:
    """A session's kernel and the run that it works on.

    What the kernel says goes to the run and to the clients, and a run that has to end is ended. Which kernel that is,
    and what follows when it dies (`on_death`), others decide.

    Attributes:
        kernel: The kernel that holds the variables, if there is one; dead ones stay until the next takes their place.
        current: The run whose code it executes, or whose changes it captures.
    """

    def __init__(self, place: Place, emit: Emit) -> None:
        self.place = place
        self.kernel: Kernel | None = None
        self.current: Execution | None = None
        self.on_death: Callable[[], None] = lambda: None
        self.on_part: Callable[[Kernel, FrameSource, Message], None] = lambda kernel, source, message: None
        self.on_unfaithful: Callable[[Kernel, str], None] = lambda kernel, run_id: None
        self.on_loading: Callable[[Kernel, dict[str, Any]], None] = lambda kernel, header: None
        self._emit = emit
        self._background = Background()
        self._capturing: dict[str, asyncio.Future[Message]] = {}
        """For each run whose snapshot may come after its end, what is resolved by it."""
        self._congested: Callable[[], bool] = lambda: False

    @property
    def identifier(self) -> TextDocumentIdentifier:
        """The document as clients name it."""
        return TextDocumentIdentifier(uri=self.place.uri)

    @property
    def living(self) -> Kernel | None:
        """The kernel, unless it has died."""
        return self.kernel if self.kernel is not None and self.kernel.death is None else None

    def use(self, kernel: Kernel) -> None:
        """Listen to a kernel from now on."""
        kernel.on_message = lambda message: self._said(kernel, message)
        kernel.on_stream = self._wrote
        kernel.on_exit = lambda death: self._exited(kernel, death)
        kernel.on_copy_message = lambda copy, message: self._copy_said(kernel, copy, message)
        kernel.on_copy_gone = self._copy_is_gone
        self.kernel = kernel

    def _said(self, kernel: Kernel, message: Message) -> None:
        run, kind = self.current, message.header.get("type")
        if kind == "output" and run is not None:
            self.output(run, message.header["output"])
        elif kind == "started" and run is not None and message.header.get("run") == run.run_id:
            run.begun = True
        elif kind == "done" and run is not None and run.done is not None and message.header.get("run") == run.run_id:
            if not run.done.done():
                run.done.set_result(message)
        elif kind == "captured":
            self._has_captured(message)
        elif kind == "part":
            self.on_part(kernel, kernel, message)
        elif kind == "input" and run is not None:
            self._background.spawn(self._answer_input(kernel, run, message.header))
        elif kind == "unfaithful":
            self.on_unfaithful(kernel, str(message.header.get("run") or ""))
        elif kind in {"need", "prepared", "loaded", "unloadable"}:
            self.on_loading(kernel, message.header)
        elif kind == "log":
            logger.warning("kernel of %s: %s", self.place.key, message.header.get("message"))

    def _copy_said(self, kernel: Kernel, copy: CopySource, message: Message) -> None:
        if message.header.get("type") == "part":
            self.on_part(kernel, copy, message)
        elif message.header.get("type") == "captured":
            self._has_captured(message)
        elif message.header.get("type") == "log":
            logger.warning("kernel of %s: %s", self.place.key, message.header.get("message"))

    def _copy_is_gone(self, copy: CopySource) -> None:
        waiting = self._capturing.get(str(copy.about.get("run")))
        if waiting is not None and not waiting.done():
            waiting.set_exception(CopyGone(int(copy.about["seq"])))

    def _has_captured(self, message: Message) -> None:
        waiting = self._capturing.get(str(message.header.get("run")))
        if waiting is not None and not waiting.done():
            waiting.set_result(message)

    async def captured(self, run: Execution) -> Message:
        """Return the `captured` frame that follows when the kernel called a run's snapshot pending.

        Raises:
            KernelDied: the kernel ended before it came.
            CopyGone: the copy of the kernel did that was to send it.
        """
        try:
            return await self._capturing[run.run_id]
        finally:
            self._capturing.pop(run.run_id, None)

    def _wrote(self, name: StreamName, text: str) -> None:
        self.output(self.current, {"output_type": "stream", "name": name, "text": text})

    def output(self, run: Execution | None, output: dict[str, Any]) -> None:
        """Pass an output on to the run and to all clients."""
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

    def interrupt(self) -> bool:
        """Interrupt the running cell; asked for a second time, end its kernel. Returns whether there was one."""
        run = self.current
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
        if self.current is run and run.done is not None and not run.done.done() and self.kernel is not None:
            run.cause = f"{run.cause}; {cause}" if run.cause else cause
            run.interrupted_at = run.interrupted_at or time.monotonic()
            self.kernel.kill(cause)

    # -- a run

    def start(
        self,
        run: Execution,
        kernel: Kernel,
        count: int,
        *,
        persist: bool,
        full: bool,
        only: Sequence[str] | None = None,
    ) -> None:
        """Send a run to the kernel; `result` waits for its end.

        Args:
            count: The run's number in its session.
            persist: Whether its changes are to be captured.
            full: Whether the capture has to hold everything.
            only: The variables that the run may bind; all others are put back to what they were.
        """
        run.begin(count)
        self.current = run
        if persist:
            self._capturing[run.run_id] = asyncio.get_running_loop().create_future()
        header = {
            "type": "run",
            "run": run.run_id,
            "code": run.code,
            "filename": run.filename or f"<run {run.count}>",
            "line": run.line,
            "count": run.count,
            "persist": persist,
            "full": full,
            "cell": run.cell,
        }
        if run.parts:
            header["parts"] = run.parts
        if only is not None:
            header["only"] = list(only)
        kernel.send(header)

    async def result(self, run: Execution) -> Message:
        """Return the kernel's `done` frame for the run that was started; its timeout is seen to.

        Raises:
            KernelDied: the kernel ended before.
        """
        if run.cancelled:
            self.interrupt_run(run, "the request was cancelled")
        timer = self._start_timeout(run)
        assert run.done is not None
        try:
            message: Message = await run.done
            return message
        finally:
            if timer is not None:
                timer.cancel()
            if run.done.done() and not _is_pending(run.done):
                self._capturing.pop(run.run_id, None)

    def end_run(self, cause: str) -> None:
        """Interrupt the current run, and end the kernel with it if the run is not over yet."""
        run = self.current
        if run is None:
            return
        self.interrupt_run(run, cause)
        if self.kernel is not None and run.done is not None and not run.done.done():
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

    def _exited(self, kernel: Kernel, death: Death) -> None:
        if kernel is not self.kernel:
            return
        logger.info("kernel of %s: %s", self.place.key, death.cause)
        run = self.current
        waiting = [*self._capturing.values()]
        if run is not None and run.done is not None:
            waiting.append(run.done)
        for future in waiting:
            if not future.done():
                future.set_exception(KernelDied(death))
                future.exception()  # seen: not all of them are awaited
        self.on_death()


def _is_pending(done: asyncio.Future[Message]) -> bool:
    if done.cancelled() or done.exception() is not None:
        return False
    return done.result().header.get("snapshot") == "pending"
