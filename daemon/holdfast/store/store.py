"""Where state is kept: sessions, their versions, their components' bytes. The one face of this package.

Synchronous and thread-safe. Knows nothing of editors, kernels, or what the bytes mean.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, Self

from . import metadata
from .checking import problems
from .committing import Committer
from .core import Core
from .errors import Damaged, NoSuchVersion, SaveFailed, StoreError
from .folder import SESSIONS_NAME, who_else_writes
from .keeping import Keeping
from .keyslots import Encryption
from .layout import Layout, OpenPacks, layout_of
from .opening import Opener, change_key
from .patching import Upload
from .places import Places
from .predecessors import Replaced
from .reading import damaged_content
from .records import HEAD, Change, ComponentContent, ComponentEntry, Head, Problem, TrashedSession, VersionRecord
from .rows import SessionRow, from_blob, to_blob
from .timeline import UNSEALED_HISTORY, Sealed
from .trash import expire_repairs
from .trusting import Trusting

__all__ = ["HEAD", "Store"]

_MOST_DESCRIBED = 1000
"""Sessions whose descriptions are looked at when the folder is opened."""


class Store(Keeping, Trusting):
    """One `.state` folder, open. Keys are workspace-relative POSIX paths, or URIs and absolute paths for files outside.

    Every method may raise `StoreUnavailable` (kind ``closed`` after `close`, ``gone`` when the folder was removed under
    us) and `Damaged` (kind ``catalog``).
    """

    def __init__(self, folder: Path, core: Core) -> None:
        self.folder = folder
        self._core = core
        self._committer = Committer(core)
        self._places = Places(core)

    @classmethod
    def open(
        cls,
        folder: Path,
        key: bytes,
        *,
        create: bool = True,
        trusts: Path | None = None,
        within: Path | None = None,
        encryption: Encryption | None = None,
    ) -> Self:
        """Open a state folder, and bring in order what a killed writer left.

        Args:
            folder: the `.state` folder.
            key: the user's key, `seal.load_key()`.
            create: make the folder and an empty store if there is none.
            trusts: where it is noted what the user said of the state of others; None: all of it is refused.
            within: the state folder, if this is one inside of it.
            encryption: what opens it if it is encrypted. If it says that state is to be encrypted, and this is not, all
                of it is written anew before, which takes as long as copying it; `in_clear` says if that failed.

        Raises:
            StoreUnavailable: it cannot be used as it is; nothing in it was changed. Kind ``locked``: it is encrypted,
                and what opens it is not at hand.
        """
        opener = Opener(folder, key, trusts=trusts, within=within, encryption=encryption)
        return cls(folder, opener.open(create=create))

    @classmethod
    def decrypt(
        cls,
        folder: Path,
        key: bytes,
        *,
        trusts: Path | None = None,
        within: Path | None = None,
        encryption: Encryption | None = None,
    ) -> Self:
        """Open a state folder that is not to be encrypted any more; all of it is written anew if it is.

        Args:
            folder: see `open`; as are all others.
            key: the user's key.
            trusts: what the user said of the state of others.
            within: the state folder, if this is one inside of it.
            encryption: what opens it.

        Raises:
            StoreUnavailable: it cannot be opened or written; nothing in it was changed.
        """
        return cls(folder, Opener(folder, key, trusts=trusts, within=within, encryption=encryption).decrypt())

    @property
    def is_encrypted(self) -> bool:
        """Whether what it writes is encrypted."""
        return self._core.packs.cipher.encrypts

    @property
    def in_clear(self) -> str | None:
        """Why it is not encrypted, if it is to be."""
        return self._core.in_clear

    def change_key(self, encryption: Encryption) -> None:
        """Have an encrypted store opened in another way from now on: by another passphrase, or by the keyring.

        Args:
            encryption: how.

        Raises:
            StoreUnavailable, SaveFailed: it could not be written; what opened it before still does.
        """
        change_key(self._core, self.folder, encryption)

    # ------------------------------------------------------------------ writing versions

    def commit(
        self, key: str, change: Change, *, parent: int | Head | None = HEAD, synced: bool = False
    ) -> VersionRecord:
        """Make a version exist, and the session's head point to it; it survives `kill -9` once this returns.

        Args:
            key: the session; it is made if there is none.
            change: what changed against the parent.
            parent: the version it changed against. None: against nothing. An older one than the head starts a branch.
            synced: also survive a power cut.

        Raises:
            SaveFailed: nothing happened. Kind ``untrusted`` or ``damaged``: the parent cannot be restored, so
                a change against it is worthless; a full change is not.
        """
        return self._committer.commit(key, change, parent, synced)

    def upload(self, replaced: Replaced | None = None) -> Upload:
        """Begin to take in a large buffer piece by piece, before the commit that it belongs to.

        The commit has it as the `upload` of a `Patch`. Use it in one thread at a time.

        Args:
            replaced: what it takes the place of, if all of it comes, in order: what both have in common is not
                stored again, wherever it lies.
        """
        return self._committer.upload(replaced)

    @property
    def unsettled(self) -> int:
        """How many versions are saved and wait to be noted in the catalog: `settle` is due."""
        return len(self._core.backlog.versions)

    def settle(self) -> None:
        """Note in the catalog what small commits left for later; any other use of the store does it first by itself.

        Raises:
            SaveFailed: not now. Nothing that was committed is lost by that, nor out of reach; try again later.
        """
        self._core.settle()

    def branch(self, key: str, version: int | None, to: str) -> VersionRecord:
        """Make another session start from a version (none: the head) of this one, sharing all bytes.

        What `to` has of its own stays in its history.

        Raises:
            NoSuchVersion, Damaged, Untrusted, SaveFailed.
        """
        source = self._places.require(key)
        return self.version(to, self._committer.branch(source, self._number(source, version), to))

    def set_head(self, key: str, version: int) -> None:
        """Let the session stand on another of its versions: it is restored next, and the next commit builds on it.

        Raises:
            NoSuchVersion, SaveFailed.
        """
        with self._core.writing():
            session = self._places.require(key)
            self._core.timeline.version(session, version)
            tip = session.tip if self._leads_to(session, version) else version
            moved = self._core.sealed(session._replace(head=version, tip=tip))
            self._core.log_event(moved)
            self._core.catalog.update_position(moved)

    def _leads_to(self, session: SessionRow, version: int) -> bool:
        """Whether the version lies on the line that ends in the session's tip."""
        at = session.tip
        while at is not None and at > version:
            row = self._core.catalog.version(session.id, at)
            at = row.parent if row is not None and row.parent is not None and row.parent < at else None
        return at == version

    def tip(self, key: str) -> int | None:
        """Return the newest version of the line that the head stands on: the head itself, or where redo leads."""
        session = self._places.find(key)
        return None if session is None else session.tip

    def following(self, key: str) -> int | None:
        """Return the version that redo leads to: the next after the head on the line to the tip; None at its end."""
        with self._core.reading():
            session = self._places.find(key)
            at = None if session is None else session.tip
            while session is not None and at is not None and session.head is not None and at > session.head:
                row = self._core.catalog.version(session.id, at)
                if row is None or row.parent is None or row.parent >= at:
                    return None
                if row.parent == session.head:
                    return at
                at = row.parent
        return None

    def set_label(self, key: str, version: int, label: str | None) -> None:
        """Give a version a name, or take it away.

        Raises:
            NoSuchVersion, SaveFailed.
        """
        with self._core.writing():
            session = self._places.require(key)
            self._core.timeline.version(session, version)
            self._core.log_event(session, label=[version, label])
            self._core.catalog.set_label(session.id, version, None if label is None else to_blob(label))

    # ------------------------------------------------------------------ reading versions

    def sessions(self) -> list[str]:
        """Return the keys that have a live state."""
        return self._places.keys()

    def is_live(self, key: str) -> bool:
        """Whether anything is saved under a key, be it damaged."""
        session = self._places.find(key)
        return session is not None and session.head is not None

    def head(self, key: str) -> VersionRecord | None:
        """Return the version that a restore brings back; None if nothing is saved.

        Raises:
            Damaged: it cannot be read.
        """
        with self._core.reading():
            session = self._places.find(key)
            if session is None or session.head is None:
                return None
            try:
                return self._core.timeline.record(session, session.head)
            except NoSuchVersion as error:
                raise Damaged(
                    "version",
                    f"version {session.head} of {key}",
                    f"Version {session.head} of {key}, the newest, is missing from the catalog. Nothing was changed; "
                    f"restore another version from the history.",
                ) from error

    def version(self, key: str, number: int) -> VersionRecord:
        """Return one version.

        Raises:
            NoSuchVersion, Damaged.
        """
        with self._core.reading():
            return self._core.timeline.record(self._places.require(key), number)

    def history(self, key: str, limit: int = 100, before: int | None = None) -> list[VersionRecord]:
        """Return versions of all branches, newest first, without those too damaged to be described (see `check`)."""
        with self._core.reading():
            session = self._places.find(key)
            if session is None:
                return []
            records = []
            room = UNSEALED_HISTORY
            for number in self._core.catalog.numbers(session.id, before if before is not None else 1 << 32, limit):
                with contextlib.suppress(Damaged, NoSuchVersion):
                    version = self._core.timeline.version(session, number)
                    room -= 0 if version.trusted else len(version.row.meta)
                    if room < 0:
                        break  # what others wrote could be without end
                    records.append(self._core.timeline.describe(session, version))
            return records

    def listing(self, key: str, version: int | None = None) -> dict[str, ComponentEntry]:
        """Return what a version holds, by component id, after verifying that this user signed all of it.

        Args:
            key: the session.
            version: its number. None: the head, and verify too that nothing but Holdfast moved the head.

        Raises:
            NoSuchVersion, Damaged, Untrusted.
        """
        with self._core.reading():
            return self._core.timeline.listing(*self._verified(key, version))

    @property
    def shared_with(self) -> str | None:
        """Who else can write to the folder, in words; None if nobody is known to."""
        return who_else_writes(self.folder)

    def sealed(self, key: str, version: int | None = None) -> Sealed:
        """Return what `version` and `listing` do, both of the very bytes that were verified.

        Raises:
            NoSuchVersion, Damaged, Untrusted.
        """
        with self._core.reading():
            return self._core.timeline.sealed(*self._verified(key, version))

    def _verified(self, key: str, version: int | None) -> tuple[SessionRow, int]:
        """Return the session and the version's number; None is the head, if nothing but Holdfast moved it."""
        session = self._places.require(key)
        if version is None:
            self._core.timeline.verify_position(session)
        return session, self._number(session, version)

    def _number(self, session: SessionRow, version: int | None) -> int:
        number = session.head if version is None else version
        if number is None:
            raise NoSuchVersion(from_blob(session.key), None)
        return number

    def read(self, entry: ComponentEntry) -> ComponentContent:
        """Return a component's bytes, each chunk checked against its digest.

        Raises:
            Damaged: naming the variables.
        """
        stream, buffers = self._core.reader.content(entry.content, entry.digest, describe(entry))
        return ComponentContent(entry.id, entry.members, entry.fingerprint, stream, buffers, entry.summaries)

    def layout(self, entry: ComponentEntry, packs: OpenPacks) -> list[Layout]:
        """Return where a component's stream and buffers lie, without reading them.

        Args:
            packs: the packs are held open there, so that they can be read whatever becomes of the store.

        Raises:
            Damaged: naming the variables; something is known to be missing or wrong without reading all of it.
        """
        what, reader = describe(entry), self._core.reader
        with self._core.pins.files(), self._core.reading():
            try:
                refs = reader.refs(entry.content, entry.digest, what)
            except ValueError as error:
                raise damaged_content(what, f"its list of contents is not readable: {error}") from error
            layouts = [layout_of(reader, ref, what) for ref in refs]
            packs.hold(self._core.packs, sorted({place.pack for layout in layouts for place in layout.places}))
        return layouts

    def note_damage(self, digest: bytes) -> None:
        """A chunk was found to be wrong: it is stored anew when it is saved again."""
        self._core.reader.on_rotten(digest)

    def check(self, key: str, version: int | None = None) -> list[Problem]:
        """Say what stands in the way of restoring a version, without reading its bytes; cheap."""
        with self._core.reading():
            session = self._places.find(key)
            return [] if session is None else problems(self._core, session, version)

    def size(self, key: str) -> int:
        """Return the bytes that this session's versions were the first to need."""
        session = self._places.find(key)
        return 0 if session is None else session.written

    # ------------------------------------------------------------------ places

    def move(self, old_key: str, new_key: str) -> None:
        """A document moved: its state follows. State that `new_key` had goes to the trash."""
        self._follow(self._places.move(old_key, new_key))

    def move_folder(self, old_prefix: str, new_prefix: str) -> list[tuple[str, str]]:
        """A folder moved: the state of everything in it follows. Returns the (old key, new key) pairs."""
        moved = self._places.move_folder(old_prefix, new_prefix)
        self._follow(moved)
        return moved

    def trash(self, key: str, reason: str) -> bool:
        """Put a state into the trash, where `recover` finds it; whether there was one."""
        done = self._places.trash(key, reason)
        self._drop_metadata(key)
        return done

    def trashed(self, key: str | None = None) -> list[TrashedSession]:
        """Return what is in the trash, newest first."""
        return self._places.trashed(key)

    def recover(self, key: str) -> bool:
        """Bring back what was trashed last under this key; a state that lives there now goes to the trash."""
        done = self._places.recover(key)
        if done:
            self._refresh_metadata(key)
        return done

    def forget(self, key: str) -> int:
        """Remove a key's states for good, live and trashed; return how many. Compaction frees their bytes."""
        count = self._places.forget(key)
        self._drop_metadata(key)
        return count

    def expire_trash(self, days: float) -> int:
        """Remove for good what has been in the trash for longer than `days`; return how many sessions.

        What repairs took out goes as well.

        Raises:
            SaveFailed: kind ``trash``: some of that could not be removed.
        """
        count = self._places.expire(days)
        expire_repairs(self.folder, days)
        return count

    # ------------------------------------------------------------------ metadata for people

    def description(self, key: str) -> dict[str, Any] | None:
        """Return what the session's `metadata.json` says; None if nothing is saved.

        Raises:
            Damaged, Untrusted: there is nothing that could be described.
        """
        with self._core.reading():
            self._core.require_current()
            record = self.head(key)
            if record is None:
                return None
            return metadata.describe(record, self.listing(key, record.version), self.size(key), key)

    def write_metadata(self, key: str) -> None:
        """Write the session's `metadata.json`; nothing reads it back. In an encrypted folder there is none.

        Raises:
            SaveFailed: kind ``metadata``; the state itself is not concerned.
            Damaged, Untrusted: there is nothing that could be described.
        """
        document = None if self.is_encrypted else self.description(key)
        if document is None:
            return
        try:
            metadata.write(self.folder / SESSIONS_NAME, key, document)
        except OSError as error:
            raise SaveFailed(
                "metadata",
                f"The description of {key} could not be written ({error}). Its saved state is not concerned.",
            ) from error

    def redescribe(self) -> None:
        """Write descriptions anew that do not tell of where their session stands; a kill came before they could be."""
        with contextlib.suppress(StoreError):
            for key in [] if self.is_encrypted else self.sessions()[:_MOST_DESCRIBED]:
                session = self._places.find(key)
                told = metadata.version_told(self.folder / SESSIONS_NAME, key)
                if session is not None and session.head != told:
                    self._refresh_metadata(key)

    def _follow(self, moved: list[tuple[str, str]]) -> None:
        for old, new in moved:
            self._drop_metadata(old)
            self._refresh_metadata(new)

    def _refresh_metadata(self, key: str) -> None:
        # For people only, and written again when idle: a failure must not undo the move that was made.
        with contextlib.suppress(StoreError):
            self.write_metadata(key)

    def _drop_metadata(self, key: str) -> None:
        with contextlib.suppress(OSError):  # as above
            metadata.remove(self.folder / SESSIONS_NAME, key)

    # ------------------------------------------------------------------ the folder

    def sync(self) -> None:
        """Make everything committed so far survive a power cut.

        Raises:
            SaveFailed: it may not.
        """
        self._core.sync()

    def checkpoint(self) -> None:
        """Tidy up in idle time, so that later commits need not.

        Raises:
            SaveFailed: it could not be done; nothing is lost by that.
        """
        self._core.checkpoint()

    def intact(self) -> bool:
        """Whether the files that are open are still those in the folder. Cheap."""
        with self._core.lock:
            return self._core.is_current()

    def changed_outside(self) -> bool:
        """Whether somebody else wrote here since this was last asked."""
        return self._core.changed_outside()

    def close(self) -> None:
        """Write everything through and close; may be called twice."""
        self._core.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def describe(entry: ComponentEntry) -> str:
    """Return what a component is called in messages."""
    names = [name for name in entry.members if not name.startswith("\0")]
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return shown or "a function or class of the session"
