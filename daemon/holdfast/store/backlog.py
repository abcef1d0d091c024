"""Versions that are in the log and not in the catalog yet: noted there together, a little later.

The log alone brings them back after a kill (`recovery`), so a small commit need not wait for the catalog.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from .blobs import Location
from .catalog import Catalog
from .packs import LOG
from .rows import SessionRow, VersionRow

MAX_VERSIONS = 64
"""Noting this many takes about as long as a person does not notice; opening after a kill reads no more than these."""
MAX_BYTES = 1 << 20
"""What all of them may hold in memory."""


class NewVersion(NamedTuple):
    """A version whose record is in the log, and all that the catalog has to say about it."""

    session: SessionRow
    """Where the session stands with it; not sealed yet."""
    row: VersionRow
    delta: bytes
    chunks: list[tuple[bytes, Location]]

    def note(self, catalog: Catalog, sealed: Callable[[SessionRow], SessionRow]) -> None:
        """Write it into the catalog, in the caller's transaction."""
        catalog.add_chunks(self.chunks)
        catalog.add_versions([(self.row, self.delta)])
        catalog.update_position(sealed(self.session))


class Backlog:
    """The versions that the catalog does not have yet, oldest first. The store's lock is held around every use.

    Attributes:
        versions: the versions.
        chunks: where their chunks lie.
        stuck: the catalog refused them the last time. They stay, and nothing is added until it takes them.
    """

    def __init__(self) -> None:
        self.versions: list[NewVersion] = []
        self.chunks: dict[bytes, Location] = {}
        self.stuck = False
        self._ends: dict[int, int] = {}
        self._bytes = 0

    @property
    def accepts(self) -> bool:
        """Whether one more may wait."""
        return not self.stuck and len(self.versions) < MAX_VERSIONS and self._bytes < MAX_BYTES

    def add(self, version: NewVersion, ends: dict[int, int]) -> None:
        """Have a version wait.

        Args:
            version: the version; its record is written.
            ends: for each log pack that it was written to, where that ends now.
        """
        self.versions.append(version)
        self.chunks.update(version.chunks)
        self._ends.update(ends)
        self._bytes += len(version.row.meta) + len(version.delta)

    def note(self, catalog: Catalog, sealed: Callable[[SessionRow], SessionRow]) -> None:
        """Write them all into the catalog, in the caller's transaction.

        Args:
            catalog: the catalog.
            sealed: signs where a session stands; only the last position of each is written.
        """
        if self.chunks:
            catalog.add_chunks(list(self.chunks.items()))
        catalog.add_versions([(version.row, version.delta) for version in self.versions])
        for session in {version.session.id: version.session for version in self.versions}.values():
            catalog.update_position(sealed(session))
        for number, end in self._ends.items():
            catalog.set_pack(number, LOG, end)

    def clear(self) -> None:
        """The catalog has them all."""
        self.versions.clear()
        self.chunks.clear()
        self._ends.clear()
        self._bytes = 0
        self.stuck = False
