"""Making again what a restore could not bring back, by running the cells that made it."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from attrs import evolve

from holdfast import cells
from holdfast.errors import InvalidParams
from holdfast.execution import Execution, error_output, run_error
from holdfast.kernel_client import KernelClient
from holdfast.protocol import ExecuteOptions, Lost, LostCell, Rebuilt
from holdfast.runtimes.base import Kernel, KernelDied
from holdfast.settings import Settings

logger = logging.getLogger(__name__)

REMEDY = "Run the cell by hand, or take its mark away."


class RebuildKilled(KernelDied):
    """A cell that was run again took its kernel along; it is not run again by itself."""


@dataclass(slots=True)
class Outcome:
    """What became of missing variables: made again, tried in vain, left alone."""

    rebuilt: list[Rebuilt] = field(default_factory=list)
    failed: list[Lost] = field(default_factory=list)
    left: list[Lost] = field(default_factory=list)
    ran: bool = False


class Rebuilder:
    """Runs cells again for the variables that are missing after a restore.

    Only cells that are marked ``[rebuild]``, or all with the setting: to run a cell twice can have effects.

    Args:
        text: Returns the document's text; raises InvalidParams where there is none.
        is_stopping: Whether the kernel is being ended on purpose.
    """

    def __init__(
        self, client: KernelClient, settings: Settings, text: Callable[[], str], is_stopping: Callable[[], bool]
    ) -> None:
        self._client = client
        self._settings = settings
        self._text = text
        self._is_stopping = is_stopping
        self._fatal: dict[str, str] = {}
        """Code that killed its kernel when it was run again, and how."""

    def try_all_again(self) -> None:
        """Forget which cells killed their kernel: somebody asked for a restore."""
        self._fatal.clear()

    async def rebuild(self, kernel: Kernel, missing: Sequence[Lost]) -> Outcome:
        """Run the cells that made what is missing, in the order in which they ran first.

        Raises:
            RebuildKilled: a cell killed the kernel. KernelDied: the kernel was ended meanwhile.
        """
        outcome = Outcome()
        groups: dict[tuple[int, int, str], list[Lost]] = {}
        for lost in missing:
            if lost.cell is None or not lost.cell.code or self._settings.rebuild == "never":
                outcome.left.append(lost)
            else:
                groups.setdefault((lost.cell.execution_count, lost.cell.line or 0, lost.cell.code), []).append(lost)
        if not groups:
            return outcome
        document = self._cells()
        gone = {lost.name for lost in missing}
        for key in sorted(groups):
            group = groups[key]
            found = group[0].cell
            assert found is not None
            cell = _as_it_is_now(found, document)
            if self._settings.rebuild != "always" and not cell.rebuild:
                outcome.left += group
                continue
            reason = await self._make(kernel, cell, group, gone, outcome)
            if reason is not None:
                outcome.failed += [evolve(lost, reason=reason, remedy=REMEDY) for lost in group if lost.name in gone]
        return outcome

    def _cells(self) -> list[cells.Cell]:
        try:
            return cells.split(self._text())
        except InvalidParams:
            return []  # The file is gone; what was stored is enough.

    async def _make(
        self, kernel: Kernel, cell: LostCell, group: list[Lost], gone: set[str], outcome: Outcome
    ) -> str | None:
        """Run one cell; return why that did not bring back all of its variables. Takes those it did out of `gone`."""
        names = [lost.name for lost in group]
        needed = {need for lost in group for need in lost.needs or []}.intersection(gone).difference(names)
        if needed:
            return f"The {where(cell)}, which made it, was not run again: it needs {', '.join(sorted(needed))}."
        if cell.code in self._fatal:
            return f"The {where(cell)} is not run again: the last time {self._fatal[cell.code]}."
        run = self._execution(cell)
        before, outcome.ran = self._client.current, True
        self._client.start(run, kernel, cell.execution_count, persist=False, full=False, only=names)
        try:
            header = (await self._client.result(run)).header
        except KernelDied as error:
            if self._is_stopping():
                raise
            self._fatal[cell.code] = f"its kernel died ({run.cause or error.death.cause})"
            logger.warning("a cell of %s that was run again killed its kernel", self._client.place.key)
            raise RebuildKilled(error.death) from error
        finally:
            self._client.current = before
        problem = run_error(run, header.get("error"))
        if problem is not None:
            self._client.output(run, error_output(problem))
            what = run.cause or f"{problem.ename}: {problem.evalue}".removesuffix(": ")
            return f"The {where(cell)} was run again, and failed: {what}"
        made = [str(name) for name in header.get("made") or []]
        gone.difference_update(made)
        if made:
            outcome.rebuilt.append(Rebuilt(names=made, run_id=run.run_id, cell=cell))
        return None if len(made) == len(names) else f"The {where(cell)} was run again, and did not make it."

    def _execution(self, cell: LostCell) -> Execution:
        place = self._client.place
        limit = self._settings.rebuild_timeout
        return Execution(
            code=cell.code,
            filename=str(place.path) if place.path is not None and cell.line is not None else None,
            line=cell.line or 0,
            cell=cell.index,
            uri=place.uri,
            options=ExecuteOptions(persist=False, timeout=limit * 1000 if limit else None),
            run_id=uuid.uuid4().hex,
            parts=[(0, len(cells.split_lines(cell.code)), cell.index, cell.rebuild)],
        )


def _as_it_is_now(cell: LostCell, document: list[cells.Cell]) -> LostCell:
    """Return where a cell stands now, and its mark; the stored code counts, so another text is another cell."""
    for now in document:
        if now.kind == "code" and now.code.strip() == cell.code.strip():
            return evolve(cell, line=now.code_line, index=now.index, rebuild=now.rebuild)
    return cell


def where(cell: LostCell) -> str:
    """Return what a cell is called towards the user."""
    return f"cell at line {cell.line + 1}" if cell.line is not None else "code that was run outside of the document"


def advice(missing: Sequence[Lost]) -> str:
    """Return in words which cells would bring back what is missing; empty if no cell is known."""
    groups: dict[str, list[str]] = {}
    for lost in missing:
        if lost.cell is not None:
            groups.setdefault(where(lost.cell), []).append(lost.name)
    told = []
    for place, names in groups.items():
        verb = "was" if len(names) == 1 else "were"
        shown = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
        told.append(f"{shown} {verb} made by the {place}")
    return f"{'; '.join(told)}: run it again, or mark it `# %% [rebuild]`" if told else ""
