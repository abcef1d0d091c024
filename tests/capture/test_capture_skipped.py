"""What can't be saved is named, with its reason and a remedy, and costs nobody else."""

# ruff: noqa: E501 - cells are strings of one line

from __future__ import annotations

import pytest
from sessions import Session


def test_an_unpicklable_variable_costs_no_other() -> None:
    session = Session()
    snapshot = session.run(
        "import numbers\ngood = [1]; bad = (lambda g: (next(g), g)[1])(i for i in [0, *good]); other = {'x': 1}"
    )
    assert [lost.name for lost in snapshot.skipped] == ["bad"]
    reborn = session.reborn()
    assert reborn.value("good") == [1]
    assert reborn.value("other") == {"x": 1}
    assert "bad" not in reborn.names


def test_the_reason_says_what_it_is_and_where_it_lies() -> None:
    session = Session()
    (lost,) = session.run("bad = {'list': [1, {'gen': (lambda g: (next(g), g)[1])(i for i in '-')}]}").skipped
    assert lost.name == "bad"
    assert lost.type == "dict"
    assert "holds a generator (at ['list'][1]['gen'])" in lost.reason
    assert "list(…)" in lost.remedy


@pytest.mark.parametrize(
    ("make", "word"),
    [
        ("(lambda g: (next(g), g)[1])(i for i in '-')", "generator"),
        ("__import__('os').fdopen(__import__('os').pipe()[0])", "TextIOWrapper"),
        ("__import__('socket').socket()", "socket"),
        ("__import__('sqlite3').connect(':memory:').cursor()", "Cursor"),
        ("__import__('threading').Thread()", "Thread"),
        ("__import__('sys')._getframe()", "frame"),
        ("__import__('contextvars').ContextVar('x').set(1)", "Token"),
    ],
)
def test_each_loss_has_a_remedy(make: str, word: str) -> None:
    session = Session()
    (lost,) = session.run(f"bad = {make}").skipped
    assert lost.name == "bad"
    assert word in lost.reason + lost.type
    assert len(lost.remedy) > 20


def test_a_loss_is_listed_until_it_is_mended() -> None:
    session = Session()
    session.run("bad = [i for i in 'ab']")
    assert [lost.name for lost in session.run("bad.append((lambda g: (next(g), g)[1])(i for i in '-'))").skipped] == [
        "bad"
    ]
    assert [lost.name for lost in session.run("x = 1").skipped] == ["bad"]
    snapshot = session.run("bad.pop()")
    assert not snapshot.skipped
    assert snapshot.names_changed == ["bad"]


def test_a_variable_that_can_no_longer_be_saved_leaves_no_old_value_behind() -> None:
    session = Session()
    session.run("x = [1]")
    snapshot = session.run("x.append((lambda g: (next(g), g)[1])(i for i in '-'))")
    assert snapshot.names_removed == ["x"]
    assert not session.store


def test_a_class_that_fails_takes_along_only_what_needs_it() -> None:
    session = Session()
    snapshot = session.run(
        "class Bad: lines = (lambda g: (next(g), g)[1])(i for i in '-')\nclass Good: pass\nb = Bad(); g = Good(); n = [1]\ndef f(): return Bad"
    )
    assert {lost.name for lost in snapshot.skipped} == {"Bad", "b"}
    assert "needs the class Bad" in next(lost.reason for lost in snapshot.skipped if lost.name == "b")
    assert session.reborn().value("type(g) is Good and n == [1]")


def test_instances_saved_before_go_when_their_class_fails_and_come_back_with_it() -> None:
    session = Session()
    session.run("class C: pass\nc = C(); other = 1")
    snapshot = session.run("C.bad = (lambda g: (next(g), g)[1])(i for i in '-')")
    assert {lost.name for lost in snapshot.skipped} == {"C", "c"}
    assert session.reborn().outcome is not None
    assert "c" not in session.reborn().names
    snapshot = session.run("del C.bad")
    assert not snapshot.skipped
    assert session.reborn().value("type(c) is C")


def test_what_shares_with_a_lost_variable_is_saved() -> None:
    session = Session()
    session.run("part = [1]; bad = [part, (lambda g: (next(g), g)[1])(i for i in '-')]; fine = {'p': part}")
    reborn = session.reborn()
    assert reborn.value("fine['p'] is part")


def test_what_a_lost_variable_changes_is_saved() -> None:
    session = Session()
    session.run("part = [1]\ndef gen():\n    while True: part.append(2); yield\ng = gen()")
    session.run("next(g)")
    assert session.reborn().value("part") == [1, 2]
    session.run("results = []; holder = {'r': results, 'bad': (lambda g: (next(g), g)[1])(i for i in '-')}")
    session.run("holder['r'].append(5)")
    assert session.reborn().value("results") == [5]


def test_reducers_that_raise_are_named() -> None:
    session = Session()
    snapshot = session.run(
        "class Rude:\n    def __reduce_ex__(self, p): raise RuntimeError('no, thanks')\nr = [Rude()]; n = [2]"
    )
    (lost,) = snapshot.skipped
    assert lost.name == "r"
    assert "RuntimeError: no, thanks" in lost.reason
    assert "n" in snapshot.names_changed


def test_reducers_that_exit_are_named_and_nothing_exits() -> None:
    session = Session()
    snapshot = session.run("class Leaver:\n    def __reduce__(self): raise SystemExit(3)\nx = Leaver(); y = [1]")
    assert [lost.name for lost in snapshot.skipped] == ["x"]
    assert session.reborn().value("y") == [1]


def test_metaclasses_that_refuse_every_question_cost_no_other() -> None:
    session = Session()
    snapshot = session.run(
        "class Meta(type):\n    def __getattribute__(cls, name): raise RuntimeError(name)\n"
        "class Odd(metaclass=Meta): pass\nodd = Odd(); fine = [1]"
    )
    assert {lost.name for lost in snapshot.skipped} <= {"odd", "Odd"}
    assert session.reborn().value("fine") == [1]


def test_an_attribute_of_a_module_that_cannot_be_saved_is_named_with_its_module() -> None:
    session = Session()
    snapshot = session.run("import string; string.source = (lambda g: (next(g), g)[1])(n for n in [0, 1]); kept = 1")
    assert [lost.name for lost in snapshot.skipped] == ["string.source"]
    assert "kept" in snapshot.names_changed
    assert not session.run("del string.source").skipped


def test_a_changed_attribute_of_a_module_is_sent_and_an_unchanged_one_is_not() -> None:
    session = Session()
    session.run("import string; string.box = [1]")
    assert not session.run("len(string.box)").changed
    assert session.run("string.box.append(2)").changed
    assert session.reborn().value("string.box") == [1, 2]
    session.execute("del string.box")
    assert session.save().removed
