"""matplotlib's registries of callbacks: what is drawn may depend on them, and their own pickles leave them out."""

from __future__ import annotations

import copyreg
import itertools
import sys
import types
from typing import TYPE_CHECKING, Any

from .. import losses
from ..components import Lost

if TYPE_CHECKING:
    from ..pickler import ComponentPickler, Session

_OF_KERNEL = ("_holdfast_kernel", "holdfast")
_OF_WINDOWS = ("backend_bases", "backend_managers", "backend_tools", "backends", "testing")
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
            if function is None or not (number in registry._pickled_cids or _is_kept(pickler, signal, function)):
                continue
            callbacks.setdefault(signal, {})[number] = function
            if isinstance(function, types.MethodType):
                # The registry refers to it weakly.
                pickler.weak[id(function.__self__)] += 1
    state["callbacks"] = callbacks
    return copyreg.__newobj__, (type(registry),), state  # type: ignore[attr-defined]  # not in the stubs


def _is_kept(pickler: ComponentPickler, signal: Any, function: Any) -> bool:
    """Whether a callback comes back: matplotlib's own but a window's; an animation's or the session's if it can."""
    owner = function.__self__ if isinstance(function, types.MethodType) else function
    module = str(type(owner).__module__ if owner is not function else getattr(function, "__module__", None))
    top, _, rest = module.partition(".")
    animates = rest == "animation" and owner is not function
    if top in ("matplotlib", "mpl_toolkits") and not animates:
        return owner is not function and rest.partition(".")[0] not in _OF_WINDOWS
    if top in _OF_KERNEL:
        return False
    if isinstance(function, types.FunctionType) and not function.__closure__ and _is_of_session(function):
        return True
    if pickler.session.trying:
        # Of a figure to which another callback leads: each is tried by itself.
        return False
    refusal = _refusal(pickler.session, function)
    if refusal is not None:
        pickler.dropped.append(_lost(signal, function, refusal))
    return refusal is None


def _refusal(session: Session, function: Any) -> Lost | None:
    """Return why a callback can't be saved, None if it can: its figure is not to be lost for it."""
    # Imported late: they import this package.
    from ..kinds import Kinds
    from ..pickler import NotPicklable, pickle_members

    session.trying = True
    progress, kinds = session.progress, Kinds()
    hidden_of = session.definitions.hidden_of
    work = [(hidden_of(function) if type(function) is types.FunctionType else "callback", function)]
    seen = {work[0][0]}
    try:
        while work:
            member = work.pop()
            found = pickle_members(session, [member], kinds).met
            work += [(hidden, definition) for hidden, definition in found.items() if hidden not in seen]
            seen.update(found)
    except NotPicklable as failure:
        return losses.describe("", function, failure.cause, failure.culprit)
    finally:
        session.trying = False
        session.progress = progress
    return None


def _lost(signal: Any, function: Any, refusal: Lost) -> Lost:
    name = getattr(function, "__qualname__", type(function).__name__)
    reason = f"its figure comes back without it: {refusal.reason}"
    remedy = f"connect it again after a restore, or: {refusal.remedy}"
    return Lost(f"callback {name} for {signal}", refusal.type, reason, remedy)


def _is_of_session(function: types.FunctionType) -> bool:
    main = sys.modules.get("__main__")
    return main is not None and function.__globals__ is vars(main)


RECIPES = {("matplotlib.cbook", "CallbackRegistry"): _registry}
