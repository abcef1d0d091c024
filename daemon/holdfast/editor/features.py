"""Which standard features a client is given, and what each asks the workspace for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from lsprotocol import types as lsp

from holdfast import cells
from holdfast.errors import HoldfastError

from . import lenses, outline
from .anchors import Anchors

if TYPE_CHECKING:
    from holdfast.server import HoldfastServer

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
        if self._refreshing is None and self._can_refresh:
            self._refreshing = asyncio.get_running_loop().call_later(REFRESH_DELAY, self._refresh)

    def left(self) -> None:
        """The client is gone."""
        if self._refreshing is not None:
            self._refreshing.cancel()
            self._refreshing = None

    @property
    def _can_refresh(self) -> bool:
        capabilities = self._server.client_capabilities.workspace if self._server.initialized else None
        return (
            capabilities is not None
            and capabilities.code_lens is not None
            and bool(capabilities.code_lens.refresh_support)
            and self._house.settings.code_lens
        )

    def _refresh(self) -> None:
        self._refreshing = None
        task = asyncio.ensure_future(self._ask())
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)
        if self._house.is_running:
            self._refreshing = asyncio.get_running_loop().call_later(TICK, self._refresh)

    async def _ask(self) -> None:
        try:
            await self._server.ask(lsp.WORKSPACE_CODE_LENS_REFRESH, None)
        except HoldfastError:
            return  # it is gone

    # ------------------------------------------------------------------ requests

    def _text(self, uri: str) -> str:
        return self._server.workspace.get_text_document(uri).source

    async def _code_lenses(self, params: lsp.CodeLensParams) -> list[lsp.CodeLens]:
        if not self._house.settings.code_lens:
            return []
        uri = params.text_document.uri
        traces = await self._house.traces_of(params.text_document)
        # Read after waiting: the text may have been edited meanwhile.
        text = self._text(uri)
        found = cells.split(text)
        matched = self._anchors.setdefault(uri, Anchors(text)).match(found, traces)
        return lenses.code_lenses(uri, found, matched, live=self._house.is_live(params.text_document))

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
