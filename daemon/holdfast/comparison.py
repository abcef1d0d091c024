"""What differs inside of values: two versions of them are brought into a kernel of their own, which compares them.

Only the variables that differ are loaded, beside the session and without it noticing. The kernel ends afterwards.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from holdfast.documents import Place
from holdfast.errors import KernelFailed
from holdfast.loading import Loaded, load

if TYPE_CHECKING:
    from holdfast.workspace import Workspace

logger = logging.getLogger(__name__)

MOST = 100
"""Variables looked into at a time; clients name those that they show."""


async def details(
    house: Workspace, place: Place, before: int, after: int, names: Collection[str]
) -> dict[str, dict[str, Any]]:
    """Return for each variable what differs between two saved versions.

    Args:
        before: the one version.
        after: the other.
        names: variables that both have.

    Raises:
        StoreError: the versions cannot be read.
    """
    chosen = sorted(names)[:MOST]
    found: dict[str, dict[str, Any]] = {}
    with ExitStack() as held:

        async def version(number: int) -> Loaded:
            loaded = await house.archive.run(lambda store: load(store, place.key, number, chosen), create=False)
            assert loaded is not None
            held.callback(loaded.close)
            return loaded

        try:
            async with house.scratch(place) as scratch:
                await scratch.bring(await version(before), chosen)
                await scratch.ask({"type": "stash", "names": chosen})
                await scratch.bring(await version(after), chosen)
                answer = await scratch.ask({"type": "compare", "names": chosen})
            found = answer["differences"]
            found |= {
                lost.name: _unknown(f"could not be loaded: {lost.reason}")
                for lost in scratch.failed
                if lost.name in chosen
            }
        except KernelFailed as error:
            logger.info("two versions could not be compared: %s", error.message)
            found = {name: _unknown(f"could not be compared: {error.message}") for name in chosen}
    found |= {name: _unknown(f"only {MOST} variables are looked into at a time") for name in names if name not in found}
    return found


def _unknown(reason: str) -> dict[str, Any]:
    return {"kind": "unknown", "lines": [reason]}


def unsaved() -> dict[str, Any]:
    """Return what is said of a variable whose value in memory is not saved."""
    return _unknown("what is in memory is not saved yet, so it was not looked into")
