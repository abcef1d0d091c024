"""What a command is about (a file in a workspace), and the connection that it needs."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import click

from holdfast import endpoint
from holdfast.command_line.bar import request_with_bar
from holdfast.command_line.exits import Exit, exit_of_error
from holdfast_client.connection import Connection, OnInput
from holdfast_client.errors import HoldfastError

Command = TypeVar("Command", bound=Callable[..., Any])

_WINDOW = re.compile(r"(?P<file>.+)#(?P<window>[^/\\#]+)")
_WITH_CELL = re.compile(r"(?P<file>.+):(?P<cell>\d+)")


@dataclass(frozen=True, slots=True)
class Target:
    """A document and its workspace; `cell` counts from 1, as people do; `window` names a further window on the file."""

    path: Path
    folder: Path
    cell: int | None = None
    window: str | None = None

    @property
    def name(self) -> str:
        """What people call it."""
        return self.path.name if self.window is None else f"{self.path.name}#{self.window}"

    @property
    def uri(self) -> str:
        """The document's URI."""
        if self.window is None:
            return self.path.as_uri()
        return f"holdfast{self.path.as_uri().removeprefix('file')}?{quote(self.window, safe='')}"

    @property
    def params(self) -> dict[str, Any]:
        """The ``textDocument`` member of a request about the document."""
        return {"textDocument": {"uri": self.uri}}

    @classmethod
    def parse(cls, text: str, folder: Path | None, *, with_cell: bool = False) -> Target:
        """Read ``FILE``, ``FILE#WINDOW``, or either with ``:CELL``."""
        match = _WITH_CELL.fullmatch(text) if with_cell and not Path(text).exists() else None
        text = match["file"] if match else text
        window = _WINDOW.fullmatch(text) if not Path(text).exists() else None
        path = Path(window["file"] if window else text).absolute()
        return cls(
            path=path,
            folder=folder.absolute() if folder else endpoint.find_workspace(path),
            cell=int(match["cell"]) if match else None,
            window=window["window"] if window else None,
        )

    def must_exist(self) -> Target:
        """Return the target, or fail as wrong use when there is no such file."""
        if not self.path.is_file():
            raise click.UsageError(f"{self.path} is not a file.")
        return self


def folder_option(command: Command) -> Command:
    """Add ``--folder``."""
    return click.option(
        "--folder",
        type=click.Path(file_okay=False, exists=True, path_type=Path),
        help="The workspace; else the nearest folder above with .state, .git or pyproject.toml.",
    )(command)


def json_option(command: Command) -> Command:
    """Add ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print the daemon's answer as JSON.")(command)


@asynccontextmanager
async def connected(
    folder: Path,
    *,
    start: bool = True,
    on_input: OnInput | None = None,
    options: Mapping[str, Any] | None = None,
) -> AsyncIterator[Connection]:
    """Connect to the workspace's daemon for the length of a block."""
    connection = await Connection.open(folder, start=start, on_input=on_input, options=options)
    try:
        yield connection
    finally:
        await connection.close()


async def ask(target: Target, method: str, **params: Any) -> Any:
    """Send one request about a document and return its result; params that are None are left out."""
    given = {name: value for name, value in params.items() if value is not None}
    async with connected(target.folder) as connection:
        return await request_with_bar(connection, method, {**target.params, **given})


def perform(work: Coroutine[Any, Any, int], *, as_json: bool = False) -> None:
    """Run a command's work and leave with its exit code; errors are shown, but not as a traceback."""
    try:
        code = asyncio.run(work)
    except HoldfastError as error:
        if as_json:
            print_json({"error": error_json(error)})
        else:
            click.echo(f"holdfast: {error.message}", err=True)
        code = exit_of_error(error)
    except KeyboardInterrupt:
        code = Exit.INTERRUPTED
    raise SystemExit(int(code))


def error_json(error: HoldfastError) -> dict[str, Any]:
    """Return an error as the protocol's ``error`` member has it, flat."""
    return {"code": error.code, "message": error.message, "kind": error.kind, "detail": error.detail}


def print_json(document: Any) -> None:
    """Print one JSON document for programs."""
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))
