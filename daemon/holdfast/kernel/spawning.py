"""Before a subprocess starts, what Python printed so far has reached the daemon: a child asks no one before it prints.

Without this a child's stdout could overtake what the cell wrote to stderr just before, and the other way round: they
travel in two pipes, and the daemon may look at the child's first.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import wraps
from types import ModuleType
from typing import Any

_STARTERS = {
    # subprocess and multiprocessing start their children with these, os.spawn* by os.fork.
    "_posixsubprocess": ("fork_exec",),
    "posix": ("system", "posix_spawn", "posix_spawnp"),
}


def before_children(drain: Callable[[], None]) -> None:
    """Call `drain` before every subprocess this process starts; where children are started otherwise, do nothing."""
    if not hasattr(os, "register_at_fork"):
        return
    os.register_at_fork(before=drain)
    for module_name, names in _STARTERS.items():
        try:
            module = __import__(module_name)
        except ImportError:
            continue  # Not this platform's way.
        for name in names:
            if hasattr(module, name):
                _wrap(module, name, drain)


def _wrap(module: ModuleType, name: str, drain: Callable[[], None]) -> None:
    start: Callable[..., Any] = getattr(module, name)

    @wraps(start)
    def drained(*args: Any, **kwargs: Any) -> Any:
        drain()
        return start(*args, **kwargs)

    # It is found under the same name wherever someone looks for it, so it pickles and prints as the original does.
    drained.__module__, drained.__qualname__ = module.__name__, name
    setattr(module, name, drained)
    if getattr(os, name, None) is start:
        setattr(os, name, drained)
    subprocess = sys.modules.get("subprocess")
    if subprocess is not None and getattr(subprocess, f"_{name}", None) is start:
        setattr(subprocess, f"_{name}", drained)
