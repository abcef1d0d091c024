"""What bringing a file back comes down to, for any story of runs and other hands."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from holdfast.files.plan import UNKNOWN, Step, aim

CONTENTS = st.sampled_from(["", "a", "b", "c"])


@given(st.lists(CONTENTS, min_size=2, max_size=6))
def test_what_only_runs_wrote_comes_back(story: list[str]) -> None:
    steps = [Step(after, before, 1) for before, after in reversed(list(pairwise(story)))]
    found = aim(steps, story[-1])
    assert (found.desired if found else story[-1]) == story[0]


@given(st.lists(st.tuples(CONTENTS, CONTENTS), min_size=1, max_size=5), CONTENTS)
def test_what_another_hand_wrote_is_never_taken_for_what_a_run_left(runs: list[tuple[str, str]], current: str) -> None:
    steps = [Step(after, before, 1) for before, after in reversed(runs)]
    found = aim(steps, current)
    if found is not None and found.desired != current:
        assert current in {step.expected for step in steps}
        assert found.desired in {step.desired for step in steps}
        assert found.source is not None


@given(st.lists(CONTENTS, min_size=1, max_size=4))
def test_what_was_not_kept_is_said(story: list[str]) -> None:
    found = aim([Step(story[-1], UNKNOWN, None)], story[-1])
    assert found is not None
    assert found.desired == story[-1]
    assert "not kept" in str(found.reason)
