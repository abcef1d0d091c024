"""A first look at a value: its type, a short preview, its size. Always quick, and never runs code of the user's.

Only the representations of builtin and well-known library types are trusted to be quick and harmless. Everything else
is described from the outside: the class's name, and what lies in the instance's ``__dict__``.
"""

from __future__ import annotations

import sys
import types
from collections import Counter, OrderedDict, defaultdict, deque
from itertools import islice
from typing import Any

from .text import bases_of, class_name, clean, dict_of, mro_of, type_module, type_name

MAX_PREVIEW = 200
_MAX_ITEMS = 12
_MAX_DEPTH = 3
_MAX_STRING = 80
_MAX_INT_BITS = 4096

_QUICK = {
    "datetime": {"datetime", "date", "time", "timedelta", "timezone"},
    "decimal": {"Decimal"},
    "fractions": {"Fraction"},
    "uuid": {"UUID"},
    "pathlib": {"PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath"},
    "pathlib._local": {"PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath"},
    "zoneinfo": {"ZoneInfo"},
    "re": {"Pattern"},
    "numpy": {"dtype", "datetime64", "timedelta64", "bool", "bool_", "str_"},
    "pandas": {"Timestamp", "Timedelta", "Period", "NaTType", "NAType"},
    "builtins": {"range", "slice", "complex", "NoneType", "bool", "float", "ellipsis", "NotImplementedType"},
}
"""Types, by module, whose repr() is C or as quick, bounded, and does not call into their contents."""


def is_listed(name: str) -> bool:
    """Whether a name of the session is one of the user's variables: no dunder name, and not ``_``."""
    return bool(name.strip("_")) and not (name.startswith("__") and name.endswith("__"))


def summarize(name: str, value: object, cell: int | None = None) -> dict[str, Any]:
    """Return ``{name, type, preview, shape?, length?, bytes?, cell?}``; sizes in bytes, shallow and estimated."""
    summary: dict[str, Any] = {"name": name, "type": type_name(value), "preview": preview(value)}
    try:
        summary.update(_measures(value))
    except Exception as error:  # noqa: BLE001 - a library's object in a state that its own code did not expect
        summary["preview"] = f"<{type_name(value)}, can't be measured: {type_name(error)}>"
    if cell is not None:
        summary["cell"] = cell
    return summary


def preview(value: object) -> str:
    """Return at most 200 characters that say what `value` is."""
    try:
        text = clean(_preview(value, 0))
    except Exception as error:  # noqa: BLE001 - as above; a listing must not fail for one variable
        text = f"<{type_name(value)}, can't be shown: {type_name(error)}>"
    text = " ".join(text.split("\n"))
    return text if len(text) <= MAX_PREVIEW else text[: MAX_PREVIEW - 1] + "…"


def library_base(value: object, module: str, name: str) -> Any:
    """Return class `name` of an already imported `module` if `value` is an instance of it."""
    cls = getattr(sys.modules.get(module), name, None)
    # Not isinstance(): an object's __class__ may be a property of the user's.
    return cls if any(base is cls for base in mro_of(type(value))) else None


def _measures(value: object) -> dict[str, Any]:
    kind = type(value)
    if id(kind) in _PLAIN:
        return {"bytes": sys.getsizeof(value)}
    if id(kind) in _SIZED:
        return {"length": len(value), "bytes": sys.getsizeof(value)}  # type: ignore[arg-type]
    array = library_base(value, "numpy", "ndarray")
    if array is not None:
        return {"shape": list(array.shape.__get__(value)), "bytes": int(array.nbytes.__get__(value))}
    manager = _blocks(value)
    if manager is not None:
        return _measure_blocks(manager)
    if _is_from(value, "pandas") and type_name(value).endswith("Index"):
        return _measure_index(value)
    if _is_from(value, "torch", "polars", "scipy", "xarray", "pyarrow", "tensorflow", "jax", "jaxlib"):
        shape = getattr(value, "shape", None)
        size = getattr(value, "nbytes", None)
        measured: dict[str, Any] = {}
        if isinstance(shape, tuple):
            measured["shape"] = [int(n) for n in shape]
        if isinstance(size, int):
            measured["bytes"] = size
        return measured
    # Of anything else nobody can tell its size quickly: what an instance holds lies elsewhere.
    return {}


