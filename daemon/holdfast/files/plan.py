"""What bringing files back to an earlier or a later moment comes down to, one file at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

ABSENT = ""
"""As a file's contents: there is no such file."""
UNKNOWN = "?"
"""As a file's contents: they were not kept."""


class Step(NamedTuple):
    """What one run did to a file, in the direction of travel; contents are named by their digests.

    Attributes:
        source: the version of the files' history that has the contents of `desired`; None where nothing has them.
    """

    expected: str
    desired: str
    source: int | None
    shared: bool = False
    """Whether cells of other documents ran at the same time: it may have been theirs."""


class Aim(NamedTuple):
    """What is to become of a file; `reason` says why nothing is."""

    desired: str
    source: int | None
    reason: str | None = None
    shared: bool = False


def aim(steps: Sequence[Step], current: str) -> Aim | None:
    """Follow what runs did to a file, from how it is now.

    Args:
        steps: what runs did, in the direction of travel; what others did in between is not among them.
        current: the digest of what is there now.

    Returns:
        None where there is nothing to do.
    """
    begin = next((index for index, step in enumerate(steps) if step.expected == current), None)
    if begin is None:
        if any(step.desired == current for step in steps[-1:]):
            return None
        if any(UNKNOWN in (step.expected, step.desired) for step in steps):
            return Aim(current, None, "what was in it was not kept: it is too large, or was removed to save room")
        return Aim(current, None, "it was changed since by something else")
    at, source, reason, shared = current, None, None, False
    for step in steps[begin:]:
        if step.expected != at:
            reason = "something else changed it between the runs"
            break
        if step.desired == UNKNOWN:
            reason = "what was in it before was not kept: it is too large, or was removed to save room"
            break
        at, source, shared = step.desired, step.source, shared or step.shared
    if at == current:
        return None if reason is None else Aim(current, None, reason)
    return Aim(at, source, reason, shared)
