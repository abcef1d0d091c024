"""Holdfast as any LSP client sees it, by way of pytest-lsp: a client that knows the specification and nothing of us."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from lsprotocol import types as lsp
from pytest_lsp import ClientServerConfig, LanguageClient


@pytest.fixture
async def greeted(folder: Path) -> AsyncIterator[tuple[LanguageClient, lsp.InitializeResult]]:
    """A greeted client in an empty workspace, and what the greeting was answered with."""
    config = ClientServerConfig(server_command=[sys.executable, "-m", "holdfast", "serve", "--stdio"])
    client = await config.start()
    result = await client.initialize_session(
        lsp.InitializeParams(
            capabilities=lsp.ClientCapabilities(
                notebook_document=lsp.NotebookDocumentClientCapabilities(
                    synchronization=lsp.NotebookDocumentSyncClientCapabilities()
                ),
                workspace=lsp.WorkspaceClientCapabilities(
                    file_operations=lsp.FileOperationClientCapabilities(did_rename=True, did_delete=True)
                ),
            ),
            process_id=os.getpid(),
            workspace_folders=[lsp.WorkspaceFolder(uri=folder.as_uri(), name="work")],
        )
    )
    yield client, result
    await client.shutdown_session()
    await client.stop()


async def test_cells_run_by_execute_command_from_synchronized_text(
    greeted: tuple[LanguageClient, lsp.InitializeResult], folder: Path
) -> None:
    client, _ = greeted
    uri = (folder / "a.py").as_uri()
    client.text_document_did_open(
        lsp.DidOpenTextDocumentParams(
            text_document=lsp.TextDocumentItem(
                uri=uri, language_id="python", version=1, text="x = 1\n# %%\ny = x + 1\n"
            )
        )
    )
    client.text_document_did_change(
        lsp.DidChangeTextDocumentParams(
            text_document=lsp.VersionedTextDocumentIdentifier(uri=uri, version=2),
            content_changes=[
                lsp.TextDocumentContentChangePartial(
                    range=lsp.Range(start=lsp.Position(0, 4), end=lsp.Position(0, 5)), text="41"
                )
            ],
        )
    )
    for index in range(2):
        run = await client.workspace_execute_command_async(
            lsp.ExecuteCommandParams(
                command="holdfast.runCell", arguments=[{"textDocument": {"uri": uri}, "cell": {"index": index}}]
            )
        )
        assert run["status"] == "ok"
    variables = await client.workspace_execute_command_async(
        lsp.ExecuteCommandParams(command="holdfast.variables", arguments=[{"textDocument": {"uri": uri}}])
    )
    assert {variable["name"]: variable["preview"] for variable in variables} == {"x": "41", "y": "42"}


async def test_the_capabilities_say_what_is_there(greeted: tuple[LanguageClient, lsp.InitializeResult]) -> None:
    capabilities = greeted[1].capabilities
    assert capabilities.execute_command_provider is not None
    assert "holdfast.runCell" in capabilities.execute_command_provider.commands
    assert isinstance(capabilities.text_document_sync, lsp.TextDocumentSyncOptions)
    assert capabilities.text_document_sync.change == lsp.TextDocumentSyncKind.Incremental
    assert capabilities.workspace is not None
    assert capabilities.workspace.file_operations is not None
    assert capabilities.workspace.file_operations.did_rename is not None
    assert capabilities.notebook_document_sync is not None
