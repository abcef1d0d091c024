"""Tensors and the storages in which they lie."""

from __future__ import annotations

import importlib
import warnings
from typing import Any

from . import give_names


def storage(buffer: Any, device: str) -> Any:
    """Return a storage with a copy of a buffer's bytes; on the CPU if its device isn't there."""
    torch: Any = _torch()
    view = memoryview(buffer).cast("B")
    made = torch.UntypedStorage(view.nbytes)
    if view.nbytes:
        # Memory of its own: what shows a received buffer could not be resized.
        known = torch.frombuffer(view if not view.readonly else bytearray(view), dtype=torch.uint8)
        made.copy_(known.untyped_storage())
    if device == "cpu":
        return made
    try:
        # Not `made.to`, which knows some kinds of devices only.
        return torch.empty(0, dtype=torch.uint8).set_(made).to(device).untyped_storage()
    except (RuntimeError, AssertionError) as error:
        reason = str(error).partition("\n")[0]
        with warnings.catch_warnings():
            warnings.simplefilter("always")  # a session that makes errors of warnings would lose the tensor
            warnings.warn(f"tensors that were on {device} are on the CPU now: {reason}", stacklevel=2)
        return made


def storage_of_array(owner: Any, offset: int, size: int) -> Any:
    """Return a storage that shows a part of an array's memory."""
    import numpy

    memory = owner.ravel(order="K").view(numpy.uint8)[offset : offset + size]
    return _torch().from_numpy(memory).untyped_storage()


def array_over_storage(
    cls: Any,
    memory: Any,
    offset: int,
    dtype: Any,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    writeable: bool,
) -> Any:
    """Return an array that shows a storage's memory."""
    import numpy

    torch: Any = _torch()
    shown = torch.empty(0, dtype=torch.uint8).set_(memory).numpy()
    made = numpy.ndarray.__new__(cls, shape, dtype, shown, offset, strides)
    if not writeable:
        made.flags.writeable = False
    return made


def typed_storage(untyped: Any, dtype: Any) -> Any:
    """Return a storage of items of a type."""
    return _torch().TypedStorage(wrap_storage=untyped, dtype=dtype, _internal=True)


def tensor(
    cls: Any,
    memory: Any,
    dtype: Any,
    offset: int,
    size: tuple[int, ...],
    stride: tuple[int, ...],
    bits: tuple[bool, bool],
) -> Any:
    """Return a tensor at a place in a storage; `bits` are whether it is conjugated and negated lazily."""
    torch: Any = _torch()
    made = torch.empty(0, dtype=dtype, device=memory.device).set_(memory, offset, size, stride)
    if any(bits):
        made = torch._utils.set_tensor_metadata(made, {"conj": bits[0], "neg": bits[1]}) or made
    return made if cls is torch.Tensor else torch.Tensor._make_subclass(cls, made, False)


def set_tensor_state(made: Any, state: dict[str, Any]) -> None:
    """Set whether a gradient is wanted, the gradient, hooks and attributes."""
    made.requires_grad_(state.get("requires_grad", False))
    for name in ("grad", "_backward_hooks", "_post_accumulate_grad_hooks"):
        if name in state:
            setattr(made, name, state[name])
    made.__dict__.update(state.get("dict", {}))


def _torch() -> Any:
    return importlib.import_module("torch")


give_names(globals())
