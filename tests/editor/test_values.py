"""Inlay hints and hover over real stdio: what the session holds, where the text names it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from editing import Editor
from harness import opened

SCRIPT = """# %%
acc, n = 0.953, 1
names = ["a"] * 3; acc = 0.5
def f(): inner = 1
for i in range(3): last = i
# %%
n = 2
ä𠀀b = "x"; z = [ä𠀀b]
"""
ALL = {"start": {"line": 0, "character": 0}, "end": {"line": 99, "character": 0}}


async def hints(editor: Editor, window: dict[str, Any] = ALL) -> list[tuple[int, int, str]]:
    """Return line, column and text of the hints."""
    found = await editor.ask("inlayHint", range=window)
    return [(hint["position"]["line"], hint["position"]["character"], hint["label"]) for hint in found]


async def hover(editor: Editor, line: int, character: int) -> str | None:
    """Return what is told at a place."""
    found = await editor.ask("hover", position={"line": line, "character": character})
    return None if found is None else str(found["contents"]["value"])


async def test_assignments_that_ran_show_what_they_bound(folder: Path) -> None:
    async with opened(folder) as client:
        editor = Editor(client, "a.py", SCRIPT)
        assert await hints(editor) == []
        await editor.run(0)
        first = [(1, 6, ": 1"), (2, 5, ": ['a', 'a', 'a']"), (2, 22, ": 0.5"), (4, 23, ": 2")]
        assert await hints(editor) == first
        await editor.run(1)
        # The second cell bound `n` last; UTF-16 counts the second character twice.
        assert await hints(editor) == [*first[1:], (6, 1, ": 2"), (7, 4, ": 'x'"), (7, 13, ": ['x']")]
        assert await hints(editor, {"start": {"line": 6, "character": 0}, "end": {"line": 6, "character": 9}}) == [
            (6, 1, ": 2")
        ]
        editor.edit("0.9", 1, 9, 1, 14)
        assert [line for line, *_ in await hints(editor)] == [6, 7, 7]  # what was edited is not what ran
        await editor.run(0)
        assert (1, 6, ": 1") in await hints(editor)


async def test_hover_tells_what_a_name_stands_for_and_runs_nothing(folder: Path) -> None:
    script = (
        "class Loud:\n    def __repr__(self):\n        print('SPOKEN')\n        return 'loud'\n"
        "loud = Loud()\nnumbers = [1, 2]\nnumbers.append(3)\n"
    )
    async with opened(folder) as client:
        editor = Editor(client, "a.py", script)
        assert await hover(editor, 5, 2) is None
        await client.run("a.py")
        await client.flush("a.py")
        told = await hover(editor, 5, 2)
        assert told is not None and told.startswith("**numbers** `list` · 3 long") and "[1, 2, 3]" in told
        assert "saved in version 1" in told and "last changed by `class Loud:`" in told
        assert "Loud" in str(await hover(editor, 4, 2))
        assert "SPOKEN" not in client.stream()
        assert await hover(editor, 6, 9) is None  # an attribute is not a name of the session
        assert await hover(editor, 6, 2) is not None
        assert await hover(editor, 1, 0) is None
        assert await hover(editor, 77, 0) is None


async def test_hover_shows_the_first_rows_of_a_table_also_while_a_cell_runs(folder: Path) -> None:
    pytest.importorskip("pandas")
    script = "import pandas as pd\ndf = pd.DataFrame({'a': range(5000), 'b|c': 'x'})\n"
    async with opened(folder) as client:
        editor = Editor(client, "a.py", script)
        await client.run("a.py")
        told = str(await hover(editor, 1, 1))
        assert told.startswith("**df** `DataFrame` · 5,000 × 2")
        assert "| index | a | b\\|c |\n| --- | --- | --- |\n| 0 | 0 | x |" in told
        assert "5,000 rows" in told
        _, run = client.start_request(
            "holdfast/execute",
            {**client.document("a.py"), "code": "import time; print('here', flush=True); time.sleep(60)"},
        )
        await client.until(lambda: "here" in client.stream())
        assert "DataFrame" in str(await hover(editor, 1, 1))
        await client.request("holdfast/interrupt", client.document("a.py"))
        await run


async def test_what_is_saved_is_told_before_anything_is_loaded(folder: Path) -> None:
    async with opened(folder) as client:
        editor = Editor(client, "a.py", "x = list(range(9))\n")
        await editor.run(0)
        await client.shutdown()
    async with opened(folder) as client:
        editor = Editor(client, "a.py", "x = list(range(9))\n")
        told = str(await hover(editor, 0, 0))
        assert "[0, 1, 2, 3, 4, 5, 6, 7, 8]" in told and "loaded when it is needed" in told
        assert await hints(editor) == [(0, 1, ": [0, 1, 2, 3, 4, 5, 6, 7, 8]")]
        assert (await client.session("a.py"))["status"] == "cold"
