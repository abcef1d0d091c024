"""What a capture may take: by this it is decided whether the user waits for it."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from . import pages
from .choice import Choice
from .components import Partition, Record
from .kinds import module_of
from .pickler import Session

SECONDS_PER_NEW_BYTE = 2e-9
"""Of what is captured for the first time: pickling and hashing at half a gigabyte a second."""
BYTES_OF_OBJECT = 200
"""What pickling takes in memory for an object in a container, and for what is noted of it."""


class Estimates:
    """Estimates what looking at members takes."""

    def __init__(self, session: Session, choice: Choice) -> None:
        self._session = session
        self._choice = choice

    def seconds(self, due: Iterable[str], partition: Partition) -> float:
        """Return how many seconds of the processor capturing members may take."""
        seconds = 0.0
        counted: set[str] = set()
        for member in due:
            record = partition.home.get(member)
            value = self._session.namespace.get(member)
            if record is None:
                if self._choice.left_out(member, value) is None:
                    seconds += _size(value) * SECONDS_PER_NEW_BYTE
            elif record.id not in counted:
                counted.add(record.id)
                seconds += self.of(record)
                known = 0 if record.memory is None else sum(size for _, size in record.memory.places)
                new = _size(value) - known
                if len(record.members) == 1 and new >= pages.LARGE:
                    seconds += new * SECONDS_PER_NEW_BYTE
        return seconds

    def of(self, record: Record) -> float:
        """Return how many seconds capturing a component again may take."""
        if record.memory is None:
            return record.seconds
        return record.seconds + self._session.pages.pending_bytes(record.memory) * SECONDS_PER_NEW_BYTE

    def bytes(self, due: Iterable[str]) -> int:
        """Return a guess at how much memory a copy of the process takes that captures members."""
        count = 0
        for member in due:
            value = self._session.namespace.get(member)
            if isinstance(value, (list, dict, set)):
                count += len(value) * BYTES_OF_OBJECT
        return count


def _size(value: Any) -> int:
    """Return a quick guess at the bytes of a value; calls nothing of the user's."""
    kind = type(value)
    if id(kind) in _NUMBERS:
        return 0
    package = module_of(kind).partition(".")[0]
    if package == "numpy" and kind.__name__ == "ndarray":
        return int(value.nbytes)
    if package == "pandas" and kind.__name__ in ("DataFrame", "Series"):
        return int(value.size) * 8
    if any(kind is known for known in _CONTAINERS):
        return sys.getsizeof(value) + len(value) * BYTES_OF_OBJECT
    return sys.getsizeof(value) if any(kind is known for known in _MEASURED) else 0


_CONTAINERS = (list, dict, set, tuple)
_MEASURED = (str, bytes, bytearray)
_NUMBERS = frozenset(map(id, (type(None), bool, int, float, complex)))
