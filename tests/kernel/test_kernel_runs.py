"""Promises about running cells: results, namespace, await, and what stays from one cell to the next."""

from __future__ import annotations

from pathlib import Path

import pytest
from driver import Kernel


def test_the_last_expression_is_the_result(kernel: Kernel) -> None:
    answer = kernel.run("x = 41\nx + 1", count=7)
    assert answer["status"] == "ok"
    assert answer["error"] is None
    assert answer.outputs == [
        {"output_type": "execute_result", "execution_count": 7, "data": {"text/plain": "42"}, "metadata": {}}
    ]


@pytest.mark.parametrize("code", ["None", "x = 1", "", "# only a comment", "print", "'a';"])
def test_nothing_is_shown_where_a_notebook_shows_nothing(lasting_kernel: Kernel, code: str) -> None:
    answer = lasting_kernel.run(code)
    assert answer["status"] == "ok"
    assert bool(answer.outputs) == (code == "print")


@pytest.mark.parametrize("code", ["1;", "1 ; # why", "(1\n);  ", "x = 'a;b'; x;", "f'''\n{1}''';"])
def test_a_trailing_semicolon_suppresses_the_result(lasting_kernel: Kernel, code: str) -> None:
    assert lasting_kernel.run(code).outputs == []


@pytest.mark.parametrize("code", ["'a;'", "1 # ;", "(1 # ;\n)"])
def test_other_semicolons_do_not_suppress_it(lasting_kernel: Kernel, code: str) -> None:
    assert lasting_kernel.run(code).result


def test_underscore_is_the_last_result_and_stays_out_of_the_namespace(kernel: Kernel) -> None:
    kernel.run("[1, 2]")
    kernel.run("None")
    assert kernel.value("_ + [3]") == "[1, 2, 3]"
    assert kernel.value("'_' in globals()") == "False"


def test_names_stay_and_main_is_a_real_module(kernel: Kernel, document: Path) -> None:
    kernel.run("def f(): return y")
    kernel.run("y = 5")
    assert kernel.value("f()") == "5"
    assert kernel.value("__name__") == "'__main__'"
    assert kernel.value("__file__") == repr(str(document))
    assert kernel.value("import sys; sys.modules['__main__'].__dict__ is globals()") == "True"
    assert kernel.value("f.__module__, sys.argv == [__file__]") == "('__main__', True)"
    assert kernel.value("import os; os.getcwd()") == repr(str(document.parent.resolve()))


def test_modules_beside_the_document_can_be_imported_and_ours_cannot(kernel: Kernel, document: Path) -> None:
    (document.parent / "wire.py").write_text("mine = True")
    assert kernel.value("import wire; wire.mine") == "True"
    assert kernel.run("import outbox")["error"]["ename"] == "ModuleNotFoundError"


def test_the_users_files_may_shadow_the_standard_library(kernel: Kernel, document: Path) -> None:
    for name in ("traceback", "linecache", "tokenize", "decimal", "datetime"):
        (document.parent / f"{name}.py").write_text("raise SystemError('shadowed')")
    answer = kernel.run("def f():\n    1/0\nf()")
    assert "ZeroDivisionError: division by zero" in answer.traceback
    assert kernel.ask("inspect", expression="[1]")["result"]["total"] == 1


def test_a_folder_that_user_code_changed_to_is_kept_for_the_next_cell(kernel: Kernel, tmp_path: Path) -> None:
    (tmp_path / "deeper").mkdir()
    kernel.run("import os; os.chdir('deeper')")
    assert kernel.value("os.path.basename(os.getcwd())") == "'deeper'"


