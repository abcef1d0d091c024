"""Bit rot: bytes flipped, zeroed, swapped and cut off at random places of a state folder, and what is left then.

    python tests/store/store_rot.py --count 10000 --seed 1 --jobs 2

Of every damage it is asked that nothing that is read is wrong, that what cannot be read is named, that a repair brings
back everything whose bytes were not hit, and that what then remains lost is named.
"""

from __future__ import annotations

import contextlib
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from store_making import KEY, Store, Value, change
from store_repair import found, repair
from store_trials import Tally, carry_out, choose, in_memory

from holdfast.store.errors import StoreError

Pair = tuple[str, int, str]
"""A variable in a version of a session."""


class Expected(NamedTuple):
    """What a state folder holds."""

    values: dict[Pair, Value]
    places: dict[Pair, list[tuple[str, int, int]]]
    """Where the bytes lie that a variable needs: pack, beginning and end."""
    sessions: list[str]
    trashed: list[str]
    labels: dict[tuple[str, int], str]


def build(folder: Path, original: Path, *, is_open: bool) -> Expected:
    """Make a store with all that stores have, and copy it, closed or as a kill would leave it.

    Args:
        folder: where it is made.
        original: where the copy goes.
        is_open: the newest versions are in the catalog's write-ahead log.
    """
    rng = random.Random(4)
    state: dict[str, Value] = {}
    held: dict[Pair, Value] = {}
    with Store.open(folder, KEY) as store:
        text = rng.randbytes(600_000)
        for number in range(1, 25):
            name = f"v{number % 5}"
            if number % 4 == 0:
                text = text[: 200_000 * (number // 8)] + rng.randbytes(70) + text[200_000 * (number // 8) :]
                state["long"] = (text, ())
                store.commit("a.py", change({"long": state["long"]}))
            else:
                state[name] = (rng.randbytes(rng.choice([3, 300, 3000])), (rng.randbytes(70_000), b"z" * 5000))
                store.commit("a.py", change({name: state[name]}, code="x = 1\n" * 200))
            held |= {("a.py", number, name): value for name, value in state.items()}
        for _ in store.thin("a.py", 12):
            pass
        for number in range(1, 4):
            store.commit("dir/b.py", change({"x": b"%d" % number * 400}))
            held["dir/b.py", number, "x"] = b"%d" % number * 400, ()
        store.set_label("a.py", 20, "good")
        store.commit("gone.py", change({"x": rng.randbytes(80_000)}))
        store.forget("gone.py")
        for _ in store.collect():
            pass
        store.commit("old.py", change({"x": b"o"}))
        store.trash("old.py", "deleted")
        store.move("dir/b.py", "dir/c.py")
        store.set_head("a.py", 23)
        for key in store.sessions():
            store.write_metadata(key)
        store.sync()
        store.checkpoint()
        if is_open:
            for number in range(25, 33):
                state[f"v{number % 5}"] = (rng.randbytes(300), (rng.randbytes(30_000),))
                parent = {name: value for (_, version, name), value in held.items() if version == 23}
                base = parent if number == 25 else dict(state)
                state = {**base, f"v{number % 5}": state[f"v{number % 5}"]}
                store.commit("a.py", change({f"v{number % 5}": state[f"v{number % 5}"]}))
                held |= {("a.py", number, name): value for name, value in state.items()}
            store.settle()
            store.write_metadata("a.py")
        left = {("a.py", record.version) for record in store.history("a.py")}
        values = {
            (key.replace("b.py", "c.py"), version, name): value
            for (key, version, name), value in held.items()
            if key != "a.py" or (key, version) in left
        }
        places = {pair: list(_places(store, *pair)) for pair in values}
        sessions, trashed = store.sessions(), [one.key for one in store.trashed()]
        if is_open:
            shutil.copytree(folder, original)
    if not is_open:
        shutil.copytree(folder, original)
    return Expected(values, places, sessions, trashed, {("a.py", 20): "good"})


def _places(store: Store, key: str, version: int, name: str) -> Iterator[tuple[str, int, int]]:
    core = store._core
    entry = store.listing(key, version)[name]
    refs = core.reader.top_refs(entry.content) + core.reader.refs(entry.content, entry.digest, name)
    for ref in refs:
        for digest in core.reader.deep_digests(ref, name):
            place = core.locate([digest])[digest]
            yield core.packs.path(place.pack).name, place.offset, place.offset + place.stored


def damage(folder: Path, rng: random.Random) -> tuple[str, list[tuple[int, int]]]:
    """Damage a file; return which one, and the beginnings and ends of what was hit."""
    files = [path for path in sorted(folder.glob("catalog.sqlite*")) if not path.name.endswith("-shm")]
    files += sorted((folder / "packs").iterdir())
    victim = rng.choice([path for path in files if path.stat().st_size])
    data = bytearray(victim.read_bytes())
    at = rng.randrange(min(len(data), 300)) if rng.random() < 0.05 else rng.randrange(len(data))
    end = len(data)
    kind = rng.choice(["flip", "cut", "zero", "swap", "noise"])
    if kind == "flip":
        data[at] ^= 1 << rng.randrange(8)
        end = at + 1
    elif kind == "cut":
        del data[at:]
    elif kind in ("zero", "noise"):
        end = min(len(data), at + rng.choice([1, 16, 512, 4096]))
        data[at:end] = bytes(end - at) if kind == "zero" else rng.randbytes(end - at)
    else:
        end = min(len(data), at + rng.choice([1, 16, 512]))
        other = rng.randrange(len(data) - (end - at) + 1)
        data[at:end], data[other : other + end - at] = data[other : other + end - at], data[at:end]
        victim.write_bytes(data)
        return victim.name, [(at, end), (other, other + end - at)]
    victim.write_bytes(data)
    return victim.name, [(at, end)]


def read(folder: Path, expected: Expected) -> set[Pair]:
    """Return what can be read; nothing of it may be wrong."""
    good: set[Pair] = set()
    try:
        store = Store.open(folder, KEY)
    except StoreError:
        return good
    with store:
        wanted: dict[tuple[str, int], dict[str, Value]] = {}
        for (key, version, name), value in expected.values.items():
            wanted.setdefault((key, version), {})[name] = value
        for key in {key for key, _ in wanted}:
            with contextlib.suppress(StoreError):
                store.history(key)
                store.check(key)
        seen: dict[bytes, Value] = {}
        for (key, version), values in wanted.items():
            with contextlib.suppress(StoreError):
                for name, entry in store.listing(key, version).items():
                    with contextlib.suppress(StoreError):
                        if entry.content not in seen:
                            content = store.read(entry)
                            seen[entry.content] = bytes(content.stream), tuple(map(bytes, content.buffers))
                        assert seen[entry.content] == values[name], f"{name} in version {version} of {key} is wrong"
                        good.add((key, version, name))
    return good


def trial(original: Path, expected: Expected, seed: int, folder: Path) -> str:
    """Damage a copy, look at it, repair it; return what became of it, in a word."""
    rng = random.Random(seed)
    shutil.copytree(original, folder)
    file, ranges = damage(folder, rng)
    everything = set(expected.values)
    good = read(folder, expected)
    problems = found(folder)
    assert problems or good == everything, "something is lost, and nobody says so"
    remaining = repair(folder) if problems else []
    after = read(folder, expected) if problems else good
    hit = {
        pair
        for pair, places in expected.places.items()
        if any(name == file and begin < end and start < stop for name, begin, stop in places for start, end in ranges)
    }
    assert everything - after <= hit, f"undamaged, and lost: {sorted(everything - after - hit)[:5]}"
    assert good <= after, f"lost by the repair: {sorted(good - after)[:5]}"
    for key, version, name in everything - after:
        assert any(name in what and key in what for _, what in remaining), f"{name} of {version} is not named"
    if after == everything:
        assert remaining == [], remaining
    with Store.open(folder, KEY) as store:
        assert store.sessions() == expected.sessions
        assert [one.key for one in store.trashed()] == expected.trashed
        for (key, version), label in expected.labels.items():
            assert store.version(key, version).label == label
        store.commit("a.py", change({"new": b"1"}))
    return "harmless" if not problems else "mended" if after == everything else "named"


def run(first: int, count: int, seed: int) -> Tally:
    """Do some trials in this process."""
    tally = Tally.new()
    with in_memory() as place:
        made = {}
        for name in ("closed", "open"):
            made[name] = build(place / f"{name}-made", place / name, is_open=name == "open")
        for number in range(first, first + count):
            name = "open" if number % 2 else "closed"
            folder = place / "trial"
            with tally.trial(f"trial {number} of seed {seed}"):
                tally.outcomes[trial(place / name, made[name], seed * 1_000_003 + number, folder)] += 1
            shutil.rmtree(folder, ignore_errors=True)
    return tally


def main() -> None:
    """Do all trials, in some processes."""
    chosen = choose(__doc__)
    carry_out(chosen, "damages", run, [(part.start, len(part), chosen.seed) for part in chosen.parts(100)])


if __name__ == "__main__":
    main()
