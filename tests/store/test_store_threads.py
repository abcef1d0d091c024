"""Threads: large and small commits, readers and idle work at once; nobody sees anything half."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

from store_making import KEY, Store, change, values


def together(*work: Callable[[], None]) -> None:
    """Run all at once; fail if one fails."""
    failures: list[BaseException] = []

    def guarded(job: Callable[[], None]) -> None:
        try:
            job()
        except BaseException as error:  # noqa: BLE001 - handed to the test's own thread
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(job,)) for job in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def test_two_writers_two_readers_and_idle_work_do_not_disturb_each_other(folder: Path) -> None:
    blocks = [os.urandom(400_000) for _ in range(12)]
    done = threading.Event()
    with Store.open(folder, KEY) as store:
        store.commit("big.py", change({"x": (b"0", (blocks[0],))}))
        store.commit("small.py", change({"x": b"0"}))

        def write_big() -> None:
            for number, block in enumerate(blocks):
                store.commit("big.py", change({"x": (b"%d" % number, (block,))}))

        def write_small() -> None:
            for number in range(150):
                store.commit("small.py", change({"x": b"%d" % number}))

        def write() -> None:
            together(write_big, write_small)
            done.set()

        def read() -> None:
            while not done.is_set():
                ((stream, (block,)),) = values(store, "big.py").values()
                assert block == blocks[int(stream)]
                assert store.check("small.py") == []

        def tidy() -> None:
            while not done.is_set():
                store.sync()
                store.checkpoint()

        together(write, read, read, tidy)
        assert values(store, "small.py") == {"x": (b"149", ())}
        assert values(store, "big.py") == {"x": (b"11", (blocks[11],))}


def test_two_threads_storing_the_same_bytes_both_have_them(store: Store) -> None:
    block = os.urandom(3_000_000)
    jobs = [lambda key=f"{n}.py": store.commit(key, change({"x": (b"", (block,))})) for n in range(4)]
    together(*jobs)  # type: ignore[arg-type]
    assert all(values(store, f"{n}.py") == {"x": (b"", (block,))} for n in range(4))
