"""matplotlib's registries of callbacks: what is drawn may depend on them, and their own pickles leave them out."""

from __future__ import annotations

import copyreg
import itertools
import sys
import types
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..pickler import ComponentPickler

_OF_WINDOWS = ("backend_bases", "backend_managers", "backend_tools", "backends", "animation", "testing")
"""Modules of matplotlib whose objects belong to a window or a timer; a figure that comes back has neither."""


def _registry(pickler: ComponentPickler, registry: Any) -> Any:
    state = registry.__getstate__()
    number = state.get("_cid_gen") if isinstance(state, dict) else None
    if isinstance(number, int):
        # It took a number for the pickle: a figure would never be as it was the last time.
        registry._cid_gen = itertools.count(number)
    callbacks: dict[Any, dict[int, Any]] = {}
    for signal, connected in registry.callbacks.items():
        for number, reference in connected.items():
            function = reference()
            if function is not None and (number in registry._pickled_cids or _is_kept(function)):
                callbacks.setdefault(signal, {})[number] = function
                if isinstance(function, types.MethodType):
                    # The registry refers to it weakly.
                    pickler.weak[id(function.__self__)] += 1
    state["callbacks"] = callbacks
    return copyreg.__newobj__, (type(registry),), state  # type: ignore[attr-defined]  # not in the stubs


def _is_kept(function: Any) -> bool:
    """Whether a callback can come back: matplotlib's own objects, and functions that stand for themselves."""
    if isinstance(function, types.MethodType):
        top, _, rest = type(function.__self__).__module__.partition(".")
        return top in ("matplotlib", "mpl_toolkits") and rest.partition(".")[0] not in _OF_WINDOWS
    return isinstance(function, types.FunctionType) and not function.__closure__ and _is_of_session(function)


def _is_of_session(function: types.FunctionType) -> bool:
    main = sys.modules.get("__main__")
    return main is not None and function.__globals__ is vars(main)


RECIPES = {("matplotlib.cbook", "CallbackRegistry"): _registry}
