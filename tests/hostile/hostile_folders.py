"""State folders made by somebody who means harm. Each function turns a sound folder into one."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import sqlite3
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blake3 import blake3

from holdfast.store.cipher import CLEAR
from holdfast.store.encoding import VersionParts, event_record, listing_record, version_record
from holdfast.store.packs import CHUNK_RECORD, LOG, RAW, VERSION_RECORD, ZSTD, pack_header, record_header
from holdfast.store.seal import Seal

MIB = 1 << 20
_PUT = "UPDATE versions SET signer = ?, seal = ?, meta = ?, delta = ?, digest = ?, pack = 0"
FOREIGN = Seal(b"f" * 32)
HOSTILE: dict[str, Callable[[Place], None]] = {}
ABOUT_CODE: set[str] = set()


@dataclass(frozen=True)
class Place:
    """Where harm is to be done.

    Attributes:
        state: the user's own state folder: `a.py` with `x`, `big` in three versions, `b.py` with `y`.
        theirs: a folder of somebody else, whose `a.py` holds a variable that makes a file when it is unpickled.
        outside: a folder of the user with files that nobody is to touch.
        canary: what comes into being when code runs.
    """

    state: Path
    theirs: Path
    outside: Path
    canary: Path

    @property
    def catalog(self) -> Path:
        return self.state / "catalog.sqlite"

    @property
    def pack(self) -> Path:
        return self.state / "packs" / "000001.pack"

    def sql(self, *statements: str, values: tuple[Any, ...] = ()) -> None:
        """Change the catalog."""
        with _open(self.catalog) as db:
            for statement in statements:
                db.execute(statement, values)

    def rows(self, question: str) -> list[tuple[Any, ...]]:
        """Ask the catalog."""
        with _open(self.catalog) as db:
            return db.execute(question).fetchall()

    @property
    def bomb(self) -> bytes:
        """A pickle that runs a command."""
        return b"cposix\nsystem\n(Vtouch " + os.fsencode(self.canary) + b"\ntR."

    def append(self, *records: bytes) -> None:
        """Write behind what the catalog knows of the pack."""
        with self.pack.open("ab") as file:
            file.write(b"".join(records))


class _open:
    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)

    def __enter__(self) -> sqlite3.Connection:
        self._db.execute("BEGIN")
        return self._db

    def __exit__(self, *_: object) -> None:
        self._db.execute("COMMIT")
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._db.close()


def hostile(make: Callable[[Place], None]) -> Callable[[Place], None]:
    """Note a folder."""
    HOSTILE[make.__name__] = make
    return make


def about_code(make: Callable[[Place], None]) -> Callable[[Place], None]:
    """Note a folder that is to have code run: kernels are started on it as well."""
    ABOUT_CODE.add(make.__name__)
    return hostile(make)


# ---------------------------------------------------------------------------------------------- pickles and seals


def forge(
    place: Place,
    changes: dict[str, Any],
    seal: Seal | None = FOREIGN,
    claimed: bytes | None = None,
    number: int = 3,
    entries: list[Any] | None = None,
) -> tuple[VersionParts, bytes]:
    """Return a version like the user's own with other contents, and its digest; signed with a wrong key, if any."""
    _, meta, delta = place.rows(f"SELECT 0, meta, delta FROM versions WHERE id = {_id(place, number)}")[0]
    document, listing = json.loads(meta), json.loads(delta)
    if entries is not None:
        listing["changed"] = entries
        delta = json.dumps(listing).encode()
        document["delta"] = blake3(delta).hexdigest()
    document.update(changes)
    meta = json.dumps(document).encode()
    digest = blake3(meta).digest()
    signed = bytes(32) if seal is None else seal.sign(b"version", digest)
    key = claimed if claimed is not None else bytes(8) if seal is None else seal.key_id
    return VersionParts(key, signed, meta, delta), digest


