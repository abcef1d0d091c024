"""Large buffers that a commit gets in parts: what changed of one that is stored already, and what arrives in pieces."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from .appending import BulkWrites
from .blobs import INLINE, BlobRef, Location
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
            writer = ChunkWriter(self._known, bulk, core.packs.cipher)
            view = memoryview(data).cast("B")
            if self._follow(offset, view):
                assert self.follower is not None
                self.follower.feed(view, writer)
            else:
                first = offset // CHUNK_SIZE
                for index, digest in enumerate(writer.add_pieces(view)):
                    self.digests[first + index] = digest
            writer.spill()
            for pack, end in bulk.touched.items():
                self._reaches(pack, end)
            core.uploaded.update(writer.rows)
            self._pin.keep_packs(self.ends)
            core.note_unsynced(bulk.settle())
            self.rows += writer.rows
            self.written += writer.written
        except StoreError as error:
            self.failure = error
        finally:
            bulk.release()

    def _known(self, digests: Sequence[bytes]) -> set[bytes]:
        """Return which chunks need not be written: those in the store, and those that another upload has written."""
        known = set(self._pin.known(digests))
        for digest in digests:
            place = None if digest in known else self.core.uploaded.get(digest)
            if place is not None:
                self.rows.append((digest, place))
                self._reaches(place.pack, place.offset + place.stored)
                known.add(digest)
        return known

    def _reaches(self, pack: int, end: int) -> None:
        self.ends[pack] = max(end, self.ends.get(pack, 0))

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
        for digest, place in self.rows:
            if self.core.uploaded.get(digest) == place:
                del self.core.uploaded[digest]

    def __del__(self) -> None:
        self.release()


class Base(NamedTuple):
    """A buffer as it was committed: what a patch is applied to.

    Attributes:
        ref: where it is.
        lists: of the digests of its chunks; None if it consists of parts of others, which can't be patched.
    """

    ref: BlobRef
    lists: list[bytes] | None


class _Committed:
    """A component as it was committed."""

    def __init__(self, content: bytes, digest: bytes, lists: dict[int, list[bytes]]) -> None:
        self.content = content
        self.digest = digest
        self.lists = lists
        self.refs: list[BlobRef] | None = None


class Bases:
    """What the large buffers of components consist of, as they were committed last."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._known: OrderedDict[tuple[bytes, str, str], _Committed] = OrderedDict()
        self._swept = core.swept

    def find(self, session: SessionRow | None, component: str, patch: Patch, pin: Pin) -> Base:
        """Return the buffer that a patch is to be applied to; its chunks stay while the pin is held.

        Raises:
            SaveFailed: kind ``no_base``: it is not known here.
        """
        assert patch.base is not None
        fingerprint, index = patch.base
        if session is not None:
            key = (session.uuid, component, fingerprint)
            known = self._known.get(key) or self._look_up(session, component, fingerprint)
            try:
                base = None if known is None else self._base(known, index)
            except (StoreError, ValueError):
                base = None  # It can't be built upon: everything is sent again.
            if known is not None and base is not None and base.ref.size == patch.size:
                if base.lists is not None:
                    pin.add_lists(base.lists)
                self._require_there(key, known, base, pin)
                self._known.move_to_end(key)
                return base
        raise SaveFailed("no_base", "What changed in a large value was sent, and the value itself is not stored here.")

    def note(
        self,
        session: SessionRow,
        component: str,
        fingerprint: str,
        content: bytes,
        digest: bytes,
        lists: dict[int, list[bytes]],
    ) -> _Committed:
        """Remember what was committed.

        Args:
            session: whose it is.
            component: its id.
            fingerprint: the kernel's.
            content: where its bytes are.
            digest: of that.
            lists: of the chunks of its buffers, as far as they are known without reading.
        """
        known = self._known[session.uuid, component, fingerprint] = _Committed(content, digest, lists)
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return known

    def _base(self, known: _Committed, index: int) -> Base | None:
        reader = self._core.reader
        if known.refs is None:
            known.refs = reader.refs(known.content, known.digest, _WHAT)[1:]
        if index >= len(known.refs):
            return None
        ref = known.refs[index]
        if ref.is_splice:
            return Base(ref, None)
        if ref.level in (0, INLINE):
            return None
        if index not in known.lists:
            known.lists[index] = reader.chunk_lists(ref, _WHAT)
        return Base(ref, known.lists[index])

    def _require_there(self, key: tuple[bytes, str, str], known: _Committed, base: Base, pin: Pin) -> None:
        """What was there when it was noted is there, unless garbage was removed since."""
        if self._swept == self._core.swept:
            return
        self._known = OrderedDict({key: known})
        self._swept = self._core.swept
        try:
            every = set(digests_in(base.lists)) if base.lists else set(self._core.reader.deep_digests(base.ref, _WHAT))
        except StoreError:
            every = set()
        if not every or len(pin.known(list(every))) < len(every):
            self._known.clear()
            raise SaveFailed("no_base", "What a large value was before is not stored any more.")

    def _look_up(self, session: SessionRow, component: str, fingerprint: str) -> _Committed | None:
        core = self._core
        if session.head is None:
            return None
        try:
            with core.reading():
                entry = core.timeline.listing(session, session.head).get(component)
        except StoreError:
            return None
        if entry is None or entry.fingerprint != fingerprint:
            return None
        return self.note(session, component, fingerprint, entry.content, entry.digest, {})


_WHAT = "a large value"
