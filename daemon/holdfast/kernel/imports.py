"""What the kernel has to do with imports: steps after the user imports certain modules, and ``import holdfast``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

AfterImport = Callable[[Any], None]


class ImportWatch:
    """A finder that finds nothing by itself: it lets the others find, and adds a step to the loading."""

    def __init__(self, watched: dict[str, AfterImport]) -> None:
        self._watched = watched

    def install(self) -> None:
        """Go first among the finders; modules that are there already are adopted at once."""
        for name in [name for name in self._watched if name in sys.modules]:
            self._watched.pop(name)(sys.modules[name])
        sys.meta_path.insert(0, self)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return None for any module that isn't watched; that is all most imports see of this."""
        after = self._watched.get(name)
        if after is None:
            return None
        spec: ModuleSpec | None = None
        # Those before this one have been asked; one of them may be a watch that is asking just now.
        for finder in sys.meta_path[_position(self) + 1 :]:
            find = getattr(finder, "find_spec", None)
            if find is not None:
                spec = find(name, path, target)
                if spec is not None:
                    break
        if spec is None or spec.loader is None:
            return None
        load = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            load(module)
            self._watched.pop(name, None)
            after(module)

        try:
            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        except AttributeError:
            # A loader with slots or in C: imported as usual, without our step.
            return spec
        return spec


class FacadeFinder:
    """The last of the finders: ``import holdfast`` gives the functions for cells, unless the user has such a module."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return a spec for ``holdfast``."""
        return ModuleSpec(name, self) if name == "holdfast" else None  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> None:
        """Leave it to Python."""

    def exec_module(self, module: ModuleType) -> None:
        """Put the functions for cells into the module."""
        from . import facade

        module.__doc__ = facade.__doc__
        for name in ("__all__", *facade.__all__):
            setattr(module, name, getattr(facade, name))


def _position(finder: object) -> int:
    return next((index for index, one in enumerate(sys.meta_path) if one is finder), -1)