def put(place: Place, parts: VersionParts, digest: bytes, number: int = 3) -> None:
    """Put a version into the catalog in place of the user's own, without its second copy."""
    place.sql(
        f"{_PUT} WHERE id = {_id(place, number)}",
        values=(*parts, digest),
    )


def _id(place: Place, number: int) -> int:
    ((session,),) = place.rows("SELECT id FROM sessions WHERE key = CAST('a.py' AS BLOB)")
    return int((session << 32) + number)


def bomb_entries(place: Place) -> list[Any]:
    """Return the entry of a variable whose pickle runs a command, with digests that fit."""
    manifest = struct.pack("<QB", len(place.bomb), 255) + place.bomb
    content = base64.b64encode(b"m" + manifest).decode()
    return [["c1", ["x"], "f", blake3(manifest).hexdigest(), len(place.bomb), {}, 3, content]]


@about_code
def a_pickle_bomb_signed_with_another_key(place: Place) -> None:
    put(place, *forge(place, {"base": True}, entries=bomb_entries(place)))


@about_code
def a_pickle_bomb_that_claims_the_users_key(place: Place) -> None:
    ((mine,),) = place.rows("SELECT DISTINCT signer FROM sessions WHERE key = CAST('a.py' AS BLOB)")
    put(place, *forge(place, {"base": True}, claimed=mine, entries=bomb_entries(place)))


@about_code
def a_pickle_bomb_with_no_seal_at_all(place: Place) -> None:
    put(place, *forge(place, {"base": True}, seal=None, claimed=b"", entries=bomb_entries(place)))


@about_code
def the_folder_of_somebody_else(place: Place) -> None:
    shutil.rmtree(place.state)
    shutil.copytree(place.theirs, place.state)


@about_code
def packs_of_somebody_else_without_a_catalog(place: Place) -> None:
    the_folder_of_somebody_else(place)
    place.catalog.unlink()


@about_code
def the_versions_of_somebody_else_under_the_users_session(place: Place) -> None:
    with _open(place.theirs / "catalog.sqlite") as db:
        parts = db.execute("SELECT signer, seal, meta, delta, digest FROM versions ORDER BY id DESC LIMIT 1").fetchone()
    place.sql(
        f"{_PUT} WHERE id = {_id(place, 3)}",
        values=parts,
    )


@about_code
def a_pickle_bomb_in_place_of_a_chunk(place: Place) -> None:
    data = bytearray(place.pack.read_bytes())
    for pack, offset, stored in place.rows("SELECT pack, offset, stored FROM chunks"):
        if pack == 1:
            data[offset : offset + stored] = place.bomb.ljust(stored, b".")[:stored]
    place.pack.write_bytes(data)


@about_code
def all_chunks_lead_to_one_with_a_pickle_bomb(place: Place) -> None:
    size = len(place.bomb)
    end = place.pack.stat().st_size
    place.append(record_header(CHUNK_RECORD, RAW, size, size, blake3(place.bomb).digest()), place.bomb)
    place.sql(f"UPDATE chunks SET pack = 1, offset = {end + 64}, stored = {size}, size = {size}, codec = 0")
    place.sql("UPDATE packs SET used = used + ? WHERE number = 1", values=(64 + size,))


@about_code
def a_version_in_the_tail_of_the_log_signed_with_another_key(place: Place) -> None:
    above = place.rows(f"SELECT digest FROM versions WHERE id = {_id(place, 3)}")[0][0].hex()
    changes = {"version": 4, "parent": 3, "parentDigest": above, "base": True}
    parts, _ = forge(place, changes, entries=bomb_entries(place))
    place.append(version_record(CLEAR, parts))


