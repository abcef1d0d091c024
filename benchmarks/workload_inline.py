"""Runs a workload in this Python, and keeps the session after every cell with dill, with cloudpickle, or not at all.

Usage: ``python -c "__import__('workload_inline').main()" KEEP run|load TASK``, where KEEP is ``dill``, ``cloudpickle``
or ``nothing``, and TASK is a JSON file with ``setup``, ``cells``, ``every``, ``touch``, ``state`` (where the session is
kept) and ``budget`` (seconds after which no further cell is begun). Prints one JSON object per line. Needs nothing but
the standard library and the peer.
"""

from __future__ import annotations

import hashlib
import json
import pickle
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SPACE: dict[str, Any] = sys.modules["__main__"].__dict__


def execute(code: str) -> float:
    """Run a cell, and return the seconds it took."""
    compiled = compile(code, "<cell>", "exec")
    started = time.perf_counter()
    exec(compiled, SPACE)
    return time.perf_counter() - started


def keep_with_dill(state: Path) -> None:
    """Write the session."""
    import dill

    dill.dump_session(str(state))


class KeepWithCloudpickle:
    """Pickles all variables together, and writes them if their SHA-256 is another one."""

    def __init__(self) -> None:
        self._digest = b""

    def __call__(self, state: Path) -> None:
        """Write the session."""
        import cloudpickle

        content = cloudpickle.dumps({name: value for name, value in SPACE.items() if not name.startswith("__")})
        digest = hashlib.sha256(content).digest()
        if digest != self._digest:
            state.write_bytes(content)
            self._digest = digest


def say(**values: Any) -> None:
    """Tell the runner something."""
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


def run(keep: str, task: dict[str, Any]) -> None:
    """Run the cells and keep the session after each."""
    state = Path(task["state"])
    state.touch()
    keepers: dict[str, Callable[[Path], None]] = {
        "dill": keep_with_dill,
        "cloudpickle": KeepWithCloudpickle(),
        "nothing": lambda _: None,
    }
    keeper = keepers[keep]
    for code in task["setup"]:
        execute(code)
    started = time.perf_counter()
    keeper(state)
    say(setup=time.perf_counter() - started, bytes=state.stat().st_size)
    began = time.perf_counter()
    for index, code in enumerate(task["cells"]):
        if index and time.perf_counter() - began > task["budget"]:
            break
        took = execute(code)
        started = time.perf_counter()
        keeper(state)
        say(cell=index, code=took, wait=time.perf_counter() - started, bytes=state.stat().st_size)


def load(keep: str, task: dict[str, Any]) -> None:
    """Bring the session back, and use it."""
    __import__(keep)
    started = time.perf_counter()
    if keep == "dill":
        import dill

        dill.load_session(task["state"])
    else:
        with Path(task["state"]).open("rb") as file:
            SPACE.update(pickle.load(file))
    execute(task["every"])
    used = time.perf_counter()
    execute(task["touch"])
    say(every=used - started, touch=time.perf_counter() - used)


def main() -> None:
    """Do what the command line says."""
    keep, what, path = sys.argv[1:4]
    task = json.loads(Path(path).read_text())
    (run if what == "run" else load)(keep, task)
