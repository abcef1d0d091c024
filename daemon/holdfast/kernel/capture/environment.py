"""Under which Python and with which distributions components were pickled, and what is different here."""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Iterable, Mapping
from typing import Any

_OURS = frozenset({"_holdfast_kernel", "holdfast", "_holdfast_cloudpickle", "cloudpickle", "__main__"})


class Environment:
    """Versions of the distributions that pickles name modules of; each module is looked up once."""

    def __init__(self) -> None:
        self._packages: dict[str, str] = {}
        self._seen: set[str] = set(_OURS)
        self._unread: dict[str, str] = {}
        self._said: dict[str, Any] | None = None

    def note(self, modules: Iterable[str]) -> None:
        """Look up the distributions of modules that were not met before."""
        unknown = set()
        for module in modules:
            top = module.partition(".")[0]
            if top in self._seen:
                continue
            self._seen.add(top)
            if top in sys.stdlib_module_names:
                continue
            self._said = None
            if not self._look_up(top):
                unknown.add(top)
        if unknown:
            self._search(unknown)

    def adopt(self, saved: Mapping[str, Any] | None, *, whole: bool) -> None:
        """Go on from what was restored: its pickles stay in the store until something in them changes.

        Args:
            whole: all of it could be loaded; what could not will need the versions that it was saved with.
        """
        packages: Mapping[str, Any] = (saved or {}).get("packages") or {}
        versions = {str(name): str(version) for name, version in packages.items()}
        self._packages = {**versions, **self._packages}
        self._said = None
        self._unread = {} if whole else {**self._unread, **versions}

    def _look_up(self, top: str) -> bool:
        """Note the distribution of a module; whether it needs no search."""
        # Imported late: it takes longer than most captures, and sessions of plain objects never need it.
        from importlib import metadata

        try:
            self._packages[top] = metadata.version(top)
        except metadata.PackageNotFoundError:
            # The distribution may have another name than its module, as scikit-learn has.
            file = getattr(sys.modules.get(top), "__file__", None) or ""
            return "site-packages" not in file and "dist-packages" not in file
        return True

    def _search(self, tops: Collection[str]) -> None:
        from importlib import metadata

        for distribution in metadata.distributions():
            if _has_one_of(distribution, tops) and (name := distribution.metadata["Name"]):
                self._packages[name] = distribution.version

    def as_json(self) -> dict[str, Any]:
        """Return ``{python, platform, implementation, byteOrder, packages: {distribution: version}}``."""
        if self._said is None:
            self._said = self._describe()
        return self._said

    def _describe(self) -> dict[str, Any]:
        return {
            "python": ".".join(map(str, sys.version_info[:3])),
            "platform": sys.platform,
            "implementation": sys.implementation.name,
            "byteOrder": sys.byteorder,
            "packages": {**self._packages, **self._unread},
        }


class Differences:
    """What is not here as it was where components were pickled.

    Args:
        saved: an environment as `Environment.as_json` returns it; what is missing in it counts as the same.

    Attributes:
        saved: what was given.
        python: the minor version there ("3.11"), None if it is that of this Python.
    """

    def __init__(self, saved: Mapping[str, Any] | None) -> None:
        self.saved = saved = saved or {}
        here = Environment().as_json()
        minor = _minor(str(saved.get("python") or ""))
        self.python = minor if minor and minor != _minor(here["python"]) else None
        self._general = [
            f"saved {word} {saved[key]}, now {here[key]}"
            for key, word in (("implementation", "with"), ("platform", "on"), ("byteOrder", "on a byte order of"))
            if saved.get(key) and saved[key] != here[key]
        ]
        if self.python is not None:
            self._general.append(f"saved with Python {self.python}, now {_minor(here['python'])}")
        packages: Mapping[str, Any] = saved.get("packages") or {}
        self._saved = {str(name): str(version) for name, version in packages.items()}
        self._changed: dict[str, str | None] | None = None

    def in_words(self) -> list[str]:
        """Return all differences; call when everything is loaded, which spares looking up what says its version."""
        return [*self._general, *(self._say(name) for name in self._packages())]

    def about(self, modules: Iterable[str]) -> str:
        """Return the differences that may matter to what is in `modules`, "" if there are none."""
        return "; ".join([*self._general, *map(self._say, self._concerned(modules))])

    def wanted(self, modules: Iterable[str]) -> list[str]:
        """Return what would have to be here for these to be as they were: ``["Python 3.11", "pandas 2.3.1"]``."""
        python = [] if self.python is None else [f"Python {self.python}"]
        return [*python, *(f"{name} {self._saved[name]}" for name in self._concerned(modules))]

    def _concerned(self, modules: Iterable[str]) -> list[str]:
        if not self._packages():
            return []
        from importlib import metadata

        tops = {module.partition(".")[0] for module in modules}
        distributions = metadata.packages_distributions()
        # One that isn't there any more can only be guessed.
        names = tops.union(*(distributions.get(top, ()) for top in tops))
        return [name for name in self._packages() if name in names or name.lower().replace("-", "_") in names]

    def _say(self, name: str) -> str:
        now = self._packages()[name]
        return f"saved with {name} {self._saved[name]}, now " + ("not installed" if now is None else now)

    def _packages(self) -> dict[str, str | None]:
        """Return the version that is here, or None, of each distribution that had another."""
        if self._changed is None:
            now = {name: _version_here(name, version) for name, version in self._saved.items()}
            self._changed = {name: version for name, version in now.items() if version != self._saved[name]}
        return self._changed


def _has_one_of(distribution: Any, tops: Collection[str]) -> bool:
    """Whether a distribution brings one of these modules; `packages_distributions` reads ten times as long."""
    said = distribution.read_text("top_level.txt")
    if said is not None:
        return not set(said.split()).isdisjoint(tops)
    files = distribution.read_text("RECORD") or ""
    names = "|".join(map(re.escape, tops))
    return re.search(rf'^"?({names})(/|\.py,|\.[^/,\n]*\.?(so|pyd),)', files, re.MULTILINE) is not None


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _version_here(name: str, saved: str) -> str | None:
    module = sys.modules.get(name.lower().replace("-", "_"))
    if module is not None and vars(module).get("__version__") == saved:
        # Looking it up takes longer than many a restore.
        return saved
    from importlib import metadata

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
