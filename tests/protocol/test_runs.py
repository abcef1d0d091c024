"""Running cells: what a client gets back."""

from __future__ import annotations

import asyncio
import base64
import os
import venv
from pathlib import Path

import pytest
from harness import Client, RpcError, opened, text_of
from thorough import THOROUGH


async def test_a_run_needs_no_did_open_and_is_saved(daemon: Client) -> None:
    run = await daemon.run("a.py", "x = 41")
    assert run["status"] == "ok"
    assert run["executionCount"] == 1
    assert run["state"]["status"] == "saved"
    assert run["state"]["version"] == 1
    assert run["state"]["changed"] == ["x"]
    assert await daemon.value("a.py", "x + 1") == "42"


async def test_the_last_expression_is_shown_as_in_a_notebook(daemon: Client) -> None:
    run = await daemon.run("a.py", "1 + 1", options={"collectOutputs": True})
    assert run["outputs"] == [
        {"output_type": "execute_result", "data": {"text/plain": "2"}, "metadata": {}, "execution_count": 1}
    ]
    shown = await daemon.notified("holdfast/output")
    assert shown["runId"] == run["runId"]
    assert shown["output"] == run["outputs"][0]


async def test_outputs_come_before_the_result_and_in_order(daemon: Client) -> None:
    code = (
        "import sys, os\nfor i in range(50):\n    print(i)\n    print(i, file=sys.stderr)\n    os.system(f'echo c{i}')"
    )
    run = await daemon.run("a.py", code, options={"collectOutputs": True})
    whole = [(output["name"], line) for output in run["outputs"] for line in output["text"].splitlines()]
    assert whole == [pair for i in range(50) for pair in (("stdout", f"{i}"), ("stderr", f"{i}"), ("stdout", f"c{i}"))]
    assert daemon.stream(run["runId"]) == text_of(run)


async def test_cells_ranges_and_the_whole_document_come_from_the_open_text(daemon: Client) -> None:
    text = "# %% first\na = 1\n# %% second\nb = 2\nc = [\n  3,\n]\n"
    daemon.notify(
        "textDocument/didOpen",
        {"textDocument": {"uri": daemon.uri("a.py"), "languageId": "python", "version": 1, "text": text}},
    )
    await daemon.run("a.py", cell={"index": 1})
    assert sorted(await daemon.variables("a.py")) == ["b", "c"]
    await daemon.run("a.py", range={"start": {"line": 1, "character": 0}, "end": {"line": 1, "character": 5}})
    assert sorted(await daemon.variables("a.py")) == ["a", "b", "c"]
    daemon.notify(
        "textDocument/didChange",
        {
            "textDocument": {"uri": daemon.uri("a.py"), "version": 2},
            "contentChanges": [
                {"range": {"start": {"line": 1, "character": 4}, "end": {"line": 1, "character": 5}}, "text": "10"}
            ],
        },
    )
    await daemon.run("a.py")
    assert await daemon.value("a.py", "a, b, c") == "(10, 2, [3])"


async def test_a_document_that_is_not_open_is_read_from_disk(daemon: Client) -> None:
    (daemon.folder / "a.py").write_text("x = 'disk'\n# %%\ny = 2\n")
    await daemon.run("a.py")
    assert await daemon.value("a.py", "x") == "'disk'"


async def test_an_exception_is_a_run_with_status_error_and_the_users_lines(daemon: Client) -> None:
    path = daemon.folder / "a.py"
    path.write_text("# %%\nimport math\n# %%\ndef f(x):\n    return math.sqrt(x)\n\nf(-1)\n")
    await daemon.run("a.py", cell={"index": 0})
    run = await daemon.run("a.py", cell={"index": 1})
    assert run["status"] == "error"
    error = run["error"]
    assert error["ename"] == "ValueError"
    whole = "".join(error["traceback"])
    assert f'File "{path}", line 7' in whole
    assert f'File "{path}", line 5, in f' in whole
    assert "return math.sqrt(x)" in whole
    assert "holdfast" not in whole
    assert error["location"]["uri"] == daemon.uri("a.py")
    assert run["state"]["status"] == "unchanged"


async def test_a_syntax_error_has_its_place_in_the_document(daemon: Client) -> None:
    (daemon.folder / "a.py").write_text("# %%\nx = 1\n# %%\ny = 2\nz = = 3\n")
    run = await daemon.run("a.py", cell={"index": 1})
    assert run["status"] == "error"
    assert run["error"]["ename"] == "SyntaxError"
    assert run["error"]["location"]["range"]["start"]["line"] == 4
    assert run["error"]["location"]["range"]["start"]["character"] == 4


