"""matplotlib made to show its figures without the user configuring anything, and without importing it for them."""

from __future__ import annotations

import sys
from typing import Any

BACKEND = f"module://{__package__}.figures"
_NOTEBOOKS = (
    "module://matplotlib_inline.backend_inline",
    "module://ipykernel.pylab.backend_inline",
    "inline",
)
"""What Jupyter puts into MPLBACKEND for its children; it can't show anything here."""


def adopt_matplotlib(matplotlib: Any) -> None:
    """matplotlib was just imported: unless the user chose a backend, figures come to us."""
    # Not through rcParams[...], which would resolve the automatic backend by importing GUI toolkits.
    chosen = dict.get(matplotlib.rcParams, "backend")
    if not isinstance(chosen, str) or chosen in _NOTEBOOKS:
        matplotlib.rcParams["backend"] = BACKEND


def show_open_figures() -> None:
    """At the end of a cell: show what plt.show() would."""
    figures = sys.modules.get(f"{__package__}.figures")
    if figures is not None:
        figures.show()
