"""What became of the cells of each document when they ran last, for all that shows it in an editor."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from holdfast import cells
from holdfast.execution import Execution
from holdfast.protocol import Run, Saved
from holdfast.store.records import VersionRecord

_MOST = 1000
"""Cells of each document that are remembered: text that was edited since ran under another guise each time."""

Status = Literal["running", "ok", "error", "interrupted", "died", "skipped"]
"""``skipped``: a cell before it in the same run failed."""


@dataclass(eq=False, slots=True, weakref_slot=True)
class Trace:
    """A cell as it ran last.

    Attributes:
        code: What ran.
        line: Where that began in the document then, from 0.
        status: What became of it.
        run_id: Of which run it was a part.
        alone: It was all of that run, so the run's time is its own.
        started: When, by the monotonic clock.
        milliseconds: How long the run took, once it is over.
        error: The name of the exception that ended it.
        version: The version that the run was saved as.
        changed: The variables that it changed.
        problem: Why it was not saved.
        saving: It is being saved.
        saved_at: When its version was saved, if that is all that is known of it.
    """

    code: str
    line: int
    status: Status
    run_id: str = ""
    alone: bool = True
    started: float = 0.0
    milliseconds: float | None = None
    error: str | None = None
    version: int | None = None
    changed: list[str] = field(default_factory=list)
    problem: str | None = None
    saving: bool = False
    saved_at: datetime | None = None

    def is_of(self, code: str) -> bool:
        """Whether this is the code that ran; blank lines at its end make no difference."""
        return self.code.rstrip() == code.rstrip()

    @property
    def running_for(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self.started


class Traces:
    """What ran in each document, by its key.

    Args:
        on_change: Called with the key of a document of which something is known that was not.
    """

    def __init__(self, on_change: Callable[[str], None]) -> None:
        self._on_change = on_change
        self._known: dict[str, list[Trace]] = {}
        self._runs: dict[str, tuple[str, list[Trace]]] = {}

    def of(self, key: str) -> list[Trace]:
        """Return what ran in a document, oldest first."""
        return self._known.get(key, [])

    def knows(self, key: str) -> bool:
        """Whether anything was noted of a document, be it that nothing ran."""
        return key in self._known

    def began(self, key: str, run: Execution) -> None:
        """A run begins."""
        lines = cells.split_lines(run.code)
        parts = [part for part in run.parts if part[2] is not None]
        passages = [(run.line + first, "\n".join(lines[first:end])) for first, end, *_ in parts]
        if not passages and run.cell is not None:
            passages = [(run.line, run.code)]
        traces = [
            Trace(code, line, "running", run.run_id, alone=len(passages) == 1, started=time.monotonic())
            for line, code in passages
        ]
        self._runs[run.run_id] = key, traces
        known = self._known.setdefault(key, [])
        fresh = {trace.code for trace in traces}
        # What is run again in its place takes the place of what ran there before.
        known[:] = ([trace for trace in known if trace.code not in fresh] + traces)[-_MOST:]
        self._on_change(key)

    def ended(self, run: Execution, outcome: Run) -> None:
        """A run is over."""
        key, traces = self._runs.get(run.run_id, ("", []))
        at = outcome.error.location.range.start.line if outcome.error and outcome.error.location else None
        for index, trace in enumerate(traces):
            trace.milliseconds = outcome.duration
            below = at is not None and index + 1 < len(traces) and at >= traces[index + 1].line
            if outcome.status == "ok" or below:
                trace.status = "ok"
            elif index and traces[index - 1].status != "ok":
                trace.status = "skipped"
            else:
                trace.status = outcome.status
                trace.error = outcome.error.ename if outcome.error is not None else None
            self._take(trace, outcome.state)
        if outcome.state.status != "saving":
            self._runs.pop(run.run_id, None)
        if traces:
            self._on_change(key)

    def saved(self, run_id: str, state: Saved) -> None:
        """What a run changed was saved after it was over, or could not be."""
        key, traces = self._runs.pop(run_id, ("", []))
        for trace in traces:
            self._take(trace, state)
        if traces:
            self._on_change(key)

    @staticmethod
    def _take(trace: Trace, state: Saved) -> None:
        trace.saving = state.status == "saving"
        trace.version = state.version if state.status == "saved" else None
        trace.changed = list(state.changed)
        trace.problem = state.reason if state.status == "failed" else None

    def learn(self, key: str, records: Iterable[VersionRecord]) -> None:
        """Note what is known of a document from its saved versions, if nothing of it ran yet.

        Args:
            key: the document.
            records: its versions, newest first.
        """
        if key in self._known:
            return
        found: dict[str, Trace] = {}
        for record in records:
            for line, code in _passages(record):
                if code.strip() and code not in found:
                    found[code] = Trace(
                        code,
                        line,
                        "ok",
                        milliseconds=record.seconds * 1000,
                        version=record.version,
                        changed=list(record.names_changed),
                        saved_at=datetime.fromisoformat(record.saved_at),
                    )
        self._known[key] = list(reversed(found.values()))
        if found:
            self._on_change(key)

    def moved(self, old: str, new: str) -> None:
        """A document has another key."""
        if old in self._known:
            self._known[new] = self._known.pop(old)
        for run_id, (key, traces) in list(self._runs.items()):
            if key == old:
                self._runs[run_id] = new, traces

    def forget(self, key: str) -> None:
        """The variables of a document are gone, and with them what made them."""
        if self._known.pop(key, None):
            self._on_change(key)


def _passages(record: VersionRecord) -> list[tuple[int, str]]:
    """Return the cells that the run of a version held: where each began, and its code."""
    if record.line is None:
        return []
    if record.cell is not None:
        return [(record.line, record.code)]
    return [(record.line + cell.code_line, cell.code) for cell in cells.split(record.code) if cell.kind == "code"]
