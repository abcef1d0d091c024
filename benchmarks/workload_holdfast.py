"""What Holdfast does with the workloads, seen by a client: waits, lags, bytes, restores and memory."""

from __future__ import annotations

import json
import os
import select
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stdio_client import StdioClient
from workload_cells import Workload
from workload_memory import Sampler, bytes_on_disk, settled_bytes

SPARE = 1.5
"""Seconds in which a daemon surely has its spare kernel ready."""


@dataclass
class Pace:
    """How long things may take.

    Attributes:
        think: Seconds between the end of a save and the next cell, where there are pauses.
        budget: Seconds after which a workload of cells that are alike begins no further one.
        restores: How often a restore is measured.
    """

    think: float = 0.3
    budget: float = 60.0
    restores: int = 3


@dataclass
class Trip:
    """One run, in seconds: when it was sent and answered, when it was said to be saved, and what its code took."""

    sent: float
    answered: float
    code: float
    saved: float | None
    status: str

    @property
    def wait(self) -> float:
        """From sending to the answer."""
        return self.answered - self.sent

    @property
    def lag(self) -> float:
        """From the answer to `saved`; 0 if the answer said so."""
        return max(0.0, (self.saved or self.answered) - self.answered)


class TimedClient(StdioClient):
    """A client that notes when things arrive."""

    def __init__(self, folder: Path, options: dict[str, Any] | None = None) -> None:
        self._bytes = bytearray()
        self._underway: dict[str, Trip] = {}
        super().__init__(folder, options)

    @property
    def pid(self) -> int:
        """The daemon's process."""
        return self._process.pid

    def _receive(self) -> dict[str, Any]:
        message = self._take(None)
        assert message is not None
        return message

    def _take(self, deadline: float | None) -> dict[str, Any] | None:
        """Return the next message, or None if none comes in time."""
        stream = self._process.stdout
        assert stream is not None
        while True:
            head = self._bytes.find(b"\r\n\r\n")
            if head >= 0:
                fields = bytes(self._bytes[:head]).lower().split(b"\r\n")
                length = next(int(line.partition(b":")[2]) for line in fields if line.startswith(b"content-length:"))
                if len(self._bytes) >= head + 4 + length:
                    body = bytes(self._bytes[head + 4 : head + 4 + length])
                    del self._bytes[: head + 4 + length]
                    message: dict[str, Any] = json.loads(body)
                    self._note(message)
                    return message
            if deadline is not None:
                left = max(0.0, deadline - time.perf_counter())
                if not select.select([stream], [], [], left)[0]:
                    return None
            more = os.read(stream.fileno(), 1 << 20)
            if not more:
                raise EOFError("the daemon ended")
            self._bytes += more

    def _note(self, message: dict[str, Any]) -> None:
        if message.get("method") == "holdfast/state/saved":
            trip = self._underway.pop(message["params"]["runId"], None)
            if trip is not None:
                trip.saved = time.perf_counter()
                trip.status = message["params"]["state"]["status"]
                if trip.status == "failed":
                    raise RuntimeError(message["params"]["state"].get("reason", "a save failed"))

    def timed(self, name: str, code: str, **options: Any) -> Trip:
        """Run code and note the times.

        Raises:
            RuntimeError: the code or its save failed.
        """
        params = {"textDocument": {"uri": (self._folder / name).as_uri()}, "code": code, "options": options}
        sent = time.perf_counter()
        result = self.request("holdfast/execute", params)
        answered = time.perf_counter()
        status = result["state"]["status"]
        if result["status"] != "ok" or status == "failed":
            raise RuntimeError(str(result.get("error") or result["state"]))
        trip = Trip(sent, answered, result["duration"] / 1000, None if status == "saving" else answered, status)
        if status == "saving":
            self._underway[result["runId"]] = trip
        return trip

    def settle(self, limit: float = 600.0) -> None:
        """Wait until everything that was on its way is saved.

        Raises:
            TimeoutError: something is not.
        """
        deadline = time.perf_counter() + limit
        while self._underway:
            if self._take(deadline) is None:
                raise TimeoutError(f"not saved within {limit:.0f} s")

    def think(self, seconds: float) -> None:
        """Do nothing for a while, but read what comes."""
        deadline = time.perf_counter() + seconds
        while self._take(deadline) is not None:
            pass

    def flush(self) -> None:
        """Have everything written through."""
        self.settle()
        self.request("holdfast/state/flush", {})


@contextmanager
def daemon(folder: Path, **options: Any) -> Iterator[TimedClient]:
    """A daemon for a folder, as long as the block lasts."""
    folder.mkdir(parents=True, exist_ok=True)
    client = TimedClient(folder, options)
    try:
        yield client
        client.close()
    finally:
        if client._process.poll() is None:
            client._process.kill()
            client._process.wait()


