"""Saving: snapshots of a session, taken here or by a copy of this process, and what the store says of them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from types import CodeType
from typing import TYPE_CHECKING, Any

from . import report
from .interrupts import TookTooLong, TooSlow
from .outbox import Outbox
from .text import clean, describe, trace
from .watchdog import Watchdog, Watched

if TYPE_CHECKING:
    from .loading import Loader
    from .makers import Makers

LANDS_EVERY = 0.05
"""Seconds between looks whether a copy of the process is done with a capture, while the kernel is idle."""
COPY_AFTER = 0.03
"""Seconds of the processor that a capture may take before a copy of the process is made for it."""
PENDING_AFTER = 0.05
"""Seconds that it may take before the run is answered without it, where there can be no copy."""


class Saving:
    """Saves one session; nothing of it is used before `attach`, but for the lock.

    Methods run on the main thread, except those which say that the control thread calls them.

    Args:
        outbox: where snapshots go.
        namespace: the session's variables.
        watchdog: ends code that does not come back.
        lane: the descriptor over which copies of the process are announced; None: there are none.
        patience: seconds that a copy may go on without getting anywhere.

    Attributes:
        capture: the capture engine; None before `attach`.
        lock: held while it works.
        cells: by variable, the cell that bound it last, as far as known.
        is_capturing: a snapshot is being taken.
    """

    def __init__(
        self,
        outbox: Outbox,
        namespace: dict[str, Any],
        watchdog: Watchdog,
        lane: int | None = None,
        patience: float | None = None,
    ) -> None:
        self.capture: Any = None
        self.lock = threading.Lock()
        self.cells: dict[str, int] = {}
        self.is_capturing = False
        self._outbox = outbox
        self._namespace = namespace
        self._watchdog = watchdog
        self._lane, self._patience = lane, patience
        self._verdicts: deque[tuple[str, int]] = deque()
        self._environment_told: dict[str, Any] | None = None
        self._copier: Any = None
        self._loader: Loader
        self._makers: Makers

    def attach(self, capture: Any, loader: Loader, makers: Makers) -> None:
        """Begin to save a session."""
        from .copying import Copier

        self.capture, self._loader, self._makers = capture, loader, makers
        capture.flights.on_landed = self._note_cells
        self._copier = Copier(self._lane, self._outbox, self._patience)

    def abandon(self) -> None:
        """In a forked child of the user's: what belongs to the session is its parent's."""
        if self._copier is not None:
            self._copier.abandon()

    # -- the control thread

    def note_verdict(self, verdict: str, seq: int) -> None:
        """The store has got snapshot `seq` ("committed") or has not ("rejected"); called by the control thread."""
        self._verdicts.append((verdict, seq))
        # While the main thread has the lock, it comes to the verdicts itself before its next capture.
        if self.lock.acquire(blocking=False):
            try:
                self.apply_verdicts()
            finally:
                self.lock.release()

    def saved_state(self, name: str) -> str:
        """Return whether the store has a variable as it is; called by the control thread."""
        state: str = self.capture.saved_state(name)
        # What can't be saved is only known after the capture that is being taken.
        return "saving" if state == "skipped" and self.is_capturing else state

    # -- around a run

    def begin(self, codes: list[CodeType]) -> None:
        """Code is about to be run: take note of what it may touch."""
        with self.lock:
            self.apply_verdicts()
            self.capture.begin_run(codes)

    def end(self, *, ok: bool) -> None:
        """It was run: what it touched is owed."""
        with self.lock:
            self.capture.end_run(ok=ok)

    def answer(self, header: dict[str, Any], done: dict[str, Any]) -> None:
        """Answer a run with a snapshot; with the promise of one where taking it takes longer than a moment."""
        about, full, cell = {"run": header["run"]}, bool(header.get("full")), header.get("cell")
        capture, copier = self.capture, self._copier
        flying = bool(len(capture.flights)) and self._overlaps(full)
        expected = capture.expected_seconds()
        if expected <= COPY_AFTER and not flying:
            seconds = COPY_AFTER if copier.is_enabled and capture.flights.is_possible() else None
            try:
                taken, buffers = self._snapshot(full=full, cell=cell, seconds=seconds)
            except TooSlow:
                expected = PENDING_AFTER
            else:
                self._outbox.send_in_order({**done, **taken}, buffers)
                return
        copyable = capture.flights.is_possible() and copier.is_possible(capture.expected_bytes())
        if not copyable and expected < PENDING_AFTER:
            taken, buffers = self._snapshot(full=full, cell=cell)
            self._outbox.send_in_order({**done, **taken}, buffers)
            return
        self.is_capturing = True
        self._outbox.send_in_order({**done, "snapshot": "pending", "copy": copyable})
        if not (copyable and self._copy(about, full, cell)):
            self.send(about, full=full, cell=cell)

    def _overlaps(self, full: bool) -> bool:
        with self.lock:
            self.apply_verdicts()
            self.capture.flights.land()
            return bool(self.capture.flights.overlaps(full=full))

    def _copy(self, about: dict[str, Any], full: bool, cell: int | None) -> bool:
        """Have a copy of this process take the snapshot and send it; whether there is one."""
        flight = None
        try:
            if full:
                self._loader.load_all()
            with self.lock, self.watched():
                self.apply_verdicts()
                flight = self.capture.flights.prepare(full=full, run=self._outbox.run, cell=cell)
                if self._copier.make(self.capture, flight, about, self._snapshot_in_copy):
                    self.capture.flights.depart(flight)
                    return True
        except (Exception, TookTooLong) as error:  # noqa: BLE001 - a fault of ours: it is saved here instead
            self._outbox.log("error", f"no copy of the process could save: {trace(error)}")
        finally:
            self.is_capturing = False
        if flight is not None:
            with self.lock:
                self.capture.flights.cancel(flight)
        return False

    def _snapshot_in_copy(self, flight: Any, send_part: report.SendPart) -> tuple[dict[str, Any], list[Any]]:
        taken = self.capture.flights.work(flight)
        self._note_cells(flight.cell, taken.names_changed)
        snapshot, buffers = report.snapshot(taken, self._namespace, self.cells, send_part)
        self._say_what_made(snapshot)
        return {"snapshot": snapshot}, buffers

    def _note_cells(self, cell: int | None, names: Iterable[str]) -> None:
        if cell is not None:
            self.cells.update(dict.fromkeys(names, cell))

    def compare(self) -> None:
        """A run was not saved: find out what is no longer as the store has it."""
        try:
            with self.lock, self.watched():
                self.capture.compare()
        except (Exception, TookTooLong) as error:  # noqa: BLE001 - a fault of ours is not the run's result
            self._outbox.log("error", f"what differs from the store could not be found out: {trace(error)}")

    # -- snapshots

    def send(self, about: dict[str, Any], *, full: bool, cell: int | None = None, unfaithful: bool = False) -> None:
        """Take a snapshot and send it.

        Args:
            about: the run or the request that it belongs to.
            unfaithful: only of what was found not to come back as it was.
        """
        taken, buffers = self._snapshot(full=full, cell=cell, unfaithful=unfaithful)
        self._outbox.send({"type": "captured", **about, **taken}, buffers)

    def _snapshot(
        self, *, full: bool, cell: int | None, unfaithful: bool = False, seconds: float | None = None
    ) -> tuple[dict[str, Any], list[Any]]:
        self.is_capturing = True
        try:
            if full:
                self._loader.load_all()
            with self.lock, self.watched():
                self.apply_verdicts()
                if unfaithful and not full:
                    taken = self.capture.take_unfaithful(self._outbox.run)
                else:
                    taken = self.capture.take(full=full, run=self._outbox.run, seconds=seconds)
            self._note_cells(cell, taken.names_changed)
            snapshot, buffers = report.snapshot(taken, self._namespace, self.cells, self._send_part)
            if taken.environment is self._environment_told:
                del snapshot["environment"]
            self._environment_told = taken.environment
            self._say_what_made(snapshot)
            return {"snapshot": snapshot}, buffers
        except (Exception, TookTooLong) as error:  # noqa: BLE001 - a fault of ours: the run stands, nothing is saved
            self._outbox.log("error", f"the capture failed, nothing of this run was saved: {trace(error)}")
            return {"snapshot": None, "captureError": clean(describe(error))}, []
        finally:
            self.is_capturing = False

    def _send_part(self, header: dict[str, Any], piece: memoryview) -> None:
        self._outbox.send(header, [piece])

    def _say_what_made(self, snapshot: dict[str, Any]) -> None:
        if snapshot["skipped"]:
            try:
                self._makers.add_to(snapshot["skipped"], snapshot["namesRemoved"])
            except Exception as error:  # noqa: BLE001 - a fault of ours: the snapshot is right without it
                self._outbox.log("error", f"which cell made what is not known: {trace(error)}")

    def tell_differing(self, header: dict[str, Any]) -> None:
        """Say which components of a version are not in memory as the version has them; all of them if in doubt."""
        version = dict(header["version"])
        others: list[str] = list(version)
        same: list[str] = []
        added: list[str] = []
        try:
            with self.lock, self.watched():
                self.apply_verdicts()
                others, same = map(sorted, self.capture.differing(version))
                added = self.capture.unsaved_names()
        except (Exception, TookTooLong) as error:  # noqa: BLE001 - a fault of ours: all of it is loaded
            self._outbox.log("error", f"what differs from a version could not be found out: {trace(error)}")
        self._outbox.send({"type": "differing", "id": header["id"], "others": others, "same": same, "added": added})

    # -- what is underneath

    def watched(self) -> Watched:
        """Return a context in which code that does not come back is ended."""
        return Watched(self._watchdog, self.capture.progress)

    def apply_verdicts(self) -> None:
        """Let the engine know what the store has said; the lock is held."""
        while self._verdicts and self.capture is not None:
            verdict, seq = self._verdicts.popleft()
            if verdict == "committed":
                self.capture.committed(seq)
            else:
                self.capture.rejected(seq)

    def lands_in(self) -> float | None:
        """Return after how many seconds `land` is to be called; None: there is nothing under way."""
        return LANDS_EVERY if self.capture is not None and len(self.capture.flights) else None

    def land(self) -> None:
        """Take in what copies have found out."""
        if self.lands_in() is not None:
            with self.lock:
                self.apply_verdicts()
                self.capture.flights.land()
