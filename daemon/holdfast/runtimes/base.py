"""A kernel as the daemon sees it, whatever language it runs."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from holdfast.kernel.wire import Message

StreamName = Literal["stdout", "stderr"]


@dataclass(frozen=True, slots=True)
class Death:
    """How a kernel ended: the cause in words, and what it left behind."""

    cause: str
    exit_code: int | None = None
    signal: int | None = None
    peak_memory: int | None = None
    crash_report: str = ""


class KernelDied(Exception):
    """The kernel ended while something was asked of it."""

    def __init__(self, death: Death) -> None:
        super().__init__(death.cause)
        self.death = death


class FrameSource(Protocol):
    """A connection that frames come by."""

    def hold_frames(self) -> None:
        """Stop taking frames."""

    def resume_frames(self) -> None:
        """Take frames again."""


class TransportFrames:
    """A source of frames that come by a transport."""

    _transport: asyncio.Transport | None = None

    def hold_frames(self) -> None:
        """Stop taking frames."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_frames(self) -> None:
        """Take frames again."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()


class CopySource(FrameSource, Protocol):
    """The connection of a copy of a kernel."""

    about: dict[str, Any]
    """The run that it saves, and the number of its snapshot."""


class Kernel(ABC):
    """One kernel process. All methods are called on the event loop.

    `on_message` receives every frame that is not the answer to a request; `on_stream` text written to standard
    output and error, in
    order and before any later frame; `on_exit` is called once when the process has ended and all its output was
    delivered.
    """

    language: str
    interpreter: str

    def __init__(self) -> None:
        self.on_message: Callable[[Message], None] = lambda message: None
        self.on_stream: Callable[[StreamName, str], None] = lambda name, text: None
        self.on_copy_message: Callable[[CopySource, Message], None] = lambda copy, message: None
        """Called for each frame of a copy that the kernel made of itself to save."""
        self.on_copy_gone: Callable[[CopySource], None] = lambda copy: None
        self.on_exit: Callable[[Death], None] = lambda death: None
        self.death: Death | None = None
        self.ready: dict[str, Any] = {}
        self._waiting: dict[str, asyncio.Future[Message]] = {}
        self._next_id = 0

    @property
    @abstractmethod
    def pid(self) -> int:
        """The process's id."""

    @property
    @abstractmethod
    def memory(self) -> int | None:
        """Resident memory in bytes, where it can be told."""

    @abstractmethod
    def send(self, header: dict[str, Any], buffers: Sequence[Any] = ()) -> None:
        """Send one frame; does nothing once the kernel has died."""

    @abstractmethod
    def send_soon(self, header: dict[str, Any]) -> None:
        """Send a frame that nobody waits for: with the next one, or a moment later."""

    def write_memory(self, address: int, data: bytes) -> None:
        """Copy bytes to where the process has made room and waits for them; callable from any thread.

        Raises:
            OSError: not with this kernel; send them.
        """
        raise OSError("this kernel takes bytes in frames only")

    @abstractmethod
    async def drained(self) -> None:
        """Return when the process has taken most of what was sent, or has died."""

    @abstractmethod
    def interrupt(self) -> None:
        """Ask the running code to stop (SIGINT where there is one)."""

    @abstractmethod
    def kill(self, cause: str) -> None:
        """End the process and its children at once; `cause` is what will be reported."""

    @abstractmethod
    def pause_output(self) -> None:
        """Stop taking output: a kernel that writes on will wait."""

    @abstractmethod
    def resume_output(self) -> None:
        """Take output again."""

    def hold_frames(self) -> None:  # noqa: B027 - a runtime whose frames are small need not
        """Stop taking frames: a kernel that sends on will wait."""

    def resume_frames(self) -> None:  # noqa: B027 - as above
        """Take frames again."""

    @abstractmethod
    async def stop(self, timeout: float) -> None:
        """Ask the process to end, and kill it when it does not within `timeout` seconds."""

    async def request(self, header: dict[str, Any], buffers: Sequence[Any] = ()) -> Message:
        """Send a frame with an id and wait for the answer that carries it.

        Raises:
            KernelDied: the process ended before it answered.
        """
        if self.death is not None:
            raise KernelDied(self.death)
        self._next_id += 1
        identity = f"q{self._next_id}"
        future: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._waiting[identity] = future
        try:
            self.send({**header, "id": identity}, buffers)
            return await future
        finally:
            self._waiting.pop(identity, None)

    def _deliver(self, message: Message) -> None:
        future = self._waiting.get(message.header.get("id", ""))
        if future is None or message.header.get("type") in {"input", "output"}:
            self.on_message(message)
        elif not future.done():
            future.set_result(message)

    def _died(self, death: Death) -> None:
        self.death = death
        waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            if not future.done():
                future.set_exception(KernelDied(death))
        self.on_exit(death)
