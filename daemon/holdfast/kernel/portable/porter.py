"""The messages of exports and imports, answered on the kernel's main thread."""

from __future__ import annotations

import ast
import sys
import zipfile
from collections.abc import Callable, Sequence
from types import CodeType
from typing import Any

from .. import look
from ..text import clean, describe
from ..wire import Message
from . import forms
from .exporting import Exporter
from .values import Damaged, MissingLibrary, NotExact

Answer = dict[str, Any]


class Porter:
    """Takes values in until all of them are there, and writes values out."""

    def __init__(self, namespace: dict[str, Any]) -> None:
        self._namespace = namespace
        self._staged: dict[str, Any] = {}
        self._incoming: forms.Intake | None = None

    def export(self, header: dict[str, Any], refs: Callable[[], dict[str, list[str]]]) -> Answer:
        """Write variables into the zip at `path`; what the manifest says of them goes back.

        Args:
            refs: returns for each component the hidden members that it cannot be loaded without.
        """
        here = {name: self._namespace[name] for name in header["names"] if name in self._namespace}
        with zipfile.ZipFile(header["path"], "w") as archive:
            exporter = Exporter(archive, plain=bool(header.get("plain")))
            variables = exporter.export(here, frozenset(header["alone"]), look.summarize)
        return {"variables": variables, "members": exporter.members, "refs": refs()}

    def stage(self, message: Message) -> Answer:
        """Take in a part of a value; with the last of it make the value, which waits to be adopted."""
        header, buffers = message
        name = str(header["name"])
        try:
            if header.get("form") is not None:
                details = header.get("details") or {}
                self._incoming = forms.intake(header["form"], details, header["size"], follows=bool(header["follows"]))
            if self._incoming is not None:
                for buffer in buffers:
                    self._incoming.feed(buffer)
                if header.get("last"):
                    incoming, self._incoming = self._incoming, None
                    self._staged[name] = incoming.value()
        except (Damaged, MissingLibrary, NotExact, MemoryError) as error:
            self._incoming = None
            reason, remedy = _why(error)
            return {"failed": {"name": name, "type": "", "reason": clean(reason), "remedy": clean(remedy)}}
        return {"failed": None}

    def buffers(self, names: Sequence[str]) -> list[memoryview]:
        """Return bytes that were staged; they are no more."""
        return [memoryview(self._staged.pop(name)) for name in names]

    def take(self) -> dict[str, Any]:
        """Return what was staged; nothing is any more."""
        staged, self._staged, self._incoming = self._staged, {}, None
        return staged


def _why(error: BaseException) -> tuple[str, str]:
    if isinstance(error, MissingLibrary):
        package = error.name.partition(".")[0]
        return (
            f"it needs {error.name}, which can't be imported here",
            f"install {package} in this environment ({sys.executable}) and import again",
        )
    if isinstance(error, NotExact):
        return f"it is the module {error}, and whoever made the export is not trusted", "import the module in a cell"
    if isinstance(error, MemoryError):
        return "there is not enough memory for it", "close something and import again, or leave it out"
    return f"its bytes are damaged: {describe(error)}", "export it again where it comes from"


def assignment_to(names: Sequence[str]) -> CodeType:
    """Return code that assigns to variables: what the engine is told before they are bound or deleted."""
    body: list[ast.stmt] = [ast.Assign([ast.Name(name, ast.Store()) for name in names], ast.Constant(None))]
    module = ast.Module(body if names else [], [])
    return compile(ast.fix_missing_locations(module), "<import>", "exec")


__all__ = ["Porter", "assignment_to"]
