"""Which names code can touch is read from its bytecode."""

from __future__ import annotations

import pytest

from holdfast.kernel.capture.names import names_of_function, names_of_run


def touched(source: str) -> set[str]:
    return set(names_of_run(compile(source, "<cell>", "exec", dont_inherit=True)).names)


def test_loaded_stored_and_deleted_names_are_touched() -> None:
    assert touched("a = b\ndel c\nd += 1") == {"a", "b", "c", "d"}


def test_attributes_are_not_names() -> None:
    assert touched("a.b.c = d.e()") == {"a", "d"}


def test_nested_code_counts_with_its_globals_only() -> None:
    source = "def f(x):\n    global g\n    g = h(x)\n    return [k + x for _ in x]\nclass C:\n    own = m\n"
    assert touched(source) >= {"f", "g", "h", "k", "C", "m"}
    assert touched(source).isdisjoint({"x", "own", "_"})


def test_code_with_hundreds_of_names_is_read_right() -> None:
    source = "\n".join(f"a{i} = b{i}.c{i}(d{i})" for i in range(400))
    assert touched(source) == {f"{letter}{i}" for letter in "abd" for i in range(400)}


@pytest.mark.parametrize(
    "source",
    [
        "globals()['x'] = 1",
        "exec('x = 1')",
        "eval('x.append(1)')",
        "vars()",
        "locals()",
        "from math import *",
        "import __main__",
        "import sys; sys.modules[__name__].x = 1",
        "import importlib; importlib.import_module('__main__')",
        "import sys; sys._getframe().f_globals",
        "import inspect; inspect.currentframe()",
        "f.__globals__['x'] = 1",
        "getattr(f, '__globals__')",
        "import builtins; builtins.exec('x = 1')",
        "import pickle; pickle.loads(b)",
        "df.query('a > @f()')",
        "def f(): return globals()",
    ],
)
def test_dynamic_access_means_every_name(source: str) -> None:
    assert names_of_run(compile(source, "<cell>", "exec", dont_inherit=True)).dynamic


@pytest.mark.parametrize(
    "source",
    [
        "model.eval()",
        "df.eval('a + b')",
        "if __name__ == '__main__': main()",
        "net.modules()",
        "re.compile('x')",
        "x = 'globals'",
        "df.query('a > 3')",
    ],
)
def test_what_only_looks_dynamic_is_not(source: str) -> None:
    assert not names_of_run(compile(source, "<cell>", "exec", dont_inherit=True)).dynamic


def test_only_code_that_can_reach_a_library_counts_as_calling() -> None:
    def calls(source: str) -> bool:
        return names_of_run(compile(source, "<cell>", "exec", dont_inherit=True)).calls

    assert not calls("x = 1")
    assert not calls("x = y\nz = [x, 2]")
    assert calls("x.attribute")
    assert calls("f()")
    assert calls("import os")


def test_a_functions_names_are_remembered_for_its_code() -> None:
    def function() -> object:
        return undefined_name  # type: ignore[name-defined]  # noqa: F821

    first = names_of_function(function.__code__)
    assert first.names == {"undefined_name"}
    assert names_of_function(function.__code__) is first
