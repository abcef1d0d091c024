"""A session goes on under another minor version of Python, and under other versions of packages."""

# ruff: noqa: E501 - cells are strings of one line

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from typing import Any

import pytest
from promises import PLAIN
from pythons import find
from sessions import Session
from test_capture_promises import work
from thorough import THOROUGH

VERSIONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
# fmt: off
CODE: dict[str, tuple[list[str], list[str]]] = {
    "methods of all kinds": (
        [
            "class A:\n    n = 1\n    def __init__(self, x): self._x = x\n    @property\n    def x(self): return self._x\n"
            "    @x.setter\n    def x(self, value): self._x = value * 2\n    @classmethod\n    def make(cls): return cls(4)\n"
            "    @staticmethod\n    def twice(v): return 2 * v\n    def up(self): return [self.x + i for i in range(self.n + 1)]",
            "class B(A):\n    def __init__(self): super().__init__(3)\n    def up(self): return super().up() + [__class__.__name__]",
            "a = A(1); b = B()",
        ],
        ["a.x == 1", "(setattr(a, 'x', 4), a.x == 8)[1]", "A.make().x == 4", "A.twice(3) == 6", "b.up() == [3, 4, 'B']"],
    ),
    "closures, nested functions and defaults": (
        [
            "def outer(a, *, b=2):\n    c = 3\n    def middle(d):\n        def inner(e): return a, b, c, d, e\n        return inner\n"
            "    return middle",
            "inner = outer(1)(4)\nkeyed = {'k': lambda x, f=lambda y: y + 1: f(x)}",
            "one, two, three = lambda: 1, lambda: 2, lambda: 3",
            "same, other, third = (lambda: 5), (lambda: 5), (lambda: 6)",
        ],
        ["inner(5) == (1, 2, 3, 4, 5)", "keyed['k'](1) == 2", "(one(), two(), three()) == (1, 2, 3)", "(same(), other(), third()) == (5, 5, 6)",
         "outer(9)(8)(7) == (9, 2, 3, 8, 7)"],
    ),
    "decorators, wrapped functions and contexts": (
        [
            "import functools, contextlib",
            "def loud(mark):\n    def around(f):\n        @functools.wraps(f)\n        def inner(*a, **k): return mark + f(*a, **k)\n"
            "        return inner\n    return around",
            "@loud('!')\ndef say(x: str = 'a') -> str:\n    'Say.'\n    return x",
            "@contextlib.contextmanager\ndef opened(log):\n    log.append('in')\n    yield log\n    log.append('out')",
            "@functools.lru_cache(maxsize=3)\ndef slow(n): return n * factor\nfactor = 2",
            "def use():\n    log = []\n    with opened(log): log.append('x')\n    return log",
        ],
        ["use() == ['in', 'x', 'out']", "say('b') == '!b'", "say.__wrapped__() == 'a'", "say.__doc__ == 'Say.'", "say.__annotations__ == {'x': str, 'return': str}",
         "slow(4) == 8"],
    ),
    "generators, coroutines and comprehensions": (
        [
            "def count(n):\n    for i in range(n):\n        yield i\n    return 'end'",
            "async def wait(v):\n    return [x async for x in many(v)]\nasync def many(v):\n    for i in range(v):\n        yield i",
            "import asyncio",
            "grid = lambda n: {(i, j): [k for k in range(i)] for i in range(n) for j in (lambda: range(i))()}",
            "fs = [(lambda: i) for i in range(3)]\ng = {n: (lambda m=n: m) for n in 'ab'}",
        ],
        ["list(count(3)) == [0, 1, 2]", "asyncio.run(wait(3)) == [0, 1, 2]", "grid(2) == {(1, 0): [0]}", "[f() for f in fs] == [2, 2, 2]",
         "g['a']() + g['b']() == 'ab'"],
    ),
    "code in branches, loops and finally": (
        [
            "try:\n    def f(): return 'tried'\nfinally:\n    def g(): return 'final'",
            "for n in range(2):\n    if n:\n        def h(): return 'second'\n    else:\n        def h(): return 'first'",
            "while True:\n    k = lambda: 'loop'\n    break\nwith open('/dev/null'):\n    class C:\n        def m(self): return 'with'",
        ],
        ["f() + g() == 'triedfinal'", "h() == 'second'", "k() == 'loop'", "C().m() == 'with'"],
    ),
    "features of __future__": (
        ["from __future__ import annotations\ndef f(x: Missing): return x\nclass C:\n    y: Missing = 1"],
        ["f(1) == 1", "f.__annotations__ == {'x': 'Missing'}", "C.__annotations__ == {'y': 'Missing'}"],
    ),
    "two cells on the same lines": (
        ["def f(): return 1", "g = f\ndef f(): return 2", "def f(): return 3"],
        ["f() == 3", "g() == 1"],
    ),
    "state of the module random": (
        ["import random; random.seed(4); draws = [random.random() for _ in range(3)]", "random.seed(4)"],
        ["[random.random() for _ in range(3)] == draws"],
    ),
    "values of the standard library": (
        [
            "import re, pathlib, datetime, decimal, fractions, collections, itertools, uuid, ipaddress, types",
            "v = [re.compile('a+'), pathlib.Path('/a/b'), datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc),\n"
            "     decimal.Decimal('1.5'), fractions.Fraction(1, 3), collections.Counter('aab'), collections.deque([1], 3),\n"
            "     uuid.UUID(int=5), ipaddress.ip_address('::1'), types.SimpleNamespace(a=1), range(3), slice(1, 2)]",
            "today = datetime.date.today",
        ],
        ["v[0].findall('caat') == ['aa']", "v[1].name == 'b'", "v[2].year == 2020", "v[5]['a'] == 2", "v[6].maxlen == 3", "v[9].a == 1"],
    ),
    "inheritance between dataclasses": (
        [
            "from dataclasses import dataclass, field, InitVar\nfrom typing import ClassVar",
            "@dataclass\nclass Base:\n    a: int\n    b: list = field(default_factory=list)\n    kind: ClassVar[str] = 'base'",
            "@dataclass(frozen=False, eq=True, unsafe_hash=False)\nclass Sub(Base):\n    c: int = 3\n    a: int = 7\n    d: InitVar[int] = 1\n"
            "    def __post_init__(self, d): self.sum = self.a + self.c + d",
            "@dataclass(frozen=True)\nclass Ice:\n    x: int = 0\nice = Ice(2)\nsub = Sub(1)",
            "def melts():\n    try:\n        ice.x = 1\n    except AttributeError as error:\n        return type(error).__name__",
        ],
        ["sub == Sub(1)", "Sub(1, c=5).sum == 7", "repr(Sub(1)).startswith('Sub(a=1')", "melts() == 'FrozenInstanceError'",
         "hash(ice) == hash(Ice(2))", "Sub(2).b == []", "Ice.__init__.__qualname__ == 'Ice.__init__'"],
    ),
}
# fmt: on
ALL = {**PLAIN, **CODE}
WHOLE = {
    *CODE,
    "a function sees the session's globals, also those bound later",
    "closures share their cell",
    "default arguments are shared",
    "attributes, keyword defaults, annotations and names of functions",
    "recursion and mutual recursion",
    "decorators and wraps",
    "dataclasses",
    "named tuples",
    "generics, type variables, protocols and typed dicts",
    "metaclasses run once",
    "abstract classes and their registry",
    "slots stay slots",
}
"""What comes back between all versions; of other promises a version may say that it can't keep them, and why."""
NAMING = ("saved with Python ", "needs the ")


