"""What Ray's objects stand for lies in a cluster: it comes back if the cluster outlives the kernel, and keeps it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from ..ambient import clusters
from ..rebuild import clusters as rebuild
from .registry import CannotKeep

if TYPE_CHECKING:
    from ..pickler import ComponentPickler

_MAKE_AGAIN = "make it again in the cell that uses it, and keep what it returns: ray.get(…)"
_DETACH = (
    "make it in a cluster that is there without this kernel, ray.init(address=…), "
    "with .options(name=…, lifetime='detached'); or make it again in the cell that uses it"
)


def _reference(pickler: ComponentPickler, reference: Any) -> Any:
    raise CannotKeep("the object in the Ray cluster goes when this kernel does", "keep its value: ray.get(…)")


def _references(pickler: ComponentPickler, generator: Any) -> Any:
    raise CannotKeep("it is fed by a running Ray task", "keep the values: [ray.get(ref) for ref in …]")


def _actor(pickler: ComponentPickler, handle: Any) -> Any:
    """Find it again by its number, if it does not end with this kernel."""
    options = _connected()
    identity = handle._actor_id.hex()
    name = handle._ray_actor_creation_function_descriptor.class_name
    known = sys.modules["ray._private.state"].actors(identity)
    if not known or known["State"] == "DEAD":
        raise CannotKeep("the actor is dead", _MAKE_AGAIN)
    if options["address"] == "local":
        raise CannotKeep("the actor is in a Ray cluster that this kernel started, and ends with it", _DETACH)
    own = known["JobID"] == sys.modules["ray._private.worker"].global_worker.current_job_id.hex()
    if own and not known.get("IsDetached"):
        raise CannotKeep("the actor ends with this kernel, since it is not detached", _DETACH)
    serialized, _, weak = handle._serialization_helper()
    return rebuild.actor, (options, identity, name, serialized, weak)


def _group(pickler: ComponentPickler, group: Any) -> Any:
    if group.is_empty:
        return NotImplemented
    raise CannotKeep("the resources were reserved for this kernel", "reserve them again in the cell that uses them")


def _context(pickler: ComponentPickler, context: Any) -> Any:
    """Begin again; what ``ray.init`` returned says where the cluster is."""
    worker = clusters.driver()
    if worker is None or context.address_info.get("gcs_address") != worker._global_node.gcs_address:
        # It is over: what it says is history.
        return NotImplemented
    return rebuild.context, (_connected(),)


def _connected() -> dict[str, Any]:
    options = clusters.connection()
    if options is None:
        raise CannotKeep("Ray was shut down, and the cluster is not known any more", _MAKE_AGAIN)
    if clusters.uploaded(options):
        raise CannotKeep("Ray has uploaded a folder of its runtime_env, and doesn't say where it was", _MAKE_AGAIN)
    return options


RECIPES = {
    ("ray", "ObjectRef"): _reference,
    ("ray", "ObjectRefGenerator"): _references,
    ("ray._raylet", "ObjectRef"): _reference,
    ("ray._raylet", "ObjectRefGenerator"): _references,
    ("ray._private.worker", "RayContext"): _context,
    ("ray.util.placement_group", "PlacementGroup"): _group,
}
DERIVED = {("ray.actor", "ActorHandle"): _actor}
