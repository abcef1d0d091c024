"""Daemons that need no start of an interpreter: forks of one process that has imported what a daemon needs.

An interpreter that imports the language server's types takes half a second of a processor, several hundred times in a
round of tests. `started` has such a fork be ``holdfast serve …`` as if it had just been executed: with its own
standard input and output, folder, environment and arguments, nothing but modules in memory, and no other descriptors.
Where processes can't be watched as on Linux, and where a test says how Python is to start, a new interpreter does it.

Run as a program, this file is the process that forks: ``python daemons.py <descriptor of its socket>``.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypedDict

from holdfast import endpoint

FORKS = sys.platform == "linux"
LONGEST = 1 << 17
"""Bytes of a request, which is mostly the environment."""
PATIENCE = 60.0
USED = (
    "holdfast.command_line.serve",
    "holdfast.service",
    "holdfast.portable.exporting",
    "holdfast.portable.importing",
)


class Asked(TypedDict):
    """What a daemon is to be."""

    arguments: list[str]
    folder: str
    environment: dict[str, str]
    leads: bool


class Daemon:
    """A running daemon, as much of `asyncio.subprocess.Process` as the tests use."""

    def __init__(self, pid: int, status: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.stdin: asyncio.StreamWriter | None = None
        self.stdout: asyncio.StreamReader | None = None
        self._status = status
        self._ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(status, self._end)

    async def connect(self, stdin: int, stdout: int) -> None:
        """Make streams of the ends of its pipes."""
        loop = asyncio.get_running_loop()
        self.stdout = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(self.stdout)
        await loop.connect_read_pipe(lambda: protocol, os.fdopen(stdout, "rb", 0))
        transport, writing = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, os.fdopen(stdin, "wb", 0))
        self.stdin = asyncio.StreamWriter(transport, writing, None, loop)

    async def wait(self) -> int:
        """Return the exit code once it has ended, the negative number of the signal that ended it."""
        await self._ended.wait()
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal.

        Raises:
            ProcessLookupError: it has ended.
        """
        if self.returncode is not None:
            raise ProcessLookupError
        os.kill(self.pid, number)

    def kill(self) -> None:
        """`kill -9` it."""
        self.send_signal(signal.SIGKILL)

    def _end(self) -> None:
        said = os.read(self._status, 64)
        asyncio.get_running_loop().remove_reader(self._status)
        os.close(self._status)
        self.returncode = int(said)
        self._ended.set()
        if self.stdin is not None:
            self.stdin.close()


