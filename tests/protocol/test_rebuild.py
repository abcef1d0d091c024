"""What cannot be saved remembers the cell that made it; marked cells bring it back after a kill, and nothing else."""

# ruff: noqa: E501 - cells are strings of one line

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from harness import Client, opened, until_gone

MAKES = "# %%\nlimit = 3\nlog = []\n# %% [rebuild] numbers\nlog.append(1)\ntmp = 5\nlimit = 9\ngen = iter_to(limit)\n"
HELPER = "def iter_to(n):\n    return (lambda g: (next(g), g)[1])(i for i in range(-1, n))\n"


async def run_cells(client: Client, name: str) -> list[dict[str, Any]]:
    """Run all cells of a file, one by one."""
    from holdfast import cells

    text = (client.folder / name).read_text()
    return [
        await client.request(
            "holdfast/execute", {"textDocument": {"uri": client.uri(name)}, "cell": {"index": cell.index}}
        )
        for cell in cells.split(text)
    ]


async def restored(client: Client) -> dict[str, Any]:
    """Return the last restore that was told."""
    found: dict[str, Any] = await client.notified("holdfast/state/restored")
    return [params for name, params in client.notifications if name == "holdfast/state/restored"][-1] or found


async def test_what_is_not_saved_says_which_cell_made_it_and_what_that_needs(folder: Path) -> None:
    (folder / "a.py").write_text(
        "# %% one\nlimit = 3\n# %% two\nx = 1\ngen = (i + x for i in range(limit)); next(gen)\n"
    )
    async with opened(folder) as client:
        (lost,) = (await run_cells(client, "a.py"))[-1]["state"]["skipped"]
        assert lost["cell"] == {
            "code": "x = 1\ngen = (i + x for i in range(limit)); next(gen)\n",
            "line": 3,
            "index": 1,
            "executionCount": 2,
            "rebuild": False,
        }
        assert lost["needs"] == ["limit"]
        await client.kill()
    await until_gone(folder)
    async with opened(folder) as client:
        assert (await client.state("a.py"))["skipped"] == [lost]
        assert await client.value("a.py", "'gen' in globals()") == "False"
        told = await restored(client)
        assert told["rebuilt"] == []
        assert "; gen was made by the cell at line 4: run it again, or mark it `# %% [rebuild]`" in told["message"]


async def test_the_cell_is_found_in_a_run_of_the_whole_file_and_in_code_that_failed_before(folder: Path) -> None:
    (folder / "a.py").write_text(
        "# %% one\ngen = (lambda g: (next(g), g)[1])(i for i in '-')\n# %% [rebuild]\nother = (lambda g: (next(g), g)[1])(i for i in '-')\n# %%\ny = 2\n"
    )
    async with opened(folder) as client:
        run = await client.request("holdfast/execute", client.document("a.py"))
        cells = {lost["name"]: lost["cell"] for lost in run["state"]["skipped"]}
        assert (cells["gen"]["line"], cells["gen"]["index"], cells["gen"]["rebuild"]) == (1, 0, False)
        assert (cells["other"]["line"], cells["other"]["index"], cells["other"]["rebuild"]) == (3, 1, True)
        assert cells["other"]["code"] == "other = (lambda g: (next(g), g)[1])(i for i in '-')"
        failing = "third = (lambda g: (next(g), g)[1])(i for i in '-')\n1 / 0"
        await client.run("a.py", failing)
        run = await client.run("a.py", "z = 1")
        cells = {lost["name"]: lost["cell"] for lost in run["state"]["skipped"]}
        assert cells["third"]["code"] == failing
        assert "line" not in cells["third"]


async def test_a_marked_cell_brings_back_only_what_is_missing_after_kill_9(folder: Path) -> None:
    (folder / "a.py").write_text(HELPER + MAKES + "# %%\nlimit = 4; log.append(2); import random; random.seed(5)\n")
    async with opened(folder) as client:
        await run_cells(client, "a.py")
        await client.run("a.py", "del tmp; upcoming = random.getstate()")
        await client.kill()
    await until_gone(folder)
    async with opened(folder) as client:
        assert await client.value("a.py", "[next(gen) for _ in range(9)]") == "[0, 1, 2, 3, 4, 5, 6, 7, 8]"
        assert (
            await client.value("a.py", "limit, 'tmp' in globals(), random.getstate() == upcoming") == "(4, False, True)"
        )
        told = await restored(client)
        assert told["failed"] == []
        (rebuilt,) = told["rebuilt"]
        assert rebuilt["names"] == ["gen"]
        assert rebuilt["cell"]["line"] == 6
        assert "made again by running its cell: gen" in told["message"]
        run = await client.run("a.py", "x = 1")
        assert [lost["name"] for lost in run["state"]["skipped"]] == ["gen"]
        assert run["state"]["skipped"][0]["cell"]["rebuild"] is True


