"""A process that commits until it is killed, and says on stdout what it was told is saved."""

from __future__ import annotations

import random
import sys
from pathlib import Path

from store_making import KEY, Store, change


def content(number: int) -> tuple[bytes, tuple[bytes, ...]]:
    """Return what version `number` holds: sometimes nothing but a few bytes, sometimes a large buffer."""
    rng = random.Random(number)
    large = rng.randbytes(rng.choice([0, 0, 100_000, 700_000]))
    return b"%d" % number * rng.choice([1, 40, 400]), (large,)


def main() -> None:
    """Commit for ever."""
    store = Store.open(Path(sys.argv[1]), KEY)
    head = store.head("a.py")
    number = 0 if head is None else head.version
    print(f"opened {number}", flush=True)
    while True:
        number += 1
        record = store.commit(
            "a.py", change({"x": content(number), f"y{number % 5}": b"%d" % number}), synced=number % 7 == 0
        )
        assert record.version == number
        print(f"saved {number}", flush=True)
        if number % 11 == 0:
            store.checkpoint()
        if number % 5 == 0:
            for _ in store.thin("a.py", 10):
                pass
            for _ in store.collect():
                pass


if __name__ == "__main__":
    main()
