"""Plots: matplotlib, seaborn, plotly, bokeh, word clouds."""

# ruff: noqa: E501 - cells are strings of one line

from __future__ import annotations

from entry import Entry, Package

_MATPLOTLIB = Package("matplotlib", ("matplotlib",))
_SEABORN = Package("seaborn", ("seaborn",))
_PLOTLY = Package("plotly", ("plotly", "pandas"))
_BOKEH = Package("bokeh", ("bokeh",))
_WORDCLOUD = Package("wordcloud", ("wordcloud",))

_PIXELS = "def pixels(figure):\n    import hashlib, io\n    file = io.BytesIO()\n    figure.savefig(file, format='raw', dpi=40)\n    return hashlib.sha256(file.getvalue()).hexdigest()"
_PLT = ("import matplotlib.pyplot as plt, numpy as np; plt.close('all')", _PIXELS)
_FIG = (*_PLT, "fig, ax = plt.subplots()")
_DRAWN = "pixels(fig)"
_CURRENT = ("ax.figure is fig", "fig.axes[0] is ax", "plt.gcf() is fig", "plt.gca() is ax")

ENTRIES: list[Entry] = [
    _MATPLOTLIB.entry(
        "matplotlib.Axes",
        (
            *_PLT,
            "fig, (obj, right) = plt.subplots(1, 2, sharey=True)",
            "line, = obj.plot([1, 2, 3], [3, 1, 2], label='one'); bars = right.bar([0, 1], [1, 2]); obj.set_title('T'); obj.legend()",
        ),
        (_DRAWN, "obj.get_title(), obj.get_xlim(), obj.get_ylim()", "line.get_ydata()", "len(bars)"),
        "line.set_ydata([1, 5, 1]); obj.set_title('U'); obj.set_ylim(0, 6)",
        "fig.axes == [obj, right]",
        "obj.figure is fig",
        "obj.lines[0] is line",
        "right.get_shared_y_axes().joined(obj, right)",
        "bars[0] is right.patches[0]",
        "plt.gcf() is fig",
        "obj.get_ylim() == right.get_ylim()",
    ),
    _MATPLOTLIB.entry(
        "matplotlib.colors.ListedColormap",
        (
            "import numpy as np, matplotlib.colors as mc",
            "obj = mc.ListedColormap(['red', '#00ff00', (0, 0, 1)], name='mine')",
        ),
        ("obj([0, 1, 2, 5])", "obj.name", "obj.N", "obj.get_under()"),
        "obj.set_under('k') if not hasattr(obj, 'with_extremes') else None; obj = obj.with_extremes(under='k')",
    ),
    _MATPLOTLIB.entry(
        "matplotlib.colors.BoundaryNorm",
        ("import numpy as np, matplotlib.colors as mc", "obj = mc.BoundaryNorm([0, 1, 4, 9], 3)"),
        ("obj([0.5, 2, 8]).data", "obj.boundaries", "obj.Ncmap, obj.extend"),
        "obj = mc.BoundaryNorm([0, 2, 3, 9], 5, extend='neither')",
    ),
    _MATPLOTLIB.entry(
        "matplotlib.dates.WeekdayLocator",
        (
            "import datetime, matplotlib.dates as md",
            "obj = md.WeekdayLocator(byweekday=md.MO, interval=2, tz=datetime.timezone.utc)",
        ),
        ("obj.tick_values(datetime.datetime(2024, 1, 1), datetime.datetime(2024, 3, 1))", "obj.MAXTICKS", "obj.tz"),
        "obj.MAXTICKS = 55; obj.rule.set(interval=1)",
    ),
    _MATPLOTLIB.entry(
        "matplotlib.dates.AutoDateFormatter",
        (
            *_PLT,
            "import datetime, matplotlib.dates as md",
            "locator = md.AutoDateLocator(); obj = md.AutoDateFormatter(locator)",
        ),
        ("obj(19000.5)", "sorted(obj.scaled.items())", "obj.defaultfmt"),
        "obj.scaled[1 / 24] = '%H!'; obj.defaultfmt = '%Y/%m'",
        "obj._locator is locator",
    ),
    _MATPLOTLIB.entry(
        "matplotlib.lines.Line2D",
        (*_FIG, "obj, = ax.plot([0, 1, 2], [0, 1, 4], 'r--o', lw=3, label='sq')"),
        (
            _DRAWN,
            "obj.get_xydata()",
            "obj.get_color(), obj.get_linestyle(), obj.get_marker(), obj.get_linewidth(), obj.get_label()",
        ),
        "obj.set_ydata([4, 1, 0]); obj.set_color('g')",
        "obj.axes is ax",
        "ax.lines[0] is obj",
        *_CURRENT,
    ),
    _MATPLOTLIB.entry(
        "matplotlib.patches.Ellipse",
        (
            *_FIG,
            "from matplotlib.patches import Ellipse",
            "obj = ax.add_patch(Ellipse((0.5, 0.5), 0.4, 0.2, angle=30, fc='b'))",
        ),
        (_DRAWN, "obj.get_center(), obj.width, obj.height, obj.angle", "obj.get_facecolor()"),
        "obj.set_width(0.8); obj.set_facecolor('r')",
        "obj.axes is ax",
        "ax.patches[0] is obj",
    ),
    _MATPLOTLIB.entry(
        "matplotlib.patches.Arrow",
        (*_FIG, "from matplotlib.patches import Arrow", "obj = ax.add_patch(Arrow(0.1, 0.1, 0.5, 0.6, width=0.3))"),
        (_DRAWN, "obj.get_path().vertices", "obj.get_patch_transform().get_matrix()", "obj.get_facecolor()"),
        "obj.set_facecolor('k'); obj.set_linewidth(4)",
        "ax.patches[0] is obj",
    ),
    _MATPLOTLIB.entry(
        "matplotlib.image.AxesImage",
        (
            *_FIG,
            "data = np.arange(12.0).reshape(3, 4)",
            "obj = ax.imshow(data, cmap='magma', vmin=1); bar = fig.colorbar(obj)",
        ),
        (_DRAWN, "obj.get_array().data", "obj.get_clim()", "obj.cmap.name"),
        "obj.set_data(data * 2); obj.set_clim(0, 10)",
        "ax.images[0] is obj",
        "bar.mappable is obj",
        "bar.ax.figure is fig",
    ),
    _MATPLOTLIB.entry(
        "matplotlib.image.FigureImage",
        (*_PLT, "fig = plt.figure(figsize=(2, 2))", "obj = fig.figimage(np.arange(100.0).reshape(10, 10), 5, 5)"),
        (_DRAWN, "obj.get_array().data", "obj.ox, obj.oy"),
        "obj.set_data(np.ones((10, 10))); obj.ox = 20",
        "fig.images[0] is obj",
    ),
    _MATPLOTLIB.entry(
        "matplotlib.offsetbox.AnchoredOffsetbox",
        (
            *_FIG,
            "from matplotlib.offsetbox import AnchoredOffsetbox, TextArea",
            "text = TextArea('hello'); obj = AnchoredOffsetbox(loc='upper left', child=text, pad=0.4); ax.add_artist(obj); None",
        ),
        (_DRAWN, "obj.loc, obj.pad", "text.get_text()"),
        "text.set_text('bye'); obj.loc = 4",
        "obj.get_child() is text",
        "obj in ax.artists",
    ),
    _MATPLOTLIB.entry(
        "matplotlib.ticker.AutoLocator",
        (
            *_FIG,
            "from matplotlib.ticker import AutoLocator",
            "obj = AutoLocator(); ax.xaxis.set_major_locator(obj); ax.plot([0, 93])",
        ),
        (_DRAWN, "obj.tick_values(0, 93)", "ax.get_xticks()"),
        "obj.set_params(nbins=3)",
        "ax.xaxis.get_major_locator() is obj",
        "obj.axis is ax.xaxis",
    ),
    _MATPLOTLIB.entry(
        "mpl_toolkits.mplot3d.art3d.Line3DCollection",
        (
            *_PLT,
            "from mpl_toolkits.mplot3d.art3d import Line3DCollection",
            "fig = plt.figure(); ax = fig.add_subplot(projection='3d')",
            "obj = Line3DCollection([[(0, 0, 0), (1, 1, 1)], [(1, 0, 0), (0, 1, 1)]], colors=['r', 'b'], linewidths=2); ax.add_collection3d(obj); None",
        ),
        (_DRAWN, "obj._segments3d", "ax.elev, ax.azim, ax.get_zlim()"),
        "obj.set_segments([[(0, 0, 0), (1, 0, 1)]]); ax.view_init(10, 20)",
        "ax.collections[0] is obj",
    ),
    _SEABORN.entry(
        "seaborn",
        (
            "import seaborn as sns, pandas as pd, numpy as np, matplotlib.pyplot as plt; plt.close('all')",
            _PIXELS,
            "frame = pd.DataFrame({'x': [1, 2, 3, 4], 'y': [2, 1, 4, 3], 'g': list('aabb')})",
            "obj = sns.FacetGrid(frame, col='g').map_dataframe(sns.scatterplot, 'x', 'y'); fig = obj.figure",
            "palette = sns.color_palette('deep', 3)",
        ),
        (_DRAWN, "obj.axes.shape", "palette"),
        "obj.set_axis_labels('X', 'Y'); obj.axes[0, 0].set_title('first')",
        "obj.axes[0, 0].figure is fig",
        "obj.data is frame or obj.data.equals(frame)",
    ),
    _PLOTLY.entry(
        "plotly.express",
        (
            "import plotly.express as px, pandas as pd",
            "frame = pd.DataFrame({'x': [1, 2], 'y': [3, 4], 'c': ['a', 'b']})",
            "obj = px.scatter(frame, x='x', y='y', color='c')",
        ),
        ("obj.to_json()", "obj.layout.template.layout.colorway[0]"),
        "obj.update_layout(title='T'); obj.data[0].marker.size = 20",
    ),
    _PLOTLY.entry(
        "plotly.graph_objects",
        ("import plotly.graph_objects as go", "obj = go.Figure(go.Bar(x=['a', 'b'], y=[1, 2]))", "trace = obj.data[0]"),
        ("obj.to_json()",),
        "trace.y = [5, 6]; obj.add_hline(y=3)",
        "obj.data[0] is trace",
    ),
    _PLOTLY.entry(
        "plotly.figure_factory",
        ("import plotly.figure_factory as ff, numpy as np", "obj = ff.create_quiver([0, 1], [0, 1], [1, 1], [0, 1])"),
        ("obj.to_json()",),
        "obj.update_traces(line_width=4)",
    ),
    _PLOTLY.entry(
        "plotly.graph_objs",
        (
            "import plotly.graph_objs as objs",
            "obj = objs.Scatter(x=[1, 2], y=[3, 4], name='s')",
            "layout = objs.Layout(title='L')",
        ),
        ("obj.to_json()", "layout.to_plotly_json()"),
        "obj.name = 't'; layout.title.text = 'M'",
    ),
    _PLOTLY.entry(
        "plotly.io",
        (
            "import plotly.io as pio, plotly.graph_objects as go",
            "obj = pio.from_json(go.Figure(go.Pie(values=[1, 2])).to_json())",
            "mine = pio.templates['plotly_dark']",
        ),
        ("pio.to_json(obj)", "mine.layout.paper_bgcolor"),
        "obj.update_layout(template='ggplot2')",
    ),
    _PLOTLY.entry(
        "plotly.offline",
        (
            "import plotly.offline as po, plotly.graph_objects as go",
            "obj = go.Figure(go.Scatter(y=[1, 3]))",
            "html = po.plot(obj, output_type='div', include_plotlyjs=False)",
        ),
        ("obj.to_json()", "len(html) > 100"),
        "obj.add_scatter(y=[2, 2])",
    ),
    _PLOTLY.entry(
        "plotly.subplots",
        (
            "from plotly.subplots import make_subplots",
            "obj = make_subplots(rows=1, cols=2, shared_yaxes=True); obj.add_scatter(y=[1, 2], row=1, col=2)",
        ),
        ("obj.to_json()", "str(obj.get_subplot(1, 2))"),
        "obj.add_bar(y=[4], row=1, col=1); obj.update_yaxes(title='y', row=1, col=1)",
    ),
    _BOKEH.entry(
        "bokeh.plotting._figure.figure",
        (
            "from bokeh.plotting import figure",
            "obj = figure(title='T', width=300); obj.line([1, 2, 3], [1, 4, 9])",
            "source = obj.renderers[0].data_source",
        ),
        ("obj.title.text, obj.width", "dict(source.data)", "len(obj.renderers)", "obj.id"),
        "obj.title.text = 'U'; source.data['y'] = [0, 0, 0]",
        "obj.renderers[0].data_source is source",
    ),
    _BOKEH.entry(
        "bokeh.models.renderers.glyph_renderer.GlyphRenderer",
        ("from bokeh.plotting import figure", "plot = figure(); obj = plot.scatter([1, 2], [3, 4], size=5)"),
        ("obj.glyph.size", "dict(obj.data_source.data)", "obj.visible", "obj.id"),
        "obj.glyph.size = 9; obj.visible = False",
        "plot.renderers[0] is obj",
    ),
    _WORDCLOUD.entry(
        "wordcloud.WordCloud",
        (
            "from wordcloud import WordCloud",
            "obj = WordCloud(width=80, height=40, random_state=1, max_words=5).generate('red red blue green tea')",
        ),
        ("obj.words_", "obj.to_array().shape", "obj.layout_[0][0]", "obj.background_color"),
        "obj.background_color = 'white'; obj.generate('one two two')",
    ),
]
