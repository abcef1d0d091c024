"""Bringing a saved version back into a kernel, and telling what came, what did not, and what would bring it back."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from attrs import evolve

from holdfast import protocol
from holdfast.archive import Archive
from holdfast.background import Background
from holdfast.errors import NotTrusted, NoVersion, StateDamaged
from holdfast.kernel_client import Emit, KernelClient
from holdfast.loading import REVOKED, Loaded, load, names_of
from holdfast.makers import makers
from holdfast.progress import Progress, Work, size_in_words
from holdfast.protocol import Lost, Restored
from holdfast.rebuild import Outcome, Rebuilder, advice
from holdfast.runtimes.base import Kernel, KernelDied
from holdfast.saver import Saver
from holdfast.saving import lost_list, visible
from holdfast.store.errors import Damaged, NoSuchVersion, StoreError, Untrusted
from holdfast.store.records import VersionRecord
from holdfast.store.store import Store

logger = logging.getLogger(__name__)
T = TypeVar("T")

_DIFFERENCES = 4
"""How many differences a message names."""


@dataclass(slots=True)
class Brought:
    """A version of which a kernel has loaded what could be loaded."""

    loaded: Loaded
    restored: list[str]
    failed: list[Lost]
    missing: list[Lost]
    """What failed, and what the version says it could not save."""
    waiting: set[str]
    """What of `restored` is loaded when it is needed, and may still turn out to be lost."""
    differences: list[str]
    """What is not as it was when the version was saved, in words."""


class Restorer:
    """Brings saved versions into the kernel of one session."""

    def __init__(
        self,
        client: KernelClient,
        saver: Saver,
        archive: Archive,
        rebuilder: Rebuilder,
        emit: Emit,
        progress: Progress,
    ) -> None:
        self._client = client
        self._saver = saver
        self._archive = archive
        self._rebuilder = rebuilder
        self._emit = emit
        self._progress = progress
        self._work: Work | None = None
        """The restore that somebody waits for."""
        self._own: Work | None = None
        """What a cell or a look at a value waits for."""
        self._loadings: dict[str, Loaded] = {}
        self._origins: dict[str, Loaded] = {}
        """What the kernel has its components from."""
        self._background = Background()
        client.on_loading = self._said

    async def load(
        self, version: int | None, names: Collection[str] | None = None, *, beside: Kernel | None = None
    ) -> Loaded | None:
        """Read of a version, by default the last, what a kernel is sent first; None if nothing is saved.

        Args:
            beside: a kernel that has variables of this session; what it has as the version has it is not read.

        Raises:
            NotTrusted, StateDamaged, NoVersion: as they say. KernelDied: `beside` ended.
        """
        key = self._client.place.key
        kept: Collection[str] = ()
        if beside is not None:
            marks = await self._read(lambda store: _fingerprints(store, key, version))
            if marks is not None:
                answer = await beside.request({"type": "differing", "version": marks})
                kept = marks.keys() - {*answer.header["others"], *answer.header["same"]}
        return await self._read(lambda store: load(store, key, version, names, kept))

    async def head(self) -> VersionRecord | None:
        """Return the version that memory stands on; None if nothing is saved.

        Raises:
            NotTrusted, StateDamaged: as they say.
        """
        return await self._read(lambda store: store.head(self._client.place.key))

    async def has_more(self, kernel: Kernel, version: int) -> bool:
        """Whether variables in memory differ from a version; a look at one (`_`) does not count.

        Raises:
            NotTrusted, StateDamaged: as they say.
        """
        entries = await self._read(lambda store: store.listing(self._client.place.key, version)) or {}
        try:
            marks = {identity: entry.fingerprint for identity, entry in entries.items()}
            answer = await kernel.request({"type": "differing", "version": marks})
        except KernelDied:
            return False
        others = {name for identity in answer.header["others"] for name in names_of(entries[identity])}
        return any(name.strip("_") for name in {*others, *answer.header["added"]})

    async def following(self) -> int | None:
        """Return the version that was taken back last; None if none was.

        Raises:
            NotTrusted, StateDamaged: as they say.
        """
        return await self._read(lambda store: store.following(self._client.place.key))

    async def _read(self, work: Callable[[Store], T | None]) -> T | None:
        try:
            if await self._archive.readable() is None:
                return None
            return await self._archive.run(work, create=False)
        except Untrusted as error:
            raise NotTrusted(error.message, detail=error.kind) from error
        except Damaged as error:
            raise StateDamaged(error.message, detail=error.what) from error
        except NoSuchVersion as error:
            raise NoVersion(error.message) from error
        except StoreError as error:
            raise StateDamaged(error.message, detail=error.kind) from error

    async def send(self, kernel: Kernel, loaded: Loaded, names: Collection[str] | None) -> Brought:
        """Let the kernel become a version, or take only some names of it; `finish` has to follow.

        Raises:
            KernelDied: the kernel died of it.
        """
        self._loadings[loaded.number] = loaded
        try:
            answer = await kernel.request(
                {
                    "type": "restore",
                    "mode": "replace" if names is None else "merge",
                    "names": None if names is None else list(names),
                    "loading": loaded.number,
                    "packs": loaded.files(),
                    "components": loaded.components,
                    "keep": sorted(loaded.kept),
                    "skipped": _makers_of_skipped(loaded),
                    "executionCount": loaded.record.execution_count,
                    "environment": dict(loaded.record.environment),
                },
                loaded.buffers,
            )
        finally:
            # A kernel that becomes a version wants nothing of what it was before; what it maps is not read by then.
            loaded.buffers.clear()
            for number in [number for number in self._loadings if number != loaded.number]:
                self._loadings.pop(number).release("kernel")
        waiting = {str(name) for name in answer.header.get("waiting") or ()}
        if names is None:
            self._origins = {identity: self._origins[identity] for identity in loaded.kept if identity in self._origins}
        for identity in loaded.read:
            if names is None or not names_of(loaded.entries[identity]).isdisjoint(names):
                self._origins[identity] = loaded
        self._background.spawn(self._verify(kernel, loaded))
        failed = [*loaded.unreadable, *lost_list(answer.header["failed"])]
        if names is not None:
            failed = [lost for lost in failed if lost.name in names]
        else:
            left = {str(name) for name in answer.header.get("left") or ()}
            self._saver.restored(loaded, {lost.name for lost in failed}, left)
        failed = await self._with_cells(loaded, failed)
        missing = list(failed)
        if names is None:
            missing += [lost for lost in lost_list(loaded.record.skipped) if lost.name not in left]
        differences = [str(difference) for difference in answer.header.get("differences") or ()]
        restored = [str(name) for name in answer.header["restored"]]
        return Brought(loaded, restored, failed, missing, waiting, differences)

    # ------------------------------------------------------------------ what is loaded later

    def kernel_gone(self) -> None:
        """The kernel has ended: nobody asks for anything."""
        self._end_own()
        for loaded in self._loadings.values():
            loaded.release("kernel")
        self._loadings.clear()

    def refuse(self, versions: Collection[int]) -> None:
        """What came in with these versions, and waits to be loaded, is not loaded any more."""
        kernel = self._client.living
        for loaded in self._loadings.values():
            refused = loaded.refuse(versions)
            if refused and kernel is not None:
                kernel.send({"type": "refuse", "components": sorted(refused), "reason": REVOKED})

    def _said(self, kernel: Kernel, header: dict[str, Any]) -> None:
        loaded = self._loadings.get(str(header["loading"]))
        if loaded is None:
            return
        if header["type"] == "need":
            self._background.spawn(self._serve(kernel, loaded, header))
        elif header["type"] == "prepared":
            self._end_own()
        elif header["type"] == "loaded":
            loaded.release("kernel")
        elif header["type"] == "unloadable":
            self._background.spawn(self._tell_lost(loaded, lost_list(header["failed"])))

    @contextmanager
    def shown(self) -> Iterator[None]:
        """While somebody waits for a restore: clients see how far it is."""
        with self._progress.work("Restoring", self._client.place.name) as work:
            before, self._work = self._work, work
            try:
                yield
            finally:
                self._work = before

    async def _serve(self, kernel: Kernel, loaded: Loaded, header: dict[str, Any]) -> None:
        """Send what a kernel asks for; where a cell waits for it, clients see how far it is."""
        if self._work is None and self._own is None and header.get("waited"):
            self._own = self._progress.begin("Loading", self._client.place.name)
        await loaded.serve(kernel, header, self._work or self._own)

    def _end_own(self) -> None:
        own, self._own = self._own, None
        if own is not None:
            own.end()

    async def _tell_lost(self, loaded: Loaded, failed: list[Lost]) -> None:
        """What was called restored could not be loaded when it was needed."""
        refused = {name for identity in loaded.refused for name in names_of(loaded.entries[identity])}
        self._saver.lost_later(loaded, {lost.name for lost in failed} - refused)
        failed = await self._with_cells(loaded, failed)
        told = advice(failed)
        message = f"{len(failed)} could not be loaded when needed: {_some([lost.name for lost in failed])}"
        message = f"{message}; {told}" if told else message
        self._tell(loaded, len(self._saver.names) - len(failed), failed, message, [])

    def _tell(
        self, loaded: Loaded, count: int, failed: list[Lost], message: str, rebuilt: list[protocol.Rebuilt]
    ) -> None:
        self._emit(
            protocol.STATE_RESTORED,
            protocol.StateRestoredParams(
                text_document=self._client.identifier,
                version=loaded.record.version,
                saved_at=loaded.record.saved_at,
                variable_count=count,
                failed=failed,
                message=message,
                rebuilt=rebuilt,
            ),
        )

    async def _verify(self, kernel: Kernel, loaded: Loaded) -> None:
        """Compare what the kernel maps with what was saved, in idle time, and tell what is wrong."""
        try:
            wrong = await loaded.verify(
                lambda: self._client.current is not None,
                lambda component: kernel.death is not None or self._origins.get(component) is not loaded,
            )
        finally:
            loaded.release("verification")
        wrong = {name: reason for name, reason in wrong.items() if not self._saver.is_unloaded(name)}
        if wrong and kernel.death is None and self._client.kernel is kernel:
            self._saver.damaged(wrong)
            reason = f"{next(iter(wrong.values()))} In memory it is as damaged: {_some(list(wrong))}."
            logger.warning("%s: %s", self._client.place.key, reason)
            self._emit(protocol.STATE_CONFLICT, protocol.StateEventParams(self._client.identifier, reason))

    async def finish(self, kernel: Kernel, brought: Brought) -> Restored:
        """Make again what is missing where that is wanted, and tell the clients of the restore.

        Raises:
            RebuildKilled: a cell that was run again killed the kernel. KernelDied: it was ended meanwhile.
        """
        outcome = await self._rebuilder.rebuild(kernel, brought.missing)
        left = {lost.name for lost in outcome.left}
        failed = [*(lost for lost in brought.failed if lost.name in left), *outcome.failed]
        message = _message(brought, failed, outcome)
        self._tell(brought.loaded, len(brought.restored), failed, message, outcome.rebuilt)
        return Restored(
            success=not failed,
            message=message,
            variable_count=len(brought.restored),
            restored=brought.restored,
            failed=failed,
            version=brought.loaded.record.version,
            rebuilt=outcome.rebuilt,
        )

    async def _with_cells(self, loaded: Loaded, failed: list[Lost]) -> list[Lost]:
        """Add the cells that made what could not be loaded."""
        names = {lost.name for lost in failed}
        since = {
            name: entry.since for entry in loaded.entries.values() for name in visible(entry.members) if name in names
        }
        if not since:
            return failed
        found = await self._archive.run(lambda store: makers(store, self._client.place.key, since), create=False)
        return [evolve(lost, cell=found.get(lost.name)) for lost in failed]


def _makers_of_skipped(loaded: Loaded) -> dict[str, int]:
    """Return the variables that a version does not hold, with the execution count of the runs that made them."""
    return {lost.name: lost.cell.execution_count for lost in lost_list(loaded.record.skipped) if lost.cell is not None}


def _fingerprints(store: Store, key: str, version: int | None) -> dict[str, str] | None:
    """Return the components of a version with the kernel's own digests; None if nothing is saved."""
    if version is None and store.head(key) is None:
        return None
    return {entry.id: entry.fingerprint for entry in store.listing(key, version).values()}


def _message(brought: Brought, failed: list[Lost], outcome: Outcome) -> str:
    count = len(brought.restored)
    message = f"Restored {count} {'variable' if count == 1 else 'variables'} from {brought.loaded.record.saved_at}"
    if brought.waiting:
        size = size_in_words(brought.loaded.bytes_later)
        message += f"; {len(brought.waiting)} of them ({size}) are loaded when they are needed"
    made = [name for rebuilt in outcome.rebuilt for name in rebuilt.names]
    if made:
        message += f"; made again by running {_cells(len(outcome.rebuilt))}: {_some(made)}"
    if failed:
        message += f"; {len(failed)} could not be restored: {_some([lost.name for lost in failed])}"
    if brought.differences:
        message += f"; {'; '.join(brought.differences[:_DIFFERENCES])}"
        if len(brought.differences) > _DIFFERENCES:
            message += f"; {len(brought.differences) - _DIFFERENCES} more packages have other versions"
    told = advice(outcome.left)
    return f"{message}; {told}" if told else message


def _cells(count: int) -> str:
    return "its cell" if count == 1 else f"{count} cells"


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
