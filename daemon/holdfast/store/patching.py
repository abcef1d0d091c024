"""Large buffers that a commit gets in parts: what changed of one that is stored already, and what arrives in pieces."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from .appending import BulkWrites
from .blobs import INLINE, Location
from .chunks import ChunkWriter
from .errors import SaveFailed, StoreError
from .following import Follower
from .packs import CHUNK_SIZE
from .pins import Pin, digests_in
from .predecessors import Predecessors, Replaced
from .records import Buffer, Patch

if TYPE_CHECKING:
    from .core import Core
    from .rows import SessionRow

_REMEMBERED = 256
"""States of components whose lists of chunks are kept in memory: 4 KiB for 32 MiB, and states share what is equal."""


class Upload:
    """The chunks of one buffer, written as they arrive, before the commit that needs them.

    Not thread-safe. What is written belongs to no version until a `Patch` with this upload is committed; it is garbage
    if that never happens.
    """

    def __init__(self, core: Core, predecessors: Predecessors, replaced: Replaced | None = None) -> None:
        self.core = core
        self.follower: Follower | None = None
        """Compares it with the blob whose place it takes; then the pieces come in order, and all of them."""
        self._predecessors = predecessors
        self._replaced = replaced
        self._arrived = 0
        self._pin = core.pins.hold()
        self.digests: dict[int, bytes] = {}
        self.rows: list[tuple[bytes, Location]] = []
        self.ends: dict[int, int] = {}
        """Bulk packs written to, and how far."""
        self.written = 0
        self.failure: StoreError | None = None
        """Why a piece could not be written: the commit fails for the same reason."""

    def write(self, offset: int, data: Buffer) -> None:
        """Write a piece, which begins on the boundary of a chunk, and ends on one or with the buffer.

        Failures are kept for the commit.
        """
        if self.failure is not None:
            return
        core = self.core
        bulk = BulkWrites(core.bulk, core.bulk_lock)
        try:
            core.require_open()
            writer = ChunkWriter(self._pin.known, bulk)
            view = memoryview(data).cast("B")
            if self._follow(offset, view):
                assert self.follower is not None
                self.follower.feed(view, writer)
            else:
                first = offset // CHUNK_SIZE
                for index, digest in enumerate(writer.add_pieces(view)):
                    self.digests[first + index] = digest
            writer.spill()
            self.ends.update(bulk.touched)
            self._pin.keep_packs(self.ends)
            core.note_unsynced(bulk.settle())
            self.rows += writer.rows
            self.written += writer.written
        except StoreError as error:
            self.failure = error
        finally:
            bulk.release()

    def _follow(self, offset: int, view: memoryview) -> bool:
        """Whether the bytes are to be compared with those of the blob whose place they take.

        Raises:
            SaveFailed: a piece is missing before this one.
        """
        if offset == 0 and self._replaced is not None:
            before = self._predecessors.find(self._replaced, view, self._pin)
            if before is not None:
                self.follower = Follower(before, self._replaced.size)
        if self.follower is None:
            return False
        if offset != self._arrived:
            raise SaveFailed("no_base", "A part of a large value did not arrive.")
        self._arrived += view.nbytes
        return True

    def release(self) -> None:
        """It was committed, or never will be: what it has written is garbage unless a version needs it."""
        self._pin.release()

    def __del__(self) -> None:
        self._pin.release()


class Bases:
    """Which chunks the large buffers of components consist of, as they were committed last."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._known: OrderedDict[tuple[bytes, str, str], dict[int, list[bytes]]] = OrderedDict()
        self._swept = core.swept

    def find(self, session: SessionRow | None, component: str, patch: Patch, pin: Pin) -> list[bytes]:
        """Return the lists of chunks of the buffer that a patch is to be applied to; they stay while the pin is held.

        Raises:
            SaveFailed: kind ``no_base``: it is not known here.
        """
        assert patch.base is not None
        fingerprint, index = patch.base
        if session is not None:
            key = (session.uuid, component, fingerprint)
            if key not in self._known:
                self._look_up(session, component, fingerprint)
            found = self._known.get(key, {}).get(index)
            if found is not None and sum(map(len, found)) == 32 * -(-patch.size // CHUNK_SIZE):
                pin.add_lists(found)
                # What was there when it was noted is there, unless garbage was removed since.
                if self._swept != self._core.swept:
                    self._known = OrderedDict({key: self._known[key]})
                    self._swept = self._core.swept
                    every = {digest for lists in self._known[key].values() for digest in digests_in(lists)}
                    if len(pin.known(list(every))) < len(every):
                        self._known.clear()
                        raise SaveFailed("no_base", "What a large value was before is not stored any more.")
                self._known.move_to_end(key)
                return found
        raise SaveFailed("no_base", "What changed in a large value was sent, and the value itself is not stored here.")

    def note(self, session: SessionRow, component: str, fingerprint: str, lists: dict[int, list[bytes]]) -> None:
        """Remember the chunks of what was committed."""
        self._known[session.uuid, component, fingerprint] = lists
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)

    def _look_up(self, session: SessionRow, component: str, fingerprint: str) -> None:
        core = self._core
        if session.head is None:
            return
        try:
            with core.reading():
                entry = core.timeline.listing(session, session.head).get(component)
            if entry is None or entry.fingerprint != fingerprint:
                return
            what = "a large value"
            refs = core.reader.refs(entry.content, entry.digest, what)[1:]
            lists = {
                index: core.reader.chunk_lists(ref, what)
                for index, ref in enumerate(refs)
                if ref.level != INLINE and not ref.is_splice and ref.size > CHUNK_SIZE
            }
        except (StoreError, ValueError):
            return  # It can't be built upon: everything is sent again.
        self.note(session, component, fingerprint, lists)
