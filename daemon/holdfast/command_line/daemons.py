"""`holdfast status` and `holdfast stop`: the workspace's daemon, from outside."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import click

from holdfast import endpoint
from holdfast.command_line import screen
from holdfast.command_line.exits import EPILOG, Exit
from holdfast.command_line.target import connected, json_option, perform, print_json
from holdfast.words import size

STOP_TIMEOUT = 60.0
"""Seconds that a daemon gets to flush and end."""


def _folder_argument(folder: Path | None) -> Path:
    return folder.absolute() if folder else endpoint.find_workspace(Path.cwd())


@click.command(epilog=EPILOG)
@click.argument("folder", required=False, type=click.Path(file_okay=False, path_type=Path))
@json_option
def status(folder: Path | None, as_json: bool) -> None:
    """Show the daemon of FOLDER (or of this workspace) and its sessions; starts nothing."""
    perform(_status(_folder_argument(folder), as_json), as_json=as_json)


async def _status(folder: Path, as_json: bool) -> int:
    found = endpoint.locate(folder)
    sessions: list[dict[str, Any]] = []
    if found is not None:
        async with connected(folder, start=False) as connection:
            sessions = await connection.request("holdfast/sessions")
    if as_json:
        daemon = None if found is None else {"pid": found.pid, "version": found.version, "socket": found.socket}
        print_json({"folder": str(folder), "daemon": daemon, "sessions": sessions})
        return Exit.OK
    if found is None:
        click.echo(f"No daemon serves {folder}; what is saved there is untouched.")
        return Exit.OK
    click.echo(f"Daemon {found.pid} (version {found.version}) serves {folder}.")
    if sessions:
        screen.table(
            ["file", "status", "kernel", "runs", "memory", "version", "queue"],
            [
                [
                    _name(session["textDocument"]["uri"], folder),
                    session["status"] + (", unsaved changes" if session.get("dirty") else ""),
                    str(session.get("pid") or ""),
                    str(session["executionCount"]),
                    size(session.get("memory")),
                    str(session.get("version") or ""),
                    str(session["queue"]),
                ]
                for session in sessions
            ],
            right=["kernel", "runs", "memory", "version", "queue"],
        )
    return Exit.OK


def _name(uri: str, folder: Path) -> str:
    parts = urlsplit(uri)
    path = Path(unquote(parts.path))
    if not path.is_relative_to(folder):
        return uri
    window = f"#{unquote(parts.query)}" if parts.scheme == "holdfast" else ""
    return f"{path.relative_to(folder)}{window}"


@click.command(epilog=EPILOG)
@click.argument("folder", required=False, type=click.Path(file_okay=False, path_type=Path))
@json_option
def stop(folder: Path | None, as_json: bool) -> None:
    """Save everything, then end the daemon of FOLDER (or of this workspace) and its kernels."""
    perform(_stop(_folder_argument(folder), as_json), as_json=as_json)


async def _stop(folder: Path, as_json: bool) -> int:
    found = endpoint.locate(folder)
    if found is None:
        message = f"No daemon serves {folder}."
    else:
        async with connected(folder, start=False) as connection:
            await connection.request("holdfast/stop")
        if not await _gone(folder, found.pid):
            message = (
                f"Daemon {found.pid} has not ended within {STOP_TIMEOUT:.0f} s; what was reported saved is "
                f"safe. End it with `kill {found.pid}`."
            )
            _report(message, as_json, stopped=False)
            return Exit.STATE
        message = f"Daemon {found.pid} has ended; everything is saved."
    _report(message, as_json, stopped=found is not None)
    return Exit.OK


def _report(message: str, as_json: bool, *, stopped: bool) -> None:
    if as_json:
        print_json({"stopped": stopped, "message": message})
    else:
        click.echo(message)


async def _gone(folder: Path, pid: int) -> bool:
    deadline = time.monotonic() + STOP_TIMEOUT
    while time.monotonic() < deadline:
        found = endpoint.locate(folder)
        if found is None or found.pid != pid:
            return True
        await asyncio.sleep(0.02)
    return False
