"""The workloads, as text: what a session is made of, the cells that change it, and what uses it after a restore.

All data comes from seeded generators, so every candidate has the same. Sizes grow with a scale; at 1 they are
those that docs/benchmarks.md shows.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Workload:
    """A session and what happens in it.

    Attributes:
        name: As in the tables.
        title: What it is, in one line.
        setup: Cells that make the session; their cost is not counted.
        cells: The cells that are measured.
        alike: Whether all measured cells do the same, so that the median over them is the time of one.
        first: The first expression that a user asks for after a restore.
        every: A cell that names every variable, and does nothing with them.
        touch: A cell that reads all bytes of all variables.
        imports: A cell that imports what the data needs.
    """

    name: str
    title: str
    setup: list[str]
    cells: list[str]
    first: str
    every: str
    touch: str
    alike: bool = True
    imports: str = "None"


def workloads(scale: float) -> dict[str, Workload]:
    """Return the workloads by name, at some scale (1: as published)."""
    made = [_array_and_number(scale), _array_in_place(scale), _pandas(scale), _objects(scale), _sklearn(scale)]
    return {workload.name: workload for workload in [*made, _round_trips(scale)]}


def _size(count: float, scale: float, least: int = 1) -> int:
    return max(least, round(count * scale))


def _array_and_number(scale: float) -> Workload:
    length = _size(125_000_000, scale, 1000)
    return Workload(
        "W1",
        "1 GB array once, then 20 cells that change one number",
        ["import numpy as np", f"a = np.random.default_rng(1).random({length})"],
        [f"x = {i}" for i in range(20)],
        first="a[123]",
        every="a, x; None",
        touch="float(a.sum())",
        imports="import numpy",
    )


def _array_in_place(scale: float) -> Workload:
    rows = _size(1000, scale, 2)
    return Workload(
        "W2",
        "1 GB array, each of 20 cells changes one row of 1 MB in place",
        ["import numpy as np", f"a = np.random.default_rng(1).random(({rows}, 125_000))"],
        [f"a[{i * 37 % rows}] = np.random.default_rng({i}).random(125_000)" for i in range(20)],
        first="a[0, 123]",
        every="a; None",
        touch="float(a.sum())",
        imports="import numpy",
    )


def _pandas(scale: float) -> Workload:
    # Kishu 0.3.4 takes frames and the module pandas for one thing, and stores neither: so the session drops the module.
    rows = _size(5_000_000, scale, 1000)
    setup = f"""\
