"""`workspace/executeCommand`: the same requests for editors that have no way to send custom ones."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from cattrs.errors import BaseValidationError

from holdfast import protocol
from holdfast.errors import InvalidParams
from holdfast.protocol import CellRef, Target

if TYPE_CHECKING:
    from holdfast.server import HoldfastServer


def register_commands(server: HoldfastServer, translated: Callable[[Any], Any]) -> None:
    """Register every command with a connection's server.

    Args:
        server: The connection's server.
        translated: Wraps a handler so that its errors travel as JSON-RPC errors.
    """
    house = server.house

    async def run(params: protocol.ExecuteParams) -> protocol.Run:
        return await house.execute(params, server, server.encoding)

    async def run_cell(target: Target) -> protocol.Run:
        cell = target.cell
        if cell is None:
            if target.range is None:
                raise InvalidParams("holdfast.runCell needs a `range` or a `cell`; nothing was run.")
            cell = CellRef(house.cell_index_at(target.text_document, target.range.start.line))
        return await run(protocol.ExecuteParams(target.text_document, cell=cell))

    async def run_above(target: Target) -> protocol.Run:
        index = target.cell.index if target.cell is not None else None
        if index is None:
            if target.range is None:
                raise InvalidParams("holdfast.runAbove needs a `range` or a `cell`; nothing was run.")
            index = house.cell_index_at(target.text_document, target.range.start.line)
        above = house.range_above(target.text_document, index)
        if above is None:
            return await run(protocol.ExecuteParams(target.text_document, code=""))
        return await run(protocol.ExecuteParams(target.text_document, range=above))

    async def run_file(target: Target) -> protocol.Run:
        return await run(protocol.ExecuteParams(target.text_document))

    async def interrupt(target: Target) -> protocol.Interrupted:
        return protocol.Interrupted(house.find(target.text_document).interrupt())

    commands: dict[str, Callable[[Target], Awaitable[Any]]] = {
        "holdfast.runCell": run_cell,
        "holdfast.runAbove": run_above,
        "holdfast.runFile": run_file,
        "holdfast.interrupt": interrupt,
        "holdfast.restart": lambda target: house.restart(protocol.RestartParams(target.text_document)),
        "holdfast.restore": lambda target: house.states.restore(
            protocol.RestoreParams(target.text_document, target.version)
        ),
        "holdfast.undo": lambda target: house.travel.undo(protocol.StepParams(target.text_document)),
        "holdfast.redo": lambda target: house.travel.redo(protocol.StepParams(target.text_document)),
        "holdfast.clear": lambda target: house.states.clear(protocol.ClearParams(target.text_document)),
        "holdfast.history": lambda target: house.states.history(
            protocol.HistoryParams(target.text_document, target.limit)
        ),
        "holdfast.variables": lambda target: house.states.variables(
            protocol.VariablesParams(target.text_document, target.match)
        ),
    }
    for name, command in commands.items():
        _register(server, name, command, translated)


def _register(
    server: HoldfastServer,
    name: str,
    command: Callable[[Target], Awaitable[Any]],
    translated: Callable[[Any], Any],
) -> None:
    async def with_target(arguments: tuple[Any, ...]) -> Any:
        try:
            target = server.protocol._converter.structure(arguments[0] if arguments else None, Target)
        except (BaseValidationError, ValueError) as error:
            raise InvalidParams(
                f"{name} takes one argument, {{textDocument, range? or cell?}}; nothing was done."
            ) from error
        return await command(target)

    handle = translated(with_target)

    async def handler(*arguments: Any) -> Any:
        return await handle(arguments)

    server.command(name)(handler)
