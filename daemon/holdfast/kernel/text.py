"""Text for people: pretty representations that are bounded and never raise, and strings that survive UTF-8."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

WIDTH = 79
MAX_ITEMS = 1000
MAX_DEPTH = 60

_BRACKETS: dict[type, tuple[str, str]] = {
    list: ("[", "]"),
    tuple: ("(", ")"),
    dict: ("{", "}"),
    set: ("{", "}"),
    frozenset: ("frozenset({", "})"),
}

# A metaclass may define properties of these names, which even type.__getattribute__() would call.
mro_of: Callable[[type], tuple[type, ...]] = type.__dict__["__mro__"].__get__
bases_of: Callable[[type], tuple[type, ...]] = type.__dict__["__bases__"].__get__
dict_of: Callable[[type], Mapping[str, Any]] = type.__dict__["__dict__"].__get__
_name_of = type.__dict__["__name__"].__get__
_module_of = type.__dict__["__module__"].__get__


def clean(text: str) -> str:
    """Return `text` with lone surrogates escaped, so that every later reader can encode it."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode()
    return text


def type_name(value: object) -> str:
    """Return the name of a value's type without running code of its metaclass."""
    return class_name(type(value))


def type_module(value: object) -> str:
    """Return the name of the module of a value's type without running code of its metaclass; "" if it is no text."""
    module = _module_of(type(value))
    return module if type(module) is str else ""


def class_name(cls: type) -> str:
    """Return a class's name without running code of its metaclass."""
    name: str = _name_of(cls)
    return name


def safe_repr(value: object) -> str:
    """Return ``repr(value)``; if that raises, say so instead."""
    try:
        return repr(value)
    except RecursionError:
        return f"<{type_name(value)}, nested too deeply to be shown>"
    except Exception as error:  # noqa: BLE001 - runs the user's __repr__
        return f"<{type_name(value)} object at {id(value):#x}; its repr() raised {describe(error)}>"


def describe(error: BaseException) -> str:
    """Return ``ValueError: message`` for an exception whose ``__str__`` may itself raise."""
    try:
        message = str(error)
    except Exception:  # noqa: BLE001 - runs the user's __str__
        message = "<exception str() failed>"
    return f"{type_name(error)}: {message}" if message else type_name(error)


def trace(error: BaseException) -> str:
    """Return the whole traceback of an exception, our frames included: for the log."""
    import traceback

    return clean("".join(traceback.format_exception(type(error), error, error.__traceback__)))


def pretty(value: object, width: int = WIDTH) -> str:
    """Return a representation of builtin containers broken into lines that fit, of everything else its repr()."""
    return clean(_render(value, 0, width, [], 0))


def _render(value: Any, indent: int, width: int, parents: list[int], depth: int) -> str:
    brackets = _BRACKETS.get(type(value))
    if brackets is None:
        return safe_repr(value)
    if not value:
        return repr(value)
    if id(value) in parents:
        return f"{brackets[0]}...{brackets[1]}"
    if depth >= MAX_DEPTH:
        return f"{brackets[0]}...{brackets[1]}"
    parents.append(id(value))
    inner = indent + len(brackets[0])
    parts: list[str] = []
    items = _items(value)
    for number, item in enumerate(items):
        if number == MAX_ITEMS:
            parts.append("...")
            break
        if isinstance(value, dict):
            key = _render(item, inner, width, parents, depth + 1)
            last_line = len(key) - key.rfind("\n") - 1
            try:
                content = value[item]
            except Exception as error:  # noqa: BLE001 - a key's own __eq__ raised, or another thread removed it
                parts.append(f"{key}: <{describe(error)}>")
                continue
            parts.append(f"{key}: {_render(content, inner + last_line + 2, width, parents, depth + 1)}")
        else:
            parts.append(_render(item, inner, width, parents, depth + 1))
    parents.pop()
    closing = ",)" if type(value) is tuple and len(value) == 1 else brackets[1]
    flat = sum(map(len, parts)) + 2 * len(parts) + len(brackets[0])
    if indent + flat <= width and not any("\n" in part for part in parts):
        return brackets[0] + ", ".join(parts) + closing
    return brackets[0] + (",\n" + " " * inner).join(parts) + closing


def _items(value: Any) -> Any:
    if isinstance(value, set | frozenset):
        try:
            return sorted(value) if len(value) <= MAX_ITEMS else value
        except Exception:  # noqa: BLE001 - items that can't be compared; the user's __lt__ may run
            return list(value)
    # A copy, since another thread may change the container while it is shown.
    return list(value)
