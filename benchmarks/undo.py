"""How long the undo of a cell takes in a session of a gigabyte: Holdfast beside Kishu's checkout, in turns.

Usage: ``python benchmarks/undo.py [--rounds N] [--cache FOLDER]``. Two sessions: ``many`` holds 1,024 arrays of 1 MB,
and a cell changes one of them; ``one`` holds an array of 1 GB, and a cell changes 1 MB of it. Each round runs such a
cell, waits until it is saved, takes it back and looks at what was changed; the time is that of the last two.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from stdio_client import StdioClient
from workload_peers import Environments

SESSIONS = {
    "many": (
        "import numpy as np\nrng = np.random.default_rng(0)\n"
        "for index in range(1024):\n    globals()[f'a{index}'] = rng.random(131_072)\n",
        "a7 += {n}",
        "a7[5]",
    ),
    "one": (
        "import numpy as np\nrng = np.random.default_rng(0)\na = rng.random((1024, 131_072))\n",
        "a[7] += {n}",
        "a[7, 5]",
    ),
}
GOAL_SECONDS, GOAL_RATIO = 0.1, 20.0


def holdfast(folder: Path, session: str, rounds: int) -> list[tuple[float, float]]:
    """Return the seconds of each undo, and those until the changed value was seen as it was.

    Raises:
        RuntimeError: a value was not what it had been.
    """
    setup, change, look = SESSIONS[session]
    client = StdioClient(folder)
    document = {"textDocument": {"uri": (folder / "a.py").as_uri()}}
    client.run("a.py", setup)
    times = []
    for number in range(1, rounds + 1):
        client.request("holdfast/state/flush", document)
        before = client.run("a.py", look, collectOutputs=True, persist=False)["outputs"]
        client.run("a.py", change.format(n=number))
        client.request("holdfast/state/flush", document)
        started = time.perf_counter()
        undone = client.request("holdfast/state/undo", document)
        answered = time.perf_counter()
        after = client.run("a.py", look, collectOutputs=True, persist=False)["outputs"]
        times.append((answered - started, time.perf_counter() - started))
        if not undone["success"] or [o["data"] for o in after] != [o["data"] for o in before]:
            raise RuntimeError(f"the undo went wrong: {undone['message']}, {before} became {after}")
    client.close()
    return times


KISHU = """
import json, sys, time
sys.path.insert(0, {here!r})
from pathlib import Path
from workload_jupyter import with_kishu
from kishu.commands import KishuCommand
setup, change, look, rounds, folder = json.loads(sys.argv[1])
folder = Path(folder)
kernel = with_kishu(folder)
kernel.run(setup)
times = []
for number in range(1, rounds + 1):
    commit = KishuCommand.log(folder / "notebook.ipynb").commit_graph[-1].commit_id
    kernel.run(change.format(n=number))
    started = time.perf_counter()
    kernel.run(f"_ = _kishu.checkout({{commit!r}})", silent=True)
    answered = time.perf_counter()
    kernel.run(f"_ = {{look}}", silent=True)
    times.append((answered - started, time.perf_counter() - started))
kernel.close()
print(json.dumps(times))
"""


def kishu(python: Path, folder: Path, session: str, rounds: int) -> list[tuple[float, float]]:
    """Return the same of Kishu, in its own environment."""
    task = json.dumps([*SESSIONS[session], rounds, str(folder)])
    code = KISHU.format(here=str(Path(__file__).parent))
    result = subprocess.run([str(python), "-c", code, task], capture_output=True, text=True, check=False)
    if result.returncode:
        raise RuntimeError(result.stderr[-1000:])
    return [(one, two) for one, two in json.loads(result.stdout.splitlines()[-1])]


def main() -> None:
    """Measure, and say what came out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "holdfast-benchmarks")
    parser.add_argument("--alone", action="store_true", help="without Kishu")
    arguments = parser.parse_args()
    missed = False
    for session in SESSIONS:
        with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
            ours = holdfast(Path(one).resolve(), session, arguments.rounds)
            line = f"{session}: undo {statistics.median(t for t, _ in ours) * 1e3:.1f} ms"
            used = statistics.median(t for _, t in ours)
            line += f", until used {used * 1e3:.1f} ms (median of {len(ours)}, worst {max(ours)[1] * 1e3:.1f})"
            missed |= used > GOAL_SECONDS
            if not arguments.alone:
                python = Environments(arguments.cache).python("Kishu")
                theirs = kishu(python, Path(two).resolve(), session, min(3, arguments.rounds))
                peer = statistics.median(t for _, t in theirs)
                line += f"; Kishu's checkout {peer * 1e3:.0f} ms: 1/{peer / used:.0f} of it"
                missed |= peer / used < GOAL_RATIO
            print(line, flush=True)
    sys.exit(missed)


if __name__ == "__main__":
    main()
