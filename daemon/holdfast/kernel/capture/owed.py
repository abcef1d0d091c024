"""What the next capture has to look at: the members that runs have touched, and all that these lead to."""

from __future__ import annotations

import sys
import types
from collections.abc import Collection

from .ambient import PART
from .background import Background
from .components import AMBIENT, LostMember, Partition, is_variable, is_visible
from .names import CodeNames, names_of_run
from .patches import Patches
from .pickler import Session
from .recipes import registered

LAST_RESULT = "_"


class Owed:
    """Watches runs.

    Attributes:
        members: what runs have touched since it was captured.
        everything: that may be any member.
        called: a run called something, so what lies outside of the variables may have changed as well.
        has_run: whether there was a run at all.
        background: the user's code that runs beside the cells.
    """

    def __init__(self, session: Session, patches: Patches) -> None:
        self.members: set[str] = set()
        self.everything = False
        self.called = False
        self.has_run = False
        self.background = Background()
        self._session = session
        self._patches = patches
        self._docstring = session.module.__doc__
        self._run: CodeNames | None = None
        self._names_known = len(session.namespace)
        self._names_named = 0

    def settle(self) -> None:
        """All of it was captured, or is what the store has."""
        self.members.clear()
        self.everything = self.called = False
        self._names_known = len(self._session.namespace)

    def look_afresh(self) -> None:
        """The namespace was filled by a restore: none of that is to be noticed as new."""
        self._docstring = self._session.namespace.get("__doc__")
        self._names_known = len(self._session.namespace)

    def grown(self, names: int) -> None:
        """So many variables were loaded that had waited: they are not to be noticed as new."""
        self._names_known += names

    def begin_run(self, code: types.CodeType | list[types.CodeType]) -> None:
        """See `SessionCapture.begin_run`."""
        self._run = names_of_run(code)
        self.has_run = True
        self._names_named = self._bound(self._run.names)
        if self._run.calls:
            self.everything = self.everything or self.background.is_busy()
        if self._run.assigned:
            self._patches.expect(self._run.assigned)

    def end_run(self, partition: Partition, lost: dict[str, LostMember]) -> None:
        """See `SessionCapture.end_run`."""
        run, self._run = self._run, None
        if run is None:
            return
        self.members |= run.names
        if run.submodules:
            self._notice_submodules(run.submodules, partition)
        if run.dynamic or (run.calls and self.background.is_busy()):
            self.everything = True
        self.called = self.called or run.calls
        docstring = self._session.namespace.get("__doc__")
        if docstring is not self._docstring:
            self._docstring, self.called = docstring, True
        if run.assigned:
            self._session.assigned |= run.assigned
        if self._session.assigned and (run.calls or run.assigned):
            self.members |= self._patches.note(self._session.assigned)
        if registered.changed:
            registered.changed.clear()
            self.members.add(registered.VARIABLE)
            self.everything = True
        if run.calls:
            self.members |= self._patches.look_around()
        self._notice_new_names(run.names, partition, lost)

    def _bound(self, names: Collection[str]) -> int:
        """Return how many of the names are variables."""
        namespace = self._session.namespace
        return sum(name in namespace for name in names)

    def _notice_submodules(self, names: Collection[str], partition: Partition) -> None:
        """A package that was imported before may have got an attribute: it is saved with its submodules."""
        for name in names:
            if name in sys.modules and name not in self._session.submodules:
                self._session.submodules.add(name)
                package = name.partition(".")[0]
                record = partition.home.get(package)
                if record is not None:
                    record.unchanged_if = None
                    self.members.add(package)

    def _notice_new_names(self, named: Collection[str], partition: Partition, lost: dict[str, LostMember]) -> None:
        """Names can come and go without being named: by a star import or a library that reaches ``__main__``."""
        namespace = self._session.namespace
        self.members.add(LAST_RESULT)
        expected = self._names_known + self._bound(named) - self._names_named
        self._names_known = len(namespace)
        if len(namespace) != expected:
            # What could not be saved is tried again when a run names it: it may take its time to fail.
            known = partition.home.keys() | lost.keys()
            self.members.update(name for name in namespace if is_variable(name) and name not in known)
            self.members.update(name for name in partition.home if is_visible(name) and name not in namespace)

    def due(self, partition: Partition, lost: dict[str, LostMember], *, full: bool) -> set[str]:
        """Return the members that may have changed: what is owed, and all that it leads to."""
        namespace = self._session.namespace
        if not (full or self.called or self.everything or lost) and self._stands_alone(partition):
            return {name for name in self.members if name in namespace or name in partition.home}
        roots = set(self.members)
        if self.called:
            roots.update(member for member in self._session.kept if not member.startswith(PART))
            for record_id in partition.held:
                members = partition.records[record_id].members
                # Ambient state is always held by its module; what of it has to be looked at, its providers know.
                if len(members) > 1 or not members[0].startswith(PART):
                    roots.update(members)
        everything = full or self.everything
        due: set[str] = set()
        if not everything:
            reach = partition.reach(roots, lost)
            everything = reach.everything
            due = reach.members.union(name for name in roots if is_variable(name) and name in namespace)
            due.update(roots & self._session.kept.keys())
        if everything:
            due = {name for name in namespace if is_variable(name)}
            due.update(member for member in partition.home if not member.startswith(AMBIENT))
            due.update(self._session.kept)
            due.update(lost)
        return due

    def _stands_alone(self, partition: Partition) -> bool:
        """Whether what is owed leads to nothing else."""
        home, kept = partition.home, self._session.kept
        for name in self.members:
            record = home.get(name)
            if record is None:
                if name in kept or not is_variable(name):
                    return False
            elif record.refs or record.names or record.dynamic or len(record.members) > 1:
                return False
        return True
