"""What differs inside of values: two versions of them are brought back in a kernel of their own, which compares them.

Only the variables that differ are loaded, beside the session and without it noticing. The kernel ends afterwards.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import Any

from holdfast.errors import KernelFailed
from holdfast.session import Session

logger = logging.getLogger(__name__)

MOST = 100
"""Variables looked into at a time; clients name those that they show."""


async def details(aside: Session, before: int, after: int, names: Collection[str]) -> dict[str, dict[str, Any]]:
    """Return for each variable what differs between two saved versions.

    Args:
        aside: a session of the document that nobody else uses; it is ended.
        before: the one version.
        after: the other.
        names: variables that both have.
    """
    chosen = sorted(names)[:MOST]
    found: dict[str, dict[str, Any]] = {}
    aside.saver.skip_restore = True
    try:
        lost = {one.name: one.reason for one in (await aside.restore(before, chosen)).failed}
        await aside.ask({"type": "stash", "names": chosen})
        lost |= {one.name: one.reason for one in (await aside.restore(after, chosen)).failed}
        answer = await aside.ask({"type": "compare", "names": [name for name in chosen if name not in lost]})
        found = answer["differences"]
        found |= {name: _unknown(f"could not be loaded: {reason}") for name, reason in lost.items()}
    except KernelFailed as error:
        logger.info("two versions could not be compared: %s", error.message)
        found = {name: _unknown(f"could not be compared: {error.message}") for name in chosen}
    finally:
        await aside.end()
    found |= {name: _unknown(f"only {MOST} variables are looked into at a time") for name in names if name not in found}
    return found


def _unknown(reason: str) -> dict[str, Any]:
    return {"kind": "unknown", "lines": [reason]}


def unsaved() -> dict[str, Any]:
    """Return what is said of a variable whose value in memory is not saved."""
    return _unknown("what is in memory is not saved yet, so it was not looked into")
