"""The kernel's part of an export: values that have an open form are written, one file of a zip each."""

from __future__ import annotations

import hashlib
import time
import zipfile
import zlib
from collections.abc import Callable, Collection, Mapping
from typing import Any

from . import forms
from .forms import Told
from .values import NotExact

LARGEST_COPY = 64 << 20
"""Bytes; a copy that is only to be read is not made of what is larger."""
PAYS = 0.9
"""Of the size of a sample: what compression has to make of it."""


class Exporter:
    """Writes values of one session.

    Args:
        archive: the file that is written.
        plain: only JSON is wanted.
    """

    def __init__(self, archive: zipfile.ZipFile, *, plain: bool = False) -> None:
        self._archive = archive
        self._plain = plain
        self.members: dict[str, dict[str, Any]] = {}

    def export(
        self, variables: Mapping[str, Any], alone: Collection[str], summarize: Callable[[str, Any], dict[str, Any]]
    ) -> list[dict[str, Any]]:
        """Write variables and return what the manifest says of each.

        Args:
            alone: those that share no object with others.
        """
        return [self._entry(name, value, name in alone, summarize) for name, value in variables.items()]

    def _entry(
        self, name: str, value: Any, alone: bool, summarize: Callable[[str, Any], dict[str, Any]]
    ) -> dict[str, Any]:
        entry = {key: item for key, item in summarize(name, value).items() if key != "cell"}
        reason = "it shares objects with other variables, or with functions and classes"
        if alone:
            try:
                told = forms.tell(value, plain=self._plain)
                if told.form == "json" or not self._plain:
                    return {**entry, **self._written(name, told)}
                reason = f"the plain JSON form has no word for {entry['type']}"
            except NotExact as error:
                reason = str(error)
        entry.update(form="pickle", why=reason)
        copy = self._copy(value)
        if copy is not None:
            entry["copy"] = self._written(f"{name}.copy", copy)
        return entry

    def _copy(self, value: Any) -> Told | None:
        """Return a value as far as it can be read without pickle."""
        try:
            told = forms.source(value) or forms.tell(value, separate=True, plain=self._plain)
        except NotExact:
            return None
        if told.form == "module" or told.size > LARGEST_COPY or (self._plain and told.form not in ("json", "source")):
            return None
        return told

    def _written(self, name: str, told: Told) -> dict[str, Any]:
        entry: dict[str, Any] = {"form": told.form, **({"details": told.details} if told.details else {})}
        if told.suffix:
            member = f"values/{len(self.members) + 1}{f'-{name}' if name.isascii() else ''}{told.suffix}"
            entry["member"] = member
            self.members[member] = write_member(self._archive, member, told.write, told.sample)
        return entry


class _Hashing:
    def __init__(self, sink: Any) -> None:
        self._sink = sink
        self._digest = hashlib.sha256()
        self._size = 0

    def write(self, data: Any, /) -> int:
        """Write bytes, and count and digest them."""
        self._digest.update(data)
        size = memoryview(data).nbytes
        self._size += size
        self._sink.write(data)
        return size

    def noted(self) -> dict[str, Any]:
        """Return what the manifest says of all that was written."""
        return {"size": self._size, "sha256": self._digest.hexdigest()}


def write_member(
    archive: zipfile.ZipFile, name: str, write: Callable[[Any], object], sample: bytes = b""
) -> dict[str, Any]:
    """Add a file to a zip; return its size and digest as the manifest has them.

    Args:
        sample: of what is written: compressed is what can be.
    """
    info = zipfile.ZipInfo(name, time.localtime()[:6])
    info.external_attr = 0o600 << 16
    pays = len(zlib.compress(sample, 1)) < PAYS * len(sample)
    info.compress_type = zipfile.ZIP_DEFLATED if pays else zipfile.ZIP_STORED
    info._compresslevel = 1  # type: ignore[attr-defined]
    with archive.open(info, "w", force_zip64=True) as file:
        sink = _Hashing(file)
        write(sink)
    return sink.noted()
