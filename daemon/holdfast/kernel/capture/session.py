"""The face of the capture engine: what the kernel's loop calls around runs, captures and restores."""

from __future__ import annotations

import types
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Literal

from .captures import Captures
from .choice import Limits, looks_secret
from .components import Component, Lost, SavedComponent, is_variable
from .flights import Flights
from .lazy import StoredComponent, Waiting
from .restore import RestoreOutcome
from .snapshot import Snapshot
from .sources import Source
from .state import State
from .travel import Travel
from .verification import Check, Verdict

__all__ = ["Component", "Lost", "RestoreOutcome", "SavedComponent", "SessionCapture", "Snapshot"]


class SessionCapture:
    """Captures one session, run by run, and brings it back.

    Args:
        module: the session's ``__main__``; its namespace holds the variables.
    """

    def __init__(self, module: types.ModuleType) -> None:
        self._state = State(module)
        self._captures = Captures(self._state)
        self._travel = Travel(self._state, self._captures)
        self.flights = Flights(self._state, self._captures)
        self._trial: Any = None

    def choose(self, limits: Limits) -> None:
        """Take over what the settings say is to be left out; the next capture follows it."""
        self._state.choice.limits = limits
        self._state.ambient.leave_out(looks_secret if limits.secrets else None)

    def aside(self) -> AbstractContextManager[None]:
        """Return a context in which a cell is run again to make what is missing: ambient state is not changed by it."""
        return self._state.ambient.aside()

    # -- around a run

    def begin_run(self, code: types.CodeType | list[types.CodeType]) -> None:
        """Take note of what the run is going to touch; call before it."""
        self._state.owed.begin_run(code)

    def compiled(self, codes: Iterable[types.CodeType], text: str, filename: str, first: int, flags: int) -> None:
        """Take note of what a cell was compiled from.

        Args:
            codes: all that was made of it.
            first: the line of `filename`, from 0, that is the cell's first.
            flags: the compiler's, for the features imported from ``__future__``.
        """
        self._state.session.sources.compiled(codes, text, filename, first, flags)

    def source_of(self, code: types.CodeType) -> Source | None:
        """Return the source of a session function's code."""
        return self._state.session.sources.of(code)

    def sources(self) -> list[Source]:
        """Return the sources of the code that lives, the oldest first."""
        return self._state.session.sources.living()

    def end_run(self, *, ok: bool) -> None:
        """Owe what the run touched to the next capture, whether it succeeded or not."""
        self._state.owed.end_run(self._state.partition, self._state.lost)

    @contextmanager
    def moving(self) -> Iterator[None]:
        """While the document is moved: what follows of it for the process is none of the session's doing."""
        with self._state.ambient.moving():
            yield

    # -- captures

    def take(self, *, full: bool = False, run: Any = None, seconds: float | None = None) -> Snapshot:
        """Pickle what is owed and return what changed; problems of objects are reported, not raised.

        The buffers of the components are views of live memory: send them before user code runs again.

        Args:
            full: send every component, whether it changed or not.
            run: what it belongs to, to be told if something of it turns out not to come back.
            seconds: of the processor that it may take.

        Raises:
            TooSlow: it would take longer, and nothing was taken.
        """
        if len(self.flights):
            self.flights.land(wait=self.flights.overlaps(full=full))
        return self._captures.take(full=full, run=run, seconds=seconds)

    def take_unfaithful(self, run: Any) -> Snapshot:
        """Capture anew what was found not to come back as it was; what a run owes stays owed."""
        return self._captures.take_unfaithful(run)

    def committed(self, seq: int) -> None:
        """Take note that the store has a snapshot."""
        if not self.flights.note_verdict(seq, committed=True):
            self._captures.committed(seq)

    def rejected(self, seq: int) -> None:
        """Take note that the store has not got a snapshot, and won't: all of it is owed again."""
        if not self.flights.note_verdict(seq, committed=False):
            self._captures.rejected(seq)

    def compare(self) -> None:
        """Find out which variables are no longer as the store has them; call after a run that is not saved.

        Where that takes longer than a moment, all that the run can have touched counts as changed.
        """
        self.flights.land()
        self._captures.compare(quick=not len(self.flights))

    def expected_seconds(self) -> float:
        """Return an estimate of what the next `take` takes, from what pickling the same components took before."""
        if not self._state.owed.members and not self._state.owed.everything:
            return 0.0
        return self._state.estimates.seconds(self._state.due(full=False), self._state.partition)

    def expected_bytes(self) -> int:
        """Return a guess at how much memory a copy of the process takes that takes the next capture."""
        return self._state.estimates.bytes(self._state.due(full=False))

    def progress(self) -> Any:
        """Return what changes when a capture or restore that is under way gets on; callable from any thread."""
        return [(id(part), len(part)) for part in self._state.session.progress]

    def saved_state(self, name: str) -> Literal["saved", "saving", "skipped"]:
        """Return whether the store has a variable as it is: for listings, and callable from any thread."""
        if self.flights.has(name):
            return "saving"
        if name in self._state.lost:
            return "skipped"
        if self._state.ledger.is_under_way(name):
            return "saving"
        record = self._state.partition.home.get(name)
        return "skipped" if record is None or record.fingerprint is None or name in self._state.ahead else "saved"

    # -- trying what was saved

    @property
    def is_unverified(self) -> bool:
        """Whether something was saved that was not tried yet and may be worth it; callable from any thread."""
        return self._state.verification.is_pending

    def checks(self, *, possible: bool) -> list[Check]:
        """Return what is to be tried in a copy of this process, each only once.

        Args:
            possible: whether there can be such a copy; without one nothing is tried.
        """
        if not possible or self._state.owed.background.is_busy():
            self._state.verification.drop_all()
            return []
        owed = self._state.owed
        return self._state.verification.due(self._state.partition, owed.members, everything=owed.everything)

    def attempt(self, check: Check) -> dict[str, Any]:
        """Try whether a component comes back as it was, and return what `judge` takes: JSON.

        Loads what may have any effect: call in a copy of the process only.
        """
        if self._trial is None:
            from .trial import Trial

            self._trial = Trial(self._state.session)
        verdict: Verdict = self._trial.attempt(check, self._state.partition.records.get(check.component))
        return vars(verdict)

    def judge(self, check: Check, verdict: dict[str, Any]) -> list[str]:
        """Take in what became of an attempt; return the members that are lost, as the next capture will say."""
        record = self._state.partition.records.get(check.component)
        lost = self._state.verification.judge(check, Verdict(**verdict), record)
        if lost and record is not None:
            record.fingerprint = None
            owed = self._state.owed
            changed = owed.everything or not owed.members.isdisjoint(record.members)
            # What a failed run has changed is not to be saved on this occasion.
            (owed.members if changed else self._state.unfaithful).update(record.members)
        return lost

    # -- the way back

    def differing(self, version: Mapping[str, str]) -> tuple[set[str], set[str]]:
        """Return the components of a version that are not in memory as it has them.

        Args:
            version: fingerprints by id.

        Returns:
            Those that are other ones, and those that are the same and have to be loaded nevertheless: they lean on one
            that is another, were not loaded yet, or are no objects of the session.
        """
        self.flights.land(wait=True)
        return self._travel.differing(version)

    def pointers(self) -> dict[str, list[str]]:
        """Return for each component the hidden members of others that it cannot be loaded without."""
        return {identity: sorted(record.refs) for identity, record in self._state.partition.records.items()}

    def unsaved_names(self) -> list[str]:
        """Return the variables that no capture has seen."""
        known = self._state.partition.home.keys() | self._state.lost.keys()
        return [name for name in self._state.session.namespace if is_variable(name) and name not in known]

    def restore(
        self,
        components: list[SavedComponent],
        *,
        mode: str,
        names: Collection[str] | None = None,
        owed: bool | None = None,
        environment: Mapping[str, Any] | None = None,
        keep: Collection[str] = (),
        leave: Collection[str] = (),
    ) -> RestoreOutcome:
        """Load saved components; what fails is reported and costs only what needs it.

        Args:
            components: a whole version (replace), or at least what the wanted names need (merge).
            keep: of a whole version the components which are in memory as it has them, and are not among the others
                (see `differing`).
            leave: variables that can't be saved, and are as they were then: they are left alone, unless they may share
                objects with something that is loaded.
            mode: "replace": the session becomes this version; "merge": only the wanted names change.
            names: the wanted names; all of them if None.
            owed: whether what is loaded has to be captured again since the store's newest version has something else.
                By default only after a merge. A caller that loads parts of the newest version says False.
            environment: in which they were saved, as snapshots have it, if it is known.
        """
        self.flights.land(wait=True)
        return self._travel.restore(
            components, mode=mode, names=names, owed=owed, environment=environment, keep=keep, leave=leave
        )

    # -- what was left for later

    @property
    def waiting(self) -> Waiting:
        """The components that were not loaded yet."""
        return self._state.later.waiting

    def needed(self, code: types.CodeType | list[types.CodeType]) -> list[StoredComponent]:
        """Return what of it code may touch, as far as can be seen now; to be asked again when that is loaded."""
        return self._state.later.needed(code, self._state.partition, self._state.lost)

    def load_waiting(self, component: StoredComponent, stop: Callable[[], bool]) -> tuple[list[str], list[Lost]]:
        """Load some of it; return the names of the variables that are there now, and those that can't be loaded.

        Raises:
            Stopped: `stop` says so; the component goes on waiting.
        """
        names, failed = self._state.later.load(component, self._state.partition, self._state.lost, stop)
        if self._state.choice.is_made:
            self._state.owed.members |= self._state.left_out(names)
        return names, failed
