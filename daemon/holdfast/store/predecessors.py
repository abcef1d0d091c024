"""The large blobs that a commit replaces by blobs of another size."""

from __future__ import annotations

from typing import NamedTuple

from .blobs import INLINE, BlobRef
from .core import Core
from .errors import StoreError
from .listings import Listings
from .packs import CHUNK_SIZE
from .pins import Pin
from .records import ComponentContent, ComponentEntry, Patch
from .rows import to_blob
from .splicing import MAX_SEGMENTS, SPLICE_MIN, Before, Segment, may_splice


class Replaced(NamedTuple):
    """Which blob another one takes the place of."""

    key: str
    component: str
    position: int
    """Which of the component's blobs, the stream being 0."""
    size: int
    """Of the new one."""


class Predecessors:
    """Finds what blobs of a component were in the version that its session stands on.

    Args:
        core: the store.
        listings: what is known of heads without reading.
    """

    def __init__(self, core: Core, listings: Listings) -> None:
        self._core = core
        self._listings = listings

    def of(self, key: str, component: ComponentContent, pin: Pin) -> dict[int, Before] | None:
        """Return the large blobs which have another size now, by position; the stream's is 0.

        Their chunks stay while the pin is held.
        """
        found = {}
        for at, blob in enumerate((component.stream, *component.buffers)):
            whole = blob.whole if isinstance(blob, Patch) else blob
            if whole is not None and memoryview(whole).nbytes >= SPLICE_MIN:
                view = memoryview(whole).cast("B")
                before = self.find(Replaced(key, component.id, at, view.nbytes), view, pin)
                if before is not None:
                    found[at] = before
        return found

    def find(self, replaced: Replaced, sample: memoryview, pin: Pin) -> Before | None:
        """Return the blob that another one takes the place of, if it is worth comparing them.

        Args:
            replaced: the blob, and the size of the new one.
            sample: the beginning of the new one.
            pin: its chunks stay while this is held.
        """
        try:
            entry = self._entry(replaced.key, replaced.component)
            if entry is None:
                return None
            refs = self._core.reader.refs(entry.content, entry.digest, replaced.component)
            if replaced.position >= len(refs):
                return None
            ref = refs[replaced.position]
            if not _is_shifted(ref, replaced.size) or not may_splice(entry, replaced.position, sample):
                return None
            return self._taken_apart(ref, pin)
        except (StoreError, ValueError):
            return None  # what cannot be read is nothing to build on: the blob is stored whole

    def _entry(self, key: str, component: str) -> ComponentEntry | None:
        core = self._core
        with core.reading():
            session = core.catalog.live(to_blob(key))
            if session is None or session.head is None:
                return None
            known = self._listings.of(session.uuid, session.head)
            listing = core.timeline.listing(session, session.head) if known is None else known
        return listing.get(component)

    def _taken_apart(self, ref: BlobRef, pin: Pin) -> Before | None:
        """Return a blob's chunks; None if some are missing."""
        reader = self._core.reader
        segments = reader.segments(ref, "") if ref.is_splice else [Segment(ref, 0, -(-ref.size // CHUNK_SIZE))]
        needed = {digest for segment in segments for digest in reader.deep_digests(segment.ref, "")}
        if len(pin.known(list(needed))) < len(needed):
            return None
        if len(segments) > MAX_SEGMENTS or sum({s.ref.value: s.ref.size for s in segments}.values()) > 2 * ref.size:
            return None  # stored in one piece again
        return Before(ref.size, segments, [piece for page in reader.pieces(ref, "") for piece in page])


def _is_shifted(ref: BlobRef, size: int) -> bool:
    """Whether chunks of what was a blob before may lie at other places of what it is now."""
    if ref.level == INLINE or ref.size < SPLICE_MIN or ref.size == size:
        return False
    return ref.is_splice or (ref.size - size) % CHUNK_SIZE != 0
