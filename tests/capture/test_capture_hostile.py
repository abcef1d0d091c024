"""Objects whose own code gets in the way of a save cost nobody else anything."""

from __future__ import annotations

import pytest
from sessions import Session

ZOO = {
    "refuses to be compared, hashed, measured and shown": (
        "class Odd:\n    def __eq__(self, other): raise RuntimeError\n    def __hash__(self): raise RuntimeError\n"
        "    def __bool__(self): raise RuntimeError\n    def __len__(self): raise RuntimeError\n"
        "    def __repr__(self): raise RuntimeError"
    ),
    "has no attribute that can be asked for": "class Odd:\n    def __getattr__(self, name): raise RuntimeError(name)",
    "has no attribute at all": "class Odd:\n    def __getattribute__(self, name): raise RuntimeError(name)",
    "says nothing of its class": "class Odd:\n    @property\n    def __class__(self): raise RuntimeError",
    "is of a class that is neither hashed nor compared": (
        "class Meta(type):\n    def __hash__(cls): raise RuntimeError\n    def __eq__(cls, other): raise RuntimeError\n"
        "class Odd(metaclass=Meta): pass"
    ),
    "is made of itself without end": "class Odd:\n    def __reduce__(self): return Odd, (Odd(),)",
    "raises when it goes": (
        "class Gone:\n    def __del__(self): raise RuntimeError\n"
        "class Odd:\n    def __init__(self, *parts): pass\n    def __reduce__(self): return Odd, (Gone(),)"
    ),
    "exits": "class Odd:\n    def __getstate__(self): raise SystemExit",
}


@pytest.mark.parametrize("what", ZOO)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_what_gets_in_the_way_is_saved_or_named_and_costs_no_other(what: str) -> None:
    session = Session()
    session.run("good = {'a': [1]}\n" + ZOO[what])
    snapshot = session.run("odd = Odd(); box = [odd, good]; other = [good]")
    lost = {one.name for one in snapshot.skipped}
    assert all(one.reason and one.remedy for one in snapshot.skipped)
    reborn = session.reborn()
    assert reborn.outcome is not None
    assert not reborn.outcome.failed
    assert reborn.value("other[0] is good and good == {'a': [1]}")
    for name in ("odd", "box"):
        assert (name in lost) != (name in reborn.names)


def test_a_reduction_that_changes_other_variables_breaks_nothing() -> None:
    session = Session()
    session.run(
        "other = [1]\nclass Side:\n    def __reduce__(self):\n        global made; made = len(other)\n"
        "        other.append(2); return Side, ()"
    )
    session.run("side = Side()")
    session.run("made; other")
    reborn = session.reborn()
    assert reborn.value("type(side) is Side and other == [1, 2] and made == 1")


def test_what_failed_is_not_tried_again_by_runs_that_have_nothing_to_do_with_it() -> None:
    session = Session()
    session.run("tries = [0]\nclass Bad:\n    def __reduce__(self): tries[0] += 1; raise RuntimeError")
    session.run("bad = Bad()")
    before = session.value("tries[0]")
    session.run("new = 1")
    session.run("newer = len('abc')")
    assert session.value("tries[0]") == before
    session.run("bad")
    assert session.value("tries[0]") > before
