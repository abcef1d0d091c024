"""The command line: `holdfast …`. Commands are loaded when used: each starts in a tenth of a second."""

from __future__ import annotations

import io
import os
import sys
from importlib import import_module

import click

from holdfast import __version__
from holdfast.command_line.exits import EPILOG, Exit

_COMMANDS = {
    "run": "holdfast.command_line.run:run",
    "exec": "holdfast.command_line.run:execute",
    "vars": "holdfast.command_line.look:variables",
    "show": "holdfast.command_line.look:show",
    "log": "holdfast.command_line.state:log",
    "restore": "holdfast.command_line.state:restore",
    "undo": "holdfast.command_line.state:undo",
    "redo": "holdfast.command_line.state:redo",
    "files": "holdfast.command_line.files:files",
    "diff": "holdfast.command_line.state:diff",
    "why": "holdfast.command_line.state:why",
    "branch": "holdfast.command_line.state:branch",
    "label": "holdfast.command_line.state:label",
    "export": "holdfast.command_line.portable:export",
    "import": "holdfast.command_line.portable:import_",
    "clear": "holdfast.command_line.state:clear",
    "trust": "holdfast.command_line.trust:trust",
    "du": "holdfast.command_line.room:du",
    "compact": "holdfast.command_line.room:compact",
    "verify": "holdfast.command_line.health:verify",
    "encrypt": "holdfast.command_line.encryption:encrypt",
    "decrypt": "holdfast.command_line.encryption:decrypt",
    "unlock": "holdfast.command_line.encryption:unlock",
    "status": "holdfast.command_line.daemons:status",
    "stop": "holdfast.command_line.daemons:stop",
    "doctor": "holdfast.command_line.doctor:doctor",
    "demo": "holdfast.command_line.demo:demo",
    "serve": "holdfast.command_line.serve:serve",
    "connect": "holdfast.command_line.serve:connect",
}


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command


@click.group(cls=_Commands, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="holdfast", message="%(prog)s %(version)s")
def cli() -> None:
    """Run cells and keep their state: variables survive reloads, crashes and reboots.

    The first command starts the workspace's daemon, which outlives it; `holdfast stop` ends it.
    """


def main() -> None:
    """Run the command line and leave with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that lacks a character shows its escape; printing must not fail on it.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = cli.main(prog_name="holdfast", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("Nothing was done.", err=True)
        code = Exit.INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone (`| head`); Python must not complain about it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = Exit.OK
    sys.exit(code)
