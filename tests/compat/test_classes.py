"""The compatibility table, as far as its packages are installed: made, killed, restored, changed, killed, restored."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import lives
import pytest
import table
from entry import Entry

PACKAGES = list(dict.fromkeys(entry.package for entry in table.ENTRIES))


def is_installed(entry: Entry) -> bool:
    """Whether what the entry needs is there, by its outermost modules."""
    return all(importlib.util.find_spec(module.partition(".")[0]) is not None for module in entry.modules)


@pytest.mark.parametrize("package", PACKAGES)
@pytest.mark.timeout(900)
def test_objects_of_libraries_come_back_or_are_named_lost(package: str, tmp_path: Path) -> None:
    entries = [entry for entry in table.ENTRIES if entry.package == package and is_installed(entry)]
    if not entries:
        pytest.skip("the package is not installed")
    wrong = []
    for entry, outcome in zip(entries, lives.run(sys.executable, tmp_path, entries), strict=True):
        expected = "named lost" if entry.lost else "right"
        if outcome.result != expected or (entry.lost and entry.lost not in outcome.details[0]):
            wrong.append(
                "\n  ".join([f"{entry.name} is {outcome.result}, not {expected}:", *outcome.details, *outcome.lost])
            )
    assert not wrong, "\n".join(wrong)


def test_the_table_has_every_class_once() -> None:
    names = [entry.name for entry in table.ENTRIES]
    assert len(names) == len(set(names))
    assert len([entry for entry in table.ENTRIES if not entry.extra]) == 145
