"""Functions and classes that another minor version of Python saved: what this one needs to be able to run them.

Code that was compiled from a cell is compiled again. What a library had generated for a class (a dataclass's
``__init__``) has no text: the library is asked to make it for a twin of the class, and the class gets the twin's.
"""

from __future__ import annotations

import collections
import dataclasses
import datetime
import enum
import sys
import types
import typing
from collections.abc import Callable, Iterable
from typing import Any

from .sources import MissingCode

Stubs = dict[int, tuple[types.FunctionType, MissingCode]]
"""Functions that are still without code, by id."""

MOVED = {"pathlib._local": "pathlib"}
"""Private modules of some versions, and where what is in them can be found in all."""
RENAMED = {("enum", "EnumType"): "EnumMeta"}
"""What has another name in some versions."""
GONE = frozenset({("dataclasses", "_replace"), ("typing", "_proto_hook")})
"""What a library of some versions puts into classes, and that of others has in another form or not at all."""
ENTRIES: dict[tuple[str, str], Callable[[], Any]] = {("datetime", "UTC"): lambda: datetime.timezone.utc}
"""Globals of modules that only some versions have."""
MAKES_ANNOTATIONS = sys.version_info >= (3, 14)
"""Whether annotations are made by a function, when somebody asks for them."""
_GENERATED = frozenset({"__replace__"})
"""Names that some versions of a library generate for a class and others don't."""


def _comment_prefixes(parser: Any) -> tuple[Any, Any]:
    """Return what begins a comment and what begins one behind a value, wherever its Python kept them."""
    known = getattr(parser, "_prefixes", None) or getattr(parser, "_comments", None)
    if known is not None and hasattr(known, "full"):
        return known.full, known.inline
    return getattr(parser, "_comment_prefixes", ("#", ";")), getattr(parser, "_inline_comment_prefixes", ())


def _prefixes(parser: Any) -> Any:
    full, inline = _comment_prefixes(parser)
    return types.SimpleNamespace(full=full, inline=inline)


def _comment_spec(parser: Any) -> Any:
    import configparser

    return configparser._CommentSpec(*_comment_prefixes(parser))  # type: ignore[attr-defined]


Added = tuple[tuple[int, int], dict[str, Callable[[Any], Any]]]

ADDED: dict[tuple[str, str], tuple[Added, ...]] = {
    ("queue", "Queue"): (((3, 13), {"is_shutdown": lambda _: False}),),
    ("asyncio.queues", "Queue"): (((3, 13), {"_is_shutdown": lambda _: False}),),
    ("threading", "Condition"): (((3, 14), {"locked": lambda condition: condition._lock.locked}),),
    ("argparse", "Action"): (((3, 13), {"deprecated": lambda _: False}),),
    ("argparse", "_SubParsersAction"): (
        ((3, 13), {"_deprecated": lambda _: set()}),
        ((3, 14), {"_color": lambda _: True}),
    ),
    ("argparse", "ArgumentParser"): (
        ((3, 14), {"suggest_on_error": lambda _: False, "color": lambda _: True, "_cached_formatter": lambda _: None}),
    ),
    ("configparser", "RawConfigParser"): (
        ((3, 13), {"_allow_unnamed_section": lambda _: False, "_prefixes": _prefixes}),
        ((3, 14), {"_comments": _comment_spec}),
    ),
    ("dataclasses", "Field"): (((3, 14), {"doc": lambda _: None}),),
    ("functools", "partialmethod"): (((3, 14), {"_phcount": lambda _: 0, "_merger": lambda _: None}),),
    ("html.parser", "HTMLParser"): (
        (
            (3, 14),
            {
                "scripting": lambda _: False,
                "_support_cdata": lambda _: True,
                "_escapable": lambda _: True,
                "_pending": lambda _: [],
                "_pending_len": lambda _: 0,
                "_parse_threshold": lambda _: 1,
            },
        ),
    ),
    ("logging", "LogRecord"): (((3, 12), {"taskName": lambda _: None}),),
    ("logging", "LoggerAdapter"): (((3, 13), {"merge_extra": lambda _: False}),),
    ("logging.handlers", "QueueHandler"): (((3, 12), {"listener": lambda _: None}),),
    ("unittest.result", "TestResult"): (((3, 12), {"collectedDurations": lambda _: []}),),
}
"""Attributes that objects of some types have since a version of Python, which those that an older one saved lack."""

GROWN = frozenset(module for module, _ in ADDED)
"""The modules of these types."""


