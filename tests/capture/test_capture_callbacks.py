"""Figures come back with the callbacks that what they show depends on."""

from __future__ import annotations

from sessions import Session

START = """\
import matplotlib; matplotlib.use("agg")
from matplotlib.figure import Figure
from matplotlib.backends.backend_agg import FigureCanvasAgg

def pixels(figure):
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return bytes(canvas.buffer_rgba())

figure = Figure(); canvas = FigureCanvasAgg(figure); ax = figure.subplots()
"""


def test_widgets_are_drawn_and_call_back_after_a_restore() -> None:
    session = Session()
    session.run(
        f"{START}from matplotlib.widgets import RadioButtons\n"
        "radio = RadioButtons(ax, ['one', 'two'], useblit=True)\n"
        "chosen = []\n"
        "def choose(label): chosen.append(label)\n"
        "radio.on_clicked(choose)\n"
        "before = pixels(figure)"
    )
    for _ in range(2):
        session = session.reborn()
        assert session.value("pixels(figure) == before")
        session.run("chosen.clear(); radio.set_active(1); radio.set_active(0)")
        assert session.value("chosen") == ["two", "one"]


def test_a_colorbar_follows_its_image_after_a_restore() -> None:
    session = Session()
    session.run(f"{START}image = ax.imshow([[1.0, 2.0]]); bar = figure.colorbar(image)")
    session = session.reborn().reborn()
    session.run("image.norm.vmax = 7.0")
    assert session.value("bar.vmax") == 7.0


def test_an_animation_that_is_lost_does_not_take_its_figure_along() -> None:
    session = Session()
    snapshot = session.run(
        f"{START}from matplotlib.animation import FuncAnimation\n"
        "steps = (n for n in range(3))\n"
        "animation = FuncAnimation(figure, lambda step: [], frames=steps, save_count=3)\n"
        "animation._draw_was_started = True"
    )
    assert "figure" not in {lost.name for lost in snapshot.skipped}
    assert session.reborn().value("len(figure.axes)") == 1
