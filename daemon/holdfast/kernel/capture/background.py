"""User code that runs beside the cells: threads and asyncio tasks, which may touch any variable at any time."""

from __future__ import annotations

import sys
import threading
from typing import Any

_HARMLESS = ("tqdm.", "joblib.", "loky.", "concurrent.futures.process", "multiprocessing.", "IPython.", "zmq.")
"""Modules whose threads only serve their library."""


class Background:
    """Tells whether code of the user's may be running beside the cells."""

    def __init__(self) -> None:
        self._ours = set(threading._active)  # type: ignore[attr-defined]

    def is_busy(self) -> bool:
        """Whether a thread or a task of the user's is alive."""
        active: dict[int, threading.Thread] = threading._active  # type: ignore[attr-defined]
        if len(active) > 1 and any(
            ident not in self._ours and _may_run_user_code(thread) for ident, thread in tuple(active.items())
        ):
            return True
        tasks: Any = sys.modules.get("asyncio.tasks")
        return tasks is not None and _has_tasks(tasks)


def _may_run_user_code(thread: threading.Thread) -> bool:
    if thread is threading.main_thread() or not thread.is_alive():
        return False
    if f"{type(thread).__module__}.".startswith(_HARMLESS):
        return False
    return not _is_idle_worker(thread)


def _is_idle_worker(thread: threading.Thread) -> bool:
    """A thread of a `ThreadPoolExecutor` that waits for work runs nothing."""
    pool_module: Any = sys.modules.get("concurrent.futures.thread")
    if pool_module is None or getattr(thread, "_target", None) is not pool_module._worker:
        return False
    arguments = getattr(thread, "_args", ())
    executor = arguments[0]() if arguments and callable(arguments[0]) else None
    if executor is None:
        return False
    idle: int = executor._idle_semaphore._value
    return executor._work_queue.empty() and idle >= len(executor._threads)


def _has_tasks(tasks: Any) -> bool:
    # Up to 3.11 one set of all tasks, later one of scheduled ones; from 3.14 C code keeps them by loop.
    for name in ("_all_tasks", "_scheduled_tasks", "_eager_tasks"):
        if any(not task.done() for task in tuple(getattr(tasks, name, ()))):
            return True
    if sys.version_info >= (3, 14):
        events: Any = sys.modules["asyncio.events"]
        loop = getattr(getattr(events._event_loop_policy, "_local", None), "_loop", None)
        return loop is not None and bool(tasks.all_tasks(loop))
    return False
