"""What differs inside of values, told by a kernel that is there for it alone."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from harness import Client, processes_in

LARGE = """
import random
import numpy as np
big, x = np.frombuffer(random.Random(1).randbytes(20_000_000), 'u1').copy(), 1
"""


async def diff(client: Client, version: int, to: int | None = None, **more: Any) -> dict[str, dict[str, Any]]:
    """Return the details of what changed, by name."""
    params = {**client.document("a.py"), "from": version, "to": to, "details": True, **more}
    found = await client.request("holdfast/state/diff", params)
    return {change["name"]: change.get("details") for change in found["changed"]}


async def test_a_diff_looks_into_the_values_that_differ(daemon: Client) -> None:
    await daemon.run("a.py", "x = [1, 2, 3]; n = 1; same = {}; text = 'a'")
    await daemon.run("a.py", "x[1] = 20; n = 2")
    found = await diff(daemon, 1, 2)
    assert {name: details["lines"] for name, details in found.items()} == {
        "x": ["~ [1]: 2 → 20"],
        "n": ["1 → 2: +1 (+100 %)"],
    }
    assert list(await diff(daemon, 1, 2, names=["n"])) == ["n"]


async def test_a_diff_beside_memory_looks_into_what_is_saved_and_says_so_of_the_rest(daemon: Client) -> None:
    await daemon.run("a.py", "x = [1]; y = [1]")
    await daemon.run("a.py", "x.append(2)")
    await daemon.run("a.py", "y.append(2); 1 / 0")
    found = await diff(daemon, 1)
    assert found["x"]["lines"] == ["length: 1 → 2", "+ [1]: 2"]
    assert "not saved" in found["y"]["lines"][0]


async def test_a_diff_with_classes_and_functions_of_the_session(daemon: Client) -> None:
    await daemon.run(
        "a.py", "class P:\n    def __init__(self): self.v = 1\n    def f(self): return 1\np = P()\ndef g(): return 1"
    )
    await daemon.run("a.py", "p.v = 2")
    await daemon.run("a.py", "def g(): return 2")
    assert (await diff(daemon, 1, 2))["p"]["lines"] == ["~ .'v': 1 → 2"]
    assert any("return 2" in line for line in (await diff(daemon, 2, 3))["g"]["lines"])


async def test_a_diff_does_not_compare_what_is_damaged(daemon: Client) -> None:
    await daemon.run("a.py", LARGE)
    await daemon.run("a.py", "big[0] ^= 1; x = 2")
    await daemon.flush("a.py")
    spoiled = random.Random(1).randbytes(20_000_000)[9_000_000:9_000_050]
    (pack,) = [path for path in (daemon.folder / ".state" / "packs").iterdir() if spoiled in path.read_bytes()]
    pack.write_bytes(pack.read_bytes().replace(spoiled, bytes(50)))
    found = await diff(daemon, 1, 2)
    assert found["big"]["kind"] == "unknown" and "damaged" in found["big"]["lines"][0]
    assert found["x"]["lines"] == ["1 → 2: +1 (+100 %)"]


async def test_a_diff_leaves_the_session_and_no_process_behind(daemon: Client, folder: Path) -> None:
    await daemon.run("a.py", "x = [1]; marker = []")
    await daemon.run("a.py", "x.append(2)")
    before = await daemon.value("a.py", "id(x), id(marker)")
    (folder / "difflib.py").write_text("raise RuntimeError")
    assert await diff(daemon, 1, 2)
    assert await daemon.value("a.py", "id(x), id(marker)") == before
    assert (await daemon.session("a.py"))["version"] == 2
    assert len(processes_in(folder)) <= 3, "the daemon, the session's kernel and the spare"
