"""What clients ask about the room that saved state takes: what it is used for, and to have less of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lsprotocol.types import TextDocumentIdentifier

from holdfast import protocol
from holdfast.errors import HoldfastError, InvalidParams, StateDamaged
from holdfast.protocol import Compacted, FileUsage, Usage, VariableUsage
from holdfast.store import usage as measured
from holdfast.store.errors import Damaged, StoreError
from holdfast.words import size

if TYPE_CHECKING:
    from holdfast.workspace import Workspace

WORTH = 10_000_000
"""Bytes below which nothing is suggested."""


class RoomRequests:
    """Answers the requests about the room of a workspace's state.

    Raises, from every method: StateDamaged, HoldfastError: it cannot be read or written; what is there is whole.
    """

    def __init__(self, house: Workspace) -> None:
        self._house = house

    async def usage(self, params: protocol.OptionalDocumentParams) -> Usage:
        """Say what the saved state takes, of one document or of all, by variable."""
        document = params.text_document
        keys = None if document is None else [self._house.place(document).key]
        folder = str(self._house.archive.folder)
        if await self._house.archive.existing() is None:
            return Usage(folder, 0, 0, [], [])
        try:
            found = await self._house.archive.upkeep.usage(keys)
        except StoreError as error:
            raise _translated(error) from error
        return Usage(
            folder=folder,
            bytes=found.bytes,
            garbage=found.garbage,
            files=[self._file(session) for session in found.sessions],
            suggestions=list(_suggestions(found)),
        )

    def _file(self, session: measured.SessionUsage) -> FileUsage:
        return FileUsage(
            text_document=TextDocumentIdentifier(uri=self._house.uri_of_key(session.key)),
            trashed=session.trashed,
            versions=session.versions,
            stored=session.stored,
            history=session.history,
            records=session.records,
            variables=[
                VariableUsage(
                    names=variable.names,
                    types=variable.types,
                    size=variable.size,
                    stored=variable.stored,
                    shared=variable.shared,
                    history=variable.history,
                    versions=variable.versions,
                )
                for variable in session.variables
            ],
        )

    async def compact(self, params: protocol.CompactParams) -> Compacted:
        """Remove old versions if asked to, and give back to the disk what nothing needs."""
        if params.keep is not None and params.keep < 1:
            raise InvalidParams("`keep` counts from 1 up: the newest version always stays. Nothing was removed.")
        document = params.text_document
        keys = None if document is None else [self._house.place(document).key]
        try:
            removed, before, after, problem = await self._house.archive.upkeep.compact(keys, params.keep)
        except StoreError as error:
            raise _translated(error) from error
        message = f"{_count(removed, 'version')} removed; the saved bytes take {size(after)}, {size(before)} before."
        return Compacted(removed, before, after, f"{message} {problem}" if problem else message)


def _suggestions(found: measured.Usage) -> Iterator[str]:
    """Say what would win room, the best first."""
    ideas = []
    if found.garbage >= WORTH:
        ideas.append((found.garbage, f"Nothing needs {size(found.garbage)} of it: holdfast compact"))
    for session in found.sessions:
        if session.trashed:
            total = session.stored + session.history
            if total >= WORTH:
                ideas.append((total, f"{session.key} is in the trash and takes {size(total)}: holdfast clear --forget"))
            continue
        best = _best(session)
        if best is not None:
            keep, won = best
            ideas.append(
                (
                    won,
                    f"Older versions of {session.key} hold {size(won)}: holdfast compact {session.key} --keep {keep}",
                )
            )
        for variable in session.variables:
            if variable.names and variable.versions > 2 and variable.history >= WORTH:
                names = ", ".join(variable.names[:3])
                ideas.append(
                    (
                        variable.history,
                        f"{names} in {session.key} changed {variable.versions} times, {size(variable.history)} of "
                        f"history: if it can be made again, leave it out (`__skip_persist__`)",
                    )
                )
    return (text for _, text in sorted(ideas, key=lambda idea: -idea[0])[:5])


def _best(session: measured.SessionUsage) -> tuple[int, int] | None:
    """Return how many versions to keep, and what that wins: as many as possible of those that win most of it."""
    most = session.keeping.get(1, 0)
    for keep, won in sorted(session.keeping.items(), reverse=True):
        if won >= WORTH and won >= most / 2:
            return keep, won
    return None


def _translated(error: StoreError) -> HoldfastError:
    if isinstance(error, Damaged):
        return StateDamaged(error.message, detail=error.what)
    return HoldfastError(error.message, kind=error.kind)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
