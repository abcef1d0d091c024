"""Objects whose own pickling leaves out who they are: they are kept attribute by attribute, as any object is.

Keras writes a model, layer or optimizer to a file of its own and reads it again, plotly makes a figure of a dict:
what else refers to a part of them then has another one.
"""

from __future__ import annotations

import copyreg
import sys
from typing import TYPE_CHECKING, Any

from .. import rebuild
from ..rebuild import libraries as rebuilding

if TYPE_CHECKING:
    from ..pickler import ComponentPickler


def whole(pickler: ComponentPickler, thing: Any) -> Any:
    """Take an object apart into its attributes."""
    attributes = dict(thing.__dict__)
    for name in copyreg._slotnames(type(thing)):  # type: ignore[attr-defined]  # not in the stubs
        if hasattr(thing, name):
            attributes[name] = getattr(thing, name)
    return rebuild.bare_object, (type(thing),), attributes, None, None, rebuild.set_attributes


_COMPILED = ("train_function", "test_function", "predict_function", "_compiled_trainable_state")


def _keras(pickler: ComponentPickler, thing: Any) -> Any:
    """Leave out what Keras compiles of a model when it is first needed."""
    reduced = whole(pickler, thing)
    for name in _COMPILED:
        if reduced[2].get(name) is not None:
            reduced[2][name] = None
    if "_trainable_variables_indices" not in reduced[2]:
        return reduced
    del reduced[2]["_trainable_variables_indices"]
    state = reduced[2], list(getattr(thing, "_trainable_variables", ()))
    return (*reduced[:2], state, None, None, rebuilding.set_keras_optimizer)


def _tracker(pickler: ComponentPickler, tracker: Any) -> Any:
    """Keep which objects are tracked; Keras itself notes their addresses."""
    attributes = {name: value for name, value in tracker.__dict__.items() if name != "stored_ids"}
    tracked = {
        name: [thing for thing in tracker.config[name][1] if id(thing) in ids]
        for name, ids in tracker.stored_ids.items()
    }
    state = attributes, tracked
    return rebuild.bare_object, (type(tracker),), state, None, None, rebuilding.set_keras_tracker


def watched(pickler: ComponentPickler, thing: Any) -> Any:
    """Take apart a list, dict or set whose methods use its attributes, which pickle would set last."""
    items = list(dict.items(thing)) if isinstance(thing, dict) else list(thing)
    return rebuild.bare_object, (type(thing),), (thing.__dict__, items), None, None, rebuild.set_contents


def _bokeh(pickler: ComponentPickler, thing: Any) -> Any:
    """As `watched`; the descriptors through which it tells its owners are their classes'."""
    function, arguments, (attributes, items), *_ = watched(pickler, thing)
    owners = [(owner, descriptor.name) for owner, descriptor in attributes.get("_owners", ())]
    state = {name: value for name, value in attributes.items() if name != "_owners"}, items, owners
    return function, arguments, state, None, None, rebuilding.set_bokeh_contents


def _validator(pickler: ComponentPickler, validator: Any) -> Any:
    """Know plotly's validators by where its cache has them; all figures use the same ones."""
    cache = sys.modules["plotly.validator_cache"].ValidatorCache
    place = (validator.parent_name, validator.plotly_name)
    known = any(value is validator for value in cache._cache.values())
    if not known or cache.get_validator(*place) is not validator:
        return whole(pickler, validator)
    return pickler.known_as(rebuilding.plotly_validator, place, validator)


DERIVED = {
    ("_plotly_utils.basevalidators", "BaseValidator"): _validator,
    ("bokeh.core.property.wrappers", "PropertyValueContainer"): _bokeh,
    ("keras.src.utils.tracking", "TrackedList"): watched,
    ("keras.src.utils.tracking", "TrackedDict"): watched,
    ("keras.src.utils.tracking", "TrackedSet"): watched,
    ("keras.src.saving.keras_saveable", "KerasSaveable"): _keras,
    ("keras.src.layers.layer", "Layer"): _keras,
    ("plotly.basedatatypes", "BaseFigure"): whole,
    ("plotly.basedatatypes", "BasePlotlyType"): whole,
}
RECIPES = {
    ("keras.src.utils.tracking", "Tracker"): _tracker,
    ("bokeh.core.property.wrappers", "PropertyValueSet"): _bokeh,
}
