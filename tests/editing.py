"""A client that has a document open, and what it can ask about it."""

from __future__ import annotations

from typing import Any

from harness import Client


class Editor:
    """A client that has a document open."""

    def __init__(self, client: Client, name: str, text: str) -> None:
        self.client = client
        self.name = name
        self.document = {**client.document(name)["textDocument"], "version": 1}
        item = {**self.document, "languageId": "python", "text": text}
        client.notify("textDocument/didOpen", {"textDocument": item})

    def edit(self, text: str, *place: int) -> None:
        """Put a text in place of a range, or of everything."""
        self.document["version"] += 1
        change: dict[str, Any] = {"text": text}
        if place:
            line, character, last, end = place
            change["range"] = {
                "start": {"line": line, "character": character},
                "end": {"line": last, "character": end},
            }
        self.client.notify("textDocument/didChange", {"textDocument": self.document, "contentChanges": [change]})

    async def ask(self, method: str, **more: Any) -> Any:
        """Send a request about the document."""
        return await self.client.request(f"textDocument/{method}", {**self.client.document(self.name), **more})

    async def lenses(self) -> dict[int, list[str]]:
        """Return the titles of the lenses by line."""
        found: dict[int, list[str]] = {}
        for lens in await self.ask("codeLens"):
            found.setdefault(lens["range"]["start"]["line"], []).append(lens["command"]["title"])
        return found

    async def told(self) -> dict[int, str]:
        """Return what is told of what ran, by line."""
        found = {line: titles[-1] for line, titles in (await self.lenses()).items()}
        return {line: title for line, title in found.items() if title not in ("Run", "Run above")}

    async def run(self, index: int) -> Any:
        """Run a cell as a lens does it, and wait until it is saved."""
        (lens, *_) = [
            lens
            for lens in await self.ask("codeLens")
            if lens["command"]["command"] == "holdfast.runCell"
            and lens["command"]["arguments"][0]["cell"]["index"] == index
        ]
        command = {"command": "holdfast.runCell", "arguments": lens["command"]["arguments"]}
        run = await self.client.request("workspace/executeCommand", command)
        await self.client.flush(self.name)
        return run