@about_code
def a_listing_of_the_head_signed_with_another_key(place: Place) -> None:
    (uuid, digest), *_ = place.rows(
        "SELECT uuid, digest FROM versions JOIN sessions ON sessions.id = versions.id >> 32"
        f" WHERE versions.id = {_id(place, 3)}"
    )
    delta = json.dumps({"changed": bomb_entries(place), "removed": []}).encode()
    meta = json.dumps({"session": uuid.hex(), "version": 3, "digest": digest.hex(), "delta": blake3(delta).hexdigest()})
    seal = FOREIGN.sign(b"listing", blake3(meta.encode()).digest())
    parts = VersionParts(FOREIGN.key_id, seal, meta.encode(), delta)
    place.append(listing_record(CLEAR, parts))
    place.sql("INSERT INTO listings VALUES (?, 1, 64, ?, ?, ?, ?)", values=(_id(place, 3), *parts))


@about_code
def a_second_copy_in_the_log_that_is_not_the_users(place: Place) -> None:
    parts, _ = forge(place, {"base": True}, entries=bomb_entries(place))
    end = place.pack.stat().st_size
    record = version_record(CLEAR, parts)
    place.append(record)
    place.sql(
        f"UPDATE versions SET meta = x'', pack = 1, offset = {end} WHERE id = {_id(place, 3)}",
        f"UPDATE packs SET used = {end + len(record)} WHERE number = 1",
    )


@about_code
def versions_that_changed_places(place: Place) -> None:
    one, three = _id(place, 1), _id(place, 3)
    place.sql(
        f"UPDATE versions SET id = 9999 WHERE id = {one}",
        f"UPDATE versions SET id = {one} WHERE id = {three}",
        f"UPDATE versions SET id = {three} WHERE id = 9999",
    )


@about_code
def a_version_with_another_number(place: Place) -> None:
    place.sql(f"UPDATE versions SET id = id + 6 WHERE id = {_id(place, 3)}", "UPDATE sessions SET head = 9, tip = 9")


@about_code
def the_list_of_one_version_under_the_seal_of_another(place: Place) -> None:
    place.sql(f"UPDATE versions SET pack = 0, delta = (SELECT delta FROM versions WHERE id = {_id(place, 1)})")


@about_code
def code_to_be_run_again_that_somebody_else_wrote(place: Place) -> None:
    code = f"import os; os.system('touch {place.canary}'); gone = 1"
    cell = {"code": code, "executionCount": 1, "line": 0, "index": 0, "rebuild": True}
    lost = {"name": "gone", "type": "int", "reason": "r", "remedy": "r", "cell": cell}
    put(place, *forge(place, {"skipped": [lost], "code": f"# %% [rebuild]\n{code}"}))


@about_code
def a_trust_and_a_key_that_came_with_the_folder(place: Place) -> None:
    the_folder_of_somebody_else(place)
    with _open(place.catalog) as db:
        (uuid,) = db.execute("SELECT uuid FROM sessions").fetchone()
        versions = {digest.hex(): id & 0xFFFF for id, digest in db.execute("SELECT id, digest FROM versions")}
    said = {"format": 1, "session": uuid.hex(), "document": "a.py", "workspace": "", "trustedAt": {}, "listings": []}
    (place.state / "trust").mkdir()
    (place.state / "trust" / f"{uuid.hex()}.json").write_text(json.dumps({**said, "versions": versions, "revoked": []}))
    (place.state / "key").write_bytes(b"f" * 32)
    (place.state / "sessions" / "a.py" / "metadata.json").write_text(json.dumps({"trusted": True}))


@about_code
def events_that_move_heads_and_sessions(place: Place) -> None:
    ((uuid,),) = place.rows("SELECT uuid FROM sessions WHERE key = CAST('b.py' AS BLOB)")
    moved = {
        "session": uuid.hex(),
        "key": "../../a.py",
        "trashed": None,
        "reason": None,
        "head": 1,
        "tip": 1,
        "next": 2,
    }
    place.append(event_record(CLEAR, [moved, {**moved, "key": "a.py", "trashed": "x", "reason": "y"}]))


