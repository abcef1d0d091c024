"""PyTorch: tensors as places in a storage, so that views, parameters and state dicts share memory as they did."""

from __future__ import annotations

import sys
from pickle import PickleBuffer
from typing import TYPE_CHECKING, Any

from ..rebuild import torch as rebuilding

if TYPE_CHECKING:
    from ..pickler import ComponentPickler

FREE = 0
"""As in `kinds`, which imports this package."""
_WITH_BYTES = ("cpu", "cuda", "mps")


def _storage(pickler: ComponentPickler, storage: Any) -> Any:
    torch: Any = sys.modules["torch"]
    if storage.device.type not in _WITH_BYTES:
        return NotImplemented
    if not storage.resizable() and (owner := _array_under(pickler, storage)) is not None:
        return rebuilding.storage_of_array, owner
    memory = torch.empty(0, dtype=torch.uint8, device=storage.device).set_(storage).cpu().numpy()
    return rebuilding.storage, (PickleBuffer(memory), str(storage.device))


def _array_under(pickler: ComponentPickler, storage: Any) -> tuple[Any, int, int] | None:
    """Return the array that owns a storage's memory (``torch.from_numpy``), if a variable has it, and the place."""
    # Imported late: `arrays` imports this package.
    from .. import arrays

    numpy: Any = sys.modules.get("numpy")
    start, size = storage.data_ptr(), storage.nbytes()
    if numpy is None or storage.device.type != "cpu" or not size:
        return None
    for value in tuple(pickler.session.namespace.values()):
        owner: Any = arrays.owner_of(numpy, value) if type(value) is numpy.ndarray else None
        if type(owner) is numpy.ndarray and owner.flags.forc and not owner.dtype.hasobject:
            offset = start - owner.__array_interface__["data"][0]
            if offset >= 0 and offset + size <= owner.nbytes:
                return owner, offset, size
    return None


def _array(array: Any, tensor: Any) -> Any:
    """Return the reduce value of an array that shows a tensor's memory (``tensor.numpy()``)."""
    storage = tensor.untyped_storage()
    offset = array.__array_interface__["data"][0] - storage.data_ptr()
    layout = (offset, array.dtype, array.shape, array.strides, array.flags.writeable)
    return rebuilding.array_over_storage, (type(array), storage, *layout)


def _typed_storage(pickler: ComponentPickler, storage: Any) -> Any:
    return rebuilding.typed_storage, (storage._untyped_storage, storage.dtype)


def _tensor(pickler: ComponentPickler, tensor: Any) -> Any:
    torch: Any = sys.modules["torch"]
    if tensor.layout is not torch.strided or tensor.is_quantized or tensor.device.type not in _WITH_BYTES:
        return NotImplemented
    if torch._C._functorch.is_functorch_wrapped_tensor(tensor) or tensor.is_inference():
        return NotImplemented
    arguments = (
        type(tensor), tensor.untyped_storage(), tensor.dtype, tensor.storage_offset(), tuple(tensor.size()),
        tensor.stride(), (tensor.is_conj(), tensor.is_neg()),
    )  # fmt: skip
    state = _state(tensor)
    if not state:
        return rebuilding.tensor, arguments
    return rebuilding.tensor, arguments, state, None, None, rebuilding.set_tensor_state


def _state(tensor: Any) -> dict[str, Any]:
    state: dict[str, Any] = {}
    # What was computed from others has no graph any more: `backward` then says so, where a leaf would go on in silence.
    if tensor.requires_grad and tensor.is_leaf:
        state["requires_grad"] = True
    if tensor.is_leaf and tensor.grad is not None:
        state["grad"] = tensor.grad
    for name in ("_backward_hooks", "_post_accumulate_grad_hooks"):
        if tensor.is_leaf and getattr(tensor, name, None):
            state[name] = getattr(tensor, name)
    if tensor.__dict__:
        state["dict"] = tensor.__dict__
    return state


RECIPES = {
    ("torch", "Tensor"): _tensor,
    ("torch.nn.parameter", "Parameter"): _tensor,
    ("torch.nn.parameter", "Buffer"): _tensor,
    ("torch.storage", "UntypedStorage"): _storage,
    ("torch.storage", "TypedStorage"): _typed_storage,
}
ARRAYS = {("torch", "Tensor"): _array, ("torch.nn.parameter", "Parameter"): _array}
KINDS = {
    ("torch", name): FREE
    for name in ("dtype", "device", "layout", "memory_format", "qscheme", "finfo", "iinfo", "Size")
}
