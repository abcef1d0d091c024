"""Promises about input(), getpass() and sys.stdin."""

from __future__ import annotations

import os
import signal

import pytest
from driver import Answer, Kernel


def answered(kernel: Kernel, code: str, *replies: str) -> tuple[list[tuple[str, bool]], Answer]:
    """Run code, give it the replies one by one, and return what it asked."""
    run = kernel.start(code)
    asked = []
    for reply in replies:
        question = kernel.wait_for("input").header
        assert question["run"] == run
        asked.append((question["prompt"], question["password"]))
        kernel.send("input_reply", id=question["id"], value=reply)
    return asked, kernel.finish()


def test_input_asks_and_its_prompt_is_only_in_the_question(kernel: Kernel) -> None:
    asked, answer = answered(kernel, "(input('Name? '), input())", "Zoë", "")
    assert asked == [("Name? ", False), ("", False)]
    assert answer.result == "('Zoë', '')"
    assert answer.stdout == ""


def test_getpass_asks_for_a_password_however_it_is_imported(kernel: Kernel) -> None:
    asked, answer = answered(kernel, "from getpass import getpass\ngetpass('PIN: '), getpass()", "1", "2")
    assert asked == [("PIN: ", True), ("Password: ", True)]
    assert answer.result == "('1', '2')"


def test_stdin_is_read_line_by_line(kernel: Kernel) -> None:
    _, answer = answered(
        kernel, "import sys\nsys.stdin.readline(), next(sys.stdin), sys.stdin.read(3)", "a", "b", "cdef"
    )
    assert answer.result == "('a\\n', 'b\\n', 'cde')"


def test_what_was_printed_precedes_the_question(kernel: Kernel) -> None:
    kernel.start("print('before')\ninput()")
    question = kernel.wait_for("input").header
    assert b"".join(content for _, content in kernel.events) == b"before\n"
    kernel.send("input_reply", id=question["id"], value="")
    kernel.finish()


def test_no_one_to_ask_is_the_end_of_the_file(kernel: Kernel) -> None:
    kernel.start("import sys\ntry:\n    input()\nexcept EOFError as e:\n    print(e)\nsys.stdin.readline()")
    for _ in range(2):
        kernel.send("input_reply", id=kernel.wait_for("input").header["id"], error="the editor cannot ask")
    answer = kernel.finish()
    assert answer.stdout == "the editor cannot ask\n"
    assert answer.result == "''"


@pytest.mark.parametrize("code", ["input()", "import getpass; getpass.getpass()", "import sys; sys.stdin.readline()"])
def test_waiting_for_an_answer_can_be_interrupted_and_a_late_answer_is_dropped(kernel: Kernel, code: str) -> None:
    kernel.start(code)
    question = kernel.wait_for("input").header
    os.kill(kernel.process.pid, signal.SIGINT)
    assert kernel.finish()["status"] == "interrupted"
    kernel.send("input_reply", id=question["id"], value="late")
    assert answered(kernel, "input()", "fresh")[1].result == "'fresh'"


def test_threads_ask_too(kernel: Kernel) -> None:
    code = "import threading\nt = threading.Thread(target=lambda: print(input('?')))\nt.start(); t.join()"
    assert answered(kernel, code, "x")[1].stdout == "x\n"


def test_a_stdin_of_the_users_own_is_read(kernel: Kernel) -> None:
    code = "import io, sys\nsys.stdin = io.StringIO('one\\n')\ninput('> ')"
    answer = kernel.run(code)
    assert (answer.result, answer.stdout) == ("'one'", "> ")
    assert kernel.run("input()")["error"]["ename"] == "EOFError"


def test_the_debugger_asks_for_its_commands(kernel: Kernel) -> None:
    asked, answer = answered(kernel, "x = 1\nbreakpoint()\nx = 3", "p x + 1", "c")
    assert asked == [("(Pdb) ", False)] * 2
    assert "2\n" in answer.stdout


def test_exit_closes_stdin_for_that_run_only(kernel: Kernel) -> None:
    kernel.run("exit()")
    assert answered(kernel, "input()", "x")[1].result == "'x'"
