"""The client for scripts without an event loop; the same calls, blocking.

    from holdfast_client.sync import connect

    with connect(folder) as hf:
        s = hf.open("analysis.py")
        for output in s.start("print(6 * 7)"):
            print(output["text"])

The connection lives on an event loop in a thread of its own. Ctrl-C while a run is awaited cancels the run.
"""

from __future__ import annotations

import asyncio
import functools
import os
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

from holdfast.protocol import Run, Saved
from holdfast_client import client as aio
from holdfast_client.client import Event, Events, InputCallback
from holdfast_client.execution import Output
from holdfast_client.session import Running as AsyncRunning
from holdfast_client.session import Session as AsyncSession

A = TypeVar("A")
P = ParamSpec("P")
T = TypeVar("T")


class _Loop:
    """An event loop in a thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="holdfast-client", daemon=True)
        self._thread.start()

    def wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop and return its result; an exception while waiting cancels it."""
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def stop(self) -> None:
        """End the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class _Face(Generic[A]):
    """The blocking face of an object that lives on the loop."""

    def __init__(self, loop: _Loop, peer: A) -> None:
        self._loop = loop
        self._peer = peer


def _blocking(
    method: Callable[Concatenate[A, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[_Face[A], P], T]:
    """Turn a coroutine method into one that blocks, with the same arguments, types and documentation."""

    @functools.wraps(method)
    def call(self: _Face[A], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._loop.wait(method(self._peer, *args, **kwargs))

    return call


async def _next(outputs: AsyncRunning) -> Output | None:
    return await anext(outputs, None)


async def _next_event(events: Events) -> Event | None:
    return await anext(events, None)


async def _result(running: AsyncRunning) -> Run:
    return await running


class Running(_Face[AsyncRunning]):
    """A run under way: iterate over its outputs, then ask for its `result`."""

    @property
    def run_id(self) -> str:
        """The run's name in notifications."""
        return self._peer.run_id

    @property
    def done(self) -> bool:
        """Whether the run is over."""
        return self._peer.done

    def __iter__(self) -> Iterator[Output]:
        while (output := self._loop.wait(_next(self._peer))) is not None:
            yield output

    def result(self) -> Run:
        """Wait for the run's end and return how it went, outputs included; Ctrl-C cancels the run."""
        try:
            return self._loop.wait(_result(self._peer))
        except KeyboardInterrupt:
            # It may have come before the wait had begun, which then could not pass it on.
            self.cancel()
            raise

    saved = _blocking(AsyncRunning.saved)

    def cancel(self) -> None:
        """Cancel the run."""

        async def cancel() -> None:
            self._peer.cancel()

        self._loop.wait(cancel())


class Session(_Face[AsyncSession]):
    """A document and its variables; made by `Client.open`. See `holdfast_client.Session` for each method."""

    @property
    def uri(self) -> str:
        """The document's URI."""
        return self._peer.uri

    def __repr__(self) -> str:
        return repr(self._peer)

    run = _blocking(AsyncSession.run)
    run_cell = _blocking(AsyncSession.run_cell)
    run_range = _blocking(AsyncSession.run_range)
    run_file = _blocking(AsyncSession.run_file)
    interrupt = _blocking(AsyncSession.interrupt)
    restart = _blocking(AsyncSession.restart)
    variables = _blocking(AsyncSession.variables)
    inspect = _blocking(AsyncSession.inspect)
    state = _blocking(AsyncSession.state)
    flush = _blocking(AsyncSession.flush)
    restore = _blocking(AsyncSession.restore)
    undo = _blocking(AsyncSession.undo)
    redo = _blocking(AsyncSession.redo)
    files = _blocking(AsyncSession.files)
    diff = _blocking(AsyncSession.diff)
    trust = _blocking(AsyncSession.trust)
    verify = _blocking(AsyncSession.verify)
    origin = _blocking(AsyncSession.origin)
    branch = _blocking(AsyncSession.branch)
    label = _blocking(AsyncSession.label)
    export_state = _blocking(AsyncSession.export_state)
    import_state = _blocking(AsyncSession.import_state)
    clear = _blocking(AsyncSession.clear)
    history = _blocking(AsyncSession.history)

    def start(self, code: str | None = None, **how: Any) -> Running:
        """Send code to be run and return the run; arguments as in `holdfast_client.Session.start`."""

        async def start() -> AsyncRunning:
            return self._peer.start(code, **how)

        return Running(self._loop, self._loop.wait(start()))


class Client(_Face[aio.Client]):
    """A connection to a workspace's daemon; made by `connect`."""

    def __init__(self, loop: _Loop, context: AbstractAsyncContextManager[aio.Client]) -> None:
        super().__init__(loop, loop.wait(_enter(context)))
        self._context = context
        self._open = True

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def open(self, path: str | os.PathLike[str]) -> Session:
        """Return the session of a document: a path (relative ones count from the workspace) or a URI."""
        return Session(self._loop, self._loop.wait(self._peer.open(path)))

    sessions = _blocking(aio.Client.sessions)
    flush = _blocking(aio.Client.flush)
    verify = _blocking(aio.Client.verify)
    unlock = _blocking(aio.Client.unlock)
    encrypt = _blocking(aio.Client.encrypt)
    request = _blocking(aio.Client.request)
    stop = _blocking(aio.Client.stop)

    def events(self, *methods: str) -> Iterator[Event]:
        """Yield the daemon's notifications with these methods (none: all), from this call on."""

        async def subscribe() -> Events:
            return self._peer.events(*methods)

        events = self._loop.wait(subscribe())
        return iter(lambda: self._loop.wait(_next_event(events)), None)

    def close(self) -> None:
        """Leave the daemon, which goes on; called by leaving the ``with`` block."""
        if not self._open:
            return
        self._open = False
        try:
            self._loop.wait(_leave(self._context))
        finally:
            self._loop.stop()


async def _enter(context: AbstractAsyncContextManager[aio.Client]) -> aio.Client:
    return await context.__aenter__()


async def _leave(context: AbstractAsyncContextManager[aio.Client]) -> None:
    await context.__aexit__(None, None, None)


def connect(
    folder: str | os.PathLike[str] = ".",
    *,
    start: bool = True,
    on_input: InputCallback | None = None,
    options: Mapping[str, Any] | None = None,
) -> Client:
    """Connect to the daemon of a workspace; arguments and errors as in `holdfast_client.connect`."""
    loop = _Loop()
    try:
        return Client(loop, aio.connect(folder, start=start, on_input=on_input, options=options))
    except BaseException:
        loop.stop()
        raise


__all__ = ["Client", "Running", "Saved", "Session", "connect"]
