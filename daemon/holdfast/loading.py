"""A saved version on its way into a kernel: what goes at once, what the kernel maps itself, what it asks for later.

Pickle streams are read here and compared with their digests before a kernel gets them. Large buffers that lie in the
packs as they are in memory are not read: the kernel is told where, and maps them. They are read, and compared, when
there is time. The packs are held open as long as something of them may be wanted, so that nothing is lost when the
store moves on or its folder is removed.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import mmap
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from holdfast.progress import Work
from holdfast.protocol import Lost
from holdfast.runtimes.base import Kernel
from holdfast.saving import visible
from holdfast.store.errors import Damaged, StoreError
from holdfast.store.layout import Layout, OpenPacks, Piece, Run, runs_of
from holdfast.store.packs import CHUNK_SIZE
from holdfast.store.records import ComponentEntry, VersionRecord
from holdfast.store.store import Store, describe

logger = logging.getLogger(__name__)

MAPPED_FROM = 16 << 20
"""Buffers from this size on are mapped where they can be, and verified afterwards; smaller ones are quickly read, and
what is damaged is never used."""
MAX_RUNS = 1024
"""Pieces in which one buffer is mapped; the operating system has a limit for all of a process (65,530 on Linux)."""
SMALL = 256 << 10
"""Components of which not more than this has to be sent are loaded at once."""
AT_ONCE = 16 << 20
"""What is sent at once of variables altogether; the others wait until they are needed."""
PART = 4 << 20
"""Bytes in one frame of what is sent later."""
VERIFY_AFTER = 1.0
"""Seconds after a restore until what was mapped is verified: first comes what users wait for."""
VERIFY_PAUSE = 0.25
"""Seconds between looks whether there is time to go on with what is only verified."""
REVOKED = (
    "it was not loaded yet when the trust in whoever saved it was taken back (`holdfast trust --revoke`), and is not "
    "loaded any more"
)
_WORKERS = max(2, min(4, os.cpu_count() or 1))
_REMOTE = ("nfs", "cifs", "smb", "9p", "afs", "ncp", "fuse")
"""File systems on which a file can vanish under a mapping, which would end the process that has it."""

_numbers = itertools.count(1)
_pool = ThreadPoolExecutor(max_workers=_WORKERS, thread_name_prefix="holdfast-read")


@dataclass(slots=True)
class _Planned:
    """A component as it is to be sent."""

    entry: ComponentEntry
    layouts: list[Layout]
    runs: dict[int, list[Run]]
    """By the buffer's position, 0 being the stream."""
    size: int = 0
    """Bytes that have to be sent."""

    def pieces(self, slot: int, *, mapped: bool) -> list[Piece]:
        """Return the chunks of a buffer which the kernel maps, or those which it does not."""
        if not mapped and sum(run.length for run in self.runs.get(slot, ())) == self.layouts[slot].size:
            return []
        found = {at for run in self.runs.get(slot, ()) for at in range(run.at, run.at + run.length, CHUNK_SIZE)}
        return [piece for piece in self.layouts[slot].pieces if (piece.at in found) is mapped]


