"""The matplotlib backend of the kernel: open figures are shown as PNG at ``plt.show()`` and at the end of a cell.

Imported by matplotlib only (as ``module://_holdfast_kernel.figures``), after user code imported matplotlib.
"""

from __future__ import annotations

import io
from typing import Any

from matplotlib._pylab_helpers import Gcf
from matplotlib.backend_bases import FigureManagerBase
from matplotlib.backends.backend_agg import FigureCanvasAgg

from . import display
from .text import pretty


class FigureCanvas(FigureCanvasAgg):
    """Agg, under a name of our own: figures of any other backend are left alone."""

    manager_class = FigureManagerBase


FigureManager = FigureManagerBase

_shown: list[Any] = []
"""Figures shown as the result of the current cell; they are not shown a second time at its end."""


def render(figure: Any) -> bytes | None:
    """Return the figure as PNG; None if there is nothing in it."""
    if not (figure.axes or figure.lines or figure.texts or figure.images or figure.patches or figure.subfigs):
        return None
    # A figure restored or made without pyplot has a bare canvas, which can't draw PNG by itself.
    canvas = figure.canvas if isinstance(figure.canvas, FigureCanvasAgg) else FigureCanvasAgg(figure)
    target = io.BytesIO()
    canvas.print_figure(target, format="png", bbox_inches="tight", dpi=figure.dpi, facecolor=figure.get_facecolor())
    _shown.append(figure)
    return target.getvalue()


def show(*_arguments: object, **_options: object) -> None:
    """Show the open figures of this backend in the order they were made, and close them."""
    try:
        for manager in Gcf.get_all_fig_managers():
            figure = manager.canvas.figure
            if isinstance(manager.canvas, FigureCanvas):
                try:
                    if not any(figure is shown for shown in _shown):
                        png = render(figure)
                        if png is not None:
                            display.display({"text/plain": pretty(figure), "image/png": png}, raw=True)
                finally:
                    Gcf.destroy(manager)
    finally:
        _shown.clear()
