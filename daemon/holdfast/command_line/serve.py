"""`holdfast serve` and `holdfast connect`: what editors start."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import click

from holdfast.command_line.exits import EPILOG, Exit
from holdfast.command_line.target import Command
from holdfast.endpoint import EndpointError

LEVELS = ("debug", "info", "warning", "error")


def _daemon_options(command: Command) -> Command:
    for option in (
        click.option(
            "--log-level", type=click.Choice(LEVELS), default="warning", help="What to log on standard error."
        ),
        click.option("--interpreter", metavar="PATH", help="The Python that runs cells; by default the daemon's."),
        click.option("--state-folder", metavar="DIRECTORY", help="Where state is kept; by default .state."),
        click.option(
            "--folder",
            type=click.Path(file_okay=False, exists=True, path_type=Path),
            help="The workspace; by default what the client's `initialize` names, else the current folder.",
        ),
    ):
        command = option(command)
    return command


@click.command(epilog=EPILOG)
@click.option("--stdio", is_flag=True, help="Speak with one client on standard input and output.")
@click.option("--socket", is_flag=True, help="Listen on the workspace's Unix socket (the default).")
@click.option("--tcp", type=click.IntRange(0, 65535), metavar="PORT", help="Listen on loopback; 0 picks a port.")
@click.option("--background", is_flag=True, hidden=True)
@click.option(
    "--idle-timeout",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="End a background daemon that long after its last client left and its last cell ended; by default 4 hours.",
)
@_daemon_options
def serve(
    stdio: bool,
    socket: bool,
    tcp: int | None,
    background: bool,
    idle_timeout: float | None,
    folder: Path | None,
    state_folder: str | None,
    interpreter: str | None,
    log_level: str,
) -> None:
    """Be the daemon of a workspace, or join the one that is running.

    With --socket and --tcp the first line on standard output says as JSON where the daemon listens, and for
    TCP the token that clients have to send.
    """
    if stdio + socket + (tcp is not None) > 1:
        raise click.UsageError("Give only one of --stdio, --socket and --tcp.")
    _log(log_level)
    from holdfast import service
    from holdfast.errors import InvalidParams
    from holdfast.settings import Settings

    settings = Settings()
    workspace = (folder or Path.cwd()).absolute()
    try:
        settings.update({"interpreter": interpreter, "stateFolder": state_folder}, workspace)
    except InvalidParams as error:
        raise click.UsageError(error.message) from error
    _leave(
        lambda: service.serve(
            service.ServeOptions(
                stdio=stdio,
                socket=not stdio and tcp is None,
                tcp=tcp,
                background=background,
                folder=folder,
                settings=settings,
                idle_timeout=service.IDLE_TIMEOUT if idle_timeout is None else idle_timeout,
            )
        )
    )


@click.command(epilog=EPILOG)
@click.option("--stdio", is_flag=True, help="Speak on standard input and output (the only way there is).")
@_daemon_options
def connect(
    stdio: bool, folder: Path | None, state_folder: str | None, interpreter: str | None, log_level: str
) -> None:
    """Bridge an editor to the workspace's daemon, which is started if there is none and outlives the editor."""
    _log(log_level)
    from holdfast import service

    arguments = ["--log-level", log_level]
    for name, value in (("--state-folder", state_folder), ("--interpreter", interpreter)):
        if value is not None:
            arguments += [name, value]
    _leave(lambda: service.connect(folder, arguments))


def _log(level: str) -> None:
    logging.basicConfig(level=level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")


def _leave(work: Callable[[], int]) -> None:
    try:
        code = work()
    except EndpointError as error:
        click.echo(f"holdfast: {error}", err=True)
        code = Exit.STATE
    raise SystemExit(int(code))
