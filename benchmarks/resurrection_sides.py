"""The sides of the resurrection benchmark: run a script's cells with or without a kill between every two of them."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from holdfast.cells import Cell

HERE = Path(__file__).parent


class TooSlow(Exception):
    """A run took longer than it may."""


@dataclass
class Record:
    """What one way through a script gave.

    Attributes:
        outputs: for each cell that was run, its outputs.
        error: what the last of them raised: ename, evalue, traceback.
        digest: lines that describe the variables at the end; empty if it did not come to its end.
        lost: what was reported as not saved, by name: the reason.
        seconds: how long it took.
    """

    outputs: list[list[dict[str, Any]]] = field(default_factory=list)
    error: dict[str, Any] | None = None
    digest: dict[str, str] = field(default_factory=dict)
    lost: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


class Workplace:
    """A folder with a script in it, made anew for each way through; the path stays the same, so paths compare equal.

    Args:
        folder: where to make it.
        script: the script; what lies beside it is copied along.
    """

    def __init__(self, folder: Path, script: Path) -> None:
        self.folder = folder
        self._original = script
        self.script = folder / "work" / script.name
        self.report = folder / "report"
        self.state = folder / "state"
        self.digest = folder / "digest.json"
        self.task = folder / "task.json"
        self._started: list[subprocess.Popen[bytes]] = []

    def renew(self) -> None:
        """Begin with nothing but the script and its neighbours."""
        self.remove()
        self.script.parent.mkdir(parents=True)
        (self.folder / "home").mkdir()
        for entry in self._original.parent.iterdir():
            if entry.is_file() and entry.stat().st_size < 10_000_000:
                shutil.copy2(entry, self.script.parent / entry.name)

    def remove(self) -> None:
        """Remove it and end what was started in it."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def environment(self) -> dict[str, str]:
        """Return the environment of processes: one thread each, and no network."""
        nowhere = "http://127.0.0.1:9"
        return {
            **os.environ,
            **dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), nowhere),
            **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
            "HOME": str(self.folder / "home"),
            "XDG_RUNTIME_DIR": str(self.folder / "home"),
            "XDG_CONFIG_HOME": str(self.folder / "home"),
            "XDG_CACHE_HOME": str(self.folder.parent / "cache"),
            "MPLCONFIGDIR": str(self.folder.parent / "cache" / "matplotlib"),
        }

    def start(self, command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        """Start a process that `kill` ends."""
        process = subprocess.Popen(command, cwd=self.script.parent, start_new_session=True, **options)
        self._started.append(process)
        return process

    def kill(self) -> None:
        """`kill -9` every process that was started here, and all that they started."""
        children = _children()
        work = [process.pid for process in self._started]
        doomed = {process.pid for process in self._started if process.poll() is None}
        while work:
            for child in children.get(work.pop(), ()):
                if child not in doomed:
                    doomed.add(child)
                    work.append(child)
        for pid in doomed:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for process in self._started:
            process.wait()
        self._started.clear()


def _children() -> dict[int, list[int]]:
    """Return the processes that each process has started (Linux); those of a session count as its leader's."""
    found: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                for parent in {int(fields[1]), int(fields[3])}:
                    found.setdefault(parent, []).append(int(entry.name))
    return found


class _Daemon:
    """One `holdfast serve --stdio`, and requests that wait no longer than they may."""

    def __init__(self, place: Workplace, interpreter: str) -> None:
        folder = place.script.parent
        self._uri = place.script.as_uri()
        self._process = place.start(
            [sys.executable, "-m", "holdfast", "serve", "--stdio"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=place.environment(),
        )
        self._place = place
        self._answers: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._next = 0
        options = {"interpreter": interpreter, "spare": False}
        self.request(
            "initialize",
            {
                "processId": os.getpid(),
                "rootUri": folder.as_uri(),
                "capabilities": {},
                "initializationOptions": {"holdfast": options},
            },
            60,
        )
        self._send({"jsonrpc": "2.0", "method": "initialized", "params": {}})

    def _send(self, message: dict[str, Any]) -> None:
        content = json.dumps(message).encode()
        assert self._process.stdin is not None
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(content), content))
        self._process.stdin.flush()

    def _read(self) -> None:
        stream = self._process.stdout
        assert stream is not None
        while True:
            length = 0
            while line := stream.readline().strip():
                if line.lower().startswith(b"content-length:"):
                    length = int(line.partition(b":")[2])
            content = stream.read(length)
            if not length or len(content) < length:
                self._answers.put(None)
                return
            message = json.loads(content)
            if "method" not in message:
                self._answers.put(message)

    def request(self, method: str, params: Any, seconds: float) -> Any:
        self._next += 1
        self._send({"jsonrpc": "2.0", "id": self._next, "method": method, "params": params})
        try:
            message = self._answers.get(timeout=seconds)
        except queue.Empty:
            raise TooSlow(f"{method} took more than {seconds:.0f} s") from None
        if message is None:
            raise RuntimeError(f"the daemon ended during {method}")
        if "error" in message:
            raise RuntimeError(f"{method}: {message['error']['message']}")
        return message.get("result")

    def execute(self, seconds: float, **what: Any) -> dict[str, Any]:
        result: dict[str, Any] = self.request(
            "holdfast/execute",
            {
                "textDocument": {"uri": self._uri},
                **what,
                "options": {"collectOutputs": True, **what.get("options", {})},
            },
            seconds,
        )
        if result.get("state", {}).get("status") == "saving":
            self.request("holdfast/state/flush", {"textDocument": {"uri": self._uri}}, seconds)
        return result

    def digest(self) -> dict[str, str]:
        """Have the session describe itself; it gets no variable by it."""
        target = self._place.digest
        target.unlink(missing_ok=True)
        code = (
            f"(lambda names: (exec(open({str(HERE / 'session_digest.py')!r}).read(), names), "
            f"names['write'](globals(), {str(target)!r})))({{'__name__': 'session_digest'}});"
        )
        result = self.execute(300, code=code, options={"persist": False})
        if result["status"] != "ok":
            raise RuntimeError(f"the digest failed: {result.get('error')}")
        lines: dict[str, str] = json.loads(target.read_text(errors="surrogatepass"))
        return lines

    def kill_kernel(self) -> None:
        for session in self.request("holdfast/sessions", None, 60):
            if session["textDocument"]["uri"] == self._uri and session.get("pid"):
                os.kill(session["pid"], signal.SIGKILL)

    def kill(self) -> None:
        self._place.kill()
        self._process.wait()
        assert self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(OSError):  # what was not written when it died
            self._process.stdin.close()
        self._reader.join(10)
        self._process.stdout.close()


