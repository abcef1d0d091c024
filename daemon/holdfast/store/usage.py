"""What the room is used for: which variables, which of it for old versions, and what could be won."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from .core import Core
from .encoding import decode_delta, field_refs
from .errors import Damaged, NoSuchVersion, Untrusted
from .ledger import VersionStub
from .marking import Marker, listed
from .records import ComponentEntry
from .rows import SessionRow, from_blob
from .timeline import Timeline

HISTORY_STEPS = (1, 5, 10, 20, 50, 100, 200, 500, 1000)
"""For these numbers of versions it is told what keeping no more would win."""
_BATCH = 512


@dataclass(slots=True)
class VariableUsage:
    """Variables that belong together, and what they cost.

    Attributes:
        names: those that users see; none where `types` says what counts together: what has no name, what was removed.
        types: of each name, as its summary says.
        size: bytes in the newest version, as they are in memory's pickles and buffers.
        stored: bytes on the disk for the newest version, compressed.
        shared: how much of `stored` other variables, or other files, use too.
        history: bytes on the disk that only older versions need.
        versions: how many versions wrote them.
    """

    names: list[str]
    types: list[str]
    size: int = 0
    stored: int = 0
    shared: int = 0
    history: int = 0
    versions: int = 0


@dataclass(slots=True)
class SessionUsage:
    """One session.

    Attributes:
        key: its key.
        trashed: whether it is in the trash.
        versions: how many versions there are.
        stored: bytes that the newest version needs.
        history: bytes that only older versions need.
        records: bytes of the versions themselves: code, listings, summaries.
        keeping: for some numbers of versions, the bytes of `history` that keeping only these would win.
        variables: what it holds, dearest first.
    """

    key: str
    trashed: bool
    versions: int = 0
    stored: int = 0
    history: int = 0
    records: int = 0
    keeping: dict[int, int] = field(default_factory=dict)
    variables: list[VariableUsage] = field(default_factory=list)


@dataclass(slots=True)
class Usage:
    """A whole store.

    Attributes:
        bytes: on the disk, packs and catalog.
        garbage: bytes in the packs that nothing needs, as far as they can be told.
        sessions: dearest first.
    """

    bytes: int = 0
    garbage: int = 0
    sessions: list[SessionUsage] = field(default_factory=list)


class _Cost(NamedTuple):
    """Bytes that are needed by a version and older ones, and by no newer one."""

    age: int
    """How many versions of the session are newer."""
    saved_at: str
    bytes: int


@dataclass(slots=True)
class _Account:
    """A session while it is looked at."""

    session: SessionRow
    usage: SessionUsage
    stubs: list[VersionStub] = field(default_factory=list)
    components: dict[str, tuple[VariableUsage, set[bytes]]] = field(default_factory=dict)
    costs: list[_Cost] = field(default_factory=list)


class Surveyor:
    """Finds out what the room is used for, a few milliseconds with each step; then `found` says it.

    Args:
        core: the store.
        keys: the sessions that are told of; None: all.
    """

    def __init__(self, core: Core, keys: Collection[str] | None = None) -> None:
        self.found = Usage()
        self.accounts: list[_Account] = []
        self._core = core
        self._keys = keys
        self._sizes: dict[bytes, int] = {}

    def run(self) -> Iterator[None]:
        """Do it.

        Raises:
            StoreError: the store is gone.
        """
        core = self._core
        with core.view() as view:
            with core.lock:
                sessions = core.catalog.sessions("1")
                packed = sum(used for _, used in core.catalog.packs().values())
            marker = Marker(core, view, accounting=True)
            users: Counter[bytes] = Counter()
            for session in sessions:
                yield from self._head(view, session, users)
                marker.live.update(*(digests for _, digests in self.accounts[-1].components.values()))
            for account in self.accounts:
                every: set[bytes] = set()
                for variable, digests in account.components.values():
                    yield from self._measure(digests)
                    variable.stored = self._sum(digests)
                    variable.shared = self._sum(digest for digest in digests if users[digest] > 1)
                    every |= digests
                account.usage.stored = self._sum(every)
                yield from self._history(view, account, marker)
        needed = sum(self._sizes.values()) + sum(account.usage.records for account in self.accounts)
        self.found.bytes = packed + core.catalog.path.stat().st_size
        self.found.garbage = max(0, packed - needed)
        told = [account.usage for account in self.accounts if self._keys is None or account.usage.key in self._keys]
        self.found.sessions = sorted(told, key=lambda one: -(one.stored + one.history + one.records))

    def _head(self, view: Timeline, session: SessionRow, users: Counter[bytes]) -> Iterator[None]:
        """See what a session's newest version needs."""
        account = _Account(session, SessionUsage(from_blob(session.key), session.trashed is not None))
        account.stubs = view.catalog.history.stubs(session.id)
        account.usage.versions = len(account.stubs)
        self.accounts.append(account)
        listing: dict[str, ComponentEntry] = {}
        # What cannot be read cannot be told of; the versions that hold it count all the same.
        with contextlib.suppress(Damaged, Untrusted, NoSuchVersion):
            if session.head is not None:
                listing = view.listing(session, session.head)
        yield
        for identity, entry in listing.items():
            marker = Marker(self._core, view)
            with contextlib.suppress(Damaged, ValueError):
                yield from marker.entry(entry, identity)
            account.components[identity] = _describe(entry), marker.live
            users.update(marker.live)

    def _history(self, view: Timeline, account: _Account, marker: Marker) -> Iterator[None]:
        """Follow a session's versions, newest first: what is met for the first time is needed by older ones only."""
        newer: dict[str, int] = {}
        """For each component how old the oldest version is, of those met, that changed it."""
        times: list[str] = []
        gone = VariableUsage([], [])
        for age, stub in enumerate(reversed(account.stubs)):
            try:
                version = view.version(account.session, stub.number, with_delta=True)
                times.append(str(version.meta["savedAt"]))
                record = version.row.written - int(version.meta["chunkBytes"])
                account.usage.records += record
                account.costs.append(_Cost(age, times[age], record))
                what = f"version {stub.number}"
                for ref in field_refs(version.meta):
                    yield from marker.blob(ref, what)
                yield from self._charge(account, marker, age, times, None)
                for entry in listed(view, account.session, version):
                    if not version.trusted and marker.is_vast(entry):
                        continue
                    yield from marker.entry(entry, what)
                    variable = account.components.get(entry.id, (gone, None))[0]
                    variable.versions += entry.since == stub.number
                    until = newer.get(entry.id)
                    newest = age if until is None else min(age, until + 1)
                    yield from self._charge(account, marker, newest, times, variable)
                    newer[entry.id] = age
                assert version.delta is not None
                newer.update(dict.fromkeys(decode_delta(version.delta).removed, age))
            except (Damaged, NoSuchVersion, ValueError, TypeError, KeyError):
                times[age:] = [times[-1] if times else ""]
            yield
        usage = account.usage
        for keep in HISTORY_STEPS:
            if keep < usage.versions:
                usage.keeping[keep] = sum(cost.bytes for cost in account.costs if cost.age >= keep)
        usage.variables = _gathered([variable for variable, _ in account.components.values()], gone)

    def _charge(
        self, account: _Account, marker: Marker, age: int, times: list[str], variable: VariableUsage | None
    ) -> Iterator[None]:
        """Put what the marker met for the first time on somebody's account."""
        if not marker.fresh:
            return
        fresh, marker.fresh = marker.fresh, []
        yield from self._measure(fresh)
        size = self._sum(fresh)
        account.usage.history += size
        account.costs.append(_Cost(age, times[age], size))
        if variable is not None:
            variable.history += size

    def _measure(self, digests: Iterable[bytes]) -> Iterator[None]:
        """Look up how many bytes chunks take."""
        unknown = [digest for digest in digests if digest not in self._sizes]
        for at in range(0, len(unknown), _BATCH):
            batch = unknown[at : at + _BATCH]
            places = self._core.locate(batch)
            for digest in batch:
                self._sizes[digest] = places[digest].stored if digest in places else 0
            yield

    def _sum(self, digests: Iterable[bytes]) -> int:
        return sum(self._sizes[digest] for digest in digests)


