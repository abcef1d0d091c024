"""Objects that Kishu's table does not have, and that pickle does not bring back as they were."""

# ruff: noqa: E501 - cells are strings of one line

from __future__ import annotations

from entry import Entry, Package

_TORCH = Package("torch", ("torch", "numpy"), extra=True)
_MATPLOTLIB = Package("matplotlib", ("matplotlib",), extra=True)
_SPARK = Package("pyspark", ("pyspark",), extra=True)
_LIGHTGBM = Package("lightgbm", ("lightgbm",), extra=True)
_SYMPY = Package("sympy", ("sympy",), extra=True)
_PYARROW = Package("pyarrow", ("pyarrow",), extra=True)
_XARRAY = Package("xarray", ("xarray",), extra=True)
_XGBOOST = Package("xgboost", ("xgboost",), extra=True)
_REQUESTS = Package("requests", ("requests",), extra=True)
_TQDM = Package("tqdm", ("tqdm",), extra=True)
_SQLALCHEMY = Package("sqlalchemy", ("sqlalchemy",), extra=True)
_DUCKDB = Package("duckdb", ("duckdb",), extra=True)
_SPACY = Package("spacy", ("spacy",), extra=True)
_H5PY = Package("h5py", ("h5py",), extra=True)

ENTRIES: list[Entry] = [
    _TORCH.entry(
        "tensors and arrays of numpy over the same memory",
        (
            "import torch, numpy as np",
            "array = np.zeros((3, 3)); obj = torch.from_numpy(array); tensor = torch.zeros(4); shown = tensor.numpy()[1:]",
        ),
        ("obj.tolist()", "array", "tensor.tolist()", "shown"),
        "obj[0, 1] = 5; shown[0] = 7",
        "obj.data_ptr() == array.ctypes.data",
        "shown.ctypes.data == tensor[1:].data_ptr()",
    ),
    _TORCH.entry(
        "a tensor that was computed from others, without its graph",
        ("import torch", "leaf = torch.ones(3, requires_grad=True); obj = (leaf * 3).sum()"),
        ("obj.item()", "leaf.requires_grad"),
        "with torch.no_grad(): obj += 1",
    ),
    _TORCH.entry(
        "hooks and their handles",
        (
            "import torch; from torch import nn",
            "obj = nn.Linear(1, 1, bias=False); seen = []; handle = obj.register_forward_hook(lambda module, given, made: seen.append(made.shape[0]))",
        ),
        ("len(obj._forward_hooks)", "seen"),
        "_ = obj(torch.ones(2, 1)); handle.remove()",
    ),
    _MATPLOTLIB.entry(
        "two figures, of which one changes",
        (
            "import matplotlib.pyplot as plt; plt.close('all')",
            "obj, first = plt.subplots(); first.plot([1, 2]); other, second = plt.subplots(); second.plot([3, 1])",
        ),
        ("first.lines[0].get_ydata()", "second.lines[0].get_ydata()"),
        "first.lines[0].set_ydata([5, 5])",
        "plt.fignum_exists(obj.number)",
    ),
    _SPARK.entry(
        "pyspark.sql.DataFrame",
        (
            "from pyspark.sql import SparkSession",
            "obj = SparkSession.builder.master('local[1]').config('spark.ui.enabled', 'false').getOrCreate().range(3)",
        ),
        "obj.count()",
        "obj = obj.filter('id > 0')",
        lost="plan inside its Spark session",
    ),
    _LIGHTGBM.entry(
        "a Dataset whose data LightGBM freed",
        (
            "import lightgbm as lgb, numpy as np",
            "obj = lgb.Dataset(np.arange(40.0).reshape(20, 2), label=[0, 1] * 10, params={'verbose': -1}).construct()",
        ),
        "obj.num_data()",
        "obj.set_label([1, 0] * 10)",
        lost="freed the data",
    ),
    _SYMPY.entry(
        "symbols and expressions",
        (
            "import sympy",
            "x, y = sympy.symbols('x y', positive=True); obj = sympy.Integral(x**2 + y, x); one = sympy.S.One; matrix = sympy.Matrix([[x, 1]])",
        ),
        ("str(obj.doit())", "str(matrix)"),
        "obj = obj + x; matrix[0, 1] = y",
        "one is sympy.S.One",
        "matrix[0, 0] is x",
        "x.is_positive",
    ),
    _PYARROW.entry(
        "pyarrow.Table",
        ("import pyarrow as pa", "obj = pa.table({'a': [1, None, 3], 'b': ['x', 'y', 'z']}); column = obj['a']"),
        ("obj.to_pydict()", "str(obj.schema)", "column.to_pylist()"),
        "obj = obj.append_column('c', pa.array([1.0, 2.0, 3.0])); column = obj['c']",
    ),
    _XARRAY.entry(
        "xarray.Dataset",
        (
            "import xarray as xr, numpy as np",
            "obj = xr.Dataset({'t': (('x', 'y'), np.arange(6.0).reshape(2, 3))}, coords={'x': [10, 20]}, attrs={'n': [1]}); part = obj['t'][0]",
        ),
        ("obj['t'].values", "obj.attrs", "obj.coords['x'].values", "part.values"),
        "obj['t'][0, 0] = -1; obj.attrs['m'] = 2",
        "np.shares_memory(obj['t'].values, part.values)",
    ),
    _XGBOOST.entry(
        "xgboost.XGBClassifier",
        (
            "import numpy as np, xgboost as xgb; X = np.arange(40.0).reshape(20, 2); y = (X[:, 0] > 20).astype(int)",
            "obj = xgb.XGBClassifier(n_estimators=3, max_depth=2, n_jobs=1).fit(X, y)",
        ),
        ("obj.predict_proba(X)", "obj.get_params()['max_depth']"),
        "obj.fit(X, 1 - y)",
    ),
    _REQUESTS.entry(
        "requests.Session",
        (
            "import requests",
            "obj = requests.Session(); obj.headers['X-A'] = 'b'; obj.cookies.set('c', 'd'); obj.auth = ('u', 'p')",
        ),
        ("dict(obj.headers)", "obj.cookies.get_dict()", "obj.auth"),
        "obj.headers['X-B'] = 'c'; obj.cookies.set('e', 'f')",
    ),
    _TQDM.entry(
        "tqdm.tqdm",
        ("import io; from tqdm import tqdm", "obj = tqdm(total=10, file=io.StringIO(), mininterval=0); obj.update(3)"),
        ("obj.n, obj.total",),
        "obj.update(2)",
        lost="progress bar",
    ),
    _SQLALCHEMY.entry(
        "sqlalchemy.Engine",
        (
            "import sqlalchemy as sa, os, tempfile",
            "path = os.path.join(os.getcwd(), 'compat.db'); obj = sa.create_engine(f'sqlite:///{path}')",
        ),
        ("str(obj.url).endswith('compat.db')",),
        "obj = sa.create_engine('sqlite://')",
    ),
    _DUCKDB.entry(
        "duckdb.DuckDBPyConnection",
        ("import duckdb", "obj = duckdb.connect(':memory:'); obj.execute('create table t as select 1 as a')"),
        ("obj.execute('select a from t').fetchall()",),
        "obj.execute('insert into t values (2)')",
        lost="can't be saved",
    ),
    _SPACY.entry(
        "spacy.Language",
        ("import spacy", "obj = spacy.blank('en'); obj.add_pipe('sentencizer'); doc = obj('One two. Three.')"),
        ("[t.text for t in obj('a b')]", "obj.pipe_names", "[token.text for token in doc]"),
        "obj.disable_pipe('sentencizer'); doc = obj('Four.')",
    ),
    _H5PY.entry(
        "h5py.File",
        ("import h5py, io", "obj = h5py.File('compat.h5', 'w'); obj['a'] = [1, 2]; obj.flush()"),
        ("obj['a'][:]",),
        "obj['b'] = 1",
        lost="pickle",
    ),
]
