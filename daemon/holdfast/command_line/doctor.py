"""`holdfast doctor`: looks at everything a daemon depends on and says what to do about what is wrong."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import click

from holdfast import endpoint
from holdfast.command_line import checks
from holdfast.command_line.checks import Finding
from holdfast.command_line.exits import EPILOG, Exit
from holdfast.command_line.screen import paint
from holdfast.command_line.target import connected, json_option, perform, print_json
from holdfast_client.errors import HoldfastError

ANSWER_TIMEOUT = 5.0
"""Seconds within which a healthy daemon answers, whatever its kernels do."""

_COLOURS = {"ok": "green", "note": "yellow", "problem": "red"}


@click.command(epilog=EPILOG)
@click.argument("folder", required=False, type=click.Path(file_okay=False, exists=True, path_type=Path))
@json_option
def doctor(folder: Path | None, as_json: bool) -> None:
    """Check what Holdfast needs in FOLDER (or in this workspace) and on this machine."""
    workspace = folder.absolute() if folder else endpoint.find_workspace(Path.cwd())
    perform(_doctor(workspace, as_json), as_json=as_json)


async def _doctor(workspace: Path, as_json: bool) -> int:
    findings = [
        checks.python(),
        *checks.packages(),
        checks.workspace(workspace),
        *checks.state_folder(workspace / ".state"),
        checks.key(),
        checks.runtime_folder(),
        checks.fork(),
        *await _daemons(workspace),
    ]
    if as_json:
        print_json({"folder": str(workspace), "checks": [finding.as_json() for finding in findings]})
    else:
        for finding in findings:
            _show(finding)
    return Exit.STATE if any(finding.level == "problem" for finding in findings) else Exit.OK


def _show(finding: Finding) -> None:
    level = f"{finding.level:7}"
    level = paint(level, fg=_COLOURS[finding.level])
    click.echo(f"{level} {finding.name}: {finding.message}")
    if finding.remedy:
        click.echo(f"{'':7} → {finding.remedy}")


async def _daemons(workspace: Path) -> list[Finding]:
    from holdfast import __version__

    try:
        running = endpoint.running()
    except (endpoint.EndpointError, OSError):
        return []  # the check of the runtime folder has said why
    if not running:
        return [Finding("daemons", "ok", "none is running; the first command starts one")]
    return [await _daemon(found, __version__) for found in running]


async def _daemon(found: endpoint.Endpoint, version: str) -> Finding:
    name = f"daemon {found.pid}"
    try:
        sessions: list[Any] = await asyncio.wait_for(_sessions(Path(found.folder)), ANSWER_TIMEOUT)
    except (HoldfastError, TimeoutError) as error:
        reason = str(error) or f"no answer within {ANSWER_TIMEOUT:.0f} s"
        return Finding(
            name,
            "problem",
            f"serves {found.folder} but does not answer ({reason})",
            f"End it with `kill {found.pid}`; what was reported saved is safe.",
        )
    live = sum(session["status"] != "cold" for session in sessions)
    text = f"serves {found.folder}, {live} of {len(sessions)} sessions with a kernel"
    if found.version != version:
        return Finding(
            name,
            "note",
            f"{text}; it is version {found.version}, this is {version}",
            f"`holdfast stop {found.folder}` saves everything and ends it; the next command starts another.",
        )
    return Finding(name, "ok", text)


async def _sessions(folder: Path) -> list[Any]:
    async with connected(folder, start=False) as connection:
        answer: list[Any] = await connection.request("holdfast/sessions")
        return answer
