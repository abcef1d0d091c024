"""Every promise of `promises.py`, across three processes, under every Python that is found."""

from __future__ import annotations

import importlib.util
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import cloudpickle
import promises
import promises_ambient
import promises_deep
import pytest
from pythons import find

ROOT = Path(__file__).parents[2]
PROCESS = Path(__file__).with_name("process.py")
VERSIONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
RUNNING = "{}.{}".format(*sys.version_info)
PLAIN = {**promises.PLAIN, **promises_ambient.PLAIN, **promises_deep.PLAIN}
WITH = {
    "numpy": {**promises.WITH_NUMPY, **promises_ambient.WITH_NUMPY},
    "pandas": {**promises.WITH_PANDAS, **promises_ambient.WITH_PANDAS},
    "sklearn": promises_ambient.WITH_SKLEARN,
    "polars": promises_ambient.WITH_POLARS,
}
ALL = {**PLAIN, **{name: promise for more in WITH.values() for name, promise in more.items()}}


def work(interpreter: str, folder: Path, job: list[Any]) -> list[Any]:
    """Have a process do a job; see `process.py`."""
    file = folder / "job"
    file.write_bytes(pickle.dumps(job, 4))
    package = Path(cloudpickle.__file__).parent
    subprocess.run([interpreter, str(PROCESS), str(ROOT), str(package), str(file)], check=True, timeout=100)
    answer: list[Any] = pickle.loads(file.with_suffix(".answer").read_bytes())
    return answer


def three_lives(interpreter: str, folder: Path, names: list[str]) -> dict[str, list[str]]:
    """Return what went wrong by promise: cells in one process, restored in a second, and from there in a third."""
    wrong: dict[str, list[str]] = {name: [] for name in names}
    stores: list[Any] = [None] * len(names)
    for life in ("made", "restored", "restored twice"):
        first = life == "made"
        job = [
            (ALL[name][0] if first else [], ALL[name][1], store, not first)
            for name, store in zip(names, stores, strict=True)
        ]
        answers = work(interpreter, folder, job)
        for name, (failed, _, lost) in zip(names, answers, strict=True):
            wrong[name] += [f"{life}: {check}" for check in failed] + [f"{life}: lost {one}" for one in lost]
        stores = [store for _, store, _ in answers]
    return wrong


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What went wrong under the Python of the tests, which has numpy and other libraries."""
    names = list(PLAIN)
    for module, more in WITH.items():
        if importlib.util.find_spec(module) is not None:
            names += more
    return three_lives(sys.executable, tmp_path_factory.mktemp("lives"), names)


@pytest.mark.parametrize("promise", ALL)
def test_after_two_deaths(promise: str, outcome: dict[str, list[str]]) -> None:
    if promise not in outcome:
        pytest.skip("the library is not installed")
    assert not outcome[promise], "\n".join(outcome[promise])


@pytest.mark.parametrize("version", [version for version in VERSIONS if version != RUNNING])
def test_all_promises_hold_under_other_pythons(version: str, tmp_path: Path) -> None:
    interpreter = find(version)
    if interpreter is None:
        pytest.skip(f"no Python {version} was found")
    lives = three_lives(interpreter, tmp_path, list(PLAIN))
    wrong = {name: problems for name, problems in lives.items() if problems}
    assert not wrong, "\n\n".join(f"{name}:\n" + "\n".join(problems) for name, problems in wrong.items())
