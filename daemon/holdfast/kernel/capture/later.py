"""Loading what a restore left for later: when a run may need it, or when there is time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import CodeType

from ..interrupts import TookTooLong
from .components import Lost, LostMember, Partition, Record, SavedComponent, is_visible
from .garbage import kept_off
from .lazy import Stopped, StoredComponent, Waiting
from .names import names_of_run
from .owed import Owed
from .pickler import Session
from .restore import Restoration, forget_missing

READ_AHEAD = 64 << 20
"""Bytes that are asked for before anybody needs them, while a restore imports modules."""


class Later:
    """What a session has and did not load yet.

    Attributes:
        waiting: these components.
    """

    def __init__(self, session: Session, owed: Owed) -> None:
        self.waiting = Waiting()
        self._session = session
        self._owed = owed
        self._restoration: Restoration | None = None

    def begin(self, components: list[SavedComponent], *, possible: bool) -> list[SavedComponent]:
        """A session is restored: return the components that are to be loaded at once.

        Args:
            possible: whether others may wait at all.
        """
        self._restoration = None
        rest = self.waiting.begin(components if possible else ())
        return rest if possible else components

    def read_ahead(self) -> None:
        """Have some of what waits on its way: this process is busy for a while with something else than reading."""
        left = READ_AHEAD
        for component in self.waiting.all():
            size = sum(component.sizes)
            if size <= left:
                left -= size
                component.ahead()

    def wait_no_more(self) -> list[SavedComponent]:
        """Something can't be loaded without the others: return those that were to wait."""
        rest: list[SavedComponent] = list(self.waiting.all())
        self.waiting.begin(())
        return rest

    def settle(self, restoration: Restoration, partition: Partition) -> None:
        """All that was to be loaded at once is: what waits is to be lost by no capture until it is loaded."""
        for component in self.waiting.components.values():
            mark = component.fingerprint
            partition.add(Record(component.id, component.members, mark, refs_counted=False, kept=component))
        partition.is_patient = bool(self.waiting)
        if self.waiting:
            restoration.forget_variables()
            self._restoration = restoration

    def needed(
        self, code: CodeType | list[CodeType], partition: Partition, lost: dict[str, LostMember]
    ) -> list[StoredComponent]:
        """Return what code may touch, as far as can be seen now; to be asked again when that is loaded."""
        if not self.waiting:
            return []
        run = names_of_run(code)
        # What is kept besides the variables, and what somebody else holds, may run at any call.
        always = [*self._session.kept]
        for identity in partition.held:
            always += partition.records[identity].members
        return self.waiting.needed(run, always, partition, lost, run.calls and self._owed.background.is_busy())

    def load(
        self,
        component: StoredComponent,
        partition: Partition,
        lost: dict[str, LostMember],
        stop: Callable[[], bool],
    ) -> tuple[list[str], list[Lost]]:
        """Load a component; return the names of the variables that are there now, and those that can't be loaded.

        Raises:
            Stopped: `stop` says so; the component goes on waiting.
        """
        restoration = self._restoration
        if restoration is None or component.id not in self.waiting.components:
            return [], []
        restoration.stop = stop
        try:
            with kept_off(loading=True):
                fresh = restoration.load_more(component)
        finally:
            restoration.stop = None
        if stop() and isinstance(restoration.failures.get(component.id, (None, None))[1], TookTooLong):
            # What took so long is what somebody wants to end; that says nothing about the component.
            del restoration.failures[component.id]
            raise Stopped
        names = [name for record in fresh for name in self._make_variables(record, restoration, partition)]
        failed: list[Lost] = []
        if component.id in restoration.failures:
            self.waiting.take(component)
            failed = restoration.lost([*filter(is_visible, component.members)])
            lost.update((one.name, LostMember(one, None, True)) for one in failed)
            forget_missing(partition, restoration)
            component.release()
        restoration.forget_variables()
        partition.is_patient = bool(self.waiting)
        if not self.waiting:
            self._restoration = None
        return names, failed

    def _make_variables(self, record: Record, restoration: Restoration, partition: Partition) -> Iterable[str]:
        namespace = self._session.namespace
        names = [name for name in record.members if is_visible(name) and name not in namespace]
        namespace.update((name, restoration.values[name]) for name in names)
        self._owed.grown(len(names))
        waited = self.waiting.components.get(record.id)
        if waited is not None:
            self.waiting.take(waited)
        partition.add(record)
        if len(names) < sum(map(is_visible, record.members)):
            # Somebody has bound one of them without a run that names it.
            self._owed.members.update(record.members)
        return names
