"""What `holdfast run` and `holdfast exec` show: text for people, JSON for programs."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from holdfast.command_line import screen
from holdfast.command_line.exits import Exit, is_plain_exit
from holdfast.command_line.outputs import OutputPrinter, write
from holdfast.command_line.spinner import Spinner
from holdfast.command_line.target import error_json, print_json
from holdfast_client.errors import HoldfastError


@dataclass(frozen=True, slots=True)
class Piece:
    """Something to run: a cell (its `number` counts from 1, to `of` in the file), or code in no file (0)."""

    number: int
    request: dict[str, Any]
    of: int = 0
    line: int = 1
    title: str = ""


class View:
    """Is told what happens; this one keeps silent."""

    def begin(self, path: Path, cells: int) -> None:
        """The first of so many cells of a file is about to run."""

    def cell(self, piece: Piece) -> None:
        """A cell starts."""

    def output(self, piece: Piece, output: dict[str, Any]) -> None:
        """A cell has printed or shown something."""

    def before_input(self) -> None:
        """The user is about to be asked for input."""

    def result(self, piece: Piece, run: dict[str, Any]) -> None:
        """A cell has ended."""

    def settled(self, piece: Piece, state: dict[str, Any]) -> None:
        """What a cell left to be saved in the background is saved, or failed to be."""

    def end(self, exit_code: Exit) -> None:
        """All is over."""

    def problem(self, error: HoldfastError) -> None:
        """The daemon refused a request or could not answer it."""
        self.say(f"holdfast: {error.message}")

    def say(self, message: str) -> None:
        """Something the user should know."""
        click.echo(message, err=True)


class JsonLines(View):
    """One JSON object per line and event, for `holdfast run --json`."""

    def begin(self, path: Path, cells: int) -> None:
        self._print("begin", file=str(path), cells=cells)

    def cell(self, piece: Piece) -> None:
        self._print("cell", cell=piece.number, line=piece.line, title=piece.title)

    def output(self, piece: Piece, output: dict[str, Any]) -> None:
        self._print("output", cell=piece.number, output=output)

    def result(self, piece: Piece, run: dict[str, Any]) -> None:
        self._print("result", cell=piece.number, run=run)

    def settled(self, piece: Piece, state: dict[str, Any]) -> None:
        self._print("saved", cell=piece.number, state=state)

    def problem(self, error: HoldfastError) -> None:
        self._print("error", error=error_json(error))

    def end(self, exit_code: Exit) -> None:
        self._print("end", exitCode=int(exit_code))

    def _print(self, event: str, **fields: Any) -> None:
        write(sys.stdout, json.dumps({"event": event, **fields}, ensure_ascii=False) + "\n")


class JsonRun(View):
    """The ``Run`` as one JSON document, once its state is settled, for `holdfast exec --json`."""

    def __init__(self) -> None:
        self._run: dict[str, Any] | None = None

    def result(self, piece: Piece, run: dict[str, Any]) -> None:
        self._run = run

    def settled(self, piece: Piece, state: dict[str, Any]) -> None:
        self._run = {**(self._run or {}), "state": state}

    def problem(self, error: HoldfastError) -> None:
        print_json({"error": error_json(error)})

    def end(self, exit_code: Exit) -> None:
        if self._run is not None:
            print_json(self._run)


class Text(View):
    """For people: output as it comes, and (with `cells`) a line per cell and a summary on standard error."""

    def __init__(self, images: Path | None, *, cells: bool) -> None:
        self._printer = OutputPrinter(images)
        self._cells = cells
        self._terminal = screen.is_terminal(sys.stderr)
        self._spinner = Spinner() if cells and self._terminal else None
        self._path = Path()
        self._total = 0
        self._done = 0
        self._started = time.monotonic()
        self._version: int | None = None
        self._told: set[tuple[str, str]] = set()

    def begin(self, path: Path, cells: int) -> None:
        self._path, self._total = path, cells

    def cell(self, piece: Piece) -> None:
        self._printer.begin(f"{self._path.stem}-cell{piece.number}" if piece.number else "output")
        if self._spinner is not None:
            self._spinner.show(self._label(piece), self._done, self._total)

    def output(self, piece: Piece, output: dict[str, Any]) -> None:
        self._clear()
        self._printer.show(output)
        if self._spinner is not None and self._printer.at_line_start:
            self._spinner.resume_when_quiet()

    def before_input(self) -> None:
        self._clear()

    def result(self, piece: Piece, run: dict[str, Any]) -> None:
        self._finish_line()
        self._done += 1
        error = run.get("error") or {}
        # What the code printed goes before; the traceback is what Python itself would print last.
        if error and not is_plain_exit(run):
            self._traceback(error)
        if self._cells or run["status"] not in ("ok", "error"):
            self._tell(f"{self._label(piece)}: {_outcome(run)}", ok=run["status"] == "ok")
        elif run["state"]["status"] == "failed":
            self._tell(screen.saved(run["state"]), ok=False)
        self._note(run["state"])

    def settled(self, piece: Piece, state: dict[str, Any]) -> None:
        self._finish_line()
        if self._cells or state["status"] == "failed":
            self._tell(f"{self._label(piece)}: {screen.saved(state)}", ok=state["status"] != "failed")
        self._note(state)

    def end(self, exit_code: Exit) -> None:
        self._finish_line()
        if self._cells and self._total:
            took = screen.seconds((time.monotonic() - self._started) * 1000)
            state = "" if self._version is None else f"; the state is saved as version {self._version}"
            self._tell(f"{screen.count(self._done, 'cell')} in {took}{state}", ok=exit_code is Exit.OK)

    def say(self, message: str) -> None:
        self._finish_line()
        click.echo(message, err=True)

    def _label(self, piece: Piece) -> str:
        if not piece.number:
            return self._path.name
        return f"[{piece.number}/{piece.of}]{' ' if piece.title else ''}{piece.title}"

    def _clear(self) -> None:
        if self._spinner is not None:
            self._spinner.hide()

    def _finish_line(self) -> None:
        self._clear()
        if not self._printer.at_line_start and self._terminal and sys.stdout.isatty():
            click.echo(err=True)
        self._printer.at_line_start = True

    def _traceback(self, error: dict[str, Any]) -> None:
        lines = [line.rstrip("\n") for line in error.get("traceback") or []]
        text = "\n".join(lines) or f"{error.get('ename')}: {error.get('evalue')}"
        write(sys.stderr, text + "\n")

    def _tell(self, text: str, *, ok: bool) -> None:
        click.echo(screen.paint(text, fg="green" if ok else "red"), err=True)

    def _note(self, state: dict[str, Any]) -> None:
        if state.get("version") is not None:
            self._version = state["version"]
        if state["status"] == "unchanged":
            # What is missing was said when it was not saved.
            return
        for variable in state.get("skipped") or []:
            key = (variable["name"], variable["reason"])
            if key not in self._told:
                self._told.add(key)
                self._tell(f"not saved: {screen.lost(variable)}", ok=False)


def _outcome(run: dict[str, Any]) -> str:
    took = screen.seconds(run["duration"])
    cause = (run.get("error") or {}).get("cause")
    if run["status"] == "ok":
        return f"ok in {took}, {screen.saved(run['state'])}"
    if run["status"] == "died":
        return f"the kernel died after {took}: {cause or 'for an unknown reason'}"
    if run["status"] == "interrupted":
        return f"interrupted after {took}{f': {cause}' if cause else ''}"
    if is_plain_exit(run):
        return f"ended by sys.exit() after {took}; what this cell did is not saved"
    return f"failed after {took}; what this cell did is not saved"
