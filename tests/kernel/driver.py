"""A real kernel process on a real socket pair, driven from a test: synchronous, and it drains the output pipes."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import cloudpickle

import holdfast.kernel
from holdfast.kernel import wire

KERNEL = Path(holdfast.kernel.__file__).parent / "__main__.py"
CLOUDPICKLE = Path(cloudpickle.__file__).parent
PYTHON = os.environ.get("HOLDFAST_TEST_PYTHON", sys.executable)
"""The interpreter under test; a bare one will do for all tests that need no library."""
PATIENCE = 60.0
"""Seconds after which a kernel that does not answer is taken for hung."""


def gone(pid: int) -> bool:
    """Whether the process has ended, within the time any test may take."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.005)
    return False


def plain_environment() -> dict[str, str]:
    """Return the environment without what would change how Python finds and keeps modules."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


class Hung(AssertionError):
    """The kernel did not answer in time."""


class Answer(dict[str, Any]):
    """The ``done`` of a run, and everything that came before it.

    Attributes:
        events: in order of arrival: ``("stdout", bytes)``, ``("stderr", bytes)``, ``("output", nbformat output)``.
    """

    events: list[tuple[str, Any]]
    buffers: list[memoryview]

    @property
    def stdout(self) -> str:
        """All text of stdout."""
        return self._text("stdout")

    @property
    def stderr(self) -> str:
        """All text of stderr."""
        return self._text("stderr")

    @property
    def outputs(self) -> list[dict[str, Any]]:
        """All nbformat outputs."""
        return [content for kind, content in self.events if kind == "output"]

    @property
    def result(self) -> str | None:
        """The plain text of the cell's result."""
        for output in self.outputs:
            if output["output_type"] == "execute_result":
                text: str = output["data"]["text/plain"]
                return text
        return None

    @property
    def traceback(self) -> str:
        """The traceback as one text."""
        return "\n".join(self["error"]["traceback"])

    @property
    def merged(self) -> list[tuple[str, Any]]:
        """The events with neighbouring pieces of one stream put together; of outputs, their plain text."""
        result: list[tuple[str, Any]] = []
        for kind, group in groupby(self.events, key=lambda event: event[0]):
            contents = [content for _, content in group]
            if kind == "output":
                result += [("output", content["data"]["text/plain"]) for content in contents]
            else:
                result.append((kind, b"".join(contents).decode()))
        return result

    def _text(self, stream: str) -> str:
        return b"".join(content for kind, content in self.events if kind == stream).decode()


