"""Exports as somebody might make them who means harm."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import struct
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

VALUE = b"[1,2,3]"


class Bomb:
    """Unpickled, it leaves a mark."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return (open, (str(self.mark), "w"))


def noted(data: bytes) -> dict[str, Any]:
    return {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def manifest(contents: Mapping[str, bytes], **more: Any) -> dict[str, Any]:
    """A manifest that is right."""
    return {
        "format": "holdfast export",
        "formatVersion": 1,
        "variables": [{"name": "x", "type": "list", "preview": "", "form": "json", "member": "values/1.json"}],
        "groups": [],
        "members": {name: noted(data) for name, data in contents.items()},
        "history": [],
    } | more


def write(
    path: Path, told: Any, members: Mapping[str, bytes], change: Callable[[zipfile.ZipFile], None] | None = None
) -> None:
    """Write an export; `change` may add to it."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", told if isinstance(told, (str, bytes)) else json.dumps(told))
        for name, data in members.items():
            archive.writestr(name, data)
        if change is not None:
            change(archive)


def good(path: Path) -> None:
    """An export that can be imported: `x = [1, 2, 3]`."""
    write(path, manifest({"values/1.json": VALUE}), {"values/1.json": VALUE})


def _named(name: str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        members = {"values/1.json": VALUE, name: b"evil"}
        write(path, manifest(members), members)

    return make


def _other(**more: Any) -> Callable[[Path], None]:
    return lambda path: write(path, manifest({"values/1.json": VALUE}, **more), {"values/1.json": VALUE})


def _entry(**more: Any) -> Callable[[Path], None]:
    told = {"name": "x", "type": "", "preview": "", "form": "json", "member": "values/1.json", **more}
    return _other(variables=[told])


def _symlink(path: Path) -> None:
    members = {"values/1.json": VALUE, "values/2.json": b"/etc/passwd"}

    def change(archive: zipfile.ZipFile) -> None:
        info = zipfile.ZipInfo("values/2.json")
        info.create_system, info.external_attr = 3, 0o120777 << 16
        archive.writestr(info, b"/etc/passwd")

    write(path, manifest(members), {"values/1.json": VALUE}, change)


def _twice(path: Path) -> None:
    members = {"values/1.json": VALUE, "values/2.json": VALUE}
    write(path, manifest(members), members)
    path.write_bytes(path.read_bytes().replace(b"values/2.json", b"values/1.json"))


def _bomb(path: Path) -> None:
    """It says what it holds, and it is more than any machine has."""
    members = {f"values/{number}.json": VALUE for number in range(50)}
    told = manifest(members)
    for about in told["members"].values():
        about["size"] = 0xFFFFFFF0
    write(path, told, members)
    for name in members:
        _patch_sizes(path, name, 0xFFFFFFF0)


def _hidden_bomb(path: Path) -> None:
    """A gigabyte that says that it is seven bytes."""
    data = bytes(1 << 26)
    write(path, manifest({"values/1.json": VALUE}), {"values/1.json": data})
    _patch_sizes(path, "values/1.json", len(VALUE))


def _patch_sizes(path: Path, name: str, size: int) -> None:
    """Let the zip say another uncompressed size, in both places."""
    data = bytearray(path.read_bytes())
    encoded = name.encode()
    for magic, at in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        start = -1
        while (start := data.find(magic, start + 1)) >= 0:
            head = 30 if magic == b"PK\x03\x04" else 46
            if data[start + head : start + head + len(encoded)] == encoded:
                struct.pack_into("<I", data, start + at, size)
    path.write_bytes(data)


def _overlap(path: Path) -> None:
    members = {"values/1.json": VALUE, "values/2.json": VALUE}
    write(path, manifest(members), members)
    data = bytearray(path.read_bytes())
    entries = [at for at in range(len(data)) if data.startswith(b"PK\x01\x02", at)]
    (offset,) = struct.unpack_from("<I", data, entries[1] + 42)
    struct.pack_into("<I", data, entries[2] + 42, offset)
    path.write_bytes(data)


def _encrypted(path: Path) -> None:
    good(path)
    data = bytearray(path.read_bytes())
    for magic, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = data.rfind(magic)
        data[start + at] |= 1
    path.write_bytes(data)


def _digest(path: Path) -> None:
    told = manifest({"values/1.json": VALUE})
    write(path, told, {"values/1.json": b"[1,2,4]"})


def _truncated(path: Path) -> None:
    good(path)
    path.write_bytes(path.read_bytes()[:-40])


def _flipped(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("manifest.json", json.dumps(manifest({"values/1.json": VALUE})))
        archive.writestr("values/1.json", VALUE)
    path.write_bytes(path.read_bytes().replace(VALUE, b"[1,2,9]"))


def _compressed(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("manifest.json", json.dumps(manifest({"values/1.json": VALUE})))
        archive.writestr("values/1.json", VALUE)


def _plain(text: str) -> Callable[[Path], None]:
    return lambda path: path.write_text(text, encoding="utf-8") and None


HOSTILE: dict[str, tuple[Callable[[Path], None], str]] = {
    "an absolute name": (_named("/tmp/evil"), "path"),
    "a name that leads up": (_named("values/../../evil"), "path"),
    "a name that is only dots": (_named(".."), "path"),
    "a name with a drive": (_named("C:evil"), "path"),
    "a name with backslashes": (_named("values\\..\\evil"), "path"),
    "a folder": (_named("values/evil/"), "path"),
    "a name that is not normal": (_named("values//evil"), "path"),
    "a name with control characters": (_named("values/\x1b[2J"), "path"),
    "a symbolic link": (_symlink, "symlink"),
    "a file twice": (_twice, "duplicate"),
    "files in the same place": (_overlap, "bomb"),
    "more than there is memory": (_bomb, "bomb"),
    "more than it says": (_hidden_bomb, "unreadable"),
    "an encrypted file": (_encrypted, "encrypted"),
    "another compression": (_compressed, "compression"),
    "another digest": (_digest, "digest"),
    "a flipped bit": (_flipped, "unreadable"),
    "the end cut off": (_truncated, "format"),
    "no zip at all": (lambda path: path.write_bytes(b"\x80\x05."), "format"),
    "an empty file": (lambda path: path.write_bytes(b""), "format"),
    "a zip that is no export": (lambda path: write(path, {"format": "other"}, {}), "format"),
    "no manifest": (lambda path: zipfile.ZipFile(path, "w").close(), "noManifest"),
    "a manifest that is no JSON": (lambda path: write(path, "{", {}), "manifest"),
    "a manifest that is a list": (lambda path: write(path, [], {}), "format"),
    "a manifest nested without end": (lambda path: write(path, "[" * 200_000, {}), "manifest"),
    "a later format": (_other(formatVersion=2), "newer"),
    "no version": (_other(formatVersion="1"), "format"),
    "a file that is not listed": (
        lambda path: write(path, manifest({"values/1.json": VALUE}), {"values/1.json": VALUE, "values/2": b""}),
        "unlisted",
    ),
    "a file that is not there": (
        lambda path: write(path, manifest({"values/1.json": VALUE, "values/2": b""}), {"values/1.json": VALUE}),
        "missing",
    ),
    "a size that is another": (
        lambda path: write(path, manifest({"values/1.json": VALUE + b" "}), {"values/1.json": VALUE}),
        "size",
    ),
    "a size that is negative": (
        _other(members={"values/1.json": {"size": -1, "sha256": ""}}),
        "manifest",
    ),
    "members that are none": (_other(members=[]), "manifest"),
    "variables that are none": (_other(variables={"x": 1}), "manifest"),
    "a variable without a name": (_entry(name=None), "manifest"),
    "a name that is no name": (_entry(name="x y"), "name"),
    "a name that is a constant": (_entry(name="None"), "name"),
    "a value in the manifest itself": (_entry(member="manifest.json"), "missing"),
    "details that are none": (_entry(details=[]), "manifest"),
    "a variable twice": (_other(variables=[{"name": "x", "form": "module"}] * 2), "duplicate"),
    "groups that are none": (_other(groups=[{"id": 1}]), "manifest"),
    "JSON that is no export": (_plain('{"variables": []}'), "format"),
    "JSON of a later format": (_plain('{"format": "holdfast json", "formatVersion": 9}'), "newer"),
    "JSON that is cut off": (_plain('{"format": "holdfast json", "formatVersion": 1, "variables": ['), "format"),
    "JSON nested without end": (_plain('{"a":' * 200_000), "format"),
}
"""By what is wrong: what makes such a file, and what its refusal says (`detail`)."""


def with_bomb(path: Path, mark: Path, signature: Any = None) -> None:
    """An export whose pickle leaves a mark when it is loaded; `x` is in an open form, `y` in the pickle."""
    stream = io.BytesIO()
    pickle.Pickler(stream, 5).dump(Bomb(mark))
    members = {"values/1.json": VALUE, "pickles/a/stream": stream.getvalue()}
    group = {
        "id": "a",
        "members": ["y"],
        "names": ["y"],
        "fingerprint": "f",
        "stream": "pickles/a/stream",
        "buffers": [],
    }
    told = manifest(members, groups=[group])
    told["variables"].append({"name": "y", "type": "Bomb", "preview": "", "form": "pickle", "why": ""})

    def change(archive: zipfile.ZipFile) -> None:
        if signature is not None:
            archive.writestr("signature.json", json.dumps(signature))

    write(path, told, members, change)
