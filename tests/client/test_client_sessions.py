"""The Python client against a real daemon in the background."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from pathlib import Path
from typing import Any

import pytest
from background import kill_daemon

from holdfast import endpoint, protocol
from holdfast.protocol import InputParams, Run
from holdfast_client import ConnectionLost, HoldfastError, NotConnected, connect


def text_of(run: Run) -> str:
    return "".join(output["text"] for output in run.outputs or [] if output["output_type"] == "stream")


async def test_a_run_answers_with_typed_results_and_its_outputs(cold_workspace: Path) -> None:
    async with connect(cold_workspace) as hf:
        session = await hf.open("a.py")
        run = await session.run("x = 41\nprint('hello')\nx + 1")
        assert run.status == "ok"
        assert text_of(run) == "hello\n"
        assert run.outputs is not None and run.outputs[-1]["data"]["text/plain"] == "42"


async def test_outputs_come_while_the_code_still_runs(workspace: Path) -> None:
    gate = workspace / "gate"
    async with connect(workspace) as hf:
        session = await hf.open("a.py")
        running = session.start(
            "import os, time\nprint('first', flush=True)\n"
            "while not os.path.exists('gate'):\n    time.sleep(0.01)\nprint('second')"
        )
        first = await anext(running)
        assert first["text"] == "first\n" and not running.done
        gate.touch()
        assert [output["text"] async for output in running] == ["second\n"]
        assert text_of(await running) == "first\nsecond\n"


async def test_leaving_the_iteration_leaves_the_run_alone(workspace: Path) -> None:
    async with connect(workspace) as hf:
        session = await hf.open("a.py")
        running = session.start("for n in range(50):\n    print(n)\ndone = True")
        async for _ in running:
            break
        assert (await running).status == "ok"
        assert [variable.name for variable in await session.variables("done")] == ["done"]


async def test_a_failing_cell_is_a_result_and_no_exception(workspace: Path) -> None:
    async with connect(workspace) as hf:
        run = await (await hf.open("a.py")).run("1 / 0")
        assert run.status == "error"
        assert run.error is not None and run.error.ename == "ZeroDivisionError"


async def test_cells_ranges_and_files_are_run(workspace: Path) -> None:
    (workspace / "a.py").write_text("# %%\nprint('one')\n# %%\nprint('two')\n")
    async with connect(workspace) as hf:
        session = await hf.open("a.py")
        assert text_of(await session.run_cell(1)) == "two\n"
        assert text_of(await session.run_range(0, 2)) == "one\n"
        assert text_of(await session.run_file()) == "one\ntwo\n"
        with pytest.raises(HoldfastError, match="no cell 7"):
            await session.run_cell(7)


async def test_only_one_thing_can_be_run_at_a_time(workspace: Path) -> None:
    async with connect(workspace) as hf:
        with pytest.raises(TypeError, match="one of code, cell and lines"):
            (await hf.open("a.py")).start("x", cell=1)


async def test_a_timeout_interrupts_the_run(workspace: Path) -> None:
    async with connect(workspace) as hf:
        run = await (await hf.open("a.py")).run("import time\ntime.sleep(600)", timeout=0.2)
        assert run.status == "interrupted"
        assert run.error is not None and "timeout" in (run.error.cause or "")


async def test_interrupt_says_whether_there_was_anything_to_interrupt(workspace: Path) -> None:
    async with connect(workspace) as hf:
        session = await hf.open("a.py")
        running = session.start("import time\nprint('on it', flush=True)\ntime.sleep(600)")
        await anext(running)
        assert await session.interrupt()
        assert (await running).status == "interrupted"
        assert not await session.interrupt()


async def test_cancelling_the_awaiting_task_interrupts_the_cell(workspace: Path) -> None:
    async with connect(workspace) as hf:
        session = await hf.open("a.py")
        running = session.start("import time\nprint('on it', flush=True)\ntime.sleep(600)")
        await anext(running)

        async def wait() -> Run:
            return await running

        task = asyncio.create_task(wait())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        # The next run gets its turn only when the cancelled one is over.
        assert (await session.run("'next'")).status == "ok"


async def test_a_client_that_is_cancelled_and_leaves_at_once_interrupts_its_cell(workspace: Path) -> None:
    started = asyncio.Event()

    async def work() -> None:
        async with connect(workspace) as hf:
            async for _ in (await hf.open("a.py")).start("import time\nprint('on it', flush=True)\ntime.sleep(600)"):
                started.set()

    task = asyncio.create_task(work())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with connect(workspace, start=False) as hf:
        assert (await (await hf.open("a.py")).run("'next'")).status == "ok"


async def test_input_is_answered_by_a_plain_function_and_by_a_coroutine(workspace: Path) -> None:
    async def answer(question: InputParams) -> str:
        return f"{question.prompt} async"

    for callback in (lambda question: f"{question.prompt} plain", answer):
        async with connect(workspace, on_input=callback) as hf:
            run = await (await hf.open("a.py")).run("print(input('name?'))")
            assert text_of(run) in ("name? plain\n", "name? async\n")


async def test_input_fails_in_the_cell_when_nobody_answers(workspace: Path) -> None:
    async with connect(workspace) as hf:
        run = await (await hf.open("a.py")).run("input('name?')")
        assert run.status == "error"


async def test_two_clients_share_a_session_and_each_gets_its_own_outputs(workspace: Path) -> None:
    async with connect(workspace) as one, connect(workspace) as other:
        mine, theirs = await one.open("a.py"), await other.open("a.py")
        await mine.run("x = 'shared'")
        gate = workspace / "gate"
        running = theirs.start(
            "import os, time\nprint('theirs', flush=True)\n"
            "while not os.path.exists('gate'):\n    time.sleep(0.01)\nprint('theirs')"
        )
        await anext(running)
        events = one.events(protocol.OUTPUT)
        queued = mine.start("print(x)")
        gate.touch()
        assert [output["text"] async for output in queued] == ["shared\n"]
        assert [output["text"] async for output in running] == ["theirs\n"]
        seen = [(await anext(events)).params.output["text"] for _ in range(2)]
        assert seen == ["theirs\n", "shared\n"]


async def test_clients_that_run_code_at_once_each_see_their_own_outputs(cold_workspace: Path) -> None:
    async def run(number: int) -> list[str]:
        async with connect(cold_workspace) as hf:
            running = (await hf.open("a.py")).start(f"print({number})")
            return [output["text"] async for output in running]

    assert await asyncio.gather(*map(run, range(6))) == [[f"{number}\n"] for number in range(6)]


async def test_clients_that_come_at_once_start_one_daemon(
    cold_workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = []

    class Counted(subprocess.Popen[bytes]):
        def __init__(self, *arguments: Any, **more: Any) -> None:
            started.append(arguments)
            super().__init__(*arguments, **more)

    monkeypatch.setattr(subprocess, "Popen", Counted)
    found = await asyncio.gather(*(asyncio.to_thread(endpoint.start, cold_workspace) for _ in range(4)))
    assert len(started) == 1 and len({each.pid for each in found}) == 1


async def test_events_are_typed_and_end_with_the_client(workspace: Path) -> None:
    async with connect(workspace) as hf:
        session = await hf.open("a.py")
        events = hf.events(protocol.SESSION_STATUS)
        await session.run("1")
        event = await anext(events)
        assert event.method == protocol.SESSION_STATUS and isinstance(event.params, protocol.Session)
    rest = [event.params.status async for event in events]
    assert rest[-1] == "idle"


async def test_a_dead_daemon_is_a_clear_error_and_the_next_client_finds_the_variables(workspace: Path) -> None:
    with contextlib.suppress(ConnectionLost):
        async with connect(workspace) as hf:
            session = await hf.open("a.py")
            running = session.start("saved = [1, 2, 3]")
            await running
            assert (await running.saved()).status == "saved"
            events = hf.events()
            hanging = session.start("import time\nprint('on it', flush=True)\ntime.sleep(600)")
            await anext(hanging)
            await kill_daemon(workspace)
            with pytest.raises(ConnectionLost, match=r"unknown.*safe"):
                await hanging
            with pytest.raises(ConnectionLost):
                async for _ in events:
                    pass
            with pytest.raises(ConnectionLost):
                await session.variables()
    async with connect(workspace) as hf:
        session = await hf.open("a.py")
        assert [variable.name for variable in await session.variables()] == ["saved"]
        assert text_of(await session.run("print(saved)")) == "[1, 2, 3]\n"


async def test_variables_inspection_state_and_history_tell_the_same_story(workspace: Path) -> None:
    async with connect(workspace) as hf:
        session = await hf.open("a.py")
        await session.run("numbers = list(range(100))")
        await session.run("name = 'kelp'")
        state = await session.flush()
        assert sorted(state.variable_names) == ["name", "numbers"]
        versions = await session.history()
        assert [version.changed for version in versions] == [["name"], ["numbers"]]
        assert [version.version for version in await session.history(1)] == [versions[0].version]
        look = await session.inspect("numbers", offset=10, limit=5)
        assert look.total == 100 and look.rows is not None and len(look.rows) == 5
        assert (await session.state()).version == versions[0].version
        [listed] = await hf.sessions()
        assert listed.text_document.uri == session.uri and listed.status == "idle"


async def test_an_older_version_comes_back_and_clear_takes_all_away(workspace: Path) -> None:
    async with connect(workspace) as hf:
        session = await hf.open("a.py")
        first = (await session.run("x = 'old'")).state.version
        await session.run("x = 'new'")
        outcome = await session.restore(first)
        assert outcome.success and outcome.restored == ["x"]
        assert text_of(await session.run("print(x)")) == "old\n"
        assert (await session.clear()).success
        assert await session.variables() == []


async def test_restart_brings_a_new_kernel_with_or_without_the_variables(workspace: Path) -> None:
    async with connect(workspace) as hf:
        session = await hf.open("a.py")
        await session.run("x = 1")
        before = (await hf.sessions())[0].pid
        after = await session.restart()
        assert after.pid != before
        assert (await session.run("x")).status == "ok"


async def test_stop_ends_the_daemon_for_everybody(workspace: Path) -> None:
    async with connect(workspace) as hf:
        await (await hf.open("a.py")).run("x = 1")
        await hf.stop()
        with contextlib.suppress(ConnectionLost):
            async for _ in hf.events():
                pass
    with pytest.raises(NotConnected):
        async with connect(workspace, start=False):
            pass


async def test_without_start_a_missing_daemon_is_said_and_none_is_started(cold_workspace: Path) -> None:
    with pytest.raises(NotConnected, match="No daemon serves"):
        async with connect(cold_workspace, start=False):
            pass
    assert endpoint.locate(cold_workspace) is None


async def test_the_daemon_outlives_its_client(workspace: Path) -> None:
    async with connect(workspace) as hf:
        await (await hf.open("a.py")).run("x = 'warm'")
        pid = (await hf.sessions())[0].pid
    async with connect(workspace, start=False) as hf:
        assert (await hf.sessions())[0].pid == pid


async def test_any_name_can_be_opened(workspace: Path) -> None:
    async with connect(workspace) as hf:
        for name in ("with space.py", "hash#1.py", "100%.py", "ünïcödé.py", "line\nbreak.py"):
            run = await (await hf.open(name)).run("import os; print(os.path.basename(__file__))")
            assert text_of(run) == f"{name}\n"
