"""Objects of libraries that are known by where the library keeps them, or made again by its own functions."""

from __future__ import annotations

import importlib
from typing import Any

from . import give_names, set_attributes, set_contents


def plotly_validator(parent: str, name: str) -> Any:
    """Return the validator that plotly's cache has for a property."""
    return importlib.import_module("plotly.validator_cache").ValidatorCache.get_validator(parent, name)


def set_bokeh_contents(made: Any, state: tuple[dict[str, Any], list[Any], list[tuple[Any, str]]]) -> None:
    """Fill a container of a bokeh model, and say whose it is and under which names."""
    attributes, items, owners = state
    made._owners = {(owner, type(owner).lookup(name)) for owner, name in owners}
    set_contents(made, (attributes, items))


def call(module: str, name: str, arguments: tuple[Any, ...]) -> Any:
    """Return what a function or class of a library makes of arguments."""
    return getattr(importlib.import_module(module), name)(*arguments)


def set_table(made: Any, state: tuple[dict[str, Any], Any, bool]) -> None:
    """Make a table of columns, which stay the objects that they are."""
    columns, meta, masked = state
    made.__init__(meta=meta, masked=masked)
    for name, column in columns.items():
        column.info.name = name
    made._init_from_cols(list(columns.values()))


def celestial_parameters(fields: dict[str, Any], reference: list[float], projection: dict[str, Any]) -> Any:
    """Return astropy's parameters of a celestial projection."""
    made = importlib.import_module("astropy.wcs").Celprm()
    for name, value in fields.items():
        setattr(made, name, value)
    made.ref = reference
    for name, value in projection.items():
        setattr(made.prj, name, value)
    return made


def spark_session(fixed: dict[str, str], later: dict[str, str]) -> Any:
    """Return the running Spark session, or a new one, with the options of the one that was saved."""
    builder = importlib.import_module("pyspark.sql").SparkSession.builder
    for name, value in fixed.items():
        builder = builder.config(name, value)
    made = builder.getOrCreate()
    for name, value in later.items():
        if made.conf.get(name, None) != value and made.conf.isModifiable(name):
            made.conf.set(name, value)
    return made


def spark_context(session: Any) -> Any:
    """Return a session's context."""
    return session.sparkContext


def set_keras_optimizer(made: Any, state: tuple[dict[str, Any], list[Any]]) -> None:
    """Set an optimizer's attributes, and note anew where its variables are."""
    attributes, variables = state
    set_attributes(made, {**attributes, "_trainable_variables_indices": {}})
    for index, variable in enumerate(variables):
        made._trainable_variables_indices[made._var_key(variable)] = index


def set_keras_tracker(made: Any, state: tuple[dict[str, Any], dict[str, list[Any]]]) -> None:
    """Set a tracker's attributes, and note anew where the objects are that it tracks."""
    attributes, tracked = state
    stored = {name: set(map(id, things)) for name, things in tracked.items()}
    set_attributes(made, {**attributes, "stored_ids": stored})


give_names(globals())
