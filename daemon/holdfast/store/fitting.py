"""Whether a key is that of a store, told from what is there: so nothing is written with another."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from .catalog import CATALOG_NAME, ENCRYPTED_FORMAT, Catalog
from .cipher import Cipher
from .errors import StoreError
from .folder import PACKS_NAME
from .packs import PACK_HEADER, open_plain, read_at, read_pack_header, scan
from .recovery import told_by_packs

_PACKS, _RECORDS, _LONGEST = 8, 4, 1 << 20
"""What is looked at: so many records of so many packs, of so many bytes."""


def fits(cipher: Cipher, catalog: Catalog, packs: Path, store_id: bytes) -> bool:
    """Whether a store was written with a cipher; also where there is nothing that could tell.

    Args:
        cipher: of one key.
        catalog: the store's; perhaps empty.
        packs: the folder of its packs.
        store_id: the store's.
    """
    seen = False
    for told in (_told_by_catalog(cipher, catalog), _told_by_packs(cipher, packs, store_id)):
        for shown in told:
            if shown:
                return True
            seen = True
    return not seen


def _told_by_catalog(cipher: Cipher, catalog: Catalog) -> Iterator[bool]:
    with contextlib.suppress(StoreError):  # no tables yet, or damaged ones
        yield from catalog.trial(cipher)


def _told_by_packs(cipher: Cipher, packs: Path, store_id: bytes) -> Iterator[bool]:
    for path in sorted(packs.glob("*.pack"))[:_PACKS]:
        with contextlib.suppress(OSError, ValueError, StoreError):  # not a pack, or a damaged one
            fd = open_plain(path, os.O_RDONLY)
            try:
                if not read_pack_header(fd, int(path.stem), store_id).is_encrypted:
                    continue
                for record in islice(scan(fd, PACK_HEADER.size, os.fstat(fd).st_size, cipher), _RECORDS):
                    if record.stored <= _LONGEST:
                        stored = read_at(fd, record.payload, record.stored)
                        yield cipher.open(record.kind, record.codec, record.size, record.digest, stored) is not None
            finally:
                os.close(fd)


def is_encrypted(folder: Path) -> bool:
    """Whether the store in a folder is encrypted, whoever has it open."""
    told = told_by_packs(folder / PACKS_NAME)
    if told is not None:
        return told.is_encrypted
    path = folder / CATALOG_NAME
    if not path.exists():
        return False
    # By way of SQLite, for the reason that `catalog.peek` has.
    db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True, isolation_level=None)
    try:
        return bool(db.execute("PRAGMA user_version").fetchone()[0] == ENCRYPTED_FORMAT)
    except sqlite3.Error:
        return False
    finally:
        db.close()
