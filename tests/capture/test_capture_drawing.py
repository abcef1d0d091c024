"""What matplotlib keeps in compiled objects is made again."""

from __future__ import annotations

from sessions import Session


def test_triangulations_and_what_is_interpolated_over_them_come_back() -> None:
    session = Session()
    snapshot = session.run(
        "from matplotlib.tri import *\n"
        "mesh = Triangulation([0, 1, 0, 1], [0, 0, 1, 1.5]); mesh.set_mask([False] * len(mesh.triangles))\n"
        "interpolate = LinearTriInterpolator(mesh, [0.0, 1.0, 2.0, 3.0]); finder = mesh.get_trifinder()\n"
        "other = TrapezoidMapTriFinder(mesh); edges = mesh.edges, mesh.neighbors\n"
        "value = float(interpolate(0.25, 0.25))"
    )
    assert not snapshot.skipped
    session = session.reborn().reborn()
    assert session.value("float(interpolate(0.25, 0.25)) == value and finder(0.25, 0.25) >= 0")
    assert session.value("mesh.get_trifinder() is finder and other is not finder and interpolate._trifinder is finder")
    assert session.value("mesh.edges is edges[0] and mesh.neighbors is edges[1]")
    session.run("mesh.set_mask([True] * len(mesh.triangles))")
    assert session.value("finder(0.25, 0.25)") == -1


def test_a_widget_comes_back_with_its_copy_of_the_background() -> None:
    session = Session()
    snapshot = session.run(
        "from matplotlib.figure import Figure; from matplotlib.widgets import Cursor\n"
        "from matplotlib.backends.backend_agg import FigureCanvasAgg\n"
        "figure = Figure(); canvas = FigureCanvasAgg(figure); ax = figure.subplots()\n"
        "cursor = Cursor(ax, useblit=True); canvas.draw(); cursor.background = canvas.copy_from_bbox(ax.bbox)"
    )
    assert not snapshot.skipped
    assert session.reborn().value("cursor.background is not None and cursor.ax is ax")


def test_a_figure_is_loaded_whatever_of_it_comes_first() -> None:
    session = Session()
    session.run(
        "from matplotlib.figure import Figure\n"
        "figure = Figure(); ax = figure.subplots(); a = figure.dpi_scale_trans; scale = [a]; ax.plot([1, 2])"
    )
    reborn = session.reborn()
    assert reborn.outcome is not None
    assert not reborn.outcome.failed
    assert reborn.value("scale[0] is a is figure.dpi_scale_trans and len(ax.lines) == 1")


def test_what_a_canvas_copied_of_its_pixels_has_them_again() -> None:
    session = Session()
    session.run(
        "import numpy\nfrom matplotlib.backends.backend_agg import FigureCanvasAgg\n"
        "from matplotlib.figure import Figure\nfigure = Figure(); figure.subplots().plot([1, 2])\n"
        "canvas = FigureCanvasAgg(figure); canvas.draw(); copied = canvas.copy_from_bbox(figure.axes[0].bbox)"
    )
    shown = "(copied.get_extents(), numpy.asarray(copied).tobytes())"
    assert session.reborn().value(shown) == session.value(shown)


def test_a_path_that_matplotlib_keeps_is_that_path() -> None:
    session = Session()
    session.run(
        "from matplotlib.markers import MarkerStyle; from matplotlib.path import Path\n"
        "circle = Path.unit_circle(); kept = [circle, MarkerStyle._triangle_path, Path([(0, 0), (1, 1)])]"
    )
    session.run("names = {'circle': circle}")
    reborn = session.reborn()
    assert reborn.value("circle is kept[0] is names['circle'] is Path.unit_circle()")
    assert reborn.value("kept[1] is MarkerStyle._triangle_path and kept[2].vertices.tolist()[1] == [1, 1]")
