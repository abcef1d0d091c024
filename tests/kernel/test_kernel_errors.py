"""Promises about errors: the user's lines, the document's line numbers, and none of our frames."""

from __future__ import annotations

from pathlib import Path

import pytest
from driver import Answer, Kernel


def version(kernel: Kernel) -> tuple[int, ...]:
    """Return the Python version of the kernel."""
    return tuple(map(int, kernel.ready["python"].split(".")))


def test_a_traceback_shows_the_lines_that_were_run_with_the_documents_numbers(kernel: Kernel, document: Path) -> None:
    document.write_text("# on disk\n" * 30)
    answer = kernel.run("def f(x):\n    return 1 / x\n\nf(0)", filename=str(document), line=10)
    lines = [line for line in answer.traceback.split("\n") if line.strip(" ~^")]
    assert lines == [
        "Traceback (most recent call last):",
        f'  File "{document}", line 14, in <module>',
        "    f(0)",
        f'  File "{document}", line 12, in f',
        "    return 1 / x",
        "ZeroDivisionError: division by zero",
    ]
    assert (answer["error"]["ename"], answer["error"]["evalue"]) == ("ZeroDivisionError", "division by zero")
    assert answer["error"]["line"] == 11
    if version(kernel) >= (3, 11):
        assert "    return 1 / x\n           ~~^~~\n" in answer.traceback
        assert answer["error"]["column"] == 11


def test_code_without_a_file_has_its_lines_too(kernel: Kernel) -> None:
    kernel.run("def f():\n    raise KeyError('gone')", filename="<run 1>")
    kernel.run("import linecache; linecache.checkcache(); linecache.clearcache()", filename="<run 2>")
    answer = kernel.run("f()", filename="<run 3>")
    assert "    raise KeyError('gone')" in answer.traceback
    assert answer["error"]["line"] == 0


def test_getsource_works_on_what_a_cell_defined(kernel: Kernel, document: Path) -> None:
    kernel.run("x = 1\ndef f():\n    return x", filename=str(document), line=5)
    assert kernel.value("import inspect; inspect.getsource(f)") == repr("def f():\n    return x\n")


def test_running_one_cell_keeps_the_lines_of_the_next(kernel: Kernel, document: Path) -> None:
    kernel.run("def f():\n    raise ValueError", filename=str(document), line=3)
    kernel.run("a = 1\nb = 2\n", filename=str(document), line=1)
    assert "    raise ValueError" in kernel.run("f()", filename=str(document), line=8).traceback


@pytest.mark.parametrize(
    ("code", "line", "column", "shown"),
    [
        ("x = 1\ny = = 2", 11, 4, "y = = 2"),
        ("def f():\n    return 1\nreturn 5", 12, 0, "return 5"),
        ("'äää'; return 'é'", 10, 7, "return 'é'"),
        ("x = (1,\n", 10, 4, "x = (1,"),
        ("ä = 'é' 1", 10, 8, "ä = 'é' 1"),
        ("for i in x:\npass", 11, 0, "pass"),
        ("if True:\n  a = 1\n b = 2", 12, None, "b = 2"),
    ],
)
def test_a_syntax_error_has_its_place_in_the_document(
    lasting_kernel: Kernel, document: Path, code: str, line: int, column: int | None, shown: str
) -> None:
    document.write_text("wrong on disk\n" * 20)
    answer = lasting_kernel.run(code, filename=str(document), line=10)
    error = answer["error"]
    assert error["line"] == line
    assert column is None or error["column"] == column
    assert error["traceback"][0] == f'  File "{document}", line {line + 1}'
    assert shown in answer.traceback
    assert "Traceback" not in answer.traceback
    assert lasting_kernel.value("1") == "1"


@pytest.mark.parametrize("code", ["x = '\0'", "'\ud800'", "(" * 5000, "-" * 200_000 + "1"])
def test_code_that_python_refuses_is_an_error_of_the_cell(lasting_kernel: Kernel, code: str) -> None:
    assert lasting_kernel.run(code)["status"] == "error"
    assert lasting_kernel.value("1") == "1"


def test_causes_and_contexts_are_shown_without_our_frames(kernel: Kernel) -> None:
    answer = kernel.run(
        """
        def f():
            try:
                1 / 0
            except ZeroDivisionError as e:
                raise ValueError("outer") from e
        try:
            f()
        except ValueError:
            {}["key"]
        """
    )
    text = answer.traceback
    assert "The above exception was the direct cause of the following exception:" in text
    assert "During handling of the above exception, another exception occurred:" in text
    assert text.index("ZeroDivisionError") < text.index("ValueError: outer") < text.index("KeyError: 'key'")
    assert "holdfast" not in text


def test_the_members_of_a_group_are_shown(kernel: Kernel) -> None:
    if version(kernel) < (3, 11):
        pytest.skip("exception groups came with 3.11")
    answer = kernel.run(
        """
        import asyncio
        async def fail(n):
            raise ValueError(n)
        async with asyncio.TaskGroup() as group:
            group.create_task(fail(1))
            group.create_task(fail(2))
        """
    )
    assert answer["error"]["ename"] == "ExceptionGroup"
    assert "ValueError: 1" in answer.traceback and "ValueError: 2" in answer.traceback
    assert "holdfast" not in answer.traceback