@about_code
def events_of_wrong_types(place: Place) -> None:
    ((uuid,),) = place.rows("SELECT uuid FROM sessions WHERE key = CAST('a.py' AS BLOB)")
    event = {"session": uuid.hex(), "key": "a.py", "trashed": None, "reason": None, "head": 1, "tip": [1], "next": {}}
    for wrong in (
        event,
        {**event, "head": "1"},
        {**event, "session": "00" * 5000},
        {**event, "label": [[], {}]},
        {**event, "thinned": [["a", "b"]], "cuts": [], "at": 5},
        {**event, "key": 5},
    ):
        place.append(event_record(CLEAR, [wrong]))


# ---------------------------------------------------------------------------------------------- sizes


def unsealed(place: Place, changes: dict[str, Any]) -> None:
    put(place, *forge(place, changes))


@hostile
def code_of_a_terabyte_made_of_one_chunk(place: Place) -> None:
    leaf = b"#" * (256 << 10)
    blobs = [leaf]
    for _ in range(3):
        blobs.append(blake3(blobs[-1]).digest() * 128)
    for blob in blobs:
        end = place.pack.stat().st_size
        digest = blake3(blob).digest()
        place.append(record_header(CHUNK_RECORD, RAW, len(blob), len(blob), digest), blob)
        place.sql(
            "INSERT OR REPLACE INTO chunks VALUES (?, 1, ?, ?, ?, 0)", values=(digest, end + 64, len(blob), len(blob))
        )
    place.sql(f"UPDATE packs SET used = {place.pack.stat().st_size} WHERE number = 1")
    size = (256 << 10) * 128**3
    reference = base64.b64encode(struct.pack("<QB", size, 3) + blake3(blobs[-1]).digest()).decode()
    parts, _ = forge(place, {})
    document = json.loads(parts.meta)
    for name in ("code", "skipped", "environment"):
        document.pop(name, None)
        document[f"{name}Blob"] = reference
    meta = json.dumps(document).encode()
    put(place, parts._replace(meta=meta), blake3(meta).digest())


def bomb_of(size: int, byte: bytes = b"\0") -> bytes:
    """Return a zstd frame of so many times the same byte: four bytes for each 128 KiB."""
    block, blocks = 1 << 17, size >> 17
    headers = [((block << 3) | 2 | (number == blocks - 1)).to_bytes(3, "little") + byte for number in range(blocks)]
    return b"\x28\xb5\x2f\xfd\xa0" + size.to_bytes(4, "little") + b"".join(headers)


@hostile
def a_chunk_that_unpacks_to_gigabytes(place: Place) -> None:
    packed = bomb_of(2 << 30)
    end = place.pack.stat().st_size
    place.append(record_header(CHUNK_RECORD, ZSTD, (2 << 30), len(packed), b"d" * 32), packed)
    place.sql(
        f"UPDATE chunks SET pack = 1, offset = {end + 64}, stored = {len(packed)}, size = {2 << 30}, codec = 1",
        f"UPDATE packs SET used = {place.pack.stat().st_size} WHERE number = 1",
    )


@hostile
def a_chunk_in_the_tail_that_unpacks_to_gigabytes(place: Place) -> None:
    packed = bomb_of(2 << 30)
    place.append(record_header(CHUNK_RECORD, ZSTD, 2 << 30, len(packed), b"d" * 32), packed)


@hostile
def a_small_chunk_that_says_less_than_it_unpacks_to(place: Place) -> None:
    packed = bomb_of(1 << 30)
    packed = packed[:5] + (2000).to_bytes(4, "little") + packed[9:]
    end = place.pack.stat().st_size
    place.append(record_header(CHUNK_RECORD, ZSTD, 2000, len(packed), b"d" * 32), packed)
    place.sql(
        f"UPDATE chunks SET pack = 1, offset = {end + 64}, stored = {len(packed)}, size = 2000, codec = 1",
        f"UPDATE packs SET used = {place.pack.stat().st_size} WHERE number = 1",
    )


@hostile
def a_chunk_in_the_tail_that_takes_gigabytes_of_a_sparse_pack(place: Place) -> None:
    size = (4 << 30) - 1
    place.append(record_header(CHUNK_RECORD, RAW, size, size, b"d" * 32))
    os.truncate(place.pack, place.pack.stat().st_size + size)


