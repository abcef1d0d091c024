"""Make a state folder as a Holdfast of some time made it, to be read for ever.

    git archive COMMIT daemon | tar x -C /tmp/then
    PYTHONPATH=/tmp/then/daemon python tests/store/formats/make.py tests/store/formats/format-N

format-1 was made with the code right before "Old versions can be thinned" (5bd1653), format-2 with that of the commit
that adds it. format-3 is encrypted, with the passphrase "a passphrase". What the folders hold says `expected`; `key`
is the key that sealed them.
"""

from __future__ import annotations

import random
import shutil
import sys
from pathlib import Path

KEY = b"fixture key of holdfast's tests!"


def expected() -> dict[int, dict[str, tuple[bytes, tuple[bytes, ...]]]]:
    """Return what the versions of the session `dir/a.py` hold."""
    rng = random.Random(2)
    state: dict[str, tuple[bytes, tuple[bytes, ...]]] = {}
    found = {}
    changes: list[tuple[str, tuple[bytes, tuple[bytes, ...]]]] = [
        ("small", (b"a few bytes", ())),
        ("text", (b"compressible " * 300, ())),
        ("array", (b"stream", (rng.randbytes(20_000),))),
        ("zeros", (b"stream", (bytes(600_000),))),
        ("large", (b"stream", (rng.randbytes(70_000),))),
        ("text", (b"changed " * 300, ())),
        ("text", (b"changed " * 300 + b"and longer", ())),
    ]
    for number, (name, value) in enumerate(changes, 1):
        state[name] = value
        if number == 6:
            state.pop("small")
        found[number] = dict(state)
    return found


def make(folder: Path) -> None:
    """Make the folder."""
    from holdfast.store.records import Change, ComponentContent
    from holdfast.store.store import Store

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "key").write_bytes(KEY)
    before: dict[str, tuple[bytes, tuple[bytes, ...]]] = {}
    more = {}
    if folder.name == "format-3":
        from holdfast.store.keyslots import PASSPHRASE, Encryption

        more = {"encryption": Encryption(PASSPHRASE, new_passphrase="a passphrase", cost=1 << 10)}
    with Store.open(folder / "state", KEY, **more) as store:
        for number, state in expected().items():
            changed = [
                ComponentContent(name, (name,), f"fp {name}", stream, buffers, {name: {"name": name, "type": "bytes"}})
                for name, (stream, buffers) in state.items()
                if before.get(name) != (stream, buffers)
            ]
            store.commit(
                "dir/a.py",
                Change(
                    code=f"run({number})\n" * 40,
                    run_id=f"run {number}",
                    execution_count=number,
                    changed=changed,
                    removed=[name for name in before if name not in state],
                    names_changed=[component.id for component in changed],
                    skipped=[{"name": "f", "type": "generator", "reason": "It runs.", "remedy": "Make it again."}],
                    environment={"python": "3.11.7", "platform": "linux", "packages": {"numpy": "2.0"}},
                ),
            )
            before = state
        store.set_label("dir/a.py", 2, "a label")
        store.commit("old.py", Change(changed=[ComponentContent("x", ("x",), "fp", b"x", ())]))
        store.trash("old.py", "deleted")
        store.commit("b.py", Change(changed=[ComponentContent("x", ("x",), "fp", b"x", ())]))
        store.move("b.py", "c.py")
        if hasattr(store, "thin"):
            for _ in store.thin("dir/a.py", 4):
                pass
            for _ in store.collect():
                pass
        store.set_head("dir/a.py", 6)
    (folder / "state" / "lock").unlink()
    (folder / "state" / ".gitignore").unlink()


if __name__ == "__main__":
    make(Path(sys.argv[1]))
