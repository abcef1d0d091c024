"""What the original knows when a copy of its process has taken a capture, and what the store has said to it."""

from __future__ import annotations

import os
import sys
import tracemalloc
import types

import pytest
from sessions import Session, changed_names

from holdfast.kernel.capture.flights import Flight, open_report

pytestmark = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="copies are made on Linux only")


def taken_by_a_copy(session: Session) -> Flight:
    """Have a forked copy take what is owed."""
    flights = session.capture.flights
    flight: Flight = flights.prepare(full=False, run=None, cell=None)
    theirs = open_report(flight)
    flight.pid = os.fork()
    if not flight.pid:
        try:
            flights.work(flight)
        finally:
            os._exit(0)
    os.close(theirs)
    flights.depart(flight)
    return flight


def test_what_a_copy_has_taken_and_the_store_has_is_not_taken_again() -> None:
    session = Session()
    session.execute("x = [1]; y = [x]")
    flight = taken_by_a_copy(session)
    session.capture.committed(flight.seq)
    session.capture.flights.land(wait=True)
    session.execute("len(x)")
    assert changed_names(session.save(commit=False)) == set()
    assert session.capture.saved_state("y") == "saved"


def test_what_a_copy_has_taken_and_the_store_rejected_before_it_landed_is_taken_again() -> None:
    session = Session()
    session.execute("x = [1]; y = [x]")
    flight = taken_by_a_copy(session)
    session.capture.rejected(flight.seq)
    session.capture.flights.land(wait=True)
    assert changed_names(session.save()) == {"x", "y"}
    assert session.reborn().value("y[0] is x")


def test_what_a_copy_has_taken_and_the_store_rejected_after_it_landed_is_taken_again() -> None:
    session = Session()
    session.execute("x = [1]")
    flight = taken_by_a_copy(session)
    session.capture.flights.land(wait=True)
    session.capture.rejected(flight.seq)
    assert changed_names(session.save()) == {"x"}


def landed(session: Session) -> None:
    """Have a copy take what is owed, and the store get it."""
    flight = taken_by_a_copy(session)
    session.capture.committed(flight.seq)
    session.capture.flights.land(wait=True)


def test_variables_that_share_one_of_many_objects_are_one_after_a_copy_has_saved_them() -> None:
    session = Session()
    session.execute("a = [[i] for i in range(30_000)]; b = [[i] for i in range(25_000)]; b[7] = a[8]")
    session.execute("alone = [{i: [i]} for i in range(30_000)]; small = [alone[5]]")
    landed(session)
    session.execute("a[8].append(1)")
    assert changed_names(session.save()) == {"a", "b"}
    session.execute("small[0][5].append(1)")
    assert changed_names(session.save()) == {"alone", "small"}
    again = session.reborn()
    assert again.value("a[8] is b[7] and a[8] == [8, 1]")
    assert again.value("small[0] is alone[5] and alone[5] == {5: [5, 1]}")


def test_one_of_many_objects_that_a_library_holds_is_saved_when_the_library_changes_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    library = types.ModuleType("library_of_lists")
    exec("kept = []\ndef add(x): [k.append(x) for k in kept]", library.__dict__)
    monkeypatch.setitem(sys.modules, "library_of_lists", library)
    session = Session()
    session.execute("import library_of_lists as lib")
    session.execute("held = [[] for _ in range(30_000)]; lib.kept.append(held[9]); free = [[] for _ in range(30_000)]")
    landed(session)
    session.execute("lib.add(1)")
    assert changed_names(session.save()) == {"held"}


def test_a_copy_takes_little_memory_for_the_numbers_and_texts_that_it_meets() -> None:
    def most(*, in_copy: bool) -> int:
        session = Session()
        session.execute("table = {i: (i, i * 0.5, 'abcdefg') for i in range(100_000)}")
        session.capture._state.session.is_copy = in_copy
        tracemalloc.start()
        try:
            session.capture.take()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert most(in_copy=True) < 0.75 * most(in_copy=False)
