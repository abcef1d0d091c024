"""Messages that no sound client would send, to a real daemon: it answers, and goes on.

    PYTHONPATH=tests python tests/protocol/fuzzing.py --minutes 10 --seed 1

Of every message it is asked that the daemon lives, answers the next request, and breaks down nowhere inside: no error
-32603, and none in its log. What is sent is made of the examples in `docs/protocol.md`, changed at random.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import select
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from hypothesis import given, seed
from hypothesis import strategies as st
from mutation import changed, places
from mutation import examples as settings_of

PROTOCOL = Path(__file__).parent.parent.parent / "docs" / "protocol.md"
PATIENCE = 60.0
"""Seconds within which an answer has to come; only a hang takes that long."""
ENDS = {"exit", "shutdown", "holdfast/stop"}
"""These do what they are for."""
INTERNAL_ERROR = -32603
BREAKDOWN = re.compile(r"^\S+ \S+ (ERROR|CRITICAL) (holdfast|asyncio)|^Traceback|^Exception in", re.MULTILINE)
"""In the log. What pygls says of messages that it cannot take apart is none."""
PROJECT = "file:///home/me/project"

TEXTS = st.text(max_size=30).map(lambda text: text.lstrip("/")) | st.sampled_from(
    ["", "\0", "..", "../..", "a.py", "file:///", "file://host/x", "untitled:1", "holdfast:///a.py?b", "\ud800", "%00"]
)
"""No absolute paths: an export would write there."""
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([-1, 2**31, 2**53 + 1, 2**63, 2**64, 10**400])
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=8,
)


def examples() -> list[dict[str, Any]]:
    """Return the requests and notifications of the documentation, and a few of LSP's."""
    found = []
    for block in re.findall(r"```json\n(.*?)```", PROTOCOL.read_text(encoding="utf-8"), re.DOTALL):
        message = json.loads(block)
        if isinstance(message, dict) and "method" in message and message["method"] not in ENDS:
            found.append({"method": message["method"], "params": message.get("params")})
    document = {"uri": f"{PROJECT}/analysis.py"}
    item = {**document, "languageId": "python", "version": 1, "text": "# %%\nx = 1\n"}
    change = {"range": {"start": {"line": 0, "character": 0}, "end": {"line": 1, "character": 0}}, "text": "y"}
    found += [
        {"method": "textDocument/didOpen", "params": {"textDocument": item}},
        {"method": "textDocument/didChange", "params": {"textDocument": item, "contentChanges": [change]}},
        {"method": "textDocument/didSave", "params": {"textDocument": document}},
        {"method": "textDocument/didClose", "params": {"textDocument": document}},
        {"method": "workspace/didChangeConfiguration", "params": {"settings": {"holdfast": {"keep": 10}}}},
        {"method": "workspace/didRenameFiles", "params": {"files": [{"oldUri": PROJECT, "newUri": PROJECT}]}},
        {"method": "workspace/didDeleteFiles", "params": {"files": [document]}},
        {"method": "$/cancelRequest", "params": {"id": 1}},
    ]
    return found


@st.composite
def messages(draw: st.DrawFn) -> Any:
    """Make a message, nearly right."""
    message: Any = {"jsonrpc": "2.0", **draw(st.sampled_from(examples()))}
    if draw(st.booleans()):
        message["id"] = draw(st.integers(1000, 2000) | st.text(max_size=5) | VALUES)
    for _ in range(draw(st.integers(0, 3))):
        path = draw(st.sampled_from(list(places(message))))
        if path == ("method",):
            continue
        new = draw(VALUES)
        message = changed(message, path, new)
        if not isinstance(message, dict):
            break
    if isinstance(message, dict) and draw(st.integers(0, 20)) == 0:
        message["method"] = draw(VALUES)
    if isinstance(message, dict) and str(message.get("method")) in ENDS:
        message["method"] = "holdfast/sessions"
    return message


ODD = {
    "deep lists": b"[" * 100_000,
    "deep objects": b'{"a":' * 50_000,
    **{text: text.encode() for text in ("[]", "null", "1", '"x"', "{}", '{"jsonrpc":"2.0"}', " ")},
    "half a mark": b"\xff\xfe",
}
"""What is no message; by name, since people read what was sent."""
CONTENTS = (
    messages().map(json.dumps).map(str.encode)
    | st.binary(max_size=200)
    | st.sampled_from(sorted(ODD)).map(ODD.__getitem__)
)