@hostile
def a_version_record_that_unpacks_to_a_gigabyte(place: Place) -> None:
    packed = bomb_of(1 << 30, b"[")
    end = place.pack.stat().st_size
    place.append(record_header(VERSION_RECORD, ZSTD, 1 << 30, len(packed), b"d" * 32), packed)
    place.sql(f"UPDATE versions SET meta = x'', pack = 1, offset = {end} WHERE id = {_id(place, 3)}")


@hostile
def a_version_record_that_takes_gigabytes_of_a_sparse_pack(place: Place) -> None:
    end, size = place.pack.stat().st_size, (4 << 30) - 1
    place.append(record_header(VERSION_RECORD, RAW, size, size, b"d" * 32))
    os.truncate(place.pack, end + 64 + size)
    place.sql(
        f"UPDATE versions SET meta = x'', pack = 1, offset = {end} WHERE id = {_id(place, 3)}",
        f"UPDATE packs SET used = {end + 64 + size} WHERE number = 1",
    )


@hostile
def a_sparse_pack_of_a_terabyte_without_a_catalog(place: Place) -> None:
    place.catalog.unlink()
    os.truncate(place.pack, 1 << 40)


@hostile
def chunks_at_impossible_places(place: Place) -> None:
    big = (1 << 63) - 1
    place.sql(f"UPDATE chunks SET pack = -5, offset = {big}, stored = {big}, size = -1, codec = 77")


@hostile
def chunks_behind_the_end_of_the_pack(place: Place) -> None:
    place.sql("UPDATE chunks SET offset = 1099511627776")


@hostile
def metadata_as_deep_as_it_is_long(place: Place) -> None:
    meta = b"[" * (2 * MIB)
    put(place, VersionParts(FOREIGN.key_id, bytes(32), meta, b""), blake3(meta).digest())


@hostile
def metadata_of_thirty_megabytes(place: Place) -> None:
    meta = b"[" + b"[]," * (11 * MIB) + b"[]]"
    put(place, VersionParts(FOREIGN.key_id, bytes(32), meta, b""), blake3(meta).digest())


@hostile
def a_list_of_variables_of_thirty_megabytes(place: Place) -> None:
    delta = b'{"changed":[' + b"[]," * (11 * MIB) + b'[]],"removed":[]}'
    parts, _ = forge(place, {"delta": blake3(delta).hexdigest(), "base": True})
    put(place, parts._replace(delta=delta), blake3(parts.meta).digest())


@hostile
def numbers_that_are_no_numbers(place: Place) -> None:
    unsealed(place, {"runSeconds": float("inf"), "executionCount": 10**4000, "savedAt": float("nan")})


@hostile
def fields_of_wrong_types(place: Place) -> None:
    wrong = {
        "namesChanged": [{}, 5, None],
        "namesRemoved": "abc",
        "skipped": [5, {"name": []}],
        "line": {},
        "cell": "x",
    }
    unsealed(place, {**wrong, "environment": {"packages": [1], "python": {}}, "code": {"a": 1}, "filename": 5})


@hostile
def fields_that_are_missing(place: Place) -> None:
    ((uuid,),) = place.rows("SELECT uuid FROM sessions WHERE key = CAST('a.py' AS BLOB)")
    meta = json.dumps(
        {"session": uuid.hex(), "version": 3, "parent": None, "delta": blake3(b"{}").hexdigest()}
    ).encode()
    put(place, VersionParts(FOREIGN.key_id, bytes(32), meta, b"{}"), blake3(meta).digest())
    place.sql("INSERT INTO listings VALUES (?, 1, 64, x'', x'', x'7b7d', x'7b7d')", values=(_id(place, 3),))