class Kernel:
    """A kernel process; use as a context manager.

    Args:
        copies: seconds after which copies of it that get nowhere are ended; None: it makes no copies.
    """

    def __init__(
        self,
        python: str = PYTHON,
        *,
        env: dict[str, str] | None = None,
        slow: float = 0,
        copies: float | None = None,
    ) -> None:
        ours, theirs = socket.socketpair()
        self._reads: dict[int, str] = {}
        out_read, out_write = os.pipe()
        err_read, err_write = os.pipe()
        self.crash_read, crash_write = os.pipe()
        lifeline, self._lifeline = os.pipe()
        config = {"fd": theirs.fileno(), "cloudpickle": str(CLOUDPICKLE), "stdout_fd": 1, "stderr_fd": 2}
        self.copied: dict[str, Any] = {}
        """What the kernel said of the copy that it made last."""
        self._lane, their_lane = socket.socketpair()
        if copies is not None:
            config |= {"lane_fd": their_lane.fileno(), "patience": copies}
        self.process = subprocess.Popen(
            [python, str(KERNEL), json.dumps({**config, "crash_fd": crash_write, "lifeline_fd": lifeline})],
            stdin=subprocess.DEVNULL,
            stdout=out_write,
            stderr=err_write,
            pass_fds=(theirs.fileno(), crash_write, lifeline, their_lane.fileno()),
            start_new_session=True,
            env=env if env is not None else plain_environment(),
        )
        theirs.close()
        their_lane.close()
        for fd in (out_write, err_write, crash_write, lifeline):
            os.close(fd)
        self._reads = {out_read: "stdout", err_read: "stderr"}
        self.socket = ours
        self._decoder = wire.Decoder()
        self._channel = wire.Channel(ours)
        self._slow = slow
        self._frames: list[wire.Message] = []
        self.events: list[tuple[str, Any]] = []
        self._runs = 0
        self.ready = self.wait_for("ready").header

    def __enter__(self) -> Kernel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process, if it still runs, and all its children."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.socket.close()
        self._lane.close()
        for fd in (*self._reads, self.crash_read, self._lifeline):
            if fd >= 0:
                os.close(fd)

    def send(self, kind: str, buffers: Sequence[Any] = (), **fields: Any) -> None:
        """Send a message."""
        self._channel.send({"type": kind, **fields}, buffers)

    def attach(self, file: Path | str | None = None, *, cwd: Path | str | None = None, **fields: Any) -> None:
        """Make the kernel that of a document."""
        self.send("attach", file=file and str(file), uri="", cwd=cwd and str(cwd), name="test", **fields)
        self.wait_for("attached")

    def start(self, code: str, **fields: Any) -> int:
        """Send a run and return its number."""
        self._runs += 1
        run = {
            "run": self._runs,
            "filename": f"<run {self._runs}>",
            "line": 0,
            "count": self._runs,
            "persist": False,
        }
        self.send("run", **{**run, "code": textwrap.dedent(code), **fields})
        return self._runs

    def run(self, code: str, **fields: Any) -> Answer:
        """Run a cell to its end."""
        self.start(code, **fields)
        return self.finish()

    def finish(self) -> Answer:
        """Wait for the end of a run that was started."""
        message = self.wait_for("done")
        answer = Answer(message.header)
        answer.buffers = message.buffers
        answer.events, self.events = self.events, []
        return answer

    def ask(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Send a question and return its answer."""
        self.send(kind, id=1, **fields)
        replies = {
            "variables": "variables",
            "inspect": "inspected",
            "capture": "captured",
            "restore": "restored",
        }
        return self.wait_for(replies[kind]).header

    def value(self, expression: str) -> str:
        """Return the plain text of an expression."""
        result = self.run(expression).result
        assert result is not None
        return result

    def wait_for(self, kind: str) -> wire.Message:
        """Take in output and frames until one of type `kind` comes."""
        return self.wait_until(lambda frame: frame.header["type"] == kind)

    def wait_until(self, wanted: Callable[[wire.Message], bool]) -> wire.Message:
        """Take in output and frames until one is wanted; the others stay for later calls."""
        deadline = time.monotonic() + PATIENCE
        while True:
            for frame in self._frames:
                if wanted(frame):
                    self._frames.remove(frame)
                    return frame
            self.take_in(deadline)

    def wait_for_output(self, text: str) -> None:
        """Take in output until `text` was printed."""
        deadline = time.monotonic() + PATIENCE
        while text.encode() not in b"".join(content for kind, content in self.events if kind != "output"):
            self.take_in(deadline)

    def take_in(self, deadline: float) -> None:
        """Read once from whatever is readable: first the pipes, as their bytes were written before any frame."""
        readable, _, _ = select.select([*self._reads, self.socket], [], [], max(0, deadline - time.monotonic()))
        if not readable:
            raise Hung(f"the kernel did not answer; so far: {self.events[-5:]} {self._frames}")
        if self._slow:
            time.sleep(self._slow)
        for fd in readable:
            if fd is not self.socket:
                chunk = os.read(fd, 1 << 18)
                if chunk:
                    self.events.append((self._reads[fd], chunk))
                else:
                    del self._reads[fd]
                    os.close(fd)
        if self.socket in readable:
            count = self.socket.recv_into(self._decoder.get_buffer())
            if not count:
                raise EOFError(f"the kernel is gone: {self.process.wait()}")
            for message in self._decoder.buffer_updated(count):
                if message.header["type"] == "output":
                    self.events.append(("output", message.header["output"]))
                else:
                    self._frames.append(message)

    def copy(self) -> wire.Channel:
        """Return the connection of the next copy that the kernel makes.

        Raises:
            TimeoutError: it makes none.
        """
        self._lane.settimeout(PATIENCE)
        said, (descriptor,), _, _ = socket.recv_fds(self._lane, 1 << 16, 1)
        self.copied = json.loads(said)
        connection = socket.socket(fileno=descriptor)
        connection.settimeout(PATIENCE)
        return wire.Channel(connection)

    def die_as_daemon(self) -> None:
        """Do to the kernel what the death of its daemon does."""
        self.socket.close()
        self._lane.close()
        os.close(self._lifeline)
        self._lifeline = -1

    def wait_for_death(self) -> int:
        """Take in everything until the process is gone; return its status."""
        deadline = time.monotonic() + PATIENCE
        with contextlib.suppress(EOFError, ConnectionError):
            while True:
                self.take_in(deadline)
        return self.process.wait(PATIENCE)
