"""The way back: all of a version, or some names of it; what fails is named and costs only what needs it."""

from __future__ import annotations

import gc
import sys
import types
from collections.abc import Iterator
from importlib import metadata
from importlib.machinery import ModuleSpec

import pytest
from sessions import Session, copied

from holdfast.kernel.capture.session import SavedComponent


@pytest.fixture
def library() -> Iterator[types.ModuleType]:
    """An importable module with a class."""
    module = types.ModuleType("some_library")
    module.__spec__ = ModuleSpec("some_library", None)
    exec("class Thing:\n    pass\nThing.__module__ = 'some_library'", module.__dict__)
    sys.modules["some_library"] = module
    yield module
    sys.modules.pop("some_library", None)


def test_an_untouched_session_sends_nothing_after_a_restore() -> None:
    session = Session()
    session.run("a = [1]; b = [a]\ndef f(x=a): return x\nclass C:\n    def m(self): return f\nc = C()")
    reborn = session.reborn()
    snapshot = reborn.run("pass")
    assert not snapshot.changed
    assert not snapshot.removed


def test_one_changed_name_sends_only_its_component_after_a_restore() -> None:
    session = Session()
    session.run("a = [1]; b = [2]; c = {'a': a}\ndef f(): return b")
    reborn = session.reborn()
    snapshot = reborn.run("b.append(3)")
    assert snapshot.names_changed == ["b"]
    (component,) = snapshot.changed
    assert component.id in session.store


def test_component_and_definition_ids_stay_over_restores() -> None:
    session = Session()
    session.run("class C: pass\nx = [C()]")
    reborn = session.reborn()
    reborn.run("C.extra = 1; x.append(2)")
    assert reborn.store.keys() == session.store.keys()
    assert {c.members for c in reborn.store.values()} == {c.members for c in session.store.values()}


def test_replacing_makes_the_namespace_exactly_the_version() -> None:
    session = Session()
    session.run("a = 1; b = [2]")
    version = copied(session.store)
    session.run("a = 3; c = 4\ndel b")
    outcome = session.capture.restore(list(version.values()), mode="replace", names=None)
    assert outcome.restored == ["a", "b"]
    assert session.value("(a, b)") == (1, [2])
    assert "c" not in session.names
    assert session.names["__name__"] == "__main__"


def test_a_second_restore_over_living_objects_is_right() -> None:
    session = Session()
    session.run("class C:\n    def hi(self): return 1\nc = C()\ndef f(): return C")
    version = copied(session.store)
    old = session.names["C"]
    session.run("C.hi = lambda self: 2")
    for _ in range(2):
        session.capture.restore(list(copied(version).values()), mode="replace", names=None)
        assert session.value("c.hi()") == 1
        assert session.value("type(c) is C and f() is C")
        assert session.names["C"] is not old
        assert not session.run("pass").changed


def test_merging_brings_back_only_the_wanted_names() -> None:
    session = Session()
    session.run("a = [1]; b = [2]")
    version = copied(session.store)
    session.run("a = 'new a'; b = 'new b'; c = 3")
    outcome = session.capture.restore(list(version.values()), mode="merge", names=["a"])
    assert outcome.restored == ["a"]
    assert session.value("(a, b, c)") == ([1], "new b", 3)
    assert session.run("pass").names_changed == ["a"]


def test_what_shares_objects_with_the_wanted_names_stays_as_it_is() -> None:
    session = Session()
    session.run("a = [1]\nb = [a]\nc = a")
    version = copied(session.store)
    session.run("a.append(2)\ndel c")
    outcome = session.capture.restore(list(version.values()), mode="merge", names=["a"])
    assert outcome.restored == ["a"]
    assert (session.names["a"], session.names["b"], "c" in session.names) == ([1], [[1, 2]], False)
    assert session.run("pass").names_changed == ["a", "b"]
    again = session.reborn()
    assert (again.names["a"], again.names["b"], "c" in again.names) == ([1], [[1, 2]], False)


def test_a_merged_instance_belongs_to_the_living_class() -> None:
    session = Session()
    session.run("class C: pass\nc = C(); c.v = 1")
    version = copied(session.store)
    session.run("c.v = 2; other = C(); C.more = 5")
    session.capture.restore(list(version.values()), mode="merge", names=["c"])
    assert session.value("type(c) is C and isinstance(other, C) and c.v == 1 and c.more == 5")


