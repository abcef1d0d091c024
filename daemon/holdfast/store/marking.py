"""Which chunks versions need: all of them, down to the last list of a large buffer's chunks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from blake3 import blake3

from .blobs import INLINE, STORED_MANIFEST, BlobRef, decode_refs
from .core import Core
from .encoding import decode_delta, field_refs
from .errors import Damaged, NoSuchVersion
from .records import ComponentEntry
from .rows import SessionRow, from_blob
from .timeline import UNSEALED_META, Timeline, Version

_PAGE = 64
_MANIFEST_STEP = 32


class Marker:
    """Follows versions to the chunks that they need.

    Args:
        core: the store.
        view: a timeline over a connection of its own.

        accounting: note in `fresh` what is found for the first time.

    Attributes:
        live: digests of the chunks found so far.
        fresh: those found since this was last emptied.
    """

    def __init__(self, core: Core, view: Timeline, *, accounting: bool = False) -> None:
        self.live: set[bytes] = set()
        self.fresh: list[bytes] = []
        self._accounting = accounting
        self._core = core
        self._view = view
        self._contents: set[bytes] = set()
        self._lists: set[tuple[bytes, int]] = set()

    def everything(self) -> Iterator[None]:
        """Follow every version of every session, a few with each step.

        Raises:
            Damaged: one cannot be read, so what it needs is not known.
            StoreError: the store is gone.
        """
        with self._core.reading():
            sessions = {row.id: row for row in self._core.catalog.sessions("1")}
        for ids in self._view.catalog.history.version_ids(_PAGE):
            for identity in ids:
                session, number = sessions.get(identity >> 32), identity & 0xFFFFFFFF
                if session is not None and number < session.next:  # else it was made after this began, and is pinned
                    yield from self.version(session, number)

    def version(self, session: SessionRow, number: int) -> Iterator[None]:
        """Follow one version.

        Raises:
            Damaged: it cannot be read.
        """
        what = f"version {number} of {from_blob(session.key)}"
        try:
            version = self._view.version(session, number, with_delta=True)
        except NoSuchVersion:
            return  # removed meanwhile, which whoever collects garbage takes note of
        yield
        try:
            for ref in field_refs(version.meta):
                yield from self.blob(ref, what)
            for entry in listed(self._view, session, version):
                if not version.trusted and self.is_vast(entry):
                    raise ValueError("nobody vouches for that much")
                yield from self.entry(entry, what)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise Damaged("version", what, f"What {what} holds cannot be read.") from error

    def entry(self, entry: ComponentEntry, what: str) -> Iterator[None]:
        """Follow a component.

        Raises:
            Damaged: a list that it consists of cannot be read.
            ValueError: its content is not well formed.
        """
        known = blake3(entry.content).digest()  # not the digest that it names: what is not signed by us may lie
        if known in self._contents:
            return
        refs = decode_refs(entry.content[1:])
        for ref in refs:
            yield from self.blob(ref, what)
        if entry.content[:1] == STORED_MANIFEST:
            for at, ref in enumerate(self._core.reader.refs(entry.content, entry.digest, what)):
                yield from self.blob(ref, what)
                if at % _MANIFEST_STEP == 0:
                    yield
        self._contents.add(known)

    def is_vast(self, entry: ComponentEntry) -> bool:
        """Whether a component is said to consist of more than is read of what nobody vouches for."""
        return entry.content[:1] == STORED_MANIFEST and any(
            ref.size > UNSEALED_META for ref in decode_refs(entry.content[1:])
        )

    def _note(self, digests: Sequence[bytes]) -> None:
        if self._accounting:
            self.fresh += [digest for digest in dict.fromkeys(digests) if digest not in self.live]
        self.live.update(digests)

    def blob(self, ref: BlobRef, what: str) -> Iterator[None]:
        """Follow a blob.

        Raises:
            Damaged: a list that it consists of cannot be read.
        """
        if ref.level == INLINE:
            return
        queue = [(ref.value, ref.level)]
        if ref.is_splice:
            self._note((ref.value,))
            queue = [(segment.ref.value, segment.ref.level) for segment in self._core.reader.segments(ref, what)]
        while queue:
            digest, level = queue.pop()
            self._note((digest,))
            # The bytes of a list may be somebody's data as well: only as a list it leads further.
            if level == 0 or (digest, level) in self._lists:
                continue
            below = self._core.reader.list_of(digest, what)
            if level == 1:
                self._note(below)
            else:
                queue += [(child, level - 1) for child in below]
            self._lists.add((digest, level))
            yield


def listed(view: Timeline, session: SessionRow, version: Version) -> Iterator[ComponentEntry]:
    """Yield the components that a version names: what it changed, and its own listing if it has one.

    Raises:
        Damaged, ValueError, TypeError, KeyError: they cannot be read.
    """
    row = view.catalog.history.listing(session.id, version.row.number)
    for delta in (version.delta, None if row is None else view.listing_delta(row)):
        if delta is not None:
            yield from decode_delta(delta).changed