def promises_between(first: str, second: str) -> list[str]:
    """Return the promises to try from one version to another: of what holds no code, where the versions are next."""
    distance = abs(VERSIONS.index(first) - VERSIONS.index(second))
    return [name for name in ALL if THOROUGH or name in WHOLE or distance in (1, len(VERSIONS) - 1)]


@pytest.fixture(scope="module")
def lives(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], dict[str, list[str]]]:
    """What went wrong by pair of versions and by promise: restored under the second, and under the first again."""
    folder = tmp_path_factory.mktemp("versions")
    found = {version: path for version in VERSIONS if (path := find(version))}
    saved: dict[str, dict[str, Any]] = {}
    for version, interpreter in found.items():
        answers = work(interpreter, folder, [(*ALL[name], None, False) for name in ALL])
        saved[version] = {name: store for name, (_, store, _) in zip(ALL, answers, strict=True)}
    pairs = {pair: promises_between(*pair) for pair in itertools.permutations(found, 2)}
    problems: dict[tuple[str, str], dict[str, list[str]]] = {
        pair: {name: [] for name in names} for pair, names in pairs.items()
    }
    returned: dict[tuple[str, str], dict[str, Any]] = {pair: {} for pair in pairs}
    for version, interpreter in found.items():
        tried = [(pair, name) for pair, names in pairs.items() if pair[1] == version for name in names]
        job = [([], ALL[name][1], saved[pair[0]][name], True, {"python": pair[0]}) for pair, name in tried]
        for (pair, name), answer in zip(tried, work(interpreter, folder, job), strict=True):
            problems[pair][name] += wrong(name, answer)
            returned[pair][name] = answer[1]
    for version, interpreter in found.items():
        tried = [(pair, name) for pair, names in pairs.items() if pair[0] == version for name in names]
        job = [([], ALL[name][1], returned[pair][name], False, {"python": pair[1]}) for pair, name in tried]
        for (pair, name), answer in zip(tried, work(interpreter, folder, job), strict=True):
            problems[pair][name] += [f"and back: {one}" for one in wrong(name, answer)]
    return problems


