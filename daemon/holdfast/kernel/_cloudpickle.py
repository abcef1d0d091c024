"""The few private parts of cloudpickle that the capture engine uses, in one place.

In the kernel cloudpickle is loaded from its file under a private name; in unit tests it is the installed one.
"""

from __future__ import annotations

import sys
from types import CodeType
from typing import Any

try:
    from _holdfast_cloudpickle import cloudpickle
except ImportError:
    from cloudpickle import cloudpickle

__all__ = ["code_arguments", "importable_as"]


def importable_as(definition: Any) -> tuple[str, str] | None:
    """Return the module's name and the qualified name under which a function or class can be imported, else None.

    What lives in ``__main__`` is never importable: another process has another ``__main__``.
    """
    found = cloudpickle._lookup_module_and_qualname(definition)
    if found is None or found[0].__name__ in ("__main__", "__mp_main__"):
        return None
    # A compiled submodule may call itself by less than the name under which it is imported.
    said = getattr(definition, "__module__", None)
    name = said if isinstance(said, str) and sys.modules.get(said) is found[0] else found[0].__name__
    return name, found[1]


def code_arguments(code: CodeType) -> tuple[Any, ...]:
    """Return the arguments from which ``types.CodeType`` makes `code` again; they depend on the Python version."""
    arguments: tuple[Any, ...] = cloudpickle._code_reduce(code)[1]
    return arguments
