"""Receiving frames on the event loop, straight into their final buffers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from holdfast.kernel.wire import Decoder, Message, WireError
from holdfast.quick_json import loads


class FrameReceiver(asyncio.BufferedProtocol):
    """The receiving side of a frame connection.

    Args:
        take: called with each frame.
        refuse: called once when what arrives is not a frame; nothing of the connection is of use then.
    """

    def __init__(self, take: Callable[[Message], None], refuse: Callable[[WireError], None]) -> None:
        self._take = take
        self._refuse = refuse
        self._decoder = Decoder(loads)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._decoder.get_buffer()

    def buffer_updated(self, nbytes: int) -> None:
        try:
            messages = self._decoder.buffer_updated(nbytes)
        except WireError as error:
            self._refuse(error)
            return
        for message in messages:
            self._take(message)
