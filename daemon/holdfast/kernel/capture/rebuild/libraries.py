"""Objects of libraries that are known by where the library keeps them, or made again by its own functions."""

from __future__ import annotations

import importlib
from typing import Any

from . import give_names, set_contents


def plotly_validator(parent: str, name: str) -> Any:
    """Return the validator that plotly's cache has for a property."""
    return importlib.import_module("plotly.validator_cache").ValidatorCache.get_validator(parent, name)


def set_bokeh_contents(made: Any, state: tuple[dict[str, Any], list[Any], list[tuple[Any, str]]]) -> None:
    """Fill a container of a bokeh model, and say whose it is and under which names."""
    attributes, items, owners = state
    made._owners = {(owner, type(owner).lookup(name)) for owner, name in owners}
    set_contents(made, (attributes, items))


give_names(globals())
