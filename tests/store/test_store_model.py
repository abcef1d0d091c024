"""Any sequence of what can be done to a store agrees with a dictionary."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from store_making import KEY, Store, Value, change, values

KEYS = st.sampled_from(["a.py", "d/b.py", "d/c.py"])
NAMES = st.sampled_from(["x", "y", "z"])
SOME_STREAMS = [b"", b"1", b"2", b"m" * 600, bytes(range(256)) * 40]
SOME_BUFFERS = [(), (b"b" * 200,), (b"", b"L" * 300_000), (bytes(range(256)) * 300,)]
STREAMS = st.integers(0, len(SOME_STREAMS) - 1).map(lambda index: SOME_STREAMS[index])
BUFFERS = st.integers(0, len(SOME_BUFFERS) - 1).map(lambda index: SOME_BUFFERS[index])


class Model:
    """A session as it should be."""

    def __init__(self) -> None:
        self.versions: dict[int, dict[str, Value]] = {}
        self.head = 0
        self.next = 1


class StoreMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.place = Path(tempfile.mkdtemp())
        self.store = Store.open(self.place / ".state", KEY)
        self.live: dict[str, Model] = {}
        self.trash: dict[str, list[Model]] = {}

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.place)

    def _commit(self, key: str, base: dict[str, Value], made: Any, after: dict[str, Value], **options: Any) -> None:
        model = self.live.setdefault(key, Model())
        record = self.store.commit(key, made, **options)
        assert record.version == model.next
        model.next += 1
        model.versions[record.version] = after
        model.head = record.version

    @rule(
        key=KEYS, sets=st.dictionaries(NAMES, st.tuples(STREAMS, BUFFERS)), removed=st.sets(NAMES), synced=st.booleans()
    )
    def commit(self, key: str, sets: dict[str, Value], removed: set[str], synced: bool) -> None:
        model = self.live.get(key, Model())
        base = model.versions.get(model.head, {})
        gone = removed - set(sets)
        after = {n: v for n, v in base.items() if n not in gone} | sets
        self._commit(key, base, change(sets, removed=sorted(gone)), after, synced=synced)  # type: ignore[arg-type]

    @rule(key=KEYS, sets=st.dictionaries(NAMES, st.tuples(STREAMS, BUFFERS)))
    def commit_full(self, key: str, sets: dict[str, Value]) -> None:
        self._commit(key, {}, change(sets, full=True), dict(sets))  # type: ignore[arg-type]

    @rule(
        burst=st.lists(st.tuples(KEYS, st.dictionaries(NAMES, st.tuples(STREAMS, BUFFERS), max_size=2)), max_size=12),
        killed=st.booleans(),
    )
    def commit_many_at_once(self, burst: list[tuple[str, dict[str, Value]]], killed: bool) -> None:
        for key, sets in burst:
            base = self.live[key].versions[self.live[key].head] if key in self.live else {}
            self._commit(key, base, change(sets), base | sets)  # type: ignore[arg-type]
        if killed:
            # The folder as it is now is what the next process finds.
            left = Path(tempfile.mkdtemp())
            shutil.copytree(self.place / ".state", left / ".state")
            self.teardown()
            self.place, self.store = left, Store.open(left / ".state", KEY)

    @precondition(lambda self: self.live)
    @rule(data=st.data(), sets=st.dictionaries(NAMES, st.tuples(STREAMS, BUFFERS)))
    def commit_onto_an_older_version(self, data: st.DataObject, sets: dict[str, Value]) -> None:
        key = data.draw(st.sampled_from(sorted(self.live)))
        number = data.draw(st.sampled_from(sorted(self.live[key].versions)))
        base = self.live[key].versions[number]
        self._commit(key, base, change(sets), base | sets, parent=number)  # type: ignore[arg-type]

    @precondition(lambda self: self.live)
    @rule(data=st.data())
    def set_head(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.live)))
        number = data.draw(st.sampled_from(sorted(self.live[key].versions)))
        self.store.set_head(key, number)
        self.live[key].head = number

    @rule(key=KEYS)
    def trash_it(self, key: str) -> None:
        assert self.store.trash(key, "test") == (key in self.live)
        if key in self.live:
            self.trash.setdefault(key, []).append(self.live.pop(key))

    @rule(key=KEYS)
    def recover(self, key: str) -> None:
        has = bool(self.trash.get(key))
        found = self.trash[key].pop() if has else None
        assert self.store.recover(key) == has
        if found is not None:
            if key in self.live:
                self.trash[key].append(self.live[key])
            self.live[key] = found

    @rule(key=KEYS)
    def forget(self, key: str) -> None:
        self.store.forget(key)
        self.live.pop(key, None)
        self.trash.pop(key, None)

    @rule(old=KEYS, new=KEYS)
    def move(self, old: str, new: str) -> None:
        self.store.move(old, new)
        if old in self.live and old != new:
            if new in self.live:
                self.trash.setdefault(new, []).append(self.live[new])
            self.live[new] = self.live.pop(old)

    @precondition(lambda self: self.live)
    @rule(data=st.data(), to=KEYS)
    def branch(self, data: st.DataObject, to: str) -> None:
        key = data.draw(st.sampled_from(sorted(self.live)))
        number = data.draw(st.sampled_from(sorted(self.live[key].versions)))
        held = self.live[key].versions[number]
        record = self.store.branch(key, number, to)
        model = self.live.setdefault(to, Model())
        model.versions[record.version] = dict(held)
        model.head = record.version
        model.next = record.version + 1

    @rule()
    def tidy(self) -> None:
        self.store.sync()
        self.store.checkpoint()

    @precondition(lambda self: self.live)
    @rule(data=st.data(), keep=st.integers(1, 6))
    def thin(self, data: st.DataObject, keep: int) -> None:
        key = data.draw(st.sampled_from(sorted(self.live)))
        for _ in self.store.thin(key, keep):
            pass
        model = self.live[key]
        newest = sorted(model.versions)[-keep:]
        left = {record.version for record in self.store.history(key, 1000)}
        assert {*newest, model.head} <= left <= set(model.versions)
        model.versions = {number: held for number, held in model.versions.items() if number in left}

    @rule(stop_after=st.integers(0, 60), asked=st.booleans())
    def collect(self, stop_after: int, asked: bool) -> None:
        for step, done in enumerate(self.store.collect(asked=asked)):
            assert done.problem is None
            if step == stop_after:
                break

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = Store.open(self.place / ".state", KEY)

    @rule()
    def lose_the_catalog(self) -> None:
        self.store.close()
        (self.place / ".state" / "catalog.sqlite").unlink()
        self.store = Store.open(self.place / ".state", KEY)

    @invariant()
    def agrees(self) -> None:
        assert self.store.sessions() == sorted(self.live)
        for key, model in self.live.items():
            assert values(self.store, key) == model.versions[model.head]
            head = self.store.head(key)
            assert head is not None
            assert head.version == model.head
            assert self.store.check(key) == []
        assert len(self.store.trashed()) == sum(map(len, self.trash.values()))

    @rule()
    def every_version_is_as_it_was(self) -> None:
        for key, model in self.live.items():
            assert [r.version for r in self.store.history(key, 1000)] == sorted(model.versions, reverse=True)
            for number, expected in model.versions.items():
                assert values(self.store, key, number) == expected


StoreMachine.TestCase.settings = settings(
    max_examples=30, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
TestStoreAgreesWithADictionary = StoreMachine.TestCase
