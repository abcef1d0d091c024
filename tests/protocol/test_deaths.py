"""What is told of a kernel that died."""

from __future__ import annotations

from holdfast.runtimes import death


def test_a_crash_report_shows_the_frames_of_the_user_alone() -> None:
    own = f'  File "{death.Path(death.__file__).parents[1]}/kernel/loop.py", line 9 in serve'
    report = (
        "Fatal Python error: Segmentation fault\n\n"
        f"Thread 0x00007f17 (most recent call first):\n{own}\n\n"
        'Current thread 0x00007f18 (most recent call first):\n  File "a.py", line 2 in f\n  File "a.py", line 2 in f\n'
        f'  File "a.py", line 4 in <module>\n{own}\n{own}\n'
    )
    assert death.without_own_frames(report).rstrip() == (
        "Fatal Python error: Segmentation fault\n\n"
        "Current thread (most recent call first):\n"
        '  File "a.py", line 2 in f (2 times)\n'
        '  File "a.py", line 4 in <module>'
    )
