"""What `holdfast doctor` checks, one function each; none of them changes anything."""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
import stat
import sys
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from holdfast import endpoint
from holdfast.store.catalog import APPLICATION_ID, CATALOG_NAME, ENCRYPTED_FORMAT
from holdfast.store.folder import who_else_writes
from holdfast.store.seal import KEY_NAME, KEY_SIZE, config_folder
from holdfast.words import size

LOW_SPACE = 1 << 30
"""Free bytes below which saves are likely to fail soon."""
SOCKET_PATH_LIMIT = 104 if sys.platform == "darwin" else 108
"""Bytes of a Unix socket's path, the final zero included."""
PACKAGES = (
    "pygls",
    "lsprotocol",
    "attrs",
    "cattrs",
    "watchdog",
    "cloudpickle",
    "platformdirs",
    "blake3",
    "zstandard",
)
NETWORK_FILE_SYSTEMS = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "afs", "ceph"})


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: ``ok``, a ``note`` (works, but less well) or a ``problem``, and what to do."""

    name: str
    level: Literal["ok", "note", "problem"]
    message: str
    remedy: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the finding for programs."""
        return asdict(self)


def python() -> Finding:
    """The Python that runs the daemon, and kernels unless told otherwise."""
    text = f"{platform.python_version()} ({sys.executable}) on {platform.platform()}"
    if sys.version_info < (3, 11):
        return Finding("python", "problem", text, "The daemon needs Python 3.11 or newer.")
    return Finding("python", "ok", text)


def packages() -> list[Finding]:
    """The distributions that the daemon is built on."""
    found, missing = [], []
    for name in PACKAGES:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            missing.append(name)
    findings = [Finding("packages", "ok", ", ".join(found))] if found else []
    if missing:
        remedy = f"Install them: {sys.executable} -m pip install {' '.join(missing)}"
        findings.append(Finding("packages", "problem", f"missing: {', '.join(missing)}", remedy))
    return findings


def workspace(folder: Path) -> Finding:
    """The folder that the daemon serves."""
    if not os.access(folder, os.W_OK | os.X_OK):
        return Finding("workspace", "problem", f"{folder} is not writable", "Code runs, but nothing can be saved.")
    kind = _file_system(folder)
    if kind in NETWORK_FILE_SYSTEMS:
        return Finding(
            "workspace",
            "note",
            f"{folder} lies on a network file system ({kind}), where locks and logs are not dependable",
            "Keep the state on a local disk: set `holdfast.stateFolder` to an absolute path.",
        )
    return Finding("workspace", "ok", str(folder))


def _file_system(folder: Path) -> str | None:
    try:
        lines = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    mounts = [(fields[1].replace("\\040", " "), fields[2]) for line in lines if len(fields := line.split()) > 2]
    above = {str(folder), *(str(parent) for parent in folder.parents)}
    return max(((len(point), kind) for point, kind in mounts if point in above), default=(0, None))[1]


def state_folder(folder: Path) -> list[Finding]:
    """The saved state: is it a folder of ours, is there room, is the catalog whole."""
    if not folder.exists() and not folder.is_symlink():
        return [Finding("state", "ok", f"{folder} does not exist yet; the first save makes it")]
    if folder.is_symlink() or not folder.is_dir():
        what = "a symbolic link" if folder.is_symlink() else "not a folder"
        return [
            Finding(
                "state",
                "problem",
                f"{folder} is {what}, so nothing is saved there",
                "Move it out of the way.",
            )
        ]
    findings = []
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        findings.append(Finding("state", "problem", f"{folder} is not writable for you", f"chmod u+rwx {folder}"))
    elif (others := who_else_writes(folder)) is not None:
        text = f"{folder}: {others}; what they change is found and never unpickled, but they can take state away"
        findings.append(Finding("state", "note", text, f"Make it yours alone: chmod 700 {folder}"))
    elif os.name == "posix" and stat.S_IMODE(folder.stat().st_mode) & 0o077:
        findings.append(Finding("state", "note", f"others may look into {folder}", f"chmod 700 {folder}"))
    else:
        findings.append(Finding("state", "ok", str(folder)))
    free = shutil.disk_usage(folder).free
    if free < LOW_SPACE:
        findings.append(Finding("disk", "note", f"only {size(free)} are free", "Make room: saves fail without it."))
    else:
        findings.append(Finding("disk", "ok", f"{size(free)} free"))
    catalog = folder / CATALOG_NAME
    if catalog.exists():
        findings.append(_catalog(catalog))
    return findings


