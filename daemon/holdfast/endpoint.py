"""Where a workspace's daemon listens, and how to reach or start it. Light on purpose: clients import it.

Per workspace there are, in the user's runtime folder (mode 0700) and named by a digest of the workspace's real path:
a lock that its daemon holds for as long as it lives and that names it; the Unix socket (mode 0600); a lock that is
held while a daemon is being started; and the log of daemons in the background. A lock nobody holds is stale, whatever
it says.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import secrets
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

PASSPHRASE_VARIABLE = "HOLDFAST_PASSPHRASE"
"""Names the passphrase of encrypted state, for a daemon that nobody can be asked about."""
START_TIMEOUT = 30.0
"""Seconds a daemon may take from its start until it listens."""
_CREDENTIALS = struct.Struct("3i")
"""What Linux says of a peer: process, user, group."""
_LOCAL_PEERCRED = 1
_XUCRED = struct.Struct("=IIh2x16I")
"""What macOS says: version, user, and groups."""
LIMIT = 1 << 20
"""Read-ahead of stream readers towards the daemon, in bytes."""


class EndpointError(Exception):
    """The daemon cannot be reached or started; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A running daemon: who it is and how to reach it (a Unix socket, or loopback TCP with a token)."""

    pid: int
    folder: str
    version: str
    socket: str | None = None
    host: str | None = None
    port: int | None = None
    token: str | None = None


def runtime_folder() -> Path:
    """Return the user's runtime folder for Holdfast, made with mode 0700.

    Raises:
        EndpointError: the folder belongs to someone else or others may write to it.
    """
    chosen = os.environ.get("HOLDFAST_RUNTIME_DIR")
    if chosen:
        folder = Path(chosen)
    elif os.environ.get("XDG_RUNTIME_DIR") and Path(os.environ["XDG_RUNTIME_DIR"]).is_dir():
        folder = Path(os.environ["XDG_RUNTIME_DIR"]) / "holdfast"
    elif sys.platform == "win32":
        folder = Path(tempfile.gettempdir()) / "holdfast"
    else:
        folder = Path(tempfile.gettempdir()) / f"holdfast-{os.getuid()}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if sys.platform != "win32":
        status = folder.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
            raise EndpointError(
                f"{folder} does not belong to you, so no daemon can listen there; "
                "set HOLDFAST_RUNTIME_DIR to a folder of yours."
            )
        if status.st_mode & 0o077:
            folder.chmod(0o700)
    return folder


def find_workspace(path: Path) -> Path:
    """Return the workspace of a file.

    The nearest folder above it that holds `.state`, `.git` or `pyproject.toml`, else its own.
    """
    path = Path(os.path.realpath(path))
    start = path if path.is_dir() else path.parent
    for folder in (start, *start.parents):
        if any((folder / mark).exists() for mark in (".state", ".git", "pyproject.toml")):
            return folder
    return start


def _stem(folder: Path) -> Path:
    digest = hashlib.blake2b(os.fsencode(os.path.realpath(folder)), digest_size=10).hexdigest()
    return runtime_folder() / digest


def _try_lock(handle: IO[str], *, shared: bool = False) -> bool:
    """Take the lock if nobody holds it; `shared` by those who only look, who must not stand in each other's way."""
    try:
        if sys.platform == "win32":
            handle.seek(1 << 20)
            msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


class Claim:
    """The right to be a workspace's one daemon.

    Held through an open lock file until `release` or the end of the process.
    """

    def __init__(self, folder: Path, handle: IO[str], path: Path) -> None:
        self.folder = folder
        self._handle = handle
        self._path = path
        self.socket_path = path.with_suffix(".sock")

    @staticmethod
    def attempt(folder: Path) -> Claim | None:
        """Claim the workspace, or return None when a living daemon has it."""
        path = _stem(folder).with_suffix(".lock")
        while True:
            handle = path.open("a+", encoding="utf-8")
            if not _try_lock(handle):
                handle.close()
                return None
            # Between open and lock the holder may have removed the file: then ours is not the one others see.
            try:
                same = os.fstat(handle.fileno()).st_ino == path.stat().st_ino or sys.platform == "win32"
            except FileNotFoundError:
                same = False
            if same:
                os.ftruncate(handle.fileno(), 0)  # what it says is about somebody who is dead
                return Claim(folder, handle, path)
            handle.close()

    def announce(self, *, host: str | None = None, port: int | None = None, token: str | None = None) -> Endpoint:
        """Write into the lock file who holds it and where it listens."""
        from holdfast import __version__

        endpoint = Endpoint(
            pid=os.getpid(),
            folder=str(self.folder),
            version=__version__,
            socket=None if host else str(self.socket_path),
            host=host,
            port=port,
            token=token,
        )
        self._handle.write(json.dumps(asdict(endpoint)))  # in one piece, since it is short and the file is empty
        self._handle.flush()
        if sys.platform != "win32":
            self._path.chmod(0o600)
        return endpoint

    def release(self) -> None:
        """Give the workspace free; called when the daemon no longer writes to its state."""
        if self._handle.closed:
            return
        self.socket_path.unlink(missing_ok=True)
        if sys.platform != "win32":
            self._path.unlink(missing_ok=True)
        self._handle.close()


