"""A living session goes to another of its versions: what differs is loaded, and all else stays as it is."""

from __future__ import annotations

import contextlib
import fractions
import os
import string
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sessions import Session, copied
from test_capture_random_sessions import EXAMPLES, PRELUDE, isomorphic, step


def test_what_did_not_change_stays_the_same_object() -> None:
    session = Session()
    session.run("big = [1, 2]; alias = big; x = [1]")
    first = copied(session.store)
    big = session.names["big"]
    session.run("x.append(2); y = 1")
    session.go_to(first)
    assert session.names["big"] is big is session.names["alias"]
    assert session.names["x"] == [1]
    assert "y" not in session.names


def test_what_a_failed_run_left_in_memory_counts_as_different() -> None:
    session = Session()
    session.run("x = [1]; y = {}; z = 1")
    session.execute("x.append(2); y['k'] = x; del z; w = 1", ok=False)
    session.go_to(copied(session.store))
    assert session.value("x == [1] and y == {} and z == 1")
    assert "w" not in session.names
    assert session.save().changed == []


def test_an_array_is_loaded_again_only_if_it_was_written_to() -> None:
    session = Session()
    session.run("import numpy as np; a = np.zeros(1 << 20); b = np.zeros(1 << 20); view = a[10:]")
    first = copied(session.store)
    a, b = session.names["a"], session.names["b"]
    session.run("a[5] = 1")
    session.go_to(first)
    assert session.names["b"] is b
    assert session.names["a"] is not a
    assert session.value("a[5] == 0 and np.shares_memory(a, view)")


def test_instances_are_of_the_class_that_is_there() -> None:
    session = Session()
    session.run("class A:\n    def say(self): return 'one'")
    session.run("a = A(); n = 1")
    first = copied(session.store)
    session.run("class A:\n    def say(self): return 'two'")
    session.go_to(first)
    assert session.value("type(a) is A and a.say() == 'one' and A().say() == 'one'")
    session.run("A.say = lambda self: 'three'")
    session.go_to(first)
    assert session.value("type(a) is A and a.say() == 'one'")


def test_functions_see_the_variables_of_the_version() -> None:
    session = Session()
    session.run("factor = 2\ndef double(v): return v * factor")
    first = copied(session.store)
    double = session.names["double"]
    session.run("factor = 3; other = double")
    session.go_to(first)
    assert session.names["double"] is double
    assert double(2) == 4
    session.run("factor = 5")
    assert session.reborn().value("double(2)") == 10


def test_state_outside_of_the_variables_goes_along(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOLDFAST_TEST", raising=False)
    session = Session()
    session.run("import random, os; random.seed(78); r = random.random()")
    first = copied(session.store)
    session.run("os.environ['HOLDFAST_TEST'] = 'set'; s = random.random()")
    after = session.names["s"]
    session.go_to(first)
    assert "HOLDFAST_TEST" not in os.environ
    assert session.value("random.random()") == after


def test_attributes_of_modules_and_classes_go_back_to_what_they_were() -> None:
    fraction = fractions.Fraction
    limit = fraction.limit_denominator
    session = Session()
    session.run("import fractions, string")
    session.run("string.first = 1")
    first = copied(session.store)
    session.run("fractions.level = 3; string.first = 2; fractions.Fraction.limit_denominator = lambda self: 'ours'")
    second = copied(session.store)
    assert session.value("fractions.Fraction(1, 2).limit_denominator()") == "ours"
    session.go_to(first)
    assert not hasattr(fractions, "level")
    assert fraction.limit_denominator is limit
    assert session.value("string.first") == 1
    session.go_to(second)
    assert session.value("fractions.level, string.first") == (3, 2)
    assert session.value("fractions.Fraction(1, 2).limit_denominator()") == "ours"
    session.go_to({})
    assert not hasattr(fractions, "level")
    assert not hasattr(string, "first")
    assert fraction.limit_denominator is limit


def test_there_and_back_again_saves_nothing_and_loses_nothing() -> None:
    session = Session()
    session.run("x = [1]; y = [x]")
    first = copied(session.store)
    session.run("x.append(2); z = 3")
    second = copied(session.store)
    for _ in range(3):
        session.go_to(first)
        assert session.value("y[0] is x and x == [1]")
        session.go_to(second)
        assert session.value("y[0] is x and x == [1, 2] and z == 3")
        snapshot = session.save()
        assert not snapshot.changed
        assert not snapshot.removed
    session.go_to(first)
    session.run("x.append(9)")
    assert session.reborn().value("y[0] is x and x == [1, 9] and 'z' not in globals()")


journey = st.lists(st.one_of(step, st.integers(0, 100)), min_size=2, max_size=14)


@settings(max_examples=EXAMPLES // 2, deadline=None, suppress_health_check=list(HealthCheck))
@given(journey)
def test_any_way_through_the_versions_arrives_at_what_a_new_session_would_be(steps: list[Any]) -> None:
    session = Session()
    session.run(PRELUDE)
    versions: list[tuple[Any, set[str]]] = [(copied(session.store), set())]
    for one in steps:
        if isinstance(one, int):
            version, missing = versions[one % len(versions)]
            session.go_to(version)
            assert not session.save().changed, "what was loaded counted as changed"
            session.run("; ".join(f"{name} = None" for name in sorted(missing)))
        else:
            statement, x, y, z, n, _ = one
            with contextlib.suppress(
                TypeError, AttributeError, LookupError, AssertionError, ValueError, BufferError, NotImplementedError
            ):
                session.execute(statement.format(x=x, y=y, z=z, n=n))
        skipped = {lost.name for lost in session.save().skipped}
        versions.append((copied(session.store), skipped))
        isomorphic(session.names, session.reborn().names, skipped)