def test_a_definition_asked_for_by_name_comes_back_as_it_was() -> None:
    session = Session()
    session.run("def f(): return 1")
    version = copied(session.store)
    session.run("f.note = 'changed'")
    session.capture.restore(list(version.values()), mode="merge", names=["f"])
    assert session.value("f() == 1 and not f.__dict__")


def test_a_lazy_load_of_the_newest_version_owes_nothing() -> None:
    session = Session()
    session.run("a = [1]; b = [2]")
    empty = Session()
    outcome = empty.capture.restore(list(copied(session.store).values()), mode="merge", names=["a"], owed=False)
    assert outcome.restored == ["a"]
    assert "b" not in empty.names
    assert not empty.run("pass").changed


def test_a_component_that_fails_is_named_and_the_others_come_back(library: types.ModuleType) -> None:
    session = Session()
    session.run("import some_library\nx = some_library.Thing(); y = [1]; z = [x]")
    del sys.modules["some_library"]
    reborn = session.reborn()
    assert reborn.outcome is not None
    assert {lost.name for lost in reborn.outcome.failed} == {"some_library", "x", "z"}
    assert all("some_library" in lost.reason and "install" in lost.remedy for lost in reborn.outcome.failed)
    assert reborn.value("y") == [1]


def test_what_could_not_be_loaded_stays_in_the_store(library: types.ModuleType) -> None:
    session = Session()
    session.run("import some_library\nx = some_library.Thing(); y = [1]")
    stored = set(session.store)
    del sys.modules["some_library"]
    reborn = session.reborn()
    reborn.run("y.append(2)")
    reborn.save(full=True)
    assert {lost.name for lost in reborn.save().skipped} == {"some_library", "x"}
    assert stored <= set(reborn.store)
    sys.modules["some_library"] = library
    again = reborn.reborn()
    assert again.value("type(x) is some_library.Thing and y == [1, 2]")


def test_a_name_bound_anew_replaces_what_could_not_be_loaded(library: types.ModuleType) -> None:
    session = Session()
    session.run("import some_library\nx = some_library.Thing()")
    del sys.modules["some_library"]
    reborn = session.reborn()
    snapshot = reborn.run("x = 1")
    assert snapshot.names_changed == ["x"]
    assert {lost.name for lost in snapshot.skipped} == {"some_library"}


def test_a_definition_that_fails_takes_along_only_what_points_to_it() -> None:
    session = Session()
    session.run("def f(): return 1\nclass C: pass\nc = C(); g = [f]; n = 1")
    broken = {
        key: SavedComponent(c.id, c.members, c.fingerprint, b"\x80\x05broken", c.buffers)
        if any(m.startswith("\0d") and b"make_class" in c.stream for m in c.members)
        else c
        for key, c in session.store.items()
    }
    reborn = Session(broken)
    assert reborn.outcome is not None
    assert {lost.name for lost in reborn.outcome.failed} == {"C", "c"}
    assert reborn.value("g[0]() == 1 and g[0] is f and n == 1")


def test_code_that_runs_while_objects_are_made_may_use_variables_of_the_session() -> None:
    session = Session()
    session.run(
        "class A:\n    def __getstate__(self): return 1\n    def __setstate__(self, s): self.v = zeta(s)\n"
        "a = A(); a.v = 0\ndef zeta(s): return s + omega\nomega = 10"
    )
    reborn = session.reborn()
    assert reborn.outcome is not None
    assert not reborn.outcome.failed
    assert reborn.value("a.v") == 11


def test_init_subclass_and_set_name_do_not_run_again() -> None:
    session = Session()
    session.run(
        "calls = []\nclass D:\n    def __set_name__(self, o, n): calls.append(n)\n"
        "class Base:\n    def __init_subclass__(cls): calls.append(cls.__name__)\nclass Sub(Base):\n    d = D()"
    )
    reborn = session.reborn()
    assert reborn.value("calls") == ["d", "Sub"]
    reborn.run("class Later(Base): pass")
    assert reborn.value("calls") == ["d", "Sub", "Later"]


