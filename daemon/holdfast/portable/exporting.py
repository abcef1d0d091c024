"""From a saved version to one file that can be carried elsewhere."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from holdfast import __version__, protocol, stored
from holdfast.documents import Place
from holdfast.errors import HoldfastError, InvalidParams, NoVersion
from holdfast.kernel.portable.exporting import write_member
from holdfast.loading import Loaded, load
from holdfast.portable.reading import (
    FORMAT,
    FORMAT_VERSION,
    LARGEST_MANIFEST,
    MANIFEST,
    PLAIN,
    SIGNATURE,
    export_in,
    is_name,
)
from holdfast.portable.signing import signature_of
from holdfast.protocol import FilesWritten, Lost
from holdfast.saving import lost_entries, lost_list, visible
from holdfast.store.layout import Layout, OpenPacks
from holdfast.store.records import ComponentEntry, VersionRecord
from holdfast.store.store import Store, describe
from holdfast.translation import store_errors

if TYPE_CHECKING:
    from holdfast.workspace import Workspace

_ALL = 1 << 31


@dataclass
class _Version:
    """What of a version is exported."""

    loaded: Loaded
    way: list[VersionRecord]
    """The versions that led to it, newest first."""
    files: list[FilesWritten | None]
    """What the run of each wrote."""
    wanted: list[str]
    alone: list[str]
    failed: list[Lost]


class Exporting:
    """Answers `holdfast/state/export`."""

    def __init__(self, house: Workspace) -> None:
        self._house = house

    async def export(self, params: protocol.ExportParams) -> protocol.Transferred:
        """Write a saved version of a document into one file; no session is touched by it.

        Raises:
            InvalidParams: the file cannot be written there, or there are no such names. NoVersion, NotTrusted,
                StateDamaged: as they say. KernelFailed: the values could not be loaded. Nothing was written.
        """
        place = self._house.place(params.text_document)
        target = target_of(params.path, place, self._house.folder)
        plain = params.format == "json" or (params.format is None and target.suffix.lower() == ".json")
        _check_target(target, overwrite=params.overwrite)
        session = self._house.sessions.get(place.key)
        if session is not None:
            await session.saver.settled()
        version = await self._version(place, params)
        in_thread = asyncio.get_running_loop().run_in_executor
        try:
            with self._house.progress.work("Exporting", place.name) as work, _draft(target) as draft:
                work.note("loading what is saved")
                answer, failed = await self._written(place, version, draft, plain=plain)
                work.note("writing the file")
                manifest = _manifest(place, version, answer, failed)
                await in_thread(None, _finish_plain if plain else _finish, version, manifest, answer, draft)
                size = await in_thread(None, _put, draft, target)
        finally:
            version.loaded.close()
        return protocol.Transferred(
            path=str(target),
            variable_count=len(manifest["variables"]),
            bytes=size,
            failed=failed,
            version=version.loaded.record.version,
            message=_message(version.loaded.record, target, manifest, failed, plain=plain),
        )

    async def _version(self, place: Place, params: protocol.ExportParams) -> _Version:
        key, number = place.key, params.version

        def work(store: Store) -> tuple[Loaded | None, list[VersionRecord]]:
            return load(store, key, number), store.history(key, _ALL)

        with store_errors():
            loaded: Loaded | None = None
            if await self._house.archive.readable() is not None:
                loaded, history = await self._house.archive.run(work, create=False)
        if loaded is None:
            raise NoVersion(f"Nothing is saved for {place.key}, so there is nothing to export.")
        listed = {name: entry for entry in loaded.entries.values() for name in visible(entry.members)}
        skipped = {lost.name: lost for lost in lost_list(loaded.record.skipped)}
        wanted = sorted(name for name in listed if is_name(name) and name.strip("_"))
        failed = list(skipped.values())
        if params.names is not None:
            unknown = [name for name in params.names if name not in listed and name not in skipped]
            if unknown:
                raise InvalidParams(
                    f"Version {loaded.record.version} holds no {', '.join(unknown)}; nothing was exported.",
                    kind="noSuchName",
                )
            wanted = sorted(name for name in set(params.names) if name in listed)
            failed = [lost for name, lost in skipped.items() if name in params.names]
        alone = [name for name in wanted if len(listed[name].members) == 1]
        way = list(_way_to(loaded.record, history))
        runs = [stored.version_of(record) for record in way]
        await self._house.file_travel.describe(place, runs)
        return _Version(loaded, way, [run.files for run in runs], wanted, alone, failed)

    async def _written(
        self, place: Place, version: _Version, draft: Path, *, plain: bool
    ) -> tuple[dict[str, Any], list[Lost]]:
        """Have a kernel write the values; return its answer and what is not in the file."""
        house, loaded = self._house, version.loaded
        async with house.scratch(place) as scratch:
            await scratch.bring(loaded)
            lost = {each.name for each in scratch.failed}
            names = [name for name in version.wanted if name not in lost]
            answer = await scratch.ask(
                {"type": "export", "path": str(draft), "names": names, "alone": version.alone, "plain": plain}
            )
        failed = [*version.failed, *(each for each in scratch.failed if each.name in version.wanted)]
        there = {entry["name"] for entry in answer["variables"]} | {each.name for each in failed}
        failed += [
            Lost(name, "", "it could not be loaded", "Run the cell that made it again, and export again.")
            for name in version.wanted
            if name not in there
        ]
        return answer, failed


def _finish(version: _Version, manifest: dict[str, Any], answer: dict[str, Any], draft: Path) -> None:
    """Add pickles, manifest and signature to the values."""
    home = {member: entry for entry in version.loaded.entries.values() for member in entry.members}
    pickled = [entry["name"] for entry in manifest["variables"] if entry["form"] == "pickle"]
    with store_errors(), zipfile.ZipFile(draft, "a") as archive:
        for entry in _closure([home[name] for name in pickled], home, answer["refs"]):
            manifest["groups"].append(_group(archive, entry, version.loaded, manifest["members"]))
        text = _text_of(manifest)
        write_member(archive, MANIFEST, lambda sink: sink.write(text), text[:1024])
        signature = signature_of(text)
        write_member(archive, SIGNATURE, lambda sink: sink.write(signature))


def _text_of(manifest: dict[str, Any]) -> bytes:
    """Return a manifest as text; of a history that is too long to be read again, the oldest runs are left out."""
    while True:
        text = json.dumps(manifest, ensure_ascii=False, indent=1).encode("utf-8", "replace") + b"\n"
        if len(text) <= LARGEST_MANIFEST:
            return text
        if not manifest["history"]:
            raise HoldfastError("There are too many variables for one file; export some of them.", kind="tooMany")
        manifest["history"] = manifest["history"][: len(manifest["history"]) // 2]


def _group(
    archive: zipfile.ZipFile, entry: ComponentEntry, loaded: Loaded, members: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    names = []
    for slot, layout in enumerate(loaded.layouts(entry.id)):
        names.append(f"pickles/{entry.id}/{'stream' if slot == 0 else f'buffer-{slot - 1}'}")
        members[names[-1]] = _write_layout(archive, names[-1], layout, loaded.packs, describe(entry))
    stream, *buffers = names
    return {
        "id": entry.id,
        "members": list(entry.members),
        "names": visible(entry.members),
        "fingerprint": entry.fingerprint,
        "stream": stream,
        "buffers": buffers,
    }


def _write_layout(archive: zipfile.ZipFile, name: str, layout: Layout, packs: OpenPacks, what: str) -> dict[str, Any]:
    pieces = iter(layout.pieces)
    first = layout.inline or next((packs.read(piece, what) for piece in pieces), b"")

    def write(sink: Any) -> None:
        sink.write(first)
        for piece in pieces:
            sink.write(packs.read(piece, what))

    return write_member(archive, name, write, first)


def _closure(
    wanted: Sequence[ComponentEntry], home: Mapping[str, ComponentEntry], refs: Mapping[str, Sequence[str]]
) -> list[ComponentEntry]:
    """Return components and all that they cannot be loaded without."""
    found: dict[str, ComponentEntry] = {}
    work = list(wanted)
    while work:
        entry = work.pop()
        if entry.id not in found:
            found[entry.id] = entry
            work += [home[hidden] for hidden in refs.get(entry.id, ()) if hidden in home]
    return [found[identity] for identity in sorted(found)]


def _manifest(place: Place, version: _Version, answer: dict[str, Any], failed: list[Lost]) -> dict[str, Any]:
    record = version.loaded.record
    return {
        "format": FORMAT,
        "formatVersion": FORMAT_VERSION,
        "madeBy": f"holdfast {__version__}",
        "madeAt": datetime.now().astimezone().isoformat(timespec="milliseconds"),
        "source": {"document": place.name, "version": record.version, "savedAt": record.saved_at},
        "environment": record.environment,
        "counters": {
            "executionCount": max((entry.execution_count for entry in version.way), default=0),
            "version": record.version,
        },
        "variables": answer["variables"],
        "groups": [],
        "members": dict(answer["members"]),
        "skipped": lost_entries(failed),
        "history": [_run(entry, files) for entry, files in zip(version.way, version.files, strict=True)],
        "files": _files(version),
    }


def _way_to(record: VersionRecord, history: Sequence[VersionRecord]) -> Iterator[VersionRecord]:
    """Yield the versions that led to one, newest first; where some were removed, the next older one follows."""
    at: int | None = record.version
    for entry in history:
        if at is not None and entry.version <= at:
            yield entry
            at = entry.parent


def _files(version: _Version) -> list[dict[str, Any]]:
    """Return the files that the runs wrote, each as the last of them left it."""
    found: dict[str, dict[str, Any]] = {}
    for record, files in zip(version.way, version.files, strict=True):
        told = {} if files is None else attrs.asdict(files)
        for how in ("deleted", "changed", "created"):
            for path in told.get(how, ()):
                found.setdefault(path, {"path": path, "how": how, "version": record.version})
    return [found[path] for path in sorted(found)]


def _run(record: VersionRecord, files: FilesWritten | None) -> dict[str, Any]:
    told = {} if files is None else {"files": attrs.asdict(files)}
    return {
        "version": record.version,
        "parent": record.parent,
        "savedAt": record.saved_at,
        "code": record.code,
        "changed": list(record.names_changed),
        "removed": list(record.names_removed),
        "executionCount": record.execution_count,
        "duration": record.seconds * 1000,
        "label": record.label,
        **told,
    }


def _finish_plain(version: _Version, manifest: dict[str, Any], answer: dict[str, Any], draft: Path) -> None:
    """Make one JSON text of what was written."""
    head = {key: value for key, value in manifest.items() if key not in ("groups", "members", "variables")}
    head.update(format=PLAIN)
    with draft.with_name(draft.name + ".json").open("w", encoding="utf-8", errors="replace") as out:
        Path(out.name).chmod(0o600)
        with zipfile.ZipFile(draft) as archive:
            out.write(json.dumps(head, ensure_ascii=False, indent=1).removesuffix("\n}") + ',\n "variables": [')
            for at, entry in enumerate(manifest["variables"]):
                out.write(",\n  " if at else "\n  ")
                _write_plain(out.write, archive, dict(entry))
            out.write("\n ]\n}\n")
    Path(out.name).replace(draft)


def _write_plain(write: Callable[[str], object], archive: zipfile.ZipFile, entry: dict[str, Any]) -> None:
    copy, why = entry.pop("copy", None), entry.pop("why", None)
    told = entry if entry["form"] == "json" else copy if copy is not None and copy["form"] == "json" else None
    if entry["form"] == "pickle":
        entry["reason"] = why
    if told is None and copy is not None:
        entry["source"] = archive.read(copy["member"]).decode()
    value = None if told is None else archive.read(told["member"]).decode()
    for key in ("form", "member", "details"):
        entry.pop(key, None)
    text = json.dumps(entry, ensure_ascii=False)
    write(text if value is None else f'{text[:-1]}, "value": {value}}}')


def target_of(path: str, place: Place, folder: Path) -> Path:
    """Return the file that a path means, seen from a document.

    Raises:
        InvalidParams: it means none.
    """
    if not path or "\0" in path:
        raise InvalidParams(f"{path!r} is no path of a file; nothing was done.", kind="badPath")
    base = place.path.parent if place.path is not None else folder
    target = Path(os.path.normpath(base / path))
    try:
        is_folder = target.is_dir()
    except OSError as error:
        raise InvalidParams(
            f"{path[:200]!r} is no path ({error.strerror}); nothing was done.", kind="badPath"
        ) from error
    if is_folder:
        raise InvalidParams(f"{target} is a folder; name a file. Nothing was done.", kind="badPath")
    return target


def _check_target(target: Path, *, overwrite: bool) -> None:
    if not target.parent.is_dir():
        raise InvalidParams(f"There is no folder {target.parent}; nothing was exported.", kind="badPath")
    if not overwrite and os.path.lexists(target) and not _is_export(target):
        raise InvalidParams(
            f"{target} is there already and is no export; nothing was exported. Choose another name, or overwrite it.",
            kind="exists",
        )


def _is_export(path: Path) -> bool:
    """Whether a file may be replaced by an export without a question: it is one."""
    try:
        with path.open("rb") as file:
            if not file.read(1):
                return False
            file.seek(0)
            if zipfile.is_zipfile(file):
                export_in(file, path.name)
                return True
            file.seek(0)
            return f'"format": "{PLAIN}"'.encode() in file.read(4096)
    except (OSError, HoldfastError):
        return False


@contextmanager
def _draft(target: Path) -> Iterator[Path]:
    """Make a file beside the target, which is gone when the block is left unless it has become the target.

    Raises:
        HoldfastError: there can be none.
    """
    draft = target.with_name(f".{target.name[:100]}.{secrets.token_hex(4)}.partial")
    try:
        try:
            os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            yield draft
        except OSError as error:
            raise HoldfastError(
                f"{target} cannot be written ({error.strerror or error}); nothing was exported.", kind="unwritable"
            ) from error
    finally:
        draft.unlink(missing_ok=True)
        draft.with_name(draft.name + ".json").unlink(missing_ok=True)


def _put(draft: Path, target: Path) -> int:
    """Let a file appear whole in its place; return its size."""
    with draft.open("rb") as file:
        os.fsync(file.fileno())
    size = draft.stat().st_size
    draft.replace(target)
    return size


def _message(version: VersionRecord, target: Path, manifest: dict[str, Any], failed: list[Lost], *, plain: bool) -> str:
    count = len(manifest["variables"])
    message = f"Exported {count} {'variable' if count == 1 else 'variables'} of version {version.version} to {target}"
    pickled = [entry["name"] for entry in manifest["variables"] if entry["form"] == "pickle"]
    if pickled and plain:
        message += f"; JSON does not hold all that {len(pickled)} of them are ({_some(pickled)})"
    elif pickled:
        message += f"; {len(pickled)} of them as pickle ({_some(pickled)})"
    listed = {entry["name"] for entry in manifest["variables"]}
    along = sorted({name for group in manifest["groups"] for name in group["names"]} - listed)
    if along:
        message += f"; what they share objects with is in the file as well ({_some(along)})"
    if failed:
        message += f"; {len(failed)} could not be exported: {_some([lost.name for lost in failed])}"
    return message


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
