"""What is nested more deeply than pickle goes; that it comes back right is promised in `promises_deep.py`."""

from __future__ import annotations

from sessions import Session, changed_names

LIST = "class Node: pass\nhead = None\nfor i in range(3000):\n    n = Node(); n.next = head; head = n\ndel n"


def test_an_unchanged_deep_structure_is_not_sent_again() -> None:
    session = Session()
    assert "head" in changed_names(session.run(LIST))
    assert not session.run("len(dir(head))").changed
    assert not session.run("globals()").changed
    reborn = session.reborn()
    assert not reborn.run("globals()").changed


def test_a_change_at_the_bottom_is_seen() -> None:
    session = Session()
    session.run(LIST)
    cell = "x = head\nwhile x.next: x = x.next\nx.mark = 1"
    assert changed_names(session.run(cell)) == {"head", "x"}
    assert session.reborn().value("x.mark == 1 and type(x) is type(head)")


def test_what_becomes_flat_again_is_saved_as_before() -> None:
    session = Session()
    before = session.run("x = [1]").changed
    session.run("for _ in range(5000): x = [x]")
    assert session.capture._state.session.deep == {"x"}
    session.run("x = [1]")
    assert not session.capture._state.session.deep
    assert session.reborn().value("x") == [1]
    assert bytes(before[0].stream) == bytes(next(iter(session.store.values())).stream)


def test_code_that_calls_itself_for_ever_is_named() -> None:
    session = Session()
    snapshot = session.run(
        "class Endless:\n    def __getattr__(self, name): return getattr(self, name + '_')\n"
        "    def __reduce_ex__(self, protocol): return self.more\nbad = Endless(); good = [1]"
    )
    assert [lost.name for lost in snapshot.skipped] == ["bad"]
    assert session.reborn().value("good") == [1]


def test_a_deep_structure_keeps_what_it_shares_with_others() -> None:
    session = Session()
    session.run(LIST)
    session.run("tail = head\nwhile tail.next: tail = tail.next\nbox = {'tail': tail}; tail.box = box")
    assert session.reborn().value("box['tail'] is tail and tail.box is box")


def test_an_object_in_a_deep_structure_that_cannot_be_saved_is_named() -> None:
    session = Session()
    snapshot = session.run("deep = [__import__('socket').socket()]\nfor _ in range(3000): deep = [deep]\ngood = [1]")
    (lost,) = snapshot.skipped
    assert lost.name == "deep"
    assert "holds a socket" in lost.reason
    assert session.reborn().value("good") == [1]
