"""`holdfast encrypt`, `decrypt` and `unlock`: saved state that cannot be read without a key."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from holdfast import endpoint
from holdfast.command_line.exits import EPILOG, Exit
from holdfast.command_line.target import connected, folder_option, json_option, perform, print_json


@click.command(epilog=EPILOG)
@click.option("--keyring", is_flag=True, help="Keep the key in the keyring of the system, instead of a passphrase.")
@json_option
@folder_option
def encrypt(keyring: bool, as_json: bool, folder: Path | None) -> None:
    """Encrypt all that is saved of the workspace, or change what opens it.

    The passphrase is asked for, read from standard input if that is no terminal, or taken from HOLDFAST_PASSPHRASE.
    Whoever forgets it has lost what is saved.
    """
    params = {"mode": "keyring"} if keyring else {"mode": "passphrase", "passphrase": _passphrase(new=True)}
    perform(_ask(folder, "holdfast/state/encrypt", params, as_json), as_json=as_json)


@click.command(epilog=EPILOG)
@json_option
@folder_option
def decrypt(as_json: bool, folder: Path | None) -> None:
    """Write all that is saved of the workspace anew, not encrypted; it has to be unlocked."""
    perform(_ask(folder, "holdfast/state/encrypt", {"mode": "none"}, as_json), as_json=as_json)


@click.command(epilog=EPILOG)
@json_option
@folder_option
def unlock(as_json: bool, folder: Path | None) -> None:
    """Open encrypted state with its passphrase, until the workspace's daemon ends.

    The passphrase is asked for, read from standard input if that is no terminal, or taken from HOLDFAST_PASSPHRASE.
    """
    perform(_ask(folder, "holdfast/state/unlock", {"passphrase": _passphrase(new=False)}, as_json), as_json=as_json)


def _passphrase(*, new: bool) -> str:
    known = os.environ.get(endpoint.PASSPHRASE_VARIABLE)
    if known:
        return known
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    text: str = click.prompt("Passphrase", hide_input=True, confirmation_prompt=new, err=True)
    return text


async def _ask(folder: Path | None, method: str, params: dict[str, Any], as_json: bool) -> int:
    where = folder.absolute() if folder else endpoint.find_workspace(Path.cwd())
    async with connected(where) as connection:
        outcome = await connection.request(method, params)
    if as_json:
        print_json(outcome)
        return Exit.OK
    click.echo(outcome["message"])
    for path in outcome["left"]:
        click.echo(f"{path} still holds what repairs took out, in clear. Delete it if you do not need it.", err=True)
    return Exit.OK
