"""A daemon whose saved state takes long to open: what needs none of it is answered meanwhile."""

from __future__ import annotations

import contextlib
import fcntl
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harness import RpcError, opened

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs leases of files")


@pytest.fixture
async def lost(folder: Path) -> Path:
    """A workspace with saved state whose catalog is lost: it has to be made anew from the packs."""
    async with opened(folder) as client:
        await client.run("a.py", "x = [1]")
        await client.run("b.py", "y = 2")
        await client.shutdown()
    for path in (folder / ".state").glob("catalog.sqlite*"):
        path.unlink()
    return folder


@contextlib.contextmanager
def held_up(path: Path) -> Iterator[Callable[[], None]]:
    """Whoever else opens a new, empty file waits until what is yielded is called (it has to break a lease)."""
    before = signal.signal(signal.SIGIO, signal.SIG_IGN)
    try:
        with path.open("xb") as file:
            fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
            yield file.close
    finally:
        signal.signal(signal.SIGIO, before)


async def test_sessions_are_listed_while_a_lost_catalog_is_made_anew(lost: Path) -> None:
    with held_up(lost / ".state" / "catalog.sqlite") as let_go:
        async with opened(lost) as client:
            _, asked = client.start_request("holdfast/state/get", client.document("a.py"))
            assert await client.request("holdfast/sessions", None) == []
            assert not asked.done()
            let_go()
            assert (await asked)["variableNames"] == ["x"]
            assert [session["status"] for session in await client.request("holdfast/sessions", None)] == ["cold"] * 2
            assert await client.value("b.py", "y") == "2"


async def test_state_follows_a_file_that_is_renamed_while_it_is_opened(lost: Path) -> None:
    with held_up(lost / ".state" / "catalog.sqlite") as let_go:
        async with opened(lost) as client:
            files = [{"oldUri": client.uri("a.py"), "newUri": client.uri("c.py")}]
            client.notify("workspace/didRenameFiles", {"files": files})
            _, asked = client.start_request("holdfast/state/get", client.document("c.py"))
            assert await client.request("holdfast/sessions", None) == []
            assert not asked.done()
            let_go()
            assert (await asked)["variableNames"] == ["x"]
            assert not (await client.state("a.py"))["hasSavedState"]


async def test_whoever_stops_waiting_for_the_state_keeps_nobody_else_from_it(lost: Path) -> None:
    with held_up(lost / ".state" / "catalog.sqlite") as let_go:
        async with opened(lost) as client:
            identity, asked = client.start_request("holdfast/state/get", client.document("a.py"))
            client.notify("$/cancelRequest", {"id": identity})
            with pytest.raises(RpcError):
                await asked
            let_go()
            assert (await client.state("a.py"))["variableNames"] == ["x"]
