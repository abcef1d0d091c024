"""Ray: the connection to a cluster, and what lives in one that outlives the kernel."""

from __future__ import annotations

import importlib
import os
import socket
import time
from typing import Any

from . import Unavailable, give_names

_PATIENCE = 3.0
"""Seconds that a cluster has to accept a connection; Ray itself tries for minutes."""
_AGAIN_AFTER = 60.0
_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
"""How a conversation over gRPC begins: that it is HTTP/2, and settings, of which there are none."""
_ANSWER = 9
_KIND, _SETTINGS = 3, 4

_silent: dict[str, float] = {}
"""When a cluster did not answer, by address: it is not asked for each of its actors."""


def connect(options: dict[str, Any]) -> Any:
    """Connect to a cluster unless there is a connection, and return Ray's module about this process.

    Raises:
        Unavailable: the cluster does not answer.
    """
    worker = importlib.import_module("ray._private.worker")
    if not worker.global_worker.connected:
        address = options["address"]
        if address != "local":
            _require(address)
        importlib.import_module("ray").init(**options)
    return worker


def _require(address: str) -> None:
    host, _, port = address.rpartition(":")
    if time.monotonic() - _silent.get(address, -_AGAIN_AFTER) >= _AGAIN_AFTER:
        try:
            if _answers(host.strip("[]"), int(port)):
                return
        except (OSError, ValueError):
            pass  # it is as good as silent
        _silent[address] = time.monotonic()
    raise Unavailable(f"the Ray cluster at {address} does not answer")


def _answers(host: str, port: int) -> bool:
    with socket.create_connection((host, port), _PATIENCE) as connection:
        if os.environ.get("RAY_USE_TLS", "0") != "0":
            return True
        connection.settimeout(_PATIENCE)
        connection.sendall(_GREETING)
        answer = b""
        while len(answer) < _ANSWER and (more := connection.recv(_ANSWER)):
            answer += more
    return len(answer) >= _ANSWER and answer[_KIND] == _SETTINGS


def context(options: dict[str, Any]) -> Any:
    """Return what ``ray.init`` returns."""
    worker = connect(options)
    node = worker.global_worker.core_worker.get_current_node_id().hex()
    return worker.RayContext(dict(worker._global_node.address_info, node_id=node))


def actor(options: dict[str, Any], identity: str, name: str, serialized: bytes, weak: bool) -> Any:
    """Return a handle of an actor that is still in its cluster."""
    connect(options)
    known = importlib.import_module("ray._private.state").actors(identity)
    if not known or known["State"] == "DEAD":
        raise Unavailable(f"the actor {name} is not in the Ray cluster at {options['address']} any more")
    return importlib.import_module("ray.actor").ActorHandle._deserialization_helper(serialized, weak, None)


give_names(globals())
