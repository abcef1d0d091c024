"""`holdfast vars` and `holdfast show`: the variables of a file, live or as last saved."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import click

from holdfast.command_line import screen
from holdfast.command_line.exits import EPILOG, Exit
from holdfast.command_line.target import Target, ask, folder_option, json_option, perform, print_json
from holdfast.words import size


@click.command("vars", epilog=EPILOG)
@click.argument("file")
@click.option("--match", metavar="GLOB", help="Only names that match, for example 'df_*'.")
@json_option
@folder_option
def variables(file: str, match: str | None, as_json: bool, folder: Path | None) -> None:
    """List the variables of FILE, live or as last saved."""
    perform(_variables(Target.parse(file, folder), match, as_json), as_json=as_json)


async def _variables(target: Target, match: str | None, as_json: bool) -> int:
    found = await ask(target, "holdfast/variables", match=match)
    if as_json:
        print_json(found)
    elif not found:
        click.echo(f"{target.path.name} has no variables{' that match' if match else ''}.", err=True)
    else:
        screen.table(
            ["name", "type", "size", "saved", "value"],
            [[entry["name"], entry["type"], _extent(entry), entry["saved"], entry["preview"]] for entry in found],
            right=["size"],
        )
    if not as_json:
        await _name_missing(target, match, {entry["name"] for entry in found})
    return Exit.OK


async def _name_missing(target: Target, match: str | None, listed: set[str]) -> None:
    """Say what could not be saved, and is not there any more."""
    state = await ask(target, "holdfast/state/get")
    for variable in state.get("skipped") or []:
        if variable["name"] not in listed and (match is None or fnmatchcase(variable["name"], match)):
            click.echo(f"not there: {screen.missing(variable)}", err=True)


def _extent(entry: dict[str, Any]) -> str:
    if entry.get("shape"):
        return " × ".join(f"{length:,}" for length in entry["shape"])
    if entry.get("length") is not None:
        return f"{entry['length']:,}"
    return size(entry.get("bytes"))


@click.command(epilog=EPILOG)
@click.argument("file")
@click.argument("name")
@click.option("--limit", type=click.IntRange(min=1), help="Rows of a table to show.")
@click.option("--offset", type=click.IntRange(min=0), help="Rows of a table to leave out before.")
@click.option("--sort", metavar="COLUMN", help="Sort a table by a column; -COLUMN for the greatest first.")
@click.option("--filter", "filter_", metavar="QUERY", help="Rows to show: a pandas query, or a text to look for.")
@json_option
@folder_option
def show(
    file: str,
    name: str,
    limit: int | None,
    offset: int | None,
    sort: str | None,
    filter_: str | None,
    as_json: bool,
    folder: Path | None,
) -> None:
    """Show the value of NAME (a variable or an expression) in the session of FILE."""
    order: str | dict[str, Any] | None = sort
    if sort and sort.startswith("-"):
        order = {"column": sort[1:], "descending": True}
    look = {"expression": name, "limit": limit, "offset": offset, "sort": order, "filter": filter_}
    perform(_show(Target.parse(file, folder), look, as_json), as_json=as_json)


async def _show(target: Target, look: dict[str, Any], as_json: bool) -> int:
    found = await ask(target, "holdfast/inspect", **look)
    rows, columns = found.get("rows"), found.get("columns")
    if as_json:
        print_json(found)
    elif rows is not None and columns:
        headings = [str(column.get("name", "") if isinstance(column, dict) else column) for column in columns]
        numeric = [heading for heading, column in zip(headings, columns, strict=True) if _is_numeric(column)]
        screen.table(headings, [_row(row, headings) for row in rows], right=numeric)
        total = found.get("total")
        if total is not None and total > len(rows):
            first = look["offset"] or 0
            click.echo(f"rows {first + 1:,} to {first + len(rows):,} of {total:,}", err=True)
    else:
        click.echo(found["data"].get("text/plain", f"<{found['type']}>"))
    return Exit.OK


def _is_numeric(column: Any) -> bool:
    return isinstance(column, dict) and str(column.get("dtype", "")).lower().startswith(("int", "uint", "float"))


def _row(row: Any, headings: list[str]) -> list[str]:
    if isinstance(row, dict):
        cells = [row.get(heading) for heading in headings]
    else:
        cells = list(row) if isinstance(row, list) else [row]
    cells = (cells + [""] * len(headings))[: len(headings)]
    return [cell if isinstance(cell, str) else json.dumps(cell, ensure_ascii=False) for cell in cells]