def test_a_renamed_document_takes_its_session_along(kernel: Kernel, tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.mkdir()
    (there / "neighbour.py").write_text("found = 1")
    kernel.run("x = 1")
    kernel.send("rename", file=str(there / "new.py"), uri="", cwd=str(there))
    assert kernel.value("import os, sys, neighbour; (x, neighbour.found)") == "(1, 1)"
    assert kernel.value("__file__ == sys.argv[0] == os.path.join(os.getcwd(), 'new.py')") == "True"


def test_a_rename_leaves_a_folder_that_user_code_chose(kernel: Kernel, tmp_path: Path) -> None:
    chosen = tmp_path / "chosen"
    chosen.mkdir()
    kernel.run("import os; os.chdir('chosen')")
    kernel.send("rename", file=str(tmp_path / "new.py"), uri="", cwd=str(tmp_path))
    assert kernel.value("os.path.basename(os.getcwd())") == "'chosen'"


def test_future_imports_hold_for_later_cells(kernel: Kernel) -> None:
    kernel.run("from __future__ import annotations")
    kernel.run("def f(x: Unknown) -> AlsoUnknown: ...")
    assert kernel.value("f.__annotations__['x']") == "'Unknown'"


def test_only_the_documents_first_string_is_its_docstring(kernel: Kernel) -> None:
    kernel.run('"""The document."""\nx = 1')
    kernel.run('"""A later cell."""\nx = 2', line=10)
    assert kernel.value("__doc__") == "'The document.'"


@pytest.mark.parametrize("code", ["exit()", "quit()", "import sys; sys.exit(3)", "raise SystemExit"])
def test_exit_ends_the_run_and_not_the_kernel(lasting_kernel: Kernel, code: str) -> None:
    answer = lasting_kernel.run(code)
    assert (answer["status"], answer["error"]["ename"]) == ("error", "SystemExit")
    assert lasting_kernel.value("1 + 1") == "2"


def test_await_works_at_the_top_level(kernel: Kernel) -> None:
    answer = kernel.run(
        """
        import asyncio
        async def double(n):
            await asyncio.sleep(0)
            return 2 * n
        async with asyncio.Lock():
            x = await double(20)
        x + await double(1)
        """
    )
    assert answer.result == "42"


def test_tasks_go_on_while_later_cells_await(kernel: Kernel) -> None:
    kernel.run(
        """
        import asyncio
        seen = []
        async def count():
            for n in range(3):
                seen.append(n)
                await asyncio.sleep(0)
        await asyncio.sleep(0)
        task = asyncio.create_task(count())
        """
    )
    kernel.run("await task")
    assert kernel.value("seen") == "[0, 1, 2]"


def test_asyncio_run_works_in_a_cell_without_await(kernel: Kernel) -> None:
    kernel.run("import asyncio\nawait asyncio.sleep(0)")
    assert kernel.value("async def f(): return 5\nasyncio.run(f())") == "5"
    assert kernel.value("await f()") == "5"


def test_context_variables_set_in_an_awaiting_cell_hold_for_the_next(kernel: Kernel) -> None:
    kernel.run("import asyncio, decimal\nawait asyncio.sleep(0)\ndecimal.getcontext().prec = 5")
    kernel.run("import contextvars\nv = contextvars.ContextVar('v')\nawait asyncio.sleep(0)\nv.set(1)")
    assert kernel.value("decimal.getcontext().prec, v.get()") == "(5, 1)"


def test_threads_of_ours_are_not_among_the_users(kernel: Kernel) -> None:
    assert kernel.value("import threading; threading.enumerate()") == "[<_MainThread(MainThread, started " + (
        kernel.value("threading.main_thread().ident") + ")>]"
    )


def test_a_printing_thread_may_outlive_its_cell(kernel: Kernel) -> None:
    kernel.run(
        """
        import threading
        go, gone = threading.Event(), threading.Event()
        def later():
            go.wait()
            print("late")
            gone.set()
        threading.Thread(target=later).start()
        """
    )
    assert kernel.run("go.set(); gone.wait(); None").stdout == "late\n"


def test_a_run_that_is_to_be_saved_answers_with_a_snapshot(kernel: Kernel) -> None:
    answer = kernel.run("x = [1, 2]", persist=True, cell=4)
    snapshot = answer["snapshot"]
    (component,) = [c for c in snapshot["changed"] if c["members"] == ["x"]]
    assert component["summaries"]["x"]["preview"] == "[1, 2]"
    assert component["summaries"]["x"]["cell"] == 4
    assert len(answer.buffers) == sum(1 + c["buffers"] for c in snapshot["changed"])
    assert snapshot["namesChanged"] == ["x"]


def test_a_failed_run_has_no_snapshot_and_what_it_touched_is_owed(kernel: Kernel) -> None:
    kernel.run("x = [1]", persist=True)
    assert kernel.run("x.append(2); 1/0", persist=True)["snapshot"] is None
    assert kernel.run("y = 0", persist=True)["snapshot"]["namesChanged"] == ["x", "y"]


def test_a_large_snapshot_follows_the_answer(kernel: Kernel) -> None:
    run = kernel.start("big = bytearray(64_000_000)", persist=True)
    assert kernel.finish()["snapshot"] == "pending"
    assert kernel.ask("inspect", expression="big")["result"]["type"] == "bytearray"
    sizes = []
    kinds = ("part", "captured")
    while (frame := kernel.wait_until(lambda frame: frame.header["type"] in kinds)).header["type"] == "part":
        sizes.append(frame.buffers[0].nbytes)
    assert frame.header["run"] == run
    assert frame.header["snapshot"]["namesChanged"] == ["big"]
    assert sum(sizes) >= 64_000_000 and max(sizes) <= 4 << 20


def test_what_the_store_rejected_is_sent_again_and_what_it_has_is_not(kernel: Kernel) -> None:
    first = kernel.run("x = [1]", persist=True)["snapshot"]
    kernel.send("rejected", seq=first["seq"])
    second = kernel.run("y = [2]", persist=True)["snapshot"]
    assert sorted(second["namesChanged"]) == ["x", "y"]
    kernel.send("committed", seq=second["seq"])
    assert kernel.run("x, y;", persist=True)["snapshot"]["namesChanged"] == []
    states = {v["name"]: v["saved"] for v in kernel.ask("variables")["variables"]}
    assert states == {"x": "saved", "y": "saved"}


def test_a_capture_on_request_may_be_complete(kernel: Kernel) -> None:
    kernel.run("x = [1]", persist=True)
    kernel.run("y = 2")
    assert kernel.ask("capture", full=False)["snapshot"]["namesChanged"] == ["y"]
    complete = kernel.ask("capture", full=True)["snapshot"]
    assert complete["full"] and sorted(complete["namesChanged"]) == ["x", "y"]


def test_what_cannot_be_saved_is_named_with_each_snapshot(kernel: Kernel) -> None:
    kernel.run("gone = (lambda g: (next(g), g)[1])(n for n in '-')", persist=True)
    (lost,) = kernel.run("x = 1", persist=True)["snapshot"]["skipped"]
    assert lost["name"] == "gone" and lost["reason"] and lost["remedy"]


def test_the_last_result_changed_through_underscore_is_saved(kernel: Kernel) -> None:
    kernel.run("x = [1]\nx", persist=True)
    assert kernel.run("_.append(2)", persist=True)["snapshot"]["namesChanged"] == ["x"]


def test_what_an_inspected_expression_changes_is_owed(kernel: Kernel) -> None:
    kernel.run("x = [1]", persist=True)
    kernel.ask("inspect", expression="x.append(2)")
    assert kernel.run("y = 0", persist=True)["snapshot"]["namesChanged"] == ["x", "y"]


def test_a_saved_session_comes_back_in_another_kernel(kernel: Kernel) -> None:
    first = kernel.run("x = [1]; y = x", persist=True)
    second = kernel.run("def f(): return y", persist=True)
    components, buffers = [], []
    for answer in (first, second):
        components += answer["snapshot"]["changed"]
        buffers += answer.buffers
    kept = [{k: c[k] for k in ("id", "members", "fingerprint", "buffers")} for c in components]
    with Kernel() as other:
        other.attach(None)
        other.send("restore", buffers, id=1, mode="replace", names=None, components=kept)
        assert sorted(other.wait_for("restored").header["restored"]) == ["f", "x", "y"]
        assert other.value("x is y, f() is x") == "(True, True)"
        assert other.run("z = 1", persist=True)["snapshot"]["namesChanged"] == ["z"]
