"""Iterators go on where they were, and saving one does not move it."""

# ruff: noqa: E501 - cells are strings of one line

from __future__ import annotations

import itertools
import sys
import warnings

import pytest
from sessions import Session

BUILTIN = [
    "iter(range(9))", "iter(data)", "iter(tuple(data))", "iter('abcdef')", "iter(b'abcd')", "iter({1: 2, 3: 4, 5: 6})",
    "iter(mapping.values())", "iter(mapping.items())", "reversed(mapping)", "reversed(mapping.items())",
    "reversed(data)", "enumerate(data, 5)", "enumerate(iter(data))", "zip(data, 'abcdef')",
    "zip(data, data, strict=True)", "map(str, data)",
    "map(plus, data, data)", "filter(None, [0, 1, 0, 2, 3, 4, 5, 6])", "filter(odd, data)",
    "iter(collections.deque(data))", "iter(data.pop, 1)", "reversed(range(7))", "iter(bytearray(b'abcd'))",
    "iter(collections.OrderedDict(mapping))", "iter(collections.defaultdict(int, mapping).items())",
]  # fmt: skip
KNOWN_IN_EVERY_PYTHON = [
    "I.count()", "I.count(7, 3)", "I.count(2.5)", "I.count(-3)", "I.count(1 << 70)", "I.repeat(0)", "I.repeat(0, 9)",
    "I.cycle('abc')", "I.cycle('aab')", "I.cycle('a')", "I.chain(data, 'xyz')", "I.chain.from_iterable([data, 'xyz'])",
    "I.starmap(pow, [(2, 3)] * 9)", "I.filterfalse(odd, data)", "I.compress(data, [0, 1, 1, 1, 0, 1])",
    "I.zip_longest(data, 'ab', fillvalue=data)", "I.accumulate(data)", "I.accumulate(data, max)",
    "I.accumulate(data, initial=9)", "I.accumulate(data, max, initial=3)", "I.accumulate(data, lambda a, b: None)",
    "I.pairwise(data)", "zip(I.count(), I.cycle('ab'))", "I.chain(I.chain('ab', data), data)",
]  # fmt: skip
KNOWN_UP_TO_3_13 = [
    "I.islice(data, 1, 6, 2)", "I.islice(data, 5)", "I.islice(data, 1, None)", "I.takewhile(lambda n: n < 4, data)",
    "I.dropwhile(lambda n: n < 2, data)", "I.product('aab', data)", "I.product(range(3), repeat=2)",
    "I.permutations(data, 3)",
    "I.combinations('aabb', 2)", "I.combinations_with_replacement('abc', 2)",
    "map(lambda kv: (kv[0], list(kv[1])), I.groupby(data, lambda n: n // 3))", "I.tee(data)[1]",
    "I.zip_longest('abcdefgh', 'abcdef', 'a')",
]  # fmt: skip
SETUP = """
import itertools as I, collections
data = [1, 2, 3, 4, 5, 6]; mapping = dict(zip('abcdef', data))
def odd(n): return n % 2
def plus(a, b): return a + b
"""


@pytest.mark.filterwarnings("error::DeprecationWarning")
@pytest.mark.parametrize("steps", [0, 1, 3, 5, 40])
def test_iterators_go_on_where_they_were_and_saving_does_not_move_them(steps: int) -> None:
    made = BUILTIN + KNOWN_IN_EVERY_PYTHON + (KNOWN_UP_TO_3_13 if sys.version_info < (3, 14) else [])
    session, control = Session(), Session()
    for one in (session, control):
        one.execute(SETUP)
        for number, expression in enumerate(made):
            one.execute(f"it{number} = {expression}; same{number} = [it{number}]; list(I.islice(it{number}, {steps}))")
    assert not session.save().skipped
    second = session.reborn()
    assert not second.run("globals()").skipped
    third = second.reborn()
    for number, expression in enumerate(made):
        rest = f"(same{number}[0] is it{number}, list(I.islice(it{number}, 30)))"
        expected = control.value(rest)
        for one in (session, second, third):
            assert one.value(rest) == expected, expression


@pytest.mark.parametrize(
    ("made", "step"),
    [
        ("b = zip(a, a)", "next(b)"),
        ("b = enumerate(a)", "next(b)"),
        ("b = I.chain(a, 'x')", "next(b)"),
        ("b = I.chain.from_iterable([a])", "next(b)"),
        ("b = I.cycle(a)", "next(b), next(b)"),
        ("b = I.accumulate(a)", "next(b)"),
        ("b = I.pairwise(a)", "next(b)"),
        ("b = map(odd, a)", "next(b)"),
    ],
)
def test_what_it_iterates_over_stays_shared(made: str, step: str) -> None:
    session = Session()
    session.run(SETUP + "a = iter(data)")
    session.run(f"{made}; {step}; left = data")
    reborn = session.reborn()
    for one in (session, reborn):
        one.execute("first = next(b); rest = list(a); left.append(7)")
    assert reborn.value("(first, rest)") == session.value("(first, rest)")
    assert reborn.value("left is data")


def test_a_dict_iterator_stays_on_its_dict() -> None:
    session = Session()
    session.run(SETUP + "it = iter(mapping); next(it); values = iter(mapping.values())")
    reborn = session.reborn()
    reborn.execute("mapping['c'] = 99")
    assert reborn.value("list(it)") == list("bcdef")
    assert reborn.value("list(values)") == [1, 2, 99, 4, 5, 6]
    reborn = session.reborn()
    reborn.execute("mapping['new'] = 0")
    with pytest.raises(RuntimeError):
        reborn.value("next(it)")


def test_a_set_iterator_has_what_was_left() -> None:
    session = Session()
    session.run("s = set('abcdefgh'); it = iter(s); first = next(it)")
    assert session.reborn().value("set(it) | {first} == s")


def test_iterators_over_generators_are_named() -> None:
    session = Session()
    snapshot = session.run(
        "import itertools as I\nz = zip('ab', (lambda g: (next(g), g)[1])(i for i in '-cd')); c = I.chain((lambda g: (next(g), g)[1])(i for i in '-a')); ok = [1]"
    )
    assert {lost.name for lost in snapshot.skipped} == {"z", "c"}
    assert all("generator" in lost.reason and "list(…)" in lost.remedy for lost in snapshot.skipped)
    assert session.value("(list(z), list(c))") == ([("a", "c"), ("b", "d")], ["a"])


def test_warnings_that_were_shown_are_not_shown_again_by_saving(recwarn: pytest.WarningsRecorder) -> None:
    warnings.simplefilter("default")
    before = list(warnings.filters)
    session = Session()
    session.run("import itertools; p = itertools.permutations('abc'); next(p)")
    assert list(warnings.filters) == before
    assert not recwarn.list
    assert isinstance(session.value("p"), itertools.permutations)
