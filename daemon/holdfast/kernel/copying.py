"""Snapshots that a copy of the process takes and sends, while the session goes on."""

from __future__ import annotations

import _thread
import contextlib
import json
import os
import socket
import time
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

from .capture.flights import Flight, open_report
from .capture.pickler import NotInCopy
from .copies import can_fork, close_connections, fork_silently, has_memory_for, live_on, withdraw
from .outbox import Outbox
from .wire import Channel

if TYPE_CHECKING:
    from .capture.session import SessionCapture

PATIENCE = 30.0
"""Seconds that a copy may go on without getting anywhere, unless the daemon says otherwise: a lock may have been held
when it was made."""
_LOOKS_EVERY = 1.0
MakeSnapshot = Callable[[Flight, Callable[[dict[str, Any], memoryview], None]], tuple[dict[str, Any], list[Any]]]


class Copier:
    """Makes such copies.

    Args:
        lane: descriptor of a Unix socket on which the daemon is given a connection for each of them; None: there are no
            copies.
        patience: seconds that a copy may go on without getting anywhere.
    """

    def __init__(self, lane: int | None, outbox: Outbox, patience: float | None = None) -> None:
        self._lane = None if lane is None else socket.socket(fileno=lane)
        self._outbox = outbox
        self._patience = PATIENCE if patience is None else patience

    @property
    def is_enabled(self) -> bool:
        """Whether there may be copies at all. Cheap."""
        return self._lane is not None

    def is_possible(self, size: int) -> bool:
        """Whether there can be a copy that saves about `size` bytes."""
        return self._lane is not None and can_fork() and has_memory_for(size)

    def abandon(self) -> None:
        """In a forked child of the user's: it makes none."""
        lane, self._lane = self._lane, None
        if lane is not None:
            lane.close()

    def make(self, capture: SessionCapture, flight: Flight, about: dict[str, Any], snapshot: MakeSnapshot) -> bool:
        """Have a copy take a prepared capture; whether one could be made.

        Args:
            capture: the session's.
            flight: what was prepared.
            about: the run that it belongs to.
            snapshot: turns the capture into a frame, in the copy.
        """
        assert self._lane is not None
        lane = self._lane
        try:
            with contextlib.ExitStack() as ours:
                theirs = open_report(flight)
                ours.callback(os.close, theirs)
                connection, daemons = map(ours.enter_context, socket.socketpair())
                flight.pid = fork_silently()
                if flight.pid == 0:
                    _be_copy(capture, flight, connection, theirs, about, snapshot, self._patience)
                said = json.dumps({**about, "seq": flight.seq}).encode() + b"\n"
                socket.send_fds(lane, [said], [daemons.fileno()])
        except OSError as error:
            self._outbox.log("warning", f"no copy of the process could be made to save: {error}")
            return False
        return True


# -- in the copy


def _be_copy(
    capture: SessionCapture,
    flight: Flight,
    connection: socket.socket,
    over: int,
    about: dict[str, Any],
    snapshot: MakeSnapshot,
    patience: float,
) -> NoReturn:
    try:
        withdraw(patience)
        kept = {connection.fileno(), over, flight.report}
        for earlier in capture.flights.flying():
            kept |= {earlier.report, earlier.over}
        close_connections(kept)
        channel = Channel(connection)
        sent = [0]

        def send_part(header: dict[str, Any], piece: memoryview) -> None:
            channel.send(header, [piece])
            sent[0] += 1

        _thread.start_new_thread(_keep_alive, (lambda: (sent[0], capture.progress()), patience))
        header, buffers = snapshot(flight, send_part)
        channel.send({"type": "captured", **about, **header}, buffers)
        # What is on its way is not lost when the process ends; only the daemon closes the connection.
    except NotInCopy:
        pass  # Its report says so; the kernel saves.
    except BaseException:  # noqa: BLE001 - whatever it is, this process ends of it, the kernel saves, and the log has it
        Channel(connection).send({"type": "log", "level": "error", "message": f"a copy: {traceback.format_exc()}"})
    finally:
        os._exit(0)


def _keep_alive(progress: Callable[[], Any], patience: float) -> None:
    """Live on as long as there is some progress."""
    last: Any = None
    while True:
        time.sleep(min(_LOOKS_EVERY, patience / 4))
        with contextlib.suppress(RuntimeError):  # something grew while it was counted: that is progress
            now = progress()
            if now == last:
                continue
            last = now
        live_on(patience)
