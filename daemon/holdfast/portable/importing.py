"""From an export to one new version of a document: the values are made in its kernel, and saved as those of a run."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from holdfast import protocol
from holdfast.errors import HoldfastError, InvalidParams, NotTrusted
from holdfast.portable.exporting import target_of
from holdfast.portable.reading import (
    PIECE,
    Export,
    check_weight,
    export_in,
    opened,
    plain_in,
)
from holdfast.portable.signing import Signer, is_trusted_signer, signer_of
from holdfast.protocol import Lost
from holdfast.runtimes.base import Kernel
from holdfast.saving import lost_list
from holdfast.session import Session
from holdfast.store.errors import StoreError
from holdfast.translation import store_errors

if TYPE_CHECKING:
    from holdfast.workspace import Workspace

logger = logging.getLogger(__name__)


@dataclass
class _Plan:
    """What is to be brought, and what is not.

    Attributes:
        told: variables in an open form, with what is said of each.
        pickled: variables that come by pickle.
        groups: what these are made of.
    """

    told: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    pickled: list[str] = field(default_factory=list)
    groups: list[Mapping[str, Any]] = field(default_factory=list)
    failed: list[Lost] = field(default_factory=list)
    environment: Mapping[str, Any] = field(default_factory=dict)
    trusted: bool = False


class Importing:
    """Answers `holdfast/state/import`."""

    def __init__(self, house: Workspace) -> None:
        self._house = house

    async def import_(self, params: protocol.ImportParams) -> protocol.Transferred:
        """Bring the variables of an export into a document, as one new version; once begun it is done to its end.

        Raises:
            InvalidParams: there is no such file, or no such name in it. StateDamaged: it is no export that can be
                read. NotTrusted: it was changed since it was signed. Busy: a cell runs. KernelFailed: there is no
                kernel, or it died. Nothing was changed.
        """
        return await asyncio.shield(asyncio.ensure_future(self._import(params)))

    async def _import(self, params: protocol.ImportParams) -> protocol.Transferred:
        place = self._house.place(params.text_document)
        path = target_of(params.path, place, self._house.folder)
        in_thread = asyncio.get_running_loop().run_in_executor
        with self._house.progress.work("Importing", path.name) as work, opened(path) as file:
            size = os.fstat(file.fileno()).st_size
            work.note("checking the file")
            source = await in_thread(None, _source, file, path)
            plan = await in_thread(None, source.plan, params)
            if plan.told or plan.pickled:
                work.note("making the values")
                session = self._house.attach(params.text_document)
                return await session.take_in(
                    lambda kernel: self._bring(session, kernel, source, plan, params, path, size)
                )
        message = f"{path.name} holds nothing that can be imported; nothing was changed"
        return protocol.Transferred(str(path), 0, size, message, plan.failed)

    async def _bring(
        self,
        session: Session,
        kernel: Kernel,
        source: _Source,
        plan: _Plan,
        params: protocol.ImportParams,
        path: Path,
        size: int,
    ) -> protocol.Transferred:
        failed = list(plan.failed)
        came: list[str] = []
        await kernel.request({"type": "adopt", "drop": True})  # what an import left behind that was given up
        for name, entry in plan.told.items():
            lost = await _stage(kernel, source, name, entry, follows=plan.trusted)
            if lost is None:
                came.append(name)
            else:
                failed.append(lost)
        restored = await _restore(kernel, source, plan, failed)
        came += restored
        if not came:
            message = f"None of the variables in {path.name} could be imported; nothing was changed"
            return protocol.Transferred(str(path), 0, size, message, failed)
        answer = await kernel.request({"type": "adopt", "keep": restored, "replace": params.replace})
        if answer.header.get("error"):
            raise HoldfastError(f"What was imported could not be adopted ({answer.header['error']}).")
        session.saver.note_unsaved()
        message = f"Imported {len(came)} {'variable' if len(came) == 1 else 'variables'} from {path.name}"
        if failed:
            message += f"; {len(failed)} could not be imported: {', '.join(lost.name for lost in failed[:5])}"
        message += source.separated(came, plan)
        version = None
        if self._house.settings.persist:
            saved = await session.saver.capture(kernel)
            version = saved.version
            if saved.status == "failed":
                message += f"; it is in memory, and not saved: {saved.reason}"
            elif saved.status == "saved" and version is not None:
                await self._label(session, version, f"imported from {path.name}")
        return protocol.Transferred(str(path), len(came), size, message, failed, version)

    async def _label(self, session: Session, version: int, label: str) -> None:
        key = session.saver.key
        try:
            await self._house.archive.run(lambda store: store.set_label(key, version, label), create=False)
        except StoreError as error:
            logger.warning("version %s of %s has no label: %s", version, key, error.message)


async def _stage(kernel: Kernel, source: _Source, name: str, entry: Mapping[str, Any], *, follows: bool) -> Lost | None:
    """Send a value to the kernel; what stands in its way is returned."""
    header = {"type": "stage", "name": name, "form": entry["form"], "details": entry.get("details")}
    pieces = source.pieces(name, entry)
    header.update(size=source.size(name, entry), follows=follows, last=False)
    in_thread = asyncio.get_running_loop().run_in_executor
    data = await in_thread(None, next, pieces, None)
    while True:
        following = None if data is None else await in_thread(None, next, pieces, None)
        header["last"] = following is None
        answer = (await kernel.request(header, [] if data is None else [data])).header
        if answer.get("error"):
            raise HoldfastError(f"{name} could not be imported ({answer['error']}); nothing was changed.")
        if answer["failed"] is not None:
            return lost_list([answer["failed"]])[0]
        if following is None:
            return None
        data, header = following, {"type": "stage", "name": name, "last": False}


async def _restore(kernel: Kernel, source: _Source, plan: _Plan, failed: list[Lost]) -> list[str]:
    """Have the kernel load what is pickled; return the names that came."""
    if not plan.pickled:
        return []
    components, staged = [], []
    for group in plan.groups:
        about = {"id": group["id"], "members": group["members"], "fingerprint": group["fingerprint"]}
        components.append({**about, "buffers": len(group["buffers"])})
        for member in (group["stream"], *group["buffers"]):
            staged.append(f"\0{member}")
            entry = {"form": "bytes", "details": {"kind": "bytearray"}, "member": member}
            lost = await _stage(kernel, source, staged[-1], entry, follows=False)
            if lost is not None:
                raise HoldfastError(f"What is pickled could not be read ({lost.reason}); nothing was changed.")
    restore = {"type": "restore", "mode": "merge", "names": plan.pickled, "components": components, "staged": staged}
    answer = (await kernel.request({**restore, "environment": dict(plan.environment)})).header
    failed += [lost for lost in lost_list(answer["failed"]) if lost.name in plan.pickled]
    return [str(name) for name in answer["restored"]]


class _Source:
    """A file that values can be taken from."""

    def __init__(self, name: str, document: Mapping[str, Any]) -> None:
        self.name = name
        self.document = document
        self.variables: dict[str, Mapping[str, Any]] = {entry["name"]: entry for entry in document["variables"]}

    def plan(self, params: protocol.ImportParams) -> _Plan:
        """Decide what of it is brought.

        Raises:
            InvalidParams: it does not hold what was asked for.
        """
        unknown = [name for name in params.names or () if name not in self.variables]
        if unknown:
            raise InvalidParams(f"{self.name} holds no {', '.join(unknown)}; nothing was imported.", kind="noSuchName")
        wanted = [name for name in self.variables if params.names is None or name in params.names]
        return self.planned(wanted, params)

    def planned(self, wanted: Sequence[str], params: protocol.ImportParams) -> _Plan:
        """Decide how these variables are brought."""
        raise NotImplementedError

    def pieces(self, name: str, entry: Mapping[str, Any]) -> Iterator[bytes]:
        """Yield the bytes of a value."""
        raise NotImplementedError

    def size(self, name: str, entry: Mapping[str, Any]) -> int:
        """Return how many there are."""
        raise NotImplementedError

    def separated(self, came: Sequence[str], plan: _Plan) -> str:
        """Say what no longer shares objects with others, if anything."""
        return ""


class _Archived(_Source):
    """An export as a zip."""

    def __init__(self, export: Export, signer: Signer, name: str) -> None:
        super().__init__(name, export.manifest)
        self.export = export
        self._signer = signer

    def planned(self, wanted: Sequence[str], params: protocol.ImportParams) -> _Plan:
        """Decide how these variables are brought."""
        trusted = params.trust or is_trusted_signer(self._signer)
        plan = _Plan(environment=self.document.get("environment") or {}, trusted=trusted)
        for name in wanted:
            entry = self.variables[name]
            copy = entry.get("copy")
            if entry.get("form") != "pickle":
                plan.told[name] = entry
            elif params.pickle and trusted:
                plan.pickled.append(name)
            elif params.copies and copy is not None and copy.get("form") != "source":
                plan.told[name] = copy
            else:
                plan.failed.append(_not_unpickled(entry, params, self._signer))
        plan.groups = list(self.document.get("groups") or ()) if plan.pickled else []
        return plan

    def pieces(self, name: str, entry: Mapping[str, Any]) -> Iterator[bytes]:
        """Yield the bytes of a value."""
        return self.export.pieces(entry["member"]) if "member" in entry else iter(())

    def size(self, name: str, entry: Mapping[str, Any]) -> int:
        """Return how many there are."""
        return self.export.members[entry["member"]].size if "member" in entry else 0

    def separated(self, came: Sequence[str], plan: _Plan) -> str:
        """Say what no longer shares objects with others, if anything."""
        copies = [name for name in came if plan.told.get(name) is self.variables[name].get("copy", ...)]
        return f"; copies that share nothing with others any more: {', '.join(copies)}" if copies else ""


class _Plain(_Source):
    """An export as plain JSON."""

    def planned(self, wanted: Sequence[str], params: protocol.ImportParams) -> _Plan:
        """Decide how these variables are brought."""
        plan = _Plan()
        for name in wanted:
            entry = self.variables[name]
            if "value" in entry:
                plan.told[name] = {"form": "json"}
            else:
                reason = str(entry.get("reason") or "the file has no value of it")
                remedy = "import it from an export that is not plain JSON, or run the cell that makes it"
                plan.failed.append(Lost(name, str(entry.get("type", "")), reason, remedy))
        return plan

    def pieces(self, name: str, entry: Mapping[str, Any]) -> Iterator[bytes]:
        """Yield the bytes of a value."""
        data = self._text(name)
        return (data[at : at + PIECE] for at in range(0, len(data), PIECE))

    def size(self, name: str, entry: Mapping[str, Any]) -> int:
        """Return how many there are."""
        return len(self._text(name))

    def separated(self, came: Sequence[str], plan: _Plan) -> str:
        """Say what no longer shares objects with others, if anything."""
        copies = [name for name in came if "reason" in self.variables[name]]
        return f"; copies that share nothing with others any more: {', '.join(copies)}" if copies else ""

    def _text(self, name: str) -> bytes:
        return json.dumps(self.variables[name]["value"]).encode()


def _not_unpickled(entry: Mapping[str, Any], params: protocol.ImportParams, signer: Signer) -> Lost:
    if not params.pickle:
        reason, remedy = "it is pickled, and pickles were not to be loaded", "import it with pickles"
    else:
        reason = "it is pickled, which can run any code, and the export was signed by " + (
            "nobody" if signer == "nobody" else "another user, or on another machine"
        )
        remedy = "import it with trust, if you know who made the file and that nobody changed it"
    if (entry.get("copy") or {}).get("form") not in (None, "source"):
        remedy += "; or take the copy in the file, which shares nothing with other variables"
    return Lost(entry["name"], str(entry.get("type", "")), reason, remedy)


def _source(file: BinaryIO, path: Path) -> _Source:
    """Check a file as a whole.

    Raises:
        StateDamaged, NotTrusted: as they say.
    """
    head = file.read(1)
    file.seek(0)
    if head in (b"{", b" ", b"\n"):
        return _Plain(path.name, plain_in(file, path.name))
    export = export_in(file, path.name)
    check_weight(export.weight, path.name)
    export.verify()
    with store_errors():
        signer = signer_of(export.manifest_bytes, export.signature)
    if signer == "forged":
        raise NotTrusted(
            f"{path.name} was changed since you exported it: its signature is not yours. Nothing was imported; "
            "export it again.",
            detail="forged",
        )
    return _Archived(export, signer, path.name)
