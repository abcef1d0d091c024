"""Holdfast: run cells and keep their state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .kernel.facade import ambient as ambient
    from .kernel.facade import register as register
    from .kernel.facade import unregister as unregister

__version__ = "0.1.0"

_FOR_CELLS = frozenset({"ambient", "register", "unregister"})


def __getattr__(name: str) -> Any:
    """Return one of the functions that cells use; in a kernel they are those of the Holdfast that runs it."""
    if name not in _FOR_CELLS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import sys
    from importlib import import_module

    facade = import_module("_holdfast_kernel.facade" if "_holdfast_kernel" in sys.modules else "holdfast.kernel.facade")
    return getattr(facade, name)
