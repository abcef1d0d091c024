"""Every promise in docs/guarantees.md names a test, and the test exists."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PAGE = (HERE.parent / "docs" / "guarantees.md").read_text(encoding="utf-8")
PROMISES = re.findall(r"^\| (?!promise|---)(.+?) \| (.+?) \|$", PAGE, re.MULTILINE)


@functools.cache
def names_of_tests() -> tuple[set[str], set[str]]:
    """All functions under tests/ that pytest collects, the files that hold them, and all strings (names of cases)."""
    found, strings = set(), set()
    for path in HERE.rglob("*.py"):
        found.add(f"tests/{path.relative_to(HERE).as_posix()}")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                found.add(node.name)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                strings.add(node.value)
    return found, strings


@pytest.mark.parametrize(("promise", "tests"), PROMISES, ids=[promise for promise, _ in PROMISES])
def test_a_promise_names_tests_that_exist(promise: str, tests: str) -> None:
    named = re.findall(r"`([\w./]+)(?:\[(.+?)\])?`", tests)
    assert named, f"no test holds the promise: {promise}"
    known, strings = names_of_tests()
    for name, case in named:
        assert name in known, f"there is no test {name}"
        assert not case or case in strings, f"{name} has no case {case!r}"


def test_there_are_promises() -> None:
    assert len(PROMISES) > 30
