"""Progress of what takes longer than a moment, as LSP has it: `$/progress` with a token of the client's or of ours."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from lsprotocol import types as lsp

from holdfast.background import Background
from holdfast.clients import Client, Clients

logger = logging.getLogger(__name__)

BEGIN_AFTER = 0.3
"""Seconds that something takes before anybody is told of it."""
REPORT_EVERY = 0.1
"""Seconds between reports."""

_asked: ContextVar[tuple[Client, int | str] | None] = ContextVar("asked", default=None)


@contextmanager
def asked_by(client: Client, token: int | str | None) -> Iterator[None]:
    """While a request is handled: its client wants to see progress under this token."""
    before = _asked.set(None if token is None else (client, token))
    try:
        yield
    finally:
        _asked.reset(before)


class Work:
    """One thing that may take long; what nobody is told of costs a timer.

    Args:
        title: what is done, in two words.
        about: what it is done with; the message begins with it.
    """

    def __init__(self, clients: Clients, title: str, about: str) -> None:
        self._clients = clients
        self._title = title
        self._about = about
        self._asked = _asked.get()
        self._tokens: list[tuple[Client, int | str]] = []
        self._done, self._total = 0, 0
        self._note = ""
        self._begun = self._ended = False
        self._reported = 0.0
        self._background = Background()
        self._timer = asyncio.get_running_loop().call_later(BEGIN_AFTER, self._begin)

    def expect(self, total: int) -> None:
        """There is more to do: so many bytes."""
        self._total += total
        self._report()

    def advance(self, count: int) -> None:
        """So many bytes are done."""
        self._done += count
        self._report()

    def note(self, text: str) -> None:
        """Say what is being done just now."""
        self._note = text
        self._report()

    def end(self) -> None:
        """It is over."""
        self._timer.cancel()
        self._ended = True
        for client, token in self._tokens:
            self._send(client, token, {"kind": "end", "message": self._message()})

    def _message(self) -> str:
        parts = [f"{size_in_words(self._done)} of {size_in_words(self._total)}"] if self._total else []
        parts += [self._note] if self._note else []
        return f"{self._about}: {', '.join(parts)}" if parts else self._about

    def _state(self) -> dict[str, Any]:
        state: dict[str, Any] = {"message": self._message()}
        if self._total:
            state["percentage"] = min(100, 100 * self._done // self._total)
        return state

    def _begin(self) -> None:
        self._begun = True
        if self._asked is not None:
            self._show(*self._asked)
        for client in self._clients.with_progress():
            if self._asked is None or client is not self._asked[0]:
                self._background.spawn(self._create(client))

    async def _create(self, client: Client) -> None:
        token = uuid.uuid4().hex
        try:
            await client.ask(lsp.WINDOW_WORK_DONE_PROGRESS_CREATE, lsp.WorkDoneProgressCreateParams(token))
        except Exception as error:  # noqa: BLE001 - whatever a client says to it, the work goes on
            logger.info("a client shows no progress: %s", error)
            return
        if not self._ended:
            self._show(client, token)

    def _show(self, client: Client, token: int | str) -> None:
        self._tokens.append((client, token))
        self._send(client, token, {"kind": "begin", "title": self._title, "cancellable": False, **self._state()})

    def _report(self) -> None:
        now = time.monotonic()
        if self._begun and not self._ended and now - self._reported >= REPORT_EVERY:
            self._reported = now
            for client, token in self._tokens:
                self._send(client, token, {"kind": "report", **self._state()})

    def _send(self, client: Client, token: int | str, value: dict[str, Any]) -> None:
        self._clients.tell_one(client, lsp.PROGRESS, {"token": token, "value": value})


class Progress:
    """Tells the clients of a workspace how far things are."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def begin(self, title: str, about: str) -> Work:
        """Begin something; `Work.end` has to follow."""
        return Work(self._clients, title, about)

    @contextmanager
    def work(self, title: str, about: str) -> Iterator[Work]:
        """Begin something that is over when the block is left."""
        work = self.begin(title, about)
        try:
            yield work
        finally:
            work.end()


def size_in_words(count: float) -> str:
    """Return a number of bytes for people."""
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
