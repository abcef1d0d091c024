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


def test_an_animation_starts_when_its_figure_is_drawn_after_a_restore() -> None:
    session = Session()
    snapshot = session.run(
        f"{START}from matplotlib.animation import FuncAnimation\n"
        "seen = []\n"
        "def step(number): seen.append(number); return []\n"
        "animation = FuncAnimation(figure, step, frames=3)"
    )
    assert not snapshot.skipped
    session = session.reborn().reborn()
    session.run("figure.canvas.draw() if hasattr(figure.canvas, 'draw') else None; pixels(figure)")
    assert session.value("seen[:1]") == [0]


def test_an_animation_that_is_lost_does_not_take_its_figure_along() -> None:
    session = Session()
    snapshot = session.run(
        f"{START}from matplotlib.animation import FuncAnimation\n"
        "steps = (lambda g: (next(g), g)[1])(n for n in range(-1, 3))\n"
        "animation = FuncAnimation(figure, lambda step: [], frames=steps, save_count=3)\n"
        "animation._draw_was_started = True"
    )
    assert "figure" not in {lost.name for lost in snapshot.skipped}
    assert session.reborn().value("len(figure.axes)") == 1


EVENTS = """\
from matplotlib.backend_bases import MouseEvent
def press(figure):
    figure.canvas.callbacks.process('button_press_event', MouseEvent('button_press_event', figure.canvas, 1, 1))
"""


def test_methods_closures_and_objects_of_the_session_are_called_back_after_a_restore() -> None:
    session = Session()
    snapshot = session.run(
        f"{START}{EVENTS}from functools import partial\n"
        "class Picker:\n"
        "    def __init__(self):\n"
        "        self.figure, self.seen = Figure(), []\n"
        "        self.number = FigureCanvasAgg(self.figure).mpl_connect('button_press_event', self.on_press)\n"
        "    def on_press(self, event): self.seen.append('method')\n"
        "    def __call__(self, event): self.seen.append('object')\n"
        "def counting():\n"
        "    calls = []\n"
        "    def count(event): calls.append('closure')\n"
        "    return count, calls\n"
        "def note(where, event): where.append('partial')\n"
        "picker = Picker(); count, calls = counting(); notes = []\n"
        "for one in (picker.on_press, picker, count, partial(note, notes)):\n"
        "    figure.canvas.mpl_connect('button_press_event', one)\n"
        "number = ax.callbacks.connect('xlim_changed', picker)"
    )
    assert not snapshot.skipped
    session = session.reborn().reborn()
    session.run("press(figure)")
    assert session.value("picker.seen, calls, notes") == (["method", "object"], ["closure"], ["partial"])
    session.run("picker.seen.clear(); press(picker.figure); ax.set_xlim(0, 7)")
    assert session.value("picker.seen") == ["method", "object"]
    session.run("picker.figure.canvas.mpl_disconnect(picker.number); ax.callbacks.disconnect(number)")
    session.run("picker.seen.clear(); press(picker.figure); ax.set_xlim(0, 8)")
    assert session.value("picker.seen") == []


def test_a_callback_that_cannot_be_saved_is_named_and_costs_its_figure_nothing() -> None:
    session = Session()
    session.run(
        f"{START}class Feed:\n"
        "    def __init__(self): self.lines = (line for line in 'ab'); next(self.lines)\n"
        "    def on_pick(self, event): next(self.lines)\n"
        "class Looker:\n"
        "    def __init__(self): self.figure = figure; figure.canvas.mpl_connect('pick_event', self.on_pick)\n"
        "    def on_pick(self, event): pass\n"
        "def reading(lines):\n"
        "    def read(event): next(lines)\n"
        "    return read\n"
        "feed, looker = Feed(), Looker()\n"
        "first = figure.canvas.mpl_connect('pick_event', feed.on_pick)\n"
        "second = figure.canvas.mpl_connect('pick_event', reading(feed.lines))"
    )
    for snapshot in (session.run("x = 1"), session.run("ax.plot([1, 2])")):
        lost = {lost.name: lost.reason for lost in snapshot.skipped}
        method, closure = "callback Feed.on_pick for pick_event", "callback reading.<locals>.read for pick_event"
        assert lost.keys() == {"feed", method, closure}
        assert "comes back without it" in lost[method]
    assert not session.run("[figure.canvas.mpl_disconnect(number) for number in (first, second)]; del feed").skipped
    assert session.reborn().value("len(figure.canvas.callbacks.callbacks['pick_event'])") == 1
