"""Read an exported session without a daemon, and without pickle: ``read("session.holdfast")["prices"]``.

An export may have been written by anybody. Nothing in it is run: what is pickled is named in `Portable.failed`, and
can be imported into a session with `holdfast import`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from holdfast.kernel.portable import forms, values
from holdfast.portable.reading import check_weight, export_in, opened, plain_in


@dataclass
class Portable(Mapping[str, Any]):
    """The variables of an export.

    Attributes:
        manifest: What the export says of itself: where it comes from, the runs that led to it, each variable.
        failed: The variables that were not read, and why.
    """

    manifest: dict[str, Any]
    variables: dict[str, Any] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        if name in self.failed:
            raise KeyError(f"{name}: {self.failed[name]}")
        return self.variables[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.variables)

    def __len__(self) -> int:
        return len(self.variables)


def read(path: str | os.PathLike[str], *, names: Collection[str] | None = None, copies: bool = False) -> Portable:
    """Return the variables of an export that are in an open form; nothing is unpickled.

    Args:
        names: Only these.
        copies: Read also the copies of what is pickled; they share nothing with others, and of a function or class
            the copy is its text.

    Raises:
        holdfast.errors.InvalidParams: There is no such file.
        holdfast.errors.StateDamaged: It is no export, or not as it was written.
    """
    file = Path(path)
    with opened(file) as stream:
        if stream.read(1) == b"{":
            return _read_plain(plain_in(stream, file.name), names)
        export = export_in(stream, file.name)
        check_weight(export.weight, file.name)
        found = Portable(export.manifest)
        for entry in export.manifest["variables"]:
            name, told = entry["name"], entry
            if names is not None and name not in names:
                continue
            if entry["form"] == "pickle":
                told = entry.get("copy") if copies else None
                if told is None:
                    found.failed[name] = "it is pickled, and nothing is unpickled here"
                    continue
            data = export.read(told["member"]) if "member" in told else b""
            _take(found, name, told, data)
        return found


def _take(found: Portable, name: str, told: Mapping[str, Any], data: bytes) -> None:
    if told["form"] == "source":
        found.variables[name] = data.decode()
        return
    try:
        found.variables[name] = forms.read(told["form"], told.get("details", {}), data)
    except values.MissingLibrary as error:
        found.failed[name] = f"it needs {error.name}, which can't be imported here"
    except values.NotExact as error:
        found.failed[name] = f"it is the module {error}, which is not imported"
    except values.Damaged as error:
        found.failed[name] = f"its bytes are damaged: {error}"


def _read_plain(document: dict[str, Any], names: Collection[str] | None) -> Portable:
    found = Portable(document)
    for entry in document["variables"]:
        name = entry["name"]
        if names is not None and name not in names:
            continue
        if "value" in entry:
            _take(found, name, {"form": "json"}, json.dumps(entry["value"]).encode())
        else:
            found.failed[name] = str(entry.get("reason", "the file has no value of it"))
    return found


__all__ = ["Portable", "read"]
