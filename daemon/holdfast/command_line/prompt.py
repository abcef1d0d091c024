"""Answers to ``input()`` and ``getpass()`` in a cell, typed on the terminal or piped in."""

from __future__ import annotations

import asyncio
import getpass
import sys
import threading
from collections.abc import Callable
from typing import Any

from holdfast_client.errors import HoldfastError
from holdfast_client.jsonrpc import INTERNAL_ERROR


class Prompt:
    """Asks the user; one question at a time, in a thread that never keeps the process from ending.

    Args:
        before: Called before a question is shown, to clear the line of whatever stands there.
    """

    def __init__(self, before: Callable[[], None] = lambda: None) -> None:
        self._before = before
        self._line: asyncio.Future[str] | None = None

    async def answer(self, params: dict[str, Any]) -> str:
        """Return what the user types for a ``holdfast/input`` request.

        Raises:
            HoldfastError: standard input has ended.
        """
        self._before()
        if self._line is None:
            if params["password"] and sys.stdin.isatty():
                self._line = _in_thread(lambda: getpass.getpass(params["prompt"]) + "\n")
            else:
                _ask(params["prompt"])
                self._line = _in_thread(sys.stdin.readline)
        else:
            # The cell that asked before was interrupted, and the terminal is still being read.
            _ask(params["prompt"])
        try:
            # Shielded: an interrupted cell withdraws its question, but nobody can withdraw a read.
            line = await asyncio.shield(self._line)
        except asyncio.CancelledError:
            _show_typing()
            raise
        self._line = None
        if not line:
            raise HoldfastError(INTERNAL_ERROR, "Standard input has ended.")
        return line.removesuffix("\n")


def _ask(prompt: str) -> None:
    print(prompt, end="", file=sys.stdout if sys.stdin.isatty() else sys.stderr, flush=True)


def _show_typing() -> None:
    """Let the terminal show what is typed again, as a `getpass` would have done that came to its end."""
    try:
        import termios
    except ImportError:
        return  # Windows reads passwords without changing the console
    if sys.stdin.isatty():
        modes = termios.tcgetattr(sys.stdin)
        modes[3] |= termios.ECHO
        termios.tcsetattr(sys.stdin, termios.TCSANOW, modes)


def _in_thread(read: Callable[[], str]) -> asyncio.Future[str]:
    loop = asyncio.get_running_loop()
    result: asyncio.Future[str] = loop.create_future()

    def settle(line: str) -> None:
        if not result.done():
            result.set_result(line)

    def work() -> None:
        try:
            line = read()
        except (EOFError, OSError, ValueError):
            line = ""
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, line)

    threading.Thread(target=work, name="holdfast-prompt", daemon=True).start()
    return result