@functools.cache
def _forker() -> tuple[socket.socket, subprocess.Popen[bytes]]:
    """Start the process that forks, which ends when this one does; return the connection to it, and it."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    command = [sys.executable, __file__, str(theirs.fileno())]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()])
    theirs.close()
    return ours, process


def fork(
    arguments: Sequence[str], folder: Path, standard: tuple[int, int, int], *, leads: bool = False
) -> tuple[int, int]:
    """Fork a `holdfast` with these arguments in a folder.

    Args:
        standard: what are to be its standard input, output and error.
        leads: whether it begins a session of its own, as what goes on in the background.

    Returns:
        its number, and a descriptor from which its exit code can be read once it has ended.
    """
    asked: Asked = {
        "arguments": list(arguments),
        "folder": str(folder),
        "environment": dict(os.environ),
        "leads": leads,
    }
    status, theirs = os.pipe()
    connection, _ = _forker()
    try:
        socket.send_fds(connection, [json.dumps(asked).encode()], [*standard, theirs])
        return int(connection.recv(64)), status
    finally:
        os.close(theirs)


async def started(folder: Path, arguments: Sequence[str]) -> Daemon:
    """Fork a daemon with which one speaks over its standard input and output."""
    their_stdin, stdin = os.pipe()
    stdout, their_stdout = os.pipe()
    try:
        daemon = Daemon(*fork(arguments, folder, (their_stdin, their_stdout, 2)))
    finally:
        os.close(their_stdin)
        os.close(their_stdout)
    await daemon.connect(stdin, stdout)
    return daemon


def done(arguments: Sequence[str], folder: Path, input: str = "") -> subprocess.CompletedProcess[str]:
    """Fork a command, and return when it is done and nobody has its standard output and error any more.

    Args:
        input: what it can read from its standard input, at most what a pipe holds.
    """
    if not FORKS:
        command = [sys.executable, "-m", "holdfast", *arguments]
        return subprocess.run(command, cwd=folder, input=input, capture_output=True, text=True)
    stdin, typing = os.pipe()
    output, stdout = os.pipe()
    errors, stderr = os.pipe()
    os.write(typing, input.encode())
    os.close(typing)
    _, status = fork(arguments, folder, (stdin, stdout, stderr))
    for theirs in (stdin, stdout, stderr):
        os.close(theirs)
    with ThreadPoolExecutor(3) as readers:
        code, printed, complained = readers.map(_all_of, (status, output, errors))
    return subprocess.CompletedProcess(arguments, int(code), printed, complained)


def _all_of(descriptor: int) -> str:
    with os.fdopen(descriptor) as pipe:
        return pipe.read()


def in_background(folder: Path) -> None:
    """Have the daemon of a workspace run in the background, as a command starts it."""
    if not FORKS:
        endpoint.start(folder)
        return
    nothing = os.open(os.devnull, os.O_RDWR)
    arguments = ["serve", "--background", "--folder", str(folder)]
    _, status = fork(arguments, folder, (nothing, nothing, 2), leads=True)
    os.close(nothing)
    os.close(status)
    deadline = time.monotonic() + PATIENCE
    while endpoint.locate(folder) is None:
        assert time.monotonic() < deadline, "the daemon did not start"
        time.sleep(0.005)


class Forker:
    """The process that forks.

    Args:
        asking: where it is asked for daemons.
    """

    def __init__(self, asking: socket.socket) -> None:
        self._asking = asking
        self._poll = select.poll()
        self._poll.register(asking.fileno(), select.POLLIN)
        self._children: dict[int, tuple[int, int]] = {}
        """By the descriptor of a child, its process and where its status is told."""

    def serve(self) -> list[str] | None:
        """Fork until nobody asks any more; in a child, return its arguments at once."""
        while True:
            for descriptor, _ in self._poll.poll():
                if descriptor != self._asking.fileno():
                    self._bury(descriptor)
                    continue
                said, passed, _, _ = socket.recv_fds(self._asking, LONGEST, 4)
                if not said:
                    return None
                *standard, status = passed
                child = os.fork()
                if not child:
                    return self._become(json.loads(said), standard, status)
                for descriptor in standard:
                    os.close(descriptor)
                watched = os.pidfd_open(child)
                self._children[watched] = (child, status)
                self._poll.register(watched, select.POLLIN)
                self._asking.send(b"%d" % child)

    def _bury(self, watched: int) -> None:
        child, status = self._children.pop(watched)
        self._poll.unregister(watched)
        os.close(watched)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        with contextlib.suppress(BrokenPipeError):
            os.write(status, b"%d" % code)
        os.close(status)

    def _become(self, asked: Asked, standard: list[int], status: int) -> list[str]:
        """Leave nothing of the forker in a child but modules."""
        for number, descriptor in enumerate(standard):
            os.dup2(descriptor, number)
            os.close(descriptor)
        os.close(status)
        for watched, (_, other) in self._children.items():
            os.close(watched)
            os.close(other)
        self._asking.close()
        # The forker's own streams were made for files; these may be pipes.
        sys.stdin = open(0, closefd=False)  # noqa: SIM115 - they stay open as long as the process lives
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.environ.clear()
        os.environ.update(asked["environment"])
        if asked["leads"]:
            os.setsid()
        os.chdir(asked["folder"])
        sys.path[0] = asked["folder"]
        return asked["arguments"]


def main() -> None:
    """Fork until the process that started this one is gone; in each child, be the command line."""
    # A Ctrl-C is for the process that started this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in USED:
        importlib.import_module(name)
    gc.collect()
    # Else a collection in a child would write to, and so copy, every page of what they share.
    gc.freeze()
    arguments = Forker(socket.socket(fileno=int(sys.argv[1]))).serve()
    if arguments is not None:
        from holdfast.cli import main as command_line

        sys.argv[1:] = arguments
        command_line()


if __name__ == "__main__":
    main()
