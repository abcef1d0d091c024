"""Connections of the copies that a kernel makes of itself to save while it goes on."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
from typing import Any

from holdfast.kernel.wire import WireError
from holdfast.runtimes.base import Kernel, TransportFrames
from holdfast.runtimes.frames import FrameReceiver

logger = logging.getLogger(__name__)

_MOST_AT_ONCE = 8
_LINE = 1 << 16


class Copies:
    """Takes the connections that a kernel hands over, one for each copy.

    Args:
        lane: the socket on which they come.
        kernel: whose `on_copy_message` and `on_copy_gone` are called.
    """

    def __init__(self, lane: socket.socket, kernel: Kernel) -> None:
        self._lane = lane
        self._kernel = kernel
        self._open: set[Copy] = set()
        self._rest = b""
        self._descriptors: list[int] = []
        lane.setblocking(False)
        asyncio.get_running_loop().add_reader(lane.fileno(), self._receive)

    def _receive(self) -> None:
        try:
            data, descriptors, _, _ = socket.recv_fds(self._lane, _LINE, _MOST_AT_ONCE)
        except BlockingIOError:
            return
        except OSError:
            data, descriptors = b"", []
        self._descriptors += descriptors
        if not data:
            self._stop_listening()
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            connection = socket.socket(fileno=self._descriptors.pop(0))
            connection.setblocking(False)
            copy = Copy(self._kernel, json.loads(line), self._open.discard)
            self._open.add(copy)
            copy.task = asyncio.get_running_loop().create_task(_attach(copy, connection))

    def _stop_listening(self) -> None:
        if self._lane.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._lane.fileno())
            self._lane.close()

    def close(self) -> None:
        """The kernel is gone, and its copies with it."""
        self._stop_listening()
        for descriptor in self._descriptors:
            os.close(descriptor)
        self._descriptors.clear()
        for copy in list(self._open):
            copy.abort()


async def _attach(copy: Copy, connection: socket.socket) -> None:
    await asyncio.get_running_loop().create_connection(lambda: copy, sock=connection)


class Copy(TransportFrames, FrameReceiver):
    """The connection of one copy.

    Attributes:
        about: what the kernel says of it: the run that it saves, the number of its snapshot.
    """

    def __init__(self, kernel: Kernel, about: dict[str, Any], forget: Any) -> None:
        super().__init__(lambda message: kernel.on_copy_message(self, message), self._not_understood)
        self.about = about
        self.task: asyncio.Task[None] | None = None
        self._kernel = kernel
        self._forget = forget
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def _not_understood(self, error: WireError) -> None:
        logger.error("a copy of the kernel is not understood: %s", error)
        self.abort()

    def connection_lost(self, error: Exception | None) -> None:
        self._forget(self)
        self._kernel.on_copy_gone(self)

    def abort(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.abort()
