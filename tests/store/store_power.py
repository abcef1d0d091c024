"""Power cuts, simulated: what a store writes is recorded, and replayed as a disk might have it at any moment.

    python tests/store/store_power.py --count 10000 --seed 1 --jobs 2

`strace` records every write, sync, truncation, and change of a folder. A disk that loses power has everything that was
synced; of what was written since it has any part: each write whole, torn at a sector, or not at all, in any order, and
of what happened to the names in a folder any beginning. After each of these the store has to open; versions that were
`synced` have to be there; of no other one may anything be wrong.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from store_making import KEY, Store, Value, change, values
from store_trials import Tally, carry_out, choose, in_memory

from holdfast.store import aftermath
from holdfast.store.errors import Damaged, StoreError

SECTOR = 512
ROUNDS = 45
CALLS = (
    "openat,write,pwrite64,pwritev,pwritev2,fsync,fdatasync,ftruncate,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,"
    "rmdir,lseek,close"
)


def value(number: int) -> Value:
    """Return what round `number` saves: a few bytes, a medium stream, or a buffer of some chunks."""
    rng = random.Random(number)
    if number % 6 == 5:
        return b"big", (rng.randbytes(rng.choice([90_000, 300_000])),)
    return rng.randbytes(rng.choice([3, 100, 900, 5000])), ()


def is_synced(number: int) -> bool:
    return number % 4 == 3


def expected(number: int) -> dict[str, Value]:
    """Return all that version `number` holds."""
    held: dict[str, Value] = {}
    for each in range(1, number + 1):
        held[f"v{each % 7}"] = value(each)
    return held


def work(folder: Path, said: Path) -> None:
    """Save, sync, thin, collect, close and open; say what was promised."""
    with said.open("w", buffering=1) as out:
        synced: list[int] = []
        store = Store.open(folder, KEY)
        for number in range(1, ROUNDS + 1):
            store.commit("a.py", change({f"v{number % 7}": value(number)}), synced=is_synced(number))
            if is_synced(number):
                synced.append(number)
                out.write(f"synced {number}\n")
            if number % 5 == 0:
                store.commit("side.py", change({"x": b"%d" % number}))
                store.move("side.py", "side2.py")
                store.set_label("a.py", number, str(number))
            if number % 9 == 0:
                store.settle()
                store.checkpoint()
            if number % 10 == 0:
                store.sync()
                synced += range(max(1, number - 2), number + 1)
                out.write(f"synced {number} {number - 1} {number - 2}\n")
                store.write_metadata("a.py")
            if number % 16 == 0:
                for _ in store.thin("a.py", 3, also=synced):
                    pass
                store.forget("side2.py")
                for _ in store.collect():
                    pass
            if number % 20 == 0:
                store.close()
                out.write(f"synced {number}\n")
                synced.append(number)
                store = Store.open(folder, KEY)
        os._exit(0)


# ---------------------------------------------------------------------------------------------- the recording


class Op(NamedTuple):
    """Something that was done to the disk."""

    kind: str
    """``create``, ``rename``, ``remove`` (names); ``write``, ``cut``, ``sync`` (files); ``syncdir``; ``said``."""
    path: str
    data: bytes = b""
    at: int = 0
    other: str = ""


_LINE = re.compile(r"^(\d+) +(\w+)\((.*)\) += (-?\d+)(?:<(.*?)>)?(?: .*)?$")
_RESUMED = re.compile(r"^(\d+) +<\.\.\. (\w+) resumed>(.*)$")
_FD = re.compile(r"^(?:\d+|AT_FDCWD)<((?:\\x[0-9a-f]{2})+|[^>]*)>")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?')


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


def record(place: Path) -> list[Op]:
    """Run the work under `strace`, and return what it did to the disk below `place`/w."""
    home, log = place / "w", place / "trace"
    home.mkdir(parents=True)
    command = ["strace", "-f", "-y", "-xx", "-s", "33554432", "-o", str(log), "-e", f"trace={CALLS}"]
    worker = [sys.executable, __file__, "--work", str(home / ".state"), str(place / "said")]
    subprocess.run([*command, *worker], check=True)
    return list(_parse(log, str(home), str(place / "said")))


def _parse(log: Path, home: str, said: str) -> list[Op]:
    ops: list[Op] = []
    waiting: dict[str, str] = {}
    offsets: dict[str, int] = {}
    for raw in log.read_text("ascii", "replace").splitlines():
        line = raw
        if line.endswith("<unfinished ...>"):
            waiting[line.split()[0]] = line.removesuffix("<unfinished ...>").rstrip()
            continue
        resumed = _RESUMED.match(line)
        if resumed:
            line = waiting.pop(resumed[1]) + resumed[3]
        match = _LINE.match(line)
        if match and int(match[4]) >= 0:
            _note(match[2], match[3], int(match[4]), match[5] or "", home, said, offsets, ops)
    return ops


def _note(
    call: str, arguments: str, result: int, opened: str, home: str, said: str, offsets: dict[str, int], ops: list[Op]
) -> None:
    texts = [_bytes(text) for text, _ in _TEXT.findall(arguments)]
    where = _FD.match(arguments)
    path = (_bytes(where[1]) if "\\x" in where[1] else where[1].encode()).decode() if where else ""
    descriptor = arguments.split("<")[0]
    if call == "openat":
        name = str(Path(path) / texts[0].decode())
        offsets[str(result)] = 0
        if name.startswith(home) and "O_CREAT" in arguments:
            ops.append(Op("create", name))
        if name.startswith(home) and "O_TRUNC" in arguments:
            ops.append(Op("cut", name))
    elif call == "lseek":
        offsets[descriptor] = result
    elif call == "write":
        at = offsets.get(descriptor, 0)
        offsets[descriptor] = at + result
        if path == said:
            ops.append(Op("said", said, texts[0]))
        elif path.startswith(home):
            ops.append(Op("write", path, texts[0][:result], at))
    elif not path.startswith(home) and not any(text.startswith(home.encode()) for text in texts):
        return
    elif call in ("pwrite64", "pwritev", "pwritev2"):
        at = int(arguments.rsplit(",", 2 if call == "pwritev2" else 1)[1], 0)
        ops.append(Op("write", path, b"".join(texts)[:result], at))
    elif call in ("fsync", "fdatasync"):
        ops.append(Op("sync", path))
    elif call == "ftruncate":
        ops.append(Op("cut", path, at=int(arguments.rsplit(",", 1)[1], 0)))
    elif call.startswith("rename"):
        ops.append(Op("rename", texts[0].decode(), other=texts[-1].decode()))
    elif call.startswith(("unlink", "rmdir")):
        ops.append(Op("remove", texts[0].decode()))
    elif call.startswith("mkdir"):
        ops.append(Op("mkdir", texts[0].decode()))


# ---------------------------------------------------------------------------------------------- the disk


@dataclass(slots=True)
class File:
    """A file: what the disk surely has, and what was done since."""

    durable: bytearray = field(default_factory=bytearray)
    pending: list[Op] = field(default_factory=list)


@dataclass(slots=True)
class Folder:
    """A folder: names that the disk surely has, and what was done since. None: the name goes."""

    durable: dict[str, File | Folder] = field(default_factory=dict)
    pending: list[dict[str, File | Folder | None]] = field(default_factory=list)

    def now(self) -> dict[str, File | Folder]:
        """Return the names as whoever runs sees them."""
        return _after(self.durable, self.pending)


def _after(names: dict[str, File | Folder], steps: list[dict[str, File | Folder | None]]) -> dict[str, File | Folder]:
    found: dict[str, File | Folder | None] = dict(names)
    for step in steps:
        found.update(step)
    return {name: node for name, node in found.items() if node is not None}


def _apply(data: bytearray, op: Op) -> None:
    if op.kind == "cut":
        del data[op.at :]
        data.extend(bytes(op.at - len(data)))
    else:
        data.extend(bytes(max(0, op.at - len(data))))
        data[op.at : op.at + len(op.data)] = op.data


class Disk:
    """What the recorded operations do to a disk.

    Args:
        home: the folder that was there before.
    """

    def __init__(self, home: str) -> None:
        self.home = home
        self.root = Folder()
        self.promised: set[int] = set()

    def _parent(self, path: str) -> tuple[Folder, str]:
        parts = Path(path).relative_to(self.home).parts
        node = self.root
        for part in parts[:-1]:
            below = node.now()[part]
            assert isinstance(below, Folder)
            node = below
        return node, parts[-1]

    def _find(self, path: str) -> File | Folder | None:
        if path == self.home:
            return self.root
        parent, name = self._parent(path)
        return parent.now().get(name)

    def do(self, op: Op) -> None:
        """Take in the next operation."""
        if op.kind == "said":
            self.promised.update(map(int, op.data.split()[1:]))
        elif op.kind in ("create", "mkdir"):
            parent, name = self._parent(op.path)
            if name not in parent.now():
                parent.pending.append({name: File() if op.kind == "create" else Folder()})
        elif op.kind == "remove":
            parent, name = self._parent(op.path)
            parent.pending.append({name: None})
        elif op.kind == "rename":
            (parent, name), (target, new) = self._parent(op.path), self._parent(op.other)
            assert parent is target
            parent.pending.append({name: None, new: parent.now()[name]})
        elif op.kind == "sync":
            node = self._find(op.path)
            if isinstance(node, Folder):
                node.durable, node.pending = node.now(), []
            elif node is not None:
                for each in node.pending:
                    _apply(node.durable, each)
                node.pending = []
        else:
            node = self._find(op.path.removesuffix(" (deleted)"))
            if isinstance(node, File):
                node.pending.append(op)

    def write(self, folder: Path, rng: random.Random, mode: str) -> None:
        """Write down what the disk may have had when the power went.

        Args:
            folder: where to.
            rng: chooses.
            mode: ``all``: everything; ``none``: only what was synced; ``some``: any part of the rest.
        """
        self._write(self.root, folder, rng, mode)

    def _write(self, node: Folder, folder: Path, rng: random.Random, mode: str) -> None:
        folder.mkdir()
        kept = len(node.pending) if mode == "all" else 0 if mode == "none" else rng.randint(0, len(node.pending))
        for name, below in _after(node.durable, node.pending[:kept]).items():
            if isinstance(below, Folder):
                self._write(below, folder / name, rng, mode)
            elif not name.endswith("-shm"):
                (folder / name).write_bytes(_content(below, rng, mode))


def _content(file: File, rng: random.Random, mode: str) -> bytes:
    data = bytearray(file.durable)
    likely = rng.choice([0.2, 0.5, 0.9])
    for op in file.pending if mode != "none" else ():
        if mode == "all" or rng.random() < likely:
            _apply(data, op)
        elif op.kind == "write" and rng.random() < 0.5:
            # Sectors of one write reach the disk in any order.
            for at in range(0, len(op.data), SECTOR):
                if rng.random() < 0.5:
                    _apply(data, Op("write", op.path, op.data[at : at + SECTOR], op.at + at))
            if rng.random() < 0.5:  # the new length may be noted without the bytes
                data.extend(bytes(max(0, op.at + len(op.data) - len(data))))
    return bytes(data)


# ---------------------------------------------------------------------------------------------- afterwards


def check(folder: Path, promised: set[int]) -> str:
    """Open a store after a power cut; return in a word how whole it is."""
    outcome = "whole"
    aftermath.boot_id = lambda: b"the next"  # as after any power cut
    if not folder.exists():
        assert not promised, "a version was synced, and the state folder is not there"
        return "empty"
    with Store.open(folder, KEY) as store:
        there = {record.version for record in store.history("a.py", 1000)}
        assert promised <= there, f"synced, and gone: {sorted(promised - there)}"
        for number in sorted(there):
            try:
                held = values(store, "a.py", number)
            except StoreError as error:
                assert number not in promised, f"synced, and damaged: {number} ({error})"
                assert isinstance(error, Damaged), error
                outcome = "partly"
            else:
                assert held == expected(number), f"wrong: {number}"
        head = store.head("a.py")
        if head is not None:
            assert head.version >= max(promised, default=0), "the head is older than what was synced"
            try:
                values(store, "a.py")
            except Damaged:
                outcome = "head damaged"
        for key in store.sessions():
            store.listing(key)
        # What is saved again is there, also where the disk had lost the same bytes.
        again = expected(max(there, default=0)) | {"new": (b"new", ())}
        store.commit("a.py", change(again, full=True))
        store.sync()
    with Store.open(folder, KEY) as store:
        assert values(store, "a.py") == again
    return outcome


def run(ops: list[Op], home: str, points: list[tuple[int, int]], seed: int) -> Tally:
    """Cut the power at these points, each with a variant."""
    tally = Tally.new()
    disk, done = Disk(home), 0
    with in_memory() as temporary:
        for point, variant in sorted(points):
            for op in ops[done:point]:
                disk.do(op)
            done = point
            place = temporary / "cut"
            rng = random.Random(seed * 1_000_003 + point * 1009 + variant)
            disk.write(place, rng, ("all", "none")[variant] if variant < 2 else "some")
            with tally.trial(f"point {point} of {len(ops)}, variant {variant}, seed {seed}"):
                tally.outcomes[check(place / ".state", disk.promised)] += 1
            shutil.rmtree(place)
    return tally


def cuts(ops: list[Op], count: int, seed: int) -> list[tuple[int, int]]:
    """Return points and variants: every point with everything and with nothing, as far as `count` goes, then others."""
    both = [(point, variant) for point in range(1, len(ops) + 1) for variant in (0, 1)]
    rng = random.Random(seed)
    chosen = both if count >= len(both) else rng.sample(both, count // 3)
    return chosen + [(rng.randint(1, len(ops)), number) for number in range(2, 2 + count - len(chosen))]


def main() -> None:
    """Record, and cut the power as often as is asked."""
    if sys.argv[1:2] == ["--work"]:
        work(Path(sys.argv[2]), Path(sys.argv[3]))
    chosen = choose(__doc__)
    with tempfile.TemporaryDirectory() as temporary:
        ops = record(Path(temporary))
        kinds = Counter(op.kind for op in ops)
        print(f"{len(ops)} operations: {dict(kinds)}", flush=True)
        points = sorted(cuts(ops, chosen.first + chosen.count, chosen.seed))
        home = str(Path(temporary) / "w")
        parts = [(ops, home, points[part.start : part.stop], chosen.seed) for part in chosen.parts(250)]
        carry_out(chosen, "power cuts", run, parts)


if __name__ == "__main__":
    main()
