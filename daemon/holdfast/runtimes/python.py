"""Python kernels: `holdfast/kernel` run by the user's interpreter, into which nothing is installed."""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import functools
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from holdfast import kernel as kernel_package
from holdfast.errors import KernelFailed
from holdfast.kernel.wire import Message, WireError, encode
from holdfast.quick_json import dumps
from holdfast.runtimes.base import Death, Kernel, StreamName, TransportFrames
from holdfast.runtimes.copies import Copies
from holdfast.runtimes.death import count_oom_kills, explain, resident_memory
from holdfast.runtimes.frames import FrameReceiver
from holdfast.runtimes.memory import write_memory

KERNEL_MAIN = Path(kernel_package.__file__).parent / "__main__.py"
START_TIMEOUT = 30.0
"""Seconds from spawning an interpreter to its first word; a cold network file system can be slow."""
READ_SIZE = 1 << 18
WRITE_AHEAD = 1 << 20
"""Bytes that a kernel has not taken yet from which on `drained` waits."""
STREAM_BATCH = 1 << 16
"""Characters of output after which a batch is passed on without waiting."""
SEND_DELAY = 0.02
"""Seconds that a frame nobody waits for may lie: waking the kernel for it alone would delay the next run."""
STREAM_DELAY = 0.01
"""Seconds for which small pieces of output are gathered, so that a million prints are not a million notifications."""


_COPIES = sys.platform == "linux"
"""Whether kernels can save in copies of themselves: macOS has fork, and system libraries which do not survive it."""


@functools.cache
def _lifeline() -> int:
    """Return the reading end of a pipe whose other end only this process holds, and never closes.

    When this process is gone, however it ended, the operating system tells the kernels through it, even those that are
    deep in compiled code.
    """
    read, write = os.pipe()
    _LIFELINE_ENDS.append(write)
    return read


_LIFELINE_ENDS: list[int] = []


def _cloudpickle_folder() -> str:
    found = importlib.util.find_spec("cloudpickle")
    if found is None or found.origin is None:
        raise KernelFailed("cloudpickle is not installed beside Holdfast; reinstall Holdfast.", kind="installation")
    return str(Path(found.origin).parent)


class _FrameProtocol(FrameReceiver):
    """Receives frames, and knows whether there is room for more to be sent."""

    def __init__(self, owner: PythonKernel) -> None:
        super().__init__(owner._frame, owner._refuse)
        self._owner = owner

    def pause_writing(self) -> None:
        self._owner._room.clear()

    def resume_writing(self) -> None:
        self._owner._room.set()


class _Pipe:
    """The reading end of the kernel's standard output or error."""

    def __init__(self, name: StreamName, descriptor: int) -> None:
        self.name: StreamName = name
        self.descriptor = descriptor
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.open = True


