"""The names of the files that runs wrote, from what the file system reports; what was in them is not looked at."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from .contents import Wrote
from .rules import Rules, stat_of
from .spans import Span, Spans

SETTLE = 0.3
"""Seconds after an event until the files are looked at."""
LATE = 0.8
"""Seconds that an event mostly comes late: watchdog holds half of a rename back for half a second."""
LATEST = 10.0
"""Seconds that one may come late on a busy machine."""
COARSE = 20_000_000
"""Nanoseconds by which a file's times may lag behind the clock."""
MOST = 1000
"""Names noted at a time."""


class Noting:
    """Finds out which run a touched file belongs to.

    Args:
        folder: the workspace.
        spans: the runs.
        rules: which files count.
        is_document: whether a file is one that people have open or run: those are written by them.
        note: called with what each run wrote.
    """

    def __init__(
        self,
        folder: Path,
        spans: Spans,
        rules: Rules,
        is_document: Callable[[str], bool],
        note: Callable[[Span, Wrote], None],
    ) -> None:
        self._folder = folder
        self._spans = spans
        self._rules = rules
        self._is_document = is_document
        self._note = note
        self._touched: dict[Path, int] = {}
        self._new: set[Path] = set()
        self._look: asyncio.TimerHandle | None = None

    def touched(self, path: Path, *, new: bool) -> None:
        """The file system reports that a file was written, appeared, or is gone."""
        if len(self._touched) >= MOST or not self._spans.within(LATEST):
            return
        self._touched[path] = time.time_ns()
        if new:
            self._new.add(path)
        if self._look is None:
            self._look = asyncio.get_running_loop().call_later(SETTLE, self.work)

    def work(self) -> None:
        """Look at what was touched."""
        if self._look is not None:
            self._look.cancel()
            self._look = None
        touched, self._touched = self._touched, {}
        new, self._new = self._new, set()
        found: dict[str, tuple[Span, Wrote]] = {}
        for path, when in touched.items():
            try:
                name = path.relative_to(self._folder).as_posix()
            except ValueError:
                continue
            try:
                stat = stat_of(path.lstat())
            except OSError:
                kind = "deleted"
                span = self._deleted_by(path, when)
            else:
                kind = "created" if path in new else "changed"
                written = max(stat.modified, stat.changed)
                span = self._span_of(written)
            if span is None or (kind == "deleted" and path in new):
                continue
            if self._is_document(name) or self._rules.ignores(name):
                continue
            getattr(found.setdefault(span.run_id, (span, Wrote()))[1], kind).append(name)
        for span, wrote in found.values():
            self._note(span, wrote)

    def _span_of(self, moment: int) -> Span | None:
        # A file's times come from a clock that stands still for some milliseconds.
        return self._spans.at(moment, moment) or self._spans.begun_within(moment, moment + COARSE)

    def _deleted_by(self, path: Path, when: int) -> Span | None:
        try:
            folder = path.parent.stat().st_mtime_ns
        except OSError:
            folder = when
        # What happened last in its folder is most often that.
        if when - int(LATEST * 1e9) <= folder <= when:
            span = self._span_of(folder)
            if span is not None:
                return span
        return self._spans.at(when - int(LATE * 1e9), when)
