"""Verifying and repairing a state folder as the daemon does it, in one go."""

from __future__ import annotations

from pathlib import Path

from store_making import KEY, Store

from holdfast.store.errors import StoreUnavailable
from holdfast.store.findings import Finding
from holdfast.store.rebuilding import make_way


def examined(store: Store) -> list[Finding]:
    """Return what is wrong with a store that is open."""
    *_, examiner = store.examine()
    return list(examiner.findings)


def examine(folder: Path, key: bytes = KEY) -> list[Finding]:
    """Return what is wrong with a state folder."""
    with Store.open(folder, key) as store:
        return examined(store)


def found(folder: Path, key: bytes = KEY) -> list[tuple[str, str]]:
    """Return kinds and names of what is wrong, also where the catalog can't be opened."""
    try:
        return [(finding.problem.kind, finding.problem.what) for finding in examine(folder, key)]
    except StoreUnavailable as error:
        assert error.kind == "damaged"
        return [("catalog", "catalog.sqlite")]


def repair(folder: Path, key: bytes = KEY) -> list[tuple[str, str]]:
    """Repair a state folder; return what remains."""
    if any(kind == "catalog" for kind, _ in found(folder, key)):
        old = make_way(folder)
        with Store.open(folder, key) as store:
            for _ in store.salvage(old):
                pass
    # A listing that was dropped, and a version that was taken out, show what was built on them.
    for _ in range(3):
        with Store.open(folder, key) as store:
            findings = examined(store)
            if all(finding.mend is None for finding in findings):
                break
            for undone in store.mend(findings):
                assert undone == []
    return [(finding.problem.kind, finding.problem.what) for finding in findings]
