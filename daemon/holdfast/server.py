"""One connection's language server: turns requests into calls on the workspace, and answers into messages.

Handlers only translate; what a request means is decided in `workspace`. All handlers are coroutines on the event
loop: pygls' pool of threads is not used, since its members could not be cancelled.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any

import attrs
from cattrs.errors import BaseValidationError, ClassValidationError
from lsprotocol import types as lsp
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer
from pygls.protocol import JsonRPCNotification, JsonRPCRequestMessage, LanguageServerProtocol
from pygls.protocol.language_server import lsp_method

from holdfast import __version__
from holdfast import protocol as messages
from holdfast.commands import register_commands
from holdfast.connection import Connection
from holdfast.editor.features import EditorFeatures
from holdfast.errors import HoldfastError, InvalidParams
from holdfast.framing import Body, Noise
from holdfast.process import when_gone
from holdfast.progress import asked_by
from holdfast.workspace import Workspace

logger = logging.getLogger(__name__)

Handler = Callable[[Any], Coroutine[Any, Any, Any]]

_FILES = lsp.FileOperationRegistrationOptions(
    filters=[lsp.FileOperationFilter(pattern=lsp.FileOperationPattern(glob="**/*"), scheme="file")]
)
_NOTEBOOKS = lsp.NotebookDocumentSyncOptions(
    notebook_selector=[
        lsp.NotebookDocumentFilterWithNotebook(
            notebook=lsp.NotebookDocumentFilterNotebookType(notebook_type="jupyter-notebook"),
            cells=[lsp.NotebookCellLanguage(language="python")],
        )
    ],
    save=True,
)


@attrs.define
class _InputAnswer:
    """The response to ``holdfast/input``; pygls would make a throw-away named tuple of it."""

    id: str | int
    jsonrpc: str
    result: messages.InputResult


class HoldfastProtocol(LanguageServerProtocol):
    """pygls' protocol with our capabilities, and without ending the process: other clients may be connected."""

    _server: HoldfastServer

    def get_result_type(self, method: str) -> Any:  # type: ignore[override]
        """Return the type of a response to a request of ours."""
        return _InputAnswer if method == messages.INPUT else super().get_result_type(method)

    def _send_handler_result(self, future: Any, *, msg_id: Any) -> None:
        """Answer a request; an error that was meant for the client is not one for the log."""
        self._request_futures.pop(msg_id, None)
        if future.cancelled():
            error = lsp.ResponseError(
                int(lsp.LSPErrorCodes.RequestCancelled),
                "The request was cancelled.",
                {"kind": "cancelled", "detail": None},
            )
            self._send_response(msg_id, error=error)
            return
        problem = future.exception()
        if problem is None:
            self._send_response(msg_id, result=future.result())
        elif isinstance(problem, JsonRpcException):
            logger.info("request %s was refused: %s", msg_id, problem)
            answer = problem.to_response_error()
            if not isinstance(answer.data, dict) or "kind" not in answer.data:
                answer.data = {"kind": "badRequest", "detail": None}
            self._send_response(msg_id, error=answer)
        else:
            logger.error("request %s broke down", msg_id, exc_info=problem)
            text = f"The request broke down inside Holdfast ({problem!r}); the saved state is as before."
            self._send_response(
                msg_id,
                error=lsp.ResponseError(int(lsp.ErrorCodes.InternalError), text, {"kind": "internal", "detail": None}),
            )

    @lsp_method(lsp.INITIALIZE)
    def lsp_initialize(self, params: lsp.InitializeParams) -> Generator[Any, Any, lsp.InitializeResult]:
        """Answer with pygls' capabilities and ours."""
        result: lsp.InitializeResult = yield from super().lsp_initialize(params)
        result.capabilities.experimental = {
            "holdfast": {"version": messages.VERSION, "methods": sorted(messages.REQUESTS)}
        }
        return result

    @lsp_method(lsp.SHUTDOWN)
    def lsp_shutdown(self, *args: Any) -> Generator[Any, Any, None]:
        """Make everything durable; runs of other clients, and of this one, go on until the daemon ends."""
        yield self._server.flush_before_shutdown, (), None
        self._shutdown = True

    @lsp_method(lsp.EXIT)
    def lsp_exit(self, *args: Any) -> None:  # type: ignore[override]
        """End this connection."""
        self._server.said_exit = True
        self._server.leave()


