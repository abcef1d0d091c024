"""The kernel's two threads: the main thread runs user code, the control thread receives and answers meanwhile."""

from __future__ import annotations

import _thread
import atexit
import faulthandler
import os
import signal
import socket
import sys
import time
from collections import deque
from queue import Empty, SimpleQueue
from typing import Any

from . import display, plots
from .ask import Desk, adopt_getpass
from .imports import FacadeFinder, ImportWatch
from .interrupts import Interrupts
from .outbox import Outbox
from .output import Pipes, line_buffer_c_stdout
from .session import Session
from .spawning import before_children
from .text import describe, trace
from .wire import Channel, Message, WireError

SHUTDOWN_SECONDS = 2.0
"""What atexit handlers, and a cell that is still running, get before the process ends anyway."""
_WARM = (
    f"{__package__}.tracebacks",
    f"{__package__}.tables",
    f"{__package__}.capture.session",
    f"{__package__}.fetching",
    f"{__package__}.copying",
    f"{__package__}.makers",
    "tokenize",
    "_holdfast_cloudpickle.cloudpickle",
    "asyncio",
    "ctypes",
    "base64",
    "dis",
    "decimal",
    "datetime",
)
"""Imported while a spare waits for its document, so that the first run finds them loaded."""
_SPARE_TIME = tuple(
    f"{__package__}.capture.{name}"
    for name in (
        "lazy",
        "sparse",
        "frames",
        "recipes.array_iterators",
        "recipes.masked_arrays",
        "recipes.ufuncs",
        "recipes.columns",
    )
)
"""Imported then as well, but only while nobody waits: sessions with arrays and frames need them at their first save."""


def serve(config: dict[str, Any]) -> None:
    """Serve until the daemon says shutdown or is gone; does not return."""
    os.set_inheritable(config["fd"], False)
    channel = Channel(socket.socket(fileno=config["fd"]))
    crash_fd = config.get("crash_fd")
    if crash_fd is not None:
        os.set_inheritable(crash_fd, False)
        faulthandler.enable(file=crash_fd)
    lifeline = config.get("lifeline_fd")
    if lifeline is not None:
        _hang_on(lifeline)
    lane = config.get("lane_fd")
    if lane is not None:
        os.set_inheritable(lane, False)
    pipes = Pipes(config.get("stdout_fd", 1), config.get("stderr_fd", 2))
    Kernel(channel, pipes, lifeline, lane, config.get("patience")).serve()


