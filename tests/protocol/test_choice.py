"""What users choose not to save is told, and not there after everything was killed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness import opened, until_gone


def reasons(run: dict[str, Any]) -> dict[str, str]:
    """Return why which variable is not saved."""
    return {lost["name"]: lost["reason"] for lost in run["state"]["skipped"]}


async def test_what_is_left_out_is_told_and_stays_out_after_kill_9(folder: Path) -> None:
    code = "__skip_persist__ = ['*_tmp']\na_tmp = b'x'; password = 'p'; scratch = 1; big = bytes(5000); kept = [1]"
    options = {"maxVariableBytes": 4000, "skipPatterns": ["scratch"], "skipSecrets": True}
    async with opened(folder, options=options) as client:
        why = reasons(await client.run("a.py", code))
        assert set(why) == {"a_tmp", "password", "scratch", "big"}
        assert why["a_tmp"] == "left out: matches the pattern *_tmp of __skip_persist__"
        assert all(lost["remedy"] for lost in (await client.state("a.py"))["skipped"])
        assert await client.value("a.py", "len(big)") == "5000"
        listed = await client.variables("a.py")
        assert (listed["big"]["saved"], listed["kept"]["saved"]) == ("skipped", "saved")
        await client.kill()
    await until_gone(folder)
    async with opened(folder, options=options) as client:
        assert await client.value("a.py", "kept") == "[1]"
        assert set(await client.variables("a.py")) == {"kept"}
        assert set(reasons(await client.run("a.py", "new_tmp = 1"))) == {*why, "new_tmp"}


async def test_a_setting_that_changes_counts_for_kernels_that_run(folder: Path) -> None:
    async with opened(folder) as client:
        assert reasons(await client.run("a.py", "a_tmp = [1]; b = 2")) == {}
        settings = {"holdfast": {"skipPatterns": ["*_tmp"]}}
        client.notify("workspace/didChangeConfiguration", {"settings": settings})
        assert set(reasons(await client.run("a.py", "c = 3"))) == {"a_tmp"}
        assert (await client.state("a.py"))["variableNames"] == ["b", "c"]
        client.notify("workspace/didChangeConfiguration", {"settings": {"holdfast": {"skipPatterns": []}}})
        assert reasons(await client.run("a.py", "d = 4")) == {}
        assert (await client.state("a.py"))["variableNames"] == ["a_tmp", "b", "c", "d"]
