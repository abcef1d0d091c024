"""State that lies in no variable: what is sent of it, when it is set, and what is said when it can't be."""

# ruff: noqa: E501 - cells are strings of one line

from __future__ import annotations

import builtins
import colorsys
import gc
import os
import pickle
import sys
from pathlib import Path

import pytest
from sessions import SavedComponent, Session, Store
from test_capture_promises import work

from holdfast.kernel.capture.ambient.process import changed_alike
from holdfast.kernel.capture.choice import Limits

AMBIENT = "\0ambient:"


def members(store: Store) -> set[str]:
    """Return the hidden members of ambient state that are stored, without their prefixes."""
    found = {member for component in store.values() for member in component.members}
    prefixes = (AMBIENT, "\0k:ambient:")
    return {member.removeprefix(prefix) for prefix in prefixes for member in found if member.startswith(prefix)}


def stored(name: str, state: object) -> Store:
    """Return a store with one plain state."""
    member = AMBIENT + name
    return {"one": SavedComponent("one", (member,), "f", pickle.dumps(state, 5), [])}


@pytest.fixture(autouse=True)
def own_process_state(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test changes here is as before after it."""
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.setattr(sys, "argv", sys.argv[:])
    monkeypatch.chdir(Path.cwd())


def test_a_run_that_only_reads_sends_no_ambient_state() -> None:
    for name in ("numpy", "pandas", "matplotlib", "sklearn"):
        pytest.importorskip(name)
    session = Session()
    session.run("import random, decimal, logging, numpy as np, pandas as pd, matplotlib.pyplot as plt, sklearn")
    session.run(
        "plt.rcParams['lines.linewidth'] = 3; pd.options.display.precision = 4; random.random(); np.random.rand()"
    )
    count = len(session.store)
    assert not session.run(
        "str(plt.rcParams), pd.get_option('display.precision'), random.getstate(), np.random.get_state(),"
        " decimal.getcontext(), logging.getLogger('x').level, sklearn.get_config(), np.get_printoptions()"
    ).changed
    assert len(session.store) == count
    session.run("plt.rcdefaults(); pd.reset_option('display.precision')")


def test_what_a_session_sets_back_is_no_longer_stored() -> None:
    session = Session()
    session.run("import builtins; builtins.holdfast_test = []")
    assert "builtins:holdfast_test" in members(session.store)
    session.run("del builtins.holdfast_test")
    assert "builtins:holdfast_test" not in members(session.store)


def test_states_that_earlier_versions_stored_are_set(tmp_path: Path) -> None:
    import random

    state = random.Random(8).getstate()
    assert Session(stored("random", state)).outcome is not None
    assert random.getstate() == state
    Session(stored("working directory", str(tmp_path)))
    assert Path.cwd() == tmp_path


def test_a_state_that_cannot_be_set_is_named_and_stays_stored() -> None:
    session = Session(stored("locale", {"LC_TIME": "xx_XX.nowhere"}))
    assert session.outcome is not None
    (lost,) = session.outcome.failed
    assert (lost.name, lost.type) == ("locale", "ambient state")
    assert "xx_XX.nowhere" in lost.reason
    session.run("print(end='')")
    session.save(full=True)
    again = session.reborn()
    assert again.outcome is not None
    assert [one.name for one in again.outcome.failed] == ["locale"]


def test_a_state_that_this_version_does_not_know_is_named() -> None:
    session = Session(stored("phase of the moon", 3))
    assert session.outcome is not None
    assert [(one.name, one.type) for one in session.outcome.failed] == [("phase of the moon", "ambient state")]


def test_variables_of_the_new_environment_are_left_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_SET", "old")
    monkeypatch.setenv("HOLDFAST_OTHER", "old")
    session = Session()
    session.run("import os; os.environ['HOLDFAST_SET'] = 'mine'")
    monkeypatch.setenv("HOLDFAST_SET", "new")
    monkeypatch.setenv("HOLDFAST_OTHER", "new")
    again = session.reborn()
    assert again.value("os.environ['HOLDFAST_SET'], os.environ['HOLDFAST_OTHER']") == ("mine", "new")
    # It is the session's, though this process had the very value when it started.
    third = again.reborn()
    third.run("os.environ['HOLDFAST_MORE'] = '1'")
    monkeypatch.setenv("HOLDFAST_SET", "other")
    assert third.reborn().value("os.environ['HOLDFAST_SET']") == "mine"
    del os.environ["HOLDFAST_MORE"]


def test_modules_on_a_path_that_the_session_inserted_and_what_they_read_are_there_in_time(tmp_path: Path) -> None:
    (tmp_path / "holdfast_own.py").write_text("import os\nlevel = os.environ['HOLDFAST_LEVEL']\nhere = os.getcwd()\n")
    cells = [
        f"import os, sys\nos.chdir({str(tmp_path)!r}); sys.path.insert(0, {str(tmp_path)!r})",
        "os.environ['HOLDFAST_LEVEL'] = 'high'",
        "import holdfast_own as own",
    ]
    checks = ["own.level == 'high'", f"own.here == {str(tmp_path.resolve())!r}"]
    ((failed, store, _),) = work(sys.executable, tmp_path, [(cells, checks, None, False)])
    assert not failed
    ((failed, _, lost),) = work(sys.executable, tmp_path, [([], checks, store, False)])
    assert not failed, failed
    assert not lost


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (["doc", "/usr/lib", "/usr/site"], ["first", "doc", "second", "/usr/lib", "last"]),
        (["other", "/opt/lib", "/opt/site"], ["first", "second", "other", "/opt/lib", "/opt/site", "last"]),
    ],
)
def test_changes_of_the_path_are_made_to_the_path_that_is_there(path: list[str], expected: list[str]) -> None:
    before = ["doc", "/usr/lib", "/usr/site"]
    after = ["first", "doc", "second", "/usr/lib", "last"]
    assert changed_alike(path, before, after) == expected


def test_a_builtin_that_cannot_be_saved_is_named_and_costs_the_others_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builtins, "holdfast_gen", None, raising=False)
    monkeypatch.setattr(builtins, "holdfast_list", None, raising=False)
    session = Session()
    snapshot = session.run(
        "import builtins; builtins.holdfast_gen = (lambda g: (next(g), g)[1])(i for i in '-'); builtins.holdfast_list = [1]"
    )
    assert [(lost.name, lost.type) for lost in snapshot.skipped] == [("builtins.holdfast_gen", "ambient state")]
    assert "builtins:holdfast_list" in members(session.store)
    assert not session.run("builtins.holdfast_gen = None").skipped


def test_what_a_session_that_ran_had_set_since_is_as_it_was_in_the_older_version(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOLDFAST_AGE", "young")
    session = Session()
    session.run("import os, sys, builtins")
    older = list(session.store.values())
    limit = sys.getrecursionlimit()
    session.run("os.environ['HOLDFAST_AGE'] = 'old'; sys.setrecursionlimit(4321); builtins.holdfast_test = 1")
    session.capture.restore(older, mode="replace")
    assert os.environ["HOLDFAST_AGE"] == "young"
    assert sys.getrecursionlimit() == limit
    assert not hasattr(builtins, "holdfast_test")


def test_arguments_that_are_changed_in_place_after_a_restore_are_saved() -> None:
    session = Session()
    session.run("import sys; sys.setrecursionlimit(sys.getrecursionlimit() + 1)")
    again = session.reborn()
    again.run("sys.argv.append('--more'); sys.setrecursionlimit(sys.getrecursionlimit() - 1)")
    del sys.argv[-1]
    assert again.reborn().value("sys.argv[-1]") == "--more"


def test_garbage_collection_that_was_turned_off_stays_off_however_large_the_session() -> None:
    session = Session()
    session.run("import gc; gc.disable()\nfor i in range(1100): globals()[f'v{i}'] = i")
    gc.enable()
    try:
        assert session.reborn().value("not gc.isenabled()")
    finally:
        gc.enable()


def test_moving_the_document_is_no_change_of_the_sessions(tmp_path: Path) -> None:
    sys.path.insert(0, "/old/folder")
    session = Session()
    session.run("import sys, os; sys.path.append('/own')")
    with session.capture.moving():
        sys.path[0], sys.argv[:] = "/new/folder", ["/new/folder/a.py"]
        os.chdir(tmp_path)
    session.run("print(end='')")
    assert members(session.store) <= {"sys.path", "random", "numpy.random"}
    sys.path[:] = ["/another/folder", "/lib"]
    assert session.reborn().value("sys.path") == ["/another/folder", "/lib", "/own"]


def test_a_state_waits_for_its_module_and_is_not_lost_meanwhile(tmp_path: Path) -> None:
    ((_, store, _),) = work(
        sys.executable, tmp_path, [(["import pandas as pd; pd.options.display.precision = 2; del pd"], [], None, False)]
    )
    waits = ["'pandas' not in __import__('sys').modules"]
    ((failed, again, _),) = work(sys.executable, tmp_path, [(["x = 1", "print(end='')"], waits, store, True)])
    assert not failed
    cells = ["import pandas as pd"]
    ((failed, _, _),) = work(sys.executable, tmp_path, [(cells, ["pd.options.display.precision == 2"], again, False)])
    assert not failed


DECLARED = """
import colorsys
from _holdfast_kernel.capture.ambient import ambient
def read(): return colorsys.holdfast_level
def write(value): setattr(colorsys, 'holdfast_level', value)
"""


def test_a_state_that_cannot_be_read_is_named_until_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session()
    snapshot = session.run(DECLARED + "ambient('level', read, write)")
    (lost,) = snapshot.skipped
    assert (lost.name, lost.type) == ("level", "ambient state")
    assert "holdfast_level" in lost.reason
    monkeypatch.setattr(colorsys, "holdfast_level", 7, raising=False)
    assert not session.run("print(end='')").skipped
    monkeypatch.setattr(colorsys, "holdfast_level", 8)
    session.reborn()
    assert colorsys.holdfast_level == 7  # type: ignore[attr-defined]


def test_a_state_is_declared_with_a_name_and_two_functions_and_is_kept_no_more_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(colorsys, "holdfast_level", 7, raising=False)
    session = Session()
    session.run(DECLARED + "ambient('level', read, write)")
    assert "state:level" in members(session.store)
    for arguments in (
        "'level', read, 3",
        "'level', read, None",
        "'a:b', read, write",
        "'', read, write",
        "4, read, write",
    ):
        with pytest.raises(TypeError):
            session.execute(f"ambient({arguments})", ok=False)
    session.run("ambient('level', None, None)")
    assert "state:level" not in members(session.store)


def test_figures_of_a_backend_that_the_session_chose_stay_open(tmp_path: Path) -> None:
    cells = [
        "import matplotlib; matplotlib.use('Agg')\nimport matplotlib.pyplot as plt",
        "plt.figure(4); plt.plot([1, 2]); held = plt.figure(7); ax = held.add_subplot(); plt.figure(4)",
        "plt.title('later')",
    ]
    checks = [
        "sorted(plt.get_fignums()) == [4, 7] and plt.gcf().number == 4 and plt.gca().get_title() == 'later'",
        "plt.figure(7) is held and plt.gca() is ax",
        "matplotlib.get_backend().lower() == 'agg'",
    ]
    ((failed, store, _),) = work(sys.executable, tmp_path, [(cells, checks, None, False)])
    assert not failed, failed
    ((failed, store, lost),) = work(sys.executable, tmp_path, [(["plt.figure(4)"], checks, store, False)])
    assert not failed, failed
    assert not lost


SETTINGS = {
    "xarray": (
        ["import xarray", "xarray.set_options(display_width=33, keep_attrs=True)"],
        ["[xarray.get_options()[name] for name in ('display_width', 'keep_attrs')] == [33, True]"],
    ),
    "dask": (
        ["import dask", "dask.config.set({'array.chunk-size': '1MiB', 'scheduler': 'sync', 'own.part': 4});"],
        ["[dask.config.get(name) for name in ('array.chunk-size', 'scheduler', 'own.part')] == ['1MiB', 'sync', 4]"],
    ),
    "plotly": (
        [
            "import plotly.io, plotly.graph_objects as go",
            "plotly.io.templates['mine'] = go.layout.Template(layout={'paper_bgcolor': 'red'})",
            "plotly.io.templates.default = 'plotly_dark+mine'; plotly.io.renderers.default = 'json'",
            "plotly.io.templates['mine'].layout.font.size = 7",
        ],
        [
            "(plotly.io.templates.default, plotly.io.renderers.default) == ('plotly_dark+mine', 'json')",
            "go.Figure().layout.template.layout.paper_bgcolor == 'red'",
            "plotly.io.templates['mine'].layout.font.size == 7",
        ],
    ),
}


@pytest.mark.parametrize("library", SETTINGS)
def test_settings_of_xarray_dask_and_plotly_come_back(library: str, tmp_path: Path) -> None:
    pytest.importorskip(library)
    cells, checks = SETTINGS[library]
    ((failed, store, _),) = work(sys.executable, tmp_path, [(cells, checks, None, False)])
    assert not failed, failed
    ((failed, store, lost),) = work(sys.executable, tmp_path, [(["unrelated = 1"], checks, store, False)])
    assert not failed, failed
    assert not lost


def test_environment_variables_that_look_like_secrets_are_left_out_if_that_is_wanted() -> None:
    session = Session()
    session.run("import os; os.environ['HOLDFAST_TOKEN'] = 'hidden-1'; os.environ['HOLDFAST_MODE'] = 'plain-1'")
    assert b"hidden-1" in b"".join(bytes(component.stream) for component in session.store.values())
    session.capture.choose(Limits(secrets=True))
    (lost,) = session.run("x = 1").skipped
    assert (lost.name, lost.type) == ("os.environ['HOLDFAST_TOKEN']", "ambient state")
    everything = b"".join(bytes(component.stream) for component in session.store.values())
    assert b"hidden-1" not in everything
    assert b"plain-1" in everything
    session.capture.choose(Limits())
    assert not session.run("x = 2").skipped
    for name in ("HOLDFAST_TOKEN", "HOLDFAST_MODE"):
        del os.environ[name]
