"""A library whose pickles lie is found out by the time that its variable is saved, not when it is needed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from harness import Client, opened

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="saves are tried on Linux only")

LIBRARY = """
class Model:
    def __init__(self): self.weights = [1.5, 2.5]; self.depth = 3
    def __getstate__(self): return {"depth": self.depth}
"""


def library(folder: Path) -> None:
    """Write a library into a folder."""
    (folder / "lying.py").write_text(LIBRARY, encoding="utf-8")


async def said_lost(client: Client, run_id: str) -> dict[str, Any]:
    """Wait until it is told that something which a run made is not saved after all; return what is told."""

    def tells(params: dict[str, Any]) -> bool:
        return bool(params["runId"] == run_id and params["state"]["skipped"])

    state: dict[str, Any] = (await client.notified("holdfast/state/saved", tells))["state"]
    return state


async def test_a_lie_is_told_after_the_run_and_nothing_wrong_is_restored(tmp_path: Path) -> None:
    library(tmp_path)
    async with opened(tmp_path) as client:
        run = await client.run("a.py", "import lying\nmodel = lying.Model(); kept = [1]")
        assert run["state"]["skipped"] == []
        state = await said_lost(client, run["runId"])
        assert state["status"] == "saved"
        assert state["removed"] == ["model"]
        (lost,) = state["skipped"]
        assert (lost["name"], lost["type"]) == ("model", "Model")
        assert "model.weights is missing" in lost["reason"]
        assert lost["remedy"]
        assert await client.value("a.py", "model.weights") == "[1.5, 2.5]"
        await client.kill()
    async with opened(tmp_path) as client:
        assert await client.value("a.py", "('model' in globals(), kept)") == "(False, [1])"
        assert [lost["name"] for lost in (await client.state("a.py"))["skipped"]] == ["model"]


async def test_flush_answers_when_what_is_saved_was_tried(tmp_path: Path) -> None:
    library(tmp_path)
    async with opened(tmp_path) as client:
        await client.run("a.py", "import lying\nmodel = lying.Model(); kept = [1]; pair = [model, kept]")
        state = await client.flush("a.py")
        assert {lost["name"] for lost in state["skipped"]} == {"model", "pair"}
        assert set(state["variableNames"]) == {"lying", "kept"}
        run = await client.run("a.py", "kept.append(2)")
        assert {lost["name"] for lost in run["state"]["skipped"]} == {"model", "pair"}
        run = await client.run("a.py", "model = pair = None")
        assert run["state"]["skipped"] == []
        assert (await client.flush("a.py"))["skipped"] == []
