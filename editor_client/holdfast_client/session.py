"""A document's session as a client sees it: run code in it, look at it, keep and restore its state."""

from __future__ import annotations

import functools
import os
from collections.abc import AsyncIterator, Generator
from pathlib import PurePath
from typing import Any, Literal, TypeVar
from urllib.parse import unquote, urlsplit

from cattrs import Converter
from lsprotocol.types import Position, Range, TextDocumentIdentifier

from holdfast import protocol
from holdfast.protocol import Inspection, Restored, Run, Saved, SortBy, State, Transferred, Variable, Version
from holdfast_client.connection import Connection
from holdfast_client.execution import Execution, Output

T = TypeVar("T")


@functools.cache
def converter() -> Converter:
    """Return the converter between the protocol's classes and JSON."""
    return protocol.make_converter()


async def call(connection: Connection, method: str, params: Any, result: type[T]) -> T:
    """Send a typed request and return its typed result."""
    answer = await connection.request(method, None if params is None else converter().unstructure(params))
    return converter().structure(answer, result)


class Running(AsyncIterator[Output]):
    """A run under way.

    ``async for output in running`` yields its nbformat outputs as they come; ``await running`` returns the
    `Run`, which has all of them again. Either may be left out. Cancelling the task that awaits it or
    iterates cancels the run; breaking out of the iteration does not.
    """

    def __init__(self, execution: Execution) -> None:
        self._execution = execution

    @property
    def run_id(self) -> str:
        """The run's name in notifications."""
        return self._execution.run_id

    @property
    def done(self) -> bool:
        """Whether the run is over."""
        return self._execution.done

    def cancel(self) -> None:
        """Cancel the run; whoever awaits it gets `asyncio.CancelledError`."""
        self._execution.cancel()

    async def saved(self) -> Saved:
        """Wait until what the run did to the state is settled, when the `Run` only says ``saving``.

        Raises:
            ConnectionLost: the daemon went away before; a later connection shows what was saved.
        """
        return converter().structure(await self._execution.saved(), Saved)

    async def __anext__(self) -> Output:
        return await self._execution.__anext__()

    def __await__(self) -> Generator[Any, None, Run]:
        return self._result().__await__()

    async def _result(self) -> Run:
        return converter().structure(await self._execution.result(), Run)


