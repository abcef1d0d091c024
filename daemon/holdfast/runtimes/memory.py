"""Writing into the memory of a child process, where the operating system lets a parent do that (Linux)."""

from __future__ import annotations

import ctypes
import functools
import os
import sys
from typing import Any


class _Span(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


@functools.cache
def _call() -> Any:
    if not sys.platform.startswith("linux"):
        return None
    try:
        call = ctypes.CDLL(None, use_errno=True).process_vm_writev
    except (OSError, AttributeError):
        return None
    spans = ctypes.POINTER(_Span)
    call.argtypes = [ctypes.c_int, spans, ctypes.c_ulong, spans, ctypes.c_ulong, ctypes.c_ulong]
    call.restype = ctypes.c_ssize_t
    return call


def write_memory(pid: int, address: int, data: bytes) -> None:
    """Copy bytes to a place in a process that has made room for them and waits; callable from any thread.

    Raises:
        OSError: it could not be done, or not here; what is there is then undefined.
    """
    call = _call()
    if call is None:
        raise OSError("not on this platform")
    start = ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p).value or 0
    done = 0
    while done < len(data):
        here, there = _Span(start + done, len(data) - done), _Span(address + done, len(data) - done)
        written = call(pid, ctypes.byref(here), 1, ctypes.byref(there), 1, 0)
        if written <= 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        done += written
