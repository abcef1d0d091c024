"""One run on its way: what it is to do, what it has printed so far, how it may end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from lsprotocol.types import Location, Position, Range

from holdfast import protocol
from holdfast.cells import Part
from holdfast.protocol import ExecuteOptions, RunError


class Asker(Protocol):
    """The client a run belongs to: whoever can be asked for input."""

    def ask(self, method: str, params: Any) -> Awaitable[Any]:
        """Send a request to the client and wait for its answer."""


@dataclass(slots=True)
class Execution:
    """A run, from the request to its end."""

    code: str
    filename: str | None
    line: int
    cell: int | None
    uri: str
    options: ExecuteOptions
    run_id: str
    asker: Asker | None = None
    parts: Sequence[Part] = ()
    """The document's cells that the code holds."""
    count: int = 0
    started: float = 0.0
    outputs: list[dict[str, Any]] | None = None
    done: asyncio.Future[Any] | None = None
    """Resolved with the kernel's `done` frame, or with KernelDied."""
    took: float | None = None
    """Milliseconds, once it is over."""
    begun: bool = False
    """Whether the kernel has said that it executes the code."""
    cancelled: bool = False
    interrupted_at: float | None = None
    cause: str | None = None
    """Why it was interrupted, if somebody other than the code itself ended it."""
    input_ids: set[str] = field(default_factory=set)
    wrote: bool = False
    """Whether it is known to have written files: it is a version then, also where it changed no variable."""

    def begin(self, count: int) -> None:
        """Note the start."""
        self.count = count
        self.started = time.monotonic()
        loop = asyncio.get_running_loop()
        self.done = loop.create_future()
        if self.options.collect_outputs:
            self.outputs = []

    @property
    def milliseconds(self) -> float:
        """Time that it took, or since the start."""
        return self.took if self.took is not None else (time.monotonic() - self.started) * 1000

    def collect(self, output: dict[str, Any]) -> None:
        """Keep an output for the result, pieces of one stream joined, as a notebook would show it."""
        if self.outputs is None:
            return
        kind = output.get("output_type")
        if kind == "clear_output":
            self.outputs.clear()
            return
        if kind == "update_display_data":
            self._update(output)
            return
        last = self.outputs[-1] if self.outputs else None
        if (
            kind == "stream"
            and last is not None
            and last.get("output_type") == "stream"
            and last["name"] == output["name"]
        ):
            # Lists of pieces are joined at the end: adding to a long string again and again is quadratic.
            last["text"].append(output["text"])
        elif kind == "stream":
            self.outputs.append({**output, "text": [output["text"]]})
        else:
            self.outputs.append(output)

    def _update(self, output: dict[str, Any]) -> None:
        identity = (output.get("transient") or {}).get("display_id")
        assert self.outputs is not None
        for index, shown in enumerate(self.outputs):
            if identity and (shown.get("transient") or {}).get("display_id") == identity:
                self.outputs[index] = {
                    **shown,
                    "data": output["data"],
                    "metadata": output.get("metadata", {}),
                }

    def collected(self) -> list[dict[str, Any]] | None:
        """Return the outputs as nbformat has them, or None when they were not asked for."""
        if self.outputs is None:
            return None
        return [
            {**output, "text": "".join(output["text"])} if output.get("output_type") == "stream" else output
            for output in self.outputs
        ]


def error_output(error: protocol.RunError) -> dict[str, Any]:
    """Return the nbformat output that shows an error."""
    return {
        "output_type": "error",
        "ename": error.ename,
        "evalue": error.evalue,
        "traceback": error.traceback,
    }


def run_error(run: Execution, error: dict[str, Any] | None) -> RunError | None:
    """Return the error that a kernel reported for a run as the protocol has it."""
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
