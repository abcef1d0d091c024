"""What belongs to running code: queues and thread-local values are kept, what is running itself is named as lost."""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING, Any

from ..rebuild import threads as rebuild
from .registry import CannotKeep

if TYPE_CHECKING:
    from ..pickler import ComponentPickler
    from .registry import Recipe


def _simple_queue(pickler: ComponentPickler, queue: Any) -> Any:
    """It can't be looked into, but its references are its items; up to 3.12 in a list with a free beginning."""
    parts = [part for part in gc.get_referents(queue) if part is not type(queue)]
    size = queue.qsize()
    if sys.version_info < (3, 13):
        parts = parts[0][len(parts[0]) - size :]
    if len(parts) != size:
        raise CannotKeep("what is in it can't be known in this version of Python", "use a queue.Queue")
    return rebuild.simple_queue, (), parts, None, None, rebuild.fill_queue


def _local(pickler: ComponentPickler, local: Any) -> Any:
    return rebuild.local, (), dict(local.__dict__), None, None, rebuild.set_attributes


def _thread(pickler: ComponentPickler, thread: Any) -> Any:
    if thread is sys.modules["threading"].main_thread():
        return pickler.known_as(rebuild.main_thread, (), thread)
    raise CannotKeep("threads end with their process", "start it in the cell that uses it, and keep its results")


def _process(pickler: ComponentPickler, process: Any) -> Any:
    if getattr(process, "returncode", None) is not None:
        return NotImplemented
    raise CannotKeep(
        "it stands for a process that another session would not own",
        "start it in the cell that uses it, and keep its output",
    )


def _executor(pickler: ComponentPickler, executor: Any) -> Any:
    raise CannotKeep("its workers end with their process", "make it in the cell that uses it, and keep the results")


def _future(pickler: ComponentPickler, future: Any) -> Any:
    if future.done():
        return NotImplemented
    raise CannotKeep("nobody would give it its result in another process", "wait for it, and keep its result")


def _event_loop(pickler: ComponentPickler, loop: Any) -> Any:
    raise CannotKeep("an event loop belongs to its process", "use await in a cell, or make it in the cell that uses it")


def _of_loop(pickler: ComponentPickler, primitive: Any) -> Any:
    """Leave out the event loop that a lock, event or queue of `asyncio` was used in: it is free for the next one."""
    state = {name: value for name, value in primitive.__dict__.items() if name != "_loop"}
    return rebuild.of_loop, (type(primitive),), state, None, None, rebuild.set_attributes


RECIPES: dict[tuple[str, str], Recipe] = {
    ("_queue", "SimpleQueue"): _simple_queue,
    ("_thread", "_local"): _local,
}
DERIVED: dict[tuple[str, str], Recipe] = {
    ("threading", "Thread"): _thread,
    ("subprocess", "Popen"): _process,
    ("multiprocessing.process", "BaseProcess"): _process,
    ("concurrent.futures._base", "Executor"): _executor,
    ("concurrent.futures._base", "Future"): _future,
    ("multiprocessing.pool", "Pool"): _executor,
    ("_asyncio", "Future"): _future,
    ("_asyncio", "Task"): _future,
    ("asyncio.futures", "Future"): _future,
    ("asyncio.events", "AbstractEventLoop"): _event_loop,
    ("asyncio.mixins", "_LoopBoundMixin"): _of_loop,
}
