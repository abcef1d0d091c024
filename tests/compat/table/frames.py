"""Frames and what computes on them: pandas, polars, dask, Spark, dataprep."""

# ruff: noqa: E501 - cells are strings of one line

from __future__ import annotations

from entry import Entry, Package

_PANDAS = Package("pandas", ("pandas",))
_POLARS = Package("polars", ("polars",))
_DASK = Package("dask", ("dask", "dask.array"))
_SPARK = Package("pyspark", ("pyspark",))
_DATAPREP = Package("dataprep", ("dataprep",))

ENTRIES: list[Entry] = [
    _PANDAS.entry(
        "pandas.Series",
        (
            "import pandas as pd",
            "obj = pd.Series([1, 2, 3], index=list('abc'), name='s')",
            "more = pd.Series(pd.Categorical(['x', 'y', 'x']))",
        ),
        ("obj", "more", "more.cat.categories.tolist()"),
        "obj['b'] = 9; more = more.cat.rename_categories({'x': 'z'})",
    ),
    _PANDAS.entry(
        "pandas.DataFrame",
        (
            "import pandas as pd",
            "obj = pd.DataFrame({'a': [1, 2, 3], 'b': ['x', None, 'z'], 't': pd.date_range('2024-01-01', periods=3, tz='UTC')})",
            "column = obj['a']; grouped = obj.groupby('b')",
        ),
        ("obj", "column", "grouped.size().to_dict()", "str(obj.dtypes.to_dict())"),
        "obj.loc[1, 'a'] = 50; obj['c'] = obj['a'] * 2; obj.attrs['note'] = 'n'",
    ),
    _POLARS.entry(
        "polars.DataFrame",
        (
            "import polars as pl, datetime",
            "obj = pl.DataFrame({'a': [1, 2, None], 'b': ['x', 'y', 'z'], 'l': [[1], [], [2, 3]], 'd': [datetime.date(2024, 1, 1)] * 3})",
            "series = obj['a']; expr = pl.col('a') * 2 + 1; typed = obj.with_columns(pl.col('b').cast(pl.Categorical)).to_dict(as_series=False)",
        ),
        (
            "obj.to_dict(as_series=False)",
            "str(obj.schema)",
            "series.to_list()",
            "obj.select(expr).to_dict(as_series=False)",
            "typed",
        ),
        "obj = obj.with_columns(c=pl.col('a').fill_null(7)); series = obj['c']",
        "obj.schema['a'] == pl.Int64",
    ),
    _POLARS.entry(
        "polars.LazyFrame",
        (
            "import polars as pl",
            "frame = pl.DataFrame({'a': [3, 1, 2], 'g': ['x', 'y', 'x']})",
            "obj = frame.lazy().filter(pl.col('a') > 1).group_by('g').agg(pl.col('a').sum()).sort('g')",
        ),
        ("obj.collect().to_dict(as_series=False)", "str(obj.collect_schema())"),
        "obj = obj.with_columns(b=pl.col('a') + 1)",
    ),
    _DASK.entry(
        "dask",
        (
            "import dask, dask.array as da, numpy as np",
            "obj = da.from_array(np.arange(20.0), chunks=5).sum()",
            "later = dask.delayed(lambda x: x + 1)(41)",
        ),
        ("float(obj.compute())", "later.compute()", "obj.name"),
        "obj = obj * 2; later = later + 1",
    ),
    _SPARK.entry(
        "pyspark.sql",
        (
            "from pyspark.sql import SparkSession",
            "obj = SparkSession.builder.master('local[1]').appName('compat').config('spark.ui.enabled', 'false').config('spark.sql.shuffle.partitions', '1').getOrCreate()",
            "kept = [row.id for row in obj.range(3).collect()]; frame = obj.range(5)",
        ),
        ("kept", "obj.conf.get('spark.sql.shuffle.partitions')", "obj.sparkContext.appName", "obj.range(4).count()"),
        "obj.conf.set('spark.sql.shuffle.partitions', '2'); kept.append(5)",
    ),
    _DATAPREP.entry(
        "dataprep.datasets",
        ("from dataprep.datasets import load_dataset", "obj = load_dataset('titanic')"),
        ("obj.shape", "obj.columns.tolist()"),
        "obj = obj.head(5)",
    ),
    _DATAPREP.entry(
        "dataprep.eda.intermediate.Intermediate",
        ("from dataprep.eda.intermediate import Intermediate", "obj = Intermediate(a=1)"),
        ("dict(obj)",),
        "obj['b'] = 2",
    ),
]