@hostile
def three_thousand_versions(place: Place) -> None:
    place.sql(
        "WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)"
        " INSERT INTO versions SELECT id + i - 3, i - 1, 0, 1, 1, 1, 1, 64, 1, NULL, x'66', x'', digest, meta, delta"
        f" FROM n JOIN versions ON versions.id = {_id(place, 3)}"
    )
    place.sql("UPDATE sessions SET head = 3000, tip = 3000")


@hostile
def three_thousand_sessions(place: Place) -> None:
    place.sql(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)"
        " INSERT INTO sessions"
        " SELECT NULL, randomblob(16), CAST('s' || i AS BLOB), NULL, NULL, 1, 1, 2, 5, x'', x'' FROM n"
    )


@hostile
def texts_of_ten_megabytes(place: Place) -> None:
    place.sql(
        "UPDATE sessions SET key = zeroblob(10000000) WHERE key = CAST('b.py' AS BLOB)",
        "INSERT OR REPLACE INTO signers VALUES (x'66', zeroblob(10000000), zeroblob(10000000))",
    )


@hostile
def a_signer_who_writes_to_the_terminal(place: Place) -> None:
    place.sql(
        "INSERT INTO signers VALUES (?, ?, x'ff')", values=(FOREIGN.key_id, b"\x1b]0;you\x07 \x1b[2Jroot on here")
    )
    unsealed(place, {"environment": {"python": "\x1b[2J", "platform": "\x1b[31m"}})


# ---------------------------------------------------------------------------------------------- cycles


@hostile
def a_version_that_is_its_own_parent(place: Place) -> None:
    unsealed(place, {"parent": 3})
    place.sql(f"UPDATE versions SET parent = 3, base = 0 WHERE id = {_id(place, 3)}")


@hostile
def parents_in_a_circle(place: Place) -> None:
    place.sql(
        *(
            f"UPDATE versions SET parent = {4 - number}, base = 0 WHERE id = {_id(place, number)}"
            for number in (1, 2, 3)
        ),
        "UPDATE sessions SET head = 1, tip = 3",
    )


@hostile
def branches_of_each_other(place: Place) -> None:
    ((uuid,),) = place.rows("SELECT uuid FROM sessions WHERE key = CAST('a.py' AS BLOB)")
    unsealed(place, {"origin": {"session": uuid.hex(), "version": 3, "key": "a.py"}, "base": True})


@hostile
def lists_of_chunks_that_hold_themselves(place: Place) -> None:
    blob = b"".join(digest for (digest,) in place.rows("SELECT digest FROM chunks")).ljust(4096, b"x")
    end = place.pack.stat().st_size
    place.append(record_header(CHUNK_RECORD, RAW, len(blob), len(blob), blake3(blob).digest()), blob)
    place.sql("INSERT INTO chunks VALUES (?, 1, ?, ?, ?, 0)", values=(blake3(blob).digest(), end + 64, 4096, 4096))
    reference = base64.b64encode(b"r" + struct.pack("<QB", 1 << 50, 6) + blake3(blob).digest()).decode()
    entries = [["c1", ["x"], "f", "00" * 32, 1 << 50, {}, 3, reference]]
    put(place, *forge(place, {"base": True}, entries=entries))


# ---------------------------------------------------------------------------------------------- the catalog


@hostile
def columns_of_wrong_types(place: Place) -> None:
    place.sql(
        "UPDATE versions SET parent = 'x', base = x'00', pack = 1.5, label = 7, digest = 'text', signer = NULL",
        "UPDATE chunks SET pack = 'x', size = NULL, codec = 1e300",
        "UPDATE packs SET kind = 'log', used = x'ff'",
        "INSERT INTO thinned VALUES (4294967297, 'x', 9)",
    )


@hostile
def sessions_of_wrong_types(place: Place) -> None:
    place.sql("UPDATE sessions SET uuid = 5, key = key || '!', head = 'x', next = NULL, seal = 1.5")


@hostile
def keys_that_are_no_text(place: Place) -> None:
    place.sql(
        "UPDATE sessions SET key = x'fffe00', reason = x'ff' WHERE key = CAST('b.py' AS BLOB)",
        f"UPDATE versions SET label = x'ff' WHERE id = {_id(place, 3)}",
    )


