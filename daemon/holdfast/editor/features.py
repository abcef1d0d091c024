"""Which standard features a client is given, and what each asks the workspace for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from lsprotocol import types as lsp
from pygls.exceptions import JsonRpcException

from holdfast import cells
from holdfast.errors import HoldfastError
from holdfast.protocol import InspectParams, VariablesParams

from . import hints, hover, lenses, outline
from .anchors import Anchors
from .traces import Trace

if TYPE_CHECKING:
    from holdfast.server import HoldfastServer

logger = logging.getLogger(__name__)

REFRESH_DELAY = 0.05
"""Seconds in which changes are gathered before a client is asked to look again."""
TICK = 1.0
"""Seconds after which the time that a cell has been running is shown anew."""


class EditorFeatures:
    """Standard features of one client.

    Args:
        server: its connection's server.
        register: registers a handler for a method.
    """

    def __init__(self, server: HoldfastServer, register: Callable[[str, Callable[[Any], Any]], None]) -> None:
        self._server = server
        self._house = server.house
        self._anchors: dict[str, Anchors] = {}
        self._refreshing: asyncio.TimerHandle | None = None
        self._asking: set[asyncio.Task[Any]] = set()
        register(lsp.TEXT_DOCUMENT_CODE_LENS, self._code_lenses)
        register(lsp.TEXT_DOCUMENT_INLAY_HINT, self._inlay_hints)
        register(lsp.TEXT_DOCUMENT_HOVER, self._hover)
        register(lsp.TEXT_DOCUMENT_DOCUMENT_SYMBOL, self._document_symbols)
        register(lsp.TEXT_DOCUMENT_FOLDING_RANGE, self._folding_ranges)
        register(lsp.TEXT_DOCUMENT_SELECTION_RANGE, self._selection_ranges)

    # ------------------------------------------------------------------ what happens

    def edited(self, uri: str, changes: Sequence[lsp.TextDocumentContentChangeEvent]) -> None:
        """The client edited a document.

        Args:
            uri: which.
            changes: how, in order; its text is what came of them.
        """
        anchors = self._anchors.get(uri)
        if anchors is not None:
            anchors.edited(changes, self._text(uri))

    def closed(self, uri: str) -> None:
        """The client closed a document."""
        self._anchors.pop(uri, None)

    def changed(self) -> None:
        """Something became of a cell: the client is asked to look again, soon."""
        if self._refreshing is None and self._refreshes():
            self._refreshing = asyncio.get_running_loop().call_later(REFRESH_DELAY, self._refresh)

    def left(self) -> None:
        """The client is gone."""
        if self._refreshing is not None:
            self._refreshing.cancel()
            self._refreshing = None

    def _refreshes(self) -> list[str]:
        """Return what the client can be asked to look at again."""
        workspace = self._server.client_capabilities.workspace if self._server.initialized else None
        if workspace is None:
            return []
        settings = self._house.settings
        offered = (
            (workspace.code_lens, settings.code_lens, lsp.WORKSPACE_CODE_LENS_REFRESH),
            (workspace.inlay_hint, settings.inlay_hints, lsp.WORKSPACE_INLAY_HINT_REFRESH),
        )
        return [method for can, wanted, method in offered if wanted and can is not None and can.refresh_support]

    def _refresh(self) -> None:
        self._refreshing = None
        for method in self._refreshes():
            task = asyncio.ensure_future(self._ask(method))
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)
        if self._house.is_running:
            self._refreshing = asyncio.get_running_loop().call_later(TICK, self._refresh)

    async def _ask(self, method: str) -> None:
        try:
            await self._server.ask(method, None)
        except (HoldfastError, JsonRpcException) as error:
            logger.info("a client did not look again: %s", error)

    # ------------------------------------------------------------------ requests

    def _text(self, uri: str) -> str:
        return self._server.workspace.get_text_document(uri).source

    async def _code_lenses(self, params: lsp.CodeLensParams) -> list[lsp.CodeLens]:
        if not self._house.settings.code_lens:
            return []
        uri = params.text_document.uri
        _, found, _, matched = await self._ran(params.text_document)
        return lenses.code_lenses(uri, found, matched, live=self._house.is_live(params.text_document))

    async def _ran(
        self, document: lsp.TextDocumentIdentifier
    ) -> tuple[str, list[cells.Cell], list[Trace], dict[int, Trace]]:
        """Return a document's text, its cells, what ran in it, and what of that ran where."""
        traces = await self._house.traces_of(document)
        # Read after waiting: the text may have been edited meanwhile.
        text = self._text(document.uri)
        found = cells.split(text)
        return text, found, traces, self._anchors.setdefault(document.uri, Anchors(text)).match(found, traces)

    async def _inlay_hints(self, params: lsp.InlayHintParams) -> list[lsp.InlayHint]:
        if not self._house.settings.inlay_hints:
            return []
        listed = await self._house.states.variables(VariablesParams(params.text_document))
        text, found, order, traces = await self._ran(params.text_document)
        variables = {variable.name: variable for variable in listed}
        return hints.inlay_hints(text, found, traces, order, variables, params.range, self._server.encoding)

    async def _hover(self, params: lsp.HoverParams) -> lsp.Hover | None:
        if not self._house.settings.hover:
            return None
        text = self._text(params.text_document.uri)
        found = hover.name_at(text, params.position, self._server.encoding)
        if found is None:
            return None
        name, place = found
        listed = await self._house.states.variables(VariablesParams(params.text_document, name))
        if not listed:
            return None
        inspection = None
        if listed[0].loaded and listed[0].type in hover.TABLES and self._house.is_live(params.text_document):
            inspection = await self._rows(params.text_document, name)
        order = await self._house.traces_of(params.text_document)
        made_by = next((trace for trace in reversed(order) if name in trace.changed), None)
        told = hover.describe(listed[0], inspection, made_by)
        return lsp.Hover(lsp.MarkupContent(lsp.MarkupKind.Markdown, told), place)

    async def _rows(self, document: lsp.TextDocumentIdentifier, name: str) -> dict[str, Any] | None:
        """Return the first rows of a table, None if they cannot be had now."""
        try:
            return await self._house.attach(document).inspect(InspectParams(document, name, limit=hover.ROWS))
        except HoldfastError as error:
            logger.info("no look at %s: %s", name, error.message)
            return None

    async def _document_symbols(self, params: lsp.DocumentSymbolParams) -> list[lsp.DocumentSymbol]:
        if not self._house.settings.document_symbols:
            return []
        text = self._text(params.text_document.uri)
        return outline.document_symbols(text, cells.split(text), self._server.encoding)

    async def _folding_ranges(self, params: lsp.FoldingRangeParams) -> list[lsp.FoldingRange]:
        if not self._house.settings.folding_ranges:
            return []
        text = self._text(params.text_document.uri)
        return outline.folding_ranges(text, cells.split(text))

    async def _selection_ranges(self, params: lsp.SelectionRangeParams) -> list[lsp.SelectionRange]:
        text = self._text(params.text_document.uri)
        if not self._house.settings.selection_ranges:
            return [lsp.SelectionRange(lsp.Range(position, position)) for position in params.positions]
        return outline.selection_ranges(text, cells.split(text), params.positions, self._server.encoding)
