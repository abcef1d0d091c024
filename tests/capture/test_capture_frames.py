"""pandas: frames that have nothing to do with each other stay apart, and copy-on-write survives."""

from __future__ import annotations

import pytest
from sessions import Session

pytest.importorskip("pandas", minversion="3")

FRAME = """import pandas as pd
hours = pd.date_range("2024-01-01", periods=200, freq="h")
frame = pd.DataFrame({"n": range(200), "s": list("abcd") * 50}, index=hours)
del hours
"""


def test_looking_at_a_frame_does_not_change_it() -> None:
    session = Session()
    session.run(FRAME)
    snapshot = session.run(
        "days = frame.resample('D').sum(numeric_only=True)\nmeans = frame.groupby('s').n.mean()\n"
        "frame.describe(); frame.index.is_monotonic_increasing; str(frame)"
    )
    assert snapshot.names_changed == ["days", "means"]


def test_frames_that_share_nothing_are_saved_apart() -> None:
    session = Session()
    session.run("import pandas as pd\na = pd.DataFrame({'x': [1]}); b = pd.DataFrame({'y': [2.5]})\nc = pd.Series([1])")
    assert session.run("a.loc[0, 'x'] = 5").names_changed == ["a"]
    assert session.reborn().run("b.loc[0, 'y'] = 5").names_changed == ["b"]


def test_an_untouched_frame_is_the_same_after_a_restore() -> None:
    session = Session()
    session.run(FRAME + "column = frame['n']; pair = [frame, frame.index]")
    reborn = session.reborn()
    assert reborn.run("frame.sum(numeric_only=True); column.sum(); len(pair)").names_changed == []


@pytest.mark.parametrize(
    ("made", "changed", "kept"),
    [
        ("frame['n']", "frame.loc[frame.index[0], 'n'] = 999", "other.iloc[0] == 0"),
        ("frame[['n']]", "other.iloc[0, 0] = 999", "frame['n'].iloc[0] == 0"),
        ("frame.copy(deep=False)", "other.iloc[0, 0] = 999", "frame.iloc[0, 0] == 0"),
        ("frame.iloc[:10]", "frame.iloc[0, 0] = 999", "other.iloc[0, 0] == 0"),
        ("frame.set_index('n')", "frame.iloc[0, 0] = 999", "other.index[0] == 0"),
        ("frame.reset_index(drop=True).rename(columns=str.upper)", "other.iloc[0, 0] = 9", "frame.iloc[0, 0] == 0"),
    ],
)
def test_a_copy_that_is_made_on_writing_is_made_after_a_restore_too(made: str, changed: str, kept: str) -> None:
    session = Session()
    session.run(FRAME + f"other = {made}")
    reborn = session.reborn()
    reborn.run(changed)
    assert reborn.value(kept)
    assert reborn.reborn().value(kept)