def _blocks(value: Any) -> Any:
    """Return what a frame or series keeps its values in, however its class overrides what asks for it; else None."""
    for name in ("DataFrame", "Series"):
        if library_base(value, "pandas", name) is not None:
            attributes = _attributes(value)
            manager = attributes.get("_mgr") if type(attributes) is dict else None
            return manager if _is_from(manager, "pandas") else None
    return None


def _measure_blocks(manager: Any) -> dict[str, Any]:
    # A frame's axes are its columns and its index.
    axes = [axis for axis in reversed(manager.axes) if _is_from(axis, "pandas")]
    shape = [len(axis) for axis in axes]
    measured: dict[str, Any] = {"shape": shape, "length": shape[0]} if shape else {}
    values = [block.values for block in manager.blocks]
    if shape and all(_is_from(part, "pandas", "numpy") for part in values):
        # What memory_usage() adds up, without making a Series for it.
        index = 0 if type_name(axes[0]) == "RangeIndex" else int(axes[0].nbytes)
        measured["bytes"] = sum(int(part.nbytes) for part in values) + index
    return measured


def _measure_index(value: Any) -> dict[str, Any]:
    return {"shape": [int(n) for n in value.shape], "length": len(value), "bytes": int(value.nbytes)}


def _is_from(value: object, *packages: str) -> bool:
    return type_module(value).partition(".")[0] in packages


def _preview(value: Any, depth: int) -> str:
    kind = type(value)
    if kind is str or kind is bytes or kind is bytearray:
        return _string(value)
    if kind is int:
        bits = value.bit_length()
        return str(value) if bits <= _MAX_INT_BITS else f"<int of {bits} bits>"
    brackets = _CONTAINERS.get(id(kind))
    if brackets is not None:
        return _container(value, brackets, depth)
    module = type_module(value)
    if type_name(value) in _QUICK.get("pandas" if module.startswith("pandas.") else module, ()):
        return repr(value)
    special = _special(value, depth)
    return special if special is not None else _instance(value, depth)


_CONTAINERS: dict[int, tuple[str, str]] = {
    id(list): ("[", "]"),
    id(tuple): ("(", ")"),
    id(dict): ("{", "}"),
    id(set): ("{", "}"),
    id(frozenset): ("frozenset({", "})"),
    id(deque): ("deque([", "])"),
    id(Counter): ("Counter({", "})"),
    id(OrderedDict): ("OrderedDict({", "})"),
    id(defaultdict): ("defaultdict({", "})"),
}
"""By identity: looking a class up by itself would call its metaclass's __hash__ and __eq__."""
_MAPPINGS = frozenset(map(id, (dict, Counter, OrderedDict, defaultdict)))
_SIZED = frozenset({*_CONTAINERS, *map(id, (str, bytes, bytearray, range))})
_PLAIN = frozenset(map(id, (int, float, complex, bool, type(None))))


def _string(value: Any) -> str:
    if len(value) <= _MAX_STRING:
        return repr(value)
    return f"{value[:_MAX_STRING]!r}…"


def _container(value: Any, brackets: tuple[str, str], depth: int) -> str:
    opening, closing = brackets
    if type(value) is defaultdict:
        opening = f"defaultdict({_preview(value.default_factory, depth + 1)}, {{"
    elif type(value) is deque and value.maxlen is not None:
        closing = f"], maxlen={value.maxlen})"
    if not value:
        return "set()" if type(value) is set else opening + closing
    if depth >= _MAX_DEPTH:
        return f"{opening}…{closing}"
    parts, size = [], 0
    # A copy of the first few: another thread may change the container meanwhile, which list() of a slice survives.
    if id(type(value)) in _MAPPINGS:
        for key, content in list(islice(value.items(), _MAX_ITEMS)):
            parts.append(f"{_preview(key, depth + 1)}: {_preview(content, depth + 1)}")
            size += len(parts[-1])
            if size > MAX_PREVIEW:
                break
    else:
        for item in list(islice(value, _MAX_ITEMS)):
            parts.append(_preview(item, depth + 1))
            size += len(parts[-1])
            if size > MAX_PREVIEW:
                break
    if len(value) > len(parts):
        parts.append("…")
    comma = "," if type(value) is tuple and len(value) == 1 else ""
    return f"{opening}{', '.join(parts)}{comma}{closing}"


