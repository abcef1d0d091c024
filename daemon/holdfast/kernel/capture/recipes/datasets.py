"""Data that a library reads when it is asked for: xarray's files; and models and data in CatBoost's own memory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import rebuild
from ..rebuild import datasets
from .registry import CannotKeep

if TYPE_CHECKING:
    from ..pickler import ComponentPickler


def _file_manager(pickler: ComponentPickler, manager: Any) -> Any:
    """Keep with the file what it is like now: what was not read yet is read from it later."""
    state = manager.__getstate__()
    path = next(iter(manager._args), None)
    if not isinstance(path, (str, os.PathLike)):
        return NotImplemented
    try:
        found = Path(path).stat()
    except OSError:
        # Not here: an address on the net, or gone already.
        return NotImplemented
    seen = os.fspath(path), found.st_size, found.st_mtime_ns
    return rebuild.bare_object, (type(manager),), (state, seen), None, None, datasets.set_file_manager


def _read(pickler: ComponentPickler, data: Any) -> Any:
    """Let data that is all in memory go without the file that it was read from, which it could still close."""
    reduced = data.__reduce_ex__(4)
    slots = reduced[2][1] if type(reduced[2]) is tuple else {}
    variables = [*slots.get("_variables", {}).values(), *slots.get("_coords", {}).values(), slots.get("_variable")]
    if slots.get("_close") is not None and all(one is None or one._in_memory for one in variables):
        slots["_close"] = None
    return reduced


def _pool(pickler: ComponentPickler, pool: Any) -> Any:
    raise CannotKeep(
        "its data is in CatBoost's own memory", "keep the data and the labels, and make it again: Pool(data, label, …)"
    )


_OF_MODEL = frozenset({"_init_params", "_object", "_canonized_params"})
"""Attributes of a CatBoost model that its own state is about."""


def _model(pickler: ComponentPickler, model: Any) -> Any:
    """Keep a model's state, and what the session set on it besides, which CatBoost leaves out."""
    state = model.__getstate__()
    added = {name: value for name, value in model.__dict__.items() if name not in _OF_MODEL and name not in state}
    return rebuild.bare_object, (type(model),), (state, added), None, None, datasets.set_model


RECIPES = {
    ("xarray.backends.file_manager", "CachingFileManager"): _file_manager,
    ("catboost.core", "Pool"): _pool,
}
DERIVED = {
    ("catboost.core", "CatBoost"): _model,
    ("xarray.core.dataarray", "DataArray"): _read,
    ("xarray.core.dataset", "Dataset"): _read,
}
