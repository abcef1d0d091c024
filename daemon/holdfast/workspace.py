"""The core: which files are open, which session serves which, and what happens to them."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import uuid
from collections.abc import Callable, Coroutine, Iterable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from lsprotocol.types import (
    WINDOW_SHOW_MESSAGE,
    MessageType,
    Position,
    Range,
    ShowMessageParams,
    TextDocumentIdentifier,
)

from holdfast import cells, documents, protocol
from holdfast.archive import Archive
from holdfast.clients import Clients
from holdfast.documents import OpenDocument, Passage, Place
from holdfast.editor.traces import Trace, Traces
from holdfast.encryption import EncryptionRequests
from holdfast.errors import HoldfastError, InvalidParams, KernelFailed, NoSession
from holdfast.examination import Examinations
from holdfast.execution import Asker, Execution
from holdfast.file_travel import FileTravel
from holdfast.files.history import FileHistory
from holdfast.portable.exporting import Exporting
from holdfast.portable.importing import Importing
from holdfast.progress import Progress
from holdfast.protocol import Run
from holdfast.room import RoomRequests
from holdfast.runtimes.pool import KernelPool
from holdfast.scratch import Scratch, scratch_kernel
from holdfast.session import Session
from holdfast.settings import Settings
from holdfast.state_requests import StateRequests
from holdfast.store.errors import StoreError
from holdfast.store.folder import TRASH_NAME
from holdfast.store.keyslots import Encryption
from holdfast.store.records import VersionRecord
from holdfast.store.store import Store
from holdfast.time_travel import TimeTravel
from holdfast.trust_requests import TrustRequests
from holdfast.watcher import Watcher

logger = logging.getLogger(__name__)

_REMEMBERED = 500
"""Versions whose runs are told of where nothing ran yet."""
GLANCE = 0.5
"""Seconds that a start, and a list of sessions, wait for the saved state to be opened."""


class Workspace:
    """One folder and everything Holdfast keeps for it.

    Args:
        folder: The workspace; real path.
        settings: Shared with whoever changes them.
        passphrase: What opens encrypted state without a question.

    Attributes:
        states: Answers what is asked about saved state.
        travel: Moves documents between their versions.
        trust: Takes the user's word for what others saved.
        files: The files that runs wrote.
        file_travel: Brings them back.
        exporting, importing: Carry them to other places.
        room: Answers what is asked about the room that it takes.
        locks: Encrypts it, and unlocks what is encrypted.
        traces: What became of the cells that ran.
        encryption: What opens encrypted state.
    """

    def __init__(self, folder: Path, settings: Settings, passphrase: str | None = None) -> None:
        self.folder = folder
        self.settings = settings
        self.sessions: dict[str, Session] = {}
        self.clients = Clients(self._resume_output)
        self.progress = Progress(self.clients)
        self.encryption = Encryption(settings.encryption, offered=passphrase)
        self.archive = Archive(
            folder / settings.state_folder,
            self._state_lost,
            self._state_conflict,
            encryption=self.encryption,
            warn=self._warn,
        )
        self.files = FileHistory(
            folder,
            settings,
            self.encryption,
            is_document=self._is_document,
            run_of=self._run_of,
            warn=self._warn,
        )
        self._set_limits()
        self.pool = KernelPool(folder, settings.interpreter, spare=settings.spare)
        self.watcher = Watcher(
            folder,
            lambda: self.settings.delete_grace,
            moved=self._moved,
            gone=self._gone,
            state_touched=self.archive.look,
            state_folder=folder / settings.state_folder,
            touched=self.files.touched,
        )
        self.states = StateRequests(self)
        self.travel = TimeTravel(self)
        self.trust = TrustRequests(self)
        self.file_travel = FileTravel(self)
        self.exporting, self.importing = Exporting(self), Importing(self)
        self.room = RoomRequests(self)
        self.examinations = Examinations(self)
        self.locks = EncryptionRequests(self, self._take_up_saved)
        self.traces = Traces(lambda key: self.clients.look_again())
        self._open: dict[str, OpenDocument] = {}
        self._bases: set[str] = set()
        self._retirements: dict[str, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    async def start(self) -> None:
        """Start watching, and the spare kernel.

        The saved state is opened meanwhile, and waited for as long as it usually takes: a file that is renamed before
        anybody knows which files have state would leave its state behind.
        """
        self.pool.prepare()
        self.watcher.start()
        await asyncio.wait([self._spawn(self._take_up_saved())], timeout=GLANCE)

    async def _take_up_saved(self) -> None:
        store = await self.archive.existing()
        if store is None:
            return
        for key in store.sessions():
            self.watcher.watch(key)
        days = self.settings.trash_days
        for archive in (self.archive, self.files.archive):
            try:
                if archive is self.archive or (archive.folder / TRASH_NAME).exists():
                    await archive.run(lambda store: store.expire_trash(days), create=False)
            except StoreError as error:
                logger.warning("the trash was not emptied: %s", error)

    async def close(self) -> None:
        """End all sessions, everything flushed first."""
        self.watcher.stop()
        for timer in self._retirements.values():
            timer.cancel()
        await asyncio.gather(*(session.end() for session in self.sessions.values()), return_exceptions=True)
        await self.pool.close()
        await self.archive.close()
        await self.files.close()

    def apply(self, values: dict[str, Any]) -> None:
        """Take over settings; the state folder can be chosen only until something was saved or read there.

        Raises:
            InvalidParams: a value has the wrong type; nothing was taken over.
        """
        changed = self.settings.update(values, self.folder)
        self._set_limits()
        if "encryption" in changed:
            self.encryption.wanted = self.settings.encryption
        if "interpreter" in changed:
            self.pool.use_interpreter(self.settings.interpreter)
        if not changed.isdisjoint({"max_variable_bytes", "skip_patterns", "skip_secrets"}):
            for session in self.sessions.values():
                session.limits_changed()
        if "state_folder" in changed:
            self.archive.move_to(self.folder / self.settings.state_folder)
            self.watcher.state_folder = self.folder / self.settings.state_folder
            self.files.move_to(self.folder / self.settings.state_folder)

    def _set_limits(self) -> None:
        for archive in (self.archive, self.files.archive):
            archive.upkeep.keep, archive.upkeep.quota = self.settings.keep, self.settings.quota

    # ------------------------------------------------------------------ documents

    def opened(self, client: object, uri: str, language: str | None, text: Callable[[], str]) -> None:
        """A client opened a document; `text` returns its current text."""
        place = documents.locate(uri, self.folder)
        document = self._open.setdefault(place.key, OpenDocument(language))
        document.language = language or document.language
        document.texts.pop(client, None)
        document.texts[client] = text
        if (timer := self._retirements.pop(place.key, None)) is not None:
            timer.cancel()
        session = self.sessions.get(place.key)
        if session is not None:
            session.place = place
        self.watcher.watch(place.key)

    def changed(self, client: object, uri: str) -> None:
        """A client changed a document: from now on its text is the one that counts."""
        place = documents.locate(uri, self.folder)
        document = self._open.get(place.key)
        if document is not None and client in document.texts:
            document.texts[client] = document.texts.pop(client)

    def closed(self, client: object, uri: str) -> None:
        """A client closed a document; after the last, the state is flushed and the kernel retires after a while."""
        place = documents.locate(uri, self.folder)
        self._forget_text(place.key, client, retire=True)

    def left(self, client: object) -> None:
        """A client is gone: its documents are no longer its, but their kernels stay warm."""
        for key in list(self._open):
            self._forget_text(key, client, retire=False)

    def _forget_text(self, key: str, client: object, *, retire: bool) -> None:
        document = self._open.get(key)
        if document is None or document.texts.pop(client, None) is None or document.texts:
            return
        del self._open[key]
        session = self.sessions.get(key)
        if retire and session is not None:
            self._spawn(self._flush_quietly())
            self._retirements[key] = asyncio.get_running_loop().call_later(self.settings.close_grace, self._retire, key)

    def _retire(self, key: str) -> None:
        self._retirements.pop(key, None)
        session = self.sessions.get(key)
        if session is None or key in self._open:
            return
        if session.busy:
            self._retirements[key] = asyncio.get_running_loop().call_later(1.0, self._retire, key)
            return
        self._spawn(session.retire())

    async def _flush_quietly(self) -> None:
        try:
            await self.archive.sync()
        except StoreError as error:
            logger.warning("flushing a closed document: %s", error)

    def _text(self, place: Place) -> str:
        document = self._open.get(place.key)
        return document.text if document is not None else documents.read_text(place)

    # ------------------------------------------------------------------ sessions

    def place(self, document: TextDocumentIdentifier) -> Place:
        """Return the place of a document; a move that just happened on the disk is followed first."""
        place = documents.locate(document.uri, self.folder)
        self.watcher.settle(place.key)
        return place

    def find(self, document: TextDocumentIdentifier) -> Session:
        """Return the document's session.

        Raises:
            NoSession: there is none.
        """
        place = self.place(document)
        session = self.sessions.get(place.key)
        if session is None:
            raise NoSession(f"{place.key} has no session: nothing of it was run since the daemon started.")
        return session

    def attach(self, document: TextDocumentIdentifier) -> Session:
        """Return the document's session, made at first use."""
        return self._attach(self.place(document))

    def scratch(self, place: Place) -> AbstractAsyncContextManager[Scratch]:
        """Return a kernel for copies of a document's versions, which lives as long as it is used in a `with`."""
        return scratch_kernel(self.pool, self.settings, self.folder, place)

    def _attach(self, place: Place) -> Session:
        session = self.sessions.get(place.key)
        if session is None:
            opened = self._open.get(place.key)
            session = Session(
                place,
                (opened.language if opened else None) or place.language_by_suffix,
                pool=self.pool,
                archive=self.archive,
                files=self.files,
                settings=self.settings,
                folder=self.folder,
                emit=self.clients.tell,
                progress=self.progress,
                text=self._text,
                watcher=self.traces,
            )
            session.hold_output_while(self.clients.congested)
            if place.path is not None:
                self._bases.add(documents.key_of(place.path, self.folder))
            self.sessions[place.key] = session
            self.watcher.watch(place.key)
        return session

    def _resume_output(self) -> None:
        for session in self.sessions.values():
            session.resume_output()

    async def execute(self, params: protocol.ExecuteParams, asker: Asker | None, encoding: str = "utf-16") -> Run:
        """Run code, a range, a cell or the whole document.

        Raises:
            InvalidParams: there is no such passage. KernelFailed: no kernel could be started.
        """
        if params.options.timeout is not None and not 0 < params.options.timeout < math.inf:
            raise InvalidParams(
                f"A timeout of {params.options.timeout} ms is none; nothing was run.", kind="badTimeout"
            )
        place = self.place(params.text_document)
        passage = self._passage(params, place, encoding)
        session = self._attach(place)
        run = Execution(
            code=passage.code,
            filename=str(place.path) if place.path is not None and passage.line is not None else None,
            line=passage.line or 0,
            cell=passage.cell,
            uri=place.uri,
            options=params.options,
            asker=asker,
            parts=passage.parts,
            run_id=params.run_id or uuid.uuid4().hex,
        )
        return await session.execute(run)

    def _passage(self, params: protocol.ExecuteParams, place: Place, encoding: str) -> Passage:
        chosen = [part for part in (params.code, params.range, params.cell) if part is not None]
        if len(chosen) > 1:
            raise InvalidParams("Pass only one of `code`, `range` and `cell`; nothing was run.", kind="ambiguous")
        if params.code is not None:
            return Passage(params.code, None)
        text = self._text(place)
        if params.range is not None:
            return documents.passage(text, params.range, encoding)
        if params.cell is not None:
            cell = cells.cell_by_index(cells.split(text), params.cell.index)
            if cell.kind == "javascript":
                raise KernelFailed(
                    "There is no runtime for javascript in this installation; nothing was run.", kind="noRuntime"
                )
            parts = [(0, cell.end_line - cell.code_line, cell.index, cell.rebuild)]
            return Passage(cell.code if cell.kind == "code" else "", cell.code_line, cell.index, parts)
        text = text.removeprefix("\ufeff")
        return Passage(text, 0, parts=cells.parts(text, 0, len(cells.split_lines(text))))

    async def traces_of(self, document: TextDocumentIdentifier) -> list[Trace]:
        """Return what ran in a document, oldest first; as its saved versions tell it, if none of it ran here."""
        place = documents.locate(document.uri, self.folder)
        if not self.traces.knows(place.key):
            records: list[VersionRecord] = []
            try:
                if await self.archive.existing() is not None:
                    records = await self.archive.run(lambda store: store.history(place.key, _REMEMBERED), create=False)
            except StoreError as error:
                logger.info("what ran in %s is not known: %s", place.key, error)
                return []
            self.traces.learn(place.key, records)
        return self.traces.of(place.key)

    def is_live(self, document: TextDocumentIdentifier) -> bool:
        """Whether a kernel holds the variables of a document."""
        session = self.sessions.get(documents.locate(document.uri, self.folder).key)
        return session is not None and session.is_live

    @property
    def is_running(self) -> bool:
        """Whether a cell runs, of any document."""
        return any(session.busy for session in self.sessions.values())

    def range_above(self, document: TextDocumentIdentifier, index: int) -> Range | None:
        """Return the range of everything above a cell; None for the first cell.

        Raises:
            InvalidParams: there is no such cell.
        """
        lines = cells.cell_by_index(cells.split(self._text(self.place(document))), index).start_line
        return Range(start=Position(0, 0), end=Position(lines, 0)) if lines else None

    def cell_index_at(self, document: TextDocumentIdentifier, line: int) -> int:
        """Return which cell holds a line."""
        return cells.cell_at(cells.split(self._text(self.place(document))), line).index

    async def describe_all(self) -> list[protocol.Session]:
        """Return all sessions: those attached, and as ``cold`` those that are only saved.

        State that takes long to open is not waited for.
        """
        opening = asyncio.ensure_future(self.archive.existing())
        await asyncio.wait([opening], timeout=GLANCE)
        store = opening.result() if opening.done() else None
        found = [session.describe(memory=True) for session in self.sessions.values()]
        for key in store.sessions() if store is not None else []:
            if key not in self.sessions:
                found.append(self._describe_saved(store, key))
        return found

    def uri_of_key(self, key: str) -> str:
        """Return the URI of the document that a key belongs to."""
        path = documents.path_of(key, self.folder)
        return documents.uri_of(path) if path is not None else documents.uri_of_key(key)

    def _describe_saved(self, store: Store | None, key: str) -> protocol.Session:
        path, uri = documents.path_of(key, self.folder), self.uri_of_key(key)
        record = store.head(key) if store is not None else None
        return protocol.Session(
            text_document=TextDocumentIdentifier(uri=uri),
            language=documents.Place(uri, key, path).language_by_suffix,
            status="cold",
            execution_count=record.execution_count if record else 0,
            queue=0,
            dirty=False,
            interpreter=self.settings.interpreter,
            version=record.version if record else None,
        )

    # ------------------------------------------------------------------ files that runs write

    def _warn(self, message: str) -> None:
        logger.warning("%s", message)
        self.clients.tell(WINDOW_SHOW_MESSAGE, ShowMessageParams(MessageType.Warning, message))

    def _is_document(self, key: str) -> bool:
        return key in self._open or key in self.sessions or key in self._bases

    async def _run_of(self, key: str, version: int) -> str:
        store = await self.archive.existing()
        try:
            return store.version(key, version).run_id if store is not None else ""
        except StoreError:
            return ""

    # ------------------------------------------------------------------ kernels

    async def restart(self, params: protocol.RestartParams) -> protocol.Session:
        """Restart a document's kernel."""
        session = self.attach(params.text_document)
        await session.restart(params.restore)
        return session.describe(memory=True)

    # ------------------------------------------------------------------ what happens to files

    def renamed(self, old_uri: str, new_uri: str) -> None:
        """An editor renamed a file or a folder."""
        old, new = (documents.path_of_uri(uri) for uri in (old_uri, new_uri))
        if old is not None and new is not None:
            self._moved(documents.key_of(old, self.folder), documents.key_of(new, self.folder))

    def deleted(self, uri: str) -> None:
        """An editor deleted a file or a folder: the same grace as for any deletion."""
        path = documents.path_of_uri(uri)
        if path is not None:
            self.watcher.vanished(documents.key_of(path, self.folder))

    def _moved(self, old: str, new: str) -> None:
        """A file or folder has a new place: state, session and open text follow at once."""
        store = self.archive.at_hand
        if store is not None and store.intact():
            self._move_saved(store, old, new)
        else:
            self._spawn(self._move_saved_when_open(old, new))
        for key in _under(old, self.sessions):
            target = new + key[len(old) :]
            replaced = self.sessions.pop(target, None) if key in self.sessions else None
            if replaced is not None:
                self._spawn(replaced.end())
            session = self.sessions.pop(key, None)
            if session is not None:
                path = documents.path_of(target, self.folder)
                assert path is not None
                self.sessions[target] = session
                session.move(Place(documents.uri_of(path), target, path))
            if (timer := self._retirements.pop(key, None)) is not None:
                timer.cancel()
                self._retirements[target] = asyncio.get_running_loop().call_later(
                    self.settings.close_grace, self._retire, target
                )
            self.traces.moved(key, target)
            self.watcher.forget(key)
            self.watcher.watch(target)

    async def _move_saved_when_open(self, old: str, new: str) -> None:
        store = await self.archive.existing()
        if store is not None:
            self._move_saved(store, old, new)

    def _move_saved(self, store: Store, old: str, new: str) -> None:
        try:
            saved = _under(old, store.sessions())
        except StoreError as error:
            logger.warning("the state of %s did not follow to %s: %s", old, new, error)
            return
        for key in saved:
            target = new + key[len(old) :]
            self.watcher.forget(key)
            self.watcher.watch(target)
            try:
                if store.head(key) is not None:
                    if store.head(target) is not None:
                        store.trash(target, f"replaced by {key}")
                    store.move(key, target)
            except StoreError as error:
                logger.warning("the state of %s did not follow to %s: %s", key, target, error)

    def _gone(self, key: str) -> None:
        """A file or folder was deleted and did not come back in time."""
        self._spawn(self._end_all_deleted(key))

    async def _end_all_deleted(self, key: str) -> None:
        store = await self.archive.existing()
        for name in _under(key, {*self.sessions, *(store.sessions() if store is not None else [])}):
            self._spawn(self._end_deleted(name))

    async def _end_deleted(self, key: str) -> None:
        session = self.sessions.pop(key, None)
        path = documents.path_of(key, self.folder)
        uri = session.place.uri if session is not None else documents.uri_of(path) if path is not None else key
        if session is not None:
            await session.end()
        self.watcher.forget(key)
        try:
            await self.states.discard(key, "its file was deleted")
        except HoldfastError as error:
            logger.warning("the state of the deleted %s stays where it is: %s", key, error.message)
            return
        days = self.settings.trash_days
        reason = f"The file was deleted; its state is in the trash for {days:g} days, and `restore` brings it back."
        self.clients.tell(protocol.STATE_CLEARED, protocol.StateEventParams(TextDocumentIdentifier(uri=uri), reason))

    def _state_lost(self, reason: str, replaced: bool) -> None:
        method = protocol.STATE_CONFLICT if replaced else protocol.STATE_CLEARED
        for session in self.sessions.values():
            session.saver.store_gone()
            self.clients.tell(method, protocol.StateEventParams(session.identifier, reason))
            self.clients.tell(protocol.SESSION_STATUS, session.describe())

    def _state_conflict(self, reason: str) -> None:
        for session in self.sessions.values():
            self.clients.tell(protocol.STATE_CONFLICT, protocol.StateEventParams(session.identifier, reason))

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _under(key: str, known: Iterable[str]) -> list[str]:
    """Return which keys are that of a file, or of files in the folder that it is."""
    return [name for name in known if name == key or name.startswith(f"{key}/")]


def real_folder(folder: Path) -> Path:
    """Return a workspace folder in the form that keys count from."""
    return Path(os.path.realpath(folder))
