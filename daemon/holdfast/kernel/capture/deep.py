"""Running something that recurses deeply in C, such as pickling a long linked list."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any, TypeVar

Result = TypeVar("Result")

STACK_BYTES = 512 << 20
"""Only the part that is used takes memory."""
BYTES_PER_LEVEL = 2048
"""More than a level of the C pickler takes, reducers in Python included."""
CAN_GO_DEEP = not (3, 12) <= sys.version_info[:2] <= (3, 13)
"""3.12 and 3.13 have a limit for C recursion that can't be moved."""


def run_deep(function: Callable[[], Result]) -> Result:
    """Call `function` in a thread with a large stack and the recursion limit that fits it; raise what it raises."""
    outcome: list[Any] = []

    def call() -> None:
        try:
            outcome.extend((True, function()))
        except BaseException as error:  # noqa: BLE001 - handed to the caller
            outcome.extend((False, error))

    limit, size = sys.getrecursionlimit(), threading.stack_size(STACK_BYTES)
    try:
        sys.setrecursionlimit(max(limit, STACK_BYTES // BYTES_PER_LEVEL))
        thread = threading.Thread(target=call, name="holdfast: deep")
        thread.start()
    finally:
        threading.stack_size(size)
    thread.join()
    sys.setrecursionlimit(limit)
    if outcome[0]:
        result: Result = outcome[1]
        return result
    raise outcome[1]
