"""Ctrl-C while code runs: first it interrupts the cell, then it kills the kernel, then it gives up."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from types import TracebackType
from typing import Any
from urllib.parse import unquote, urlsplit

from holdfast_client.connection import Connection
from holdfast_client.errors import HoldfastError
from holdfast_client.execution import Execution


class Interrupts:
    """Takes SIGINT for the length of a ``with`` block.

    Args:
        connection: Where to send interrupts.
        document: The ``textDocument`` member of the requests.
        say: Called with what an interrupt does, for the user to see.
    """

    def __init__(self, connection: Connection, document: dict[str, Any], say: Callable[[str], None]) -> None:
        self.execution: Execution | None = None
        """The run that is to be interrupted; without one, Ctrl-C ends the command."""
        self._connection = connection
        self._document = document
        self._say = say
        self._count = 0
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._sending: set[asyncio.Task[None]] = set()
        self._before: Any = None

    def __enter__(self) -> Interrupts:
        # Not loop.add_signal_handler: Windows has none.
        self._before = signal.signal(signal.SIGINT, lambda *_: self._loop.call_soon_threadsafe(self._interrupted))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _interrupted(self) -> None:
        self._count += 1
        if self.execution is None or self.execution.done or self._count > 2:
            assert self._task is not None
            self._task.cancel()
            return
        self._say("interrupting the cell …" if self._count == 1 else "killing the kernel …")
        task = asyncio.create_task(self._send(self.execution))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _send(self, execution: Execution) -> None:
        try:
            if not await self._may_still_wait(execution):
                answer = await self._connection.request("holdfast/interrupt", self._document)
                if answer["interrupted"]:
                    return
        except HoldfastError as error:
            self._say(error.message)
            return
        # It waits for its turn or its kernel: take it back, and leave alone what runs before it.
        if not execution.done and self._task is not None:
            self._task.cancel()

    async def _may_still_wait(self, execution: Execution) -> bool:
        if execution.heard:
            return False
        sessions = await self._connection.request("holdfast/sessions")
        path = _path(execution.uri)
        return any(session["queue"] for session in sessions if _path(session["textDocument"]["uri"]) == path)


def _path(uri: str) -> str:
    """Return what identifies a URI's document, however it is encoded."""
    return os.path.realpath(unquote(urlsplit(uri).path))
