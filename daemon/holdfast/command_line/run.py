"""`holdfast run` and `holdfast exec`: code into a file's session, its output out."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from holdfast.command_line.exits import EPILOG, Exit, exit_of_error, exit_of_run, exit_of_saved
from holdfast.command_line.interrupts import Interrupts
from holdfast.command_line.prompt import Prompt
from holdfast.command_line.runview import JsonLines, JsonRun, Piece, Text, View
from holdfast.command_line.screen import plain
from holdfast.command_line.target import Command, Target, connected, folder_option, perform
from holdfast_client.connection import Connection
from holdfast_client.errors import HoldfastError
from holdfast_client.execution import Execution

_PROSE = ("markdown", "md", "raw")
"""Kinds of cells that are not code."""


@dataclass(frozen=True, slots=True)
class How:
    """How code is to be run."""

    timeout: float | None
    persist: bool
    interpreter: str | None
    track_files: bool | None = None
    collect: bool = False

    @property
    def options(self) -> dict[str, Any]:
        """The ``options`` of ``holdfast/execute``."""
        chosen: dict[str, Any] = {"persist": self.persist, "collectOutputs": self.collect}
        if self.timeout is not None:
            chosen["timeout"] = self.timeout * 1000
        return chosen

    @property
    def settings(self) -> dict[str, Any]:
        """The ``initializationOptions.holdfast``."""
        chosen: dict[str, Any] = {"interpreter": self.interpreter} if self.interpreter else {}
        return chosen if self.track_files is None else {**chosen, "trackFiles": self.track_files}


class Runner:
    """Runs one piece after the other in the session of a document, and tells a view about it."""

    def __init__(self, connection: Connection, target: Target, how: How, view: View, interrupts: Interrupts) -> None:
        self._connection = connection
        self._target = target
        self._how = how
        self._view = view
        self._interrupts = interrupts
        self._saving: list[tuple[Piece, Execution]] = []
        self._conflicts = connection.subscribe("holdfast/state/conflict")

    async def run(self, piece: Piece) -> tuple[str, Exit]:
        """Run a piece to its end; return the run's status and the exit code that it stands for."""
        params = {**self._target.params, **piece.request, "options": self._how.options}
        self._view.cell(piece)
        execution = self._connection.execute(params)
        self._interrupts.execution = execution
        async for output in execution:
            self._view.output(piece, output)
        run = await execution.result()
        self._view.result(piece, run)
        for _, conflict in self._conflicts.arrived():
            if conflict["textDocument"] == self._target.params["textDocument"]:
                self._view.say(plain(conflict["reason"]))
        if run["state"]["status"] == "saving":
            self._saving.append((piece, execution))
        return run["status"], exit_of_run(run)

    async def settle(self) -> Exit:
        """Wait until what is being saved in the background is saved."""
        worst = Exit.OK
        for piece, execution in self._saving:
            state = await execution.saved()
            self._view.settled(piece, state)
            worst = max(worst, exit_of_saved(state))
        self._saving.clear()
        return worst


async def _perform(target: Target, pieces: list[Piece], how: How, view: View) -> int:
    prompt = Prompt(view.before_input)
    before = _stamp(target.path)
    code = Exit.OK
    try:
        async with connected(target.folder, on_input=prompt.answer, options=how.settings) as connection:
            with Interrupts(connection, target.params, view.say) as interrupts:
                runner = Runner(connection, target, how, view, interrupts)
                for piece in pieces:
                    if piece.number and _stamp(target.path) != before:
                        view.say(
                            f"{target.path.name} was changed while it ran, so its cells may be others now; "
                            f"stopped before cell {piece.number}, go on with `--from {piece.number}`."
                        )
                        code = Exit.USAGE
                        break
                    status, outcome = await runner.run(piece)
                    code = outcome or code
                    if status != "ok":
                        break
                settled = await runner.settle()
                code = code or settled
    except HoldfastError as error:
        view.problem(error)
        code = exit_of_error(error)
    except asyncio.CancelledError:
        code = Exit.INTERRUPTED
    view.end(code)
    return code


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_size


