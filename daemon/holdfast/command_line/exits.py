"""What a command's exit code says."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from holdfast_client.errors import HoldfastError

EPILOG = """\b
Exit codes:
  0  all went well
  1  the code that was run failed
  2  the command was used wrongly
  3  the kernel died
  4  interrupted, or past its time
  5  the daemon or the saved state is in trouble
"""


INVALID_PARAMS = -32602


class Exit(IntEnum):
    """Exit codes of all commands."""

    OK = 0
    CODE_FAILED = 1
    USAGE = 2
    DIED = 3
    INTERRUPTED = 4
    STATE = 5


def exit_of_run(run: dict[str, Any]) -> Exit:
    """Return the exit code for a ``Run`` object."""
    status = run["status"]
    if status == "died":
        return Exit.DIED
    if status == "interrupted":
        return Exit.INTERRUPTED
    if status == "error":
        return Exit.OK if is_plain_exit(run) else Exit.CODE_FAILED
    return exit_of_saved(run["state"])


def exit_of_saved(state: dict[str, Any]) -> Exit:
    """Return the exit code for a ``Saved`` object of a run that went well."""
    return Exit.STATE if state["status"] == "failed" else Exit.OK


def exit_of_error(error: HoldfastError) -> Exit:
    """Return the exit code for a request that the daemon refused or could not answer."""
    return Exit.USAGE if error.code == INVALID_PARAMS else Exit.STATE


def is_plain_exit(run: dict[str, Any]) -> bool:
    """Whether the code ended itself with ``sys.exit()`` and no complaint."""
    error = run.get("error") or {}
    return error.get("ename") == "SystemExit" and error.get("evalue", "") in ("", "0", "None")
