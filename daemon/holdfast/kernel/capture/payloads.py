"""The stream that a component is pickled into: large bytes, bytearrays and texts stay out of it, as buffers.

Pickle writes what it holds itself to be large past its own buffer: first all that comes before, which ends in the
opcode that says what follows and how long that is; then the object itself. Instead of those two the stream gets a call
of a function with the next out-of-band buffer. So what is in the stream is a pickle as any other.
"""

from __future__ import annotations

import io
import pickle
from collections import Counter
from collections.abc import Callable
from typing import Any

from . import rebuild
from .frugal import Thinning
from .pages import LARGE

_OPCODES: dict[int, dict[bytes, tuple[type, bytes]]] = {
    5: {pickle.BINBYTES: (bytes, b"bytes_of"), pickle.BINUNICODE: (str, b"text_of")},
    9: {
        pickle.BINBYTES8: (bytes, b"bytes_of"),
        pickle.BINUNICODE8: (str, b"text_of"),
        pickle.BYTEARRAY8: (bytearray, b"bytearray_of"),
    },
}
"""What can follow, by bytes of opcode and length; and the functions of `rebuild.payloads` that make it again."""
_LEAST = 1 << 16
"""What pickle holds to be large; else it would be in one piece with what comes before."""
_MODULE = f"{rebuild.MODULE}.payloads".encode()


class Stream(io.BytesIO):
    """What a pickler writes to.

    Args:
        visited: what the pickler has come by so far; the last is what is being written.
        buffers: gets what is left out of the stream.
        weak: how often something was met without a reference that counts.
        passing: gets the ids of what was made to be sent, and is gone then.
        may_resize: whether code of the user's runs meanwhile, which must not find that a bytearray can't be resized.
    """

    def __init__(
        self,
        visited: list[Any],
        buffers: list[memoryview],
        weak: Counter[int],
        passing: set[int],
        may_resize: Callable[[], bool],
    ) -> None:
        super().__init__()
        self._visited = visited
        self._buffers = buffers
        self._weak = weak
        self._passing = passing
        self._may_resize = may_resize
        self.thinning: Thinning | None = None
        """What takes out of `visited` what need not be there."""

    def write(self, piece: Any) -> int:
        """Write what the pickler has put together, or take an object that it passes on."""
        size = len(piece)
        if size < _LEAST or (found := self._announced(type(self._visited[-1]), size)) is None:
            if self.thinning is not None:
                self.thinning.work()
            return super().write(piece)
        length, function = found
        self.seek(-length, io.SEEK_END)
        self.truncate()
        call = (pickle.GLOBAL, _MODULE, b"\n", function, b"\n", pickle.NEXT_BUFFER, pickle.TUPLE1, pickle.REDUCE)
        super().write(b"".join(call))
        self._take(self._visited[-1], piece)
        return size

    def _announced(self, kind: type, size: int) -> tuple[int, bytes] | None:
        """Return what stands at the end for an object of this type and size: how long it is, and the function."""
        end = bytes(self.getbuffer()[-9:])
        for length, opcodes in _OPCODES.items():
            header = end[-length:]
            known, function = opcodes.get(header[:1], (None, b""))
            if known is kind and int.from_bytes(header[1:], "little") == size:
                return length, function
        return None

    def _take(self, thing: Any, piece: Any) -> None:
        if type(thing) is str and (memory := _memory_of(thing, piece)) is not None:
            piece = memory
        elif type(thing) is bytearray and not self._may_resize():
            # The buffer that is about to be sent is one more reference.
            self._weak[id(thing)] -= 1
        elif type(thing) is not bytes:
            piece = bytes(piece)
            self._passing.add(id(piece))
        self._buffers.append(memoryview(piece))


def _memory_of(text: str, encoded: bytes) -> memoryview | None:
    """Return a text's own memory, which stays where it is from save to save; None if it can't be shown."""
    if len(encoded) < LARGE:
        return None
    try:
        import ctypes
    except ImportError:
        return None
    size = ctypes.c_ssize_t()
    prototype = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.POINTER(ctypes.c_ssize_t))
    try:
        address = prototype(("PyUnicode_AsUTF8AndSize", ctypes.pythonapi))(text, ctypes.byref(size))
    except UnicodeEncodeError:
        return None  # It has lone surrogates, which pickle encodes in a way of its own.
    memory: Any = (ctypes.c_char * size.value).from_address(address)
    memory.text = text
    return pickle.PickleBuffer(memory).raw()
