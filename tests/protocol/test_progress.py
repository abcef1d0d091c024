"""What takes longer than a moment says how far it is, as LSP has it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness import Client, opened

SLOW = """
import time
class Slow:
    def __init__(self, seconds): self.seconds = seconds
    def __getstate__(self): return {'seconds': self.seconds}
    def __setstate__(self, state): self.__dict__.update(state); time.sleep(self.seconds)
slow = Slow(0.6)
"""
SHOWS = {"capabilities": {"window": {"workDoneProgress": True}}}


def progress(client: Client, token: Any) -> list[dict[str, Any]]:
    """Return what was reported under a token."""
    return [p["value"] for name, p in client.notifications if name == "$/progress" and p["token"] == token]


def is_whole(reported: list[dict[str, Any]]) -> bool:
    """Whether it began, went on, and ended, in this order."""
    kinds = [value["kind"] for value in reported]
    return kinds[:1] == ["begin"] and kinds[-1:] == ["end"] and set(kinds[1:-1]) <= {"report"}


async def test_a_restore_that_takes_long_reports_progress_to_who_asked_and_to_who_shows_it(folder: Path) -> None:
    async with opened(folder) as client:
        await client.run("a.py", SLOW)
        await client.shutdown()
    async with opened(folder, **SHOWS) as client:
        await client.request("holdfast/state/restore", {**client.document("a.py"), "workDoneToken": "mine"})
        assert is_whole(progress(client, "mine")) and not client.created
        assert progress(client, "mine")[0]["title"] == "Restoring"
        assert progress(client, "mine")[0]["message"].startswith("a.py")
        await client.run("a.py", "slow.seconds = 5\n1 / 0")  # what is as it was saved would not be loaded again
        await client.request("holdfast/state/restore", client.document("a.py"))
        (token,) = client.created
        assert is_whole(progress(client, token))


async def test_what_a_cell_waits_for_reports_its_bytes(folder: Path) -> None:
    async with opened(folder) as client:
        await client.run("a.py", SLOW + "both = [slow, [(n, str(n)) for n in range(60_000)]]; del slow")
        await client.shutdown()
    async with opened(folder, **SHOWS) as client:
        await client.run("a.py", "n = len(both)")
        await client.until(lambda: client.created)
        token = client.created[-1]
        await client.notified("$/progress", lambda p: p["token"] == token and p["value"]["kind"] == "end")
        assert is_whole(progress(client, token))
        assert progress(client, token)[-1]["message"].startswith("a.py: ")


async def test_a_flush_that_takes_long_reports_progress(folder: Path) -> None:
    async with opened(folder, **SHOWS) as client:
        await client.run("a.py", SLOW)
        await client.request("holdfast/state/flush", {**client.document("a.py"), "workDoneToken": 8})
        assert is_whole(progress(client, 8)) and progress(client, 8)[0]["title"] == "Saving"
