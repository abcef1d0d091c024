"""What clients ask about the health of saved state: derive everything anew from the disk, and repair what is wrong."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import attrs

from holdfast import protocol
from holdfast.progress import Work
from holdfast.protocol import FoundProblem, Verified
from holdfast.store.errors import StoreError
from holdfast.store.findings import Findings
from holdfast.translation import store_errors

if TYPE_CHECKING:
    from holdfast.archive import Archive
    from holdfast.store.examining import Examiner
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
        archives = {"": self._house.archive}
        if keys is None:
            archives[" (of the files that runs wrote)"] = self._house.files.archive
        answer = Verified(ok=True, checked=0, problems=[])
        with store_errors(), self._house.progress.work("Verifying", self._house.archive.folder.name) as work:
            for about, archive in archives.items():
                found = await self._verify(archive, keys, params.repair, work)
                answer.ok &= found.ok
                answer.checked += found.checked
                answer.problems += [attrs.evolve(problem, what=problem.what + about) for problem in found.problems]
        return answer

    async def _verify(self, archive: Archive, keys: list[str] | None, repair: bool, work: Work) -> Verified:
        with contextlib.suppress(StoreError):  # what is not on the disk yet is no damage
            await archive.sync()
        async with archive.upkeep.alone():
            found, checked = await self._examine(archive, keys, work)
            problems = [finding.problem for finding in found]
            if not repair or not found:
                return Verified(not found, checked, [FoundProblem(p.kind, p.what, p.remedy) for p in problems])
            remaining = {finding.problem for finding in await self._repair(archive, found, keys, work)}
        told = {(each.kind, each.what) for each in remaining}
        listed = [FoundProblem(p.kind, p.what, p.remedy, repaired=(p.kind, p.what) not in told) for p in problems]
        known = {(each.kind, each.what) for each in problems}
        listed += [FoundProblem(p.kind, p.what, p.remedy) for p in remaining if (p.kind, p.what) not in known]
        return Verified(not remaining, checked, listed)

    async def _examine(self, archive: Archive, keys: list[str] | None, work: Work) -> tuple[Findings, int]:
        broken, store = await archive.openable()
        if broken is not None:
            found = Findings()
            found.note_broken_catalog(broken)
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

        done = await archive.upkeep.drive(
            lambda store: store.examine(keys, archive.is_undescribed), gently=False, watch=watch
        )
        assert done is not None
        return done.findings, done.checked

    async def _repair(self, archive: Archive, found: Findings, keys: list[str] | None, work: Work) -> Findings:
        """Repair what was found; return what remains."""
        work.note("repairing")
        if any(finding.problem.kind == "catalog" for finding in found):
            old = archive.make_way()
            await archive.upkeep.drive(lambda store: store.salvage(old), gently=False)
            found, _ = await self._examine(archive, keys, work)
        for _ in range(_ROUNDS):
            todo = Findings(found)
            await archive.upkeep.drive(lambda store, todo=todo: store.mend(todo), gently=False)  # type: ignore[misc]
            await archive.reopen()
            found, _ = await self._examine(archive, keys, work)
            if all(finding.mend is None for finding in found):
                break
        return found
