"""What clients ask about the health of saved state: derive everything anew from the disk, and repair what is wrong."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from holdfast import protocol
from holdfast.progress import Work
from holdfast.protocol import FoundProblem, Verified
from holdfast.store.errors import StoreError
from holdfast.store.examining import Examiner, broken_catalog
from holdfast.store.findings import Findings
from holdfast.translation import store_errors

if TYPE_CHECKING:
    from holdfast.workspace import Workspace

_ROUNDS = 3
"""What is taken out can show what was built on it, which is repaired then."""


class Examinations:
    """Answers the requests about the health of a workspace's state.

    Raises, from every method: StateDamaged, HoldfastError: it cannot be read at all; nothing was changed.
    """

    def __init__(self, house: Workspace) -> None:
        self._house = house

    async def verify(self, params: protocol.VerifyParams) -> Verified:
        """Verify what is saved of a document, or of all; with `repair`, do what the remedies say."""
        document = params.text_document
        keys = None if document is None else [self._house.place(document).key]
        archive, about = self._house.archive, self._house.archive.folder.name
        with store_errors(), self._house.progress.work("Verifying", about) as work:
            with contextlib.suppress(StoreError):  # what is not on the disk yet is no damage
                await archive.sync()
            async with archive.upkeep.alone():
                found, checked = await self._examine(keys, work)
                problems = [finding.problem for finding in found]
                if not params.repair or not found:
                    listed = [FoundProblem(each.kind, each.what, each.remedy) for each in problems]
                    return Verified(not found, checked, listed)
                remaining = {finding.problem for finding in await self._repair(found, keys, work)}
        told = {(each.kind, each.what) for each in remaining}
        listed = [
            FoundProblem(each.kind, each.what, each.remedy, repaired=(each.kind, each.what) not in told)
            for each in problems
        ]
        known = {(each.kind, each.what) for each in problems}
        listed += [FoundProblem(p.kind, p.what, p.remedy) for p in remaining if (p.kind, p.what) not in known]
        return Verified(not remaining, checked, listed)

    async def _examine(self, keys: list[str] | None, work: Work) -> tuple[Findings, int]:
        broken, store = self._house.archive.openable()
        if broken is not None:
            found = Findings()
            found.note(*broken_catalog(broken))
            return found, 1
        if store is None:
            return Findings(), 0
        told = [0, 0]

        def watch(examiner: Examiner) -> None:
            if examiner.total != told[0]:
                work.expect(examiner.total - told[0])
                told[0] = examiner.total
            work.advance(examiner.read - told[1])
            told[1] = examiner.read

        done = await self._house.archive.upkeep.drive(lambda store: store.examine(keys), gently=False, watch=watch)
        assert done is not None
        return done.findings, done.checked

    async def _repair(self, found: Findings, keys: list[str] | None, work: Work) -> Findings:
        """Repair what was found; return what remains."""
        archive = self._house.archive
        work.note("repairing")
        if any(finding.problem.kind == "catalog" for finding in found):
            old = archive.make_way()
            await archive.upkeep.drive(lambda store: store.salvage(old), gently=False)
            found, _ = await self._examine(keys, work)
        for _ in range(_ROUNDS):
            todo = Findings(found)
            await archive.upkeep.drive(lambda store, todo=todo: store.mend(todo), gently=False)  # type: ignore[misc]
            await archive.reopen()
            found, _ = await self._examine(keys, work)
            if all(finding.mend is None for finding in found):
                break
        return found
