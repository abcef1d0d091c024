"""Kills of real daemons and kernels at random instants, while cells run and are saved.

    python tests/protocol/kill_torture.py --count 200 --seed 1

After each kill the session has to open, with a version no older than the last that was said to be saved, and with the
values that this version had.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import signal
import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from harness import Client, RpcError

CELL = """
import random as _random
n = {n}
small = {{'n': n, 'same': [n] * 3}}
alias = small['same']
array = _random.Random(n).randbytes({size})
late = [{n}] * 1000
"""
CHECK = """
import random as _random
_right = (small == {'n': n, 'same': [n] * 3} and small['same'] is alias and late == [n] * 1000
          and array == _random.Random(n).randbytes(len(array)))
print(n, _right)
"""
LONGEST = 0.5


class Torture:
    """One workspace and what was said to be saved in it."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.rng = random.Random(seed)
        self.said = 0
        self.sent = 0
        self.outcomes: Counter[str] = Counter()

    async def found(self, client: Client) -> int:
        """Return which version the session has, and fail if that is not what was saved."""
        if not self.said and "n" not in await client.variables("a.py"):
            return 0
        run = await client.run("a.py", CHECK, options={"collectOutputs": True, "persist": False})
        assert run["status"] == "ok", run
        text = "".join(output.get("text", "") for output in run["outputs"])
        number, right = text.split()
        assert right == "True", f"wrong values: {text}"
        assert self.said <= int(number) <= self.sent, f"{self.said} was saved, {self.sent} was run, {number} is there"
        return int(number)

    async def run_cells(self, client: Client) -> None:
        """Run cells until somebody is killed."""
        while True:
            self.sent += 1
            size = self.rng.choice([100, 5_000, 300_000, 3_000_000])
            durability = self.rng.choice(["committed", "committed", "synced"])
            run = await client.run("a.py", CELL.format(n=self.sent, size=size), options={"durability": durability})
            if run["status"] != "ok":
                return
            if run["state"]["status"] == "saved":
                self.said = self.sent
            elif run["state"]["status"] == "saving":
                run_id = run["runId"]
                saved = await client.notified(
                    "holdfast/state/saved", lambda params, run_id=run_id: params["runId"] == run_id
                )
                if saved["state"]["status"] == "saved":
                    self.said = self.sent

    async def round(self) -> None:
        """Open, look, run cells, and kill the daemon or the kernel, which may come while it opens."""
        client = await Client.start(self.folder)
        victim = self.rng.choice(["daemon", "kernel", "both"])
        try:
            await client.initialize()
            if self.said or self.sent:
                found = await self.found(client)
                self.sent = max(found, self.said)
            work = asyncio.create_task(self.run_cells(client))
            if self.rng.random() < 0.8:
                before = self.said
                while self.said == before and not work.done():
                    await asyncio.sleep(0.005)
            await asyncio.sleep(self.rng.uniform(0, LONGEST))
            if victim != "daemon":
                with contextlib.suppress(RpcError, ConnectionError, StopIteration, RuntimeError, ProcessLookupError):
                    pid = (await client.session("a.py")).get("pid")
                    if pid:
                        os.kill(pid, signal.SIGKILL)
                if victim == "kernel":
                    # A new kernel has what was saved last.
                    with contextlib.suppress(RpcError, ConnectionError):
                        await asyncio.wait([work], timeout=20)
                        self.sent = max(self.sent, self.said)
                        if work.done():
                            await self.found(client)
            await client.kill()
            work.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionError, RpcError):
                await work
            self.outcomes[victim] += 1
        finally:
            if client.process.returncode is None:
                await client.kill()


async def run(count: int, seed: int) -> Counter[str]:
    """Kill so often in one workspace."""
    with tempfile.TemporaryDirectory(prefix="hf-") as temporary:
        place = Path(temporary)
        os.environ["HOLDFAST_RUNTIME_DIR"] = str(place / "run")
        os.environ["HOLDFAST_CONFIG_DIR"] = str(place / "config")
        (place / "work").mkdir()
        torture = Torture(place / "work", seed)
        for number in range(count):
            try:
                await torture.round()
            except AssertionError as error:
                torture.outcomes["failed"] += 1
                print(f"kill {number} of seed {seed}: {error}", flush=True)
            if number % 20 == 19:
                print(f"{dict(torture.outcomes)}, {torture.said} versions said to be saved", flush=True)
        return torture.outcomes


def main() -> None:
    """Kill."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    outcomes = asyncio.run(run(chosen.count, chosen.seed))
    print(f"{chosen.count} kills, seed {chosen.seed}: {dict(outcomes)}")
    sys.exit(bool(outcomes["failed"]))


if __name__ == "__main__":
    main()