class Daemon:
    """A daemon under test.

    Args:
        folder: the workspace.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder.parent / "stderr"
        self._log = self.log.open("wb")
        self._buffer = bytearray()
        self._next = 0
        self.process = subprocess.Popen(
            [sys.executable, "-m", "holdfast", "serve", "--stdio"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            cwd=folder,
        )
        capabilities = {"processId": os.getpid(), "rootUri": folder.as_uri(), "capabilities": {}}
        self.request("initialize", capabilities)
        self.send(json.dumps({"jsonrpc": "2.0", "method": "initialized", "params": {}}).encode())

    def send(self, content: bytes) -> None:
        """Frame and write a message."""
        assert self.process.stdin is not None
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(content) + content)
        self.process.stdin.flush()

    def request(self, method: str, params: Any) -> Any:
        """Send a request that is right, and wait for its answer; look at what comes before.

        Raises:
            AssertionError: something broke down inside of the daemon, or no answer came.
        """
        self._next += 1
        identity = f"sound-{self._next}"
        self.send(json.dumps({"jsonrpc": "2.0", "id": identity, "method": method, "params": params}).encode())
        deadline = time.monotonic() + PATIENCE
        while True:
            message = self._receive(deadline)
            error = message.get("error") or {}
            assert error.get("code") != INTERNAL_ERROR, f"broke down: {message}"
            if "method" in message and "id" in message:
                self.send(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": None}).encode())
            if message.get("id") == identity:
                return message.get("result")

    def _receive(self, deadline: float) -> dict[str, Any]:
        stream = self.process.stdout
        assert stream is not None
        while True:
            head = self._buffer.find(b"\r\n\r\n")
            if head >= 0:
                found = re.search(rb"(?i)content-length: *(\d+)", self._buffer[:head])
                assert found is not None
                end = head + 4 + int(found[1])
                if len(self._buffer) >= end:
                    content = bytes(self._buffer[head + 4 : end])
                    del self._buffer[:end]
                    message: dict[str, Any] = json.loads(content)
                    return message
            ready, _, _ = select.select([stream], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"no answer for {PATIENCE} s"
            data = os.read(stream.fileno(), 1 << 16)
            assert data, f"the daemon is gone: {self.log.read_text(errors='replace')[-3000:]}"
            self._buffer += data

    def check(self) -> None:
        """See that it goes on.

        Raises:
            AssertionError: it does not.
        """
        self.request("holdfast/sessions", None)
        log = self.log.read_text(errors="replace")
        found = BREAKDOWN.search(log)
        assert found is None, log[found.start() :][:3000] if found else ""

    def close(self) -> None:
        """End it."""
        self.request("shutdown", None)
        self.send(b'{"jsonrpc": "2.0", "method": "exit"}')
        assert self.process.wait(PATIENCE) == 0
        self._log.close()


def fuzz(folder: Path, number: int, count: int) -> int:
    """Send messages to a daemon of its own; return how many.

    Args:
        folder: an empty folder.
        number: the seed.
        count: examples, of up to six messages each.
    """
    workspace = folder / "work"
    workspace.mkdir()
    daemon = Daemon(workspace)
    sent = [0]
    here = workspace.as_uri().encode()

    @seed(number)
    @settings_of(count)
    @given(st.lists(CONTENTS, min_size=1, max_size=6))
    def run(contents: list[bytes]) -> None:
        for content in contents:
            daemon.send(content.replace(PROJECT.encode(), here))
            sent[0] += 1
        try:
            daemon.check()
        except AssertionError as error:
            raise AssertionError(f"seed {number}, after {contents!r:.2000}: {error}") from error

    try:
        run()
        daemon.close()
    finally:
        daemon.process.kill()
        daemon.process.wait()
    return sent[0]


def main() -> None:
    """Fuzz for some minutes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    started, number, sent = time.monotonic(), arguments.seed, 0
    while time.monotonic() - started < arguments.minutes * 60:
        with tempfile.TemporaryDirectory() as folder:
            sent += fuzz(Path(folder).resolve(), number, 200)
        print(f"seed {number}: {sent:,} messages in {time.monotonic() - started:.0f} s", flush=True)
        number += 1


if __name__ == "__main__":
    main()
