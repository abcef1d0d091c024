"""The text that functions and classes were compiled from is part of what is saved: once for each cell."""

from __future__ import annotations

from sessions import Session

THREE = "def f(): return 1\ndef g(): return lambda: 2\nclass C:\n    def m(self): return 3"


def texts(session: Session) -> list[str]:
    """Return the texts that are stored, in the order of their components' ids."""
    return [source.text for source in session.capture.sources()]


def stored(session: Session, text: str) -> int:
    """Return how often a text is in the store."""
    return sum(bytes(component.stream).count(text.encode()) for component in session.store.values())


def test_a_cell_is_stored_once_for_all_that_it_defines() -> None:
    session = Session()
    session.run(THREE)
    assert stored(session, THREE) == 1


def test_a_cell_that_defines_nothing_is_not_stored() -> None:
    session = Session()
    session.run("x = 'a text that is a value'")
    session.run("# a remark\ny = [i for i in (1, 2)]\nz = 1")
    assert not stored(session, "a remark")


def test_a_text_leaves_the_store_with_the_last_that_came_from_it() -> None:
    session = Session()
    session.run(THREE)
    session.run("del f, C")
    assert stored(session, THREE) == 1
    session.run("g = g()")
    assert stored(session, THREE) == 1
    session.run("del g")
    assert not session.store


def test_the_texts_come_back_in_the_order_in_which_they_ran() -> None:
    session = Session()
    cells = [f"def f{i}(): return {i}" for i in (3, 1, 2)]
    for cell in cells:
        session.run(cell)
    assert texts(session.reborn()) == cells
    later = session.reborn()
    later.run("def a(): pass")
    assert texts(later.reborn()) == [*cells, "def a(): pass"]


def test_restored_code_knows_its_text() -> None:
    session = Session()
    session.run(THREE)
    session.run("def wrap(f):\n    def inner(): return f()\n    return inner\ninner = wrap(f)")
    again = session.reborn()
    for expression in ("f", "g", "g()", "C.m"):
        assert again.capture.source_of(again.value(f"{expression}.__code__")).text == THREE
    assert again.capture.source_of(again.value("inner.__code__")).text.startswith("def wrap")
    third = again.reborn()
    assert third.capture.source_of(third.value("f.__code__")).text == THREE


def test_running_or_calling_again_saves_no_text_again() -> None:
    session = Session()
    session.run(THREE)
    session.run("r = f() + g()()")
    (first,) = session.capture.sources()
    session.run(THREE)
    (second,) = session.capture.sources()
    assert first is second
    before = dict(session.store)
    session.run("r = f() + g()() + 1")
    assert [c.members for c in session.store.values() if before.get(c.id) is not c] == [("r",)]


def test_a_restored_text_is_not_saved_again() -> None:
    session = Session()
    session.run(THREE)
    again = session.reborn()
    before = dict(again.store)
    again.run("globals()")
    assert stored(again, THREE) == 1
    assert not [c for c in again.store.values() if b"make_source" in c.stream and before.get(c.id) is not c]


def test_code_that_no_cell_holds_comes_back_all_the_same() -> None:
    session = Session()
    session.run("exec('def made(a, b=2): return [a + i for i in range(b)]')\nrun = compile('1 + 1', '<mine>', 'eval')")
    again = session.reborn()
    assert again.value("made(1)") == [1, 2]
    assert again.value("eval(run)") == 2
    assert texts(again) == []
