"""Generators, coroutines and asynchronous generators that have not begun yet, or are at their end.

One that has not begun has run none of its code: it is its function and arguments. In the middle there is a frame, which
nothing can make again.
"""

from __future__ import annotations

import gc
import sys
import types
import weakref
from typing import TYPE_CHECKING, Any

from ..rebuild import generators as rebuild
from .registry import CannotKeep

if TYPE_CHECKING:
    from ..pickler import ComponentPickler

_PREFIXES = {types.GeneratorType: "gi", types.CoroutineType: "cr", types.AsyncGeneratorType: "ag"}
_REMEDIES = {
    "generator": "keep the values instead, e.g. list(…), or make it again in the cell that uses it",
    "async generator": "keep the values instead, or make it again in the cell that uses it",
    "coroutine": "await it, and keep its result",
}
_VARIABLE_ARGUMENTS = 0x4
_KEYWORD_ARGUMENTS = 0x8


def reduce_generator(pickler: ComponentPickler, generator: Any) -> Any:
    """Return the reduce value of a generator.

    Raises:
        CannotKeep: it has begun, and is not at its end.
    """
    kind = type(generator)
    frame = getattr(generator, f"{_PREFIXES[kind]}_frame")
    names = generator.__name__, generator.__qualname__
    if frame is None:
        return rebuild.ended, (kind.__name__, *names)
    function = _function_of(generator, frame) if has_not_begun(generator) else None
    if function is None:
        code, word = frame.f_code, kind.__name__.replace("_", " ")
        file = code.co_filename.rpartition("/")[2]
        raise CannotKeep(
            f"it is in the middle of running {generator.__qualname__}, line {code.co_firstlineno} of {file}",
            _REMEDIES[word],
        )
    return rebuild.not_begun, (function, *_arguments(frame), *names)


def has_not_begun(generator: Any) -> bool:
    """Whether a generator, coroutine or asynchronous generator has run none of its code."""
    prefix = _PREFIXES[type(generator)]
    frame = getattr(generator, f"{prefix}_frame")
    if frame is None or getattr(generator, f"{prefix}_running"):
        return False
    if sys.version_info < (3, 11):
        return bool(frame.f_lasti == -1)
    suspended = getattr(generator, f"{prefix}_suspended", None)
    if suspended is not None:
        return not suspended
    # An asynchronous generator of 3.11 does not say.
    import opcode

    return bool(frame.f_code.co_code[frame.f_lasti] == opcode.opmap["RETURN_GENERATOR"])


def _function_of(generator: Any, frame: types.FrameType) -> types.FunctionType | None:
    """Return the function that was called; up to 3.10 a generator has only what the function was made of."""
    if sys.version_info >= (3, 11):
        for part in gc.get_referents(generator):
            if type(part) is types.FunctionType and part.__code__ is frame.f_code:
                return part
        return None
    made = _functions.get(generator)
    if made is None:
        code = frame.f_code
        cells = [part for part in gc.get_referents(frame) if type(part) is types.CellType]
        free = len(code.co_freevars)
        if len(cells) != len(code.co_cellvars) + free:
            return None
        closure = tuple(cells[len(cells) - free :])
        made = types.FunctionType(code, frame.f_globals, code.co_name, None, closure or None)
        made.__qualname__ = generator.__qualname__
        _functions[generator] = made
    return made


_functions: weakref.WeakKeyDictionary[Any, types.FunctionType] = weakref.WeakKeyDictionary()


def _arguments(frame: types.FrameType) -> tuple[tuple[Any, ...], dict[str, Any]]:
    code, values = frame.f_code, frame.f_locals
    by_place, only_by_name = code.co_argcount, code.co_kwonlyargcount
    names = code.co_varnames
    arguments = tuple([values[name] for name in names[:by_place]])
    named = {name: values[name] for name in names[by_place : by_place + only_by_name]}
    rest = by_place + only_by_name
    if code.co_flags & _VARIABLE_ARGUMENTS:
        arguments += tuple(values[names[rest]])
        rest += 1
    if code.co_flags & _KEYWORD_ARGUMENTS:
        named.update(values[names[rest]])
    return arguments, named