@dataclass(slots=True)
class Loaded:
    """A version, ready to be sent to a kernel.

    Attributes:
        components, buffers: of the frame that the kernel gets first.
        unreadable: the variables of which it is known already that they cannot be read.
        later: components that the kernel asks for when it needs them.
        kept: components that the kernel has as they are in the version, and is not sent.
        refused: components that the kernel gets no more of.
    """

    record: VersionRecord
    entries: dict[str, ComponentEntry]
    number: str = field(default_factory=lambda: f"l{next(_numbers)}")
    components: list[dict[str, Any]] = field(default_factory=list)
    buffers: list[Any] = field(default_factory=list)
    packs: OpenPacks = field(default_factory=OpenPacks)
    unreadable: list[Lost] = field(default_factory=list)
    later: dict[str, _Planned] = field(default_factory=dict)
    kept: Collection[str] = ()
    on_rotten: Callable[[bytes], None] = lambda digest: None
    refused: frozenset[str] = frozenset()
    _all: dict[str, _Planned] = field(default_factory=dict)
    _serving: asyncio.Lock = field(default_factory=asyncio.Lock)
    _writes: bool = True
    """Whether kernels' memory can be written to, as far as is known."""
    _holders: set[str] = field(default_factory=lambda: {"kernel", "verification"})

    @property
    def read(self) -> Collection[str]:
        """The components that the kernel has from here, or is to have."""
        return self._all.keys()

    @property
    def bytes_later(self) -> int:
        """What the kernel has still to ask for, were it to load everything."""
        return sum(planned.size for planned in self.later.values())

    def layouts(self, component: str) -> list[Layout]:
        """Return where the stream and the buffers of a component lie; `packs` reads them until all is released."""
        return self._all[component].layouts

    def files(self) -> dict[str, dict[str, Any]]:
        """Describe the packs that a kernel maps from, so that it takes no other file for one of them."""
        wanted = {run.pack for planned in self._all.values() for runs in planned.runs.values() for run in runs}
        described = {}
        for number in wanted:
            path, descriptor = self.packs.files[number]
            here = os.fstat(descriptor)
            described[str(number)] = {"path": str(path), "inode": here.st_ino, "device": here.st_dev}
        return described

    def refuse(self, versions: Collection[int]) -> frozenset[str]:
        """Send no more of what came in with these versions; return these components."""
        self.refused |= {identity for identity in self._all if self.entries[identity].since in versions}
        return self.refused

    # ------------------------------------------------------------------ what a kernel asks for

    async def serve(self, kernel: Kernel, asked: dict[str, Any], work: Work | None = None) -> None:
        """Send what a kernel asks for; what is damaged is said in the last frame, and before that nothing is complete.

        Where the system allows it, the bytes are put into the kernel's memory, else they go in frames of bounded size.

        Args:
            work: is told how far it is.
        """
        identity = str(asked["component"])
        last: dict[str, Any] = {"type": "component", "loading": self.number, "component": identity}
        wanted = {int(slot): str(how) for slot, how in asked["wanted"]}
        places = {int(slot): int(address) for slot, address in asked.get("places") or ()}
        loop = asyncio.get_running_loop()

        def done(size: int) -> None:
            if work is not None:
                loop.call_soon_threadsafe(work.advance, size)

        async with self._serving:
            planned = self._all.get(identity)
            if planned is None or identity in self.refused:
                why = REVOKED if planned is not None else "this is no component of the version that is being loaded"
                kernel.send({**last, "error": why})
                return
            if work is not None:
                work.expect(
                    sum(piece.size for slot, how in wanted.items() for piece in self._wanted(planned, slot, how))
                )
            try:
                if self._writes and places.keys() >= wanted.keys():
                    self._writes = await loop.run_in_executor(None, self._write, kernel, planned, wanted, places, done)
                    wanted = {} if self._writes else wanted
                for slots, data in self._parts(planned, wanted):
                    pieces = await loop.run_in_executor(None, data)
                    done(sum(map(len, pieces)))
                    kernel.send({**last, "type": "part", "into": slots}, pieces)
                    await kernel.drained()
                    if kernel.death is not None:
                        return
            except Damaged as error:
                last["error"] = error.message
            kernel.send(last)

    def _write(
        self,
        kernel: Kernel,
        planned: _Planned,
        wanted: dict[int, str],
        places: dict[int, int],
        done: Callable[[int], None],
    ) -> bool:
        """Put what is wanted into the kernel's memory; whether that can be done.

        Raises:
            Damaged: a part of it is.
        """

        def write(job: tuple[int, Piece]) -> None:
            slot, piece = job
            kernel.write_memory(places[slot] + piece.at, self._read(planned.entry, [piece])[0])
            done(piece.size)

        jobs = [(slot, piece) for slot, how in wanted.items() for piece in self._wanted(planned, slot, how)]
        written = [_pool.submit(write, job) for job in jobs]
        wait(written)  # The kernel may use that memory for something else once it is told of the end.
        try:
            for one in written:
                one.result()
        except OSError as error:
            logger.info("bytes go to kernels in frames: %s", error)
            return False
        return True

    def _wanted(self, planned: _Planned, slot: int, how: str) -> list[Piece]:
        return planned.pieces(slot, mapped=False) if how == "rest" else list(planned.layouts[slot].pieces)

    def _parts(
        self, planned: _Planned, wanted: dict[int, str]
    ) -> Iterator[tuple[list[tuple[int, int]], Callable[[], list[bytes]]]]:
        """Yield the frames: for each piece in it the buffer and the place there, and what reads the pieces."""
        window: list[tuple[int, Piece]] = []
        size = 0
        for slot, how in wanted.items():
            for piece in self._wanted(planned, slot, how):
                window.append((slot, piece))
                size += piece.size
                if size >= PART:
                    yield self._part(planned, window)
                    window, size = [], 0
        if window:
            yield self._part(planned, window)

    def _part(
        self, planned: _Planned, window: list[tuple[int, Piece]]
    ) -> tuple[list[tuple[int, int]], Callable[[], list[bytes]]]:
        pieces = [piece for _, piece in window]
        return [(slot, piece.at) for slot, piece in window], lambda: self._read(planned.entry, pieces)

    def _read(self, entry: ComponentEntry, pieces: Sequence[Piece]) -> list[bytes]:
        """Return chunks, read side by side: decompressing and hashing leave the interpreter's lock.

        Raises:
            Damaged: one of them is.
        """
        what = describe(entry)

        def read(piece: Piece) -> bytes:
            try:
                return self.packs.read(piece, what)
            except Damaged:
                self.on_rotten(piece.digest)
                raise

        return list(_pool.map(read, pieces)) if len(pieces) > 1 else list(map(read, pieces))

    # ------------------------------------------------------------------ what nobody has read

    async def verify(
        self, paused: Callable[[], bool], stopped: Callable[[str], bool], *, after: float = VERIFY_AFTER
    ) -> dict[str, str]:
        """Read what kernels have mapped, and compare it with its digests; return what is wrong by variable.

        Args:
            paused: whether somebody else needs the machine just now.
            stopped: whether nobody maps a component any more.
            after: seconds from now until the first look.
        """
        wrong: dict[str, str] = {}
        await asyncio.sleep(after)
        loop = asyncio.get_running_loop()
        for planned in self._all.values():
            for slot in planned.runs:
                pieces = planned.pieces(slot, mapped=True)
                for first in range(0, len(pieces), PART // CHUNK_SIZE):
                    while paused() and not stopped(planned.entry.id):
                        await asyncio.sleep(VERIFY_PAUSE)
                    if stopped(planned.entry.id):
                        break
                    window = pieces[first : first + PART // CHUNK_SIZE]
                    try:
                        await loop.run_in_executor(None, self._read, planned.entry, window)
                    except Damaged as error:
                        wrong.update(dict.fromkeys(visible(planned.entry.members), error.message))
                        break
                    await asyncio.sleep(0)
        return wrong

    def release(self, holder: str) -> None:
        """Let go of the packs as soon as neither the kernel nor the verification wants anything of them."""
        self._holders.discard(holder)
        if not self._holders:
            self.packs.close()

    def close(self) -> None:
        """Let go of the packs; nobody wants anything of them any more."""
        self._holders.clear()
        self.packs.close()


def load(
    store: Store, key: str, number: int | None, names: Collection[str] | None = None, kept: Collection[str] = ()
) -> Loaded | None:
    """Read of a version (the head by default) what a kernel is sent first; None when nothing is saved.

    Components of which damage is known are named in `unreadable`; the others are returned.

    Args:
        names: the variables that are wanted; all of them if None.
        kept: components that the kernel has already, as they are in the version.

    Raises:
        Untrusted: the version was not signed by this user.
        Damaged: the version itself cannot be read.
        NoSuchVersion: there is no such version.
    """
    if number is None and store.head(key) is None:
        return None
    record, entries, ours = store.sealed(key, number)
    loaded = Loaded(record, entries, kept=kept)
    loaded.on_rotten = lambda digest: _tell(store, digest)
    remote: dict[int, bool] = {}
    # What is mapped is compared later: not what others made, nor where others write.
    maps = ours and store.shared_with is None
    left = AT_ONCE
    # What changed last is what will probably be needed first.
    order = sorted(loaded.entries.values(), key=lambda entry: -entry.since)
    at_once: set[str] = set()
    for entry in order:
        if entry.id in kept:
            continue
        try:
            planned = _plan(store, entry, loaded.packs, remote if maps else None)
            hidden = len(visible(entry.members)) < len(entry.members)
            wanted = names is None or not names_of(entry).isdisjoint(names)
            if hidden or (wanted and planned.size <= min(SMALL, left)):
                left -= 0 if hidden else planned.size
                at_once.add(entry.id)
                contents = _contents(loaded, planned)
            loaded._all[entry.id] = planned
        except Damaged as error:
            at_once.discard(entry.id)
            loaded.unreadable += [_unreadable(name, entry, error.message) for name in visible(entry.members)]
            continue
        described = _described(planned)
        if entry.id in at_once:
            if planned.runs:
                described["rest"] = [(slot, piece.at) for slot, piece in _rests(planned)]
            loaded.components.append(described)
            loaded.buffers += contents
        else:
            described.update(later=True, summaries=entry.summaries)
            described["tiny"] = [(k, layout.inline.hex()) for k, layout in enumerate(planned.layouts) if layout.inline]
            described["since"] = entry.since
            loaded.components.append(described)
            loaded.later[entry.id] = planned
    return loaded


def names_of(entry: ComponentEntry) -> frozenset[str]:
    """Return a component's variables."""
    return frozenset(visible(entry.members))


def _tell(store: Store, digest: bytes) -> None:
    with suppress(StoreError):
        store.note_damage(digest)


def _unreadable(name: str, entry: ComponentEntry, reason: str) -> Lost:
    return Lost(
        name=name,
        type=str(entry.summaries.get(name, {}).get("type", "")),
        reason=reason,
        remedy="Restore an older version of it, or run the cell that made it again.",
    )


def _plan(store: Store, entry: ComponentEntry, packs: OpenPacks, remote: dict[int, bool] | None) -> _Planned:
    """Decide what a kernel maps of a component: nothing if `remote` is None, since all is to be compared with its
    digests before; else what does not lie on a remote file system, which is noted there."""
    layouts = store.layout(entry, packs)
    runs: dict[int, list[Run]] = {}
    for slot, layout in enumerate(layouts):
        if slot and layout.size >= MAPPED_FROM and remote is not None:
            found = [run for run in runs_of(layout, mmap.PAGESIZE) if not _is_remote(run.pack, packs, remote)]
            if len(found) > MAX_RUNS:
                found = sorted(sorted(found, key=lambda run: -run.length)[:MAX_RUNS])
            if found:
                runs[slot] = found
    mapped = sum(run.length for found in runs.values() for run in found)
    return _Planned(entry, layouts, runs, sum(layout.size for layout in layouts) - mapped)


def _rests(planned: _Planned) -> list[tuple[int, Piece]]:
    """Return the chunks that a kernel does not map of buffers that it maps, each with its buffer's position."""
    return [(slot, piece) for slot in planned.runs for piece in planned.pieces(slot, mapped=False)]


def _described(planned: _Planned) -> dict[str, Any]:
    entry = planned.entry
    described: dict[str, Any] = {
        "id": entry.id,
        "members": list(entry.members),
        "fingerprint": entry.fingerprint,
        "buffers": len(planned.layouts) - 1,
        "sizes": [layout.size for layout in planned.layouts],
    }
    if planned.runs:
        described["maps"] = [
            {"slot": slot, "size": planned.layouts[slot].size, "runs": runs} for slot, runs in planned.runs.items()
        ]
    return described


def _contents(loaded: Loaded, planned: _Planned) -> list[bytes]:
    """Return what is sent of a component at once: its stream, its buffers, and what is not mapped of the large ones.

    Raises:
        Damaged: it cannot be read.
    """
    contents = [
        layout.inline or b"".join(loaded._read(planned.entry, list(layout.pieces)))
        for slot, layout in enumerate(planned.layouts)
        if slot not in planned.runs
    ]
    return contents + loaded._read(planned.entry, [piece for _, piece in _rests(planned)])


def _is_remote(pack: int, packs: OpenPacks, known: dict[int, bool]) -> bool:
    if pack not in known:
        path, descriptor = packs.files[pack]
        known[pack] = _file_system(os.fstat(descriptor).st_dev, path).startswith(_REMOTE)
    return known[pack]


def _file_system(device: int, path: Path) -> str:
    """Return the name of a file system, "" where that cannot be told."""
    wanted = f"{os.major(device)}:{os.minor(device)}"
    try:
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    for line in mounts:
        fields, _, rest = line.partition(" - ")
        if fields.split()[2] == wanted:
            return rest.split()[0]
    return ""
