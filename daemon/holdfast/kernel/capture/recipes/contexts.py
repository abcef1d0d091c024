"""Context variables, with their value in the session, and contexts."""

from __future__ import annotations

import contextvars
import gc
from typing import TYPE_CHECKING, Any

from ..rebuild import contexts as rebuild
from ..rebuild import module_entry
from .sentinels import PlainObjects

if TYPE_CHECKING:
    from ..pickler import ComponentPickler
    from .registry import Recipe

_UNSET = object()
_of_libraries = PlainObjects(contextvars.ContextVar)


def _variable(pickler: ComponentPickler, variable: contextvars.ContextVar[Any]) -> Any:
    where = _of_libraries.where(variable)
    if where is not None:
        return pickler.known_as(module_entry, where, variable)
    parts = [part for part in gc.get_referents(variable) if part is not variable.name]
    value: Any = variable.get(_UNSET)
    made = rebuild.context_variable, (variable.name, *parts)
    return made if value is _UNSET else (*made, (value,), None, None, rebuild.set_variable)


def _context(pickler: ComponentPickler, context: contextvars.Context) -> Any:
    return rebuild.context, (), list(context.items()), None, None, rebuild.fill_context


RECIPES: dict[tuple[str, str], Recipe] = {
    ("_contextvars", "ContextVar"): _variable,
    ("_contextvars", "Context"): _context,
}
