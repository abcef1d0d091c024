"""A library or class whose pickles lie is found out: what does not come back as it was is lost when it is saved."""

from __future__ import annotations

import pytest
from sessions import Session

LIES = {
    "an attribute that its state leaves out": (
        """
        class A:
            def __init__(self): self.weights = [1.5]; self.n = 3
            def __getstate__(self): return {"n": self.n}
        x = A()
        """,
        "x.weights is missing",
    ),
    "an attribute that its arguments leave out": (
        """
        class A:
            def __init__(self, n=0): self.n = n
            def __reduce__(self): return A, ()
        x = [{"deep": A(7)}]
        """,
        "x[0]['deep'].n is 0 instead of 7",
    ),
    "a state that can't be set": (
        """
        class A:
            def __init__(self): self.n = 1
            def __setstate__(self, state): raise RuntimeError("not today")
        x = A()
        """,
        "loading it raised RuntimeError: not today",
    ),
    "another type": (
        """
        class A:
            def __reduce__(self): return dict, ()
        x = A()
        """,
        "x is a dict instead of a A",
    ),
    "a class that is to be called without what it needs": (
        """
        class A:
            def __init__(self, n): pass
            def __reduce__(self): return A, ()
        x = A(1)
        """,
        "loading it raised TypeError",
    ),
    "attributes that are made on demand, for ever": (
        """
        class A:
            def __init__(self): self.known = {}
            def __getattr__(self, name): return self.known[name]
            def __getstate__(self): return {"known": self.known, "more": 1}
            def __setstate__(self, state): self.__dict__.update(state, known=self.missing)
        x = A()
        """,
        "loading it raised RecursionError",
    ),
    "a list that is filled twice": (
        """
        class A(list):
            def extend(self, items): super().extend([*items, *items])
        x = A([1, 2])
        """,
        "x has 4 items instead of 2",
    ),
    "private data, of which equality knows": (
        """
        class A:
            def __init__(self, n=0): self._n = n
            def __reduce__(self): return A, ()
            def __eq__(self, other): return self._n == other._n
        x = A(7)
        """,
        "x._n is 0 instead of 7",
    ),
    "a function registered for it that fails": (
        """
        class A: pass
        from _holdfast_kernel.capture.recipes.registered import register
        def save(thing): return 5
        def load(kept): return 1 / 0
        register(A, save, load, subclasses=False)
        x = A()
        """,
        "loading it raised ZeroDivisionError",
    ),
}

HONEST = {
    "a cache, a lock and a connection that are made again": """
        import threading
        class A:
            def __init__(self): self.n = [1]; self.cache = {1: 2}; self.lock = threading.Lock(); self._conn = object()
            def __getstate__(self): return {"n": self.n}
            def __setstate__(self, state): self.__dict__.update(state); self.cache = {}; self.lock = threading.Lock()
        x = A()
        """,
    "a remembered property": """
        import functools
        class A:
            def __init__(self): self.n = 1
            @functools.cached_property
            def big(self): return [self.n] * 3
            def __getstate__(self): return {"n": self.n}
        x = A(); x.big
        """,
    "what is new each time it is made": """
        import time, uuid
        class A:
            def __init__(self): self.since = time.time(); self.token = str(uuid.uuid4())
            def __reduce__(self): return A, ()
        x = A()
        """,
    "equality that means identity": """
        class A:
            def __init__(self): self.n = [1]
            def __eq__(self, other): return self is other
            __hash__ = object.__hash__
            def __reduce__(self): return A, ()
        x = {A(): [A()]}
        """,
    "frozen data, in a class that refers to its instances": """
        import dataclasses
        @dataclasses.dataclass(frozen=True)
        class A:
            n: int
            known = []
        x = A(1); A.known.append(x)
        """,
    "a function registered for it, which keeps only what the user wants": """
        class A: pass
        from _holdfast_kernel.capture.recipes.registered import register
        def save(thing): return 5
        def load(kept): return A()
        register(A, save, load, subclasses=False)
        x = A(); x.big = [1]
        """,
}


def session_of(code: str) -> Session:
    """Return a session in which a cell has run."""
    import textwrap

    session = Session()
    session.run(textwrap.dedent(code))
    return session


def tried(session: Session) -> dict[str, str]:
    """Try what was saved; return why variables are lost."""
    found: dict[str, str] = {}
    for check in session.capture.checks(possible=True):
        verdict = session.capture.attempt(check)
        assert verdict["unsure"] is None
        session.capture.judge(check, verdict)
        found.update(verdict["lost"])
    return found


