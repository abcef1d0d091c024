"""How much memory processes and their children take, looked at again and again from outside."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def family(roots: Iterable[int]) -> set[int]:
    """Return processes with all their descendants."""
    found: set[int] = set()
    waiting = list(roots)
    while waiting:
        pid = waiting.pop()
        if pid in found:
            continue
        found.add(pid)
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            try:
                waiting.extend(int(child) for child in children.read_text().split())
            except OSError:
                continue
    return found


def proportional_set_size(pids: Iterable[int]) -> int:
    """Return the bytes of memory that processes have for themselves, with their shares of what is shared.

    Returns:
        0 if one of them ended meanwhile: what it had shared was counted as its own, and then as the other's.
    """
    total = 0
    counted = []
    for pid in pids:
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        size = next((int(line.split()[1]) << 10 for line in text.splitlines() if line.startswith("Pss:")), 0)
        if size:
            total += size
            counted.append(pid)
    return total if all(_has_memory(pid) for pid in counted) else 0


def _has_memory(pid: int) -> bool:
    try:
        return not Path(f"/proc/{pid}/statm").read_text().startswith("0 ")
    except OSError:
        return False


class Sampler:
    """Looks at a process and its descendants every few milliseconds, half of the time at most, until the block ends.

    Attributes:
        peak: The most bytes that were seen.
    """

    def __init__(self, root: int, interval: float = 0.01) -> None:
        self.peak = 0
        self._root = root
        self._interval = interval
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def reset(self) -> None:
        """Begin anew."""
        self.peak = 0

    def _look(self) -> None:
        while not self._over.is_set():
            started = time.perf_counter()
            self.peak = max(self.peak, proportional_set_size(family([self._root])))
            time.sleep(max(self._interval, time.perf_counter() - started))

    def __enter__(self) -> Sampler:
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._over.set()
        self._thread.join()


def settled_bytes(state: Path) -> int:
    """Return what a state folder in use takes without what its catalog has noted twice, in its write-ahead log."""
    with tempfile.TemporaryDirectory() as folder:
        for path in state.glob("catalog.sqlite*"):
            shutil.copy(path, folder)
        catalog = sqlite3.connect(Path(folder) / "catalog.sqlite")
        catalog.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        catalog.close()
        return bytes_on_disk(state, without="catalog.sqlite*") + bytes_on_disk(Path(folder))


def bytes_on_disk(folder: Path, without: str = "") -> int:
    """Return the bytes that the files below a folder take on the disk."""
    total = 0
    for path in folder.rglob("*"):
        if without and path.match(without):
            continue
        try:
            status = path.lstat()
        except OSError:
            continue
        total += status.st_blocks * 512
    return total
