"""What is not saved is named: after every run, and after everything was killed."""

from __future__ import annotations

from pathlib import Path

from harness import opened


def names(run: dict[str, object]) -> list[str]:
    """Return the names that a run says are not saved."""
    state = run["state"]
    assert isinstance(state, dict)
    return [lost["name"] for lost in state["skipped"]]


async def test_what_cannot_be_saved_is_named_until_it_is_made_again(tmp_path: Path) -> None:
    async with opened(tmp_path) as client:
        assert names(await client.run("a.py", "lines = (lambda g: (next(g), g)[1])(i for i in '-')\nx = 1")) == [
            "lines"
        ]
        assert names(await client.run("a.py", "1 / 0")) == ["lines"]
        assert names(await client.run("a.py", "y = 2", options={"persist": False})) == ["lines"]
    async with opened(tmp_path) as client:
        assert names(await client.run("a.py", "x")) == ["lines"]
        assert names(await client.run("a.py", "z = 3")) == ["lines"]
        assert [lost["name"] for lost in (await client.state("a.py"))["skipped"]] == ["lines"]
        assert names(await client.run("a.py", "lines = [1]")) == []
    async with opened(tmp_path) as client:
        assert names(await client.run("a.py", "lines")) == []


async def test_a_listing_says_what_the_store_has(tmp_path: Path) -> None:
    async with opened(tmp_path) as client:
        await client.run("a.py", "kept = [1]; changed = [2]")
        await client.run("a.py", "len(kept); changed.append(3); new = 1; 1 / 0")
        listed = {name: variable["saved"] for name, variable in (await client.variables("a.py")).items()}
        assert listed == {"kept": "saved", "changed": "skipped", "new": "skipped"}
        await client.run("a.py", "pass")
        listed = {name: variable["saved"] for name, variable in (await client.variables("a.py")).items()}
        assert set(listed.values()) <= {"saved", "saving"}
