"""Settings of libraries: what numpy, pandas, xarray and others were told to do until they are told otherwise."""

from __future__ import annotations

import copy
import sys
from typing import Any

from .provider import Parts, Plain, differences, failed

_PRINT_OPTIONS = {
    "edgeitems": 3, "threshold": 1000, "floatmode": "maxprec", "precision": 8, "suppress": False, "linewidth": 75,
    "nanstr": "nan", "infstr": "inf", "sign": "-", "formatter": None, "legacy": False, "override_repr": None,
}  # fmt: skip
_ERRORS = {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"}


class NumpySettings(Parts):
    """How numpy prints, and what it does about floating-point errors; both may call functions of the session."""

    name = "numpy"
    module = "numpy"
    live = True

    def mark(self) -> Any:
        """Return all settings."""
        numpy = sys.modules["numpy"]
        if not hasattr(numpy, "seterrcall"):
            # It is being imported.
            return None
        options = numpy.get_printoptions()
        formatter = options.pop("formatter", None)
        # Functions, compared by which they are: they are the user's.
        functions = [*formatter, *map(id, formatter.values())] if type(formatter) is dict else None
        return options, functions, numpy.geterr(), id(numpy.geterrcall())

    def read(self) -> dict[str, Any]:
        """Return what is not as numpy starts."""
        numpy = sys.modules["numpy"]
        options = {
            name: value
            for name, value in numpy.get_printoptions().items()
            if name not in _PRINT_OPTIONS or (value is not _PRINT_OPTIONS[name] and value != _PRINT_OPTIONS[name])
        }
        errors = differences(numpy.geterr(), _ERRORS)
        call = numpy.geterrcall()
        parts = {"print options": options, "floating-point errors": errors, "error callback": call}
        return {part: value for part, value in parts.items() if value}

    def write(self, parts: dict[str, Any]) -> list[str]:
        """Set them."""
        numpy = sys.modules["numpy"]
        known = numpy.get_printoptions()
        options = {**_PRINT_OPTIONS, **parts.get("print options", {})}
        numpy.set_printoptions(**{name: value for name, value in options.items() if name in known})
        numpy.seterrcall(parts.get("error callback"))
        numpy.seterr(**{**_ERRORS, **parts.get("floating-point errors", {})})
        return []


class PandasOptions(Parts):
    """The options that are not at their defaults, by name; a format may be a function of the session."""

    name = "pandas options"
    module = "pandas"
    live = True

    def __init__(self) -> None:
        self._last: dict[str, Any] = {}
        self._changes = 0

    def mark(self) -> Any:
        """Return a number that grows with every change."""
        now = _pandas_config()._global_config
        if now != self._last:
            self._last = _copied(now)
            self._changes += 1
        return self._changes

    def read(self) -> dict[str, Any]:
        """Return the options that were set."""
        config = _pandas_config()
        found = {}
        for name, option in tuple(config._registered_options.items()):
            value = _looked_up(config._global_config, name)
            if value is not option.defval and value != option.defval:
                found[name] = value
        return found

    def write(self, parts: dict[str, Any]) -> list[str]:
        """Set them, and the others to their defaults."""
        config = _pandas_config()
        changed = self.read()
        options = {name: config._registered_options[name].defval for name in changed if name not in parts}
        return _set_each({**options, **parts}, config.set_option)


def _pandas_config() -> Any:
    return sys.modules["pandas._config.config"]


def _copied(tree: dict[str, Any]) -> dict[str, Any]:
    """Copy nested dicts, but not what is in them."""
    return {
        key: _copied(value) if type(value) is dict else copy.copy(value) if type(value) is list else value
        for key, value in tree.items()
    }


def _looked_up(tree: dict[str, Any], name: str) -> Any:
    value: Any = tree
    for step in name.split("."):
        value = value[step]
    return value


def _set_each(options: dict[str, Any], setter: Any) -> list[str]:
    problems = []
    for name, value in options.items():
        try:
            setter(name, value)
        except Exception as error:  # noqa: BLE001 - a library of another version; said to the user
            problems.append(failed(name, error))
    return problems


class XarrayOptions(Plain):
    """What `xarray.set_options` was told."""

    name = "xarray options"
    module = "xarray"
    watched = True

    def begin(self) -> None:
        """Take note of the options that xarray starts with."""
        self._start = dict(_xarray_options())

    def read(self) -> Any:
        """Return what was set."""
        return differences(_xarray_options(), self._start) or None

    def write(self, state: Any) -> list[str]:
        """Set it, and the others as xarray starts."""
        back = {name: self._start[name] for name in self.read() or () if name in self._start}
        setter = sys.modules["xarray"].set_options
        return _set_each({**back, **(state or {})}, lambda name, value: setter(**{name: value}))


def _xarray_options() -> dict[str, Any]:
    options: dict[str, Any] = sys.modules["xarray.core.options"].OPTIONS
    return options


class DaskConfig(Plain):
    """What `dask.config.set` was told."""

    name = "dask config"
    module = "dask.config"
    watched = True
    _OF_CLIENT = "dask.distributed"
    """The scheduler that a client makes the default as long as it lives, which is not longer than its process."""

    def __init__(self) -> None:
        self._last: dict[str, Any] = {}
        self._changes = 0

    def begin(self) -> None:
        """Take note of the settings that dask starts with."""
        self._start = _flat(_copied(sys.modules["dask.config"].config))

    def mark(self) -> Any:
        """Return a number that grows with every change."""
        now = sys.modules["dask.config"].config
        if now != self._last:
            self._last = _copied(now)
            self._changes += 1
        return self._changes

    def read(self) -> Any:
        """Return what was set, by dotted names."""
        changed = differences(_flat(sys.modules["dask.config"].config), self._start)
        return {name: value for name, value in changed.items() if value != self._OF_CLIENT} or None

    def write(self, state: Any) -> list[str]:
        """Set it, and the others as dask starts."""
        config = sys.modules["dask.config"]
        changed = self.read() or {}
        for name in changed.keys() - self._start.keys() - (state or {}).keys():
            config.config.pop(name, None)
        back = {name: self._start[name] for name in changed if name in self._start}
        return _set_each({**back, **(state or {})}, lambda name, value: config.set({name: value}))


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in tree.items():
        if type(value) is dict and value:
            found.update(_flat(value, f"{prefix}{name}."))
        else:
            found[f"{prefix}{name}"] = value
    return found


class PlotlySettings(Parts):
    """plotly's default template and renderer, and templates that the session registered."""

    name = "plotly"
    module = "plotly.io"
    watched = True
    _DEFAULTS = "defaults"
    _TEMPLATE = "template "

    def begin(self) -> None:
        """Take note of what plotly starts with."""
        plotly = sys.modules["plotly.io"]
        self._names = frozenset(plotly.templates)
        self._start = self._defaults()

    @property
    def live(self) -> bool:  # type: ignore[override]
        """Whether a template of the session's may have changed in place."""
        return bool(self._registered())

    def _defaults(self) -> tuple[Any, Any]:
        plotly = sys.modules["plotly.io"]
        return plotly.templates.default, plotly.renderers.default

    def _registered(self) -> dict[str, Any]:
        templates = sys.modules["plotly.io"].templates
        return {name: templates[name] for name in templates if name not in self._names}

    def mark(self) -> Any:
        """Return the defaults, and which templates the session has."""
        return self._defaults(), [(name, id(value)) for name, value in self._registered().items()]

    def read(self) -> dict[str, Any]:
        """Return what is not as plotly starts."""
        parts = {self._TEMPLATE + name: value for name, value in self._registered().items()}
        if self._defaults() != self._start:
            parts[self._DEFAULTS] = self._defaults()
        return parts

    def write(self, parts: dict[str, Any]) -> list[str]:
        """Register the templates, and set the defaults."""
        plotly = sys.modules["plotly.io"]
        wanted = {name.removeprefix(self._TEMPLATE): one for name, one in parts.items() if name != self._DEFAULTS}
        template, renderer = parts.get(self._DEFAULTS, self._start)
        for name in self._registered().keys() - wanted.keys():
            del plotly.templates[name]
        problems = _set_each(wanted, plotly.templates.__setitem__)
        problems += _set_each({"default": template}, lambda name, value: setattr(plotly.templates, name, value))
        return problems + _set_each({"default": renderer}, lambda name, value: setattr(plotly.renderers, name, value))


class SklearnConfig(Plain):
    """What `sklearn.set_config` was told."""

    name = "sklearn"
    module = "sklearn"

    def read(self) -> Any:
        """Return what is not at its default."""
        config = sys.modules["sklearn._config"]
        return differences(config.get_config(), config._global_config) or None

    def write(self, state: Any) -> list[str]:
        """Set it."""
        config = sys.modules["sklearn._config"]
        known = config._global_config
        wanted = {**known, **(state or {})}
        config.set_config(**{name: value for name, value in wanted.items() if name in known})
        return [f"{name}: this version of sklearn doesn't have it" for name in wanted if name not in known]


class PolarsConfig(Plain):
    """The settings of `polars.Config` that lie in its compiled code; the others are environment variables."""

    name = "polars"
    module = "polars"
    watched = True

    def begin(self) -> None:
        """Take note of the settings that polars starts with."""
        self._start = self._now()

    def _now(self) -> dict[str, Any]:
        getters = getattr(sys.modules.get("polars.config"), "_POLARS_CFG_DIRECT_VARS", {})
        return {name: getter() for name, getter in getters.items()}

    def mark(self) -> Any:
        """Return all of them."""
        return self._now()

    def read(self) -> Any:
        """Return what was set."""
        return differences(self._now(), self._start) or None

    def write(self, state: Any) -> list[str]:
        """Set it, by the methods after which polars names the settings."""
        config = sys.modules["polars"].Config
        options = {name: value for name, value in self._start.items() if name in (self.read() or ())}
        return _set_each({**options, **(state or {})}, lambda name, value: getattr(config, name)(value))


class TorchSettings(Plain):
    """torch's default type and device, whether it records gradients, and whether it is deterministic."""

    name = "torch settings"
    module = "torch"
    _DEFAULTS = ("torch.float32", "cpu", True, False, False)

    def read(self) -> Any:
        """Return the settings if they are not the defaults."""
        torch = sys.modules["torch"]
        if not hasattr(torch, "are_deterministic_algorithms_enabled"):
            # It is being imported.
            return None
        device = torch.get_default_device() if hasattr(torch, "get_default_device") else "cpu"
        state = (
            str(torch.get_default_dtype()),
            str(device),
            torch.is_grad_enabled(),
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
        )
        return None if state == self._DEFAULTS else state

    def write(self, state: Any) -> list[str]:
        """Set them."""
        torch = sys.modules["torch"]
        kind, device, gradients, deterministic, warn_only = state or self._DEFAULTS
        torch.set_default_dtype(getattr(torch, kind.rpartition(".")[2]))
        torch.set_grad_enabled(gradients)
        torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
        if self.read() != state:
            try:
                torch.set_default_device(device)
            except Exception as error:  # noqa: BLE001 - a device that is not here
                return [failed(f"default device {device}", error)]
        return []
