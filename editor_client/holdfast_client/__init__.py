"""The Python client of Holdfast.

    import holdfast_client as holdfast

    async with holdfast.connect(folder) as hf:
        s = await hf.open("analysis.py")
        running = s.start("x = 41; print(x)")
        async for output in running:
            print(output)
        run = await running

Scripts without an event loop use `holdfast_client.sync`. The classes of all results are in
`holdfast.protocol`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from holdfast_client.errors import ConnectionLost, HoldfastError, NotConnected

if TYPE_CHECKING:
    from holdfast_client.client import Client, Event, Events, connect
    from holdfast_client.session import Running, Session

__all__ = [
    "Client",
    "ConnectionLost",
    "Event",
    "Events",
    "HoldfastError",
    "NotConnected",
    "Running",
    "Session",
    "connect",
]

_HOMES = {
    "Client": "client",
    "Event": "client",
    "Events": "client",
    "connect": "client",
    "Running": "session",
    "Session": "session",
}


def __getattr__(name: str) -> Any:
    # Loaded on first use: the typed classes bring lsprotocol with them, whose import takes longer than a
    # whole command.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
