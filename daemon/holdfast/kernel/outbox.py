"""Frames on their way to the daemon: whole, in order with the output pipes, and never from a forked child."""

from __future__ import annotations

import _thread
import threading
from collections import deque
from collections.abc import Sequence
from typing import Any

from .interrupts import Interrupts
from .output import Pipes, wait_until_read
from .wire import Channel


class Outbox:
    """Sends frames; knows which run is current, since displays and prompts name it."""

    def __init__(self, channel: Channel, pipes: Pipes, interrupts: Interrupts) -> None:
        self.pipes = pipes
        self.interrupts = interrupts
        self.run: Any = None
        self.count: int | None = None
        self._channel: Channel | None = channel
        self._lock = threading.Lock()
        self._owner = 0
        self._later: deque[tuple[dict[str, Any], Sequence[Any]]] = deque()

    @property
    def is_open(self) -> bool:
        """Whether frames reach the daemon: no longer in a forked child."""
        return self._channel is not None

    def send(self, header: dict[str, Any], buffers: Sequence[Any] = ()) -> None:
        """Send one frame; dropped when the daemon is gone, since then this process is about to end."""
        me = _thread.get_ident()
        if self._owner == me:
            # A signal handler or destructor of the user's displays something while this thread is sending.
            self._later.append((header, buffers))
            return
        with self.interrupts.shield(), self._lock:
            self._owner = me
            try:
                self._send(header, buffers)
                while self._later:
                    self._send(*self._later.popleft())
            finally:
                self._owner = 0

    def send_in_order(self, header: dict[str, Any], buffers: Sequence[Any] = ()) -> None:
        """Send a frame that belongs after everything printed so far."""
        self.pipes.flush()
        self.pipes.drain()
        self.send(header, buffers)

    def output(self, output: dict[str, Any]) -> None:
        """Send one nbformat output of the current run, or of the last one if none is running."""
        self.send_in_order({"type": "output", "run": self.run, "output": output})
        if self._channel is not None:
            # What is printed next must not overtake it, and C code asks no one before it prints.
            wait_until_read(self._channel.fileno())

    def log(self, level: str, message: str) -> None:
        """Tell the daemon's log about trouble on this side."""
        self.send({"type": "log", "level": level, "message": message})

    def abandon(self) -> None:
        """In a forked child: let go of the connection, and of locks that other threads held at the fork."""
        channel, self._channel = self._channel, None
        self._lock = threading.Lock()
        self._owner = 0
        self._later.clear()
        if channel is not None:
            channel.close()

    def _send(self, header: dict[str, Any], buffers: Sequence[Any]) -> None:
        if self._channel is None:
            return
        try:
            self._channel.send(header, buffers)
        except OSError:
            # The daemon is gone; the control thread sees the same and ends the process.
            self._channel = None
