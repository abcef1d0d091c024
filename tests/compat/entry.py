"""What one row of the compatibility table says: how an object is made, what is looked at, and how it is changed."""

from __future__ import annotations

from dataclasses import dataclass

ROW = "obj"
"""The variable that every entry is about."""


@dataclass(frozen=True)
class Entry:
    """A class of a package, as cells that make and change an instance, and expressions that look at it.

    Attributes:
        package: the distribution, as the coverage table of Kishu (github.com/illinoisdata/kishu) writes it.
        cls: the class or module that the entry stands for.
        make: cells that leave the object in the variable `obj`; each is saved by itself.
        values: expressions whose values have to be the same after each restore, and others after the change.
        checks: expressions that have to be true in every process, before and after the change.
        change: a cell that changes the object.
        modules: what has to be importable for the entry to run.
        lost: words that the reason contains, if the object is one that can't be kept; empty if it comes back.
        extra: not a row of Kishu's table.
    """

    package: str
    cls: str
    make: tuple[str, ...]
    values: tuple[str, ...]
    change: str
    checks: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    lost: str = ""
    extra: bool = False

    @property
    def name(self) -> str:
        """What the entry is called in tests and in the published table."""
        return f"{self.package}: {self.cls}"


@dataclass(frozen=True)
class Package:
    """Makes the entries of one package.

    Attributes:
        name: the distribution.
        modules: what its entries import.
        extra: whether its entries are additions to Kishu's table.
    """

    name: str
    modules: tuple[str, ...]
    extra: bool = False

    def entry(
        self,
        cls: str,
        make: str | tuple[str, ...],
        values: str | tuple[str, ...],
        change: str,
        *checks: str,
        lost: str = "",
        extra: bool | None = None,
        modules: tuple[str, ...] = (),
    ) -> Entry:
        """Return an entry; single strings stand for tuples of one."""
        return Entry(
            self.name,
            cls,
            (make,) if isinstance(make, str) else make,
            (values,) if isinstance(values, str) else values,
            change,
            checks,
            self.modules + modules,
            lost,
            self.extra if extra is None else extra,
        )
