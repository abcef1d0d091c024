"""Where the bytes of a component lie, for who does not want all of them read: to map them, or to read them later."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

from .blobs import INLINE, BlobRef, Location, reveal_chunk
from .cipher import CLEAR, Cipher
from .packs import CHUNK_SIZE, RAW, PackFolder, damaged_pack, read_at
from .reading import ChunkReader, damaged_content


class Piece(NamedTuple):
    """A chunk's place in a blob, and in the packs."""

    at: int
    size: int
    digest: bytes
    place: Location


@dataclass(slots=True)
class Layout:
    """A blob: either its bytes, if they are few, or its chunks in order."""

    size: int
    inline: bytes = b""
    digests: list[bytes] = field(default_factory=list)
    places: list[Location] = field(default_factory=list)
    is_spliced: bool = False
    """The chunks are not cut at fixed places."""

    @property
    def pieces(self) -> Iterator[Piece]:
        """The chunks. A gigabyte has thousands, and most of the time nobody looks at one of them."""
        sizes = [place.size for place in self.places]
        return map(Piece, accumulate(sizes, initial=0), sizes, self.digests, self.places)


class Run(NamedTuple):
    """Bytes of a blob that lie in one piece in a pack, uncompressed."""

    at: int
    pack: int
    offset: int
    length: int


def layout_of(reader: ChunkReader, ref: BlobRef, what: str) -> Layout:
    """Look up where a blob's chunks are; reads its lists, and none of the chunks.

    Raises:
        Damaged: a list cannot be read, or the store does not have a chunk; naming `what`.
    """
    if ref.level == INLINE:
        return Layout(ref.size, ref.value)
    if ref.is_splice:
        return _spliced(reader, ref, what)
    layout = Layout(ref.size)
    last = ref.size - (ref.size - 1) % CHUNK_SIZE - 1
    for digests in [[ref.value]] if ref.level == 0 else reader.lists(ref, what):
        places = reader.locate(digests)
        for digest in digests:
            place = places.get(digest)
            size = CHUNK_SIZE if len(layout.places) * CHUNK_SIZE < last else ref.size - last
            if place is None or place.size != size or place.offset <= 0:
                raise damaged_content(what, "a part of it is missing")
            layout.places.append(place)
        layout.digests += digests
    return layout


def _spliced(reader: ChunkReader, ref: BlobRef, what: str) -> Layout:
    layout = Layout(ref.size, is_spliced=True)
    for page in reader.pieces(ref, what):
        places = reader.locate([digest for digest, _ in page])
        for digest, size in page:
            place = places.get(digest)
            if place is None or place.size != size or place.offset <= 0:
                raise damaged_content(what, "a part of it is missing")
            layout.places.append(place)
            layout.digests.append(digest)
    return layout


def runs_of(layout: Layout, page: int) -> list[Run]:
    """Return the stretches of a blob that can be mapped with pages of this size; the rest has to be read."""
    runs: list[Run] = []
    if CHUNK_SIZE % page or layout.is_spliced:
        return runs
    start = pack = offset = length = 0
    at = -CHUNK_SIZE
    for place in layout.places:
        at += CHUNK_SIZE
        if place.codec != RAW or place.offset % page:
            continue
        if length and pack == place.pack and offset + length == place.offset and start + length == at:
            length += place.size
            continue
        if length:
            runs.append(Run(start, pack, offset, length))
        start, pack, offset, length = at, place.pack, place.offset, place.size
    return [*runs, Run(start, pack, offset, length)] if length else runs


@dataclass(slots=True)
class OpenPacks:
    """Packs held open: what is read through this stays readable when the store moves on, or its folder is removed."""

    files: dict[int, tuple[Path, int]] = field(default_factory=dict)
    """By number, path and descriptor."""
    cipher: Cipher = CLEAR

    def hold(self, packs: PackFolder, numbers: Sequence[int]) -> None:
        """Open packs.

        Raises:
            Damaged: one is not there, or is not what it was.
        """
        self.cipher = packs.cipher
        for number in numbers:
            if number not in self.files:
                try:
                    self.files[number] = packs.path(number), os.dup(packs.fd(number))
                except OSError as error:
                    raise damaged_pack(packs.path(number), error.strerror or str(error)) from error

    def read(self, piece: Piece, what: str) -> bytes:
        """Return a chunk's bytes, compared with its digest; callable from any thread.

        Raises:
            Damaged: naming `what`.
        """
        place = piece.place
        if place.pack not in self.files:
            raise damaged_content(what, "nobody was expected to ask for it any more")
        path, descriptor = self.files[place.pack]
        if not place.is_possible:
            raise damaged_content(what, "a part of it is not what was written")
        try:
            data = read_at(descriptor, place.offset, place.stored)
        except OSError as error:
            raise damaged_content(what, damaged_pack(path, error.strerror or str(error)).message) from error
        chunk = reveal_chunk(self.cipher, place, piece.digest, data)
        if chunk is None:
            raise damaged_content(what, "a part of it is not what was written")
        return chunk

    def close(self) -> None:
        """Let go of the packs."""
        files, self.files = self.files, {}
        for _, descriptor in files.values():
            with contextlib.suppress(OSError):
                os.close(descriptor)
