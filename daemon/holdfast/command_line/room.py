"""`holdfast du` and `compact`: the room that saved state takes, and less of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from holdfast import endpoint
from holdfast.command_line import screen
from holdfast.command_line.exits import EPILOG, Exit
from holdfast.command_line.target import Target, connected, folder_option, json_option, perform, print_json
from holdfast.words import size

_MOST = 30


@click.command(epilog=EPILOG)
@click.argument("file", required=False)
@json_option
@folder_option
def du(file: str | None, as_json: bool, folder: Path | None) -> None:
    """Say what the saved variables of FILE, or of all files, take on the disk."""
    perform(_du(file, folder, as_json), as_json=as_json)


async def _du(file: str | None, folder: Path | None, as_json: bool) -> int:
    usage = await _ask(file, folder, "holdfast/state/usage", {})
    if as_json:
        print_json(usage)
        return Exit.OK
    if not usage["files"]:
        click.echo("Nothing is saved.", err=True)
        return Exit.OK
    if file is None:
        _show_files(usage)
    else:
        _show_variables(usage["files"][0])
    click.echo(f"{size(usage['bytes'])} in {usage['folder']}", err=True)
    for suggestion in usage["suggestions"]:
        click.echo(f"- {suggestion}", err=True)
    return Exit.OK


def _show_files(usage: dict[str, Any]) -> None:
    rows = [
        [
            _name(one, usage["folder"]),
            str(one["versions"]),
            size(sum(variable["size"] for variable in one["variables"])),
            size(one["stored"]),
            size(one["history"] + one["records"]),
            ", ".join(name for variable in one["variables"][:3] for name in variable["names"]),
        ]
        for one in usage["files"]
    ]
    columns = ["file", "versions", "size", "stored", "history", "most for"]
    screen.table(columns, rows, right=["versions", "size", "stored", "history"])


def _name(one: dict[str, Any], state_folder: str) -> str:
    uri = str(one["textDocument"]["uri"])
    name = uri.removeprefix(Path(state_folder).parent.as_uri() + "/")
    return f"{name} (trash)" if one["trashed"] else name


def _show_variables(one: dict[str, Any]) -> None:
    rows = [
        [
            screen.names(variable["names"], most=4) or f"({variable['types'][0]})",
            screen.names(list(dict.fromkeys(variable["types"])), most=2) if variable["names"] else "",
            size(variable["size"]),
            size(variable["stored"]),
            size(variable["shared"]) if variable["shared"] else "",
            size(variable["history"]) if variable["history"] else "",
            str(variable["versions"]),
        ]
        for variable in one["variables"][:_MOST]
    ]
    columns = ["variable", "type", "size", "stored", "shared", "history", "versions"]
    screen.table(columns, rows, right=["size", "stored", "shared", "history", "versions"])
    left = len(one["variables"]) - _MOST
    if left > 0:
        click.echo(f"and {left} more, which take less", err=True)
    click.echo(
        f"{screen.count(one['versions'], 'version')}: {size(one['stored'])} for the newest, "
        f"{size(one['history'])} for older ones, {size(one['records'])} for code and listings",
        err=True,
    )


@click.command(epilog=EPILOG)
@click.argument("file", required=False)
@click.option(
    "--keep",
    type=click.IntRange(min=1),
    help="Remove all but so many of the newest versions of FILE, or of each file; labelled ones stay.",
)
@json_option
@folder_option
def compact(file: str | None, keep: int | None, as_json: bool, folder: Path | None) -> None:
    """Give back to the disk what no saved version needs; with --keep, old versions go first."""
    perform(_compact(file, keep, folder, as_json), as_json=as_json)


async def _compact(file: str | None, keep: int | None, folder: Path | None, as_json: bool) -> int:
    if file is not None and keep is None:
        raise click.UsageError("FILE says of what old versions are to go; say how many stay with --keep.")
    outcome = await _ask(file, folder, "holdfast/state/compact", {} if keep is None else {"keep": keep})
    if as_json:
        print_json(outcome)
    else:
        click.echo(outcome["message"])
    return Exit.OK


async def _ask(file: str | None, folder: Path | None, method: str, params: dict[str, Any]) -> Any:
    """Send a request about a file, or about the whole workspace."""
    if file is not None:
        target = Target.parse(file, folder)
        where, params = target.folder, {**target.params, **params}
    else:
        where = folder.absolute() if folder else endpoint.find_workspace(Path.cwd())
    async with connected(where) as connection:
        return await connection.request(method, params)
