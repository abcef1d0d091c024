"""Promises about output: nothing lost, everything in order, whoever writes it and whatever they do to the streams."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from driver import Kernel


def test_streams_and_displays_keep_their_order(kernel: Kernel) -> None:
    answer = kernel.run(
        """
        import sys
        for n in range(30):
            print("out", n)
            print("err", n, file=sys.stderr)
            display(n)
        "result"
        """
    )
    expected: list[tuple[str, object]] = []
    for n in range(30):
        expected += [("stdout", f"out {n}\n"), ("stderr", f"err {n}\n"), ("output", str(n))]
    assert answer.merged == [*expected, ("output", "'result'")]


def test_the_order_is_kept_for_a_slow_reader(document: Path) -> None:
    with Kernel(slow=0.003) as kernel:
        kernel.attach(document)
        answer = kernel.run("import sys\nfor n in range(5):\n  print(n)\n  print(-n, file=sys.stderr)\n  display(n)")
        assert [kind for kind, _ in answer.merged] == ["stdout", "stderr", "output"] * 5


def test_subprocesses_and_c_code_print_in_their_place(kernel: Kernel) -> None:
    answer = kernel.run(
        """
        import ctypes, os, subprocess, sys
        libc = ctypes.CDLL(None)
        print("1", end="")
        subprocess.run(["sh", "-c", "printf 2; printf e >&2"])
        print("3", end="")
        os.write(1, b"4")
        libc.puts(b"5")
        sys.stdout.buffer.write(b"6")
        os.system("printf 7")
        print(8, flush=True)
        """
    )
    assert answer.stdout == "12345\n678\n"
    assert answer.stderr == "e"


@pytest.mark.parametrize(
    "start",
    [
        "os.system('echo child')",
        "subprocess.run('echo child', shell=True)",
        "subprocess.run(['echo', 'child'], close_fds=False)",
        "os.waitpid(os.posix_spawn('/bin/sh', ['sh', '-c', 'echo child'], {}), 0)",
        "os.spawnlp(os.P_WAIT, 'echo', 'echo', 'child')",
        "multiprocessing.get_context('fork').Process(target=os.write, args=(1, b'child\\n')).start()"
        " or [process.join() for process in multiprocessing.active_children()]",
    ],
)
def test_what_a_subprocess_prints_does_not_overtake_what_python_printed_before(document: Path, start: str) -> None:
    with Kernel(slow=0.003) as kernel:
        kernel.attach(document)
        answer = kernel.run(
            "import multiprocessing, os, subprocess, sys\n"
            f"for n in range(5):\n  print(n, file=sys.stderr)\n  {start}\n"
            "assert os.system.__module__ == 'posix'"
        )
        assert answer.merged == [pair for n in range(5) for pair in (("stderr", f"{n}\n"), ("stdout", "child\n"))]


def test_what_a_subprocess_wrote_to_stderr_precedes_the_next_print(kernel: Kernel) -> None:
    answer = kernel.run(
        "import subprocess\nfor n in range(5):\n  subprocess.run('echo e >&2', shell=True)\n  print('o')"
    )
    assert answer.merged == [("stderr", "e\n"), ("stdout", "o\n")] * 5


def test_what_c_code_kept_in_its_buffer_arrives_with_the_run(kernel: Kernel) -> None:
    assert kernel.run("import ctypes\nctypes.CDLL(None).printf(b'no newline');").stdout == "no newline"


def test_a_hundred_megabytes_arrive_whole(kernel: Kernel) -> None:
    answer = kernel.run(
        """
        import hashlib, os, sys
        digest = hashlib.sha256()
        for n in range(100):
            block = os.urandom(1 << 19).hex()
            digest.update(block.encode())
            if n % 2:
                print(block, end="")
            else:
                os.write(1, block.encode()) == len(block) or 1/0
        sys.stderr.write(digest.hexdigest())
        """
    )
    printed = b"".join(content for kind, content in answer.events if kind == "stdout")
    assert len(printed) == 100 << 20
    assert hashlib.sha256(printed).hexdigest() == answer.stderr


def test_a_million_lines_arrive_whole(kernel: Kernel) -> None:
    answer = kernel.run("for n in range(1_000_000): print(n)")
    assert answer.stdout == "".join(f"{n}\n" for n in range(1_000_000))


def test_all_bytes_of_a_run_are_taken_before_it_is_done(document: Path) -> None:
    with Kernel(slow=0.01) as kernel:
        kernel.attach(document)
        for n in range(5):
            answer = kernel.run(f"import os; os.write({n % 2 + 1}, b'x' * 300_000);")
            assert len(answer.stdout + answer.stderr) == 300_000


def test_a_child_that_prints_for_ever_does_not_hold_up_the_run(kernel: Kernel) -> None:
    answer = kernel.run(
        """
        import subprocess
        child = subprocess.Popen(["sh", "-c", "while :; do echo spam; done"])
        child.stdout
        """
    )
    assert answer["status"] == "ok"
    assert kernel.run("child.kill(); child.wait(); None")["status"] == "ok"
    assert kernel.run("print('quiet')").stdout.endswith("quiet\n")


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("print('é ∀ 😀')", "é ∀ 😀\n"),
        ("print('\\ud800')", "\\ud800\n"),
        ("print('a\\r\\nb', end='')", "a\r\nb"),
        ("print()", "\n"),
        ("import sys; sys.stdout.writelines(['a', 'b'])", "ab"),
        ("import sys; sys.stdout.write('')", ""),
    ],
)
def test_text_arrives_as_utf8(lasting_kernel: Kernel, code: str, text: str) -> None:
    assert lasting_kernel.run(code).stdout == text


def test_stdout_says_what_it_is(kernel: Kernel) -> None:
    kernel.run("import sys")
    assert kernel.value("sys.stdout.isatty(), sys.stdout.fileno(), sys.stderr.fileno()") == "(False, 1, 2)"
    assert kernel.value("sys.stdout.encoding, sys.stdout.name, sys.stdout.mode") == "('utf-8', '<stdout>', 'w')"
    assert kernel.value("sys.stdout.writable(), sys.stdout.readable(), sys.stdout.closed") == "(True, False, False)"
    assert kernel.value("sys.stdout is sys.__stdout__") == "True"


def test_redirection_works_and_ends_where_it_should(kernel: Kernel, tmp_path: Path) -> None:
    answer = kernel.run(
        """
        import contextlib, io, os, sys
        with contextlib.redirect_stdout(io.StringIO()) as caught:
            print("caught")
        saved = os.dup(1)
        file = os.open("file", os.O_CREAT | os.O_WRONLY)
        os.dup2(file, 1)
        print("to the file")
        os.dup2(saved, 1)
        os.close(saved), os.close(file)
        print("back", caught.getvalue().strip())
        """
    )
    assert answer.stdout == "back caught\n"
    assert (tmp_path / "file").read_text() == "to the file\n"


@pytest.mark.parametrize(
    "harm",
    [
        "import sys; sys.stdout.close()",
        "import sys; sys.stdout.buffer.close()",
        "import sys; sys.stdout.detach()",
        "import sys; sys.stdout = None",
        "import sys; del sys.stdout",
        "import os; os.close(1)",
        "import os; os.close(1); os.close(2)",
        "import os; os.set_blocking(1, False)",
        "import os; os.close(0)",
        "import sys; sys.stdin.close()",
    ],
)
def test_who_closes_a_stream_has_it_back_in_the_next_run(kernel: Kernel, harm: str) -> None:
    kernel.run(harm)
    answer = kernel.run("import sys; print('a' * 3_000_000); print('b', file=sys.stderr)")
    assert (len(answer.stdout), answer.stderr, answer["status"]) == (3_000_001, "b\n", "ok")


def test_a_stream_of_the_users_own_is_kept_and_flushed(kernel: Kernel) -> None:
    kernel.run("import io, sys\nsys.stdout = io.TextIOWrapper(io.BufferedWriter(sys.stdout.buffer))")
    assert kernel.run("print('kept back')").stdout == "kept back\n"


def test_prints_of_many_threads_are_whole_lines(kernel: Kernel) -> None:
    answer = kernel.run(
        """
        import sys, threading
        def work(n):
            for _ in range(200):
                (sys.stdout if n % 2 else sys.stderr).write(f"{n}\\n" * 3)
        threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
        for t in threads: t.start()
        for t in threads: t.join()
        """
    )
    lines = (answer.stdout + answer.stderr).split()
    assert {n: lines.count(n) for n in "012345"} == dict.fromkeys("012345", 600)