def complete(objects: Iterable[Any]) -> None:
    """Give objects that another Python saved the attributes that this one's code for them needs."""
    wanted: list[tuple[type, dict[str, Callable[[Any], Any]]]] = []
    for (module, name), added in ADDED.items():
        kind = getattr(sys.modules.get(module), name, None)
        if isinstance(kind, type):
            wanted += [(kind, attributes) for since, attributes in added if sys.version_info >= since]
    for thing in objects:
        for kind, attributes in wanted:
            if issubclass(type(thing), kind):
                for name, make in attributes.items():
                    if not hasattr(thing, name):
                        setattr(thing, name, make(thing))


def evaluate_annotations(owners: Iterable[Any]) -> None:
    """Make values of the annotations that are texts; one that can't be evaluated stays a text."""
    for owner in owners:
        module = sys.modules.get(owner.__module__)
        scope = owner.__globals__ if isinstance(owner, types.FunctionType) else vars(module) if module else {}
        inner = dict(vars(owner)) if isinstance(owner, type) else {}
        inner |= {parameter.__name__: parameter for parameter in getattr(owner, "__type_params__", ())}
        texts = annotations_of(owner) if isinstance(owner, type) else owner.__annotations__
        for name, text in texts.items():
            try:
                texts[name] = eval(text, scope, inner)
            except Exception:  # noqa: BLE001 - it names something that is not there, as annotations may
                continue


class NotMended(Exception):
    """Something in a component can't be made under this Python."""


def stub(variables: dict[str, Any], name: str, closure: tuple[types.CellType, ...] | None) -> types.FunctionType:
    """Return a function that stands for one without code while its component is loaded."""
    names = [f"cell{number:04}" for number in range(len(closure or ()))]
    text = "def around():\n"
    text += "".join(f"    {cell} = None\n" for cell in names)
    text += f"    def stub(*arguments, **options): raise RuntimeError({', '.join(names)})\n    return stub"
    scope: dict[str, Any] = {}
    exec(text, scope)
    return types.FunctionType(scope["around"]().__code__, variables, name, None, closure)


def mend(values: dict[str, Any], stubs: Stubs, missing: Iterable[MissingCode]) -> dict[str, Any]:
    """Return a component's members with code for the stubs among them and in their classes.

    Raises:
        NotMended: there is none, for a reason that it says.
    """
    for code in missing:
        if not any(code is other for _, other in stubs.values()):
            raise NotMended(code.reason)
    made: dict[int, Any] = {}
    for value in values.values():
        if isinstance(value, type):
            _mend_class(value, stubs, made)
    for key, (_, code) in stubs.items():
        if key not in made:
            raise NotMended(code.reason)
    mended = {member: made.get(id(value), value) for member, value in values.items()}
    return {member: value for member, value in mended.items() if value is not None or values[member] is None}


def adapted(values: dict[str, Any]) -> dict[str, Any]:
    """Give classes that another Python saved what libraries of this one keep in them; return what is still used."""
    left = {id(function) for value in values.values() if isinstance(value, type) for function in _adapt(value)}
    return {member: value for member, value in values.items() if id(value) not in left}


def _adapt(cls: Any) -> list[Any]:
    left = []
    if issubclass(cls, enum.Flag) and hasattr(enum, "FlagBoundary") and "_flag_mask_" not in cls.__dict__:
        raise NotMended("flags are made in another way since Python 3.11")
    if _is_protocol(cls):
        hook = _function_in(cls.__dict__.get("__subclasshook__"))
        if getattr(hook, "__module__", None) == "typing":
            _take_over(cls, "__subclasshook__", _protocol_twin(cls))
            left.append(hook)
    if _is_protocol(cls) and hasattr(typing, "_get_protocol_attrs"):
        cls.__protocol_attrs__ = typing._get_protocol_attrs(cls)
        if cls.__dict__.get("_is_runtime_protocol"):
            typing.runtime_checkable(cls)
    return left


def _mend_class(cls: type, stubs: Stubs, made: dict[int, Any]) -> None:
    without = {name: found for name, value in cls.__dict__.items() if (found := _stubs_in(value, stubs))}
    if not without:
        return
    twin = _twin(cls)
    if twin is None:
        return
    for name, found in without.items():
        if (shared := made.get(id(found[0]))) is not None and _function_in(cls.__dict__[name]) is found[0]:
            # A dataclass with slots has its functions from the class that it replaced.
            kind = type(cls.__dict__[name])
            type.__setattr__(cls, name, kind(shared) if kind in (staticmethod, classmethod) else shared)
        elif name in twin.__dict__:
            _take_over(cls, name, twin)
            new = _function_in(cls.__dict__[name])
            # After a wrapper comes what it wraps.
            made.update((id(old), function) for old, function in zip(found, (new, _wrapped_by(new)), strict=False))
        elif name in _GENERATED:
            type.__delattr__(cls, name)
            made.update((id(function), None) for function in found)
    for name in _GENERATED & twin.__dict__.keys() - cls.__dict__.keys():
        _take_over(cls, name, twin)


