"""What users choose not to keep is left out, named with the rule, and nothing else is touched."""

from __future__ import annotations

import pytest
from _holdfast_kernel.capture.choice import Limits, looks_secret  # type: ignore[import-not-found]
from sessions import Session


def choosing(**limits: object) -> Session:
    """Return a session with these settings."""
    session = Session()
    session.capture.choose(Limits(**limits))
    return session


def reasons(session: Session, code: str) -> dict[str, str]:
    """Run a cell and return why which variable is not saved."""
    return {lost.name: lost.reason for lost in session.run(code).skipped}


def test_skip_persist_leaves_out_what_it_names_and_what_matches() -> None:
    session = Session()
    why = reasons(session, "__skip_persist__ = ['big', '*_tmp']\nbig = [1]; a_tmp = 2; kept = 3")
    assert why == {
        "big": "left out: named in __skip_persist__",
        "a_tmp": "left out: matches the pattern *_tmp of __skip_persist__",
    }
    assert set(session.reborn().names) >= {"kept", "__skip_persist__"}
    assert not {"big", "a_tmp"} & set(session.reborn().names)


def test_persist_keeps_only_what_it_names() -> None:
    session = Session()
    why = reasons(
        session, "import json\n__persist__ = ['a', 'b*']\na = 1; b1 = 2; c = 3\ndef f(): return json\nclass C: pass"
    )
    assert set(why) == {"c", "f", "C"}
    assert why["c"] == "left out: __persist__ does not name it"
    reborn = session.reborn()
    assert reborn.value("a, b1, __persist__, json.dumps(1)") == (1, 2, ["a", "b*"], "1")
    assert not {"c", "f", "C"} & set(reborn.names)


def test_a_class_that_is_left_out_is_still_there_for_its_instances() -> None:
    session = Session()
    reasons(session, "__skip_persist__ = ['C']\nclass C:\n    x = 5\nkept = C()")
    assert session.reborn().value("kept.x, 'C' in globals()") == (5, False)


def test_a_variable_left_out_later_is_removed_from_the_store() -> None:
    session = Session()
    session.run("a = [1]; b = [a]; c = 3")
    snapshot = session.run("__skip_persist__ = {'a'}")
    assert snapshot.names_removed == ["a"]
    reborn = session.reborn()
    assert "a" not in reborn.names
    assert reborn.value("b, c") == ([[1]], 3)


def test_a_variable_comes_back_in_when_the_rule_goes() -> None:
    session = Session()
    session.run("__skip_persist__ = ['a']\na = [1]; b = a")
    assert reasons(session, "__skip_persist__.remove('a')") == {}
    assert session.reborn().value("a is b") is True
    session.run("__persist__ = ['b']")
    assert reasons(session, "del __persist__") == {}
    assert session.reborn().value("a is b") is True


def test_rules_hold_after_a_restore_without_saving_everything_again() -> None:
    session = Session()
    session.run("__skip_persist__ = ['*_tmp']\na = [1]")
    reborn = session.reborn()
    snapshot = reborn.run("x_tmp = 1")
    assert [lost.name for lost in snapshot.skipped] == ["x_tmp"]
    assert snapshot.names_changed == []
    assert len(snapshot.changed) == 0


def test_a_setting_that_leaves_out_what_was_saved_removes_it_after_a_restore() -> None:
    session = Session()
    session.run("a_tmp = [1]; b = 2")
    reborn = Session({})
    reborn.capture.choose(Limits(patterns=("*_tmp",)))
    reborn.capture.restore(list(session.store.values()), mode="replace")
    reborn.store = dict(session.store)
    snapshot = reborn.run("c = 3")
    assert snapshot.names_removed == ["a_tmp"]
    assert [lost.name for lost in snapshot.skipped] == ["a_tmp"]
    assert reborn.value("a_tmp") == [1]


def test_a_list_of_names_that_is_none_is_told_and_not_followed() -> None:
    session = Session()
    why = reasons(session, "__skip_persist__ = 3\n__persist__ = [1]\na = 1")
    assert set(why) == {"__skip_persist__", "__persist__"}
    assert session.reborn().value("a") == 1
    assert reasons(session, "__skip_persist__ = 'a'; del __persist__") == {"a": "left out: named in __skip_persist__"}


def test_the_settings_patterns_are_followed() -> None:
    why = reasons(choosing(patterns=("*_tmp", "scratch")), "a_tmp = 1; scratch = 2; b = 3")
    assert set(why) == {"a_tmp", "scratch"}
    assert "the setting holdfast.skipPatterns" in why["scratch"]


SECRETS = ["password", "DB_PASSWORD", "dbPassword", "api_key", "API_KEY", "apiKey", "apikey", "github_token", "token2",
           "client_secret", "aws_credentials", "private_key", "MY_PWD"]  # fmt: skip
ORDINARY = ["tokenizer", "tokenized", "secretary", "key", "keys", "primary_key", "passwordless", "keyboard", "n"]


@pytest.mark.parametrize("name", SECRETS)
def test_names_of_secrets_are_recognised(name: str) -> None:
    assert looks_secret(name)


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_names_are_no_secrets(name: str) -> None:
    assert not looks_secret(name)


def test_secrets_are_left_out_only_when_asked_for_and_only_text() -> None:
    code = "password = 'x'; api_key = b'y'; tokens = [1, 2]; other = 'z'"
    assert reasons(Session(), code) == {}
    assert set(reasons(choosing(secrets=True), code)) == {"password", "api_key"}


def test_what_is_too_large_is_left_out_and_costs_the_others_nothing() -> None:
    session = choosing(max_bytes=10_000)
    why = reasons(session, "big = list(range(100_000)); small = [1]; text = 'x' * 20_000")
    assert set(why) == {"big", "text"}
    assert "it takes" in why["big"] and "holdfast.maxVariableBytes is 10 KB" in why["big"]
    assert session.reborn().value("small") == [1]
    assert reasons(session, "big[:] = [1]") == {"text": why["text"]}
    assert session.reborn().value("big") == [1]


def test_variables_that_share_something_large_are_judged_one_by_one() -> None:
    session = choosing(max_bytes=10_000)
    code = "inner = [1]\nlarge = [inner, *range(50_000)]\nsmall = [inner]"
    assert set(reasons(session, code)) == {"large"}
    assert session.reborn().value("small[0] is inner") is True


def test_the_size_of_an_array_or_frame_is_known_without_pickling_it() -> None:
    session = choosing(max_bytes=10_000)
    session.run("import numpy, pandas")
    code = """
class Loud(numpy.ndarray):
    def __reduce_ex__(self, protocol):
        raise SystemError("it was pickled")
array = numpy.zeros(5_000)
loud = numpy.zeros(5_000).view(Loud).copy()
frame = pandas.DataFrame({"x": array})
few = numpy.zeros(10)
"""
    why = reasons(session, code)
    assert set(why) == {"array", "frame", "loud"}
    assert all("left out: it takes" in reason for reason in why.values()), why
    assert len(session.reborn().value("few")) == 10


def test_a_change_through_a_variable_that_is_left_out_is_seen() -> None:
    session = Session()
    session.run("__skip_persist__ = ['a']\ninner = [1]\na = {'inner': inner}")
    assert session.run("a['inner'].append(2)").names_changed == ["inner"]
    assert session.reborn().value("inner") == [1, 2]
