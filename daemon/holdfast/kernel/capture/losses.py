"""Saying why a variable can't be kept: what in it failed, where it is, and what would help."""

from __future__ import annotations

import types
from collections import deque
from pickle import PicklingError
from typing import Any

from ..interrupts import TookTooLong
from .components import Lost

_LOOK_AT = 20_000
"""Objects looked at to find where the one that failed lies."""

_REMEDIES = {
    "socket": "open the connection in the cell that uses it",
    "thread": "start it in the cell that uses it, and keep its results",
    "TextIOWrapper": "open the file in the cell that uses it, and keep its path or contents",
    "BufferedReader": "open the file in the cell that uses it, and keep its path or contents",
    "BufferedWriter": "open the file in the cell that uses it, and keep its path or contents",
    "FileIO": "open the file in the cell that uses it, and keep its path or contents",
    "Connection": "connect in the cell that uses it, and keep what it returned",
    "Cursor": "connect in the cell that uses it, and keep what it returned",
    "HASH": "keep its digest, or make it again from the data",
    "_FuncPtr": "load the library in the cell that uses it",
    "_Pointer": "pointers mean nothing in another process; keep what it points at",
    "SSLContext": "make it in the cell that uses it",
    "SRE_Scanner": "keep the matches instead: list(…)",
    "DirEntry": "keep its path",
    "Token": "reset the variable before the cell ends",
    "frame": "keep the values that you need of it instead",
    "traceback": "keep traceback.format_exception(…) of it instead",
    "mmap": "map the file in the cell that uses it, or keep a copy: bytes(…)",
    "ufunc": "keep the function that it was made of, and make it again in the cell that uses it",
    "memmap": "open it in the cell that uses it, or keep a copy: numpy.array(…)",
}
_REMEDY = (
    "make it again in the cell that uses it, keep the values that you need of it in variables of their own, "
    "or say how it is kept with holdfast.register"
)


class Unfaithful(Exception):
    """A variable is not saved since it would not come back as it was."""

    def __init__(self, lost: Lost) -> None:
        super().__init__(lost.reason)
        self.lost = lost


def type_name(value: object) -> str:
    """Return the name of a value's type as users say it."""
    return str(type.__getattribute__(type(value), "__name__"))


def describe(name: str, value: object, error: BaseException, culprit: object) -> Lost:
    """Return the loss of a variable.

    Args:
        name: the variable's name.
        value: its value.
        error: what pickling it raised.
        culprit: the object that was being taken apart then.
    """
    if isinstance(error, Unfaithful):
        return error.lost
    if isinstance(error, RecursionError):
        reason = "it is nested too deeply to be pickled"
        return Lost(name, type_name(value), reason, "keep it in a flat form, e.g. lists with indices instead of links")
    message = _message(error)
    try:
        return _located(name, value, message, culprit, getattr(error, "remedy", None))
    except Exception:  # noqa: BLE001 - an object that answers no questions
        return Lost(name, type_name(value), f"a {type_name(value)} can't be saved: {message}", _REMEDY)


def _located(name: str, value: object, message: str, culprit: object, remedy: str | None) -> Lost:
    if culprit is value or culprit is None:
        reason = f"a {type_name(value)} can't be saved: {message}"
    else:
        path = path_to(value, culprit)
        where = f" (at {path})" if path else ""
        reason = f"holds a {type_name(culprit)}{where} that can't be saved: {message}"
    return Lost(name, type_name(value), reason, remedy or remedy_for(value if culprit is None else culprit))


def remedy_for(value: object) -> str:
    """Return what would help with an object of this type."""
    for base in type(value).__mro__:
        if base.__name__ in _REMEDIES:
            return _REMEDIES[base.__name__]
    return _REMEDY


def _message(error: BaseException) -> str:
    try:
        text = str(error).strip() or type(error).__name__
    except Exception:  # noqa: BLE001 - the exception is user code
        text = ""
    if isinstance(error, (TypeError, AttributeError, PicklingError, TookTooLong)):
        return text[:300] or type(error).__name__
    return f"{type(error).__name__}: {text}"[:300]


def path_to(root: object, target: object) -> str | None:
    """Return how to get from one object to another that lies in it, as an expression: ``['gen'].items[2]``."""
    seen = {id(root)}
    keep: list[Any] = [root]
    work: deque[tuple[Any, str]] = deque([(root, "")])
    while work and len(seen) < _LOOK_AT:
        thing, path = work.popleft()
        for step, part in _parts(thing):
            if part is target:
                return path + step
            if id(part) in seen or isinstance(part, (str, bytes, int, float, types.ModuleType, type)):
                continue
            seen.add(id(part))
            keep.append(part)
            work.append((part, path + step))
    return None


def _parts(thing: Any) -> list[tuple[str, Any]]:
    kind = type(thing)
    if issubclass(kind, dict):
        return [(f"[{_short(key)}]", value) for key, value in dict.items(thing)]
    if issubclass(kind, (list, tuple)):
        return [(f"[{index}]", value) for index, value in enumerate(tuple(thing))]
    if issubclass(kind, (set, frozenset, deque)):
        return [("{…}", value) for value in tuple(thing)]
    parts: list[tuple[str, Any]] = []
    if kind is types.FunctionType:
        names = thing.__code__.co_freevars
        for name, cell in zip(names, thing.__closure__ or (), strict=True):
            try:
                parts.append((f" → variable {name} of its closure", cell.cell_contents))
            except ValueError:
                continue
    if kind is types.MethodType:
        parts.append((".__self__", thing.__self__))
    try:
        attributes = object.__getattribute__(thing, "__dict__")
    except AttributeError:
        attributes = None
    if isinstance(attributes, dict):
        parts.extend((f".{name}", value) for name, value in attributes.items())
    for base in kind.__mro__:
        for name, slot in tuple(base.__dict__.items()):
            if isinstance(slot, types.MemberDescriptorType) and slot.__objclass__ is base:
                try:
                    parts.append((f".{name}", slot.__get__(thing, kind)))
                except (AttributeError, TypeError):
                    continue
    return parts


def _short(key: object) -> str:
    if isinstance(key, (str, int, float, bool)) or key is None:
        text = repr(key)
        return text if len(text) <= 40 else text[:37] + "…"
    return f"<{type_name(key)}>"
