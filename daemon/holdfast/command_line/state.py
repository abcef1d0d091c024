"""`holdfast log`, `restore` and `clear`: the saved state of a file."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path
from typing import Any

import click

from holdfast.command_line import files, screen
from holdfast.command_line.exits import EPILOG, Exit
from holdfast.command_line.target import Target, ask, folder_option, json_option, perform, print_json
from holdfast.words import size

_LOOK = 60
"""Characters of a value in a comparison."""

_with_files = click.option(
    "--files", "with_files", is_flag=True, help="Also bring back the files that runs wrote (needs --track-files)."
)


@click.command(epilog=EPILOG)
@click.argument("file")
@click.option("-n", "limit", type=click.IntRange(min=1), default=20, show_default=True, help="Versions to show.")
@json_option
@folder_option
def log(file: str, limit: int, as_json: bool, folder: Path | None) -> None:
    """List the saved versions of FILE, newest first."""
    perform(_log(Target.parse(file, folder), limit, as_json), as_json=as_json)


async def _log(target: Target, limit: int, as_json: bool) -> int:
    versions = await ask(target, "holdfast/state/history", limit=limit)
    state = await ask(target, "holdfast/state/get")
    if as_json:
        print_json(versions)
    elif not versions:
        click.echo(f"Nothing is saved for {target.path.name}.", err=True)
    else:
        rows = []
        for entry in versions:
            mark = "* " if entry["version"] == state.get("version") else ""
            rows.append(
                [
                    f"{mark}{entry['version']}",
                    screen.moment(entry["savedAt"]),
                    size(entry["bytes"]),
                    _changes(entry),
                    entry.get("label") or _first_line(entry["code"]),
                ]
            )
            if entry.get("thinned"):
                rows.append(["", "", "", f"{screen.count(entry['thinned'], 'version')} thinned", ""])
        screen.table(["version", "saved", "written", "changed", "code"], rows, right=["version", "written"])
        click.echo("* comes back when the file is opened", err=True)
    return Exit.OK


def _changes(entry: dict[str, Any]) -> str:
    removed = [f"-{name}" for name in entry.get("removed", [])]
    names = screen.names([*entry.get("changed", []), *removed], most=4) or "(no variable)"
    written = entry.get("files") or {}
    files = [
        *written.get("created", []),
        *written.get("changed", []),
        *(f"-{one}" for one in written.get("deleted", [])),
    ]
    return f"{names}; files: {screen.names(files, most=3)}" if files else names


def _first_line(code: str) -> str:
    lines = (line.strip() for line in code.splitlines())
    return next((line for line in lines if line and not line.startswith("#")), "")[:80]


@click.command(epilog=EPILOG)
@click.argument("file")
@click.option("--version", type=click.IntRange(min=1), help="The version to bring back; the last by default.")
@click.option("--names", metavar="A,B,…", help="Bring back only these variables.")
@_with_files
@json_option
@folder_option
def restore(
    file: str, version: int | None, names: str | None, with_files: bool, as_json: bool, folder: Path | None
) -> None:
    """Bring back the saved variables of FILE."""
    chosen = [name.strip() for name in names.split(",") if name.strip()] if names is not None else None
    if chosen == []:
        raise click.UsageError("--names names no variable.")
    perform(_restore(Target.parse(file, folder), version, chosen, with_files, as_json), as_json=as_json)


async def _restore(
    target: Target, version: int | None, chosen: list[str] | None, with_files: bool, as_json: bool
) -> int:
    outcome = await ask(target, "holdfast/state/restore", version=version, names=chosen, files=with_files)
    return _show_restored(outcome, as_json)


@click.command(epilog=EPILOG)
@click.argument("file")
@_with_files
@json_option
@folder_option
def undo(file: str, with_files: bool, as_json: bool, folder: Path | None) -> None:
    """Take back the last run of FILE."""
    perform(_step(Target.parse(file, folder), "holdfast/state/undo", with_files, as_json), as_json=as_json)


@click.command(epilog=EPILOG)
@click.argument("file")
@_with_files
@json_option
@folder_option
def redo(file: str, with_files: bool, as_json: bool, folder: Path | None) -> None:
    """Go again to what was taken back last."""
    perform(_step(Target.parse(file, folder), "holdfast/state/redo", with_files, as_json), as_json=as_json)


async def _step(target: Target, method: str, with_files: bool, as_json: bool) -> int:
    return _show_restored(await ask(target, method, files=with_files), as_json)


@click.command(epilog=EPILOG)
@click.argument("file")
@click.argument("version", type=click.IntRange(min=1))
@click.argument("to", type=click.IntRange(min=1), required=False)
@click.option("--names", metavar="A,B,…", help="Only these variables.")
@click.option("--brief", is_flag=True, help="Do not look into the values.")
@json_option
@folder_option
def diff(
    file: str, version: int, to: int | None, names: str | None, brief: bool, as_json: bool, folder: Path | None
) -> None:
    """Show what differs between a VERSION of FILE and another one, or what is in memory."""
    chosen = [name.strip() for name in names.split(",") if name.strip()] if names is not None else None
    perform(_diff(Target.parse(file, folder), version, to, chosen, not brief, as_json), as_json=as_json)


async def _diff(
    target: Target, version: int, to: int | None, names: list[str] | None, details: bool, as_json: bool
) -> int:
    found = await ask(target, "holdfast/state/diff", **{"from": version, "to": to}, names=names, details=details)
    if as_json:
        print_json(found)
        return Exit.OK
    rows = [("+", name, "", "") for name in found["added"]]
    rows += [("-", name, "", "") for name in found["removed"]]
    rows += [("~", one["name"], _look(one["before"]), _look(one["after"])) for one in found["changed"]]
    if rows:
        screen.table(("", "name", "before", "after"), sorted(rows, key=lambda row: row[1]))
        for one in found["changed"]:
            if one.get("details"):
                click.echo(f"\n{one['name']}")
                click.echo(textwrap.indent("\n".join(one["details"]["lines"]), "    "))
    else:
        click.echo("Nothing differs.", err=True)
    return Exit.OK


def _look(look: dict[str, Any]) -> str:
    shape = look.get("shape")
    kind = f"{look['type']} {' × '.join(map(str, shape))}" if shape else look["type"]
    return f"{kind}: {look['preview']}"[:_LOOK]


@click.command(epilog=EPILOG)
@click.argument("file")
@click.argument("name")
@json_option
@folder_option
def why(file: str, name: str, as_json: bool, folder: Path | None) -> None:
    """Show the runs that made and changed the variable NAME, with their code."""
    perform(_why(Target.parse(file, folder), name, as_json), as_json=as_json)


async def _why(target: Target, name: str, as_json: bool) -> int:
    runs = await ask(target, "holdfast/state/origin", name=name)
    if as_json:
        print_json(runs)
        return Exit.OK
    if not runs:
        click.echo(f"No saved run made {name}.", err=True)
        return Exit.STATE
    for run in runs:
        click.echo(screen.paint(f"version {run['version']}, {run['savedAt']}", bold=True))
        made = run["code"].strip("\n") or f"({run.get('label') or 'saved outside of a run'})"
        click.echo(textwrap.indent(made, "    ") + "\n")
    return Exit.OK


@click.command(epilog=EPILOG)
@click.argument("file")
@click.argument("new")
@click.option("--version", type=click.IntRange(min=1), help="The version to start from; the last by default.")
@json_option
@folder_option
def branch(file: str, new: str, version: int | None, as_json: bool, folder: Path | None) -> None:
    """Let the file NEW start with the variables of FILE; both go on side by side.

    NEW may be FILE#NAME: another window on the same file, with variables of its own.
    """
    perform(_branch(Target.parse(file, folder), Target.parse(new, folder), version, as_json), as_json=as_json)


async def _branch(target: Target, new: Target, version: int | None, as_json: bool) -> int:
    session = await ask(target, "holdfast/state/branch", to=new.uri, version=version)
    if as_json:
        print_json(session)
    else:
        click.echo(f"{new.name} starts with the variables of {target.name}.")
    return Exit.OK


@click.command(epilog=EPILOG)
@click.argument("file")
@click.argument("version", type=click.IntRange(min=1))
@click.argument("name", required=False)
@json_option
@folder_option
def label(file: str, version: int, name: str | None, as_json: bool, folder: Path | None) -> None:
    """Give a version of FILE a NAME; without one take it away."""
    perform(_label(Target.parse(file, folder), version, name, as_json), as_json=as_json)


async def _label(target: Target, version: int, name: str | None, as_json: bool) -> int:
    labelled = await ask(target, "holdfast/state/label", version=version, label=name)
    if as_json:
        print_json(labelled)
    else:
        click.echo(f"Version {version} has no name now." if name is None else f"Version {version} is {name!r}.")
    return Exit.OK


def _show_restored(outcome: dict[str, Any], as_json: bool) -> int:
    if as_json:
        print_json(outcome)
    else:
        click.echo(outcome["message"], err=not outcome["success"])
        for variable in outcome.get("failed") or []:
            click.echo(f"not restored: {screen.missing(variable)}", err=True)
        actions = outcome.get("files") or []
        files.show(actions)
        if any(action["status"] == "offered" for action in actions):
            click.echo("Files were left as they are; `holdfast files FILE --apply` brings them back.", err=True)
    return Exit.OK if outcome["success"] else Exit.STATE


@click.command(epilog=EPILOG)
@click.argument("file")
@click.option("--forget", is_flag=True, help="Delete for ever instead of moving to the trash.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@folder_option
def clear(file: str, forget: bool, yes: bool, as_json: bool, folder: Path | None) -> None:
    """Clear the variables of FILE and its saved state."""
    target = Target.parse(file, folder)
    if not yes:
        if not sys.stdin.isatty():
            raise click.UsageError("There is no terminal to ask on; say --yes.")
        fate = "deleted for ever" if forget else "moved to the trash"
        click.confirm(
            f"The variables of {target.path.name} will be cleared and their saved state {fate}. Go on?",
            abort=True,
            err=True,
        )
    perform(_clear(target, forget, as_json), as_json=as_json)


async def _clear(target: Target, forget: bool, as_json: bool) -> int:
    outcome = await ask(target, "holdfast/state/clear", forget=forget)
    if as_json:
        print_json(outcome)
    else:
        click.echo(outcome["message"], err=not outcome["success"])
    return Exit.OK if outcome["success"] else Exit.STATE