def wrong(name: str, answer: tuple[list[str], Any, list[tuple[str, str]]]) -> list[str]:
    """Return what is wrong with a promise; what was lost for a reason that names the versions is not checked."""
    failed, _, lost = answer
    strange = [one for one in lost if name in WHOLE or not one[1].startswith(NAMING)]
    return [f"lost {one}" for one in strange] or ([] if lost else failed)


@pytest.mark.parametrize("pair", list(itertools.permutations(VERSIONS, 2)), ids=" to ".join)
def test_a_session_goes_on_under_another_python(
    pair: tuple[str, str], lives: dict[tuple[str, str], dict[str, list[str]]]
) -> None:
    if pair not in lives:
        pytest.skip(f"Python {pair[0]} or {pair[1]} was not found")
    text = [f"{name}:\n" + "\n".join(problems) for name, problems in lives[pair].items() if problems]
    assert not text, "\n\n".join(text)


def test_what_another_version_of_a_package_does_not_load_is_named_with_both_versions() -> None:
    session = Session()
    session.run("import attrs\nx = attrs.validators.instance_of(int)\ny = 1")
    store = dict(session.store)
    for key, component in store.items():
        if component.members == ("x",):
            stream = bytes(component.stream).replace(b"_InstanceOf", b"_InstanceOF")
            store[key] = type(component)(key, component.members, component.fingerprint, stream, [])
    environment = session.save(full=True, commit=False).environment
    assert set(environment["packages"]) == {"attrs"}
    now = environment["packages"]["attrs"]
    again = Session(store, {**environment, "packages": {"attrs": "1.0"}})
    assert again.outcome is not None
    (lost,) = again.outcome.failed
    assert lost.name == "x"
    assert lost.reason.startswith(f"saved with attrs 1.0, now {now}: loading it raised ")
    assert "attrs 1.0" in lost.remedy
    assert again.outcome.differences == [f"saved with attrs 1.0, now {now}"]
    # It stays in the store, and with it the version that it needs.
    assert again.run("z = 1").environment["packages"]["attrs"] == "1.0"


def test_the_versions_of_packages_are_known_as_long_as_something_needs_them() -> None:
    session = Session()
    environment = session.run("import attrs\nx = attrs.NOTHING").environment
    again = Session(session.store, environment)
    assert again.run("y = 1").environment == environment


def test_another_platform_and_implementation_are_said() -> None:
    session = Session()
    environment = session.run("x = 1").environment
    again = Session(
        session.store, {**environment, "platform": "plan9", "byteOrder": "mixed", "implementation": "snake"}
    )
    assert again.outcome is not None
    assert again.outcome.restored == ["x"]
    assert again.outcome.differences == [
        f"saved with snake, now {sys.implementation.name}",
        f"saved on plan9, now {sys.platform}",
        f"saved on a byte order of mixed, now {sys.byteorder}",
    ]


def test_code_of_another_python_is_never_run(tmp_path: Path) -> None:
    other = next((path for v in VERSIONS if not sys.version.startswith(v) and (path := find(v))), None)
    if other is None:
        pytest.skip("no other Python was found")
    ((_, store, _),) = work(other, tmp_path, [(["exec('def f(): return 1')\nc = f.__code__\nx = 1"], [], None, False)])
    ((_, _, lost),) = work(sys.executable, tmp_path, [([], [], store, False)])
    assert {name for name, _ in lost} == {"f", "c"}
    assert all("another version of Python" in reason for _, reason in lost)