class PythonKernel(TransportFrames, Kernel):
    """A Python kernel process, its frame connection and its two output pipes."""

    language = "python"

    def __init__(self, interpreter: str) -> None:
        super().__init__()
        self.interpreter = interpreter
        self._process: subprocess.Popen[bytes] | None = None
        self._transport: asyncio.Transport | None = None
        self._pipes: dict[int, _Pipe] = {}
        self._paused = False
        self._unsent: list[dict[str, Any]] = []
        self._sending_soon = False
        self._batch: list[tuple[StreamName, str]] = []
        self._batch_size = 0
        self._batch_timer: asyncio.TimerHandle | None = None
        self._killed_because: str | None = None
        self._crash_file: IO[bytes] | None = None
        self._oom_kills = 0
        self._exited = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._copies: Copies | None = None
        self._environment: dict[str, Any] = {}

    # ------------------------------------------------------------------ start

    @classmethod
    async def start(cls, interpreter: str, folder: Path) -> PythonKernel:
        """Spawn a kernel and wait until it is ready to be attached to a document.

        Raises:
            KernelFailed: the interpreter does not exist, is no Python ≥ 3.10, or did not answer.
        """
        kernel = cls(interpreter)
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[Message] = loop.create_future()

        def first_word(message: Message) -> None:
            if not ready.done():
                ready.set_result(message)

        kernel.on_message = first_word
        written: list[str] = []
        kernel.on_stream = lambda _, text: written.append(text)
        kernel.on_exit = lambda death: (
            None if ready.done() else ready.set_exception(_failed(interpreter, death, written))
        )
        try:
            await kernel._spawn(folder)
        except OSError as error:
            raise KernelFailed(
                f"The interpreter {interpreter} could not be started ({error.strerror or error}); "
                "the saved state is safe. Choose another one with the `interpreter` setting."
            ) from error
        try:
            async with asyncio.timeout(START_TIMEOUT):
                kernel.ready = (await ready).header
        except TimeoutError:
            kernel.kill("the kernel did not answer after its start")
            raise KernelFailed(
                f"The interpreter {interpreter} did not answer within {START_TIMEOUT:.0f} s; the saved state is safe."
            ) from None
        return kernel

    async def _spawn(self, folder: Path) -> None:
        loop = asyncio.get_running_loop()
        self._oom_kills = count_oom_kills() or 0
        ours, theirs = socket.socketpair()
        lane, their_lane = socket.socketpair() if _COPIES else (None, None)
        reads: list[int] = []
        writes: list[int] = []
        try:
            for _ in range(2):
                read, write = os.pipe()
                reads.append(read)
                writes.append(write)
            self._crash_file = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
            crash = self._crash_file.fileno()
            arguments = json.dumps(
                {
                    "fd": theirs.fileno(),
                    "cloudpickle": _cloudpickle_folder(),
                    "stdout_fd": 1,
                    "stderr_fd": 2,
                    "crash_fd": crash,
                    "lifeline_fd": _lifeline(),
                    "lane_fd": None if their_lane is None else their_lane.fileno(),
                }
            )
            lanes = () if their_lane is None else (their_lane.fileno(),)
            self._process = subprocess.Popen(
                [self.interpreter, str(KERNEL_MAIN), arguments],
                stdin=subprocess.DEVNULL,
                stdout=writes[0],
                stderr=writes[1],
                pass_fds=[theirs.fileno(), crash, _lifeline(), *lanes],
                cwd=folder if folder.is_dir() else None,
                start_new_session=True,
            )
        except BaseException:
            for descriptor in reads:
                os.close(descriptor)
            ours.close()
            if lane is not None:
                lane.close()
            raise
        finally:
            theirs.close()
            if their_lane is not None:
                their_lane.close()
            for descriptor in writes:
                os.close(descriptor)
        names: tuple[StreamName, StreamName] = ("stdout", "stderr")
        for name, descriptor in zip(names, reads, strict=True):
            os.set_blocking(descriptor, False)
            self._pipes[descriptor] = _Pipe(name, descriptor)
            loop.add_reader(descriptor, self._read_pipe, self._pipes[descriptor])
        ours.setblocking(False)
        self._transport, _ = await loop.create_connection(lambda: _FrameProtocol(self), sock=ours)
        self._transport.set_write_buffer_limits(high=WRITE_AHEAD)
        if lane is not None:
            self._copies = Copies(lane, self)
        self._watch_exit(loop)

    def _watch_exit(self, loop: asyncio.AbstractEventLoop) -> None:
        process = self._process
        assert process is not None
        if hasattr(os, "pidfd_open"):
            try:
                descriptor = os.pidfd_open(process.pid)
            except OSError:
                pass  # an old kernel or a sandbox without the call: wait in a thread instead
            else:

                def gone() -> None:
                    loop.remove_reader(descriptor)
                    os.close(descriptor)
                    self._reap(*_wait(process.pid))

                loop.add_reader(descriptor, gone)
                return

        def wait() -> None:
            found = _wait(process.pid)
            with contextlib.suppress(RuntimeError):  # the loop has ended: so has the daemon
                loop.call_soon_threadsafe(self._reap, *found)

        threading.Thread(target=wait, name=f"holdfast-wait-{process.pid}", daemon=True).start()

    # ------------------------------------------------------------------ frames and output

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def memory(self) -> int | None:
        return None if self.death is not None else resident_memory(self.pid)

    def send(self, header: dict[str, Any], buffers: Sequence[Any] = ()) -> None:
        if self.death is None and self._transport is not None and not self._transport.is_closing():
            if self._unsent:
                header = {**header, "before": self._unsent}
                self._unsent = []
            self._transport.writelines(encode(header, buffers, dumps))

    def send_soon(self, header: dict[str, Any]) -> None:
        self._unsent.append(header)
        if not self._sending_soon:
            self._sending_soon = True
            asyncio.get_running_loop().call_later(SEND_DELAY, self._send_unsent)

    def write_memory(self, address: int, data: bytes) -> None:
        if self.death is not None:
            raise OSError("the process has ended")
        write_memory(self.pid, address, data)

    async def drained(self) -> None:
        await self._room.wait()

    def _send_unsent(self) -> None:
        self._sending_soon = False
        if self._unsent:
            unsent, self._unsent = self._unsent[-1], self._unsent[:-1]
            self.send(unsent)

    def _refuse(self, error: WireError) -> None:
        self.kill(f"the kernel process was ended because {error}")

    def _frame(self, message: Message) -> None:
        # The kernel sends a frame only when its pipes are drained, so what it wrote before is already in the batch.
        self._flush_batch()
        snapshot = message.header.get("snapshot")
        if isinstance(snapshot, dict):
            # It is only told again when it has changed.
            self._environment = snapshot.setdefault("environment", self._environment)
        self._deliver(message)

    def _read_pipe(self, pipe: _Pipe) -> None:
        try:
            received = os.read(pipe.descriptor, READ_SIZE)
        except BlockingIOError:
            return
        except OSError:
            received = b""
        if not received:
            self._close_pipe(pipe)
            return
        text = pipe.decoder.decode(received)
        if not text:
            return
        if self._batch and self._batch[-1][0] == pipe.name:
            self._batch[-1] = (pipe.name, self._batch[-1][1] + text)
        else:
            self._batch.append((pipe.name, text))
        self._batch_size += len(text)
        if self._batch_size >= STREAM_BATCH:
            self._flush_batch()
        elif self._batch_timer is None:
            self._batch_timer = asyncio.get_running_loop().call_later(STREAM_DELAY, self._flush_batch)

    def _flush_batch(self) -> None:
        if self._batch_timer is not None:
            self._batch_timer.cancel()
            self._batch_timer = None
        if self._batch:
            batch, self._batch, self._batch_size = self._batch, [], 0
            for name, text in batch:
                self.on_stream(name, text)

    def _close_pipe(self, pipe: _Pipe) -> None:
        if pipe.open:
            pipe.open = False
            asyncio.get_running_loop().remove_reader(pipe.descriptor)
            os.close(pipe.descriptor)
            del self._pipes[pipe.descriptor]

    def pause_output(self) -> None:
        if not self._paused:
            self._paused = True
            for descriptor in self._pipes:
                asyncio.get_running_loop().remove_reader(descriptor)

    def resume_output(self) -> None:
        if self._paused:
            self._paused = False
            for descriptor, pipe in self._pipes.items():
                asyncio.get_running_loop().add_reader(descriptor, self._read_pipe, pipe)

    # ------------------------------------------------------------------ the end

    def interrupt(self) -> None:
        if self.death is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGINT)

    def kill(self, cause: str) -> None:
        if self.death is None:
            self._killed_because = self._killed_because or cause
            _kill_group(self.pid)

    async def stop(self, timeout: float) -> None:
        if self.death is not None:
            return
        self._killed_because = "the kernel was asked to end"
        self.send({"type": "shutdown"})
        try:
            async with asyncio.timeout(timeout):
                await self._exited.wait()
        except TimeoutError:
            _kill_group(self.pid)
            await self._exited.wait()

    def _reap(self, status: int, peak_memory: int | None) -> None:
        assert self._process is not None
        self._process.returncode = os.waitstatus_to_exitcode(status)
        # Children that outlived the kernel belong to it; they also hold its pipes open.
        _kill_group(self._process.pid)
        for pipe in list(self._pipes.values()):
            self._drain_pipe(pipe)
        self._flush_batch()
        if self._transport is not None:
            self._transport.abort()
        if self._copies is not None:
            self._copies.close()
        report = ""
        if self._crash_file is not None:
            self._crash_file.seek(0)
            report = self._crash_file.read(1 << 16).decode("utf-8", "replace")
            self._crash_file.close()
        self._room.set()
        oom_kills = (count_oom_kills() or 0) - self._oom_kills
        death = explain(
            status, peak_memory, killed_because=self._killed_because, oom_kills=oom_kills, crash_report=report
        )
        self._exited.set()
        self._died(death)

    def _drain_pipe(self, pipe: _Pipe) -> None:
        """Take what the dead kernel had written.

        A bounded amount, since a child in its own session may write for ever.
        """
        for _ in range(64):
            if not pipe.open:
                return
            try:
                received = os.read(pipe.descriptor, 1 << 20)
            except BlockingIOError:
                break
            if not received:
                break
            self._batch.append((pipe.name, pipe.decoder.decode(received)))
        self._close_pipe(pipe)


def _wait(pid: int) -> tuple[int, int | None]:
    """Wait for a child; return its wait status and its peak memory in bytes."""
    try:
        _, status, usage = os.wait4(pid, 0)
    except ChildProcessError:
        return 0, None
    # ru_maxrss is in kilobytes on Linux and in bytes on macOS.
    return status, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _failed(interpreter: str, death: Death, written: list[str]) -> KernelFailed:
    said = "".join(written).strip().splitlines()
    return KernelFailed(
        f"The interpreter {interpreter} ended before the kernel was up ({said[-1] if said else death.cause}); "
        "the saved state is safe. Holdfast needs Python 3.10 or newer.",
        detail="\n".join(said[-20:]),
    )
