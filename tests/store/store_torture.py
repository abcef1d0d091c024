"""Kills at random instants: a process that saves is killed again and again, and what it said is saved has to be there.

    python tests/store/store_torture.py --count 10000 --seed 1 --jobs 2

Every second kill comes at a random call that reaches the disk, the others after a random time.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
import traceback
from pathlib import Path

from store_kills import kill_after
from store_making import KEY, Store, Value, change, values
from store_repair import examined
from store_trials import Tally, carry_out, choose, in_memory

LONGEST = 0.06
MOST_CALLS = 150
KEPT = 12


def value(number: int) -> Value:
    """Return what version `number` saves."""
    rng = random.Random(number)
    buffers = (rng.randbytes(rng.choice([30_000, 300_000])),) if number % 5 == 0 else ()
    return rng.randbytes(rng.choice([3, 100, 900, 5000])), buffers


def held(number: int) -> dict[str, Value]:
    """Return all that version `number` holds."""
    return {f"v{each % 6}": value(each) for each in range(max(1, number - 5), number + 1)}


def save(folder: Path, out: int) -> None:
    """Save for ever, with all that keeps a store in order in between."""
    store = Store.open(folder, KEY)
    head = store.head("a.py")
    number = 0 if head is None else head.version
    os.write(out, b"opened %d\n" % number)
    while True:
        number += 1
        store.commit("a.py", change({f"v{number % 6}": value(number)}), synced=number % 9 == 0)
        os.write(out, b"saved %d\n" % number)
        if number % 4 == 0:
            store.settle()
        if number % 7 == 0:
            store.commit("side.py", change({"x": b"%d" % number * 200}))
            store.move("side.py", "other.py")
            store.set_label("a.py", number, None)
        if number % 11 == 0:
            store.sync()
            store.checkpoint()
        if number % 13 == 0:
            for _ in store.thin("a.py", KEPT):
                pass
            store.forget("other.py")
            for _ in store.collect():
                pass
        if number % 17 == 0:
            store.close()
            store = Store.open(folder, KEY)


def kill(folder: Path, rng: random.Random) -> tuple[int, int]:
    """Have a process save until it is killed; return what it found, and what it said last."""
    reading, out = os.pipe()
    at_call = rng.random() < 0.5
    calls = rng.randrange(MOST_CALLS)
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            if at_call:
                kill_after(calls)
            save(folder, out)
        except BaseException:  # noqa: BLE001 - told to the parent
            os.write(out, b"broke " + traceback.format_exc().encode())
        finally:
            os._exit(1)
    os.close(out)
    if not at_call:
        time.sleep(rng.uniform(0, LONGEST))
        os.kill(child, signal.SIGKILL)
    with os.fdopen(reading, "rb") as told:
        said = told.read()
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), said.decode()
    lines = said.split(b"\n")
    found = next((int(line.split()[1]) for line in lines if line.startswith(b"opened")), -1)
    return found, max((int(line.split()[1]) for line in lines[:-1] if line.startswith(b"saved")), default=found)


def check(folder: Path, least: int, *, thoroughly: bool) -> int:
    """Open what is left after a kill; return the newest version there is."""
    with Store.open(folder, KEY) as store:
        head = store.head("a.py")
        number = 0 if head is None else head.version
        # One more than was said may be there: it was saved, and the word of it was lost.
        assert least <= number <= least + 1, f"{least} was said to be saved, {number} is there"
        for record in store.history("a.py", 1000 if thoroughly else 3):
            assert values(store, "a.py", record.version) == held(record.version), f"wrong: {record.version}"
        for key in store.sessions():
            store.listing(key)
        if thoroughly:
            found = [finding.problem for finding in examined(store) if finding.problem.kind != "metadata"]
            assert found == [], found
    return number


def run(count: int, seed: int) -> Tally:
    """Kill so often."""
    rng = random.Random(seed)
    tally = Tally.new()
    with in_memory() as place:
        folder, number = place / ".state", 0
        for which in range(count):
            whole = False
            with tally.trial(f"kill {which} of seed {seed}"):
                found, said = kill(folder, rng)
                assert found in (-1, number), f"{number} was there, and {found} was found"
                number = check(folder, max(said, number), thoroughly=which % 20 == 19)
                tally.outcomes["killed while opening" if found < 0 else "killed while saving"] += 1
                whole = True
            if not whole:
                shutil.rmtree(folder, ignore_errors=True)
                number = 0
        tally.outcomes["versions saved"] += number
    return tally


def main() -> None:
    """Kill, in some processes."""
    chosen = choose(__doc__)
    parts = [(len(part), chosen.seed * 1000 + part.start // 250) for part in chosen.parts(250)]
    carry_out(chosen, "kills", run, parts)


if __name__ == "__main__":
    main()
