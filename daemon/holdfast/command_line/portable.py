"""`holdfast export` and `import`: a session in one file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from holdfast.command_line import screen
from holdfast.command_line.exits import EPILOG, Exit
from holdfast.command_line.target import Target, ask, folder_option, json_option, perform, print_json


@click.command("export", epilog=EPILOG)
@click.argument("file")
@click.argument("path", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--names", metavar="A,B,…", help="Export only these variables.")
@click.option("--version", type=click.IntRange(min=1), help="The version to export; the last by default.")
@click.option("--json", "plain", is_flag=True, help="Write plain JSON, whatever PATH ends in.")
@click.option("--overwrite", is_flag=True, help="Replace PATH also if it is no export.")
@folder_option
def export(
    file: str, path: Path, names: str | None, version: int | None, plain: bool, overwrite: bool, folder: Path | None
) -> None:
    """Write the saved variables of FILE, and how they came about, into the one file PATH."""
    more = {"names": _names(names), "version": version, "format": "json" if plain else None, "overwrite": overwrite}
    perform(_transfer(Target.parse(file, folder), "holdfast/state/export", path, False, **more))


@click.command("import", epilog=EPILOG)
@click.argument("file")
@click.argument("path", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--names", metavar="A,B,…", help="Import only these variables.")
@click.option("--no-pickle", is_flag=True, help="Bring only what is in an open form.")
@click.option("--copies", is_flag=True, help="Take the readable copies of what is pickled and not loaded.")
@click.option("--trust", is_flag=True, help="Load pickles that somebody else has signed; they can run any code.")
@click.option("--replace", is_flag=True, help="Remove all other variables of FILE.")
@json_option
@folder_option
def import_(
    file: str,
    path: Path,
    names: str | None,
    no_pickle: bool,
    copies: bool,
    trust: bool,
    replace: bool,
    as_json: bool,
    folder: Path | None,
) -> None:
    """Bring the variables of the export PATH into FILE, as one new version."""
    more = {"names": _names(names), "pickle": not no_pickle, "copies": copies, "trust": trust, "replace": replace}
    perform(_transfer(Target.parse(file, folder), "holdfast/state/import", path, as_json, **more), as_json=as_json)


def _names(text: str | None) -> list[str] | None:
    names = None if text is None else [name.strip() for name in text.split(",") if name.strip()]
    if names == []:
        raise click.UsageError("--names names no variable.")
    return names


async def _transfer(target: Target, method: str, path: Path, as_json: bool, **more: Any) -> int:
    # The daemon counts relative paths from the document's folder, a shell from where it stands.
    outcome = await ask(target, method, path=str(path.absolute()), **more)
    if as_json:
        print_json(outcome)
    else:
        click.echo(outcome["message"])
        _show_left_out(outcome.get("failed") or [])
    return Exit.OK if outcome["variableCount"] or not outcome.get("failed") else Exit.STATE


def _show_left_out(failed: list[dict[str, Any]]) -> None:
    """Say what is not there; many are missing for the same reason."""
    alike: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for variable in failed:
        alike.setdefault((variable["reason"], variable["remedy"]), []).append(variable)
    for (reason, remedy), variables in alike.items():
        if len(variables) == 1:
            click.echo(f"left out: {screen.missing(variables[0])}", err=True)
        else:
            names = ", ".join(variable["name"] for variable in variables)
            click.echo(f"left out: {names}: {reason}. {remedy[:1].upper()}{remedy[1:].rstrip('.')}.", err=True)
