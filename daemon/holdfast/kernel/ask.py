"""input(), getpass() and sys.stdin: questions to the user, asked through the daemon."""

from __future__ import annotations

import builtins
import io
import itertools
import sys
from queue import SimpleQueue
from typing import Any

from .outbox import Outbox
from .text import clean

_desk: Desk | None = None


class Desk:
    """Questions that wait for an answer. Asked on any thread, answered by the control thread."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._numbers = itertools.count(1)
        self._waiting: dict[int, SimpleQueue[dict[str, Any]]] = {}

    def install(self) -> None:
        """Take the place of input() and sys.stdin; getpass is taken when it is imported."""
        global _desk
        _desk = self
        builtins.input = input
        sys.stdin = sys.__stdin__ = Stdin()  # type: ignore[misc,assignment]

    def repair(self) -> None:
        """Before a run: give back a stdin that the one before has closed, as exit() does."""
        try:
            closed = sys.stdin is None or sys.stdin.closed
        except Exception:  # noqa: BLE001 - may be any object of the user's
            closed = True
        if closed:
            sys.stdin = sys.__stdin__ = Stdin()  # type: ignore[misc,assignment]

    def ask(self, prompt: str, *, password: bool = False) -> str:
        """Ask the user and wait; Ctrl-C (an interrupt) gets through.

        Raises:
            EOFError: there is no one to ask.
        """
        if not self._outbox.is_open:
            raise EOFError("a forked process can't ask the user")
        number = next(self._numbers)
        answers: SimpleQueue[dict[str, Any]] = SimpleQueue()
        self._waiting[number] = answers
        try:
            self._outbox.send_in_order(
                {
                    "type": "input",
                    "run": self._outbox.run,
                    "id": number,
                    "prompt": clean(prompt),
                    "password": password,
                }
            )
            with self._outbox.interrupts.waiting():
                answer = answers.get()
        finally:
            self._waiting.pop(number, None)
        if answer.get("error"):
            raise EOFError(str(answer["error"]))
        return str(answer.get("value", ""))

    def answer(self, reply: dict[str, Any]) -> None:
        """Hand an answer to the thread that waits for it; one that no longer waits doesn't get it."""
        waiting = self._waiting.get(reply.get("id", 0))
        if waiting is not None:
            waiting.put(reply)


class Stdin(io.TextIOBase):
    """A sys.stdin whose lines are asked for one at a time; the end of the file where no one answers."""

    encoding = "utf-8"
    errors = "strict"
    mode = "r"
    name = "<stdin>"

    def readable(self) -> bool:
        """Return True."""
        return True

    def readline(self, size: int | None = -1, /) -> str:  # type: ignore[override]
        """Ask for one line; what lies beyond `size` characters is dropped."""
        if self.closed:
            raise ValueError("I/O operation on closed file.")
        if _desk is None:
            return ""
        try:
            line = _desk.ask("") + "\n"
        except EOFError:
            return ""
        return line if size is None or size < 0 else line[:size]

    def read(self, size: int | None = -1, /) -> str:
        """Ask for lines until no one answers; with a `size`, for one line."""
        if size is not None and size >= 0:
            return self.readline(size)
        return "".join(self)


def input(prompt: object = "", /) -> str:
    """Read a string from the user, who sees `prompt`; the trailing newline is stripped."""
    if _desk is None or not isinstance(sys.stdin, Stdin):
        # User code put something of its own in the place of stdin: read from that, as Python does.
        if prompt:
            print(prompt, end="", flush=True)
        line = sys.stdin.readline()
        if not line:
            raise EOFError
        return line.rstrip("\n")
    return _desk.ask(str(prompt))


def getpass(prompt: str = "Password: ", stream: object = None, *, echo_char: str | None = None) -> str:
    """Ask for a password, which is not shown while it is typed."""
    if _desk is None:
        raise EOFError("there is no one to ask")
    return _desk.ask(str(prompt), password=True)


def adopt_getpass(module: Any) -> None:
    """The module getpass was imported: no terminal is here, so its question goes the same way."""
    module.getpass = getpass
