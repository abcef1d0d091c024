"""Random schedules of runs, failures, kills, renames and saves, against a model of what must be there.

No saved state is lost, no unsaved state rises from the dead, no process is left over: whatever happens in whatever
order.
``HOLDFAST_SCHEDULES`` chooses how many schedules are tried.
"""

from __future__ import annotations

import ast
import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest
from harness import Client, until_gone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

T = TypeVar("T")

SCHEDULES = int(os.environ.get("HOLDFAST_SCHEDULES", "5"))
NAMES = st.sampled_from(["a", "b", "c"])
FILES = ["one.py", "two.py", "sub/three.py"]


class Schedule(RuleBasedStateMachine):
    """The machine: two dictionaries per file say what memory and the store must hold."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(os.path.realpath(tempfile.mkdtemp(prefix="hf-")))
        self.work = self.folder / "w"
        self.work.mkdir()
        os.environ["HOLDFAST_RUNTIME_DIR"] = str(self.folder / "run")
        os.environ["HOLDFAST_CONFIG_DIR"] = str(self.folder / "config")
        self.loop = asyncio.new_event_loop()
        self.memory: dict[str, dict[str, Any]] = {}
        self.saved: dict[str, dict[str, Any]] = {}
        self.opened: set[str] = set()
        self.unused = 0
        (self.work / "sub").mkdir()
        for name in FILES:
            (self.work / name).write_text("")
            self.memory[name] = {}
            self.saved[name] = {}
        self.client = self.wait(self.start())

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(asyncio.wait_for(work, 60))

    async def start(self) -> Client:
        return await Client.open(self.work, options={"grace": 60})

    def pick(self, data: st.DataObject) -> str:
        name: str = data.draw(st.sampled_from(sorted(self.memory)), label="file")
        return name

    def run_code(self, file: str, code: str) -> dict[str, Any]:
        return self.wait(self.client.run(file, code))

    # ------------------------------------------------------------------ runs

    @rule(data=st.data(), name=NAMES, value=st.integers(0, 99))
    def run(self, data: st.DataObject, name: str, value: int) -> None:
        file = self.pick(data)
        run = self.run_code(file, f"{name} = [{value}]")
        assert run["status"] == "ok"
        assert run["state"]["status"] in {"saved", "unchanged"}
        self.memory[file][name] = [value]
        self.saved[file] = {name: list(value) for name, value in self.memory[file].items()}

    @rule(data=st.data(), name=NAMES, value=st.integers(0, 99))
    def change_in_place(self, data: st.DataObject, name: str, value: int) -> None:
        file = self.pick(data)
        if name not in self.memory[file]:
            return
        assert self.run_code(file, f"{name}.append({value})")["state"]["status"] == "saved"
        self.memory[file][name].append(value)
        self.saved[file] = {name: list(value) for name, value in self.memory[file].items()}

    @rule(data=st.data(), name=NAMES)
    def delete(self, data: st.DataObject, name: str) -> None:
        file = self.pick(data)
        if name not in self.memory[file]:
            return
        assert self.run_code(file, f"del {name}")["state"]["status"] == "saved"
        del self.memory[file][name]
        self.saved[file] = {name: list(value) for name, value in self.memory[file].items()}

    @rule(data=st.data(), name=NAMES, value=st.integers(100, 199))
    def failing_run(self, data: st.DataObject, name: str, value: int) -> None:
        file = self.pick(data)
        assert self.run_code(file, f"{name} = [{value}]\n1 / 0")["status"] == "error"
        self.memory[file][name] = [value]

    # ------------------------------------------------------------------ kills

    @rule(data=st.data())
    def kill_kernel(self, data: st.DataObject) -> None:
        file = self.pick(data)
        session = self.wait(self.find(file))
        if session is None or "pid" not in session:
            return
        os.kill(session["pid"], signal.SIGKILL)
        self.wait(self.replaced(file, session["pid"]))
        self.memory[file] = {name: list(value) for name, value in self.saved[file].items()}

    async def find(self, file: str) -> dict[str, Any] | None:
        uri = self.client.uri(file)
        sessions: list[dict[str, Any]] = await self.client.request("holdfast/sessions", None)
        return next((session for session in sessions if session["textDocument"]["uri"] == uri), None)

    async def replaced(self, file: str, pid: int) -> None:
        while (
            (session := await self.find(file)) is None
            or session.get("pid") in {None, pid}
            or session["status"] != "idle"
        ):
            await asyncio.sleep(0.01)

    @rule(data=st.data())
    def die_in_a_run(self, data: st.DataObject) -> None:
        file = self.pick(data)
        assert self.run_code(file, "a = 'lost'\nimport os\nos._exit(3)")["status"] == "died"
        self.memory[file] = {name: list(value) for name, value in self.saved[file].items()}

    @rule()
    def kill_daemon(self) -> None:
        self.wait(self.client.kill())
        self.client = self.wait(self.start())
        self.opened.clear()
        self.forget_memory()

    @rule(data=st.data())
    def kill_daemon_in_the_middle_of_a_run(self, data: st.DataObject) -> None:
        file = self.pick(data)
        self.wait(self.kill_while_running(file))
        self.client = self.wait(self.start())
        self.opened.clear()
        self.forget_memory()

    async def kill_while_running(self, file: str) -> None:
        code = "print('running')\nwhile True: pass"
        self.client.start_request("holdfast/execute", {**self.client.document(file), "code": code})
        await self.client.notified("holdfast/output", lambda params: params["output"].get("text") == "running\n")
        await self.client.kill()

    @rule()
    def leave_and_come_back(self) -> None:
        assert self.wait(self.client.shutdown()) == 0
        self.client = self.wait(self.start())
        self.opened.clear()
        self.forget_memory()

    def forget_memory(self) -> None:
        self.memory = {file: {name: list(value) for name, value in saved.items()} for file, saved in self.saved.items()}

    @rule(data=st.data())
    def restart(self, data: st.DataObject) -> None:
        file = self.pick(data)
        self.wait(self.client.request("holdfast/restart", self.client.document(file)))
        self.memory[file] = {name: list(value) for name, value in self.saved[file].items()}

    # ------------------------------------------------------------------ files

    @rule(data=st.data())
    def rename(self, data: st.DataObject) -> None:
        file = self.pick(data)
        self.unused += 1
        new = f"sub/new{self.unused}.py"
        (self.work / file).rename(self.work / new)
        if data.draw(st.booleans(), label="told by the editor"):
            files = [{"oldUri": self.client.uri(file), "newUri": self.client.uri(new)}]
            self.client.notify("workspace/didRenameFiles", {"files": files})
        self.memory[new] = self.memory.pop(file)
        self.saved[new] = self.saved.pop(file)
        self.opened.discard(file)

    @rule(data=st.data(), how=st.sampled_from(["in place", "rename over", "rename away", "delete and create"]))
    def atomic_save(self, data: st.DataObject, how: str) -> None:
        path = self.work / self.pick(data)
        if how == "rename over":
            draft = path.with_suffix(".tmp")
            draft.write_text("# saved\n")
            draft.replace(path)
            return
        if how == "rename away":
            path.rename(path.with_suffix(".bak"))
        elif how == "delete and create":
            path.unlink()
        path.write_text("# saved\n")

    @rule(data=st.data())
    def open_or_close(self, data: st.DataObject) -> None:
        file = self.pick(data)
        if file in self.opened:
            self.client.notify("textDocument/didClose", self.client.document(file))
            self.opened.discard(file)
            return
        item = {"uri": self.client.uri(file), "languageId": "python", "version": 1, "text": ""}
        self.client.notify("textDocument/didOpen", {"textDocument": item})
        self.opened.add(file)

    # ------------------------------------------------------------------ what must hold

    @rule(data=st.data())
    def look(self, data: st.DataObject) -> None:
        file = self.pick(data)
        code = "{n: v for n, v in globals().items() if n in ('a', 'b', 'c')}"
        assert ast.literal_eval(self.wait(self.client.value(file, code))) == self.memory[file]

    @rule(data=st.data())
    def look_at_the_store(self, data: st.DataObject) -> None:
        file = self.pick(data)
        state = self.wait(self.client.state(file))
        assert set(state["variableNames"]) - {"os"} == set(self.saved[file])

    def teardown(self) -> None:
        try:
            for file, memory in self.memory.items():
                code = "{n: v for n, v in globals().items() if n in ('a', 'b', 'c')}"
                assert ast.literal_eval(self.wait(self.client.value(file, code))) == memory
            assert self.wait(self.client.shutdown()) == 0
            self.wait(until_gone(self.work))
        finally:
            self.wait(self.client.kill())
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
            self.loop.close()
            shutil.rmtree(self.folder, ignore_errors=True)


TestSchedules = Schedule.TestCase
TestSchedules.settings = settings(
    max_examples=SCHEDULES,
    stateful_step_count=15,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestSchedules.pytestmark = [pytest.mark.timeout(300 + 12 * SCHEDULES)]  # type: ignore[attr-defined]