async def test_runs_of_one_file_queue_in_order(daemon: Client) -> None:
    await daemon.run("a.py", "log = []")
    runs = [
        daemon.start_request("holdfast/execute", {**daemon.document("a.py"), "code": f"log.append({i})"})[1]
        for i in range(30)
    ]
    counts = [(await run)["executionCount"] for run in runs]
    assert counts == list(range(2, 32))
    assert await daemon.value("a.py", "log") == str(list(range(30)))


async def test_different_files_run_side_by_side(daemon: Client) -> None:
    (daemon.folder / "gate").mkdir()
    wait = "import os, time\nwhile not os.path.exists('gate/open'): time.sleep(0.01)\ndone = True"
    slow = daemon.start_request("holdfast/execute", {**daemon.document("slow.py"), "code": wait})[1]
    run = await daemon.run("fast.py", "open('gate/open', 'w').close()")
    assert run["status"] == "ok"
    assert (await slow)["status"] == "ok"


async def test_the_namespace_is_a_real_main_with_the_documents_file(daemon: Client) -> None:
    (daemon.folder / "sub").mkdir()
    assert await daemon.value("sub/a.py", "__name__, __file__") == repr(("__main__", str(daemon.folder / "sub/a.py")))
    assert await daemon.value("sub/a.py", "__import__('os').getcwd()") == repr(str(daemon.folder / "sub"))
    assert await daemon.value("sub/a.py", "__import__('sys').modules['__main__'].__dict__ is globals()") == "True"


async def test_a_module_beside_the_document_can_be_imported(daemon: Client) -> None:
    (daemon.folder / "neighbour.py").write_text("answer = 42\n")
    assert (await daemon.run("a.py", "import neighbour"))["status"] == "ok"
    assert await daemon.value("a.py", "neighbour.answer") == "42"


async def test_nothing_of_holdfast_is_on_the_users_path(daemon: Client) -> None:
    await daemon.run(
        "a.py", "import sys, pathlib\nfound = [p for p in sys.path if (pathlib.Path(p) / 'loop.py').exists()]"
    )
    assert await daemon.value("a.py", "found, 'holdfast' in sys.modules") == "([], False)"


async def test_await_works_at_the_top_level(daemon: Client) -> None:
    run = await daemon.run("a.py", "import asyncio\nx = await asyncio.sleep(0.01, 'slept')")
    assert run["status"] == "ok", run["error"]
    assert await daemon.value("a.py", "x") == "'slept'"


async def test_input_asks_the_client(daemon: Client) -> None:
    daemon.input_answers.append("Ada")
    run = await daemon.run("a.py", "name = input('Who? ')")
    assert run["status"] == "ok", run["error"]
    assert daemon.inputs[0]["prompt"] == "Who? "
    assert daemon.inputs[0]["password"] is False
    assert await daemon.value("a.py", "name") == "'Ada'"


async def test_an_interrupt_ends_the_cell_and_keeps_the_kernel(daemon: Client) -> None:
    await daemon.run("a.py", "kept = 1")
    _, running = daemon.start_request(
        "holdfast/execute", {**daemon.document("a.py"), "code": "print('on')\nwhile True: pass"}
    )
    await daemon.notified("holdfast/output", lambda params: params["output"].get("text") == "on\n")
    pid = (await daemon.session("a.py"))["pid"]
    assert await daemon.request("holdfast/interrupt", daemon.document("a.py")) == {"interrupted": True}
    run = await running
    assert run["status"] == "interrupted"
    assert run["error"]["ename"] == "KeyboardInterrupt"
    assert (await daemon.session("a.py"))["pid"] == pid
    assert await daemon.value("a.py", "kept") == "1"


async def test_a_second_interrupt_ends_code_that_ignores_the_first(daemon: Client) -> None:
    await daemon.run("a.py", "kept = [1, 2]")
    stubborn = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nprint('on')\nwhile True: pass"
    _, running = daemon.start_request("holdfast/execute", {**daemon.document("a.py"), "code": stubborn})
    await daemon.notified("holdfast/output", lambda params: params["output"].get("text") == "on\n")
    await daemon.request("holdfast/interrupt", daemon.document("a.py"))
    await daemon.request("holdfast/interrupt", daemon.document("a.py"))
    run = await running
    assert run["status"] == "interrupted"
    assert run["error"]["cause"]
    assert await daemon.value("a.py", "kept") == "[1, 2]"


async def test_interrupting_an_idle_session_says_so(daemon: Client) -> None:
    await daemon.run("a.py", "x = 1")
    assert await daemon.request("holdfast/interrupt", daemon.document("a.py")) == {"interrupted": False}


async def test_a_run_that_passes_its_timeout_is_interrupted_with_the_cause(daemon: Client) -> None:
    run = await daemon.run("a.py", "import time\ntime.sleep(1000)", options={"timeout": 200})
    assert run["status"] == "interrupted"
    assert "200 ms" in run["error"]["cause"]


