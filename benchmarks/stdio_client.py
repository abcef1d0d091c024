"""The smallest client there can be: blocking, over the daemon's standard input and output."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any


class StdioClient:
    """One `holdfast serve --stdio` and a conversation with it.

    Args:
        folder: The workspace.
        options: What goes into `initializationOptions.holdfast`.
    """

    def __init__(self, folder: Path, options: dict[str, Any] | None = None) -> None:
        self._folder = folder
        self._process = subprocess.Popen(
            [sys.executable, "-m", "holdfast", "serve", "--stdio"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=folder,
        )
        self._next = 0
        self.request(
            "initialize",
            {
                "processId": os.getpid(),
                "rootUri": folder.as_uri(),
                "capabilities": {},
                "initializationOptions": {"holdfast": options or {}},
            },
        )
        self._send({"jsonrpc": "2.0", "method": "initialized", "params": {}})

    def _send(self, message: dict[str, Any]) -> None:
        content = json.dumps(message).encode()
        assert self._process.stdin is not None
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(content), content))
        self._process.stdin.flush()

    def _receive(self) -> dict[str, Any]:
        stream = self._process.stdout
        assert stream is not None
        length = 0
        while line := stream.readline().strip():
            if line.lower().startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        message: dict[str, Any] = json.loads(stream.read(length))
        return message

    def request(self, method: str, params: Any) -> Any:
        """Send a request and wait for its answer; notifications in between are read and dropped."""
        self._next += 1
        self._send({"jsonrpc": "2.0", "id": self._next, "method": method, "params": params})
        while True:
            message = self._receive()
            if message.get("id") == self._next and "method" not in message:
                if "error" in message:
                    raise RuntimeError(message["error"]["message"])
                return message.get("result")

    def start(self, method: str, params: Any) -> int:
        """Send a request and return its id without waiting."""
        self._next += 1
        self._send({"jsonrpc": "2.0", "id": self._next, "method": method, "params": params})
        return self._next

    def next_message(self) -> dict[str, Any]:
        """Return what comes next: an answer or a notification."""
        return self._receive()

    def run(self, name: str, code: str, **options: Any) -> dict[str, Any]:
        """Run code in a file's session."""
        params = {"textDocument": {"uri": (self._folder / name).as_uri()}, "code": code, "options": options}
        result: dict[str, Any] = self.request("holdfast/execute", params)
        if result["status"] != "ok":
            raise RuntimeError(str(result["error"]))
        return result

    def close(self) -> None:
        """Leave as the protocol says."""
        self.request("shutdown", None)
        self._send({"jsonrpc": "2.0", "method": "exit", "params": None})
        self._process.wait(30)