class Session:
    """A document and its variables; made by `Client.open`. Nothing is started until it is first used.

    Attributes:
        uri: The document's URI.
    """

    def __init__(self, connection: Connection, uri: str) -> None:
        self.uri = uri
        self._connection = connection
        self._document = TextDocumentIdentifier(uri)

    def __repr__(self) -> str:
        return f"<Session {PurePath(unquote(urlsplit(self.uri).path)).name}>"

    # ------------------------------------------------------------------ runs

    def start(
        self,
        code: str | None = None,
        *,
        cell: int | None = None,
        lines: tuple[int, int] | None = None,
        persist: bool = True,
        rollback_on_error: bool | None = None,
        timeout: float | None = None,
        synced: bool = False,
        collect_outputs: bool = True,
        live: bool = True,
    ) -> Running:
        """Send code to be run and return the run under way; it queues behind the document's other runs.

        Args:
            code: The code; with neither `code`, `cell` nor `lines` the whole document is run.
            cell: The position of a cell in the document, counted from 0.
            lines: The document's lines from the first up to, not including, the second; counted from 0.
            persist: Save the variables after the run.
            rollback_on_error: Take memory back to the saved version if the code fails; None: as the setting says.
            timeout: Seconds after which the run is interrupted.
            synced: Answer only when the saved state would survive a power cut, not just a kill.
            collect_outputs: Put the outputs into the `Run`, as a notebook would keep them; switch it off for
                a run that prints without end.
            live: Keep the outputs for iteration; switch it off when nobody is going to iterate.
        """
        if sum(part is not None for part in (code, cell, lines)) > 1:
            raise TypeError("give one of code, cell and lines, or none for the whole document")
        params = protocol.ExecuteParams(
            self._document,
            code=code,
            cell=None if cell is None else protocol.CellRef(cell),
            range=None if lines is None else Range(Position(lines[0], 0), Position(lines[1], 0)),
            options=protocol.ExecuteOptions(
                persist=persist,
                rollback_on_error=rollback_on_error,
                collect_outputs=collect_outputs,
                timeout=None if timeout is None else timeout * 1000,
                durability="synced" if synced else "committed",
            ),
        )
        return Running(self._connection.execute(converter().unstructure(params), live=live))

    async def run(
        self,
        code: str,
        *,
        persist: bool = True,
        rollback_on_error: bool | None = None,
        timeout: float | None = None,
        synced: bool = False,
    ) -> Run:
        """Run code and return how it went, outputs included; arguments as in `start`."""
        return await self.start(
            code,
            persist=persist,
            rollback_on_error=rollback_on_error,
            timeout=timeout,
            synced=synced,
            live=False,
        )

    async def run_cell(self, index: int, *, persist: bool = True, timeout: float | None = None) -> Run:
        """Run one of the document's cells, counted from 0."""
        return await self.start(cell=index, persist=persist, timeout=timeout, live=False)

    async def run_range(self, start: int, end: int, *, persist: bool = True, timeout: float | None = None) -> Run:
        """Run the document's lines from `start` up to, not including, `end`; counted from 0."""
        return await self.start(lines=(start, end), persist=persist, timeout=timeout, live=False)

    async def run_file(self, *, persist: bool = True, timeout: float | None = None) -> Run:
        """Run the whole document."""
        return await self.start(persist=persist, timeout=timeout, live=False)

    async def interrupt(self) -> bool:
        """Interrupt the running cell; a second interrupt kills one that ignores it. False if nothing runs."""
        done = await self._call(protocol.INTERRUPT, protocol.DocumentParams(self._document), protocol.Interrupted)
        return done.interrupted

    async def restart(self, *, restore: bool = True) -> protocol.Session:
        """Start a new kernel, with the saved variables or without any."""
        params = protocol.RestartParams(self._document, restore)
        return await self._call(protocol.RESTART, params, protocol.Session)

    # ------------------------------------------------------------------ looking

    async def variables(self, match: str | None = None) -> list[Variable]:
        """Return the variables whose name matches a glob; works while a cell runs and without a kernel."""
        params = protocol.VariablesParams(self._document, match)
        return await self._call(protocol.VARIABLES, params, list[Variable])

    async def inspect(
        self,
        expression: str,
        *,
        offset: int | None = None,
        limit: int | None = None,
        sort: str | SortBy | list[SortBy] | None = None,
        filter: str | None = None,
    ) -> Inspection:
        """Return a look at a value: a mime bundle, and for tables `limit` rows from `offset` on."""
        params = protocol.InspectParams(self._document, expression, offset, limit, sort, filter)
        return await self._call(protocol.INSPECT, params, Inspection)

    # ------------------------------------------------------------------ state

    async def state(self) -> State:
        """Return what is stored for the document."""
        return await self._call(protocol.STATE_GET, protocol.DocumentParams(self._document), State)

    async def flush(self) -> State:
        """Wait until all that was saved would survive a power cut, and return what is stored."""
        return await self._call(protocol.STATE_FLUSH, protocol.OptionalDocumentParams(self._document), State)

    async def restore(
        self, version: int | None = None, *, names: list[str] | None = None, files: bool = False
    ) -> Restored:
        """Bring back a version (the last one by default), or only some of its names; with `files` files as well."""
        params = protocol.RestoreParams(self._document, version, names, files=files)
        return await self._call(protocol.STATE_RESTORE, params, Restored)

    async def undo(self, *, files: bool = False) -> Restored:
        """Take back the last run: what it left unsaved in memory, or else the version that it made.

        Args:
            files: Also bring back the files that it wrote; without it they are offered (setting ``trackFiles``).
        """
        return await self._call(protocol.STATE_UNDO, protocol.StepParams(self._document, files), Restored)

    async def redo(self, *, files: bool = False) -> Restored:
        """Go again to what was taken back last, with `files` in files as well."""
        return await self._call(protocol.STATE_REDO, protocol.StepParams(self._document, files), Restored)

    async def files(self, version: int | None = None, *, apply: bool = False) -> protocol.FilesBrought:
        """Return what bringing back the files that runs wrote, as they were at a version, would do; or do it."""
        params = protocol.FilesParams(self._document, version, apply)
        return await self._call(protocol.STATE_FILES, params, protocol.FilesBrought)

    async def diff(
        self, version: int, to: int | None = None, *, details: bool = False, names: list[str] | None = None
    ) -> protocol.Diff:
        """Compare a version with another one, or with memory.

        Args:
            version: The version.
            to: The other one; None: what is in memory.
            details: Also say what differs inside of the values, which are loaded for it in a process of their own.
            names: Only these variables.
        """
        params = protocol.DiffParams(self._document, version, to, details, names)
        return await self._call(protocol.STATE_DIFF, params, protocol.Diff)

    async def origin(self, name: str) -> list[Version]:
        """Return the runs that made and changed a variable, the one that made it first."""
        return await self._call(protocol.STATE_ORIGIN, protocol.OriginParams(self._document, name), list[Version])

    async def branch(self, to: str, version: int | None = None) -> protocol.Session:
        """Let another document (its URI) start from a version of this one, the last by default."""
        return await self._call(
            protocol.STATE_BRANCH, protocol.BranchParams(self._document, to, version), protocol.Session
        )

    async def label(self, version: int, label: str | None) -> Version:
        """Give a version a name, or take it away."""
        return await self._call(protocol.STATE_LABEL, protocol.LabelParams(self._document, version, label), Version)

    async def trust(self, *, revoke: bool = False, digest: str | None = None) -> State:
        """Let what others saved be restored (unpickling it runs code), or take that back.

        Args:
            revoke: take it back.
            digest: `signers_digest` of the state that the user was shown; nothing is trusted if it changed since.
        """
        params = protocol.TrustParams(self._document, revoke, digest)
        return await self._call(protocol.STATE_TRUST, params, State)

    async def export_state(
        self,
        path: str | os.PathLike[str],
        *,
        names: list[str] | None = None,
        version: int | None = None,
        format: Literal["holdfast", "json"] | None = None,
        overwrite: bool = False,
    ) -> Transferred:
        """Write a saved version (the last by default), or only some of its names, into one file.

        Args:
            path: The file; a relative path counts from the document's folder.
            format: "json" writes plain JSON; None: as the path ends in ``.json`` or not.
            overwrite: Replace the file also if it is no export.
        """
        params = protocol.ExportParams(self._document, os.fspath(path), names, version, format, overwrite)
        return await self._call(protocol.STATE_EXPORT, params, Transferred)

    async def import_state(
        self,
        path: str | os.PathLike[str],
        *,
        names: list[str] | None = None,
        pickle: bool = True,
        trust: bool = False,
        copies: bool = False,
        replace: bool = False,
    ) -> Transferred:
        """Bring the variables of an export into the document, as one new version.

        Args:
            path: The file; a relative path counts from the document's folder.
            pickle: Also load what is pickled, if the export was signed by this user.
            trust: Load it whoever signed it; a pickle can run any code.
            copies: Take readable copies in place of what is pickled and not loaded; they share nothing any more.
            replace: Remove all other variables.
        """
        params = protocol.ImportParams(self._document, os.fspath(path), names, pickle, trust, copies, replace)
        return await self._call(protocol.STATE_IMPORT, params, Transferred)

    async def verify(self, *, repair: bool = False) -> protocol.Verified:
        """Derive what is saved of the document anew from the disk, and with `repair` put right what is wrong."""
        params = protocol.VerifyParams(self._document, repair)
        return await self._call(protocol.STATE_VERIFY, params, protocol.Verified)

    async def clear(self, *, forget: bool = False) -> protocol.Cleared:
        """Clear the variables; the saved state goes into the trash, or with `forget` past it, for ever."""
        params = protocol.ClearParams(self._document, forget)
        return await self._call(protocol.STATE_CLEAR, params, protocol.Cleared)

    async def history(self, limit: int | None = None, *, before: int | None = None) -> list[Version]:
        """Return the saved versions, newest first, going on from (and without) version `before`."""
        params = protocol.HistoryParams(self._document, limit, before)
        return await self._call(protocol.STATE_HISTORY, params, list[Version])

    async def _call(self, method: str, params: Any, result: type[T]) -> T:
        return await call(self._connection, method, params, result)