async def test_outputs_and_errors_of_a_rebuild_are_told_and_cost_nothing_else(folder: Path) -> None:
    text = (
        "# %%\nfine = (lambda g: (next(g), g)[1])(i for i in '-ab')\n"
        "# %% [rebuild]\nimport os\nif os.path.exists('gone'): raise OSError('no more')\nbad = (lambda g: (next(g), g)[1])(i for i in '-cd')\n"
        "# %% [rebuild]\nprint('again')\ngood = (lambda g: (next(g), g)[1])(i for i in '-ef')\n"
        "# %% [rebuild]\nneedy = (lambda g: (next(g), g)[1])(i for i in [0, bad])\n"
    )
    (folder / "a.py").write_text(text)
    async with opened(folder) as client:
        await run_cells(client, "a.py")
        (folder / "gone").touch()
        os.kill((await client.session("a.py"))["pid"], signal.SIGKILL)
        told = await client.notified("holdfast/state/restored")
        assert [rebuilt["names"] for rebuilt in told["rebuilt"]] == [["good"]]
        reasons = {lost["name"]: lost["reason"] for lost in told["failed"]}
        assert reasons == {
            "bad": "The cell at line 4 was run again, and failed: OSError: no more",
            "needy": "The cell at line 11, which made it, was not run again: it needs bad.",
        }
        identity = told["rebuilt"][0]["runId"]
        printed = await client.notified("holdfast/output", lambda params: params["runId"] == identity)
        assert printed["output"]["text"] == "again\n"
        shown = await client.notified("holdfast/output", lambda params: params["output"]["output_type"] == "error")
        assert shown["runId"] not in ("", identity)
        assert await client.value("a.py", "list(good), 'bad' in globals()") == "(['e', 'f'], False)"


async def test_a_rebuild_that_kills_its_kernel_is_not_tried_again(folder: Path) -> None:
    text = (
        "# %% [rebuild]\nimport os\nif os.path.exists('gone'): os.kill(os.getpid(), 9)\nbad = (lambda g: (next(g), g)[1])(i for i in '-cd')\n"
        "# %% [rebuild]\ngood = (lambda g: (next(g), g)[1])(i for i in '-ef')\n"
    )
    (folder / "a.py").write_text(text)
    async with opened(folder) as client:
        await run_cells(client, "a.py")
        (folder / "gone").touch()
        os.kill((await client.session("a.py"))["pid"], signal.SIGKILL)
        told = await client.notified("holdfast/state/restored")
        assert [rebuilt["names"] for rebuilt in told["rebuilt"]] == [["good"]]
        assert "is not run again: the last time its kernel died" in told["failed"][0]["reason"]
        assert await client.value("a.py", "list(good)") == "['e', 'f']"


async def test_a_rebuild_that_takes_too_long_is_interrupted(folder: Path) -> None:
    text = "# %% [rebuild]\nimport os, time\nif os.path.exists('gone'): time.sleep(60)\nbad = (lambda g: (next(g), g)[1])(i for i in '-cd')\nx = 1\n"
    (folder / "a.py").write_text(text)
    async with opened(folder, options={"rebuildTimeout": 0.2}) as client:
        await run_cells(client, "a.py")
        (folder / "gone").touch()
        await client.request("holdfast/restart", client.document("a.py"))
        told = await client.notified("holdfast/state/restored")
        assert "the run took longer than its timeout of 200 ms" in told["failed"][0]["reason"]
        assert await client.value("a.py", "x") == "1"


