"""`holdfast trust`: who saved what others signed, and the user's word that it may be restored."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from holdfast.command_line import screen
from holdfast.command_line.exits import EPILOG, Exit
from holdfast.command_line.target import Target, ask, folder_option, json_option, perform, print_json

_NAMES = 12
"""Variables that are named before it is decided."""


@click.command(epilog=EPILOG)
@click.argument("file")
@click.option("--list", "only_list", is_flag=True, help="Only show who saved what; trust nothing.")
@click.option("--revoke", is_flag=True, help="Take a trust back.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@folder_option
def trust(file: str, only_list: bool, revoke: bool, yes: bool, as_json: bool, folder: Path | None) -> None:
    """Let the state of FILE be restored although others saved it."""
    target = Target.parse(file, folder)
    if only_list and revoke:
        raise click.UsageError("--list changes nothing, so it cannot --revoke.")
    if not (yes or only_list or revoke or sys.stdin.isatty()):
        raise click.UsageError("There is no terminal to ask on; look with --list, then say --yes.")
    perform(_trust(target, only_list, revoke, yes, as_json), as_json=as_json)


async def _trust(target: Target, only_list: bool, revoke: bool, yes: bool, as_json: bool) -> int:
    state = await ask(target, "holdfast/state/get")
    if not as_json or not (yes or only_list or revoke):
        _show(target, state)
    pending = bool(state.get("signersDigest")) or not state["trusted"]
    if revoke or (pending and not only_list):
        if not revoke and not yes:
            click.confirm(
                "Restoring it runs code that it brings along, with your rights. Trust it?", abort=True, err=True
            )
        stands = state["trusted"]
        state = await ask(
            target, "holdfast/state/trust", revoke=revoke or None, digest=None if revoke else state.get("signersDigest")
        )
        if not as_json:
            _tell(target, state, revoke, stands)
    if as_json:
        print_json(state)
    return Exit.OK


def _show(target: Target, state: dict[str, Any]) -> None:
    name = target.path.name
    if not state["hasSavedState"]:
        click.echo(f"Nothing is saved for {name}.", err=True)
        return
    if not state.get("signers"):
        what = "you saved all of it yourself" if state["trusted"] else "it is not as you saved it"
        click.echo(f"{name}: {what}.", err=True)
        return
    for signer in state["signers"]:
        click.echo(f"{name}: {screen.count(signer['versions'], 'version')} signed with key {signer['keyId']}")
        rows = [
            ("says it is", signer.get("name") or "(nobody)"),
            ("saved", f"{signer['first']} to {signer['last']}"),
            ("in", signer.get("folder") or "(not told)"),
            ("with", f"Python {signer.get('python') or '?'} on {signer.get('platform') or '?'}"),
            ("trusted", f"since {signer['trustedAt']}" if signer["trusted"] else "no"),
        ]
        for label, text in rows:
            click.echo(f"  {label:11} {screen.plain(text)}")
    if state.get("variableNames"):
        click.echo(f"  {'variables':11} {screen.names(state['variableNames'], most=_NAMES)}")
    if state.get("signersDigest"):
        click.echo("Who they are is what they say; nothing proves it. Ask them, if it matters.", err=True)


def _tell(target: Target, state: dict[str, Any], revoke: bool, stands: bool) -> None:
    """Say what came of it; `stands`: the last version was the user's own before."""
    name = target.path.name
    if revoke:
        click.echo(
            f"What others saved of {name} is not restored any more. What a kernel has of it already stays in memory, "
            f"and is saved as yours with its next run; `holdfast stop` ends it."
        )
    elif stands:
        click.echo(f"What others saved of {name} can be restored: `holdfast restore {name} --version N`.")
    elif state["trusted"]:
        click.echo(f"{name} can be restored: its next run does so, or `holdfast restore {name}`.")
    else:
        click.echo(f"It was noted, but {name} still cannot be restored: `holdfast log {name}` lists its versions.")
