"""matplotlib's settings, and what the session registered with it."""

from __future__ import annotations

import contextlib
import sys
from importlib import import_module
from itertools import islice
from typing import Any

from .provider import Parts, Plain, failed

_BACKEND = "backend"
_OURS = "module://_holdfast_kernel"
_NEWEST = 8
"""How many entries of a registry, from its end, are compared by which objects they are; matplotlib's own come first."""


class Backend(Plain):
    """The backend that the session chose: set as soon as matplotlib is imported, before figures are loaded into it."""

    name = "matplotlib backend"
    module = "matplotlib"
    early = True

    def read(self) -> Any:
        """Return the backend, None if it is the one that matplotlib starts with or that the kernel has put there."""
        matplotlib = sys.modules["matplotlib"]
        # Not through rcParams[...], which would choose a backend by importing GUI toolkits.
        now, start = (dict.get(getattr(matplotlib, name, {}), _BACKEND) for name in ("rcParams", "rcParamsOrig"))
        return None if now == start or type(now) is not str or now.startswith(_OURS) else now

    def write(self, state: Any) -> list[str]:
        """Choose the backend."""
        matplotlib = sys.modules["matplotlib"]
        if state is not None and state != self.read():
            try:
                matplotlib.use(state)
            except Exception as error:  # noqa: BLE001 - a toolkit that is not here
                return [failed("backend", error)]
        return []


class RcParams(Parts):
    """The parameters that differ from what matplotlib starts with here, styles included."""

    name = "matplotlib rcParams"
    module = "matplotlib"
    watched = True

    def begin(self) -> None:
        """Take note of the lists: when they are changed in place, so does matplotlib's own note of them."""
        start = getattr(sys.modules["matplotlib"], "rcParamsOrig", {})
        self._lists = {name: value[:] for name, value in dict.items(start) if type(value) is list}

    def mark(self) -> Any:
        """Return all values; lists may be changed in place, so there are copies of them as well."""
        parameters = getattr(sys.modules["matplotlib"], "rcParams", {})
        get = dict.get
        return list(dict.values(parameters)), [tuple(get(parameters, name) or ()) for name in self._lists]

    def read(self) -> dict[str, Any]:
        """Return the parameters that were set."""
        matplotlib = sys.modules["matplotlib"]
        start = getattr(matplotlib, "rcParamsOrig", None)
        if start is None:
            # It is being imported.
            return {}
        changed = {
            name: value
            for name, value in dict.items(matplotlib.rcParams)
            if value is not (before := self._lists.get(name, dict.get(start, name))) and value != before
        }
        changed.pop(_BACKEND, None)
        return {"changes": changed} if changed else {}

    def write(self, parts: dict[str, Any]) -> list[str]:
        """Set them, and the others as matplotlib starts."""
        matplotlib = sys.modules["matplotlib"]
        state = dict(parts.get("changes", {}))
        start = matplotlib.rcParamsOrig
        back = {
            name: self._lists.get(name, dict.get(start, name))
            for name in self.read().get("changes", ())
            if name not in state
        }
        problems = []
        with _quiet():
            for name, value in {**back, **state}.items():
                try:
                    matplotlib.rcParams[name] = value
                except (KeyError, ValueError) as error:
                    problems.append(failed(name, error))
        return problems


def _quiet() -> Any:
    """Setting a parameter that is about to go warns; the session has seen that."""
    warnings = sys.modules.get("warnings")
    if warnings is None:
        return contextlib.nullcontext()
    return warnings.catch_warnings(record=True)


class Registered(Parts):
    """Colour maps that were registered, and scales, projections and unit converters of the session's classes."""

    name = "matplotlib"
    module = "matplotlib"

    def mark(self) -> Any:
        """Return what is registered."""
        return [(len(table), *map(id, islice(reversed(table.values()), _NEWEST))) for table in self._tables().values()]

    def _tables(self) -> dict[str, dict[Any, Any]]:
        modules = sys.modules
        matplotlib = modules["matplotlib"]
        maps = getattr(matplotlib, "colormaps", None)
        scales = getattr(modules.get("matplotlib.scale"), "_scale_mapping", {})
        projections = getattr(modules.get("matplotlib.projections"), "projection_registry", None)
        return {
            "colormap": getattr(maps, "_cmaps", {}),
            "scale": scales,
            "projection": getattr(projections, "_all_projection_types", {}),
            "unit": getattr(modules.get("matplotlib.units"), "registry", {}),
        }

    def read(self) -> dict[str, Any]:
        """Return what belongs to the session; a part is named by kind and name."""
        tables = self._tables()
        builtin = getattr(getattr(sys.modules["matplotlib"], "colormaps", None), "_builtin_cmaps", ())
        found: dict[str, Any] = {
            f"colormap {name}": value for name, value in tables["colormap"].items() if name not in builtin
        }
        for kind in ("scale", "projection"):
            found.update(
                (f"{kind} {name}", value)
                for name, value in tables[kind].items()
                if getattr(value, "__module__", None) == "__main__"
            )
        units = {
            unit: converter
            for unit, converter in tables["unit"].items()
            if "__main__" in (getattr(unit, "__module__", None), type(converter).__module__)
        }
        if units:
            found["units"] = list(units.items())
        return found

    def write(self, parts: dict[str, Any]) -> list[str]:
        """Register it."""
        problems = []
        for part, value in parts.items():
            kind, _, name = part.partition(" ")
            try:
                if kind == "colormap":
                    sys.modules["matplotlib"].colormaps.register(value, name=name, force=True)
                elif kind == "scale":
                    import_module("matplotlib.scale").register_scale(value)
                elif kind == "projection":
                    import_module("matplotlib.projections").register_projection(value)
                else:
                    import_module("matplotlib.units").registry.update(value)
            except Exception as error:  # noqa: BLE001 - a matplotlib of another version; said to the user
                problems.append(failed(part, error))
        return problems


class OpenFigures(Parts):
    """pyplot's open figures, of which the last is the current one.

    Those of the kernel's own backend are shown and closed at the end of each cell; others stay open until they are
    closed, and need not be in any variable.
    """

    name = "figures"
    module = "matplotlib.pyplot"

    @property
    def live(self) -> bool:  # type: ignore[override]
        """Whether one of them may have changed since it was drawn."""
        return any(manager.canvas.figure.stale for manager in self._managers().values())

    def _managers(self) -> dict[int, Any]:
        figures: dict[int, Any] = sys.modules["matplotlib._pylab_helpers"].Gcf.figs
        return figures

    def mark(self) -> Any:
        """Return which figures are open."""
        managers = self._managers()
        return [*managers, *[(id(one.canvas.figure), one.canvas.figure.stale) for one in managers.values()]]

    def read(self) -> dict[str, Any]:
        """Return the figures by number, in order."""
        figures = [(number, manager.canvas.figure) for number, manager in self._managers().items()]
        return {"open": figures} if figures else {}

    def write(self, parts: dict[str, Any]) -> list[str]:
        """Open them: as they are loaded, figures enter pyplot under new numbers."""
        pyplot = sys.modules["matplotlib.pyplot"]
        managers = self._managers()
        managers.clear()
        for number, figure in parts.get("open", ()):
            manager = getattr(figure.canvas, "manager", None)
            if manager is None:
                manager = pyplot._get_backend_mod().new_figure_manager_given_figure(number, figure)
            manager.num = number
            if hasattr(figure, "number"):
                with contextlib.suppress(AttributeError):
                    figure.number = number
            managers[number] = manager
        return []
