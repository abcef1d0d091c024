"""The cluster that Ray is connected to: one that the kernel started itself ends with it, another one lives on."""

from __future__ import annotations

import importlib
import json
import sys
from typing import Any

from .provider import Parts, Refused, failed

_LOCAL = {
    "num_cpus": "num_cpus",
    "num_gpus": "num_gpus",
    "resources": "resources",
    "labels": "labels",
    "object_store_memory": "object_store_memory",
    "include_dashboard": "include_dashboard",
    "dashboard_host": "dashboard_host",
    "dashboard_port": "dashboard_port",
    "memory": "_memory",
    "temp_dir": "_temp_dir",
    "plasma_directory": "_plasma_directory",
    "node_name": "_node_name",
}
"""Parameters of a node that the kernel started, and what ``ray.init`` calls them."""
_MADE_BY_RAY = frozenset({"automatic_object_spilling_enabled", "is_external_storage_type_fs"})
_UPLOADED = "gcs://"
"""Where Ray has put a folder that was given as part of the ``runtime_env``: into the cluster, which forgets it."""


class Connection(Parts):
    """The connection that ``ray.init`` made: a restore makes it again, to the same cluster or a new one of its own."""

    name = "ray connection"
    module = "ray"

    def mark(self) -> Any:
        """Return the cluster and the number that it has given to this process."""
        worker = driver()
        return None if worker is None else (worker._global_node.session_name, worker.global_worker.current_job_id.hex())

    def read(self) -> dict[str, Any]:
        """Return the options of the connection, if there is one."""
        options = connection()
        if options is None:
            return {}
        if uploaded(options):
            reason = "Ray has uploaded a folder of its runtime_env, and doesn't say where it was"
            return {"connection": Refused(reason, "call ray.init again in the cell that uses it")}
        return {"connection": options}

    def write(self, parts: dict[str, Any]) -> list[str]:
        """Connect, or disconnect."""
        wanted = parts.get("connection")
        if wanted == connection():
            return []
        if getattr(sys.modules["ray"].__spec__, "_initializing", False):
            # Ray's threads import from it: they would wait for each other.
            return [] if wanted is None else ["it was imported only now: call ray.init again"]
        if driver() is not None:
            sys.modules["ray"].shutdown()
        # Not needed before there is such a session.
        from ..rebuild import Unavailable, clusters

        try:
            if wanted is not None:
                clusters.connect(wanted)
        except Unavailable as error:
            return [str(error)]
        except Exception as error:  # noqa: BLE001 - whatever keeps Ray from starting here; said to the user
            return [failed("ray.init", error)]
        return []


def driver() -> Any:
    """Return Ray's module about this process if it is connected to a cluster, else None."""
    worker: Any = sys.modules.get("ray._private.worker")
    known = getattr(worker, "global_worker", None)
    return worker if known is not None and known.connected and worker._global_node is not None else None


def connection() -> dict[str, Any] | None:
    """Return what ``ray.init`` has to be told to connect as this process is connected, None if it is not."""
    worker = driver()
    if worker is None:
        return None
    node, known = worker._global_node, worker.global_worker
    options: dict[str, Any] = {"namespace": known.namespace}
    environment = json.loads(known.runtime_env or "{}")
    if environment:
        options["runtime_env"] = environment
    if getattr(known, "logger_thread", None) is None:
        options["log_to_driver"] = False
    return {**options, **(_of_own(node) if node.is_head() else {"address": node.gcs_address})}


def uploaded(options: dict[str, Any]) -> bool:
    """Whether something that belongs to the connection lies in the cluster, where no other process finds it."""
    environment = options.get("runtime_env", {})
    places = [environment.get("working_dir"), *environment.get("py_modules", ())]
    return any(isinstance(place, str) and place.startswith(_UPLOADED) for place in places)


def _of_own(node: Any) -> dict[str, Any]:
    """Return the options of a cluster that this process started."""
    given = node._ray_params
    defaults = importlib.import_module("inspect").signature(sys.modules["ray"].init).parameters
    options: dict[str, Any] = {"address": "local"}
    for name, option in _LOCAL.items():
        value = getattr(given, name, None)
        known = defaults.get(option)
        if value not in (None, {}) and (known is None or known.default != value):
            options[option] = value
    folder = node.get_session_dir_path()
    system = {
        name: value
        for name, value in (given._system_config or {}).items()
        if name not in _MADE_BY_RAY and not (isinstance(value, str) and folder in value)
    }
    return {**options, "_system_config": system} if system else options