class Kernel:
    """The process: its threads, its signals, its children, its end."""

    def __init__(
        self,
        channel: Channel,
        pipes: Pipes,
        lifeline: int | None = None,
        lane: int | None = None,
        patience: float | None = None,
    ) -> None:
        self._channel = channel
        self._lifeline = lifeline
        self._pipes = pipes
        self._tasks: deque[Message] = deque()
        self._wake: SimpleQueue[None] = SimpleQueue()
        self._interrupts = Interrupts(lambda: self._wake.put(None))
        self._outbox = Outbox(channel, pipes, self._interrupts)
        self._desk = Desk(self._outbox)
        self._session = Session(self._outbox, self._desk, lambda: bool(self._tasks), lane, patience)
        self._closing = False
        self._forked = False
        self._cold = list(_WARM)

    def serve(self) -> None:
        """Install everything, say ready, and do what comes."""
        self._interrupts.install()
        self._pipes.install()
        self._desk.install()
        display.install(self._outbox)
        ImportWatch(
            {
                "getpass": adopt_getpass,
                "matplotlib": plots.adopt_matplotlib,
                "IPython.core.display_functions": display.adopt_ipython,
            }
        ).install()
        sys.meta_path.append(FacadeFinder())
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._abandon)
        before_children(self._pipes.drain)
        # Not threading.Thread: user code should find no thread in threading.enumerate() that it didn't start.
        _thread.start_new_thread(self._receive, ())
        self._outbox.send(
            {
                "type": "ready",
                "pid": os.getpid(),
                "python": ".".join(map(str, sys.version_info[:3])),
                "executable": sys.executable,
                "prefix": sys.prefix,
                "platform": sys.platform,
            }
        )
        while self._cold and not self._tasks:
            _import(self._cold.pop(0))
        for name in _SPARE_TIME:
            if self._tasks:
                break
            _import(name)
        while True:
            self._wait()
            for error in self._interrupts.deliver():
                self._complain(error)
            while self._tasks:
                self._do_safely(self._tasks.popleft())

    def _wait(self) -> None:
        """Wait for a message or a signal; in between, do what is done while nobody wants anything."""
        while True:
            try:
                self._wake.get(timeout=self._session.idle_seconds())
                return
            except Empty:
                try:
                    self._session.use_idle_time()
                except Exception as fault:  # noqa: BLE001 - a fault of ours must not end the user's session
                    self._outbox.log("error", f"while idle: {trace(fault)}")

    # -- the control thread

    def _receive(self) -> None:
        if hasattr(signal, "pthread_sigmask"):
            # A SIGINT must wake the main thread out of its system call.
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            while (message := self._channel.receive()) is not None:
                try:
                    self._take_in(message)
                except Exception as error:  # noqa: BLE001 - one bad message must not end the session
                    self._outbox.log("error", f"{message.header.get('type')}: {describe(error)}")
        except (WireError, OSError):
            pass  # The connection is of no further use: the same as the daemon being gone.
        if not self._closing:
            _end_group()

    def _take_in(self, message: Message) -> None:
        header = message.header
        for earlier in header.pop("before", ()):
            self._take_in(Message(earlier, []))
        match header["type"]:
            case "variables":
                self._session.list_variables(header)
            case "inspect" if self._session.can_answer_now(header):
                self._session.inspect_while_busy(header)
            case "input_reply":
                self._desk.answer(header)
            case "interrupt":
                self._interrupts.send()
            case "verify" if self._session.is_busy:
                self._outbox.send({"type": "verified", "id": header["id"]})
            case "committed" | "rejected" as verdict:
                self._session.saving.note_verdict(verdict, header["seq"])
            case "part" | "component":
                self._session.loader.deliver(message)
            case "shutdown":
                self._closing = True
                _thread.start_new_thread(_exit_later, (SHUTDOWN_SECONDS,))
                self._queue(message)
                self._interrupts.send()
            case "run":
                self._session.expect_run()
                self._queue(message)
            case _:
                self._queue(message)

    def _queue(self, message: Message) -> None:
        self._tasks.append(message)
        self._wake.put(None)

    # -- the main thread

    def _do_safely(self, message: Message) -> None:
        error: BaseException | None = None
        try:
            error = self._do(message)
        except Exception as fault:  # noqa: BLE001 - a fault of ours must not end the user's session
            self._outbox.log("error", f"{message.header.get('type')}: {trace(fault)}")
        if self._forked:
            self._leave_child(error)

    def _do(self, message: Message) -> BaseException | None:
        header = message.header
        if header["type"] in ("run", "capture", "restore", "inspect", "differing") and not self._session.is_attached:
            self._attach({})
        match header["type"]:
            case "attach":
                self._attach(header)
            case "choose":
                self._session.choose(header["limits"])
            case "rename":
                self._session.rename(header)
            case "run":
                return self._session.run(header)
            case "capture":
                about = {"id": header["id"]}
                unfaithful = bool(header.get("unfaithful"))
                self._session.saving.send(about, full=bool(header.get("full")), unfaithful=unfaithful)
            case "restore":
                self._session.restore(message)
            case "refuse":
                self._session.loader.refuse(header["components"], header["reason"])
            case "differing":
                self._session.saving.tell_differing(header)
            case "inspect":
                self._session.inspect(header)
            case "export" | "stage" | "adopt":
                self._session.port(message)
            case "stash":
                self._session.stash(header)
            case "compare":
                self._session.compare(header)
            case "verify":
                self._session.verify(header)
            case "shutdown":
                self._shut_down()
            case kind:
                self._outbox.log("warning", f"unknown message {kind!r}")
        return None

    def _attach(self, header: dict[str, Any]) -> None:
        # From here on the document's folder is on the path, where a file may be called traceback.py.
        while self._cold:
            _import(self._cold.pop(0))
        line_buffer_c_stdout()
        try:
            self._session.attach(header)
        except BaseException as error:  # noqa: BLE001 - without a session there is nothing to serve
            # On stderr the daemon finds the cause.
            print(f"Holdfast's kernel could not attach to the document:\n{trace(error)}", file=sys.stderr)
            self._pipes.flush()
            os._exit(1)

    def _shut_down(self) -> None:
        try:
            atexit._run_exitfuncs()
        except BaseException as error:  # noqa: BLE001 - the user's exit handlers; the process ends anyway
            self._complain(error)
        self._pipes.flush()
        os._exit(0)

    def _complain(self, error: BaseException) -> None:
        """A signal handler of the user's raised while no cell was running."""
        if isinstance(error, SystemExit):
            self._shut_down()
        if not isinstance(error, KeyboardInterrupt):
            print(f"Exception ignored between runs:\n{trace(error)}", file=sys.stderr)

    # -- a forked child

    def _abandon(self) -> None:
        """In a forked child: it has our memory, but the session is its parent's."""
        self._forked = True
        self._outbox.abandon()
        self._session.abandon()
        self._pipes.abandon()
        self._interrupts.abandon()
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None
        # A crash of the child is not ours to report.
        faulthandler.disable()

    def _leave_child(self, error: BaseException | None) -> None:
        """A forked child came to the end of what made it; as a script, it would end here."""
        code = 0
        if isinstance(error, SystemExit):
            code = error.code if isinstance(error.code, int) else int(error.code is not None)
        elif error is not None:
            print("\n".join(self._session.describe_error(error, "")["traceback"]), file=sys.stderr)
            code = 1
        self._pipes.flush()
        os._exit(code)


def _import(name: str) -> None:
    try:
        __import__(name)
    except ImportError:
        return  # A Python without it: whoever needs it says so.


def _exit_later(seconds: float) -> None:
    time.sleep(seconds)
    os._exit(0)


def _end_group() -> None:
    """The daemon is gone: end this process and those it started, now, whatever they are doing."""
    if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(1)


def _hang_on(lifeline: int) -> None:
    """Let the operating system end this process group when the other end of the pipe `lifeline` is closed.

    The control thread notices the daemon's death as well, but not while C code holds the interpreter's lock.
    """
    os.set_inheritable(lifeline, False)
    try:
        import fcntl

        if os.getpgrp() == os.getpid():
            fcntl.fcntl(lifeline, fcntl.F_SETOWN, -os.getpid())
            fcntl.fcntl(lifeline, getattr(fcntl, "F_SETSIG", 10), signal.SIGKILL)
            fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)
    except (ImportError, OSError, AttributeError):
        return  # Linux only.
