"""The clients of a workspace as its core sees them: somebody to tell, and somebody to ask."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from holdfast import framing, protocol

STALLED = 60.0
"""Seconds after which a client that does not read no longer holds back a run's output."""


class Client(Protocol):
    """One connection."""

    @property
    def paused_for(self) -> float:
        """Seconds for which the client has not kept up with what it is sent; 0 when it does."""

    @property
    def shows_progress(self) -> bool:
        """Whether the client lets us begin to show progress."""

    def write(self, message: bytes) -> None:
        """Send a framed message."""

    def look_again(self) -> None:
        """What is shown of cells may be another by now."""

    def ask(self, method: str, params: Any) -> Awaitable[Any]:
        """Send a request and wait for the answer."""


class Clients:
    """Everybody who is connected: all of them see the same sessions and get all notifications.

    Args:
        on_caught_up: Called when output that was held back may go on.
    """

    def __init__(self, on_caught_up: Callable[[], None]) -> None:
        self._clients: dict[Client, int] = {}
        self._on_caught_up = on_caught_up
        self._converter = protocol.make_converter()

    def __len__(self) -> int:
        return len(self._clients)

    def join(self, client: Client) -> None:
        """Add a client."""
        self._clients[client] = 0

    def leave(self, client: Client) -> None:
        """Remove a client; if it was the slow one, output goes on."""
        self._clients.pop(client, None)
        self._on_caught_up()

    def look_again(self) -> None:
        """Have all clients look again at what is shown of cells."""
        for client in self._clients:
            client.look_again()

    def caught_up(self) -> None:
        """A slow client has read what it was sent."""
        if not self.congested():
            self._on_caught_up()

    def congested(self) -> bool:
        """Whether some client reads more slowly than it is sent to, and is still worth waiting for."""
        return any(0 < client.paused_for < STALLED for client in self._clients)

    def tell(self, method: str, params: Any) -> None:
        """Send a notification to all clients; one that has stalled misses output, and is told so when it is back."""
        if not self._clients:
            return
        message = self._frame(method, params)
        for client, missed in self._clients.items():
            if method == protocol.OUTPUT and client.paused_for >= STALLED:
                self._clients[client] = missed + 1
                continue
            if missed:
                self._clients[client] = 0
                text = f"[holdfast: {missed} outputs were left out while this client did not read]\n"
                output = {"output_type": "stream", "name": "stderr", "text": text}
                if isinstance(params, protocol.OutputParams):
                    client.write(
                        self._frame(method, protocol.OutputParams(params.text_document, params.run_id, output))
                    )
            client.write(message)

    def with_progress(self) -> list[Client]:
        """Return those that show progress which they did not ask for."""
        return [client for client in self._clients if client.shows_progress]

    def tell_one(self, client: Client, method: str, params: Any) -> None:
        """Send a notification to one client, unless it is gone or does not read."""
        if client in self._clients and client.paused_for < STALLED:
            client.write(self._frame(method, params))

    def _frame(self, method: str, params: Any) -> bytes:
        if isinstance(params, protocol.OutputParams):
            # Outputs are plain JSON already and can be large: no need to walk through them.
            plain: Any = {
                "textDocument": {"uri": params.text_document.uri},
                "runId": params.run_id,
                "output": params.output,
            }
        else:
            plain = self._converter.unstructure(params)
        content = json.dumps({"jsonrpc": "2.0", "method": method, "params": plain}, separators=(",", ":"))
        return framing.encode(content.encode("utf-8", "replace"))
