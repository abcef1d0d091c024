"""When which run was under way."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass

REMEMBERED = 60_000_000_000
"""Nanoseconds for which a run that is over is remembered: events of the file system come late, but not so late."""


@dataclass(slots=True)
class Span:
    """A run, and when it was under way (nanoseconds since the epoch).

    Attributes:
        version: what memory stood on when it began.
    """

    run_id: str
    document: str
    code: str
    count: int
    version: int | None
    began: int
    ended: int | None = None

    def end(self) -> None:
        """It is over."""
        self.ended = time.time_ns()


class Spans:
    """The runs under way and those of the last minute, in the order in which they began."""

    def __init__(self) -> None:
        self._spans: deque[Span] = deque()

    def begin(self, run_id: str, document: str, code: str, count: int, version: int | None) -> Span:
        """A run begins."""
        now = time.time_ns()
        span = Span(run_id, document, code, count, version, now)
        spans = self._spans
        spans.append(span)
        while (ended := spans[0].ended) is not None and now - ended > REMEMBERED:
            spans.popleft()
        return span

    def under_way(self) -> list[Span]:
        """Return the runs that are not over."""
        return [span for span in self._spans if span.ended is None]

    def beside(self, span: Span) -> bool:
        """Whether runs of other documents were under way at some time of a run."""
        return any(
            other is not span
            and other.document != span.document
            and (other.ended is None or other.ended >= span.began)
            and (span.ended is None or other.began <= span.ended)
            for other in self._spans
        )

    def within(self, seconds: float) -> bool:
        """Whether a run is under way, or was some seconds ago."""
        last = self._spans[-1] if self._spans else None
        if last is None:
            return False
        earliest = time.time_ns() - int(seconds * 1e9)
        return any(span.ended is None or span.ended >= earliest for span in reversed(self._spans))

    def begun_within(self, earliest: int, latest: int) -> Span | None:
        """Return the run that began first in an interval (nanoseconds)."""
        return next((span for span in self._spans if earliest <= span.began <= latest), None)

    def at(self, earliest: int, latest: int) -> Span | None:
        """Return the run that began last of those that were under way at some time of an interval (nanoseconds)."""
        for span in reversed(self._spans):
            if span.began <= latest and (span.ended is None or span.ended >= earliest):
                return span
        return None
