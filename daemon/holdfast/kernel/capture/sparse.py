"""Large arrays of which most was never touched: only the memory that exists is read, hashed and stored.

``numpy.zeros`` of 20 GB takes no memory until something is written into it, and reading all of it takes as long as if
it did. Linux says which pages there are.
"""

# pathlib is more than two files of the system's need.
# ruff: noqa: PTH123

from __future__ import annotations

import struct
import sys
from pickle import PickleBuffer
from typing import Any

from .rebuild import sparse as rebuild

MOST_PRESENT = 0.5
"""What is there more than this is stored as a whole: looking for zeros in it would cost more than it saves."""
_PAGE = 4096
_GAP_BYTES = 1 << 16
"""Zeros between two parts that are not worth a part more."""
_MOST_PARTS = 1 << 14

_PAGEMAP_SCAN = 0xC0606610
"""Since Linux 6.7: struct pm_scan_arg is twelve numbers of 64 bits."""
_PRESENT_OR_SWAPPED = 1 << 3 | 1 << 4
_REGIONS = 1 << 12
_IN_PAGEMAP = 0b11 << 62
"""The same two, as /proc/self/pagemap has them for each page."""


def reduce(array: Any) -> Any:
    """Return the reduce value of an array that owns its memory if little of that exists, else None."""
    numpy: Any = sys.modules["numpy"]
    if sys.platform != "linux" or type(array) is not numpy.ndarray or not array.flags.owndata:
        return None
    if not (array.flags.c_contiguous or array.flags.f_contiguous):
        return None
    memory = array.ravel(order="K").view(numpy.uint8)
    start = memory.__array_interface__["data"][0]
    try:
        present = _present(numpy, start, start + memory.nbytes)
    except (OSError, ValueError):
        # Not allowed, or not what is expected, in some containers: it is read as a whole.
        return None
    if present is None or sum(end - begin for begin, end in present) > memory.nbytes * MOST_PRESENT:
        return None
    parts = _merged([part for begin, end in present for part in _not_zero(numpy, memory, begin - start, end - start)])
    if len(parts) > _MOST_PARTS:
        return None
    view = memoryview(memory)
    order = "C" if array.flags.c_contiguous else "F"
    buffers = [PickleBuffer(view[begin:end]) for begin, end in parts]
    starts = tuple(begin for begin, _ in parts)
    return rebuild.array, (array.dtype, array.shape, order, array.flags.writeable, starts, *buffers)


def _present(numpy: Any, start: int, end: int) -> list[tuple[int, int]] | None:
    """Return the parts of a range of addresses that exist; None if the rest of it is not known to be zeros.

    Raises:
        OSError, ValueError: the system doesn't say.
    """
    first, last = start // _PAGE * _PAGE, -(-end // _PAGE) * _PAGE
    if not _is_anonymous(start, end):
        return None
    with open("/proc/self/pagemap", "rb", buffering=0) as pagemap:
        try:
            pages = _scanned(numpy, pagemap.fileno(), first, last)
        except OSError:
            pages = _read(numpy, pagemap, first, last)
    return [(max(begin, start), min(stop, end)) for begin, stop in pages]


def _is_anonymous(start: int, end: int) -> bool:
    """Whether a range is private memory of no file, in one piece or several."""
    at = start
    with open("/proc/self/maps", encoding="ascii", errors="replace") as maps:
        for line in maps:
            addresses, permissions, _, _, inode = line.split(None, 5)[:5]
            begin, stop = (int(address, 16) for address in addresses.split("-"))
            if begin <= at < stop:
                if permissions[3] != "p" or inode != "0":
                    return False
                at = stop
                if at >= end:
                    return True
    return False


def _scanned(numpy: Any, pagemap: int, first: int, last: int) -> list[tuple[int, int]]:
    import fcntl

    regions = numpy.zeros((_REGIONS, 3), numpy.uint64)
    found: list[tuple[int, int]] = []
    at = first
    while at < last:
        asked = bytearray(
            struct.pack(
                "12Q", 96, 0, at, last, 0, regions.__array_interface__["data"][0], _REGIONS, 0, 0, 0,
                _PRESENT_OR_SWAPPED, _PRESENT_OR_SWAPPED,
            )
        )  # fmt: skip
        count = fcntl.ioctl(pagemap, _PAGEMAP_SCAN, asked)
        for begin, stop, _ in regions[:count].tolist():
            if found and found[-1][1] == begin:
                found[-1] = (found[-1][0], stop)
            else:
                found.append((begin, stop))
        walked = struct.unpack_from("Q", asked, 32)[0]
        if walked <= at:
            raise ValueError("the scan does not get on")
        at = walked
    return found


def _read(numpy: Any, pagemap: Any, first: int, last: int) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    step = 1 << 16
    for page in range(first // _PAGE, last // _PAGE, step):
        count = min(step, last // _PAGE - page)
        pagemap.seek(page * 8)
        raw = pagemap.read(count * 8)
        if len(raw) != count * 8:
            raise ValueError("pagemap ends early")
        there = (numpy.frombuffer(raw, numpy.uint64) & numpy.uint64(_IN_PAGEMAP)) != 0
        found += [((page + begin) * _PAGE, (page + end) * _PAGE) for begin, end in _runs(numpy, there)]
    return _merged(found, 0)


def _not_zero(numpy: Any, memory: Any, begin: int, end: int) -> list[tuple[int, int]]:
    """Return the parts of a range of bytes that hold more than zeros: a huge page exists as a whole."""
    parts = []
    step = 1 << 24
    for at in range(begin, end, step):
        chunk = memory[at : min(at + step, end)]
        whole = len(chunk) // _PAGE * _PAGE
        there = chunk[:whole].reshape(-1, _PAGE).view(numpy.uint8).max(axis=1) != 0 if whole else numpy.zeros(0, bool)
        parts += [(at + first * _PAGE, at + last * _PAGE) for first, last in _runs(numpy, there)]
        if chunk[whole:].any():
            parts.append((at + whole, at + len(chunk)))
    return parts


def _runs(numpy: Any, flags: Any) -> list[tuple[int, int]]:
    """Return where the runs of True begin and end."""
    edges = numpy.flatnonzero(numpy.diff(numpy.concatenate(([False], flags, [False])).view(numpy.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _merged(parts: list[tuple[int, int]], gap: int = _GAP_BYTES) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for begin, end in parts:
        if merged and begin - merged[-1][1] <= gap:
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((begin, end))
    return merged
