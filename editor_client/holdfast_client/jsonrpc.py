"""JSON-RPC 2.0 with LSP framing over a pair of asyncio streams: requests, notifications and answers.

Knows no method of Holdfast. Kept apart from (and instead of) pygls's client so that a command starts in a
tenth of a
second: importing lsprotocol's types alone takes longer than a whole request.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from holdfast_client.errors import ConnectionLost, HoldfastError

METHOD_NOT_FOUND = -32601
INTERNAL_ERROR = -32603
REQUEST_CANCELLED = -32800

CLOSE_TIMEOUT = 2.0
"""Seconds that bytes still on their way get when a connection is closed."""

OnNotification = Callable[[str, Any], None]
OnRequest = Callable[[str, Any], Awaitable[Any]]


class JsonRpc:
    """One connection.

    Args:
        reader: Where messages come from.
        writer: Where messages go.
        on_notification: Called with method and params, in the order of arrival and before any later answer
            is seen.
        on_request: Awaited with method and params for each request of the other side; a `HoldfastError`
            which it raises becomes the error answer.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        on_notification: OnNotification,
        on_request: OnRequest,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._on_notification = on_notification
        self._on_request = on_request
        self._next_id = 1
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._answering: dict[str | int, asyncio.Task[None]] = {}
        self._lost: ConnectionLost | None = None
        self.left = False
        """Whether it was this side that closed the connection."""
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done as soon as no message can come any more."""
        self._reading = asyncio.create_task(self._read(), name="holdfast-client-read")

    @property
    def lost(self) -> ConnectionLost | None:
        """Why no message comes any more; None while the connection lives."""
        return self._lost

    def request(self, method: str, params: Any = None) -> asyncio.Future[Any]:
        """Send a request; cancelling the future (or the task that awaits it) sends ``$/cancelRequest``."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if self._lost is not None:
            answer.set_exception(self._lost)
            return answer
        number = self._next_id
        self._next_id += 1
        self._waiting[number] = answer

        def settled(future: asyncio.Future[Any]) -> None:
            self._waiting.pop(number, None)
            if future.cancelled():
                self.notify("$/cancelRequest", {"id": number})

        answer.add_done_callback(settled)
        self._send({"id": number, "method": method, "params": params})
        return answer

    def notify(self, method: str, params: Any = None) -> None:
        """Send a notification; without effect on a lost connection."""
        self._send({"method": method, "params": params})

    async def close(self) -> None:
        """Close the connection; what is still waiting for an answer ends with `ConnectionLost`."""
        self.left = self._lost is None
        self._lose("closed by this client")
        self._reading.cancel()
        await asyncio.gather(self._reading, *self._answering.values(), return_exceptions=True)
        try:
            await asyncio.wait_for(self._writer.wait_closed(), CLOSE_TIMEOUT)
        except (OSError, TimeoutError):
            self._writer.transport.abort()  # the other side was faster, or does not read

    def _send(self, message: dict[str, Any]) -> None:
        if self._lost is not None:
            return
        if message.get("params", ...) is None:
            del message["params"]
        # ASCII with escapes: a lone surrogate (from an undecodable file name) has no UTF-8 form.
        body = json.dumps({"jsonrpc": "2.0", **message}, separators=(",", ":")).encode("ascii")
        self._writer.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))

    async def _read(self) -> None:
        cause = "the daemon closed the connection"
        try:
            while (body := await self._read_body()) is not None:
                self._take(json.loads(body))
                # Whoever awaited this message goes on before the next one is looked at.
                await asyncio.sleep(0)
        except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            cause = f"{type(error).__name__}: {error}"
        finally:
            self._lose(cause)

    async def _read_body(self) -> bytes | None:
        length = None
        while (line := await self._reader.readline()).strip():
            name, _, value = line.partition(b":")
            if name.strip().lower() == b"content-length":
                length = int(value)
        if not line:
            return None
        if length is None:
            raise ValueError("a message without Content-Length")
        return await self._reader.readexactly(length)

    def _take(self, message: Any) -> None:
        if not isinstance(message, dict):
            raise ValueError("a message that is no JSON object")
        method, number = message.get("method"), message.get("id")
        if method is None:
            answer = self._waiting.get(number) if isinstance(number, int) else None
            if answer is None or answer.done():
                return  # the answer to something cancelled
            if "error" in message:
                answer.set_exception(HoldfastError.from_json(message["error"]))
            else:
                answer.set_result(message.get("result"))
        elif number is not None:
            task = asyncio.create_task(self._answer(number, method, message.get("params")))
            self._answering[number] = task
            task.add_done_callback(lambda _: self._answering.pop(number, None))
        elif method == "$/cancelRequest":
            cancelled = self._answering.get((message.get("params") or {}).get("id", ""))
            if cancelled is not None:
                cancelled.cancel()
        else:
            self._on_notification(method, message.get("params"))

    async def _answer(self, number: str | int, method: str, params: Any) -> None:
        try:
            result = await self._on_request(method, params)
        except HoldfastError as error:
            reason = {"code": error.code, "message": error.message}
        except asyncio.CancelledError:
            reason = {"code": REQUEST_CANCELLED, "message": f"{method} was cancelled"}
        except Exception as error:  # noqa: BLE001 - a user's callback; the daemon must get an answer
            reason = {"code": INTERNAL_ERROR, "message": f"{type(error).__name__}: {error}"}
        else:
            self._send({"id": number, "result": result})
            return
        self._send({"id": number, "error": reason})

    def _lose(self, cause: str) -> None:
        if self._lost is not None:
            return
        self._lost = ConnectionLost(cause)
        self._writer.close()
        self.closed.set_result(None)
        for answer in list(self._waiting.values()):
            if not answer.done():
                answer.set_exception(ConnectionLost(cause))
                # Whoever still awaits gets it; whoever no longer does need not read about it in a log.
                answer.exception()
        for task in self._answering.values():
            task.cancel()
