"""A session's saves: in order, truthful about `saved` and `saving`, and never forgetting what is owed."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

from holdfast.archive import Archive
from holdfast.execution import Execution
from holdfast.kernel.wire import Message
from holdfast.loading import Loaded
from holdfast.progress import Work, size_in_words
from holdfast.protocol import Lost, Saved
from holdfast.runtimes.base import FrameSource, Kernel, KernelDied
from holdfast.saving import change_of, lost_entries, lost_list, sent_before, visible
from holdfast.store.errors import StoreError, StoreUnavailable
from holdfast.store.records import HEAD
from holdfast.uploads import Uploads

logger = logging.getLogger(__name__)

_KEPT = "The variables are in memory, and the next run tries again."
SENT_AGAIN = 2
"""How often a kernel is asked for a snapshot whose parts can't be put together before it is asked for everything."""
ANSWER_FIRST = 4 << 20
"""Snapshots above this size (bytes) are written after the run has been answered."""


class Turn:
    """The place of a save among the others: it begins when the one before is over. Most are over before one waits."""

    __slots__ = ("_over", "before", "is_over")

    def __init__(self, before: Turn | None) -> None:
        while before is not None and before.is_over:  # given up, it may have been before its own time
            before = before.before
        self.before: Turn | None = before
        self.is_over: bool = False
        self._over: asyncio.Event | None = None

    async def come(self) -> None:
        """Return when it begins."""
        while (before := self.before) is not None:
            if not before.is_over:
                if before._over is None:
                    before._over = asyncio.Event()
                await before._over.wait()
            self.before = before.before

    def end(self) -> None:
        """Let the next one begin."""
        self.is_over = True
        if self._over is not None:
            self._over.set()