def within(accounts: Sequence[_Account], quota: int, keep: int) -> dict[int, int]:
    """Return, by session id, how many of the newest versions can stay so that all together take no more than `quota`.

    The newest version of each session always stays. Others go by age, whichever session's they are.

    Args:
        accounts: what a survey found.
        quota: bytes.
        keep: no more than this many of each session.
    """
    room = quota - sum(account.usage.stored for account in accounts)
    costs = sorted(
        ((_moment(cost.saved_at), cost.bytes) for account in accounts for cost in account.costs if 0 < cost.age < keep),
        reverse=True,
    )
    limit = None
    for when, size in costs:
        room -= size
        if room < 0:
            limit = when
            break
    counts = {}
    for account in accounts:
        ages = {cost.age for cost in account.costs if limit is None or _moment(cost.saved_at) > limit}
        counts[account.session.id] = max(1, min(keep, len(ages)))
    return counts


def _moment(text: str) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0


def _describe(entry: ComponentEntry) -> VariableUsage:
    names = sorted(name for name in entry.members if not name.startswith("\0"))
    return VariableUsage(names, [str(entry.summaries.get(name, {}).get("type", "")) for name in names], entry.size)


def _gathered(variables: Iterable[VariableUsage], gone: VariableUsage) -> list[VariableUsage]:
    """Return variables, dearest first: what has no name as one, and what was removed since as another."""
    hidden = VariableUsage([], ["functions, classes, settings"])
    listed = []
    for variable in variables:
        if variable.names:
            listed.append(variable)
            continue
        for name in ("size", "stored", "shared", "history", "versions"):
            setattr(hidden, name, getattr(hidden, name) + getattr(variable, name))
    gone.types = ["removed since"]
    others = [other for other in (hidden, gone) if other.stored or other.history]
    return sorted([*listed, *others], key=lambda variable: -(variable.stored + variable.history))
