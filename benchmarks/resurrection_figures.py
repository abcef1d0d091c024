"""A matplotlib backend for the plain Python processes: open figures are handed over at ``plt.show()``, and closed."""

from __future__ import annotations

import base64
import io

import resurrection_peer
from matplotlib._pylab_helpers import Gcf
from matplotlib.backends.backend_agg import FigureCanvasAgg as FigureCanvas

__all__ = ["FigureCanvas", "show"]


def show(*_arguments: object, **_options: object) -> None:
    """Show the open figures and close them."""
    for manager in Gcf.get_all_fig_managers():
        figure = manager.canvas.figure
        target = io.BytesIO()
        figure.savefig(target, format="png", bbox_inches="tight")
        data = {"text/plain": repr(figure), "image/png": base64.b64encode(target.getvalue()).decode()}
        resurrection_peer.outputs.append({"output_type": "display_data", "data": data})
        Gcf.destroy(manager)