def cells_of(target: Target, first: int | None) -> list[Piece]:
    """Return what is to be run of a file: its cells that hold code, from `first` on or the target's only."""
    from holdfast import cells

    if target.path.suffix == ".ipynb":
        raise click.UsageError("`holdfast run` takes scripts with `# %%` cells; open a notebook in an editor.")
    try:
        found = cells.split(target.path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{target.path} cannot be read: {error}") from error
    wanted = target.cell or first
    if wanted is not None and not 1 <= wanted <= len(found):
        raise click.UsageError(f"{target.path.name} has {len(found)} cells, counted from 1; there is no cell {wanted}.")
    chosen = found if wanted is None else found[wanted - 1 :] if first else [found[wanted - 1]]
    return [
        Piece(cell.index + 1, {"cell": {"index": cell.index}}, len(found), cell.start_line + 1, cell.title)
        for cell in chosen
        if cell.kind not in _PROSE and cell.code.strip()
    ]


def _shared_options(command: Command) -> Command:
    for option in (
        folder_option,
        click.option(
            "--timeout",
            type=click.FloatRange(min=0, min_open=True),
            metavar="SECONDS",
            help="Interrupt what takes longer.",
        ),
        click.option("--no-persist", is_flag=True, help="Do not save the variables."),
        click.option(
            "--images",
            type=click.Path(file_okay=False, path_type=Path),
            help="Save pictures into this folder.",
        ),
        click.option("--interpreter", metavar="PATH", help="The Python to run the code with."),
        click.option(
            "--track-files/--no-track-files",
            default=None,
            help="Keep what is in files, so that undo can bring them back; from now on.",
        ),
    ):
        command = option(command)
    return command


@click.command(epilog=EPILOG)
@click.argument("file", metavar="FILE[:CELL]")
@click.option("--from", "first", type=click.IntRange(min=1), metavar="N", help="Begin with cell N.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object per line and event.")
@_shared_options
def run(
    file: str,
    first: int | None,
    as_json: bool,
    interpreter: str | None,
    track_files: bool | None,
    images: Path | None,
    no_persist: bool,
    timeout: float | None,
    folder: Path | None,
) -> None:
    """Run the cells of FILE one by one, or only one of them.

    Cells begin with a line `# %%` and are counted from 1. What the code prints to standard output and
    standard error comes out there; the rest is said on standard error. Stops at the first cell that fails.
    Ctrl-C interrupts the cell, a second Ctrl-C kills its kernel (the saved variables come back), a third
    stops waiting.
    """
    target = Target.parse(file, folder, with_cell=True).must_exist()
    if target.cell is not None and first is not None:
        raise click.UsageError("Give either FILE:CELL or --from.")
    pieces = cells_of(target, first)
    view: View = JsonLines() if as_json else Text(images, cells=True)
    view.begin(target.path, len(pieces))
    perform(_perform(target, pieces, How(timeout, not no_persist, interpreter, track_files), view), as_json=as_json)


@click.command("exec", epilog=EPILOG)
@click.argument("file")
@click.option("-c", "code", required=True, metavar="CODE", help="The code to run.")
@click.option("--json", "as_json", is_flag=True, help="Print the run as one JSON document, outputs included.")
@_shared_options
def execute(
    file: str,
    code: str,
    as_json: bool,
    interpreter: str | None,
    track_files: bool | None,
    images: Path | None,
    no_persist: bool,
    timeout: float | None,
    folder: Path | None,
) -> None:
    """Run CODE in the session of FILE, whose own text is left alone."""
    target = Target.parse(file, folder).must_exist()
    view: View = JsonRun() if as_json else Text(images, cells=False)
    view.begin(target.path, 1)
    how = How(timeout, not no_persist, interpreter, track_files, collect=as_json)
    perform(_perform(target, [Piece(0, {"code": code})], how, view), as_json=as_json)
