"""`holdfast files`: the files that runs wrote, and how they were at a version."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from holdfast.command_line import screen
from holdfast.command_line.exits import EPILOG, Exit
from holdfast.command_line.target import Target, ask, folder_option, json_option, perform, print_json

_WORDS = {
    ("write", "offered"): "would become what it was",
    ("create", "offered"): "would be there again",
    ("delete", "offered"): "would go: a run made it",
    ("write", "done"): "is what it was",
    ("create", "done"): "is there again",
    ("delete", "done"): "is gone: a run had made it",
}


@click.command(epilog=EPILOG)
@click.argument("file")
@click.option("--version", type=click.IntRange(min=1), help="As they were at this version; the one in use by default.")
@click.option("--apply", is_flag=True, help="Bring them back. Without it nothing is changed.")
@json_option
@folder_option
def files(file: str, version: int | None, apply: bool, as_json: bool, folder: Path | None) -> None:
    """Show what bringing back the files that FILE's runs wrote would do, and do it with --apply."""
    perform(_files(Target.parse(file, folder), version, apply, as_json), as_json=as_json)


async def _files(target: Target, version: int | None, apply: bool, as_json: bool) -> int:
    found = await ask(target, "holdfast/state/files", version=version, apply=apply)
    if as_json:
        print_json(found)
    else:
        show(found["files"])
        click.echo(found["message"], err=True)
    return Exit.OK


def show(actions: list[dict[str, Any]]) -> None:
    """Print what becomes of files."""
    rows = []
    for action in actions:
        words = _WORDS.get((action["action"], action["status"]), "left alone")
        rows.append([action["path"], f"{words}: {action['reason']}" if action.get("reason") else words])
    if rows:
        screen.table(["file", ""], rows)
