"""A run under way, as JSON: its outputs while they come, its result, and what became of its state."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

from holdfast_client.errors import ConnectionLost

Output = dict[str, Any]
"""An nbformat output object: its ``output_type`` is stream, display_data, execute_result, …"""


class Execution(AsyncIterator[Output]):
    """One ``holdfast/execute`` request.

    Iterating yields the outputs as they come and ends with the run. Breaking out leaves the run alone; cancelling the
    task that iterates cancels it.

    Args:
        answer: The pending answer of the request.
        closed: Done when the connection is.
        uri: The document's URI.
        run_id: The run's name.
        live: Whether somebody is going to iterate; otherwise outputs that come are dropped.
    """

    def __init__(
        self,
        answer: asyncio.Future[dict[str, Any]],
        closed: asyncio.Future[None],
        *,
        uri: str,
        run_id: str,
        live: bool,
    ) -> None:
        self.uri = uri
        self.run_id = run_id
        self._answer = answer
        self._closed = closed
        self.live = live
        self.heard = False
        """Whether anything has come from the run, so that it is known to have begun."""
        self._fresh: deque[Output] = deque()
        self._stirred = asyncio.Event()
        answer.add_done_callback(lambda _: self._stirred.set())
        self._settled: asyncio.Future[dict[str, Any]] = answer.get_loop().create_future()

    @property
    def done(self) -> bool:
        """Whether the run is over."""
        return self._answer.done()

    def put(self, output: Output) -> None:
        """Take an output that has just come."""
        self.heard = True
        if self.live:
            self._fresh.append(output)
            self._stirred.set()

    def settle(self, state: dict[str, Any]) -> None:
        """Take the news of what became of a state that was still being saved."""
        if not self._settled.done():
            self._settled.set_result(state)

    def cancel(self) -> None:
        """Send ``$/cancelRequest`` for the run; whoever awaits it gets `asyncio.CancelledError`."""
        self._answer.cancel()

    async def result(self) -> dict[str, Any]:
        """Return the ``Run`` object; cancelling the awaiting task cancels the run."""
        return await self._answer

    async def saved(self) -> dict[str, Any]:
        """Return the ``Saved`` object of the run, as soon as it says anything but ``saving``.

        Raises:
            ConnectionLost: the daemon went away before.
        """
        state: dict[str, Any] = (await self._answer)["state"]
        if state.get("status") != "saving":
            return state
        await asyncio.wait((self._settled, self._closed), return_when=asyncio.FIRST_COMPLETED)
        if self._settled.done():
            return self._settled.result()
        raise ConnectionLost("before the state was saved")

    async def __anext__(self) -> Output:
        while not self._fresh:
            if self._answer.done():
                raise StopAsyncIteration
            self._stirred.clear()
            try:
                await self._stirred.wait()
            except asyncio.CancelledError:
                self._answer.cancel()
                # So that the cancellation is sent before anything that this task does about its own, like leaving.
                await asyncio.sleep(0)
                raise
        return self._fresh.popleft()
