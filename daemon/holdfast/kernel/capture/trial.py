"""The attempt to bring a component back: made in a copy of the process, where nothing can be harmed."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from . import pages
from .compare import Comparison, Difference
from .components import Record, SavedComponent, is_visible
from .definitions import Definitions
from .kinds import Kinds
from .pickler import NotPicklable, Pickled, Session, pickle_members
from .recipes import registered
from .restore import Restoration, say
from .verification import Check, Verdict

MAX_VOLATILE = 16
"""Parts that differ each time they are loaded, and are passed over."""


class Trial:
    """Pickles, loads and compares components of a session; all that it makes it keeps alive."""

    def __init__(self, session: Session) -> None:
        self._session = session
        # What would be destroyed could do harm by it: remove a file, end a connection.
        self._alive: list[Any] = []

    def attempt(self, check: Check, record: Record | None) -> Verdict:
        """Pickle the members of a component, load them, and compare."""
        started = time.perf_counter()
        if record is None:
            return Verdict(unsure="it is gone")
        try:
            verdict = self._attempt(check, record)
        except Exception as error:  # noqa: BLE001 - code of users and libraries; nothing is certain then
            verdict = Verdict(unsure=f"{type(error).__name__}: {error}"[:400])
        return replace(verdict, seconds=time.perf_counter() - started)

    def _attempt(self, check: Check, record: Record) -> Verdict:
        members = record.members
        try:
            pickled = self._pickle(members)
        except NotPicklable as failure:
            return Verdict(unsure=f"pickling raised {failure.cause!r}"[:400])
        same = pages.fingerprint(members, pickled.stream, pickled.buffers) == check.fingerprint
        lost = self._differences(members, pickled)
        if len(members) > 1 and lost.keys() >= set(members):
            # Perhaps one of them takes the others along.
            alone = {}
            for member in members:
                alone.update(self._differences((member,), self._pickle((member,))))
            lost = alone or lost
        marks = {}
        for member in lost:
            pickle = self._pickle((member,))
            marks[member] = pages.fingerprint((member,), pickle.stream, pickle.buffers)
        return Verdict(lost, marks, same)

    def _pickle(self, members: tuple[str, ...]) -> Pickled:
        return pickle_members(self._session, [(member, self._session.value(member)) for member in members], Kinds())

    def _load(self, members: tuple[str, ...], pickled: Pickled) -> dict[str, Any]:
        buffers = [memoryview(bytearray(buffer)) for buffer in pickled.buffers]
        component = SavedComponent("", members, "", pickled.stream, buffers)
        scratch = Session(self._session.module, Definitions())
        scratch.pages.in_copy(0)
        restoration = Restoration(scratch, [component], self._session.definitions.object_of)
        loaded = restoration.load_one(component)
        self._alive.append((scratch, restoration, loaded))
        return loaded

    def _differences(self, members: tuple[str, ...], pickled: Pickled) -> dict[str, str]:
        """Return why members would not come back as they are."""
        self._alive.append(pickled)
        try:
            loaded = self._load(members, pickled)
        except (OSError, MemoryError):
            raise
        except BaseException as error:  # whatever loading raises, SystemExit too, is what the attempt has found out
            if "fork" in str(error).lower():
                raise
            return dict.fromkeys(members, say(error))
        found = {}
        for member in members:
            difference = self._difference(member, members, pickled, loaded)
            if difference is not None:
                subject = f"{member}{difference.path}" if is_visible(member) else f"it{difference.path}"
                found[member] = f"when it is loaded, {subject} {difference.what}"
        return found

    def _difference(
        self, member: str, members: tuple[str, ...], pickled: Pickled, loaded: dict[str, Any]
    ) -> Difference | None:
        kept_otherwise = tuple(registered.registrations_in(self._session.namespace))
        anew = self._anew(self._session.value, loaded)
        live = self._session.value(member)
        found = Comparison(anew, opaque=kept_otherwise).difference(live, loaded[member])
        if found is None:
            return None
        # What is another each time it is loaded (the time, an id, a number that counts) says nothing.
        twin = self._load(members, pickled)
        volatile: set[str] = set()
        twins = self._anew(loaded.get, twin)
        while len(volatile) < MAX_VOLATILE:
            difference = Comparison(twins, volatile, kept_otherwise).difference(loaded[member], twin[member])
            if difference is None:
                return (
                    Comparison(anew, volatile, kept_otherwise).difference(live, loaded[member]) if volatile else found
                )
            volatile.add(difference.path)
        return None

    @staticmethod
    def _anew(before: Any, after: dict[str, Any]) -> dict[int, Any]:
        return {id(before(member)): value for member, value in after.items() if not is_visible(member)}