def _take_over(cls: type, name: str, twin: type) -> None:
    value = twin.__dict__[name]
    function = _function_in(value)
    if isinstance(function, types.FunctionType) and function.__qualname__.startswith(f"{twin.__qualname__}."):
        function.__qualname__ = cls.__qualname__ + function.__qualname__[len(twin.__qualname__) :]
    for cell in getattr(function, "__closure__", None) or ():
        if cell.cell_contents is twin:
            cell.cell_contents = cls
    type.__setattr__(cls, name, value)


def _function_in(value: Any) -> Any:
    return value.__func__ if isinstance(value, (staticmethod, classmethod)) else value


def _wrapped_by(function: Any) -> Any:
    return function.__dict__.get("__wrapped__") if isinstance(function, types.FunctionType) else None


def _stubs_in(value: Any, stubs: Stubs) -> list[Any]:
    """Return the stubs that a value of a class's namespace is made of, and the functions around them."""
    parts = [value.fget, value.fset, value.fdel] if isinstance(value, property) else [_function_in(value)]
    found: list[Any] = []
    for part in parts:
        wrapped = _wrapped_by(part)
        if id(wrapped) in stubs:
            found += [part, wrapped]
        elif id(part) in stubs:
            found.append(part)
    return found


def _twin(cls: Any) -> type | None:
    """Return a class for which its library has made what it makes for `cls`, None if it isn't one of those known."""
    for applies, make in _TWINS:
        if applies(cls):
            try:
                return make(cls)
            except Exception as error:  # code of libraries, which says why in its own way
                raise NotMended(f"under this Python its class {cls.__qualname__} can't be made: {error}") from error
    return None


def _dataclass_twin(cls: Any) -> type:
    fields = cls.__dict__["__dataclass_fields__"]
    own = {name: _as_field(fields.get(name), value) for name, value in annotations_of(cls).items()}
    parameters = cls.__dict__["__dataclass_params__"]
    # A base with all fields: those of the class itself keep their places among them.
    base = type(cls.__name__, (), {"__dataclass_fields__": dict(fields), "__dataclass_params__": parameters})
    namespace: dict[str, Any] = {"__annotations__": own, "__module__": cls.__module__, "__qualname__": cls.__qualname__}
    namespace |= {name: _field_again(fields[name]) for name in own if name in fields}
    if hasattr(cls, "__post_init__"):
        namespace["__post_init__"] = cls.__post_init__
    options = {
        name: getattr(parameters, name)
        for name in ("init", "repr", "eq", "order", "unsafe_hash", "frozen", "match_args", "kw_only")
        if hasattr(parameters, name)
    }
    return dataclasses.dataclass(**options)(type(cls.__name__, (base,), namespace))


def _as_field(field: Any, annotation: Any) -> Any:
    """Return an annotation with which a field is what it was, also where the annotation is only a text so far."""
    kind = getattr(field, "_field_type", None)
    if kind is dataclasses._FIELD_INITVAR:  # type: ignore[attr-defined]
        return dataclasses.InitVar[object]
    return typing.ClassVar[object] if kind is dataclasses._FIELD_CLASSVAR else annotation  # type: ignore[attr-defined]


def annotations_of(cls: Any) -> dict[str, Any]:
    """Return the annotations in a class's own body."""
    own: dict[str, Any] = cls.__dict__.get("__annotations__", {})  # noqa: RUF063 - inspect takes 10 ms to import
    if not own and hasattr(cls, "__annotate__"):
        own = cls.__annotations__
    return own


def _is_dataclass(cls: Any) -> bool:
    return "__dataclass_fields__" in cls.__dict__


def _field_again(field: Any) -> Any:
    names = ("default", "default_factory", "init", "repr", "hash", "compare", "metadata", "kw_only")
    return dataclasses.field(**{name: getattr(field, name) for name in names if hasattr(field, name)})


def _is_named_tuple(cls: Any) -> bool:
    return cls.__bases__ == (tuple,) and isinstance(cls.__dict__.get("_fields"), tuple)


def _named_tuple_twin(cls: Any) -> type:
    defaults = [cls._field_defaults[name] for name in cls._fields if name in cls._field_defaults]
    make: Any = collections.namedtuple
    made: type = make(cls.__name__, cls._fields, defaults=defaults)
    return made


def _is_protocol(cls: Any) -> bool:
    return bool(cls.__dict__.get("_is_protocol"))


def _protocol_twin(cls: Any) -> type:
    return types.new_class(cls.__name__, (typing.Protocol,))


_TWINS: tuple[tuple[Callable[[Any], bool], Callable[[Any], type]], ...] = (
    (_is_dataclass, _dataclass_twin),
    (_is_named_tuple, _named_tuple_twin),
    (_is_protocol, _protocol_twin),
)
