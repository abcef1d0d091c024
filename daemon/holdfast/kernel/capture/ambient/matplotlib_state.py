"""matplotlib's settings, and what the session registered with it."""

from __future__ import annotations

import contextlib
import sys
from importlib import import_module
from typing import Any

from .provider import Parts, failed

_BACKEND = "backend"
_OURS = "module://_holdfast_kernel"


class RcParams(Parts):
    """The parameters that differ from what matplotlib starts with here, styles included."""

    name = "matplotlib rcParams"
    module = "matplotlib"

    def mark(self) -> Any:
        """Return all values; lists may be changed in place, so they are copied."""
        parameters = getattr(sys.modules["matplotlib"], "rcParams", {})
        return [value[:] if type(value) is list else value for value in dict.values(parameters)]

    def read(self) -> dict[str, Any]:
        """Return the parameters that were set; a backend only if it is the session's choice."""
        matplotlib = sys.modules["matplotlib"]
        start = getattr(matplotlib, "rcParamsOrig", None)
        if start is None:
            # It is being imported.
            return {}
        # Not through rcParams[...], which would choose a backend by importing GUI toolkits.
        changed = {
            name: value
            for name, value in dict.items(matplotlib.rcParams)
            if value is not (before := dict.get(start, name)) and value != before
        }
        backend = changed.get(_BACKEND)
        if backend is not None and (type(backend) is not str or backend.startswith(_OURS)):
            del changed[_BACKEND]
        return {"changes": changed} if changed else {}

    def write(self, parts: dict[str, Any]) -> list[str]:
        """Set them, and the others as matplotlib starts."""
        matplotlib = sys.modules["matplotlib"]
        state = dict(parts.get("changes", {}))
        start = matplotlib.rcParamsOrig
        back = {name: dict.get(start, name) for name in self.read().get("changes", ()) if name not in state}
        back.pop(_BACKEND, None)
        backend = state.pop(_BACKEND, None)
        problems = []
        with _quiet():
            for name, value in {**back, **state}.items():
                try:
                    matplotlib.rcParams[name] = value
                except (KeyError, ValueError) as error:
                    problems.append(failed(name, error))
            if backend is not None:
                try:
                    matplotlib.use(backend)
                except Exception as error:  # noqa: BLE001 - a toolkit that is not here
                    problems.append(failed("backend", error))
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
        return [[*table, *map(id, table.values())] for table in self._tables().values()]

    def _tables(self) -> dict[str, dict[Any, Any]]:
        modules = sys.modules
        matplotlib = modules["matplotlib"]
        maps = getattr(matplotlib, "colormaps", None)
        scales = getattr(modules.get("matplotlib.scale"), "_scale_mapping", {})
        projections = getattr(modules.get("matplotlib.projections"), "projection_registry", None)
        return {
            "colormap": dict(getattr(maps, "_cmaps", {})),
            "scale": scales,
            "projection": getattr(projections, "_all_projection_types", {}),
            "unit": dict(getattr(modules.get("matplotlib.units"), "registry", {})),
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
