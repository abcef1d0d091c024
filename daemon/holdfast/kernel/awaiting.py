"""Top-level await: a cell's coroutine on the session's event loop.

Kept apart from `run` because asyncio takes 40 ms to import, which only cells that await pay.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
from collections.abc import Coroutine
from typing import Any


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Return a loop for a session."""
    return asyncio.new_event_loop()


class _Outcome:
    value: Any = None
    error: BaseException | None = None
    context: contextvars.Context | None = None


def run_until_done(loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run `coroutine` as a task; tasks that earlier cells left behind go on meanwhile.

    Raises:
        KeyboardInterrupt: the user interrupted; the coroutine was cancelled, so its ``finally`` blocks have run.
    """
    outcome = _Outcome()
    carrier = _carry(coroutine, outcome)
    task: asyncio.Task[None] | None = None
    try:
        asyncio.set_event_loop(loop)
        task = loop.create_task(carrier)
        loop.run_until_complete(task)
    except KeyboardInterrupt as interrupt:
        # It arrived while the loop waited, or in another task: this one is still suspended at its await.
        if task is not None and task.done():
            raise
        if task is None:
            carrier.close()
        else:
            task.cancel()
            # A task that is cancelled before its first step ends as cancelled itself.
            with contextlib.suppress(asyncio.CancelledError):
                loop.run_until_complete(task)
        if inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED:
            coroutine.throw(interrupt)  # raises it again, from the line where the code would have begun
        coroutine.close()
        where = outcome.error.__traceback__ if isinstance(outcome.error, asyncio.CancelledError) else None
        raise interrupt.with_traceback(where) from None
    finally:
        _adopt(outcome.context)
    if outcome.error is not None:
        raise outcome.error
    return outcome.value


async def _carry(coroutine: Coroutine[Any, Any, Any], outcome: _Outcome) -> None:
    """Await, and keep the outcome: raised through the loop, an exception would collect the loop's frames."""
    try:
        outcome.value = await coroutine
    except BaseException as error:  # noqa: BLE001 - raised again by run_until_done
        outcome.error = error
    finally:
        outcome.context = contextvars.copy_context()


def _adopt(context: contextvars.Context | None) -> None:
    """Let what the task set in its copy of the context (decimal's precision, say) hold for the next cell as well."""
    for variable, value in (context or {}).items():
        missing = object()
        if variable.get(missing) is not value:
            variable.set(value)