def holdfast(
    place: Workplace,
    cells: list[Cell],
    *,
    interpreter: str,
    interrupted: bool,
    limit: float,
    kernel_only: bool = False,
) -> Record:
    """Run a script's cells in daemons of Holdfast.

    Args:
        place: where the script lies.
        cells: its cells.
        interpreter: the Python of the kernel.
        interrupted: whether daemon and kernel are killed after each cell.
        limit: seconds that all cells together may take, or each one when interrupted.
        kernel_only: whether the daemon is left alive.

    Raises:
        TooSlow: it took longer.
    """
    place.renew()
    started = time.monotonic()
    record = Record()
    daemon = None
    try:
        for cell in cells:
            if cell.kind != "code":
                continue
            if daemon is None:
                daemon = _Daemon(place, interpreter)
            left = limit if interrupted else limit - (time.monotonic() - started)
            result = daemon.execute(max(left, 1), cell={"index": cell.index})
            record.outputs.append(result.get("outputs") or [])
            state = result.get("state") or {}
            for lost in state.get("skipped", []):
                record.lost.setdefault(lost["name"], f"{lost['reason']} [after cell {cell.index}]")
            if result["status"] != "ok":
                record.error = result.get("error") or {"ename": result["status"], "evalue": "", "traceback": []}
                return record
            if interrupted and kernel_only:
                daemon.kill_kernel()
            elif interrupted:
                daemon.kill()
                daemon = None
        daemon = daemon or _Daemon(place, interpreter)
        record.digest = daemon.digest()
        return record
    finally:
        record.seconds = time.monotonic() - started
        if daemon is not None:
            daemon.kill()
        place.kill()


def peer(
    place: Workplace, cells: list[Cell], *, keep: str, interpreter: str, interrupted: bool, limit: float
) -> Record:
    """Run a script's cells in plain Python processes, with dill or cloudpickle keeping the session in between.

    Raises:
        TooSlow: it took longer.
    """
    place.renew()
    started = time.monotonic()
    record = Record()
    codes = [(cell.code_line, cell.code) for cell in cells if cell.kind == "code"]
    task: dict[str, Any] = {"script": str(place.script), "cells": codes, "keep": keep if interrupted else None}
    task |= {"state": str(place.state), "report": str(place.report)}
    parts = [(index, index + 1) for index in range(len(codes))] if interrupted else [(0, len(codes))]
    environment = {**place.environment(), "MPLBACKEND": "module://resurrection_figures", "PYTHONPATH": str(HERE)}
    try:
        for first, last in [*parts, (len(codes), len(codes))] if interrupted else parts:
            task |= {"first": first, "last": last, "digest": str(place.digest) if last == len(codes) else None}
            if interrupted and first < last:
                task["digest"] = None
            place.report.unlink(missing_ok=True)
            place.task.write_text(json.dumps(task))
            command = [interpreter, "-c", "__import__('resurrection_peer').main()", str(place.task)]
            process = place.start(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            try:
                process.wait(limit)
            except subprocess.TimeoutExpired:
                place.kill()
                process.wait()
                raise TooSlow(f"cells {first} to {last} took more than {limit:.0f} s") from None
            lines = place.report.read_text().splitlines() if place.report.exists() else []
            for line in lines:
                answer = json.loads(line)
                record.outputs.append(answer["outputs"])
                if answer["trouble"]:
                    record.lost.setdefault("*", f"{answer['trouble']} [cell {answer['cell']}]")
                if answer["error"]:
                    record.error = answer["error"]
                    return record
            if first < last and len(record.outputs) < last:
                record.error = {"ename": "Died", "evalue": "the process ended in the cell", "traceback": []}
                return record
        if place.digest.exists():
            record.digest = json.loads(place.digest.read_text(errors="surrogatepass"))
        return record
    finally:
        record.seconds = time.monotonic() - started
        place.kill()
