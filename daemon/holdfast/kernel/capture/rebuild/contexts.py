"""Context variables and contexts."""

from __future__ import annotations

import contextvars
from typing import Any

from . import give_names


def context_variable(name: str, *default: Any) -> contextvars.ContextVar[Any]:
    """Return a context variable, with a default or without."""
    return contextvars.ContextVar(name, default=default[0]) if default else contextvars.ContextVar(name)


def set_variable(variable: contextvars.ContextVar[Any], state: tuple[Any]) -> None:
    """Set its value in the session's own context."""
    variable.set(state[0])


def context() -> contextvars.Context:
    """Return an empty context."""
    return contextvars.Context()


def fill_context(made: contextvars.Context, items: list[tuple[contextvars.ContextVar[Any], Any]]) -> None:
    """Set the values of variables in a context."""
    for variable, value in items:
        made.run(variable.set, value)


give_names(globals())