import numpy as np
import pandas as pd
rng = np.random.default_rng(3)
df = pd.DataFrame({{name: rng.random({rows}) for name in "abcd"}})
df.loc[rng.integers(0, {rows}, {rows} // 20), "a"] = np.nan
df["key"] = rng.integers(0, 1000, {rows})
df["count"] = rng.poisson(3, {rows})
df["day"] = np.datetime64("2024-01-01", "s") + rng.integers(0, 365 * 86_400, {rows}).astype("m8[s]")
df["shop"] = rng.integers(0, 50, {rows})
names = pd.DataFrame({{"key": np.arange(1000), "name": [f"key {{i}}" for i in range(1000)]}})
del np, pd, rng"""
    cells = [
        "df['ratio'] = df.a / (df.b + 1)",
        "some = df[df.c > 0.8]",
        "by_key = df.groupby('key')[['a', 'b']].mean()",
        "joined = some.merge(names, on='key')",
        "df['a'] = df['a'].fillna(df['a'].mean())",
        "df['count'] = df['count'].astype('int16')",
        "top = df.sort_values('ratio', ascending=False).head(100_000)",
        "df['label'] = df['shop'].map({i: f'shop number {i}' for i in range(50)})",
        "df.loc[df.b < 0.01, 'd'] = 0.0",
        "monthly = df.groupby(df['day'].dt.month)['c'].agg(['mean', 'std', 'count'])",
    ]
    return Workload(
        "W3",
        "pandas, 5 million rows of 8 columns, ten typical steps",
        [setup],
        cells,
        first="by_key.loc[7]",
        every="df, names, some, by_key, joined, top, monthly; None",
        touch="sum(int(f.memory_usage(deep=True).sum()) + float(f.select_dtypes('number').sum().sum())"
        " for f in (df, names, some, by_key, joined, top, monthly))",
        alike=False,
        imports="import numpy, pandas",
    )


def _objects(scale: float) -> Workload:
    tuples, points = _size(1_000_000, scale, 100), _size(200_000, scale, 100)
    setup = f"""\
class Point:
    def __init__(self, number, name):
        self.number = number
        self.name = name
        self.tags = [number % 7]

table = {{i: (i, i * 0.5, f"row {{i}}") for i in range({tuples})}}
points = [Point(i, f"point {{i}}") for i in range({points})]"""
    cell = """\
for i in range({start}, {start} + 10):
    points.append(Point(i, f"new {{i}}"))
    table[-i] = (i, i * 0.5, f"new row {{i}}")"""
    return Workload(
        "W4",
        "a dict of 1 million small tuples and 200,000 instances of a session's class, each of 20 cells appends ten",
        [setup],
        [cell.format(start=10_000_000 + 10 * i) for i in range(20)],
        first="points[5].name",
        every="table, points, Point; None",
        touch="sum(p.number for p in points) + sum(row[0] for row in table.values())",
    )


def _sklearn(scale: float) -> Workload:
    rows = _size(200_000, scale, 2000)
    setup = """\
import numpy as np
from sklearn.datasets import make_classification
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.metrics import classification_report, confusion_matrix
from sklearn.model_selection import cross_val_score, train_test_split
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier"""
    cells = [
        f"X, y = make_classification({rows}, 40, n_informative=12, random_state=5)",
        "X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=5)",
        "scaler = StandardScaler().fit(X_train)\nZ_train, Z_test = scaler.transform(X_train), scaler.transform(X_test)",
        "logistic = LogisticRegression(max_iter=200).fit(Z_train, y_train)",
        "tree = DecisionTreeClassifier(max_depth=8, random_state=5).fit(Z_train, y_train)",
        "forest = RandomForestClassifier(20, max_depth=14, random_state=5).fit(Z_train, y_train)",
        "boosted = HistGradientBoostingClassifier(max_iter=20, random_state=5).fit(Z_train, y_train)",
        "models = {'logistic': logistic, 'tree': tree, 'forest': forest, 'boosted': boosted}\n"
        "predictions = {name: model.predict(Z_test) for name, model in models.items()}",
        "scores = cross_val_score(SGDClassifier(random_state=5), Z_train, y_train, cv=3)",
        "report = {name: classification_report(y_test, p, output_dict=True) for name, p in predictions.items()}\n"
        "confusion = {name: confusion_matrix(y_test, p) for name, p in predictions.items()}",
    ]
    return Workload(
        "W5",
        "scikit-learn, ten cells: data, split, scaling, four models, predictions, cross-validation, report",
        [setup],
        cells,
        first="scores",
        every="X, y, X_train, X_test, y_train, y_test, scaler, Z_train, Z_test, logistic, tree, forest, boosted, "
        "models, predictions, scores, report, confusion; None",
        touch="float(X.sum() + X_train.sum() + X_test.sum() + Z_train.sum() + Z_test.sum())"
        " + sum(t.tree_.threshold.sum() for t in forest.estimators_)",
        alike=False,
        imports="import numpy, sklearn.ensemble, sklearn.linear_model, sklearn.model_selection",
    )


def _round_trips(scale: float) -> Workload:
    return Workload(
        "W7",
        "200 cells `x = 1`, and nothing else",
        ["x = -1"],
        [f"x = {i}" for i in range(_size(200, scale, 5))],
        first="x",
        every="x; None",
        touch="x; None",
    )
