"""Large buffers laid over files: private memory that looks like a part of a file until it is written to."""

from __future__ import annotations

import mmap
import os
import sys
from collections.abc import Iterable, Mapping
from typing import Any

_MAP_FIXED = {"linux": 0x10, "darwin": 0x10}.get(sys.platform)


class CannotMap(Exception):
    """Files can't be mapped here, or not these; the bytes have to come in another way."""


def reserve(size: int) -> memoryview:
    """Return memory of its own for a buffer: writable, on a page boundary, and not there until it is used."""
    if size == 0:
        return memoryview(bytearray())
    if not hasattr(mmap, "MAP_PRIVATE"):
        return memoryview(bytearray(size))
    return memoryview(mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))


def address_of(view: memoryview) -> int:
    """Return where a writable buffer lies as long as its view is not released; 0 if that can't be told."""
    try:
        import ctypes
    except ImportError:
        return 0
    return ctypes.addressof(ctypes.c_char.from_buffer(view)) if view.nbytes else 0


def lay_over(
    size: int, runs: Iterable[tuple[int, int, int, int]], packs: Mapping[str, Mapping[str, Any]]
) -> memoryview:
    """Return memory for a buffer with parts of files laid over it; what is written there reaches no file.

    Args:
        runs: place in the buffer, number of the file, place in the file, and length; all places on page boundaries.
        packs: the files: path, inode and device.

    Raises:
        CannotMap: not here, or a file is not there, or is not what it was.
    """
    if _MAP_FIXED is None or sys.maxsize < 1 << 32:
        raise CannotMap("not on this platform")
    try:
        import ctypes
    except ImportError as error:
        raise CannotMap(str(error)) from error
    try:
        call = ctypes.CDLL(None, use_errno=True).mmap
    except (OSError, AttributeError) as error:
        raise CannotMap(str(error)) from error
    call.restype = ctypes.c_void_p
    call.argtypes = [
        ctypes.c_void_p,
        ctypes.c_size_t,
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_int64,
    ]
    view = reserve(size)
    start = ctypes.addressof(ctypes.c_char.from_buffer(view))
    opened: dict[int, tuple[int, int]] = {}
    try:
        for at, pack, offset, length in runs:
            if pack not in opened:
                opened[pack] = _open(packs[str(pack)])
            descriptor, end = opened[pack]
            # Behind the end of a file there are pages which end a process that looks at them.
            if offset + length > end or at + length > size:
                raise CannotMap("a file is shorter than it was")
            rights, how = mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE | _MAP_FIXED
            if call(start + at, length, rights, how, descriptor, offset) != start + at:
                raise CannotMap(os.strerror(ctypes.get_errno()))
    except OSError as error:
        raise CannotMap(str(error)) from error
    finally:
        for descriptor, _ in opened.values():
            os.close(descriptor)
    return view


def _open(pack: Mapping[str, Any]) -> tuple[int, int]:
    """Return a descriptor of a file and where the file ends."""
    descriptor = os.open(pack["path"], os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0))
    try:
        here = os.fstat(descriptor)
        if (here.st_ino, here.st_dev) != (pack["inode"], pack["device"]):
            raise CannotMap("another file has its name")
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor, here.st_size
