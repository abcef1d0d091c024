"""What went wrong in a cell, as nbformat and an editor want it: the user's frames only, with the lines that ran."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterator
from itertools import islice
from types import CodeType, TracebackType
from typing import Any, Protocol

from .interrupts import HERE
from .sources import Sources
from .text import clean, type_name

MAX_FRAMES = 60
"""Longer tracebacks lose their middle."""
MAX_DEPTH = 3000
"""Frames looked at; a program that raised the recursion limit to a million would take a minute to format."""
MAX_TEXT = 100_000
_GAP = "\0"


class Source(Protocol):
    """What a piece of code was compiled from."""

    def line(self, number: int) -> str | None:
        """Return line `number` (from 1) of the file."""


SourceOf = Callable[[CodeType], Source | None]


def describe_error(
    error: BaseException, filename: str, sources: Sources, source_of: SourceOf | None = None
) -> dict[str, Any]:
    """Return ename, evalue, traceback (list of strings) and, where known, line and column in `filename`, from 0.

    Args:
        source_of: the source of code of which it is known; by now other cells may lie over its lines of the file.
    """
    sources.restore()
    line, column = _position(error, filename)
    described: dict[str, Any] = {
        "ename": clean(type_name(error)),
        "evalue": _shorten(_message(error)),
        "traceback": _format(error, source_of),
    }
    if line is not None:
        described["line"] = line
    if column is not None:
        described["column"] = column
    return described


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - runs the user's __str__
        return "<exception str() failed>"


def _format(error: BaseException, source_of: SourceOf | None) -> list[str]:
    try:
        depth = sum(1 for _ in _walk(error.__traceback__))
        whole = traceback.TracebackException(
            type(error), error, error.__traceback__, limit=-MAX_FRAMES if depth > MAX_DEPTH else None
        )
        if source_of is not None:
            for origin, part in _pairs(error, whole):
                _show_own_lines(origin, part, source_of)
        for part in _chain(whole, set()):
            _keep_user_frames(part, depth if part is whole and depth > MAX_DEPTH else 0)
        return [_shorten(_gap(entry.rstrip("\n"))) for entry in whole.format()]
    except Exception as trouble:  # noqa: BLE001 - the exception's own attributes may be broken in any way
        return [
            f"{type_name(error)}: {_shorten(_message(error))}",
            f"(its traceback can't be shown: {type_name(trouble)} while formatting it)",
        ]


def _chain(part: traceback.TracebackException | None, seen: set[int]) -> Iterator[traceback.TracebackException]:
    """Yield an exception, its causes and contexts, and the members of groups among them."""
    waiting = [part]
    while waiting:
        part = waiting.pop()
        if part is not None and id(part) not in seen:
            seen.add(id(part))
            yield part
            waiting += [part.__cause__, part.__context__, *(getattr(part, "exceptions", None) or ())]


def _pairs(
    error: BaseException, part: traceback.TracebackException
) -> Iterator[tuple[BaseException, traceback.TracebackException]]:
    """Yield an exception and those it comes from, each with its formatted form."""
    waiting: list[tuple[Any, Any]] = [(error, part)]
    seen: set[int] = set()
    while waiting:
        error, part = waiting.pop()
        if error is None or part is None or id(part) in seen:
            continue
        seen.add(id(part))
        yield error, part
        waiting += [(error.__cause__, part.__cause__), (error.__context__, part.__context__)]
        waiting += zip(getattr(error, "exceptions", None) or (), getattr(part, "exceptions", None) or (), strict=False)


def _show_own_lines(error: BaseException, part: traceback.TracebackException, source_of: SourceOf) -> None:
    """Give frames the lines that their code was compiled from where the file has others by now."""
    if part.stack is None:
        return
    steps = list(islice(_walk(error.__traceback__), MAX_DEPTH))
    if len(steps) != len(part.stack):
        return  # Only the last frames were formatted.
    for index, (step, frame) in enumerate(zip(steps, part.stack, strict=True)):
        source = source_of(step.tb_frame.f_code)
        line = source.line(frame.lineno or 0) if source is not None else None
        if line is None or line.strip() == (frame.line or "").strip():
            continue
        place: dict[str, Any] = {}
        if sys.version_info >= (3, 11):
            # Python marks the part of a line only where that is all there is to see.
            if frame.end_lineno == frame.lineno:
                place = {"end_lineno": frame.end_lineno, "colno": frame.colno, "end_colno": frame.end_colno}
        part.stack[index] = traceback.FrameSummary(
            frame.filename, frame.lineno, frame.name, lookup_line=False, locals=None, line=line, **place
        )


def _keep_user_frames(part: traceback.TracebackException, left_out: int) -> None:
    frames = [frame for frame in part.stack if not frame.filename.startswith(HERE)]
    # What repeats is shown once by the formatting itself; count it once.
    starts = [i for i, frame in enumerate(frames) if not i or _place(frame) != _place(frames[i - 1])]
    if left_out or len(starts) > MAX_FRAMES:
        head = [] if left_out else frames[: starts[MAX_FRAMES // 3]]
        tail = frames[-MAX_FRAMES + 10 :] if left_out else frames[starts[-MAX_FRAMES // 2] :]
        count = (left_out or len(frames)) - len(head) - len(tail)
        gap = traceback.FrameSummary(f"{_GAP}{count}", 0, "", lookup_line=False, line="")
        frames = [*head, gap, *tail]
    if frames:
        part.stack[:] = frames
    else:
        # No frame of the user's, as for a syntax error: nothing to head with "Traceback".
        part.stack = None  # type: ignore[assignment]


def _place(frame: traceback.FrameSummary) -> tuple[str, int | None, str]:
    return frame.filename, frame.lineno, frame.name


def _gap(entry: str) -> str:
    start = entry.find(f'"{_GAP}')
    if start < 0:
        return entry
    count = entry[start + 2 : entry.index('"', start + 1)]
    return f"  ... {count} more calls ..."


def _shorten(text: str) -> str:
    if len(text) > MAX_TEXT:
        half = MAX_TEXT // 2
        text = f"{text[:half]}... {len(text) - MAX_TEXT} characters left out ...{text[-half:]}"
    return clean(text)


def _walk(tb: TracebackType | None) -> Iterator[TracebackType]:
    while tb is not None:
        yield tb
        tb = tb.tb_next


def _position(error: BaseException, filename: str) -> tuple[int | None, int | None]:
    found = None
    for tb in _walk(error.__traceback__):
        if tb.tb_frame.f_code.co_filename == filename:
            found = tb
    if found is not None:
        return found.tb_lineno - 1, _column(found.tb_frame.f_code, found.tb_lasti, filename, found.tb_lineno)
    if isinstance(error, SyntaxError) and error.filename == filename and error.lineno is not None:
        return error.lineno - 1, max(0, error.offset - 1) if error.offset is not None else None
    return None, None


def _column(code: CodeType, instruction: int, filename: str, number: int) -> int | None:
    if sys.version_info < (3, 11) or instruction < 0:
        return None
    import linecache

    _, _, start, _ = next(islice(code.co_positions(), instruction // 2, None), (None, None, None, None))
    if start is None:
        return None
    # The compiler counts in UTF-8 bytes, editors in characters.
    return len(linecache.getline(filename, number).encode("utf-8", "replace")[:start].decode("utf-8", "replace"))