def _catalog(path: Path) -> Finding:
    try:
        connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=2)
        try:
            (application,) = connection.execute("PRAGMA application_id").fetchone()
            (form,) = connection.execute("PRAGMA user_version").fetchone()
            (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        finally:
            connection.close()
    except sqlite3.Error as error:
        return Finding(
            "catalog",
            "problem",
            f"{path} cannot be read ({error})",
            "Nothing in the folder is deleted; keep a copy of all of it before you try anything.",
        )
    if application != APPLICATION_ID:
        return Finding("catalog", "problem", f"{path} was not made by Holdfast", "Move it out of the way.")
    if form > ENCRYPTED_FORMAT:
        text = f"format {form} is newer than this Holdfast, which knows {ENCRYPTED_FORMAT}"
        return Finding("catalog", "problem", text, "Update Holdfast.")
    if verdict != "ok":
        text = f"{path} is damaged: {verdict}"
        return Finding(
            "catalog", "problem", text, "Keep a copy of the whole folder; what can be read is still restored."
        )
    return Finding(
        "catalog",
        "ok",
        f"format {form}{', encrypted' if form == ENCRYPTED_FORMAT else ''}, whole, {size(path.stat().st_size)} "
        f"(SQLite {sqlite3.sqlite_version})",
    )


def key() -> Finding:
    """The key that signs what is saved."""
    path = config_folder() / KEY_NAME
    try:
        status = path.stat()
    except FileNotFoundError:
        return Finding("key", "ok", f"{path} does not exist yet; the first save makes it")
    except OSError as error:
        return Finding("key", "problem", f"{path} cannot be read ({error.strerror})", "Without it nothing is restored.")
    if not os.access(path, os.R_OK):
        return Finding("key", "problem", f"{path} is not readable for you", f"chmod 600 {path}")
    if status.st_size != KEY_SIZE:
        text = f"{path} has {status.st_size} bytes instead of {KEY_SIZE}"
        return Finding("key", "problem", text, "Put it back from a backup; saved state is verified with it.")
    if os.name == "posix" and stat.S_IMODE(status.st_mode) & 0o077:
        return Finding("key", "problem", f"others may read {path}", f"chmod 600 {path}")
    for part in (path.parent, path):
        about = part.stat()
        if os.name == "posix" and (about.st_uid not in (os.geteuid(), 0) or about.st_mode & 0o022):
            text = f"others may exchange {part}, and sign what runs code as you"
            return Finding("key", "problem", text, f"chown {os.geteuid()} {part}; chmod go-w {part}")
    return Finding("key", "ok", str(path))


def runtime_folder() -> Finding:
    """Where daemons listen."""
    try:
        folder = endpoint.runtime_folder()
    except (endpoint.EndpointError, OSError) as error:
        return Finding("runtime", "problem", str(error), "Set HOLDFAST_RUNTIME_DIR to a folder of yours.")
    # The names of sockets in it: 20 hexadecimal digits and a suffix.
    length = len(os.fsencode(folder / ("0" * 20 + ".sock"))) + 1
    if sys.platform != "win32" and length > SOCKET_PATH_LIMIT:
        text = f"{folder} is too long for a socket's path by {length - SOCKET_PATH_LIMIT} bytes"
        return Finding("runtime", "problem", text, "Set HOLDFAST_RUNTIME_DIR to a shorter path.")
    return Finding("runtime", "ok", str(folder))


def fork() -> Finding:
    """Whether saved variables can be loaded back and compared beside the session."""
    if hasattr(os, "fork"):
        return Finding("fork", "ok", "what is saved is checked in the background")
    return Finding("fork", "note", "this system cannot fork, so what is saved is not checked in the background")
