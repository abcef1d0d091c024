"""numpy's masked arrays."""

from __future__ import annotations

from typing import Any

from . import give_names


def masked_array(cls: Any, data: Any) -> Any:
    """Return a masked array over a plain array's memory, without its mask; its state follows."""
    return data.view(cls)


def set_state(made: Any, state: dict[str, Any]) -> None:
    """Give a masked array its mask and all else that is its own."""
    made.__dict__.clear()
    made.__dict__.update(state)


give_names(globals())