class HoldfastServer(LanguageServer):
    """Serves one client.

    Args:
        workspace: The core that all clients share.
        connection: The client's byte stream.
        on_leave: Called once when the client said `exit` or is gone.
        on_stop: Called when the client asks the daemon to end.
    """

    protocol: HoldfastProtocol

    def __init__(
        self,
        workspace: Workspace,
        connection: Connection,
        *,
        on_leave: Callable[[HoldfastServer], None],
        on_stop: Callable[[], None],
    ) -> None:
        super().__init__(
            "holdfast",
            __version__,
            text_document_sync_kind=lsp.TextDocumentSyncKind.Incremental,
            notebook_document_sync=_NOTEBOOKS,
            protocol_cls=HoldfastProtocol,
            converter_factory=messages.make_converter,
            max_workers=1,
        )
        self.house = workspace
        self.connection = connection
        self.initialized = False
        self.has_shut_down = False
        self.said_exit = False
        self._on_leave = on_leave
        self._on_stop = on_stop
        self._left = False
        self._tasks: set[asyncio.Task[Any]] = set()
        self._stop_watching: Callable[[], None] = lambda: None
        self.protocol.set_writer(connection)
        self._register()
        self._editor = EditorFeatures(self, self._on_request)

    # ------------------------------------------------------------------ the client, seen from the workspace

    @property
    def paused_for(self) -> float:
        """Seconds for which the client has not kept up."""
        return self.connection.paused_for

    @property
    def shows_progress(self) -> bool:
        """Whether the client lets us begin to show progress."""
        window = self.client_capabilities.window
        return self.initialized and window is not None and bool(window.work_done_progress)

    def write(self, message: bytes) -> None:
        """Send a framed message, once the client is ready for more than the answer to `initialize`."""
        if self.initialized:
            self.connection.write(message)

    def look_again(self) -> None:
        """What is shown of cells may be another by now."""
        self._editor.changed()

    def ask(self, method: str, params: Any) -> Awaitable[Any]:
        """Send a request; the result's `result` is what the client answered."""
        return self._ask(method, params)

    async def _ask(self, method: str, params: Any) -> Any:
        if self._left:
            raise HoldfastError("the client is gone")
        answer = asyncio.ensure_future(self.protocol.send_request_async(method, params))
        gone = asyncio.ensure_future(self.connection.closed.wait())
        done, _ = await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
        gone.cancel()
        if answer not in done:
            answer.cancel()
            raise HoldfastError("the client is gone")
        return answer.result()

    @property
    def encoding(self) -> str:
        """What the client counts characters in."""
        return str(getattr(self.server_capabilities.position_encoding, "value", None) or "utf-16")

    # ------------------------------------------------------------------ messages in

    def received(self, _: Connection, item: Body | Noise) -> None:
        """Take one message from the client; what is none is answered with an error, and harms nobody."""
        if isinstance(item, Noise):
            self._refuse(None, lsp.ErrorCodes.ParseError, f"This is not a message: {item.reason}.")
            return
        try:
            message = json.loads(item.content)
        except (ValueError, RecursionError) as error:
            self._refuse(None, lsp.ErrorCodes.ParseError, f"The message is not JSON: {error}.")
            return
        if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
            identity = message.get("id") if isinstance(message, dict) else None
            self._refuse(identity, lsp.ErrorCodes.InvalidRequest, "The message is not a JSON-RPC 2.0 object.")
            return
        if "method" in message:
            self._called(message)
        else:
            self._answered(message)

    def _called(self, message: dict[str, Any]) -> None:
        method, identity = message["method"], message.get("id")
        is_request = "id" in message
        if not isinstance(method, str) or isinstance(identity, bool) or not isinstance(identity, str | int | None):
            self._refuse(
                identity,
                lsp.ErrorCodes.InvalidRequest,
                "`method` has to be a string and `id` a string or an integer.",
            )
            return
        if not self.initialized and method not in {lsp.INITIALIZE, lsp.EXIT}:
            if is_request:
                self._refuse(identity, lsp.ErrorCodes.ServerNotInitialized, "Send `initialize` first.")
            return
        if self.has_shut_down and method != lsp.EXIT:
            if is_request:
                self._refuse(
                    identity,
                    lsp.ErrorCodes.InvalidRequest,
                    "The connection was shut down; only `exit` may follow.",
                )
            return
        if self.initialized and method == lsp.INITIALIZE:
            self._refuse(identity, lsp.ErrorCodes.InvalidRequest, "`initialize` was sent before.")
            return
        if is_request and method not in self.protocol.fm.features and method not in self.protocol.fm.builtin_features:
            self._refuse(identity, lsp.ErrorCodes.MethodNotFound, f"There is no method {method[:100]!r} here.")
            return
        try:
            structured = self._structure(method, message)
        except _InvalidMessage as error:
            if is_request:
                self._refuse(identity, lsp.ErrorCodes.InvalidParams, f"{method}: {error}. Nothing was done.")
            else:
                logger.warning("ignored %s: %s", method, error)
            return
        if method == lsp.INITIALIZE:
            self.initialized = True
        try:
            self.protocol.handle_message(structured)
        except Exception:
            # Whatever a client sends must not end the connection's reading, let alone the daemon.
            logger.exception("handling %s", method)
            if is_request:
                self._refuse(
                    identity,
                    lsp.ErrorCodes.InternalError,
                    f"{method} could not be handled; the state is as before.",
                )
        if method == lsp.SHUTDOWN and is_request:
            self.has_shut_down = True

    def _structure(self, method: str, message: dict[str, Any]) -> Any:
        """Return the message as typed objects.

        Raises:
            _InvalidMessage: the parameters have not the types that the protocol says.
        """
        try:
            if method in messages.REQUESTS:
                params_type = messages.REQUESTS[method][0]
                params = None
                if params_type is not None:
                    params = self.protocol._converter.structure(message.get("params"), params_type)
                if "id" in message:
                    return JsonRPCRequestMessage(message["id"], method, "2.0", params)
                return JsonRPCNotification(method, "2.0", params)
            if method.startswith("$/") and method not in lsp.METHOD_TO_TYPES:
                return (
                    JsonRPCRequestMessage(message["id"], method, "2.0", None)
                    if "id" in message
                    else JsonRPCNotification(method, "2.0", None)
                )
            known = lsp.METHOD_TO_TYPES.get(method)
            if known is None:
                return (
                    JsonRPCRequestMessage(message["id"], method, "2.0", None)
                    if "id" in message
                    else JsonRPCNotification(method, "2.0", None)
                )
            found: Any = self.protocol._converter.structure(message, known[0])
            if method == lsp.CANCEL_REQUEST and not isinstance(found.params.id, str | int):
                raise _InvalidMessage("params.id is neither a number nor a text")
            return found
        except (BaseValidationError, ClassValidationError) as error:
            raise _InvalidMessage(_first_problem(error)) from error
        except (TypeError, ValueError, KeyError, AttributeError, RecursionError) as error:
            raise _InvalidMessage(str(error) or type(error).__name__) from error

    def _answered(self, message: dict[str, Any]) -> None:
        identity = message.get("id")
        questions = self.protocol._request_futures
        question = questions.get(identity) if isinstance(identity, str | int) else None
        # pygls keeps the client's own requests, which are tasks, in the same place.
        if identity is None or question is None or isinstance(question, asyncio.Task):
            logger.warning("an answer came to what was never asked")
            return
        try:
            self.protocol.handle_message(self.protocol.structure_message(message))
        except Exception as error:  # noqa: BLE001 - a wrong answer fails the question it belongs to, nothing else
            logger.warning("an answer could not be used: %s", error)
            questions.pop(identity, None)
            if not question.done():
                question.set_exception(HoldfastError("the client's answer could not be understood"))

    def _refuse(self, identity: Any, code: Any, message: str) -> None:
        if isinstance(identity, bool) or not isinstance(identity, str | int | None):
            identity = None
        error = {"code": int(code), "message": message, "data": {"kind": "badMessage", "detail": None}}
        self.connection.send(json.dumps({"jsonrpc": "2.0", "id": identity, "error": error}).encode())

    def disconnected(self, _: Connection) -> None:
        """The client is gone, with or without a word."""
        self.leave()

    def leave(self) -> None:
        """End the connection."""
        if self._left:
            return
        self._left = True
        self._editor.left()
        self._stop_watching()
        self.house.clients.leave(self)
        self.house.left(self)
        self._on_leave(self)

    async def flush_before_shutdown(self) -> None:
        """Make everything durable before `shutdown` is answered."""
        try:
            await self.house.states.flush(None)
        except HoldfastError as error:
            logger.warning("flushing before the end: %s", error.message)

    def report_server_error(self, error: Exception, source: Any) -> None:
        """Errors in notifications go to the log; those of requests were answered."""
        logger.warning("%s: %s", getattr(source, "__name__", source), error)

    # ------------------------------------------------------------------ handlers

    def _register(self) -> None:
        house, states = self.house, self.house.states
        self._on_request(messages.EXECUTE, self._execute)
        self._on_request(messages.INTERRUPT, self._interrupt)
        self._on_request(messages.RESTART, house.restart)
        self._on_request(messages.SESSIONS, self._sessions)
        self._on_request(messages.VARIABLES, states.variables)
        self._on_request(messages.INSPECT, self._inspect)
        self._on_request(messages.STATE_GET, lambda params: states.state(params.text_document))
        self._on_request(messages.STATE_FLUSH, lambda params: states.flush(params.text_document, verified=True))
        self._on_request(messages.STATE_RESTORE, states.restore)
        self._on_request(messages.STATE_UNDO, house.travel.undo)
        self._on_request(messages.STATE_REDO, house.travel.redo)
        self._on_request(messages.STATE_FILES, house.file_travel.files)
        self._on_request(messages.STATE_DIFF, house.travel.diff)
        self._on_request(messages.STATE_ORIGIN, house.travel.origin)
        self._on_request(messages.STATE_BRANCH, house.travel.branch)
        self._on_request(messages.STATE_LABEL, house.travel.label)
        self._on_request(messages.STATE_TRUST, house.trust.trust)
        self._on_request(messages.STATE_EXPORT, house.exporting.export)
        self._on_request(messages.STATE_IMPORT, house.importing.import_)
        self._on_request(messages.STATE_CLEAR, states.clear)
        self._on_request(messages.STATE_HISTORY, states.history)
        self._on_request(messages.STATE_USAGE, house.room.usage)
        self._on_request(messages.STATE_COMPACT, house.room.compact)
        self._on_request(messages.STATE_VERIFY, house.examinations.verify)
        self._on_request(messages.STATE_UNLOCK, house.locks.unlock)
        self._on_request(messages.STATE_ENCRYPT, house.locks.encrypt)
        self._on_request(messages.STOP, self._stop)
        self._on_event(lsp.INITIALIZE, self._initialize)
        self._on_event(lsp.INITIALIZED, self._after_initialize)
        self._on_event(lsp.TEXT_DOCUMENT_DID_OPEN, self._did_open)
        self._on_event(lsp.TEXT_DOCUMENT_DID_CHANGE, self._did_change)
        self._on_event(lsp.TEXT_DOCUMENT_DID_CLOSE, self._did_close)
        self._on_event(lsp.TEXT_DOCUMENT_DID_SAVE, self._did_save, lsp.SaveOptions(include_text=False))
        self._on_event(lsp.WORKSPACE_DID_CHANGE_CONFIGURATION, self._did_change_configuration)
        self._on_event(lsp.WORKSPACE_DID_RENAME_FILES, self._did_rename, _FILES)
        self._on_event(lsp.WORKSPACE_DID_DELETE_FILES, self._did_delete, _FILES)
        register_commands(self, self._translated)

    def _on_event(self, method: str, handler: Callable[[Any], Any], options: Any = None) -> None:
        async def follow(params: Any) -> None:
            await handler(params)

        # pygls marks the function it registers, which a bound method does not allow.
        registered = follow if asyncio.iscoroutinefunction(handler) else lambda params: handler(params)
        self.feature(method, options)(registered)

    def _on_request(self, method: str, handler: Callable[[Any], Awaitable[Any]]) -> None:
        self.feature(method)(self._translated(handler))

    def _translated(self, handler: Callable[[Any], Awaitable[Any]]) -> Handler:
        async def handle(params: Any = None) -> Any:
            try:
                with asked_by(self, getattr(params, "work_done_token", None)):
                    return await handler(params)
            except HoldfastError as error:
                raise to_json_rpc(error) from error

        return handle

    async def _execute(self, params: messages.ExecuteParams) -> messages.Run:
        return await self.house.execute(params, self, self.encoding)

    async def _interrupt(self, params: messages.DocumentParams) -> messages.Interrupted:
        return messages.Interrupted(self.house.find(params.text_document).interrupt())

    async def _sessions(self, _: None) -> list[messages.Session]:
        return await self.house.describe_all()

    async def _inspect(self, params: messages.InspectParams) -> messages.Inspection:
        result = await self.house.attach(params.text_document).inspect(params)
        known = {field.name for field in attrs.fields(messages.Inspection)}
        return messages.Inspection(**{name: value for name, value in result.items() if name in known})

    async def _stop(self, _: None) -> None:
        asyncio.get_running_loop().call_soon(self._on_stop)

    def _initialize(self, params: lsp.InitializeParams) -> None:
        options = params.initialization_options
        chosen = options.get("holdfast") if isinstance(options, dict) else None
        if isinstance(chosen, dict):
            self._apply(chosen)
        self.house.clients.join(self)
        if params.process_id is not None:
            self._stop_watching = when_gone(params.process_id, self.connection.close)

    def _apply(self, chosen: dict[str, Any]) -> None:
        try:
            self.house.apply(chosen)
        except InvalidParams as error:
            self.window_show_message(lsp.ShowMessageParams(lsp.MessageType.Warning, error.message))

    async def _after_initialize(self, _: Any) -> None:
        capabilities = self.client_capabilities.workspace
        if capabilities is not None and capabilities.configuration:
            await self._pull_configuration()

    async def _pull_configuration(self) -> None:
        params = lsp.ConfigurationParams(items=[lsp.ConfigurationItem(section="holdfast")])
        try:
            answer = await self._ask(lsp.WORKSPACE_CONFIGURATION, params)
        except (HoldfastError, JsonRpcException) as error:
            logger.info("no configuration from the client: %s", error)
            return
        for values in answer or []:
            chosen = values if isinstance(values, dict) else getattr(values, "_asdict", dict)()
            self._apply(chosen)

    async def _did_change_configuration(self, params: lsp.DidChangeConfigurationParams) -> None:
        values = params.settings
        chosen = values.get("holdfast") if isinstance(values, dict) else None
        if isinstance(chosen, dict):
            self._apply(chosen)
        else:
            await self._after_initialize(None)

    def _did_open(self, params: lsp.DidOpenTextDocumentParams) -> None:
        item = params.text_document
        with _logged("didOpen"):
            self.house.opened(
                self, item.uri, item.language_id, lambda: self.workspace.get_text_document(item.uri).source
            )

    def _did_change(self, params: lsp.DidChangeTextDocumentParams) -> None:
        with _logged("didChange"):
            self.house.changed(self, params.text_document.uri)
            self._editor.edited(params.text_document.uri, params.content_changes)

    def _did_close(self, params: lsp.DidCloseTextDocumentParams) -> None:
        with _logged("didClose"):
            self.house.closed(self, params.text_document.uri)
            self._editor.closed(params.text_document.uri)

    def _did_save(self, params: lsp.DidSaveTextDocumentParams) -> None:
        with _logged("didSave"):
            self.house.place(params.text_document)

    def _did_rename(self, params: lsp.RenameFilesParams) -> None:
        for file in params.files:
            self.house.renamed(file.old_uri, file.new_uri)

    def _did_delete(self, params: lsp.DeleteFilesParams) -> None:
        for file in params.files:
            self.house.deleted(file.uri)


class _InvalidMessage(Exception):
    """The parameters of a message have not the types that the protocol says."""


@contextlib.contextmanager
def _logged(what: str) -> Generator[None, None, None]:
    """A notification cannot be answered with an error: what is wrong with it goes to the log."""
    try:
        yield
    except HoldfastError as error:
        logger.warning("%s: %s", what, error.message)


def to_json_rpc(error: HoldfastError) -> JsonRpcException:
    """Turn an error of ours into one that travels."""
    return JsonRpcException(message=error.message, code=error.code, data={"kind": error.kind, "detail": error.detail})


def _first_problem(error: BaseException, where: str = "") -> str:
    """Return the innermost problem of a cattrs error in one line, with the field it belongs to."""
    inner = getattr(error, "exceptions", None)
    if inner:
        notes = " ".join(getattr(inner[0], "__notes__", []))
        field = notes.rpartition("attribute ")[2].split()[0] if "attribute " in notes else ""
        return _first_problem(inner[0], ".".join(part for part in (where, field) if part))
    text = f"{error} is missing" if isinstance(error, KeyError) else str(error) or type(error).__name__
    return f"{where}: {text}" if where else text


__all__ = ["HoldfastProtocol", "HoldfastServer", "to_json_rpc"]
