"""The Pythons of this machine that tests may run kernels under."""

from __future__ import annotations

import shutil
from pathlib import Path


def find(version: str) -> str | None:
    """Return a Python of this minor version: one that pyenv has built, or one on the path."""
    built = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    return str(built[-1]) if built else shutil.which(f"python{version}")
