"""Reading an export, every byte of which may have been written by somebody who means harm.

Nothing is ever extracted to the disk. A file is read as far as its manifest says that it goes and no further, and is
used only when its digest is right.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from holdfast.errors import InvalidParams, StateDamaged

FORMAT = "holdfast export"
PLAIN = "holdfast json"
FORMAT_VERSION = 1
MANIFEST = "manifest.json"
SIGNATURE = "signature.json"
LARGEST_MANIFEST = 32 << 20
LARGEST_SIGNATURE = 1 << 16
MOST_MEMBERS = 200_000
PIECE = 4 << 20
JSON_WEIGHT = 25
"""Bytes of memory that a byte of JSON may take once it is read: `{},` is a dict and a place in a list."""
_UNKNOWN_MEMORY = 8 << 30
"""Bytes that are taken to be free where nobody can tell."""
_FAULTS = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, KeyError)


def damaged(what: str, kind: str) -> StateDamaged:
    """Return the error for an export that is not to be used."""
    return StateDamaged(f"{what} Nothing was imported; export it again where it comes from.", detail=kind)


@dataclass(frozen=True)
class Member:
    """A file in an export, as its manifest describes it."""

    name: str
    size: int
    sha256: str


class Export:
    """An export that is open for reading; made by `opened`.

    Attributes:
        manifest: what it says of itself.
        manifest_bytes: the text of that, which is what is signed.
        signature: who says so.
    """

    def __init__(self, archive: zipfile.ZipFile, infos: dict[str, zipfile.ZipInfo], name: str) -> None:
        self._archive = archive
        self._infos = infos
        self._name = name
        self.manifest_bytes = self._small(MANIFEST, LARGEST_MANIFEST)
        self.manifest = self._checked(self.manifest_bytes)
        self.members = self._members(self.manifest)
        self.signature: Mapping[str, Any] | None = None
        if SIGNATURE in infos:
            told = self._json(self._small(SIGNATURE, LARGEST_SIGNATURE), SIGNATURE)
            self.signature = told if isinstance(told, dict) else {}

    @property
    def weight(self) -> int:
        """Bytes of memory that all of it may take."""
        return sum(
            member.size * (JSON_WEIGHT if member.name.endswith(".json") else 1) for member in self.members.values()
        )

    def pieces(self, name: str) -> Iterator[bytes]:
        """Yield a file piece by piece; it is to be used only when all pieces have come.

        Raises:
            StateDamaged: it is not what the manifest says.
        """
        member = self.members[name]
        digest, left = hashlib.sha256(), member.size
        try:
            with self._archive.open(self._infos[name]) as file:
                while data := file.read(min(PIECE, left + 1)):
                    left -= len(data)
                    if left < 0:
                        break
                    digest.update(data)
                    yield data
        except (*_FAULTS, OSError) as error:
            raise damaged(f"{name} in {self._name} cannot be read ({error}).", "unreadable") from error
        if left:
            raise damaged(f"{name} in {self._name} has another size than its manifest says.", "size")
        if digest.hexdigest() != member.sha256:
            raise damaged(f"{name} in {self._name} is not what was exported: its SHA-256 is another.", "digest")

    def read(self, name: str) -> bytes:
        """Return a file; raises as `pieces` does."""
        return b"".join(self.pieces(name))

    def verify(self) -> None:
        """Read everything once, and compare it with its digests; raises as `pieces` does."""
        for name in self.members:
            for _ in self.pieces(name):
                pass

    def _small(self, name: str, most: int) -> bytes:
        info = self._infos.get(name)
        if info is None:
            raise damaged(f"{self._name} is no export of Holdfast: it has no {name}.", "noManifest")
        if info.file_size > most:
            raise damaged(f"{name} in {self._name} is too large.", "size")
        try:
            with self._archive.open(info) as file:
                data = file.read(most + 1)
        except (*_FAULTS, OSError) as error:
            raise damaged(f"{name} in {self._name} cannot be read ({error}).", "unreadable") from error
        if len(data) != info.file_size:
            raise damaged(f"{name} in {self._name} has another size than the zip says.", "size")
        return data

    def _json(self, data: bytes, what: str) -> Any:
        try:
            return json.loads(data)
        except (ValueError, RecursionError) as error:
            raise damaged(f"{what} in {self._name} is not JSON ({error}).", "manifest") from error

    def _checked(self, data: bytes) -> dict[str, Any]:
        manifest = self._json(data, MANIFEST)
        check_format(manifest, FORMAT, self._name)
        check_variables(manifest, self._name)
        return dict(manifest)

    def _members(self, manifest: Mapping[str, Any]) -> dict[str, Member]:
        listed = manifest.get("members")
        if not isinstance(listed, dict):
            raise damaged(f"The manifest of {self._name} does not say which files there are.", "manifest")
        members = {}
        for name, about in listed.items():
            size, digest = (about.get("size"), about.get("sha256")) if isinstance(about, dict) else (None, None)
            if type(size) is not int or size < 0 or not isinstance(digest, str):
                raise damaged(f"The manifest of {self._name} says nothing of {name[:100]!r}.", "manifest")
            members[name] = Member(name, size, digest)
        there = self._infos.keys() - {MANIFEST, SIGNATURE}
        for name in sorted(there - members.keys()):
            raise damaged(f"{self._name} holds {name[:100]!r}, which its manifest does not name.", "unlisted")
        for name in sorted(members.keys() - there):
            raise damaged(f"{self._name} does not hold {name[:100]!r}, which its manifest names.", "missing")
        for name, member in members.items():
            if self._infos[name].file_size != member.size:
                raise damaged(f"{name} in {self._name} has another size than its manifest says.", "size")
        for name in used_members(manifest):
            if name not in members:
                raise damaged(f"A value in {self._name} lies in {name[:100]!r}, which is not there.", "missing")
        return members


def check_format(document: Any, wanted: str, name: str) -> None:
    """Find out whether a document is one that can be read here.

    Raises:
        StateDamaged: it is not, or is of a later version.
    """
    if not isinstance(document, dict) or document.get("format") != wanted:
        raise damaged(f"{name} is no export of Holdfast.", "format")
    version = document.get("formatVersion")
    if type(version) is not int or version < 1:
        raise damaged(f"{name} does not say of which version it is.", "format")
    if version > FORMAT_VERSION:
        raise StateDamaged(
            f"{name} was exported by a newer Holdfast (format {version}; this one reads up to {FORMAT_VERSION}). "
            "Nothing was imported; install that version.",
            detail="newer",
        )


def check_variables(document: Mapping[str, Any], name: str) -> None:
    """Find out whether what a document says of its variables has the right types.

    Raises:
        StateDamaged: it has not.
    """
    variables, groups = document.get("variables"), document.get("groups", [])
    fine = isinstance(variables, list) and isinstance(groups, list)
    fine = fine and all(isinstance(entry, dict) for entry in [*variables, *groups])  # type: ignore[misc]
    if not fine or not all(_is_fine(entry) for entry in variables or []) or not all(map(_is_group, groups)):
        raise damaged(f"What {name} says of its variables cannot be understood.", "manifest")
    names = [entry["name"] for entry in variables or []]
    if len(set(names)) != len(names):
        raise damaged(f"{name} holds a variable twice.", "duplicate")
    for variable in names:
        if not is_name(variable):
            raise damaged(f"{name} holds {variable[:100]!r}, which is no name of a variable.", "name")


def is_name(text: str) -> bool:
    """Whether a variable can have this name."""
    return text.isidentifier() and text not in ("None", "True", "False", "__debug__")


def _is_fine(entry: Mapping[str, Any]) -> bool:
    return (
        isinstance(entry.get("name"), str)
        and isinstance(entry.get("form", ""), str)
        and isinstance(entry.get("member", ""), str)
        and isinstance(entry.get("details", {}), dict)
        and ("copy" not in entry or (isinstance(entry["copy"], dict) and _is_fine({"name": "", **entry["copy"]})))
    )


def _is_group(group: Mapping[str, Any]) -> bool:
    texts = [group.get("id"), group.get("fingerprint"), group.get("stream")]
    lists = [group.get("members"), group.get("buffers")]
    return all(isinstance(text, str) for text in texts) and all(
        isinstance(items, list) and all(isinstance(item, str) for item in items) for items in lists
    )


def used_members(manifest: Mapping[str, Any]) -> Iterator[str]:
    """Yield the files in which values lie."""
    for entry in manifest["variables"]:
        for told in (entry, entry.get("copy", {})):
            if "member" in told:
                yield told["member"]
    for group in manifest.get("groups", []):
        yield group["stream"]
        yield from group["buffers"]


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open what somebody wants to import.

    Raises:
        InvalidParams: there is no such file, or it cannot be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InvalidParams(f"{path} cannot be read ({reason}); nothing was imported.", kind="badPath") from error
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise InvalidParams(f"{path} is not a file; nothing was imported.", kind="badPath")
        yield file


def export_in(file: BinaryIO, name: str) -> Export:
    """Return the export that a file is; its members are not read yet.

    Raises:
        StateDamaged: it is none, or one made to do harm.
    """
    try:
        archive = zipfile.ZipFile(file)
    except (*_FAULTS, OSError) as error:
        raise damaged(f"{name} is no export of Holdfast ({error}).", "format") from error
    infos: dict[str, zipfile.ZipInfo] = {}
    if len(archive.infolist()) > MOST_MEMBERS:
        raise damaged(f"{name} holds more files than any export does.", "bomb")
    for info in archive.infolist():
        _check(info, name)
        if info.filename in infos:
            raise damaged(f"{name} holds {info.filename[:100]!r} twice.", "duplicate")
        infos[info.filename] = info
    _check_places(infos.values(), name)
    return Export(archive, infos, name)


def plain_in(file: BinaryIO, name: str) -> dict[str, Any]:
    """Return the plain JSON export that a file is.

    Raises:
        StateDamaged: it is none.
    """
    size = os.fstat(file.fileno()).st_size
    check_weight(size * JSON_WEIGHT, name)
    file.seek(0)
    try:
        document = json.loads(file.read(size))
    except (ValueError, RecursionError) as error:
        raise damaged(f"{name} is no export of Holdfast ({error}).", "format") from error
    check_format(document, PLAIN, name)
    check_variables(document, name)
    return dict(document)


def _check(info: zipfile.ZipInfo, name: str) -> None:
    inner = info.filename
    # What `zipfile` has changed in the name (a NUL, another separator) was there to deceive somebody.
    path = PurePosixPath(inner)
    if (
        not inner
        or inner != info.orig_filename
        or path.is_absolute()
        or ".." in path.parts
        or "\\" in inner
        or ":" in inner
        or not inner.isprintable()
        or inner.endswith("/")
        or path.as_posix() != inner
    ):
        raise damaged(f"{name} holds a file with the name {inner[:100]!r}, which no export has.", "path")
    mode = info.external_attr >> 16
    if mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        raise damaged(f"{inner} in {name} is a link or a device, no file.", "symlink")
    if info.flag_bits & 1:
        raise damaged(f"{inner} in {name} is encrypted; Holdfast reads no encrypted zips.", "encrypted")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise damaged(f"{inner} in {name} is compressed in a way that exports are not.", "compression")


def _check_places(infos: Any, name: str) -> None:
    """Several files in the same bytes are how a small zip becomes a large one."""
    end = 0
    for info in sorted(infos, key=lambda info: int(info.header_offset)):
        if info.header_offset < end:
            raise damaged(f"{info.filename} in {name} lies over another file.", "bomb")
        end = info.header_offset + 30 + len(info.filename.encode()) + info.compress_size


def check_weight(weight: int, name: str) -> None:
    """Find out whether there is room in memory for what an export says that it holds.

    Raises:
        StateDamaged: there is not.
    """
    free = free_memory()
    if weight > free:
        raise StateDamaged(
            f"{name} says that it holds more ({weight:,} bytes of memory) than there is room for here ({free:,}); "
            "nothing was imported. Import some of its names elsewhere, and export these.",
            detail="bomb",
        )


def free_memory() -> int:
    """Return how many bytes of memory a process could take now."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, ValueError, StopIteration):
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError, AttributeError):
        return _UNKNOWN_MEMORY
