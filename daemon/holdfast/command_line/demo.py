"""`holdfast demo`: runs an analysis, kills everything half-way with ``kill -9``, and goes on where it was."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from holdfast import endpoint
from holdfast.command_line import screen
from holdfast.command_line.exits import EPILOG, Exit
from holdfast.command_line.outputs import OutputPrinter, write
from holdfast.command_line.run import cells_of
from holdfast.command_line.runview import Piece
from holdfast.command_line.target import Target, connected, perform
from holdfast_client.connection import Connection
from holdfast_client.errors import ConnectionLost

KILL = getattr(signal, "SIGKILL", signal.SIGTERM)
"""Windows has no SIGKILL; there SIGTERM ends a process just as abruptly."""
PREVIEW = 72
"""Characters of a value in the list of variables."""
GONE_TIMEOUT = 10.0
"""Seconds that the system gets to take a killed process away."""


@click.command(epilog=EPILOG)
@click.argument("file", required=False, type=click.Path(dir_okay=False, exists=True, path_type=Path))
@click.option("--keep", is_flag=True, help="Keep the folder it ran in.")
def demo(file: Path | None, keep: bool) -> None:
    """See variables survive: run an analysis, kill -9 its kernel and its daemon half-way, go on.

    Runs a copy of FILE (a script with `# %%` cells), or an analysis of its own, in a temporary folder with a
    daemon of its own; other daemons and their sessions are left alone.
    """
    perform(_demo(file, keep))


async def _demo(file: Path | None, keep: bool) -> int:
    folder = Path(tempfile.mkdtemp(prefix="holdfast-demo-")).resolve()
    script = folder / (file.name if file else "bikes.py")
    script.write_text(file.read_text(encoding="utf-8-sig") if file else _analysis(), encoding="utf-8")
    try:
        return await Demo(Target(script, folder)).run()
    finally:
        await _end(folder)
        if keep:
            click.echo(f"\nIt ran in {folder}.")
        else:
            shutil.rmtree(folder, ignore_errors=True)


def _analysis() -> str:
    rich = all(find_spec(name) is not None for name in ("numpy", "pandas"))
    if not rich:
        click.echo("numpy and pandas are not installed here, so the analysis uses the standard library only.\n")
    return resources.files("holdfast.demo").joinpath("frames.py" if rich else "plain.py").read_text(encoding="utf-8")


async def _end(folder: Path) -> None:
    """End the daemon of the demo, so that nothing is left behind."""
    if endpoint.locate(folder) is None:
        return
    async with connected(folder, start=False) as connection:
        await connection.request("holdfast/stop")
    await _until(lambda: endpoint.locate(folder) is None)


class Demo:
    """One performance, in three acts."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._printer = OutputPrinter()
        self._cells = cells_of(target, None)
        self._middle = len(self._cells) // 2

    async def run(self) -> int:
        """Play it; the exit code says whether all variables survived."""
        self._say(
            f"A copy of {self._target.path.name}, {screen.count(len(self._cells), 'cell')}, in {self._target.folder}"
        )
        before, kept = await self._until_the_kill()
        again = self._cells[self._middle :]
        async with connected(self._target.folder) as connection:
            found = endpoint.locate(self._target.folder)
            who = f"A new daemon, {found.pid}," if found else "A new daemon"
            self._say(f"{who} has these variables, before any kernel is started:")
            after = await self._variables(connection)
            self._list(after)
            lost = sorted(before.keys() - after.keys())
            if lost or not before:
                self._say(f"Lost: {', '.join(lost) or 'all of them, since none was saved'}.", fg="red")
                return Exit.STATE
            last = self._cells[self._middle - 1].number
            self._say(f"Cells 1 to {last} are not run again; the one that was killed starts over:")
            for cell in again:
                run = await self._show(connection, cell)
                if run["status"] != "ok":
                    return Exit.CODE_FAILED
        self._say(
            f"All {len(before)} variables were there after kill -9 of the kernel and the daemon: "
            f"{screen.seconds(kept)} of work that did not have to be done again.",
            fg="green",
        )
        return Exit.OK

    async def _until_the_kill(self) -> tuple[dict[str, Any], float]:
        """Run up to the middle, kill; return the variables that were saved, and the milliseconds that they took."""
        kept = 0.0
        async with connected(self._target.folder) as connection:
            for cell in self._cells[: self._middle]:
                run = await self._show(connection, cell)
                if run["status"] != "ok":
                    raise click.ClickException(f"Cell {cell.number} failed before anything could be shown.")
                kept += run["duration"]
            await connection.request("holdfast/state/flush", self._target.params)
            before = await self._variables(connection)
            saved = {name: entry for name, entry in before.items() if entry["saved"] == "saved"}
            sessions = await connection.request("holdfast/sessions")
            await self._kill_during(connection, self._cells[self._middle], sessions[0]["pid"])
        return saved, kept

    async def _kill_during(self, connection: Connection, cell: Piece, kernel: int) -> None:
        daemon = endpoint.locate(self._target.folder)
        assert daemon is not None
        self._head(cell)
        execution = connection.execute({**self._target.params, **cell.request})
        async for output in execution:
            self._printer.show(output)
            if output.get("output_type") == "stream":
                break
        # The kernel first, which would end with its daemon: by then its number could be another process's.
        doomed = (("kernel", kernel), ("daemon", daemon.pid))
        for _, pid in doomed:
            with suppress(ProcessLookupError):
                os.kill(pid, KILL)
        for name, pid in doomed:
            self._say(f"kill -9 {pid}  (the {name}, in the middle of the cell)", fg="red")
        try:
            await execution.result()
        except ConnectionLost as error:
            self._say(f"The client says: {error.message}")
        await _until(lambda: endpoint.locate(self._target.folder) is None)

    async def _show(self, connection: Connection, cell: Piece) -> dict[str, Any]:
        self._head(cell)
        execution = connection.execute({**self._target.params, **cell.request})
        async for output in execution:
            self._printer.show(output)
        run = await execution.result()
        for line in (run.get("error") or {}).get("traceback", []):
            write(sys.stderr, line.rstrip("\n") + "\n")
        state = await execution.saved()
        self._printer.finish_line()
        click.echo(
            screen.paint(f"{run['status']} in {screen.seconds(run['duration'])}, {screen.saved(state)}", dim=True)
        )
        return run

    async def _variables(self, connection: Connection) -> dict[str, Any]:
        found = await connection.request("holdfast/variables", self._target.params)
        return {entry["name"]: entry for entry in found if entry["type"] != "module"}

    def _list(self, variables: dict[str, Any]) -> None:
        screen.table(
            ["name", "type", "value"],
            [[entry["name"], entry["type"], _short(entry["preview"])] for entry in variables.values()],
        )

    def _head(self, cell: Piece) -> None:
        click.echo(screen.paint(f"\n# %% {cell.title or f'cell {cell.number}'}", bold=True))

    def _say(self, text: str, **style: Any) -> None:
        self._printer.finish_line()
        click.echo("\n" + screen.paint(text, **{"fg": "cyan", **style}))


def _short(preview: str) -> str:
    return preview if len(preview) <= PREVIEW else f"{preview[: PREVIEW - 1]}…"


async def _until(condition: Callable[[], bool]) -> None:
    """Wait until something has come about, or for `GONE_TIMEOUT`."""
    deadline = time.monotonic() + GONE_TIMEOUT
    while not condition() and time.monotonic() < deadline:
        await asyncio.sleep(0.01)
