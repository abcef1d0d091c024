"""What a library holds of the session can change in runs that don't name it, and is saved all the same."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from importlib.machinery import ModuleSpec

import pytest
from sessions import Session


@pytest.fixture
def library() -> Iterator[types.ModuleType]:
    """An importable module that keeps what it is given and calls it back."""
    module = types.ModuleType("callbacks_library")
    module.__spec__ = ModuleSpec("callbacks_library", None)
    exec(
        "kept = []\ndef register(f): kept.append(f); return f\ndef fire(*a): return [f(*a) for f in kept]\n"
        "def add(x): [k.append(x) for k in kept]\ndef forget(): kept.clear()\n",
        module.__dict__,
    )
    sys.modules["callbacks_library"] = module
    yield module
    del sys.modules["callbacks_library"]


def test_a_callback_given_to_a_library_touches_its_globals(library: types.ModuleType) -> None:
    session = Session()
    session.run("import callbacks_library as lib\nlog = []\ndef on(x): log.append(x)")
    session.run("lib.register(on)")
    assert session.run("lib.fire(1)").names_changed == ["log"]
    assert session.run("import json; lib.fire(2)").names_changed == ["json", "log"]
    assert session.reborn().value("log") == [1, 2]


def test_a_decorated_callback_does_too(library: types.ModuleType) -> None:
    session = Session()
    session.run("import callbacks_library as lib; count = 0")
    session.run("@lib.register\ndef on():\n    global count\n    count += 1")
    session.run("lib.fire()")
    assert session.reborn().value("count") == 1


def test_a_lambda_that_no_variable_holds_does_when_it_was_given_with_its_list(library: types.ModuleType) -> None:
    session = Session()
    session.run("import callbacks_library as lib; box = []")
    session.run("lib.register(box.append)")
    session.run("lib.fire(3)")
    assert session.reborn().value("box") == [3]


def test_a_list_that_a_library_holds_is_saved_when_the_library_changes_it(library: types.ModuleType) -> None:
    session = Session()
    session.run("import callbacks_library as lib; rows = []")
    session.run("lib.register(rows)")
    session.run("lib.add(1)")
    assert session.reborn().value("rows") == [1]


def test_an_instance_that_a_library_holds_is_too(library: types.ModuleType) -> None:
    session = Session()
    session.run(
        "import callbacks_library as lib\nseen = []\n"
        "class H:\n    n = 0\n    def append(self, x): self.n += x; seen.append(x)"
    )
    session.run("h = H(); lib.register(h)")
    session.run("lib.add(4)")
    reborn = session.reborn()
    assert reborn.value("h.n") == 4
    assert reborn.value("seen") == [4]


def test_a_class_that_a_library_holds_touches_what_its_methods_name(library: types.ModuleType) -> None:
    session = Session()
    session.run("import callbacks_library as lib\nmade = []\nclass Plugin:\n    def __init__(self): made.append(1)")
    session.run("lib.register(Plugin)")
    session.run("lib.fire()")
    assert session.reborn().value("made") == [1]


def test_what_a_library_gave_back_is_not_looked_at_any_more(library: types.ModuleType) -> None:
    session = Session()
    session.run("import callbacks_library as lib; rows = []")
    session.run("lib.register(rows)")
    assert session.capture._state.partition.held
    session.run("lib.forget()")
    assert not session.capture._state.partition.held


@pytest.mark.parametrize(
    "code",
    [
        "def f(x): return x\nprint(f, sorted([2, 1], key=f), list(map(f, [1])), end='', file=open('/dev/null', 'w'))",
        "class C:\n    def m(self): return super().__repr__()\nc = C(); repr(c); d = [c, c]",
        "import functools\n@functools.wraps(len)\ndef g(): pass\np = functools.partial(g)",
        "import dataclasses\n@dataclasses.dataclass\nclass D:\n    x: list\nd = D([1]); e = dataclasses.replace(d)",
        "import collections\nN = collections.namedtuple('N', 'a b')\nn = N(1, [2])",
        "import enum\nclass E(enum.Enum):\n    A = 1\ne = E.A",
        "import functools\n@functools.lru_cache\ndef k(n): return n\nk(3)",
        "def gen():\n    yield 1\nlst = list(gen())",
        "class A:\n    @property\n    def p(self): return 1\n"
        "    @staticmethod\n    def s(): pass\n    @classmethod\n    def k(cls): pass\nclass B(A):\n    pass\nb = B()",
        "def make():\n    n = []\n    return (lambda: n), (lambda: n.append(1))\nget, put = make(); put()",
    ],
)  # fmt: skip
def test_ordinary_sessions_hold_nothing_elsewhere(code: str) -> None:
    session = Session()
    session.run(code)
    session.run("globals()")
    assert not session.capture._state.partition.held
    reborn = session.reborn()
    reborn.run("globals()")
    assert not reborn.capture._state.partition.held