def test_an_error_after_an_await_shows_no_frames_of_the_loop(kernel: Kernel) -> None:
    answer = kernel.run("import asyncio\nawait asyncio.sleep(0)\n1/0", filename="<run 1>")
    assert answer["error"]["traceback"][1].startswith('  File "<run 1>", line 3, in <module>\n    1/0')
    assert len(answer["error"]["traceback"]) == 3
    assert answer["error"]["line"] == 2


@pytest.mark.parametrize("mutual", [False, True])
def test_endless_recursion_has_a_short_traceback(kernel: Kernel, mutual: bool) -> None:
    answer = kernel.run("def f(n): return g(n)\ndef g(n): return f(n)\nf(0)" if mutual else "def f(): f()\nf()")
    assert answer["error"]["ename"] == "RecursionError"
    assert len(answer["error"]["traceback"]) < 80
    assert ("more calls" in answer.traceback) == mutual
    assert kernel.value("1") == "1"


def test_recursion_far_beyond_the_usual_limit_is_answered_too(kernel: Kernel) -> None:
    answer = kernel.run("import sys; sys.setrecursionlimit(10_000)\ndef f(n): return f(n + 1) + 1\nf(0)")
    assert answer["error"]["ename"] == "RecursionError"
    assert len(answer.traceback) < 20_000


@pytest.mark.parametrize("name", ["__str__", "__repr__"])
def test_an_exception_that_cannot_be_printed_is_still_named(kernel: Kernel, name: str) -> None:
    answer = kernel.run(f"class Odd(Exception):\n    def {name}(self): raise ValueError\nraise Odd(1)")
    assert answer["error"]["ename"] == "Odd"
    assert "Odd" in answer.traceback


def test_lone_surrogates_in_an_error_survive_utf8(kernel: Kernel) -> None:
    answer = kernel.run("raise ValueError('\\ud800')")
    assert answer["error"]["evalue"] == "\\ud800"
    answer.traceback.encode()


def test_a_huge_message_is_shortened(kernel: Kernel) -> None:
    assert len(kernel.run("raise ValueError('x' * 10**7)")["error"]["evalue"]) < 200_000


def test_warnings_name_the_documents_line_and_come_again_with_the_next_run(kernel: Kernel, document: Path) -> None:
    for _ in range(2):
        answer = kernel.run("\nimport warnings\nwarnings.warn('careful')", filename=str(document), line=20)
        assert f"{document}:23: UserWarning: careful" in answer.stderr
        assert "warnings.warn('careful')" in answer.stderr


def test_the_compilers_warnings_name_the_documents_line(kernel: Kernel, document: Path) -> None:
    answer = kernel.run("x = 1\nx is 1", filename=str(document), line=20)
    assert f'{document}:22: SyntaxWarning: "is" with' in answer.stderr


def test_the_last_error_is_there_for_the_debugger(kernel: Kernel) -> None:
    kernel.run("def f(secret): 1/0\nf(42)")
    assert kernel.value("import sys; sys.last_traceback.tb_frame.f_code.co_name") == "'<module>'"
    assert kernel.value("sys.last_traceback.tb_next.tb_frame.f_locals") == "{'secret': 42}"


def reborn(kernel: Kernel, answers: list[Answer], file: Path) -> None:
    """Give a kernel what others have saved in these runs."""
    components, buffers = {}, {}
    for answer in answers:
        position = 0
        for component in answer["snapshot"]["changed"]:
            components[component["id"]] = {k: component[k] for k in ("id", "members", "fingerprint", "buffers")}
            end = position + 1 + component["buffers"]
            buffers[component["id"]] = answer.buffers[position:end]
            position = end
    kernel.attach(file)
    flat = [buffer for key in components for buffer in buffers[key]]
    kernel.send("restore", flat, id=1, mode="replace", names=None, components=list(components.values()))
    assert not kernel.wait_for("restored").header["failed"]


def test_restored_functions_have_the_lines_that_made_them(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    place = {"filename": str(file), "persist": True}
    made = "import inspect, warnings\ndef broken(x):\n    return 1 / x  # here\nclass C:\n    'made'\n"
    with Kernel() as first:
        first.attach(file)
        answers = [
            first.run(made, line=4, **place),
            first.run("def other():\n    raise KeyError  # there", filename="<run 90>", persist=True),
        ]
    file.write_text("changed = True\n" * 20)
    with Kernel() as second:
        reborn(second, answers, file)
        assert "return 1 / x  # here" in second.run("broken(0)").traceback
        assert "raise KeyError  # there" in second.run("other()").traceback
        assert second.value("inspect.getsource(broken)") == repr("def broken(x):\n    return 1 / x  # here\n")
        assert second.value("inspect.getsource(C)") == repr("class C:\n    'made'\n")
        assert second.value("inspect.getsource(other)") == repr("def other():\n    raise KeyError  # there\n")


def test_a_traceback_shows_a_function_s_own_lines_when_a_later_cell_lies_over_them(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    place = {"filename": str(file), "persist": True}
    with Kernel() as first:
        first.attach(file)
        answers = [
            first.run("def broken(x):\n    return 1 / x", line=0, **place),
            first.run("def later():\n    return 'something else'", line=0, **place),
        ]
        text = first.run("try:\n    broken(0)\nexcept ZeroDivisionError as e:\n    raise KeyError from e").traceback
        assert "return 1 / x" in text
        assert "something else" not in text
    with Kernel() as second:
        reborn(second, answers, file)
        text = second.run("broken(0)").traceback
        assert "return 1 / x" in text
        assert "something else" not in text
