"""One real daemon that is led from one hostile state folder to the next, and how much memory it took at most."""

from __future__ import annotations

import itertools
import json
import os
import queue
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

PATIENCE = 60.0
"""Seconds after which a wait is a failure; only a hang comes near it."""


class Refused(Exception):
    """The daemon answered with an error."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error["message"])
        self.code: int = error["code"]
        self.message: str = error["message"]


class Daemon:
    """A `holdfast serve --stdio` process, asked one thing after the other."""

    def __init__(self, folder: Path, config: Path, options: dict[str, Any] | None = None) -> None:
        self.folder = folder
        environment = {**os.environ, "HOLDFAST_CONFIG_DIR": str(config), "HOLDFAST_RUNTIME_DIR": str(config / "run")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "holdfast", "serve", "--stdio"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            env=environment,
        )
        self.told: list[tuple[str, dict[str, Any]]] = []
        self._ids = itertools.count(1)
        self._answers: queue.Queue[dict[str, Any] | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        self.ask(
            "initialize",
            processId=os.getpid(),
            rootUri=folder.as_uri(),
            capabilities={},
            initializationOptions={"holdfast": options or {}},
        )
        self._send({"jsonrpc": "2.0", "method": "initialized", "params": {}})

    def _read(self) -> None:
        stream = self.process.stdout
        assert stream is not None
        while True:
            length = 0
            while line := stream.readline().strip():
                length = int(line.partition(b":")[2]) if line.lower().startswith(b"content-length") else length
            if not length:
                self._answers.put(None)
                return
            message = json.loads(stream.read(length), parse_constant=_no_json)
            if "method" in message:
                self.told.append((message["method"], message["params"]))
            else:
                self._answers.put(message)

    def _send(self, message: dict[str, Any]) -> None:
        content = json.dumps(message).encode()
        assert self.process.stdin is not None
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(content), content))
        self.process.stdin.flush()

    def ask(self, method: str, **params: Any) -> Any:
        """Send a request and return the result."""
        identity = next(self._ids)
        self._send({"jsonrpc": "2.0", "id": identity, "method": method, "params": params})
        answer = self._answers.get(timeout=PATIENCE)
        assert answer is not None, "the daemon has ended"
        assert answer["id"] == identity
        if "error" in answer:
            raise Refused(answer["error"])
        return answer.get("result")

    def about(self, method: str, name: str, **params: Any) -> Any:
        """Ask about a document."""
        return self.ask(f"holdfast/{method}", textDocument={"uri": (self.folder / name).as_uri()}, **params)

    def use(self, state: Path) -> None:
        """Keep state in another folder from now on."""
        settings = {"holdfast": {"stateFolder": str(state)}}
        self._send({"jsonrpc": "2.0", "method": "workspace/didChangeConfiguration", "params": {"settings": settings}})

    @property
    def processes(self) -> list[int]:
        """The daemon and its kernels."""
        found = {self.process.pid}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                except (OSError, IndexError):
                    continue
                if parent == self.process.pid:
                    found.add(int(entry.name))
        return sorted(found)

    def forget_peaks(self) -> None:
        """Begin anew to look for the most memory."""
        for process in self.processes:
            try:
                Path(f"/proc/{process}/clear_refs").write_text("5")
            except OSError:
                continue

    @property
    def peak(self) -> int:
        """The most memory that one of the processes has taken since, in bytes."""
        return max(map(_peak, self.processes))

    def end(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()


def _peak(process: int) -> int:
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmHWM")), 0)


def _no_json(name: str) -> float:
    raise ValueError(f"{name} is not JSON")
