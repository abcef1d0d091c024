"""Between the classes of the protocol and JSON."""

from __future__ import annotations

import functools
from typing import Any

import attrs
from cattrs import Converter
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override
from lsprotocol import converters

from holdfast.protocol.variables import SortBy, SortOrder


def camel_case(name: str) -> str:
    """Return the wire name of a field: ``run_id`` → ``runId``."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _is_own(cls: Any) -> bool:
    return isinstance(cls, type) and attrs.has(cls) and cls.__module__.startswith(f"{__package__}.")


def _strict(kind: type) -> Any:
    """cattrs would turn 5 into "5" and "no" into True.

    A client that sends these has made a mistake it should hear of.
    """

    def hook(value: Any, _: Any) -> Any:
        if kind in (int, float) and isinstance(value, int | float) and not isinstance(value, bool):
            number = kind(value)
            if kind is float or number == value:
                return number
        elif kind in (str, bool) and isinstance(value, kind):
            return value
        raise ValueError(f"expected {_KIND_NAMES[kind]}, not {str(value)[:60]!r}")

    return hook


_KIND_NAMES = {int: "an integer", float: "a number", str: "a string", bool: "true or false"}


def _sort_hook(value: Any, converter: Converter) -> Any:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list):
        return [converter.structure(part, SortBy) for part in value]
    return converter.structure(value, SortBy)


@functools.cache
def make_converter() -> Converter:
    """Return lsprotocol's converter with hooks for this package's classes: camelCase on the wire, ``null`` left out.

    It is made once, since that takes longer than greeting a client.
    """
    converter = converters.get_converter()
    for kind in _KIND_NAMES:
        converter.register_structure_hook(kind, _strict(kind))

    def structure_hook(cls: Any) -> Any:
        attrs.resolve_types(cls)
        names: Any = {field.name: override(rename=camel_case(field.name)) for field in attrs.fields(cls)}
        structure = make_dict_structure_fn(cls, converter, **names)

        def hook(value: Any, kind: Any) -> Any:
            if not isinstance(value, dict):
                raise ValueError(f"expected an object, not {str(value)[:60]!r}")
            # `null` says the same as leaving a member out.
            return structure({name: part for name, part in value.items() if part is not None}, kind)

        return hook

    def unstructure_hook(cls: Any) -> Any:
        attrs.resolve_types(cls)
        names: Any = {
            field.name: override(rename=camel_case(field.name), omit_if_default=field.default is None)
            for field in attrs.fields(cls)
        }
        return make_dict_unstructure_fn(cls, converter, **names)

    converter.register_structure_hook_factory(_is_own, structure_hook)
    converter.register_unstructure_hook_factory(_is_own, unstructure_hook)
    converter.register_structure_hook(SortOrder, lambda value, _: _sort_hook(value, converter))
    return converter
