"""Runs a workload in ipykernels: with Kishu, which checkpoints after every cell, or without.

Usage: ``python workload_jupyter.py kishu|kishu-alone|ipykernel TASK``, with the Python that has ipykernel, and Kishu
where it is wanted. ``kishu`` runs each cell in a kernel with Kishu and in one without, in turns; ``kishu-alone`` is to
see how much memory it takes. The task is as for ``workload_inline.py``; ``state`` is a folder. Prints one JSON object
per line; times are seconds of the client.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from jupyter_client.manager import KernelManager

NOTEBOOK = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


class Kernel:
    """An ipykernel and its client."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self._manager = KernelManager(kernel_name="python3")
        self._manager.start_kernel(env=os.environ | environment, cwd=str(folder))
        self._client = self._manager.blocking_client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=60)

    def run(self, code: str, *, silent: bool = False) -> float:
        """Run a cell, and return the seconds until its answer.

        Raises:
            RuntimeError: the cell failed.
        """
        started = time.perf_counter()
        answer = self._client.execute(code, reply=True, timeout=600, store_history=not silent)
        took = time.perf_counter() - started
        content = answer["content"]
        if content["status"] != "ok":
            raise RuntimeError(f"{content['ename']}: {content['evalue']}"[:300])
        return took

    def close(self) -> None:
        """End the kernel."""
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)


def with_kishu(folder: Path) -> Kernel:
    """Start a kernel that checkpoints to a folder; there is no notebook front end, so its test mode is used."""
    notebook = folder / "notebook.ipynb"
    if not notebook.exists():
        notebook.write_text(json.dumps(NOTEBOOK))
    kernel = Kernel(folder, ENV_KISHU_TEST_MODE="1", TEST_NOTEBOOK_PATH=str(notebook), KISHU_PATH_ROOT=str(folder))
    kernel.run("from kishu import init_kishu")
    kernel.run(f"init_kishu({str(notebook)!r})")
    return kernel


def say(**values: Any) -> None:
    """Tell the runner something."""
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


def size(folder: Path) -> int:
    """Return the bytes of Kishu's database."""
    return sum(path.stat().st_size for path in folder.glob("*.kishudb*"))


def run(task: dict[str, Any], *kernels: Kernel) -> None:
    """Run each cell in all kernels in turns; the last one's time is the trip, another one's the cell's own time."""
    folder = Path(task["state"])
    for code in task["setup"]:
        for kernel in kernels:
            kernel.run(code)
    say(setup=0, bytes=size(folder))
    began = time.perf_counter()
    for index, code in enumerate(task["cells"]):
        if index and time.perf_counter() - began > task["budget"]:
            break
        times = []
        for kernel in kernels:
            time.sleep(task["think"])
            times.append(kernel.run(code))
        say(cell=index, trip=times[-1], bytes=size(folder), **({"code": times[0]} if len(times) > 1 else {}))
    for kernel in kernels:
        kernel.close()


def restore_with_kishu(task: dict[str, Any]) -> None:
    """Check the last commit out in a new kernel, and use it."""
    from kishu.commands import KishuCommand

    folder = Path(task["state"])
    commits = KishuCommand.log(folder / "notebook.ipynb").commit_graph
    fresh = with_kishu(folder)
    started = time.perf_counter()
    fresh.run(f"_ = _kishu.checkout({commits[-1].commit_id!r})", silent=True)
    fresh.run(task["every"], silent=True)
    restored = time.perf_counter()
    fresh.run(f"_ = {task['touch']}", silent=True)
    say(every=restored - started, touch=time.perf_counter() - restored)
    fresh.close()


def main() -> None:
    """Do what the command line says."""
    task = json.loads(Path(sys.argv[2]).read_text())
    folder = Path(task["state"])
    if sys.argv[1] == "ipykernel":
        run(task, Kernel(folder))
    elif sys.argv[1] == "kishu-alone":
        run(task, with_kishu(folder))
    else:
        run(task, Kernel(folder), with_kishu(folder))
        restore_with_kishu(task)


if __name__ == "__main__":
    main()
