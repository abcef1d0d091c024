"""Code lenses, the outline and folds over real stdio: what they say, and that they follow runs and edits."""

from __future__ import annotations

from pathlib import Path

from editing import Editor
from harness import opened

SCRIPT = """# %% Load
x = 1
y = 2

# %% [markdown]
# A text.

# %%
z = x + y
# %% Fail
1 / 0
"""
REFRESHES = {"workspace": {"codeLens": {"refreshSupport": True}}}


async def test_cells_have_lenses_that_run_them_and_say_what_became_of_them(folder: Path) -> None:
    async with opened(folder, capabilities=REFRESHES) as client:
        editor = Editor(client, "a.py", SCRIPT)
        assert await editor.lenses() == {0: ["Run"], 7: ["Run", "Run above"], 9: ["Run", "Run above"]}
        await editor.run(0)
        told = (await editor.told())[0]
        assert told.startswith("✓ ") and told.endswith("· saved v1 · x, y changed")
        await editor.run(2)
        await editor.run(3)
        told = await editor.told()
        assert told[7].endswith("· saved v2 · z changed")
        assert told[9].startswith("✗ ZeroDivisionError")
        await client.until(lambda: client.refreshes)


async def test_lenses_follow_edits_and_say_which_cells_are_not_as_they_ran(folder: Path) -> None:
    async with opened(folder) as client:
        editor = Editor(client, "a.py", SCRIPT)
        await editor.run(0)
        await editor.run(2)
        editor.edit("# a comment above all\n\n", 0, 0, 0, 0)
        assert {line: text[:1] for line, text in (await editor.told()).items()} == {2: "✓", 9: "✓"}
        editor.edit("33", 10, 4, 10, 5)
        assert (await editor.told())[9] == "edited since it ran"
        editor.edit("x", 10, 4, 10, 6)
        assert (await editor.told())[9].startswith("✓")
        editor.edit("\n\n", 11, 0, 11, 0)  # blank lines at the end of a cell are no edit of it
        assert (await editor.told())[9].startswith("✓")
        editor.edit("", 2, 0, 9, 0)
        assert {line: text[:1] for line, text in (await editor.told()).items()} == {2: "✓"}
        editor.edit("# %% first\nx = 1\ny = 2\n# %% new\nn = 1\n# %%\nz = x + y\n")
        told = await editor.told()
        assert {line: text[:1] for line, text in told.items()} == {0: "✓", 5: "✓"}


async def test_a_running_cell_can_be_interrupted_from_its_lens_and_what_comes_after_it_is_not_run(folder: Path) -> None:
    async with opened(folder) as client:
        editor = Editor(
            client, "a.py", "# %%\nx = 1\n# %%\nimport time\nprint('here', flush=True)\ntime.sleep(60)\n# %%\ny = 1\n"
        )
        _, run = client.start_request("holdfast/execute", client.document("a.py"))
        await client.until(lambda: "here" in client.stream())
        lenses = await editor.lenses()
        assert lenses[2][0] == "Interrupt" and lenses[2][1].startswith("… running")
        (interrupt,) = [
            lens["command"]
            for lens in await editor.ask("codeLens")
            if lens["command"]["title"] == "Interrupt" and lens["range"]["start"]["line"] == 2
        ]
        await client.request("workspace/executeCommand", {key: interrupt[key] for key in ("command", "arguments")})
        await run
        told = await editor.told()
        assert told[0].startswith("✓") and told[2].startswith("✗ interrupted")
        assert told[6] == "not run: a cell above it failed"


async def test_after_a_restart_lenses_tell_what_was_saved(folder: Path) -> None:
    (folder / "a.py").write_text(SCRIPT)
    async with opened(folder) as client:
        editor = Editor(client, "a.py", SCRIPT)
        await editor.run(0)
        await client.request("holdfast/execute", {**client.document("a.py"), "cell": {"index": 2}})
        await client.flush("a.py")
        await client.kill()
    async with opened(folder) as client:
        editor = Editor(client, "a.py", SCRIPT.replace("x + y", "x - y"))
        told = await editor.told()
        assert told[0].startswith("saved v1, ") and told[0].endswith("x, y changed")
        assert told[7] == "edited since it ran"
        await client.value("a.py", "x")
        assert (await editor.told())[0].startswith("restored from ")
        await client.request("holdfast/state/clear", client.document("a.py"))
        assert await editor.told() == {}


async def test_the_outline_folds_and_growing_selections_are_those_of_cells(folder: Path) -> None:
    async with opened(folder) as client:
        editor = Editor(client, "a.py", SCRIPT)
        symbols = await editor.ask("documentSymbol")
        assert [(symbol["name"], symbol["range"]["start"]["line"]) for symbol in symbols] == [
            ("Load", 0),
            ("A text.", 4),
            ("z = x + y", 7),
            ("Fail", 9),
        ]
        folds = [(fold["startLine"], fold["endLine"]) for fold in await editor.ask("foldingRange")]
        assert folds == [(0, 2), (4, 5), (7, 8), (9, 10)]
        (selection,) = await editor.ask("selectionRange", positions=[{"line": 1, "character": 0}])
        lines = []
        while selection is not None:
            place = selection["range"]
            lines.append((place["start"]["line"], place["end"]["line"]))
            selection = selection.get("parent")
        assert lines == [(1, 2), (0, 3), (0, 11)]


async def test_each_feature_can_be_switched_off(folder: Path) -> None:
    features = ("codeLens", "inlayHints", "hover", "documentSymbols", "foldingRanges", "selectionRanges")
    off = dict.fromkeys(features, False)
    async with opened(folder, options=off) as client:
        editor = Editor(client, "a.py", SCRIPT)
        for method in ("codeLens", "documentSymbol", "foldingRange"):
            assert await editor.ask(method) == []
        (selection,) = await editor.ask("selectionRange", positions=[{"line": 1, "character": 0}])
        assert selection.get("parent") is None
