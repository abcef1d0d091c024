"""After a power cut: what the disk had not promised to have is read once, so that nothing is built on bytes it lost.

A chunk that the catalog has is not stored again. If its bytes never reached the disk, what is saved later with the same
bytes would lack them, too, and nobody would know.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from .core import Core
from .errors import StoreError
from .packs import PACK_HEADER

_BATCH = 256


def boot_id() -> bytes:
    """Return what tells this run of the system from those before; empty where that is not known."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_bytes().strip()
    return b""


def forget_what_never_arrived(core: Core) -> int:
    """Forget chunks that were written before the system was started anew, and are not on the disk; return how many.

    Versions that need them stay as they are: what they lack is named, and stored anew when it is saved again.

    Raises:
        StoreError: the catalog could not be read or written.
    """
    marks = core.catalog.hardened()
    if marks is None or (marks.boot and marks.boot == boot_id()):
        return 0  # nothing was ever noted; or no power cut can have come since
    oldest = min(marks.packs, default=0)
    gone = []
    for number, (_, used) in core.catalog.packs().items():
        start = marks.packs.get(number, used if number < oldest else PACK_HEADER.size)
        if start < used:
            for digest, place in core.catalog.history.chunks_behind(number, start):
                try:
                    whole = core.reader.holds(digest, place)
                except StoreError:
                    whole = False
                if not whole:
                    gone.append((digest, place))
    for at in range(0, len(gone), _BATCH):
        with core.writing():
            core.catalog.history.remove_chunks(gone[at : at + _BATCH])
    return len(gone)
