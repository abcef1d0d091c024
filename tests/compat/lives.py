"""Runs entries through three processes, each killed: made there; restored and changed; restored again."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cloudpickle
from entry import ROW, Entry

ROOT = Path(__file__).parents[2]
WORKER = Path(__file__).with_name("worker.py")
SECONDS = 300
ENVIRONMENT = {
    "MPLBACKEND": "agg",
    "KERAS_BACKEND": "torch",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "OMP_NUM_THREADS": "1",
    "PYTHONWARNINGS": "ignore",
}


def environment_of(package: str) -> dict[str, str]:
    """Return the environment variables that a package needs besides."""
    return {"KERAS_BACKEND": "tensorflow"} if package == "tensorflow" else {}


@dataclass
class Outcome:
    """What became of an entry.

    Attributes:
        result: "right", "named lost", "wrong" or "not run".
        details: what went wrong, or why it was not run; for what is lost the reason and the remedy.
        lost: other variables that were named lost.
        resent: variables that were sent again though nothing had changed them.
    """

    result: str
    details: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    resent: list[str] = field(default_factory=list)


def work(interpreter: str, folder: Path, life: str, items: list[Any], more: dict[str, str]) -> list[Any] | str:
    """Have a process live a life, with more environment variables; return its answers, or how it died."""
    job = folder / life
    job.write_bytes(pickle.dumps((life, items), 4))
    answer = job.with_suffix(".answer")
    answer.unlink(missing_ok=True)
    package = Path(cloudpickle.__file__).parent
    errors = job.with_suffix(".stderr")
    with errors.open("w+") as stderr:
        # A process group of its own: what libraries leave behind (pools of processes) ends with it.
        process = subprocess.Popen(
            [interpreter, str(WORKER), str(ROOT), str(package), str(job)],
            env={**os.environ, **ENVIRONMENT, **more, "HOME": str(folder)},
            cwd=folder,
            stdout=stderr,
            stderr=stderr,
            start_new_session=True,
        )
        try:
            returned = process.wait(SECONDS)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if returned != -signal.SIGKILL or not answer.exists():
        return f"the process ended with {returned}: {errors.read_text()[-500:]}"
    answers: list[Any] = pickle.loads(answer.read_bytes())
    return answers


def run(interpreter: str, folder: Path, entries: Sequence[Entry]) -> list[Outcome]:
    """Return what became of entries that share their processes."""
    answers: dict[int, dict[str, Any]] = {index: {} for index in range(len(entries))}
    outcomes: dict[int, Outcome] = {}
    for life in ("made", "changed", "seen"):
        left = [index for index in answers if index not in outcomes]
        items = [(entries[index], answers[index].get("store"), answers[index]) for index in left]
        if not items:
            break
        got = work(interpreter, folder, life, items, environment_of(entries[0].package))
        for position, index in enumerate(left):
            if isinstance(got, str):
                outcomes[index] = Outcome("wrong", [f"{life}: {got}"])
                continue
            before, answers[index] = answers[index], got[position]
            outcome = judge(entries[index], life, before, answers[index])
            if outcome is not None:
                outcomes[index] = outcome
    return [outcomes[index] for index in range(len(entries))]


def judge(entry: Entry, life: str, before: dict[str, Any], now: dict[str, Any]) -> Outcome | None:
    """Return the outcome if it is known after this life."""
    if "not run" in now:
        return Outcome("not run", [now["not run"]])
    now["resent"] = [*before.get("resent", ()), *now["resent"]]
    lost = {name: (kind, reason, remedy) for name, kind, reason, remedy in now["lost"]}
    for name, (_, reason, remedy) in lost.items():
        if not reason or not remedy:
            return Outcome("wrong", [f"{name} is lost without a reason or a remedy"])
    named = [f"{name}: {reason}; {remedy}" for name, (_, reason, remedy) in lost.items() if name != "_alias"]
    if now["failed"] and ROW not in lost:
        return Outcome("wrong", now["failed"], named)
    if ROW in lost:
        _, reason, remedy = lost[ROW]
        return Outcome("named lost", [reason, remedy])
    now["lost names"] = sorted({*before.get("lost names", ()), *named})
    if life != "seen":
        return None
    return Outcome("right", lost=now["lost names"], resent=now["resent"])
