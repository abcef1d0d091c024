"""kill -9 at any moment: what was said to be saved is there, and whole."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from store_making import KEY, Store, values
from store_writer import content
from thorough import THOROUGH

ROUNDS = int(os.environ.get("HOLDFAST_KILL_ROUNDS", "25" if THOROUGH else "15"))


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_nothing_said_to_be_saved_is_lost_to_kill_9(folder: Path) -> None:
    rng = random.Random(1)
    said = 0
    here = Path(__file__).parent
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(here), *sys.path])}
    for _ in range(ROUNDS):
        writer = subprocess.Popen(
            [sys.executable, str(here / "store_writer.py"), str(folder)],
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        assert writer.stdout is not None
        opened = writer.stdout.readline().split()
        assert opened[0] == "opened"
        # One more than was said may be there: it was saved, and the word of it was lost.
        assert said <= int(opened[1]) <= said + 1
        said = int(opened[1])
        # The moment is drawn from the time that a few commits take, and has nothing to do with where the writer is.
        killer = threading.Timer(rng.uniform(0, 0.1), writer.send_signal, [signal.SIGKILL])
        killer.start()
        for line in writer.stdout:
            if line.endswith("\n"):
                said = int(line.split()[1])
        killer.join()
        assert writer.wait() == -signal.SIGKILL
        with Store.open(folder, KEY) as store:
            head = store.head("a.py")
            if head is None:
                assert said == 0
                continue
            assert said <= head.version <= said + 1
            said = head.version
            found = values(store, "a.py")
            assert found["x"] == content(said)
            for number in range(max(1, said - 4), said + 1):
                assert found[f"y{number % 5}"] == (b"%d" % number, ())
            assert store.check("a.py") == []
    assert said > ROUNDS
    with Store.open(folder, KEY) as store:
        left = [record.version for record in store.history("a.py", 1000)]
        assert left[:10] == list(range(said, said - 10, -1))
        for number in left:
            assert values(store, "a.py", number)["x"] == content(number)