class Saver:
    """What of one session is in the store.

    Attributes:
        version: The version that memory stands on; None when nothing is saved.
        dirty: Whether memory holds something that the store does not.
        skip_restore: A new kernel is to start empty although something is saved.
    """

    def __init__(self, key: str, archive: Archive, announce: Callable[[str, Saved], None]) -> None:
        self.key = key
        self.version: int | None = None
        self.dirty = False
        self.skip_restore = False
        self.names: dict[str, int] = {}
        """For each saved name the version that changed it last."""
        self.wrong: dict[str, int] = {}
        """Variables that are in memory as they are damaged in the store, and the version that changed them last."""
        self.skipped: list[Lost] = []
        self._missing: dict[str, Lost] = {}
        """What could not be saved before memory was restored: no kernel has it, and none can say that it is missing."""
        self._archive = archive
        self._announce = announce
        self._generation: int | None = None
        self._start_over = False
        self._unloaded: dict[str, list[str]] = {}
        self._last_turn: Turn | None = None
        self._underway = 0
        self._settled = asyncio.Event()
        self._settled.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._work: Work | None = None
        self._taken = 0
        self._uploads: WeakKeyDictionary[Kernel, Uploads] = WeakKeyDictionary()

    def take_part(self, kernel: Kernel, source: FrameSource, message: Message) -> None:
        """Have a piece of a large value written that a later snapshot of the kernel names."""
        if kernel not in self._uploads:
            self._uploads[kernel] = Uploads(self._archive)
        self._uploads[kernel].take(self.key, source, message)
        if self._work is not None:
            self._taken += sum(buffer.nbytes for buffer in message.buffers)
            self._work.note(f"{size_in_words(self._taken)} written")

    @contextmanager
    def shown(self, work: Work) -> Iterator[None]:
        """Tell somebody who waits for the saves under way how far they are."""
        self._work, self._taken = work, 0
        try:
            yield
        finally:
            self._work = None

    @property
    def needs_full(self) -> bool:
        """Whether the next snapshot has to hold everything, since what the kernel thinks saved is not there."""
        return self._start_over or (self._generation is not None and self._generation != self._archive.generation)

    # ------------------------------------------------------------------ saves

    async def save(
        self, snapshot: dict[str, Any], buffers: Sequence[memoryview], run: Execution, kernel: Kernel
    ) -> Saved:
        """Commit a snapshot; a large one, or one behind another, is committed later (status ``saving``)."""
        size = sum(buffer.nbytes for buffer in buffers) + sent_before(snapshot)
        if size <= ANSWER_FIRST and not self._underway:
            return await self._commit(snapshot, buffers, run, kernel)
        task = asyncio.create_task(self.save_and_announce(snapshot, buffers, run, kernel, self._line_up()))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self.dirty = True
        return Saved(
            "saving",
            version=self.version,
            changed=list(snapshot["namesChanged"]),
            removed=list(snapshot["namesRemoved"]),
            skipped=self._with_missing(snapshot),
            bytes=size,
        )

    async def save_and_announce(
        self,
        snapshot: dict[str, Any],
        buffers: Sequence[memoryview],
        run: Execution,
        kernel: Kernel,
        turn: Turn | None = None,
    ) -> None:
        """Commit a snapshot whose run was already answered, and tell the clients how it went."""
        saved = await self._commit(snapshot, buffers, run, kernel, turn)
        self._announce(run.run_id, saved)

    def pending(self) -> tuple[Saved, Turn]:
        """Return what a run says whose snapshot is still being taken, and its turn, which `give_up` or a save ends."""
        self.dirty = True
        return Saved("saving", version=self.version, skipped=self.skipped), self._line_up()

    def give_up(self, turn: Turn) -> None:
        """A snapshot will never come, or was saved: those behind it need not wait for it."""
        if not turn.is_over:
            turn.end()
            self._end()

    def _line_up(self) -> Turn:
        self._begin()
        turn = self._last_turn = Turn(self._last_turn)
        return turn

    def _begin(self) -> None:
        self._underway += 1
        self._settled.clear()

    def _end(self) -> None:
        self._underway -= 1
        if not self._underway:
            self._settled.set()

    def no_snapshot(self) -> Saved:
        """Return what a run says whose variables the kernel could not capture, for a fault of its own."""
        self.dirty = True
        return Saved(
            "failed",
            version=self.version,
            skipped=self.skipped,
            reason=f"The kernel could not take a snapshot (its log says why). {_KEPT}",
        )

    async def capture(self, kernel: Kernel, run: Execution | None = None) -> Saved:
        """Save what the kernel owes, outside of a run; where it is a run's that was answered before, that is told."""
        answer = await kernel.request({"type": "capture", "full": self.needs_full})
        if answer.header["snapshot"] is None:
            return self.no_snapshot()
        return await self._commit(answer.header["snapshot"], answer.buffers, run, kernel)

    async def capture_unfaithful(self, kernel: Kernel) -> Saved | None:
        """Save without what the kernel found not to come back; what a failed run has changed is not saved by this.

        Returns:
            None where nothing was saved: the next run's save sees to it.
        """
        if self.needs_full:
            return None
        answer = await kernel.request({"type": "capture", "unfaithful": True})
        if answer.header["snapshot"] is None:
            return self.no_snapshot()
        dirty = self.dirty
        saved = await self._commit(answer.header["snapshot"], answer.buffers, None, kernel)
        self.dirty = self.dirty or dirty
        return None if saved.status == "unchanged" else saved

    async def _commit(
        self,
        snapshot: dict[str, Any],
        buffers: Sequence[memoryview],
        run: Execution | None,
        kernel: Kernel,
        turn: Turn | None = None,
    ) -> Saved:
        turn = turn or self._line_up()
        try:
            if turn.before is not None:
                await turn.come()
            return await self._commit_in_order(snapshot, buffers, run, kernel)
        finally:
            self.give_up(turn)

    async def _commit_in_order(
        self,
        snapshot: dict[str, Any],
        buffers: Sequence[memoryview],
        run: Execution | None,
        kernel: Kernel,
        *,
        again: bool = False,
        tries: int = 0,
    ) -> Saved:
        started = time.monotonic()
        uploads = self._uploads.get(kernel)
        skipped = self._with_missing(snapshot)
        changed, removed = list(snapshot["namesChanged"]), list(snapshot["namesRemoved"])
        synced = run is not None and run.options.durability == "synced"
        try:
            await self._archive.current()
            if (tries or self.needs_full) and not snapshot.get("full"):
                # Rejected, it is owed again, and whole: what changed in it was to be put into something that is gone.
                kernel.send_soon({"type": "rejected", "seq": snapshot["seq"]})
                full = self.needs_full or tries >= SENT_AGAIN
                answer = await kernel.request({"type": "capture", "full": full})
                if answer.header["snapshot"] is None:
                    return self.no_snapshot()
                snapshot, buffers = answer.header["snapshot"], answer.buffers
                uploads = self._uploads.get(kernel)
            snapshot["skipped"] = lost_entries(skipped)
            if self._is_unchanged(snapshot, skipped) and not (run is not None and run.wrote):
                kernel.send_soon({"type": "committed", "seq": snapshot["seq"]})
                if synced:
                    await self._archive.sync()
                self.dirty = False
                return Saved("unchanged", version=self.version, skipped=skipped)
            self._retire_unloaded(snapshot)
            record = await self._archive.commit(
                self.key,
                change_of(snapshot, buffers, run, uploads.named if uploads is not None else {}),
                parent=HEAD if self.version is None else self.version,
                synced=synced,
            )
        except StoreUnavailable as error:
            if error.kind == "gone" and not again:
                self._archive.look()
                return await self._commit_in_order(snapshot, buffers, run, kernel, again=True)
            return self._failed(snapshot, skipped, kernel, error.message)
        except StoreError as error:
            if error.kind == "no_base" and not snapshot.get("full"):
                return await self._commit_in_order(snapshot, buffers, run, kernel, tries=tries + 1)
            return self._failed(snapshot, skipped, kernel, error.message)
        except OSError as error:
            return self._failed(snapshot, skipped, kernel, f"The state could not be written ({error}).")
        except KernelDied as error:
            return Saved(
                "failed",
                version=self.version,
                reason=f"The kernel ended before its variables were saved: {error.death.cause}.",
            )
        finally:
            if uploads is not None:
                uploads.forget(snapshot["seq"])
        kernel.send_soon({"type": "committed", "seq": snapshot["seq"]})
        self.version = record.version
        self._generation = self._archive.generation
        self._start_over = False
        self.skip_restore = False
        self.dirty = False
        self.skipped = skipped
        for name in record.names_changed:
            self._missing.pop(name, None)
            self.names[name] = record.version
        for name in record.names_removed:
            self.names.pop(name, None)
        return Saved(
            "saved",
            version=record.version,
            changed=changed or list(record.names_changed),
            removed=removed,
            skipped=skipped,
            bytes=record.bytes,
            duration=(time.monotonic() - started) * 1000,
        )

    def _with_missing(self, snapshot: dict[str, Any]) -> list[Lost]:
        """Return what a snapshot skips, and what was skipped before a restore and was not made again since."""
        skipped = lost_list(snapshot["skipped"])
        if not self._missing:
            return skipped
        made = {*snapshot["namesChanged"], *(lost.name for lost in skipped)}
        return [*(lost for name, lost in self._missing.items() if name not in made), *skipped]

    def _is_unchanged(self, snapshot: dict[str, Any], skipped: list[Lost]) -> bool:
        if snapshot["changed"] or snapshot["removed"] or snapshot["namesChanged"] or snapshot["namesRemoved"]:
            return False
        return not snapshot.get("full") and skipped == self.skipped

    def _failed(self, snapshot: dict[str, Any], skipped: list[Lost], kernel: Kernel, reason: str) -> Saved:
        kernel.send_soon({"type": "rejected", "seq": snapshot["seq"]})
        self.dirty = True
        return Saved(
            "failed",
            version=self.version,
            changed=list(snapshot["namesChanged"]),
            removed=list(snapshot["namesRemoved"]),
            skipped=skipped,
            reason=f"{reason} {_KEPT}",
        )

    def _retire_unloaded(self, snapshot: dict[str, Any]) -> None:
        """A name bound anew no longer belongs to the component that could not be loaded."""
        if not self._unloaded:
            return
        bound = {name for component in snapshot["changed"] for name in visible(component["members"])}
        for identity, names in list(self._unloaded.items()):
            if bound.intersection(names):
                snapshot["removed"].append(identity)
                del self._unloaded[identity]

    # ------------------------------------------------------------------ what happens around

    def note_unsaved(self) -> None:
        """Memory holds something that was not to be saved: after a failed run, or one that does not persist."""
        self.dirty = True

    def restored(self, loaded: Loaded, failed: set[str], left: Collection[str] = ()) -> None:
        """Memory is now a version of the store.

        Args:
            failed: variables that could not be loaded.
            left: those that the version does not hold, and that memory has nevertheless.
        """
        self.version = loaded.record.version
        self._generation = self._archive.generation
        self._start_over = False
        self.dirty = False
        self.skipped = lost_list(loaded.record.skipped)
        self._missing = {lost.name: lost for lost in self.skipped if lost.name not in left}
        self.names = {name: entry.since for entry in loaded.entries.values() for name in visible(entry.members)}
        kept = {name for identity in loaded.kept for name in visible(loaded.entries[identity].members)}
        self.wrong = {name: version for name, version in self.wrong.items() if name in kept and self.is_wrong(name)}
        self._unloaded = {
            entry.id: visible(entry.members)
            for entry in loaded.entries.values()
            if failed.intersection(visible(entry.members))
        }

    def lost_later(self, loaded: Loaded, failed: set[str]) -> None:
        """Of the version that memory is, variables could not be loaded when they were needed."""
        for entry in loaded.entries.values():
            if failed.intersection(visible(entry.members)):
                self._unloaded[entry.id] = visible(entry.members)

    def is_unloaded(self, name: str) -> bool:
        """Whether a variable is saved and could not be loaded."""
        return any(name in names for names in self._unloaded.values())

    def damaged(self, names: Iterable[str]) -> None:
        """What was mapped of variables turned out to be damaged in the store: memory does not have what was saved."""
        self.wrong.update((name, self.names[name]) for name in names if name in self.names)

    def is_wrong(self, name: str) -> bool:
        """Whether a variable is in memory as it is damaged in the store."""
        return name in self.wrong and self.wrong[name] == self.names.get(name)

    async def set_head(self, version: int) -> None:
        """Make an older version the one that the next kernel starts with."""
        try:
            await self._archive.run(lambda store: store.set_head(self.key, version), create=False)
        except StoreError as error:
            logger.warning("the head of %s stays where it was: %s", self.key, error)
        else:
            self._archive.touched(self.key)

    def kernel_lost(self) -> None:
        """The kernel is gone, and what it had not saved with it."""
        self.dirty = False

    def start_over(self) -> None:
        """Memory starts empty although something is saved: the next save is a full one."""
        self._start_over = True
        self.skip_restore = True
        self.version = None
        self.names.clear()
        self.skipped = []
        self._missing.clear()
        self._unloaded.clear()

    def forget(self) -> None:
        """Nothing is saved any more."""
        self.version = None
        self.dirty = False
        self.skip_restore = False
        self._generation = None
        self._start_over = False
        self.names.clear()
        self.skipped = []
        self._missing.clear()
        self._unloaded.clear()

    def store_gone(self) -> None:
        """The folder went away under us: everything in memory is to be saved again."""
        self.version = None
        self.names.clear()
        self.dirty = True

    async def settled(self) -> None:
        """Return when no save is under way."""
        await self._settled.wait()