async def test_a_cancelled_request_is_taken_out_of_the_queue_or_interrupted(daemon: Client) -> None:
    await daemon.run("a.py", "seen = []")
    first, running = daemon.start_request(
        "holdfast/execute", {**daemon.document("a.py"), "code": "print('on')\nwhile True: pass"}
    )
    second, queued = daemon.start_request("holdfast/execute", {**daemon.document("a.py"), "code": "seen.append(2)"})
    await daemon.notified("holdfast/output", lambda params: params["output"].get("text") == "on\n")
    daemon.notify("$/cancelRequest", {"id": second})
    daemon.notify("$/cancelRequest", {"id": first})
    for future in (running, queued):
        with pytest.raises(RpcError) as caught:
            await future
        assert caught.value.code == -32800
    assert await daemon.value("a.py", "seen") == "[]"


async def test_persist_false_saves_nothing_now_and_everything_with_the_next_run(daemon: Client) -> None:
    run = await daemon.run("a.py", "x = 1", options={"persist": False})
    assert run["state"]["status"] == "off"
    assert (await daemon.state("a.py"))["hasSavedState"] is False
    run = await daemon.run("a.py", "y = 2")
    assert sorted(run["state"]["changed"]) == ["x", "y"]


async def test_a_failed_run_saves_nothing_until_the_next_good_one(daemon: Client) -> None:
    await daemon.run("a.py", "x = 1")
    run = await daemon.run("a.py", "x = 2\nraise RuntimeError('no')")
    assert run["state"]["version"] == 1
    assert (await daemon.session("a.py"))["dirty"] is True
    run = await daemon.run("a.py", "y = 3")
    assert sorted(run["state"]["changed"]) == ["x", "y"]
    assert (await daemon.session("a.py"))["dirty"] is False


async def test_rollback_on_error_takes_memory_back(daemon: Client) -> None:
    await daemon.run("a.py", "x = [1]")
    await daemon.run("a.py", "x.append(2)\nnew = 1\nraise RuntimeError", options={"rollbackOnError": True})
    assert await daemon.value("a.py", "x, 'new' in globals()") == "([1], False)"


async def test_a_run_that_changes_nothing_says_unchanged(daemon: Client) -> None:
    await daemon.run("a.py", "x = 1")
    run = await daemon.run("a.py", "x + 1")
    assert run["state"]["status"] == "unchanged"
    assert run["state"]["version"] == 1


async def test_a_session_shows_its_status_and_its_queue(daemon: Client) -> None:
    await daemon.run("a.py", "x = 1")
    session = await daemon.session("a.py")
    assert session["status"] == "idle"
    assert session["language"] == "python"
    assert session["executionCount"] == 1
    assert session["version"] == 1
    assert session["queue"] == 0
    assert session["memory"] > 1_000_000
    os.kill(session["pid"], 0)
    statuses = [params["status"] for method, params in daemon.notifications if method == "holdfast/sessionStatus"]
    assert statuses == ["starting", "idle", "busy", "idle"]


async def test_commands_do_what_the_requests_do(daemon: Client) -> None:
    (daemon.folder / "a.py").write_text("# %%\na = 1\n# %%\nb = a + 1\n# %%\nc = b + 1\n")

    async def command(name: str, **more: object) -> object:
        argument = {**daemon.document("a.py"), **more}
        return await daemon.request(
            "workspace/executeCommand", {"command": f"holdfast.{name}", "arguments": [argument]}
        )

    await command("runAbove", cell={"index": 2})
    assert sorted(await daemon.variables("a.py")) == ["a", "b"]
    where = {"start": {"line": 5, "character": 0}, "end": {"line": 5, "character": 0}}
    run = await command("runCell", range=where)
    assert isinstance(run, dict)
    assert run["status"] == "ok"
    assert sorted(await daemon.variables("a.py")) == ["a", "b", "c"]
    history = await command("history")
    assert isinstance(history, list)
    assert [version["version"] for version in history] == [2, 1]
    await command("clear")
    assert await command("variables") == []
    assert (await command("runFile"))["status"] == "ok"  # type: ignore[index]


async def test_initialize_names_the_protocol_and_its_methods(daemon: Client) -> None:
    ours = daemon.capabilities["experimental"]["holdfast"]
    assert ours["version"] == 1
    assert "holdfast/execute" in ours["methods"]


