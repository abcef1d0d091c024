"""Bringing a saved version back into a kernel, and telling what came, what did not, and what would bring it back."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from attrs import evolve

from holdfast import protocol
from holdfast.archive import Archive
from holdfast.errors import NotTrusted, NoVersion, StateDamaged
from holdfast.kernel_client import Emit, KernelClient
from holdfast.makers import makers
from holdfast.protocol import Lost, Restored
from holdfast.rebuild import Outcome, Rebuilder, advice
from holdfast.runtimes.base import Kernel
from holdfast.saver import Saver
from holdfast.saving import Loaded, load, lost_list, visible
from holdfast.store.errors import Damaged, NoSuchVersion, StoreError, Untrusted

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
    differences: list[str]
    """What is not as it was when the version was saved, in words."""


class Restorer:
    """Brings saved versions into the kernel of one session."""

    def __init__(self, client: KernelClient, saver: Saver, archive: Archive, rebuilder: Rebuilder, emit: Emit) -> None:
        self._client = client
        self._saver = saver
        self._archive = archive
        self._rebuilder = rebuilder
        self._emit = emit

    async def load(self, version: int | None) -> Loaded | None:
        """Read a version, by default the last; None if nothing is saved.

        Raises:
            NotTrusted, StateDamaged, NoVersion: as they say.
        """
        try:
            if self._archive.readable() is None:
                return None
            return await self._archive.run(lambda store: load(store, self._client.place.key, version), create=False)
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
        answer = await kernel.request(
            {
                "type": "restore",
                "mode": "replace" if names is None else "merge",
                "names": None if names is None else list(names),
                "components": loaded.components,
                "executionCount": loaded.record.execution_count,
                "environment": dict(loaded.record.environment),
            },
            loaded.buffers,
        )
        failed = [*loaded.unreadable, *lost_list(answer.header["failed"])]
        if names is not None:
            failed = [lost for lost in failed if lost.name in names]
        else:
            self._saver.restored(loaded, {lost.name for lost in failed})
        failed = await self._with_cells(loaded, failed)
        missing = [*failed, *(lost_list(loaded.record.skipped) if names is None else ())]
        differences = [str(difference) for difference in answer.header.get("differences") or ()]
        return Brought(loaded, [str(name) for name in answer.header["restored"]], failed, missing, differences)

    async def finish(self, kernel: Kernel, brought: Brought) -> Restored:
        """Make again what is missing where that is wanted, and tell the clients of the restore.

        Raises:
            RebuildKilled: a cell that was run again killed the kernel. KernelDied: it was ended meanwhile.
        """
        outcome = await self._rebuilder.rebuild(kernel, brought.missing)
        left = {lost.name for lost in outcome.left}
        failed = [*(lost for lost in brought.failed if lost.name in left), *outcome.failed]
        record = brought.loaded.record
        message = _message(brought, failed, outcome)
        self._emit(
            protocol.STATE_RESTORED,
            protocol.StateRestoredParams(
                text_document=self._client.identifier,
                version=record.version,
                saved_at=record.saved_at,
                variable_count=len(brought.restored),
                failed=failed,
                message=message,
                rebuilt=outcome.rebuilt,
            ),
        )
        return Restored(
            success=not failed,
            message=message,
            variable_count=len(brought.restored),
            restored=brought.restored,
            failed=failed,
            version=record.version,
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


def _message(brought: Brought, failed: list[Lost], outcome: Outcome) -> str:
    count = len(brought.restored)
    message = f"Restored {count} {'variable' if count == 1 else 'variables'} from {brought.loaded.record.saved_at}"
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