@pytest.mark.parametrize("name", LIES)
def test_a_lie_is_found_out(name: str) -> None:
    code, reason = LIES[name]
    session = session_of(code)
    assert reason in tried(session)["x"]
    snapshot = session.save()
    assert [lost.name for lost in snapshot.skipped] == ["x"]
    assert reason in snapshot.skipped[0].reason
    assert "x" not in session.reborn().names


@pytest.mark.parametrize("name", HONEST)
def test_what_is_left_out_on_purpose_is_no_loss(name: str) -> None:
    session = session_of(HONEST[name])
    assert session.capture.is_unverified
    assert tried(session) == {}


def test_what_python_and_the_capture_itself_rebuild_is_not_tried() -> None:
    session = session_of(
        """
        import collections, datetime, decimal, enum, json as j, typing
        class A:
            def __init__(self): self.n = [1]
        class C(enum.Enum): ONE = 1
        class N(typing.NamedTuple): n: int
        def f(n=[1]): return n
        a = [1, "x", {2.5: None}]; b = A(); c = C.ONE; d = N(1); e = f; g = datetime.date(2020, 1, 1)
        h = collections.OrderedDict(a=decimal.Decimal(1)); i = lambda: a
        """
    )
    assert session.capture.checks(possible=True) == []


def test_arrays_and_imported_modules_are_not_tried() -> None:
    session = session_of(
        "import numpy as np, pytest\nfrom pytest import fixture\na = np.arange(9.)[2:]; b = np.float32(1)"
    )
    assert session.capture.checks(possible=True) == []


def test_each_state_is_tried_once() -> None:
    session = session_of(HONEST["a remembered property"])
    assert len(session.capture.checks(possible=True)) == 1
    session.run("x.n")
    assert session.capture.checks(possible=True) == []
    session.run("x.n = 2")
    assert len(session.capture.checks(possible=True)) == 1


def test_the_innocent_are_kept() -> None:
    session = session_of(
        LIES["an attribute that its state leaves out"][0] + "kept = [2]; together = [x, kept]; alias = kept"
    )
    assert set(tried(session)) == {"x", "together"}
    snapshot = session.save()
    assert {lost.name for lost in snapshot.skipped} == {"x", "together"}
    reborn = session.reborn()
    assert reborn.value("kept == [2] and kept is alias")


def test_what_is_lost_stays_lost_until_it_changes() -> None:
    session = session_of(LIES["an attribute that its state leaves out"][0])
    tried(session)
    session.save()
    for code in ("y = 1", "x", "x.n"):
        assert "x" in {lost.name for lost in session.run(code).skipped}
        assert tried(session) == {}
    assert session.run("x = 5").skipped == []
    assert session.reborn().value("x") == 5


def test_a_changed_object_gets_another_chance_and_fails_again() -> None:
    session = session_of(LIES["an attribute that its state leaves out"][0])
    tried(session)
    session.save()
    assert session.run("x.n = 4").skipped == []
    assert set(tried(session)) == {"x"}
    assert [lost.name for lost in session.save().skipped] == ["x"]


def test_pickles_that_are_new_each_time_cause_no_circle() -> None:
    session = session_of(
        """
        import os
        class A:
            def __init__(self): self.weights = [1]
            def __getstate__(self): return {"random": os.urandom(8)}
        x = A()
        """
    )
    assert set(tried(session)) == {"x"}
    for code in ("y = 1", "x", "x.weights"):
        assert [lost.name for lost in session.run(code).skipped] == ["x"]
        assert tried(session) == {}


def test_leaving_out_what_is_lost_saves_nothing_of_a_failed_run() -> None:
    session = session_of(
        "kept = [1]\n" + "import textwrap\n" + "exec(textwrap.dedent(" + repr(LIES["another type"][0]) + "))"
    )
    checks = session.capture.checks(possible=True)
    with pytest.raises(ZeroDivisionError):
        session.execute("kept.append(2); 1 / 0", ok=False)
    for check in checks:
        session.capture.judge(check, session.capture.attempt(check))
    snapshot = session.capture.take_unfaithful(None)
    assert (snapshot.names_changed, snapshot.names_removed) == ([], ["x"])
    assert session.run("pass").names_changed == ["kept"]
