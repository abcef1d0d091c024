"""The generators of random numbers that modules keep for everybody."""

from __future__ import annotations

import sys
from typing import Any

from .provider import Plain


class PythonRandom(Plain):
    """The generator behind the functions of `random`."""

    name = "random"
    module = "random"

    def mark(self) -> Any:
        """Return the generator's position, and enough of its numbers to tell two seeds apart."""
        _, numbers, gauss = _module("random").getstate()
        return numbers[-1], *numbers[:4], gauss

    def read(self) -> Any:
        """Return the state."""
        return _module("random").getstate()

    def write(self, state: Any) -> list[str]:
        """Set the state."""
        if state is not None:
            _module("random").setstate(state)
        return []


class NumpyRandom(Plain):
    """The generator behind the functions of `numpy.random`; generators in variables are variables."""

    name = "numpy.random"
    module = "numpy.random"

    def read(self) -> Any:
        """Return the state: a tuple for the Mersenne Twister, a dict for the others that can be put in its place."""
        state = _module("numpy.random").get_state(legacy=False)
        if state["bit_generator"] != "MT19937":
            return {name: value for name, value in state.items() if name != "legacy"}
        inner = state["state"]
        # The order of get_state()'s tuple, which is how it has always been saved.
        return "MT19937", inner["key"].tobytes(), inner["pos"], state.get("has_gauss", 0), state.get("gauss", 0.0)

    def write(self, state: Any) -> list[str]:
        """Set the state."""
        if state is None:
            return []
        numpy, random = _module("numpy"), _module("numpy.random")
        kind = state["bit_generator"] if isinstance(state, dict) else state[0]
        if kind != random.get_state(legacy=False)["bit_generator"]:
            random.set_bit_generator(getattr(random, kind)())
        if isinstance(state, dict):
            random.set_state(state)
        else:
            _, keys, *rest = state
            random.set_state((kind, numpy.frombuffer(keys, numpy.uint32), *rest))
        return []


class TorchRandom(Plain):
    """torch's generators: the CPU's, and those of the CUDA devices once they are in use."""

    name = "torch"
    module = "torch"

    def read(self) -> Any:
        """Return the states as bytes."""
        torch = _module("torch")
        if not hasattr(torch, "get_rng_state"):
            # It is being imported.
            return None
        state: dict[str, Any] = {"cpu": _bytes(torch.get_rng_state())}
        if torch.cuda.is_available() and torch.cuda.is_initialized():
            state["cuda"] = [_bytes(one) for one in torch.cuda.get_rng_state_all()]
        return state

    def write(self, state: Any) -> list[str]:
        """Set the states; a device that is not here is said."""
        if state is None:
            return []
        torch = _module("torch")
        torch.set_rng_state(_tensor(torch, state["cpu"]))
        saved = state.get("cuda", [])
        count = torch.cuda.device_count() if saved and torch.cuda.is_available() else 0
        for index in range(min(count, len(saved))):
            torch.cuda.set_rng_state(_tensor(torch, saved[index]), index)
        if count < len(saved):
            return [f"the generators of {len(saved)} CUDA devices were saved, and {count} devices are here"]
        return []


class TensorflowRandom(Plain):
    """TensorFlow's global seed, and the generator from which its operations get theirs."""

    name = "tensorflow"
    module = "tensorflow"

    def _context(self) -> Any:
        return getattr(sys.modules.get("tensorflow.python.eager.context"), "_context", None)

    def read(self) -> Any:
        """Return both, None where no seed was set."""
        context = self._context()
        seed = getattr(context, "_seed", None)
        if seed is None:
            return None
        generator = getattr(context, "_rng", None)
        return seed, None if generator is None else generator.getstate()

    def write(self, state: Any) -> list[str]:
        """Set both."""
        if state is None:
            return []
        seed, generator = state
        _module("tensorflow").random.set_seed(seed)
        if generator is not None:
            self._context()._rng.setstate(generator)
        return []


def _bytes(tensor: Any) -> bytes:
    try:
        content: bytes = tensor.numpy().tobytes()
    except RuntimeError:
        # A torch without numpy.
        content = bytes(tensor.tolist())
    return content


def _tensor(torch: Any, content: bytes) -> Any:
    return torch.frombuffer(bytearray(content), dtype=torch.uint8)


def _module(name: str) -> Any:
    return sys.modules[name]
