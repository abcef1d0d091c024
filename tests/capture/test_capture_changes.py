"""Only what a run can have changed is looked at, and only what did change is sent."""

from __future__ import annotations

import gc
import warnings

import pytest
from sessions import Session


def test_what_did_not_change_is_not_sent() -> None:
    session = Session()
    session.run("a = [1]; b = [2]")
    assert not session.run("a; b").changed
    assert session.run("a.append(1)").names_changed == ["a"]


def test_a_rebound_name_is_sent_and_a_deleted_one_is_removed() -> None:
    session = Session()
    (component,) = session.run("a = [1]").changed
    assert session.run("a = 2").names_changed == ["a"]
    snapshot = session.run("del a")
    assert snapshot.removed == [component.id]
    assert snapshot.names_removed == ["a"]


def test_an_alias_is_sent_when_only_the_other_name_was_used() -> None:
    session = Session()
    session.run("a = []; b = {'a': a}")
    assert set(session.run("b['a'].append(1)").names_changed) == {"a", "b"}


def test_a_function_called_touches_the_globals_it_names() -> None:
    session = Session()
    session.run("log = []\ndef inner(): log.append(1)\ndef outer(): inner()")
    assert session.run("outer()").names_changed == ["log"]


def test_a_method_called_touches_the_globals_it_names() -> None:
    session = Session()
    session.run("log = []\nclass C:\n    def m(self): log.append(self)\nc = C()")
    assert set(session.run("c.m()").names_changed) == {"c", "log"}


def test_an_instance_used_touches_its_class() -> None:
    session = Session()
    session.run("class C:\n    made = []\n    def __init__(self): self.made.append(1)\nc = C()")
    session.run("type(c).made.append(2)")
    assert session.reborn().value("C.made") == [1, 2]


def test_a_function_held_in_a_list_touches_what_it_names() -> None:
    session = Session()
    session.run("n = 0\ndef f():\n    global n\n    n += 1")
    session.run("held = [f]\ndel f")
    assert session.run("held[0]()").names_changed == ["n"]


def test_a_function_that_reaches_any_name_touches_every_name() -> None:
    session = Session()
    session.run("a = 1\ndef f(): globals()['a'] = 2")
    assert session.run("f()").names_changed == ["a"]


def test_a_failed_run_is_owed_to_the_next_capture() -> None:
    session = Session()
    session.run("a = [1]")
    with pytest.raises(ZeroDivisionError):
        session.execute("a.append(2); b = 5; 1 / 0", ok=False)
    assert set(session.run("c = 1").names_changed) == {"a", "b", "c"}
    assert session.reborn().value("a") == [1, 2]


def test_a_run_without_a_capture_is_owed() -> None:
    session = Session()
    session.execute("a = 1")
    session.execute("b = 2")
    assert set(session.save().names_changed) == {"a", "b"}


def test_a_rejected_snapshot_is_owed_again() -> None:
    session = Session()
    session.run("gone = [1]; kept = [2]")
    session.execute("kept.append(3)\ndel gone")
    snapshot = session.save(commit=False)
    session.capture.rejected(snapshot.seq)
    again = session.save()
    assert again.names_changed == ["kept"]
    assert again.removed == snapshot.removed
    assert again.names_removed == ["gone"]


def test_a_capture_that_fails_for_a_fault_of_ours_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session()
    session.run("import random; random.seed(3)\na = [1]; b = [a]; gone = 1\ndef f(): return a")
    with monkeypatch.context() as broken:
        broken.setattr("holdfast.kernel.capture.pages.blake2b", None)
        session.execute("a.append(2)\ndel gone")
        with pytest.raises(TypeError):
            session.save()
    snapshot = session.save()
    assert snapshot.names_removed == ["gone"]
    reborn = session.reborn()
    assert reborn.value("b[0] is f() is a and a == [1, 2]")
    assert "gone" not in reborn.names


