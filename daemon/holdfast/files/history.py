"""Which files each run wrote, and their way back.

Without `trackFiles` only names are noted: the watcher tells what was touched, and a file's times tell in which run.
With it all files of the workspace are compared before and after each run, and what is in them is kept.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from pathlib import Path
from typing import Literal

from holdfast.archive import Archive
from holdfast.protocol import FileAction, FilesWritten
from holdfast.settings import Settings
from holdfast.store.errors import StoreError, StoreUnavailable
from holdfast.store.folder import FILES_NAME
from holdfast.store.keyslots import Encryption
from holdfast.store.records import HEAD, Change, VersionRecord
from holdfast.store.store import Store

from .bringing import Refused, bring
from .contents import KEY, MAX_FILES, Contents, Past, TooMany, Wrote, digest_of, is_kept
from .noting import Noting
from .plan import ABSENT, Aim, Step, aim
from .rules import Rules
from .spans import Span, Spans

logger = logging.getLogger(__name__)

_ALL = 1 << 31
_MODE = 0o644
Way = Sequence[tuple[Collection[str], bool]]
"""Runs, by their ids, in the order in which they are taken back (false) or done again (true)."""


class FileHistory:
    """The files of one workspace, as its runs left them.

    Args:
        folder: the workspace.
        settings: shared with whoever changes them.
        is_document: whether a file (by its path in the workspace) is one that people have open or run.
        run_of: returns the id of the run that made a version of a document.
        warn: tells the clients of something that they would want to know.

    Attributes:
        standing: versions that files were left at while memory went on to another, by document; until the next run.
    """

    def __init__(
        self,
        folder: Path,
        settings: Settings,
        encryption: Encryption,
        *,
        is_document: Callable[[str], bool],
        run_of: Callable[[str, int], Awaitable[str]],
        warn: Callable[[str], None],
    ) -> None:
        self._folder = folder
        self._settings = settings
        self._is_document = is_document
        self._run_of = run_of
        self._warn = warn
        self._spans = Spans()
        self._noted: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Lock()
        self._told_too_many = False
        self.standing: dict[str, int] = {}
        state_folder = folder / settings.state_folder
        self.archive = Archive(
            state_folder / FILES_NAME,
            lambda *_: self._contents.forget(),
            logger.info,
            encryption=encryption,
            warn=warn,
            inside=True,
        )
        self._use(state_folder)

    def _use(self, state_folder: Path) -> None:
        rules = Rules(self._folder, state_folder)
        self._contents = Contents(self._folder, rules, self._is_document)
        self._noting = Noting(self._folder, self._spans, rules, self._is_document, self._note)

    def move_to(self, state_folder: Path) -> None:
        """Use another state folder from now on."""
        self.archive.move_to(state_folder / FILES_NAME)
        self._use(state_folder)

    async def close(self) -> None:
        """Write everything down and close."""
        self._noting.work()
        while self._noted:
            await asyncio.wait(self._noted)
        await self.archive.close()

    # ------------------------------------------------------------------ runs

    @property
    def keeps(self) -> bool:
        """Whether what is in the files is kept."""
        return self._settings.track_files and self._settings.persist

    def begin(self, run_id: str, document: str, code: str, count: int, version: int | None) -> Span:
        """A run begins."""
        self.standing.pop(document, None)
        return self._spans.begin(run_id, document, code, count, version)

    async def look_before(self, document: str) -> None:
        """Keep what changed since the last run, before the next may write over it."""
        others = self._spans.under_way()
        # What a run under way wrote so far is its doing, not a stranger's; what one of this document wrote, too.
        await self._compare(others[0] if others else None, shared=any(span.document != document for span in others[1:]))

    async def look_after(self, span: Span) -> bool:
        """Keep what a run wrote that is over; whether it wrote anything."""
        return await self._compare(span, shared=self._spans.beside(span))

    async def _compare(self, span: Span | None, *, shared: bool) -> bool:
        wrote, largest = False, self._settings.track_files_limit
        async with self._turn:
            try:
                pieces = await self.archive.run(lambda store: self._contents.look(store, largest))
                while (piece := await self.archive.run(lambda _: next(pieces, None))) is not None:
                    await self._commit(*piece, span, shared=shared)
                    wrote = True
            except TooMany:
                if not self._told_too_many:
                    self._warn(
                        f"{self._folder} has more than {MAX_FILES} files that .gitignore does not exclude, so what is "
                        "in them is not kept. Name folders of data in .gitignore, or turn trackFiles off."
                    )
                self._told_too_many = True
                return False
            except (StoreError, OSError) as error:
                self._contents.forget()
                self._warn(
                    f"What is in the files of {self._folder} was not kept, so undo cannot bring it back: {error}"
                )
                return False
        self._told_too_many = False
        return wrote

    async def _commit(self, change: Change, wrote: Wrote, span: Span | None, *, shared: bool) -> None:
        if span is not None:
            change.run_id, change.code, change.execution_count = span.run_id, span.code, span.count
            after = await self._run_of(span.document, span.version) if span.version is not None else ""
            change.environment = {
                "document": span.document,
                "after": after,
                "created": wrote.created,
                "shared": shared,
            }
        await self.archive.commit(KEY, change, parent=HEAD, synced=False)

    # ------------------------------------------------------------------ names alone

    def touched(self, path: Path, new: bool) -> None:
        """The file system reports that a file was written, appeared, or is gone."""
        if self._settings.persist and not self._settings.track_files:
            self._noting.touched(path, new=new)

    def _note(self, span: Span, wrote: Wrote) -> None:
        task = asyncio.get_running_loop().create_task(self._note_names(span, wrote))
        self._noted.add(task)
        task.add_done_callback(self._noted.discard)

    async def _note_names(self, span: Span, wrote: Wrote) -> None:
        change = Change(names_changed=[*wrote.created, *wrote.changed], names_removed=wrote.deleted)
        try:
            await self._commit(change, wrote, span, shared=self._spans.beside(span))
        except (StoreError, OSError) as error:
            logger.warning("which files a run wrote was not noted: %s", error)

    # ------------------------------------------------------------------ what is known

    async def written(self, made: Callable[[], Awaitable[Collection[str]]]) -> dict[str, FilesWritten]:
        """Return which files were written by runs, or, under the id of the run before, by those that saved nothing.

        Args:
            made: returns the ids of all runs that made a version of a document; asked if runs wrote files at all.
        """
        found: dict[str, FilesWritten] = {}
        noted = await self._records()
        runs = await made() if noted else ()
        for record in noted:
            run = record.run_id if record.run_id in runs else _after(record)
            if not record.run_id or run not in runs:
                continue
            created = set(record.environment.get("created", ()))
            files = found.setdefault(run, FilesWritten())
            files.created += sorted(created)
            files.changed += sorted(set(record.names_changed) - created)
            files.deleted += sorted(record.names_removed)
        return found

    async def _records(self) -> list[VersionRecord]:
        """Return what was noted, oldest first."""
        self._noting.work()
        if self._noted:
            await asyncio.wait(self._noted)
        try:
            if await self.archive.readable() is None:
                return []
            return (await self.archive.run(lambda store: store.history(KEY, _ALL), create=False))[::-1]
        except StoreUnavailable as error:
            logger.warning("which files runs wrote cannot be told: %s", error)
            return []

    # ------------------------------------------------------------------ the way back

    async def actions(self, way: Way, made: Collection[str], *, do: bool) -> list[FileAction]:
        """Say what a way from one version of a document to another comes down to for the files that its runs wrote.

        Args:
            way: the runs; what runs wrote that saved nothing lies under the id of the run before, with ``+`` behind it.
            made: the ids of all runs that made a version of the document.
            do: also do it.

        Raises:
            StoreError: what was in the files cannot be read.
        """
        if not way or not self.keeps:
            return []
        async with self._turn:
            records = await self._records()
            largest = self._settings.track_files_limit

            def work(store: Store) -> list[FileAction]:
                past = Past(store)
                return _act(past, self._folder, _steps(past, records, way, made), largest, do=do)

            return await self.archive.run(work, create=False)


def unsaved(run_id: str) -> str:
    """Return what stands in a way for the runs that saved nothing, after a run that did."""
    return f"{run_id}+"


def _after(record: VersionRecord) -> str:
    return str(record.environment.get("after", ""))


def _steps(past: Past, records: Sequence[VersionRecord], way: Way, made: Collection[str]) -> dict[str, list[Step]]:
    """Return for each file what happened to it, in the direction of travel."""
    steps: dict[str, list[Step]] = {}
    for runs, forward in way:
        chosen = [
            record
            for record in records
            if record.run_id and (record.run_id if record.run_id in made else unsaved(_after(record))) in runs
        ]
        for record in chosen if forward else reversed(chosen):
            for path in {*record.names_changed, *record.names_removed}:
                one, two = past.digest(record.parent, path), past.digest(record.version, path)
                shared = bool(record.environment.get("shared"))
                step = Step(one, two, record.version, shared) if forward else Step(two, one, record.parent, shared)
                steps.setdefault(path, []).append(step)
    return steps


def _act(past: Past, folder: Path, steps: dict[str, list[Step]], largest: int, *, do: bool) -> list[FileAction]:
    actions = []
    for path, taken in sorted(steps.items()):
        try:
            current = digest_of(folder / path, largest) or ABSENT
        except OSError as error:
            actions.append(FileAction(path, "write", "left", f"it cannot be read ({error})"))
            continue
        found = aim(taken, current)
        if found is not None:
            actions.append(_carry_out(past, folder, path, current, found, largest, do=do))
    return actions


def _carry_out(past: Past, folder: Path, path: str, current: str, found: Aim, largest: int, *, do: bool) -> FileAction:
    kind: Literal["write", "create", "delete"] = (
        "delete" if found.desired == ABSENT else "create" if current == ABSENT else "write"
    )
    if found.desired == current:
        return FileAction(path, "write", "left", found.reason)
    if found.desired != ABSENT and not is_kept(found.desired):
        return FileAction(path, kind, "left", "what was in it before was not kept: it is too large")
    reason = "cells of another document ran at the same time: it may have been theirs" if found.shared else found.reason
    if not do:
        return FileAction(path, kind, "offered", reason)
    try:
        data, mode = None, _MODE
        if found.desired != ABSENT:
            assert found.source is not None
            data, mode = past.contents(found.source, path)
        bring(folder, path, current, data, mode, largest)
    except (Refused, StoreError) as error:
        return FileAction(path, kind, "left", str(error))
    return FileAction(path, kind, "done", reason)