def paced(workload: Workload, folder: Path, pace: Pace) -> dict[str, Any]:
    """Run each cell with and without being saved, in turns; each save is over before the next cell.

    The session `small` gets the cells that need nothing else without what the setup makes.
    """
    kept: list[Trip] = []
    plain: list[Trip] = []
    small: list[Trip] = []
    with daemon(folder) as client:
        for code in workload.setup:
            setup = client.timed("kept.py", code)
            client.timed("plain.py", code, persist=False)
            client.settle()
        client.timed("small.py", "import numpy as np" if workload.name == "W1" else "x = -1")
        client.flush()
        before = settled_bytes(folder / ".state")
        began = time.perf_counter()
        for index, code in enumerate(workload.cells):
            if index and workload.alike and time.perf_counter() - began > pace.budget:
                break
            client.think(pace.think)
            plain.append(client.timed("plain.py", code, persist=False))
            if workload.name == "W1":
                client.think(pace.think)
                small.append(client.timed("small.py", code))
                client.settle()
            client.think(pace.think)
            kept.append(client.timed("kept.py", code))
            client.settle()
        client.flush()
        after, while_open = settled_bytes(folder / ".state"), bytes_on_disk(folder / ".state")
    found = _waits(workload, kept, plain)
    closed = bytes_on_disk(folder / ".state")
    if small:
        found["small"] = _waits(workload, small, plain)["waits"]
    return found | {
        "setup_lag": setup.lag,
        "bytes": closed,
        "bytes_while_open": while_open,
        "bytes_per_cell": max(0, after - before) / len(kept) / (2 if small else 1),
    }


def burst(workload: Workload, folder: Path, count: int, pace: Pace) -> dict[str, Any]:
    """Run the first cells without being saved one right after the other, then the same with being saved."""
    kept: list[Trip] = []
    plain: list[Trip] = []
    with daemon(folder) as client:
        for name, trips, options in (("plain.py", plain, {"persist": False}), ("kept.py", kept, {})):
            for code in workload.setup:
                client.timed(name, code, **options)
            client.flush()
            client.think(pace.think)
            trips += [client.timed(name, code, **options) for code in workload.cells[:count]]
            client.settle()
    return _waits(workload, kept, plain)


def _waits(workload: Workload, kept: list[Trip], plain: list[Trip]) -> dict[str, Any]:
    """Return extra waits: what was waited, less the usual wait for the same cell without a save.

    Where cells differ, and take long, their own times differ by more from run to run than a save costs. There the time
    of the code itself is left out; how much slower it was is `slower`.
    """
    usual = statistics.median(trip.wait for trip in plain)
    usual_rest = statistics.median(trip.wait - trip.code for trip in plain)
    pairs = list(zip(kept, plain, strict=True))
    return {
        "cells": len(kept),
        "waits": [trip.wait - (usual if workload.alike else trip.code + usual_rest) for trip in kept],
        "slower": [trip.code - same.code for trip, same in pairs],
        "lags": [trip.lag for trip in kept],
        "trips": [trip.wait for trip in kept],
        "codes": [trip.wait for trip in plain],
    }


def restore(workload: Workload, folder: Path, times: int) -> dict[str, Any]:
    """Start daemons for what was saved, with a kernel ready, and use it."""
    found: dict[str, list[float]] = {"first": [], "every": [], "touch": [], "imports": []}
    for _ in range(times):
        with daemon(folder) as client:
            plain = [client.timed("other.py", code, persist=False) for code in ("1", workload.imports)]
            client.think(SPARE)
            first = client.timed("kept.py", workload.first, persist=False)
            every = client.timed("kept.py", workload.every, persist=False)
            touch = client.timed("kept.py", workload.touch, persist=False)
            found["first"].append(first.wait)
            found["every"].append(every.answered - first.sent)
            found["touch"].append(touch.wait)
            found["imports"].append(plain[1].wait)
    return {name: statistics.median(values) for name, values in found.items()}


def memory(workload: Workload, folder: Path, count: int, pace: Pace) -> dict[str, int]:
    """Compare the most memory that daemon, kernels and their children take with the same without saves."""
    peaks: list[int] = []
    cell_peaks: list[int] = []
    for name, options in (("plain", {"persist": False}), ("kept", {})):
        with daemon(folder / name) as client, Sampler(client.pid) as sampler:
            for code in workload.setup:
                client.timed("a.py", code, **options)
                client.settle()
            client.think(pace.think)
            first = sampler.peak
            sampler.reset()
            for code in workload.cells[:count]:
                client.timed("a.py", code, **options)
                client.settle()
            client.think(pace.think)
            peaks.append(max(first, sampler.peak))
            cell_peaks.append(sampler.peak)
    return {
        "memory": max(0, peaks[1] - peaks[0]),
        "memory_of_cells": max(0, cell_peaks[1] - cell_peaks[0]),
        "session": peaks[0],
    }


def measure(workload: Workload, folder: Path, pace: Pace, say: Callable[[str], None]) -> dict[str, Any]:
    """Measure all of one workload."""
    say("paced")
    result: dict[str, Any] = {"paced": paced(workload, folder / "paced", pace)}
    count = result["paced"]["cells"]
    say("burst")
    result["burst"] = burst(workload, folder / "burst", count, pace)
    say("restore")
    result["restore"] = restore(workload, folder / "paced", pace.restores)
    say("memory")
    result["memory"] = memory(workload, folder / "memory", min(count, 5) if workload.alike else count, pace)
    return result