def test_a_variable_is_saving_until_the_store_has_it() -> None:
    session = Session()
    session.execute("a = 1")
    assert session.capture.saved_state("a") == "skipped"
    snapshot = session.save(commit=False)
    assert session.capture.saved_state("a") == "saving"
    session.capture.committed(snapshot.seq)
    assert session.capture.saved_state("a") == "saved"
    session.run("g = (lambda g: (next(g), g)[1])(i for i in '-')")
    assert session.capture.saved_state("g") == "skipped"


def test_a_full_snapshot_has_every_component() -> None:
    session = Session()
    session.run("a = [1]; b = [2]\ndef f(): return a")
    full = session.save(full=True)
    assert full.full
    assert {name for component in full.changed for name in component.names} == {"a", "b", "f"}
    assert session.reborn().value("f() is a")


def test_names_that_come_without_being_named_are_noticed() -> None:
    session = Session()
    session.run("a = 1")
    session.names["injected"] = [1]
    assert session.run("b = 2").names_changed == ["b", "injected"]


def test_a_thread_that_runs_beside_the_cells_touches_every_name() -> None:
    session = Session()
    session.run(
        "import threading\nstop = threading.Event(); step = threading.Event(); told = threading.Event(); box = []"
    )
    session.execute(
        "def work():\n    step.wait(); box.append(1); told.set(); stop.wait()\n"
        "t = threading.Thread(target=work); t.start()"
    )
    session.save()
    session.names["step"].set()
    session.names["told"].wait()
    assert "box" in session.run("other = len('x')").names_changed
    session.names["stop"].set()
    session.names["t"].join()


def test_the_estimate_follows_what_pickling_took_before() -> None:
    session = Session()
    session.run("small = 1; large = [str(i) for i in range(50_000)]")
    session.execute("small = 2")
    little = session.capture.expected_seconds()
    session.execute("large.append(1)")
    assert session.capture.expected_seconds() > little
    session.save()
    assert session.capture.expected_seconds() == 0


def test_capturing_does_not_disturb_the_random_generator() -> None:
    session = Session()
    session.run("import random; random.seed(3); first = random.random()")
    session.run("random.seed(3); second = [random.random()]")
    session.save(full=True)
    assert session.value("second[0] == first")
    assert session.value("random.random()") == session.value("(random.seed(3), random.random(), random.random())[2]")


def test_what_a_run_without_a_save_touched_is_called_saved_only_if_it_is_still_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # However slow the machine is now.
    monkeypatch.setattr("_holdfast_kernel.capture.captures.SECONDS_TO_COMPARE", 60.0)
    session = Session()
    session.run("read = [1]; changed = [2]; bound = 3; held = [4]\ndef f(): held.append(5)")
    session.execute("new = len(read); changed.append(3); bound = 4; f()")
    session.capture.compare()
    states = {name: session.capture.saved_state(name) for name in ("read", "changed", "bound", "held", "f", "new")}
    assert states == {
        "read": "saved",
        "changed": "skipped",
        "bound": "skipped",
        "held": "skipped",
        "f": "saved",
        "new": "skipped",
    }
    session.save()
    assert {session.capture.saved_state(name) for name in states} == {"saved"}


def test_a_class_that_is_in_no_module_hinders_nothing() -> None:
    session = Session()
    session.execute("C = type('C', (), {'__module__': None})\nc = C()\na = 1")
    assert session.capture.expected_seconds() >= 0
    assert "a" in session.save().names_changed


def test_saving_gives_no_warning_that_only_looking_at_an_array_gives() -> None:
    session = Session()
    session.execute("import numpy; wide, high = numpy.broadcast_arrays([1, 2, 3], [[1], [2]])")
    gc.collect()  # what other tests left behind may warn when it goes
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gc.disable()
        try:
            session.save()
        finally:
            gc.enable()
    assert session.reborn().value("wide.tolist(), high.tolist()") == session.value("wide.tolist(), high.tolist()")