def _special(value: Any, depth: int) -> str | None:
    """Return the preview of functions, classes, modules, and of library types people look at all day."""
    # Not isinstance(), which asks the value for its __class__.
    if any(base is type for base in mro_of(type(value))):
        bases = [class_name(base) for base in bases_of(value) if base is not object]
        name = class_name(value)
        return f"class {name}({', '.join(bases)})" if bases else f"class {name}"
    kind = type(value)
    if kind is types.FunctionType:
        return _signature(value, depth)
    if kind is types.BuiltinFunctionType:
        return f"builtin {value.__name__}"
    if kind is types.MethodType:
        function = value.__func__
        return f"method {function.__qualname__ if type(function) is types.FunctionType else type_name(function)}"
    if kind is types.ModuleType:
        version = value.__dict__.get("__version__")
        return f"module {value.__name__}" + (f" {version}" if isinstance(version, str) else "")
    array = library_base(value, "numpy", "ndarray")
    if array is not None:
        return _array(value, array)
    scalar = library_base(value, "numpy", "generic")
    if scalar is not None and _is_from(value, "numpy") and type_name(value) != "void":
        return str(value)[:MAX_PREVIEW]
    return _pandas(value)


def _array(value: Any, array: Any) -> str:
    shape = tuple(array.shape.__get__(value))
    dtype = array.dtype.__get__(value)
    text = f"{dtype.name if dtype.names is None else 'record'} {shape}"
    if type(value) is array and 0 < value.size <= 8 and value.ndim == 1 and dtype.kind in "biufc":
        text += f" {value.tolist()}"
    return text


def _pandas(value: Any) -> str | None:
    kind = type_name(value)
    manager = _blocks(value)
    if manager is not None:
        shape = _measure_blocks(manager).get("shape", [])
        if len(shape) == 1:
            return f"{kind} {_dtype(manager.blocks[0].values)} {shape[0]:,}"
        return f"{kind} {' × '.join(f'{n:,}' for n in shape)}".strip()
    if _is_from(value, "pandas") and kind.endswith("Index"):
        return f"{kind} {_dtype(value)} {len(value):,}"
    return None


def _dtype(values: Any) -> str:
    """Return the name of a dtype; one of a user's own is only named after its class."""
    dtype = values.dtype if _is_from(values, "pandas", "numpy") else values
    return str(dtype) if _is_from(dtype, "pandas", "numpy") else type_name(dtype)


def _signature(function: types.FunctionType, depth: int) -> str:
    code = function.__code__
    names = list(code.co_varnames)
    positional, keyword_only = code.co_argcount, code.co_kwonlyargcount
    defaults = function.__defaults__ or ()
    parts = []
    for i, name in enumerate(names[:positional]):
        at = i - (positional - len(defaults))
        parts.append(f"{name}={_preview(defaults[at], depth + 1)}" if at >= 0 else name)
        if i + 1 == code.co_posonlyargcount:
            parts.append("/")
    extra = positional + keyword_only
    if code.co_flags & 0x04:  # inspect.CO_VARARGS
        parts.append("*" + names[extra])
        extra += 1
    elif keyword_only:
        parts.append("*")
    for name in names[positional : positional + keyword_only]:
        values = function.__kwdefaults__ or {}
        parts.append(f"{name}={_preview(values[name], depth + 1)}" if name in values else name)
    if code.co_flags & 0x08:  # inspect.CO_VARKEYWORDS
        parts.append("**" + names[extra])
    star = "async def" if code.co_flags & 0x280 else "def"  # coroutine or asynchronous generator
    return f"{star} {function.__name__}({', '.join(parts)})"


def _instance(value: object, depth: int) -> str:
    """Describe any other object by what lies in its ``__dict__``, read without asking the object."""
    name = type_name(value)
    attributes = _attributes(value)
    if type(attributes) is not dict or depth >= _MAX_DEPTH:
        return f"<{name}>"
    if "_name_" in attributes and "_value_" in attributes:
        return f"{name}.{attributes['_name_']}"
    parts, size = [], 0
    for key, content in list(islice(attributes.items(), _MAX_ITEMS)):
        if type(key) is str and not key.startswith("_"):
            parts.append(f"{key}={_preview(content, depth + 1)}")
            size += len(parts[-1])
            if size > MAX_PREVIEW or len(parts) >= 6:
                parts.append("…")
                break
    return f"{name}({', '.join(parts)})" if parts else f"<{name}>"


def _attributes(value: object) -> object:
    """Return an instance's ``__dict__``; None if it has none, or if its class answers for it with code of its own."""
    for base in mro_of(type(value)):
        found = dict_of(base).get("__dict__")
        if found is not None:
            return found.__get__(value) if type(found) is types.GetSetDescriptorType else None
    return None
