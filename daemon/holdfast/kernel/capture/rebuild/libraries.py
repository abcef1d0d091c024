"""Objects of libraries that are known by where the library keeps them, or made again by its own functions."""

from __future__ import annotations

import importlib
from typing import Any

from . import give_names


def plotly_validator(parent: str, name: str) -> Any:
    """Return the validator that plotly's cache has for a property."""
    return importlib.import_module("plotly.validator_cache").ValidatorCache.get_validator(parent, name)


give_names(globals())
