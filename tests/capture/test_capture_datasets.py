"""Data that libraries read when it is asked for, or keep in memory of their own."""

from __future__ import annotations

from pathlib import Path

import pytest
from sessions import Session


def test_data_that_xarray_has_not_read_yet_is_read_from_the_file_that_it_was_or_not_at_all(tmp_path: Path) -> None:
    pytest.importorskip("xarray")
    pytest.importorskip("scipy")
    session = Session()
    session.run(
        f"import xarray; path = {str(tmp_path / 'data.nc')!r}\n"
        "xarray.Dataset({'t': ('x', [1.0, 2.0])}).to_netcdf(path, engine='scipy')\n"
        "data = xarray.open_dataset(path, engine='scipy'); read = xarray.load_dataset(path)\n"
        "whole = xarray.open_dataset(path, engine='scipy').load()"
    )
    again = session.reborn()
    assert again.value("data.t.values.tolist(), read.t.values.tolist()") == ([1.0, 2.0], [1.0, 2.0])
    again.run("data.close(); xarray.Dataset({'t': ('x', [3.0, 4.0, 5.0])}).to_netcdf(path, engine='scipy')")
    for change, said in ((lambda: None, "has changed"), ((tmp_path / "data.nc").unlink, "is gone")):
        change()
        outcome = session.reborn().outcome
        assert outcome is not None
        assert {lost.name: said in lost.reason for lost in outcome.failed} == {"data": True}
        assert {"read", "whole"} <= {*outcome.restored}


def test_models_of_catboost_keep_what_was_set_on_them_and_pools_are_named() -> None:
    pytest.importorskip("catboost")
    session = Session()
    snapshot = session.run(
        "import numpy; from catboost import CatBoostRegressor, Pool\n"
        "rows = numpy.arange(40.0).reshape(20, 2); pool = Pool(rows, rows[:, 0])\n"
        "model = CatBoostRegressor(iterations=3, depth=2, verbose=False, allow_writing_files=False).fit(pool)\n"
        "model.note = [1]; notes = model.note; before = model.predict(rows).tolist()"
    )
    (lost,) = snapshot.skipped
    assert lost.name == "pool"
    assert "Pool(data" in lost.remedy
    session = session.reborn().reborn()
    assert session.value("model.predict(rows).tolist() == before and model.note is notes and model.tree_count_") == 3


def test_functions_in_plans_of_polars_are_those_of_the_session() -> None:
    pytest.importorskip("polars")
    session = Session()
    session.run(
        "import polars as pl, warnings; warnings.simplefilter('ignore')\n"
        "more = 1; seen = []\n"
        "class Adder:\n"
        "    def __init__(self): self.n = 1\n"
        "    def add(self, x): seen.append(x); return x + self.n + more\n"
        "adder = Adder(); frame = pl.DataFrame({'a': [1, 2]})\n"
        "def doubled(part): return part * more\n"
        "column = pl.col('a').map_elements(adder.add, return_dtype=pl.Int64)\n"
        "plan = frame.lazy().select(column); batches = frame.lazy().map_batches(doubled); pair = [plan, plan]"
    )
    assert session.run("unrelated = 1; plan").names_changed == ["unrelated"]
    # The second life saves what polars has not looked at in the first.
    session = session.reborn()
    session.run("more = 100; adder.n = 10; held = [plan, column, batches]")
    session = session.reborn()
    assert session.value("plan.collect()['a'].to_list()") == [111, 112]
    assert session.value("frame.select(column)['a'].to_list(), batches.collect()['a'].to_list()") == (
        [111, 112],
        [100, 200],
    )
    assert session.value("sorted(seen)") == [1, 1, 2, 2]
    assert session.value("pair[0] is pair[1] is plan")