@hostile
def a_store_without_an_identity(place: Place) -> None:
    place.sql(
        "UPDATE meta SET value = 5 WHERE name = 'store_id'", "INSERT OR REPLACE INTO meta VALUES ('rebuilding', 7)"
    )


@hostile
def a_trigger(place: Place) -> None:
    place.sql("CREATE TRIGGER t AFTER INSERT ON versions BEGIN UPDATE sessions SET head = 1; END")


@hostile
def a_view_called_like_a_table(place: Place) -> None:
    place.sql("ALTER TABLE versions RENAME TO v", "CREATE VIEW versions AS SELECT * FROM v")


@hostile
def a_generated_column(place: Place) -> None:
    place.sql(
        "ALTER TABLE thinned RENAME TO old",
        "CREATE TABLE thinned (id INTEGER PRIMARY KEY, last INTEGER, at BLOB AS (zeroblob(900000000)))",
    )


@hostile
def an_index_that_takes_a_gigabyte_for_each_row(place: Place) -> None:
    with _open(place.catalog) as db:  # as if the tables were empty: it is only filled when something is written
        db.execute("PRAGMA writable_schema = ON")
        db.execute(
            "INSERT INTO sqlite_master VALUES ('index', 'greedy', 'versions',"
            " (SELECT rootpage FROM sqlite_master WHERE name = 'live'),"
            " 'CREATE INDEX greedy ON versions (length(zeroblob(900000000) || id))')"
        )


@hostile
def a_virtual_table(place: Place) -> None:
    with _open(place.catalog) as db:
        db.execute("PRAGMA writable_schema = ON")
        db.execute(
            "INSERT INTO sqlite_master VALUES ('table', 'extra', 'extra', 0,"
            " 'CREATE VIRTUAL TABLE extra USING fts5(a, content=''versions'')')"
        )


@hostile
def a_catalog_of_noise(place: Place) -> None:
    place.sql()
    data = bytearray(place.catalog.read_bytes())
    for at in range(4096, len(data), 97):
        data[at] ^= 0xA5
    place.catalog.write_bytes(data)


@hostile
def a_catalog_that_is_no_database(place: Place) -> None:
    place.catalog.write_bytes(b"#!/bin/sh\ntouch " + os.fsencode(place.canary) + b"\n")


@hostile
def a_write_ahead_log_of_noise(place: Place) -> None:
    Path(f"{place.catalog}-wal").write_bytes(b"\x37\x7f\x06\x82" + os.urandom(40_000))


