"""What the original knows when a copy of its process has taken a capture, and what the store has said to it."""

from __future__ import annotations

import os

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
