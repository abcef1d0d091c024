"""Does the daemon answer while a cell prints a million lines, and does every line arrive?

Prints the median and the 95th percentile of the time that `holdfast/sessions` takes meanwhile. The bar is a median of
100 ms.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

from stdio_client import StdioClient

BAR = 100.0
LINES = 1_000_000


def measure() -> tuple[list[float], float, bool]:
    """Return the waits in milliseconds, the seconds that the cell took, and whether the output was whole."""
    with tempfile.TemporaryDirectory() as folder:
        client = StdioClient(Path(folder))
        client.run("a.py", "x = 1")
        started = time.perf_counter()
        document = {"uri": (Path(folder) / "a.py").as_uri()}
        run = client.start("holdfast/execute", {"textDocument": document, "code": f"for i in range({LINES}): print(i)"})
        waits: list[float] = []
        pieces: list[str] = []
        asked = client.start("holdfast/sessions", None)
        asked_at = time.perf_counter()
        finished = False
        while not finished:
            message = client.next_message()
            if message.get("method") == "holdfast/output":
                pieces.append(message["params"]["output"]["text"])
            elif message.get("id") == asked:
                waits.append((time.perf_counter() - asked_at) * 1000)
                asked = client.start("holdfast/sessions", None)
                asked_at = time.perf_counter()
            finished = message.get("id") == run
        seconds = time.perf_counter() - started
        client.close()
    return waits, seconds, "".join(pieces) == "".join(f"{i}\n" for i in range(LINES))


def main() -> int:
    """Measure, print, and say whether the bar is met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    waits, seconds, whole = measure()
    median, p95 = statistics.median(waits), sorted(waits)[int(len(waits) * 0.95) - 1]
    if arguments.json:
        print(
            json.dumps({"median_ms": median, "p95_ms": p95, "answers": len(waits), "seconds": seconds, "whole": whole})
        )
    else:
        print(f"{LINES:,} lines in {seconds:.1f} s, {'all' if whole else 'NOT all'} of them arrived")
        print(f"holdfast/sessions meanwhile: median {median:.1f} ms, p95 {p95:.1f} ms, n {len(waits)}, bar {BAR:g} ms")
    return 0 if whole and median <= BAR else 1


if __name__ == "__main__":
    raise SystemExit(main())
