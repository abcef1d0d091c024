"""The command line on a terminal: colours, progress, prompts."""

from __future__ import annotations

import os
import pty
import re
import select
import sys
import termios
import time
from pathlib import Path

import pytest

TIMEOUT = 60.0


class Terminal:
    """A command on a pseudo-terminal."""

    def __init__(self, *arguments: str, cwd: Path, **env: str) -> None:
        self.text = ""
        self.shows_typing = True
        self._pid, self._fd = pty.fork()
        if self._pid == 0:
            os.chdir(cwd)
            environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30", **env}
            os.execve(sys.executable, [sys.executable, "-m", "holdfast", *arguments], environment)

    def until(self, text: str) -> None:
        """Read until a text has appeared."""
        deadline = time.monotonic() + TIMEOUT
        while text not in self.text:
            assert time.monotonic() < deadline, f"{text!r} did not appear in {self.text!r}"
            assert self._read(), f"{text!r} did not appear before the end in {self.text!r}"

    def type(self, text: str) -> None:
        """Type on the keyboard."""
        os.write(self._fd, text.encode())

    def end(self) -> int:
        """Read to the end; return the exit code."""
        while self._read():
            pass
        _, status = os.waitpid(self._pid, 0)
        self.shows_typing = bool(termios.tcgetattr(self._fd)[3] & termios.ECHO)
        os.close(self._fd)
        return os.waitstatus_to_exitcode(status)

    def _read(self) -> bool:
        ready, _, _ = select.select([self._fd], [], [], TIMEOUT)
        if not ready:
            return False
        try:
            octets = os.read(self._fd, 65536)
        except OSError:
            return False  # Linux says EIO when the last process has closed its side
        self.text += octets.decode(errors="replace")
        return bool(octets)


def without_escapes(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)


@pytest.fixture
def script(workspace: Path) -> Path:
    path = workspace / "a.py"
    path.write_text("# %% first\nx = 1\nprint('partial', end='')\n# %% second\nx + 1\n")
    return path


def test_a_run_has_colours_and_a_progress_line_that_goes_away(script: Path) -> None:
    terminal = Terminal("run", "a.py", cwd=script.parent)
    assert terminal.end() == 0
    assert "\x1b[32m" in terminal.text
    plain = without_escapes(terminal.text).replace("\r", "\n")
    assert "[1/2] first: ok" in plain and "2 cells in" in plain
    # What the code left unfinished stands on a line of its own.
    assert "partial\n" in plain


def test_a_restore_that_takes_long_shows_a_bar_that_goes_away(script: Path) -> None:
    script.write_text(
        "import time\n"
        "class Slow:\n"
        "    def __setstate__(self, state): self.__dict__.update(state); time.sleep(0.6)\n"
        "slow = Slow()\n"
        "slow.n = 1\n"
    )
    assert Terminal("run", "a.py", cwd=script.parent).end() == 0
    assert Terminal("exec", "a.py", "-c", "slow.n = 2; 1 / 0", cwd=script.parent).end() == 1
    terminal = Terminal("restore", "a.py", cwd=script.parent)
    terminal.until("Restoring")
    assert terminal.end() == 0
    assert "a.py" in without_escapes(terminal.text) and "Restored" in terminal.text


def test_no_color_is_respected(script: Path) -> None:
    terminal = Terminal("run", "a.py", cwd=script.parent, NO_COLOR="1")
    assert terminal.end() == 0
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", terminal.text)


def test_variables_are_a_table(script: Path) -> None:
    Terminal("run", "a.py", cwd=script.parent).end()
    terminal = Terminal("vars", "a.py", cwd=script.parent)
    assert terminal.end() == 0
    assert "─" in terminal.text and "int" in terminal.text


def test_input_prompts_on_the_terminal(script: Path) -> None:
    terminal = Terminal("exec", "a.py", "-c", "name = input('name? '); print('hello', name)", cwd=script.parent)
    terminal.until("name? ")
    terminal.type("kelp\n")
    assert terminal.end() == 0
    assert "hello kelp" in terminal.text


def test_a_password_is_not_shown(script: Path) -> None:
    code = "import getpass; print(len(getpass.getpass('secret: ')))"
    terminal = Terminal("exec", "a.py", "-c", code, cwd=script.parent)
    terminal.until("secret: ")
    terminal.type("sesame\n")
    assert terminal.end() == 0
    assert "sesame" not in terminal.text and "6" in terminal.text


def test_ctrl_c_at_a_prompt_interrupts_the_cell(script: Path) -> None:
    terminal = Terminal("exec", "a.py", "-c", "input('name? ')", cwd=script.parent)
    terminal.until("name? ")
    terminal.type("\x03")
    assert terminal.end() == 4


def test_ctrl_c_at_a_password_leaves_a_terminal_that_shows_what_is_typed(script: Path) -> None:
    terminal = Terminal("exec", "a.py", "-c", "import getpass; getpass.getpass('secret: ')", cwd=script.parent)
    terminal.until("secret: ")
    terminal.type("\x03")
    assert terminal.end() == 4
    assert terminal.shows_typing


def test_clear_asks_before_it_clears(script: Path) -> None:
    Terminal("run", "a.py", cwd=script.parent).end()
    terminal = Terminal("clear", "a.py", cwd=script.parent)
    terminal.until("[y/N]")
    terminal.type("n\n")
    assert terminal.end() == 4
    terminal = Terminal("clear", "a.py", cwd=script.parent)
    terminal.until("[y/N]")
    terminal.type("y\n")
    assert terminal.end() == 0