async def test_twenty_files_run_at_once_and_one_crash_hurts_nobody_else(daemon: Client) -> None:
    names = [f"file{i}.py" for i in range(20)]

    def code(i: int) -> str:
        return "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)" if i == 7 else f"x = sum(range(100_000)) + {i}"

    runs = await asyncio.gather(*(daemon.run(name, code(i)) for i, name in enumerate(names)))
    assert [run["status"] for run in runs] == ["died" if i == 7 else "ok" for i in range(20)]
    again = await asyncio.gather(*(daemon.run(name, "y = 1") for name in names))
    assert {run["status"] for run in again} == {"ok"}
    values = await asyncio.gather(*(daemon.value(name, "x") for i, name in enumerate(names) if i != 7))
    assert values == [str(4999950000 + i) for i in range(20) if i != 7]


async def test_a_million_lines_arrive_and_the_daemon_answers_meanwhile(daemon: Client) -> None:
    together = 1 if THOROUGH else 1000  # what the kernel makes of single lines, its own tests show
    code = f"""\
import os
lines = 0
while lines < 1_000_000 or not os.path.exists("answered"):
    print("\\n".join(map(str, range(lines, lines + {together}))))
    lines += {together}
"""
    running = daemon.start_request("holdfast/execute", {**daemon.document("a.py"), "code": code})[1]
    await daemon.notified("holdfast/output")
    for _ in range(6):
        assert (await daemon.session("a.py"))["status"] == "busy"
    (daemon.folder / "answered").touch()
    run = await running
    assert run["status"] == "ok"
    lines = int(await daemon.value("a.py", "lines"))
    assert daemon.stream(run["runId"]) == "".join(f"{i}\n" for i in range(lines))


@pytest.mark.parametrize("language", ["javascript", "klingon"])
async def test_a_language_without_a_runtime_is_a_clear_error(folder: Path, language: str) -> None:
    async with opened(folder) as daemon:
        item = {"uri": daemon.uri("a.txt"), "languageId": language, "version": 1, "text": ""}
        daemon.notify("textDocument/didOpen", {"textDocument": item})
        with pytest.raises(RpcError) as caught:
            await daemon.run("a.txt", "1")
        assert caught.value.code == -32011
        assert language in caught.value.message


async def test_an_environment_that_holds_nothing_but_python_works_and_stays_empty(folder: Path) -> None:
    venv.create(folder / "bare", with_pip=False)
    interpreter = folder / "bare" / ("Scripts" if os.name == "nt" else "bin") / "python"
    async with opened(folder, options={"interpreter": str(interpreter)}) as client:
        run = await client.run("a.py", "import sys\nclass C: pass\nf = lambda: C\nprefix = sys.prefix")
        assert run["state"]["status"] == "saved"
        assert await client.value("a.py", "prefix") == repr(str(folder / "bare"))
        assert (await client.session("a.py"))["interpreter"] == str(interpreter)
        await client.request("holdfast/restart", client.document("a.py"))
        assert await client.value("a.py", "f() is C") == "True"
    assert not list((folder / "bare").rglob("site-packages/*"))


async def test_another_interpreter_takes_over_with_the_saved_variables(folder: Path) -> None:
    venv.create(folder / "bare", with_pip=False)
    interpreter = str(folder / "bare" / "bin" / "python")
    async with opened(folder) as client:
        await client.run("a.py", "x = [1]")
        client.notify("workspace/didChangeConfiguration", {"settings": {"holdfast": {"interpreter": interpreter}}})
        assert await client.value("a.py", "x, __import__('sys').prefix") == repr(([1], str(folder / "bare")))


async def test_matplotlib_figures_are_shown_without_configuration(daemon: Client) -> None:
    code = "import matplotlib.pyplot as plt\nprint('before')\nplt.plot([1, 2, 3])\nplt.title('t')"
    run = await daemon.run("a.py", code, options={"collectOutputs": True})
    assert run["status"] == "ok", run["error"]
    images = [output for output in run["outputs"] if "image/png" in output.get("data", {})]
    assert len(images) == 1
    assert base64.b64decode(images[0]["data"]["image/png"]).startswith(b"\x89PNG")
    assert text_of(run) == "before\n"


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
async def test_a_client_that_does_not_read_holds_the_output_back_and_loses_none_of_it(daemon: Client) -> None:
    await daemon.run("a.py", "x = 1")
    before = resident(daemon.process.pid)
    daemon.reading.clear()
    code = "lines = '\\n'.join(['a' * 99] * 100)\nfor i in range(10_000): print(lines)\nopen('finished', 'w').close()"
    _, running = daemon.start_request("holdfast/execute", {**daemon.document("a.py"), "code": code})
    grown = 0
    for _ in range(20):
        await asyncio.sleep(0.1)
        grown = max(grown, resident(daemon.process.pid) - before)
    assert not (daemon.folder / "finished").exists()
    assert grown < 60_000_000
    daemon.reading.set()
    run = await running
    assert run["status"] == "ok"
    assert daemon.stream(run["runId"]) == ("a" * 99 + "\n") * 1_000_000


def resident(pid: int) -> int:
    """Return a process's resident memory in bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
