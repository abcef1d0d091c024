"""Context managers made of generators, as long as they were not entered: as decorators they stay like that."""

from __future__ import annotations

from pickle import PicklingError
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..pickler import ComponentPickler


def _of_generator(pickler: ComponentPickler, manager: Any) -> Any:
    import inspect

    if manager.gen.gi_frame is None:
        return NotImplemented
    if not hasattr(manager, "args") or inspect.getgeneratorstate(manager.gen) != "GEN_CREATED":
        raise PicklingError("a context manager that was entered can't be saved: what is left of it is in its generator")
    # Making one calls the generator function, which runs none of its code.
    return type(manager), (manager.func, manager.args, manager.kwds)


RECIPES = {("contextlib", "_GeneratorContextManager"): _of_generator}
