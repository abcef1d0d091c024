"""Which pages of memory were written to since they were looked at last, as Linux (6.7 and later) tells it.

Memory is registered with ``userfaultfd`` in its asynchronous write-protect mode: a page is protected, the first write
to it takes the protection away without anybody having to answer, and the call ``PAGEMAP_SCAN`` of
``/proc/self/pagemap`` returns the pages without protection and protects them again, in one step.

Sources: Linux, Documentation/admin-guide/mm/{userfaultfd,pagemap}.rst; include/uapi/linux/{userfaultfd,fs}.h.
"""

from __future__ import annotations

import contextlib
import errno
import os
import struct
import sys
from typing import Any

_SYSCALLS = {"x86_64": 323, "aarch64": 282, "riscv64": 282, "ppc64le": 364, "s390x": 355, "loongarch64": 282}
_USER_MODE_ONLY = 1
"""Of faults in the kernel's own code nothing has to be handled: any user may ask for this."""
_WP_UNPOPULATED, _WP_ASYNC = 1 << 13, 1 << 15
_REGISTER_WP, _PROTECT_WP = 2, 1
_API, _UNREGISTER = 0xAA, 0x8010AA01
_IOCTL_API, _IOCTL_REGISTER, _IOCTL_PROTECT, _IOCTL_SCAN = 0xC018AA3F, 0xC020AA00, 0xC018AA06, 0xC0606610
_SCAN_PROTECTS, _SCAN_ONLY_TRACKED = 1, 2
_IS_WRITTEN = 2
_REGIONS = 512


class WriteTracker:
    """Watches ranges of this process's memory for writes; addresses and sizes are multiples of the page size."""

    def __init__(self, descriptor: int, pagemap: int) -> None:
        import ctypes

        self._descriptor = descriptor
        self._pagemap = pagemap
        self._vector: Any = (ctypes.c_uint64 * (3 * _REGIONS))()
        self._vector_address = ctypes.addressof(self._vector)

    @classmethod
    def make(cls) -> WriteTracker | None:
        """Return a tracker that was seen to work, None where there can be none."""
        try:
            import ctypes

            number = _SYSCALLS.get(os.uname().machine)
            if sys.platform != "linux" or number is None or sys.byteorder != "little":
                return None
            from fcntl import ioctl

            descriptor = ctypes.CDLL(None, use_errno=True).syscall(
                number, os.O_CLOEXEC | os.O_NONBLOCK | _USER_MODE_ONLY
            )
        except (ImportError, AttributeError, OSError):
            return None
        if descriptor < 0:
            return None
        pagemap = -1
        try:
            ioctl(descriptor, _IOCTL_API, struct.pack("QQQ", _API, _WP_ASYNC | _WP_UNPOPULATED, 0))
            pagemap = os.open("/proc/self/pagemap", os.O_RDONLY | os.O_CLOEXEC)
            tracker = cls(descriptor, pagemap)
            if tracker._is_right():
                return tracker
        except OSError:
            pass  # An older kernel, or a sandbox without the call.
        if pagemap < 0:
            os.close(descriptor)
        return None

    def _is_right(self) -> bool:
        """Try it out on some pages: what a sandbox makes of these calls nobody knows."""
        import ctypes
        import mmap

        page = mmap.PAGESIZE
        with mmap.mmap(-1, 4 * page, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
            memory[0] = 1
            start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
            if not self.watch(start, 4 * page) or self.written(start, 4 * page):
                return False
            memory[2 * page] = 1
            found = self.written(start, 4 * page) == [(start + 2 * page, start + 3 * page)]
            return found and self.written(start, 4 * page) == []

    def watch(self, start: int, size: int) -> bool:
        """Begin to watch a range, nothing of which counts as written; whether that is possible.

        It is not for memory that is shared with other processes, and for ranges that are not mapped throughout.
        """
        from fcntl import ioctl

        if not _is_private(start, start + size):
            return False
        try:
            ioctl(self._descriptor, _IOCTL_REGISTER, struct.pack("QQQQ", start, size, _REGISTER_WP, 0))
            ioctl(self._descriptor, _IOCTL_PROTECT, struct.pack("QQQ", start, size, _PROTECT_WP))
        except OSError:
            return False
        return True

    def written(self, start: int, size: int) -> list[tuple[int, int]] | None:
        """Return the written ranges as (start, end), and protect them again; None: the range is not watched any more.

        Memory that was given back to the system and taken anew is not watched, whoever had it before.
        """
        from fcntl import ioctl

        end, at = start + size, start
        found: list[tuple[int, int]] = []
        vector = self._vector
        flags = _SCAN_PROTECTS | _SCAN_ONLY_TRACKED
        while at < end:
            arguments = bytearray(
                struct.pack(
                    "12Q", 96, flags, at, end, 0, self._vector_address, _REGIONS, 0, 0, _IS_WRITTEN, 0, _IS_WRITTEN
                )
            )
            try:
                count = ioctl(self._pagemap, _IOCTL_SCAN, arguments)
            except OSError as error:
                if error.errno == errno.EINTR:
                    continue
                return None
            found += [(vector[3 * index], vector[3 * index + 1]) for index in range(count)]
            at = struct.unpack_from("Q", arguments, 32)[0]
        return found

    def release(self, start: int, size: int) -> None:
        """Watch a range no longer."""
        from fcntl import ioctl

        with contextlib.suppress(OSError):  # It may be gone already.
            ioctl(self._descriptor, _UNREGISTER, struct.pack("QQ", start, size))

    def close(self) -> None:
        """Watch nothing any more."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            os.close(self._pagemap)
            self._descriptor = -1

    def __del__(self) -> None:
        self.close()


def _is_private(start: int, end: int) -> bool:
    """Whether nobody else can write to the memory between two addresses: the system would watch this process only."""
    with open("/proc/self/maps", "rb") as maps:  # noqa: PTH123 - a cell may patch pathlib
        for line in maps:
            range_, flags, _ = line.split(maxsplit=2)
            first, behind = (int(part, 16) for part in range_.split(b"-"))
            if behind > start:
                if first >= end:
                    return True
                if flags[3:4] != b"p":
                    return False
    return True
