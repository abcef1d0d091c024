"""What an examination of a store finds, and what it reads with."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from .packs import PackFolder
from .records import Problem


class Finding(NamedTuple):
    """Something that is wrong, and what a repair does about it; without `mend` there is nothing that it could do."""

    problem: Problem
    mend: Callable[[], None] | None = None


class Findings(list[Finding]):
    """What was found, in the order in which it is to be repaired."""

    def note(self, kind: str, what: str, remedy: str, mend: Callable[[], None] | None = None) -> None:
        """Add a finding."""
        self.append(Finding(Problem(kind, what, remedy), mend))

    def note_broken_catalog(self, why: str) -> None:
        """Add that the catalog cannot be read."""
        self.note(
            "catalog",
            "catalog.sqlite",
            f"It is damaged ({why.rstrip('.')}). Repair moves it to the trash folder and makes it anew from the packs, "
            f"with whatever else it holds.",
        )


class LenientPacks(PackFolder):
    """The packs, read whatever their headers say: all that is read from them is compared with digests."""

    def _accept(self, fd: int, number: int) -> None:
        pass


def count(number: int, noun: str) -> str:
    """Return a number and what it counts."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
