"""The files that runs wrote, beside the versions of a document: told in its history, brought back when asked for."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import TYPE_CHECKING

from holdfast import protocol
from holdfast.documents import Place
from holdfast.errors import InvalidParams, NoVersion
from holdfast.files.history import Way, unsaved
from holdfast.protocol import FileAction, FilesBrought, Restored, Version
from holdfast.store.records import VersionRecord
from holdfast.store.store import Store
from holdfast.translation import store_errors

if TYPE_CHECKING:
    from holdfast.workspace import Workspace

_ALL = 1 << 31


class FileTravel:
    """Answers what is asked about the files that the runs of a document wrote.

    Raises, from every method: NoVersion, NotTrusted, StateDamaged, HoldfastError: as they say; no file was changed.
    """

    def __init__(self, house: Workspace) -> None:
        self._house = house

    async def describe(self, place: Place, versions: Sequence[Version]) -> None:
        """Say of versions which files their runs wrote."""
        records: dict[int, VersionRecord] = {}

        async def runs() -> set[str]:
            records.update(await self._records(place))
            return {record.run_id for record in records.values()}

        written = await self._house.files.written(runs)
        for version in versions:
            record = records.get(version.version)
            if record is not None and record.run_id:
                version.files = written.get(record.run_id)

    async def along(self, place: Place, restore: Awaitable[Restored], *, do: bool) -> Restored:
        """Bring memory to another version, and say what that means for the files, or do it.

        Args:
            restore: brings memory there.
        """
        files = self._house.files
        at = files.standing.get(place.key) or await self._head(place) if files.keeps else None
        restored = await restore
        if at is not None and restored.success and restored.version is not None:
            restored.files = await self._bring(place, at, restored.version, do=do)
            if do or not restored.files:
                files.standing.pop(place.key, None)
            else:
                files.standing[place.key] = at
        return restored

    async def files(self, params: protocol.FilesParams) -> FilesBrought:
        """Say what bringing the files back to how they were at a version means; do it where that is asked for."""
        place = self._house.place(params.text_document)
        if not self._house.files.keeps:
            raise InvalidParams(
                "What is in files is not kept, so none can be brought back. Turn on the setting trackFiles: from then "
                "on it is.",
                kind="notTracked",
            )
        head = await self._head(place)
        if head is None:
            raise NoVersion(f"Nothing is saved for {place.key}.")
        at = self._house.files.standing.get(place.key, head)
        to = params.version if params.version is not None else head
        found = await self._bring(place, at, to, do=params.apply)
        if params.apply and to == head:
            self._house.files.standing.pop(place.key, None)
        return FilesBrought(to, found, _in_words(found, to, done=params.apply))

    async def _head(self, place: Place) -> int | None:
        session = self._house.sessions.get(place.key)
        if session is not None:
            await session.saver.settled()
        with store_errors():
            store = await self._house.archive.readable()
            record = store.head(place.key) if store is not None else None
        return record.version if record is not None else None

    async def _bring(self, place: Place, at: int, to: int, *, do: bool) -> list[FileAction]:
        records = await self._records(place)
        made = {record.run_id for record in records.values()}
        with store_errors():
            return await self._house.files.actions(_way(records, at, to, place.key), made, do=do)

    async def _records(self, place: Place) -> dict[int, VersionRecord]:
        def work(store: Store) -> dict[int, VersionRecord]:
            return {record.version: record for record in store.history(place.key, _ALL)}

        with store_errors():
            if await self._house.archive.readable() is None:
                return {}
            return await self._house.archive.run(work, create=False)


def _way(records: dict[int, VersionRecord], at: int, to: int, key: str) -> Way:
    """Return the runs between two versions: what is taken back, then what is done again."""
    for version in (at, to):
        if version not in records:
            raise NoVersion(f"There is no version {version} of {key}; no file was changed.")
    below = list(_line(records, to))
    back: set[str] = set()
    for version in _line(records, at):
        run = records[version].run_id
        if version in below:
            again = below[: below.index(version)]
            return [({*back, unsaved(run)}, False), *(({records[one].run_id}, True) for one in reversed(again))]
        back |= {run, unsaved(run)}
    return [(back, False), *(({records[one].run_id}, True) for one in reversed(below))]


def _line(records: dict[int, VersionRecord], version: int) -> list[int]:
    line: list[int] = []
    at: int | None = version
    while at is not None and at in records:
        line.append(at)
        at = records[at].parent
    return line


def _in_words(files: Sequence[FileAction], version: int, *, done: bool) -> str:
    if not files:
        return f"All files that runs wrote are as they were at version {version}."
    changed = [action for action in files if action.status != "left"]
    left = len(files) - len(changed)
    verb = "brought back" if done else "would be brought back"
    told = f"{len(changed)} {'file' if len(changed) == 1 else 'files'} {verb} to how they were at version {version}"
    return f"{told}, {left} left alone." if left else f"{told}."