def test_small_arrays_do_not_keep_a_received_frame() -> None:
    import numpy as np

    session = Session()
    session.run("import numpy as np\nsmall = np.arange(1000.); large = np.arange(100_000.)")
    reborn = session.reborn()
    assert reborn.names["small"].flags.owndata
    assert not reborn.names["large"].flags.owndata
    assert np.array_equal(reborn.names["large"], session.names["large"])
    reborn.run("view = large[5:]; large[7] = -1")
    again = reborn.reborn()
    assert again.value("np.shares_memory(view, large) and view[2] == -1")
    assert all(len(c.stream) < 2000 for c in reborn.store.values())


def test_the_working_directory_comes_back(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    session = Session()
    session.run(f"import os; os.chdir({str(tmp_path)!r})")
    monkeypatch.chdir("/")
    reborn = session.reborn()
    assert reborn.value("os.getcwd()") == str(tmp_path)


def test_ambient_state_is_sent_only_when_it_changed() -> None:
    session = Session()
    session.run("import random; random.seed(1)")
    count = len(session.store)
    assert not session.run("print(end='')").changed
    assert len(session.run("random.random()").changed) == 1
    assert len(session.store) == count


def test_the_environment_names_the_distributions_that_pickles_need() -> None:
    import numpy as np

    session = Session()
    assert session.run("x = 1").environment["packages"] == {}
    snapshot = session.run("import numpy as np; a = np.zeros(3)")
    assert snapshot.environment["packages"]["numpy"] == np.__version__
    assert snapshot.environment["python"] == ".".join(map(str, sys.version_info[:3]))


def test_the_environment_names_distributions_that_are_called_otherwise_than_their_modules() -> None:
    session = Session()
    packages = session.run("import attr; x = attr.Factory(list)").environment["packages"]
    assert packages["attrs"] == metadata.version("attrs")
    assert "attr" not in packages


def test_a_package_comes_back_with_the_submodules_that_were_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session()
    session.run("import wsgiref")
    session.run("import wsgiref.headers")
    reborn = session.reborn
    for name in ("wsgiref", "wsgiref.headers"):
        monkeypatch.delitem(sys.modules, name)
    first = reborn()
    assert first.value("wsgiref.headers.Headers")
    assert not first.run("wsgiref").changed
    for name in ("wsgiref", "wsgiref.headers"):
        monkeypatch.delitem(sys.modules, name)
    first.run("globals()")
    assert first.reborn().value("wsgiref.headers.Headers")


def test_a_version_string_is_a_variable_like_others() -> None:
    session = Session()
    assert session.run("__version__ = '1.2'\n__all__ = ['f']\ndef f(): return __version__").names_changed == [
        "__all__",
        "__version__",
        "f",
    ]
    assert session.reborn().value("f() == '1.2'")


def test_a_class_of_no_module_comes_back_as_one() -> None:
    session = Session()
    session.run("C = type('C', (), {'__module__': None})\nc = C()")
    assert session.reborn().value("C.__module__ is None and type(c) is C")


def test_a_new_type_comes_back_as_one_object() -> None:
    session = Session()
    session.run("import typing\nUser = typing.NewType('User', int); again = [User]\ndef f(u: User): return u")
    reborn = session.reborn()
    assert reborn.outcome is not None
    assert not reborn.outcome.failed
    assert reborn.value("User(3) == 3 and again[0] is User and User.__supertype__ is int and User.__name__ == 'User'")


def _loading_makes(library: types.ModuleType, made: list[object]) -> Session:
    library.__dict__["Thing"].__setstate__ = lambda self, state: made.extend([] for _ in range(100_000))
    session = Session()
    session.run("import some_library; thing = some_library.Thing(); thing.x = 1")
    return session


def test_what_a_restore_makes_is_not_searched_for_garbage_meanwhile_nor_right_afterwards(
    library: types.ModuleType,
) -> None:
    made: list[object] = []
    session = _loading_makes(library, made)
    searches: list[object] = []
    gc.callbacks.append(lambda phase, info: searches.append(phase))
    try:
        session.reborn()
        assert len(made) == 100_000
        assert not searches
        assert gc.get_count()[0] < len(made)
        assert gc.isenabled()
    finally:
        gc.callbacks.pop()


def test_what_the_user_has_frozen_stays_frozen_over_a_restore(library: types.ModuleType) -> None:
    made: list[object] = []
    session = _loading_makes(library, made)
    gc.freeze()
    try:
        frozen = gc.get_freeze_count()
        session.reborn()
        assert len(made) == 100_000
        assert 0.9 * frozen < gc.get_freeze_count() < frozen + len(made)
    finally:
        gc.unfreeze()