async def test_cells_that_are_not_marked_run_again_only_with_the_setting(folder: Path) -> None:
    code = "gen = (lambda g: (next(g), g)[1])(i for i in '-ab')"
    async with opened(folder, options={"rebuild": "always"}) as client:
        await client.run("a.py", code)
        await client.request("holdfast/restart", client.document("a.py"))
        assert await client.value("a.py", "list(gen)") == "['a', 'b']"
    await until_gone(folder)
    (folder / "a.py").write_text(f"# %% [rebuild]\n{code}\n")
    async with opened(folder, options={"rebuild": "never"}) as client:
        assert await client.value("a.py", "'gen' in globals()") == "False"


async def test_a_mark_that_is_set_or_taken_away_later_counts_and_the_stored_code_is_run(folder: Path) -> None:
    file = folder / "a.py"
    file.write_text(
        "# %%\none = (lambda g: (next(g), g)[1])(i for i in '-ab')\n# %% [rebuild]\ntwo = (lambda g: (next(g), g)[1])(i for i in '-cd')\n# %% [rebuild]\nthree = iter_(1)\n"
    )
    async with opened(folder) as client:
        await client.run("a.py", "def iter_(n): return (lambda g: (next(g), g)[1])(i for i in [0, n])")
        await run_cells(client, "a.py")
        file.write_text(
            "# %% [rebuild]\none = (lambda g: (next(g), g)[1])(i for i in '-ab')\n# %%\ntwo = (lambda g: (next(g), g)[1])(i for i in '-cd')\n# %%\nthree = iter_(7)\n"
        )
        await client.request("holdfast/restart", client.document("a.py"))
        assert await client.value("a.py", "list(one), list(three), 'two' in globals()") == "(['a', 'b'], [1], False)"


async def test_what_could_not_be_loaded_is_made_again_by_the_cell_that_made_it(folder: Path) -> None:
    text = "# %%{mark}\nimport library\nthing = library.Thing()\n# %%\nthing.y = 2\nz = 3\n"
    (folder / "library.py").write_text("class Thing:\n    x = 1\n")
    (folder / "a.py").write_text(text.format(mark=""))
    async with opened(folder) as client:
        assert [run["state"]["skipped"] for run in await run_cells(client, "a.py")] == [[], []]
        (folder / "library.py").write_text("def Thing():\n    return [1]\n")
        os.kill((await client.session("a.py"))["pid"], signal.SIGKILL)
        told = await client.notified("holdfast/state/restored")
        assert [(lost["name"], lost["cell"]["line"]) for lost in told["failed"]] == [("thing", 1)]
        (folder / "a.py").write_text(text.format(mark=" [rebuild]"))
        outcome = await client.request("holdfast/state/restore", {**client.document("a.py"), "names": ["thing"]})
        assert outcome["success"]
        assert [rebuilt["names"] for rebuilt in outcome["rebuilt"]] == [["thing"]]
        os.kill((await client.session("a.py"))["pid"], signal.SIGKILL)
        assert await client.value("a.py", "thing, z") == "([1], 3)"


async def test_a_rollback_makes_again_what_the_failed_cell_used_up_and_what_is_left_out(folder: Path) -> None:
    text = "# %%\nkept = [1]\n__skip_persist__ = ['big']\n# %% [rebuild]\nbig = bytes(9)\ngen = iter_(kept)\n"
    (folder / "a.py").write_text(text)
    async with opened(folder) as client:
        await client.run("a.py", "def iter_(v): return (lambda g: (next(g), g)[1])(i for i in [0, *v])")
        await run_cells(client, "a.py")
        await client.run("a.py", "kept.append(2); next(gen); 1 / 0", options={"rollbackOnError": True})
        assert await client.value("a.py", "kept, list(gen), len(big)") == "([1], [1], 9)"


async def test_a_restart_while_a_cell_is_run_again_ends_it_and_begins_anew(folder: Path) -> None:
    text = (
        "# %% [rebuild]\nimport os, time\n"
        "if os.path.exists('gone'):\n    print('waiting', flush=True); time.sleep(60)\n"
        "one = (lambda g: (next(g), g)[1])(i for i in '-ab')\n"
    )
    (folder / "a.py").write_text(text)
    async with opened(folder) as client:
        await run_cells(client, "a.py")
        (folder / "gone").touch()
        os.kill((await client.session("a.py"))["pid"], signal.SIGKILL)
        await client.notified("holdfast/output", lambda params: params["output"].get("text") == "waiting\n")
        (folder / "gone").unlink()
        await client.request("holdfast/restart", client.document("a.py"))
        assert await client.value("a.py", "list(one)") == "['a', 'b']"
