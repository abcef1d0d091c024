"""What the long versions of tests have in common: very many trials, in some processes, and a report of them."""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple, NoReturn


class Tally(NamedTuple):
    """What became of trials: how many had which outcome, and what is to be said of those that failed."""

    outcomes: Counter[str]
    failures: list[str]

    @classmethod
    def new(cls) -> Tally:
        """Return one of no trials."""
        return cls(Counter(), [])

    @contextlib.contextmanager
    def trial(self, name: str) -> Iterator[None]:
        """Whatever is raised in the block is noted as a failure, and the next trial comes."""
        try:
            yield
        except Exception:  # noqa: BLE001 - every failure is one to be shown
            self.outcomes["failed"] += 1
            self.failures.append(f"{name}: {traceback.format_exc()}")


class Chosen(NamedTuple):
    """What a script was asked for."""

    count: int
    seed: int
    jobs: int
    first: int

    def parts(self, size: int) -> list[range]:
        """Return the numbers of the trials in parts of this size."""
        end = self.first + self.count
        return [range(at, min(at + size, end)) for at in range(self.first, end, size)]


def choose(about: str) -> Chosen:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--first", type=int, default=0, help="number of the first trial")
    chosen = parser.parse_args()
    return Chosen(chosen.count, chosen.seed, chosen.jobs, chosen.first)


def carry_out(chosen: Chosen, what: str, run: Callable[..., Tally], parts: Sequence[tuple[Any, ...]]) -> NoReturn:
    """Do all trials, show every failure as it comes, and end: with 1 if there was one.

    Args:
        what: what the trials are.
        run: does a part of them, in a process of its own.
        parts: its arguments.
    """
    total: Counter[str] = Counter()
    with ProcessPoolExecutor(chosen.jobs, get_context("spawn")) as pool:
        for done in [pool.submit(run, *part) for part in parts]:
            outcomes, failures = done.result()
            total += outcomes
            for failure in failures:
                print(failure, flush=True)
            print(dict(total), flush=True)
    print(f"{chosen.count} {what}, seed {chosen.seed}: {dict(total)}")
    sys.exit(bool(total["failed"]))


@contextlib.contextmanager
def in_memory() -> Iterator[Path]:
    """A temporary folder, in memory where the system has that."""
    shm = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shm if shm.is_dir() else None) as temporary:
        yield Path(temporary)
