"""The moving line at the bottom of a terminal, out of the way of whatever the code prints."""

from __future__ import annotations

import asyncio

QUIET = 0.3
"""Seconds without output after which the line comes back."""


class Spinner:
    """Shows which cell runs, how many there are and for how long; on standard error."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            SpinnerColumn,
            TextColumn,
            TimeElapsedColumn,
        )

        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._task = self._progress.add_task("", total=None)
        self._shown = False
        self._timer: asyncio.TimerHandle | None = None

    def show(self, description: str, done: int, total: int) -> None:
        """Show the line, now with this description."""
        self._progress.update(self._task, description=description, completed=done, total=total)
        self._appear()

    def hide(self) -> None:
        """Take the line away, so that something can be printed."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._shown:
            self._shown = False
            self._progress.stop()

    def resume_when_quiet(self) -> None:
        """Show the line again unless it is hidden again soon."""
        self._timer = asyncio.get_running_loop().call_later(QUIET, self._appear)

    def _appear(self) -> None:
        self._timer = None
        if not self._shown:
            self._shown = True
            self._progress.start()
