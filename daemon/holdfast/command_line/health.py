"""`holdfast verify`: is what is saved as it was written, and if not, what can be done."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from holdfast import endpoint
from holdfast.command_line import screen
from holdfast.command_line.bar import request_with_bar
from holdfast.command_line.exits import EPILOG, Exit
from holdfast.command_line.target import Target, connected, folder_option, json_option, perform, print_json


@click.command(epilog=EPILOG)
@click.argument("file", required=False)
@click.option("--repair", is_flag=True, help="Do what is said of each problem; what is taken out goes to .state/trash.")
@click.option("--yes", is_flag=True, help="Do not ask before repairing.")
@json_option
@folder_option
def verify(file: str | None, repair: bool, yes: bool, as_json: bool, folder: Path | None) -> None:
    """Read all that is saved of FILE, or of all files, and compare it with its digests and seals.

    Exits with 1 if there are problems.
    """
    perform(_verify(file, repair, yes, as_json, folder), as_json=as_json)


async def _verify(file: str | None, repair: bool, yes: bool, as_json: bool, folder: Path | None) -> int:
    if file is not None:
        target = Target.parse(file, folder)
        where, params = target.folder, target.params
    else:
        where, params = folder.absolute() if folder else endpoint.find_workspace(Path.cwd()), {}
    async with connected(where) as connection:

        async def ask(**more: Any) -> Any:
            return await request_with_bar(connection, "holdfast/state/verify", {**params, **more})

        if as_json:
            found = await ask(repair=repair)
            print_json(found)
            return Exit.OK if found["ok"] else Exit.CODE_FAILED
        found = await ask()
        _show(found["problems"])
        if found["ok"]:
            click.echo(f"All is as it was written ({screen.count(found['checked'], 'thing')} checked).")
            return Exit.OK
        if not repair:
            click.echo("Nothing was changed. `holdfast verify --repair` does what is said here.", err=True)
            return Exit.CODE_FAILED
        if sys.stdin.isatty() and not yes:
            click.confirm("Do that?", abort=True, err=True)
        repaired = await ask(repair=True)
    done = sum(problem["repaired"] for problem in repaired["problems"])
    click.echo(f"{screen.count(done, 'problem')} repaired.")
    remaining = [problem for problem in repaired["problems"] if not problem["repaired"]]
    if remaining:
        click.echo("What remains:", err=True)
        _show(remaining)
    return Exit.OK if repaired["ok"] else Exit.CODE_FAILED


def _show(problems: list[dict[str, Any]]) -> None:
    for problem in problems:
        click.echo(f"{problem['kind']}: {problem['what']}\n    {problem['remedy']}")
