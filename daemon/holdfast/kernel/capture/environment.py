"""Under which Python and with which distributions a session's components were pickled."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

_OURS = frozenset({"_holdfast_kernel", "holdfast", "_holdfast_cloudpickle", "cloudpickle", "__main__"})


class Environment:
    """Versions of the distributions that pickles name modules of; each module is looked up once."""

    def __init__(self) -> None:
        self._packages: dict[str, str] = {}
        self._seen: set[str] = set(_OURS)
        self._distributions: Any = None

    def note(self, modules: Iterable[str]) -> None:
        """Look up the distributions of modules that were not met before."""
        for module in modules:
            top = module.partition(".")[0]
            if top in self._seen:
                continue
            self._seen.add(top)
            if top in sys.stdlib_module_names:
                continue
            self._look_up(top)

    def _look_up(self, top: str) -> None:
        # Imported late: it takes longer than most captures, and sessions of plain objects never need it.
        from importlib import metadata

        try:
            self._packages[top] = metadata.version(top)
            return
        except metadata.PackageNotFoundError:
            # The distribution may have another name than its module, as scikit-learn has.
            pass
        file = getattr(sys.modules.get(top), "__file__", None) or ""
        if "site-packages" not in file and "dist-packages" not in file:
            return
        if self._distributions is None:
            self._distributions = metadata.packages_distributions()
        for name in self._distributions.get(top, ()):
            self._packages[name] = metadata.version(name)

    def as_json(self) -> dict[str, Any]:
        """Return ``{python, platform, packages: {distribution: version}}``."""
        return {
            "python": ".".join(map(str, sys.version_info[:3])),
            "platform": sys.platform,
            "packages": dict(self._packages),
        }
