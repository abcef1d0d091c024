"""The session's ``__main__``: a real module that stands for the document, and what follows from where that lies."""

# pathlib would be a tenth of the time it takes to start.
# ruff: noqa: PTH109, PTH120

from __future__ import annotations

import builtins
import os
import sys
import types
from importlib.machinery import ModuleSpec


class Document:
    """The module, and the process-wide state (folder, argv, path) that running the document as a script would set."""

    def __init__(self) -> None:
        self.module = types.ModuleType("__main__")
        self.module.__dict__["__builtins__"] = builtins
        self._cwd: str | None = None
        self._path0: str | None = None

    def attach(self, file: str | None, cwd: str | None, path0: str | None) -> None:
        """Become the kernel of a document."""
        # The module that started the process stays alive in the stack of its main().
        sys.modules["__main__"] = self.module
        self._name(file)
        self._enter(cwd)
        if path0:
            sys.path.insert(0, path0)
            self._path0 = path0

    def rename(self, file: str | None, cwd: str | None) -> None:
        """Follow the document to its new place; a folder that user code has changed into is kept."""
        self._name(file)
        folder = os.path.dirname(file) if file else None
        if self._path0 is not None and folder and self._path0 in sys.path:
            sys.path[sys.path.index(self._path0)] = folder
            self._path0 = folder
        if _current_folder() in (self._cwd, None):
            self._enter(cwd)

    def _name(self, file: str | None) -> None:
        if file:
            self.module.__file__ = file
        else:
            self.module.__dict__.pop("__file__", None)
        sys.argv = [file or ""]
        if file and file.endswith((".py", ".pyw")):
            self.module.__spec__ = None
        else:
            # multiprocessing's children would run the file to get at its functions; a notebook is not Python. Under
            # this name they leave it.
            self.module.__spec__ = ModuleSpec("__main__", None)

    def _enter(self, cwd: str | None) -> None:
        if cwd:
            try:
                os.chdir(cwd)
            except OSError:
                # The folder is gone or closed to us: the session works where it is.
                return
            # As getcwd() spells it: /tmp may be a link.
            self._cwd = _current_folder()


def _current_folder() -> str | None:
    try:
        return os.getcwd()
    except OSError:
        return None