@hostile
def a_journal_that_has_a_file_outside_deleted(place: Place) -> None:
    victim = os.fsencode(place.outside / "precious")
    pages = place.catalog.stat().st_size // 4096
    nonce = 7
    header = b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + struct.pack(">IIIII", 0, nonce, pages, 512, 4096)
    tail = struct.pack(">I", 0x40000000 // 4096 + 1) + victim
    tail += struct.pack(">II", len(victim), sum(victim)) + b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"
    Path(f"{place.catalog}-journal").write_bytes(header.ljust(512, b"\0") + tail)


# ---------------------------------------------------------------------------------------------- files


def instead(path: Path, make: Callable[[Path], None]) -> None:
    """Put something else in a file's place."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    make(path)


def fifo(path: Path) -> None:
    os.mkfifo(path)


def listening(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # a socket's path has 108 bytes at most
    try:
        with socket.socket(socket.AF_UNIX) as endless:
            endless.bind(path.name)
    finally:
        os.chdir(here)


@hostile
def the_folder_is_a_link(place: Place) -> None:
    real = place.state.with_name(f"{place.state.name}-real")
    place.state.rename(real)
    place.state.symlink_to(real)


@hostile
def a_pack_that_is_a_link_to_a_file_outside(place: Place) -> None:
    instead(place.pack, lambda path: path.symlink_to(place.outside / "precious"))


@hostile
def a_pack_that_is_another_name_of_a_file_outside(place: Place) -> None:
    shutil.move(place.pack, place.outside / "pack")
    os.link(place.outside / "pack", place.pack)
    with _open(place.catalog) as db:  # what the catalog does not know of would be cut off
        db.execute("UPDATE packs SET used = used - 100")
        db.execute("DELETE FROM versions")
        db.execute("DELETE FROM chunks")


@hostile
def a_pack_that_is_a_pipe(place: Place) -> None:
    instead(place.pack, fifo)


@hostile
def packs_that_are_pipes_and_no_catalog(place: Place) -> None:
    instead(place.pack, fifo)
    place.catalog.unlink()


@hostile
def a_pack_that_is_a_socket(place: Place) -> None:
    instead(place.pack, listening)


@hostile
def a_pack_that_is_a_folder(place: Place) -> None:
    instead(place.pack, lambda path: path.mkdir())


@hostile
def packs_that_are_a_link_to_a_folder_outside(place: Place) -> None:
    instead(place.state / "packs", lambda path: path.symlink_to(place.outside))


@hostile
def a_draft_that_is_a_link_to_a_file_outside(place: Place) -> None:
    (place.state / "packs" / "000009.copy").symlink_to(place.outside / "precious")
    (place.state / "packs" / "000010.pack").symlink_to(place.outside / "new")


@hostile
def a_lock_that_is_a_link_to_a_file_outside(place: Place) -> None:
    instead(place.state / "lock", lambda path: path.symlink_to(place.outside / "precious"))


@hostile
def a_lock_that_is_another_name_of_a_file_outside(place: Place) -> None:
    instead(place.state / "lock", lambda path: os.link(place.outside / "precious", path))


@hostile
def a_lock_that_is_a_pipe(place: Place) -> None:
    instead(place.state / "lock", fifo)


@hostile
def a_catalog_that_is_a_pipe(place: Place) -> None:
    instead(place.catalog, fifo)


@hostile
def a_write_ahead_log_that_is_a_pipe(place: Place) -> None:
    instead(Path(f"{place.catalog}-wal"), fifo)


@hostile
def a_journal_that_is_a_pipe(place: Place) -> None:
    instead(Path(f"{place.catalog}-journal"), fifo)


@hostile
def a_catalog_that_is_another_name_of_a_database_outside(place: Place) -> None:
    shutil.move(place.catalog, place.outside / "database")
    os.link(place.outside / "database", place.catalog)


@hostile
def metadata_that_leads_outside(place: Place) -> None:
    instead(place.state / "sessions" / "a.py", lambda path: path.symlink_to(place.outside))


@hostile
def metadata_that_is_a_link_to_a_file_outside(place: Place) -> None:
    folder = place.state / "sessions" / "a.py"
    folder.mkdir(parents=True, exist_ok=True)
    instead(folder / "metadata.json", lambda path: path.symlink_to(place.outside / "precious"))


@hostile
def keys_that_lead_outside(place: Place) -> None:
    outside = os.fsencode(place.outside)
    for key in (b"../../precious", outside + b"/precious", b"a/../../../precious", b"@elsewhere/../../x", b""):
        place.sql(
            "INSERT INTO sessions SELECT NULL, randomblob(16), ?, NULL, NULL, head, tip, next, 1, signer, seal"
            " FROM sessions WHERE key = CAST('b.py' AS BLOB)",
            values=(key,),
        )


@hostile
def a_pack_of_another_store_and_one_of_a_strange_number(place: Place) -> None:
    packs = place.state / "packs"
    (packs / "000007.pack").write_bytes(pack_header(LOG, 7, b"s" * 16))
    (packs / "99999999999999999999.pack").write_bytes(pack_header(LOG, 7, b"s" * 16))
    (packs / "000008.pack").write_bytes(b"HOLDPACK" + zlib.crc32(b"").to_bytes(4, "little") * 14)