def locate(folder: Path) -> Endpoint | None:
    """Return the daemon that serves a workspace now; None if there is none or it does not listen yet."""
    path = _stem(folder).with_suffix(".lock")
    return _read(path)


def _read(path: Path) -> Endpoint | None:
    try:
        with path.open("r+", encoding="utf-8") as handle:
            if _try_lock(handle, shared=True):
                return None  # nobody holds it: its daemon is dead
            found: dict[str, Any] = json.loads(handle.read())
            return Endpoint(**found)
    except (OSError, ValueError, TypeError):
        return None


def _is_claimed(folder: Path) -> bool:
    """Whether some process holds the workspace, be it that it does not listen yet."""
    try:
        with _stem(folder).with_suffix(".lock").open("r+", encoding="utf-8") as handle:
            return not _try_lock(handle, shared=True)
    except OSError:
        return False


def running() -> list[Endpoint]:
    """Return all daemons of this user on this machine."""
    found = (_read(path) for path in sorted(runtime_folder().glob("*.lock")))
    return [endpoint for endpoint in found if endpoint is not None]


def new_token() -> str:
    """Return a fresh secret for a TCP endpoint."""
    return secrets.token_urlsafe(32)


def start(folder: Path, *, arguments: list[str] | None = None) -> Endpoint:
    """Start the workspace's daemon in the background, or find the one that runs; return when it listens.

    Raises:
        EndpointError: it did not come up.
    """
    deadline = time.monotonic() + START_TIMEOUT
    # One at a time: of daemons started at once, one that lost could come up when the winner has already been ended.
    with _stem(folder).with_suffix(".start").open("a", encoding="utf-8") as turn:
        while not _try_lock(turn) and time.monotonic() < deadline:
            time.sleep(0.01)
        while _is_claimed(folder) and time.monotonic() < deadline:
            found = locate(folder)
            if found is not None:
                return found
            time.sleep(0.01)  # it is just starting, or just ending
        return _launch(folder, arguments or [], deadline)


def _launch(folder: Path, arguments: list[str], deadline: float) -> Endpoint:
    log = _stem(folder).with_suffix(".log")
    with log.open("ab") as sink:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "holdfast",
                "serve",
                "--background",
                "--folder",
                str(folder),
                *arguments,
            ],
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            start_new_session=True,
            cwd=folder,
        )
    while time.monotonic() < deadline:
        found = locate(folder)
        if found is not None:
            return found
        if process.poll() is not None and process.returncode != 0:
            break
        time.sleep(0.01)
    raise EndpointError(
        f"The daemon for {folder} did not start (its log is {log}); the saved state is untouched. "
        "Try `holdfast doctor`."
    )


def connect_socket(endpoint: Endpoint) -> socket.socket:
    """Return a connected socket to the daemon, the token of a TCP endpoint already sent.

    Raises:
        OSError: the daemon is gone.
    """
    if endpoint.socket is not None:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.connect(endpoint.socket)
        except OSError:
            sock.close()
            raise
        return sock
    assert endpoint.host is not None and endpoint.port is not None
    sock = socket.create_connection((endpoint.host, endpoint.port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(f"Holdfast-Token: {endpoint.token}\r\n".encode("ascii"))
    return sock


def peer_of(sock: socket.socket) -> int | None:
    """Return the user at the other end of a Unix socket; None where the system does not say."""
    if sock.family != getattr(socket, "AF_UNIX", None):
        return None
    try:
        if hasattr(socket, "SO_PEERCRED"):
            told = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
            return int(_CREDENTIALS.unpack(told)[1])
        if sys.platform == "darwin" or "bsd" in sys.platform:
            told = sock.getsockopt(0, _LOCAL_PEERCRED, _XUCRED.size)
            return int(_XUCRED.unpack(told)[1])
    except (OSError, struct.error):
        return None
    return None


async def open_streams(folder: Path, *, start_daemon: bool = True) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a connection to the workspace's daemon, which is started if there is none and `start_daemon` is true.

    Raises:
        EndpointError: there is no daemon, or it did not come up.
    """
    for _ in range(20):
        endpoint = locate(folder)
        if endpoint is None:
            if not start_daemon:
                raise EndpointError(f"No daemon serves {folder}; start one with `holdfast run` or `holdfast serve`.")
            endpoint = await asyncio.to_thread(start, folder)
        try:
            sock = connect_socket(endpoint)
        except OSError:
            await asyncio.sleep(0.05)  # it is just ending, or does not listen yet
            continue
        return await asyncio.open_connection(sock=sock, limit=LIMIT)
    raise EndpointError(
        f"The daemon for {folder} does not accept connections; `holdfast stop` ends it, the state is safe."
    )
