"""Entry of the kernel process: ``<user's interpreter> .../holdfast/kernel/__main__.py '<json>'``.

The JSON object says which inherited descriptors to use and where cloudpickle lies::

    {"fd": 7, "cloudpickle": "/.../cloudpickle", "stdout_fd": 1, "stderr_fd": 2, "crash_fd": 9}

This package and cloudpickle are loaded from their folders under private names, so that user code sees neither and may
have its own ``holdfast`` or ``cloudpickle``.
"""

# pathlib would be a tenth of the time it takes to start.
# ruff: noqa: PTH100, PTH118, PTH120

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec, spec_from_file_location
from os.path import abspath, dirname, join
from types import ModuleType

PACKAGE = "_holdfast_kernel"
CLOUDPICKLE = "_holdfast_cloudpickle"


def load_package(name: str, folder: str, *, run: bool = True) -> ModuleType:
    """Make the package in `folder` importable as `name`, whatever the folder's own name is."""
    spec = spec_from_file_location(name, join(folder, "__init__.py"), submodule_search_locations=[folder])
    if spec is None or spec.loader is None:
        raise ImportError(f"there is no package in {folder}")
    return _register(spec, run)


def _register(spec: ModuleSpec, run: bool) -> ModuleType:
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    if run and spec.loader is not None:
        spec.loader.exec_module(module)
    return module


def main() -> None:
    """Load the kernel under its private name and serve until the daemon is gone."""
    here = dirname(abspath(__file__))
    # Python put this folder first on the path, where `import wire` would find our modules.
    if sys.path and sys.path[0] and abspath(sys.path[0]) == here:
        del sys.path[0]
    load_package(PACKAGE, here)
    from json import loads

    config = loads(sys.argv[1])
    # Not executed: its submodule is imported when the first capture needs it, after the kernel said it is ready.
    load_package(CLOUDPICKLE, config["cloudpickle"], run=False)
    from _holdfast_kernel.loop import serve  # type: ignore[import-not-found]

    serve(config)


if __name__ == "__main__":
    main()
