"""Whether all bytes that versions name are there, and which variables lack some."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from blake3 import blake3

from .blobs import INLINE, BlobRef, Location
from .core import Core
from .encoding import decode_delta, field_refs
from .errors import UNREADABLE, StoreError
from .findings import LenientPacks
from .inventory import Inventory
from .reading import ChunkReader
from .records import ComponentEntry
from .rows import SessionRow, from_blob
from .timeline import Version

_STEP = 128


class Loss(NamedTuple):
    """Variables whose bytes are lost, and the versions that saved them so."""

    session: SessionRow
    names: str
    versions: list[int]
    contents: set[bytes]
    """What identifies the component in a listing."""


class Holdings:
    """Follows what versions hold down to the bytes.

    Args:
        core: the store.
        packs: what is read.
        inventory: what lies whole in the packs.

    Attributes:
        losses: variables that lack bytes.
        unplaced: chunks that are needed and there, and that the catalog does not know.
    """

    def __init__(self, core: Core, packs: LenientPacks, inventory: Inventory) -> None:
        self.losses: dict[tuple[bytes, str], Loss] = {}
        self.unplaced: dict[bytes, Location] = {}
        self.reader = ChunkReader(packs, self._locate, core.reader.on_rotten)
        self._core = core
        self._inventory = inventory
        self._contents: dict[bytes, bool] = {}

    def _locate(self, digests: Sequence[bytes]) -> dict[bytes, Location]:
        chunks = self._inventory.chunks
        found = {digest: chunks[digest] for digest in digests if digest in chunks}
        left = [digest for digest in digests if digest not in found]
        return found | self._core.locate(left) if left else found

    def reads(self, digest: bytes, place: Location) -> bool:
        """Whether a chunk lies where it is said to lie."""
        try:
            return self.reader.holds(digest, place)
        except (StoreError, *UNREADABLE):
            return False

    def follow(self, session: SessionRow, version: Version, delta: bytes) -> Iterator[None]:
        """Follow what a version names: its run's description, and the components of a delta."""
        number = version.row.number
        what = f"version {number} of {from_blob(session.key)}"
        try:
            for ref in field_refs(version.meta):
                if not self._blob_is_there(ref, what):
                    self._lose(session, f"the description of version {number}", number, b"")
            entries = decode_delta(delta).changed
        except UNREADABLE:
            self._lose(session, f"what version {number} holds", number, b"")
            return
        for entry in entries:
            known = blake3(entry.content).digest() + entry.digest
            if known not in self._contents:
                yield from self._follow_entry(entry, known, what)
            if not self._contents[known]:
                names = ", ".join(name for name in entry.members if not name.startswith("\0"))
                self._lose(session, names or "a function or class", number, entry.content)

    def _lose(self, session: SessionRow, names: str, number: int, content: bytes) -> None:
        loss = self.losses.setdefault((session.uuid, names), Loss(session, names, [], set()))
        if number not in loss.versions:
            loss.versions.append(number)
        loss.contents.add(content)

    def _follow_entry(self, entry: ComponentEntry, known: bytes, what: str) -> Iterator[None]:
        self._contents[known] = False
        whole = True
        try:
            for ref in self.reader.top_refs(entry.content):
                whole &= self._blob_is_there(ref, what)
            for at, ref in enumerate(self.reader.refs(entry.content, entry.digest, what)):
                whole &= self._blob_is_there(ref, what)
                if at % _STEP == 0:
                    yield
        except (StoreError, *UNREADABLE):
            whole = False
        self._contents[known] = whole
        yield

    def _blob_is_there(self, ref: BlobRef, what: str) -> bool:
        if ref.level == INLINE:
            return True
        try:
            missing = [digest for digest in self.reader.deep_digests(ref, what) if not self._is_there(digest)]
        except StoreError:
            return False
        return not missing

    def _is_there(self, digest: bytes) -> bool:
        place = self._inventory.chunks.get(digest)
        known = self._core.locate([digest]).get(digest)
        if place is not None:
            if known is None:
                self.unplaced[digest] = place
            return True
        if known is not None and self.reads(digest, known):
            return True
        self._core.reader.on_rotten(digest)  # whoever saves it again stores it anew
        return False
