"""A description of a session's variables, to compare two sessions in two processes by.

Every variable is walked down to its last part, and each part is one line: where it is, and what it is. Two sessions are
equal when their lines are. What counts:

- values: numpy arrays bit by bit (all NaNs are one), pandas and polars objects column by column, containers in their
  order, instances by their type, their ``__dict__``, their slots and what they reduce to; functions and classes of the
  session by code, defaults, closure and namespace; sets, and attributes of instances and classes, in sorted order;
- identity: a mutable object that was met before is "the same as" where it was met first; arrays say whose memory they
  show.

What doesn't: identity of immutable objects, addresses in texts, and matplotlib's insides: figures are compared by their
pixels, what is drawn on them by its place in its figure.

Runs in the session that it describes, so it needs nothing but the standard library, and imports nothing for it.
"""

from __future__ import annotations

import builtins
import copy
import datetime
import decimal
import fractions
import hashlib
import io
import itertools
import operator
import pathlib
import re
import sys
import types
import uuid
import weakref
from typing import Any

ATOMS: tuple[type, ...] = (
    type(None), bool, int, float, complex, str, bytes, range, type(...), type(NotImplemented), slice,
    datetime.datetime, datetime.date, datetime.timedelta, datetime.time, datetime.timezone,
    decimal.Decimal, fractions.Fraction, uuid.UUID, pathlib.PurePath, re.Pattern,
)  # fmt: skip
_NAMES_NOT_COMPARED = frozenset(
    [
        "__builtins__",
        "__name__",
        "__file__",
        "__loader__",
        "__spec__",
        "__package__",
        "__cached__",
        "__warningregistry__",
    ]
)
_MADE_WITH_CLASS = frozenset(
    [
        "__dict__",
        "__weakref__",
        "__module__",
        "_abc_impl",
        "__slotnames__",
        "__annotate_func__",
        "__annotations_cache__",
    ]
)
_POINTERS = frozenset(["__vectorcalloffset__", "__weaklistoffset__", "__dictoffset__"])
"""Of types in C: asked of an instance, they show the pointer that lies there, an address."""
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{6,}")
_MOST_LINES = 400_000


def digest(namespace: dict[str, Any]) -> dict[str, str]:
    """Return the lines that describe a session's variables, by place."""
    walk = _Walk(namespace)
    for name in sorted(namespace):
        if name not in _NAMES_NOT_COMPARED:
            walk.variable(name, namespace[name])
    walk.describe_memory()
    return walk.lines


def without_addresses(text: str) -> str:
    """Return a text in which every address reads alike."""
    return _ADDRESS.sub("0x…", text)


def _hash(data: Any) -> str:
    return hashlib.blake2b(data, digest_size=12).hexdigest()


def _hash_text(text: str) -> str:
    return _hash(text.encode("utf-8", "surrogatepass"))


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


class _Walk:
    def __init__(self, namespace: dict[str, Any]) -> None:
        self.lines: dict[str, str] = {}
        self._namespace = namespace
        self._seen: dict[int, str] = {}
        self._keep: list[Any] = []
        self._work: list[tuple[str, Any]] = []
        self._memory: list[tuple[str, int, int]] = []

    def variable(self, name: str, value: Any) -> None:
        self._work.append((name, value))
        while self._work:
            path, thing = self._work.pop()
            if len(self.lines) > _MOST_LINES:
                self.lines["…"] = "more than can be listed"
                self._work.clear()
                return
            before = len(self._work)
            try:
                self.lines[path] = self._describe(path, thing)
            except Exception as error:  # noqa: BLE001 - code of users and libraries; the line says what it raised
                self.lines[path] = f"{_name(type(thing))}, which raises {type(error).__name__}: {error}"[:300]
            # What lies inside is described in the order in which it was put on the list.
            self._work[before:] = reversed(self._work[before:])

    def _describe(self, path: str, thing: Any) -> str:
        kind = type(thing)
        if kind in ATOMS or isinstance(thing, pathlib.PurePath):
            text = repr(thing)
            return f"{kind.__name__} {text if len(text) < 200 else _hash_text(text)}"
        if kind is tuple or kind is frozenset:
            return self._container(path, thing)
        numpy = sys.modules.get("numpy")
        if numpy is not None and isinstance(thing, numpy.generic) and not getattr(thing.dtype, "hasobject", False):
            return f"{kind.__name__} {thing.dtype} {thing!r}"
        if numpy is not None and kind is numpy.ndarray and ".reduced[" in path:
            # What compiled code shows of its memory may be made anew each time: whose memory it is counts.
            first = path
            self._keep.append(thing)
        else:
            first = self._seen.setdefault(id(thing), path)
            self._keep.append(thing)
        if first is not path:
            return f"the same as {first}"
        for describe in (self._definition, self._container, self._array, self._frame, self._figure, self._odd):
            found = describe(path, thing)
            if found is not None:
                return found
        return self._instance(path, thing)

    def _inside(self, path: str, thing: Any) -> None:
        self._work.append((path, thing))

    # -- containers

    def _container(self, path: str, thing: Any) -> str | None:
        kind = type(thing)
        if kind in (list, tuple):
            if all(type(item) in ATOMS for item in thing):
                return f"{kind.__name__} of {len(thing)}: {_short(repr(thing))}"
            for index, item in enumerate(thing):
                self._inside(f"{path}[{index}]", item)
            return f"{kind.__name__} of {len(thing)}"
        if kind in (set, frozenset):
            if all(type(item) in ATOMS for item in thing):
                return f"{kind.__name__} of {len(thing)}: {_short(repr(sorted(map(repr, thing))))}"
            for index, item in enumerate(sorted(thing, key=lambda item: without_addresses(repr(item)))):
                self._inside(f"{path}{{{index}}}", item)
            return f"{kind.__name__} of {len(thing)}"
        if kind is dict:
            for index, (key, value) in enumerate(thing.items()):
                if type(key) in ATOMS:
                    self._inside(f"{path}[{key!r}]", value)
                else:
                    self._inside(f"{path}.keys[{index}]", key)
                    self._inside(f"{path}.values[{index}]", value)
            return f"dict of {len(thing)}: {_short(repr([key for key in thing if type(key) in ATOMS]))}"
        if kind is bytearray:
            return f"bytearray {_hash(thing)}"
        return None

    # -- functions, classes, modules

    def _definition(self, path: str, thing: Any) -> str | None:
        if isinstance(thing, types.ModuleType):
            return f"module {thing.__name__}"
        if isinstance(thing, types.FunctionType):
            return self._function(path, thing)
        if isinstance(thing, type):
            return self._class(path, thing)
        if isinstance(thing, types.MethodType):
            self._inside(f"{path}.__func__", thing.__func__)
            self._inside(f"{path}.__self__", thing.__self__)
            return "method"
        if isinstance(thing, (types.BuiltinFunctionType, types.MethodWrapperType)):
            owner = thing.__self__
            if owner is not None and not isinstance(owner, types.ModuleType):
                self._inside(f"{path}.__self__", owner)
            return f"builtin {thing.__qualname__}"
        if isinstance(thing, types.CodeType):
            return f"code {_code(thing)}"
        if isinstance(thing, property):
            for name in ("fget", "fset", "fdel"):
                self._inside(f"{path}.{name}", getattr(thing, name))
            return "property"
        if isinstance(thing, (staticmethod, classmethod)):
            self._inside(f"{path}.__func__", thing.__func__)
            return type(thing).__name__
        if isinstance(thing, types.CellType):
            try:
                self._inside(f"{path}.cell_contents", thing.cell_contents)
            except ValueError:
                return "empty cell"
            return "cell"
        return None

    def _importable(self, thing: Any) -> bool:
        module = sys.modules.get(getattr(thing, "__module__", None) or "")
        if module is None or vars(module) is self._namespace:
            return False
        found: Any = module
        for part in thing.__qualname__.split("."):
            found = getattr(found, part, None)
        return found is thing

    def _function(self, path: str, function: types.FunctionType) -> str:
        if self._importable(function):
            return f"function {function.__module__}.{function.__qualname__}"
        for name in ("__defaults__", "__kwdefaults__", "__dict__"):
            if value := getattr(function, name):
                self._inside(f"{path}.{name}", value)
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            self._inside(f"{path}.closure[{name}]", cell)
        sees = "the session" if function.__globals__ is self._namespace else function.__globals__.get("__name__")
        texts = (function.__module__, function.__doc__, without_addresses(repr(function.__annotations__)))
        return f"function {function.__qualname__} {_code(function.__code__)} of {sees}: {_short(repr(texts))}"

    def _class(self, path: str, cls: type) -> str:
        if self._importable(cls) or cls in vars(types).values():
            return f"class {_name(cls)}"
        self._inside(f"{path}.__class__", type(cls))
        for index, base in enumerate(cls.__bases__):
            self._inside(f"{path}.__bases__[{index}]", base)
        for name in sorted(cls.__dict__.keys() - _MADE_WITH_CLASS):
            value = cls.__dict__[name]
            if not isinstance(value, (types.GetSetDescriptorType, types.MemberDescriptorType)):
                self._inside(f"{path}.{name}", value)
        return f"class {_name(cls)}"

    # -- libraries, if they are there

    def _array(self, path: str, thing: Any) -> str | None:
        numpy = sys.modules.get("numpy")
        if numpy is None:
            return None
        if isinstance(thing, numpy.dtype):
            return repr(thing)
        if isinstance(thing, numpy.random.Generator):
            self._inside(f"{path}.bit_generator", thing.bit_generator)
            return "Generator"
        if isinstance(thing, numpy.random.BitGenerator):
            self._inside(f"{path}.state", thing.state)
            return type(thing).__name__
        if isinstance(thing, numpy.random.RandomState):
            self._inside(f"{path}.state", thing.get_state(legacy=False))
            return "RandomState"
        if not isinstance(thing, numpy.ndarray):
            return None
        plain = thing.view(numpy.ndarray)
        if type(thing) is not numpy.ndarray:
            self._inside(f"{path}.__dict__", dict(getattr(thing, "__dict__", {})))
            mask = getattr(thing, "_mask", None)
            if isinstance(mask, numpy.ndarray):
                self._inside(f"{path}._mask", mask)
        flags = "".join(letter for letter, flag in _FLAGS if plain.flags.num & flag)
        what = f"{type(thing).__name__} {plain.dtype!r} {plain.shape} {flags}"
        if plain.dtype.hasobject:
            for index, item in enumerate(plain.ravel().tolist()):
                self._inside(f"{path}.flat[{index}]", item)
            return what
        if plain.size:
            low, high = numpy.lib.array_utils.byte_bounds(plain) if hasattr(numpy.lib, "array_utils") else (0, 0)
            self._memory.append((path, low, high))
        return f"{what} {_bits(numpy, plain)}"

    def describe_memory(self) -> None:
        """Say of arrays that lie in the same memory where in it each lies."""
        group: list[tuple[str, int, int]] = []
        end = -1
        for place in [*sorted(self._memory, key=operator.itemgetter(1)), ("", sys.maxsize * 2, 0)]:
            if place[1] >= end:
                if len(group) > 1:
                    first = min(path for path, _, _ in group)
                    start = group[0][1]
                    for path, low, _ in group:
                        self.lines[f"{path} in memory"] = f"{low - start} bytes into what {first} lies in"
                group = []
            group.append(place)
            end = max(end, place[2])

    def _frame(self, path: str, thing: Any) -> str | None:
        pandas, polars = sys.modules.get("pandas"), sys.modules.get("polars")
        if polars is not None and isinstance(thing, (getattr(polars, "DataFrame", ()), getattr(polars, "Series", ()))):
            rows = thing.rows() if isinstance(thing, polars.DataFrame) else thing.to_list()
            schema = thing.schema if isinstance(thing, polars.DataFrame) else (thing.name, thing.dtype)
            return f"polars {type(thing).__name__} {len(thing)} {_short(repr(schema))} {_hash_text(repr(rows))}"
        if pandas is None or not hasattr(pandas, "DataFrame"):
            return None
        if isinstance(thing, pandas.DataFrame):
            self._inside(f"{path}.index", thing.index)
            self._inside(f"{path}.columns", thing.columns)
            for number in range(thing.shape[1]):
                self._inside(f"{path}.iloc[:, {number}]", _column(thing.iloc[:, number]))
            self._inside(f"{path}.attrs", dict(thing.attrs))
            return f"{_name(type(thing))} {thing.shape} {_short(repr(list(map(str, thing.dtypes))))}"
        if isinstance(thing, (pandas.Series, pandas.Index)):
            if isinstance(thing, pandas.Series):
                self._inside(f"{path}.index", thing.index)
            names = list(thing.names) if isinstance(thing, pandas.Index) else thing.name
            if isinstance(thing, pandas.MultiIndex):
                for number, level in enumerate(thing.levels):
                    self._inside(f"{path}.levels[{number}]", level)
                    self._inside(f"{path}.codes[{number}]", thing.codes[number])
            elif isinstance(thing, pandas.Series):
                self._inside(f"{path}.values", _column(thing))
            else:
                # Its values never change, and pandas makes those of some indexes only when they are asked for.
                values = _hash_text(without_addresses(repr(list(thing))))
                return f"{_name(type(thing))} {len(thing)} {thing.dtype} {names!r} {values}"
            return f"{_name(type(thing))} {len(thing)} {thing.dtype} {names!r}"
        if isinstance(thing, pandas.api.extensions.ExtensionArray):
            if isinstance(thing, pandas.Categorical):
                self._inside(f"{path}.categories", list(thing.categories))
            return f"{_name(type(thing))} {thing.dtype!r} {_hash_text(without_addresses(repr(list(thing))))}"
        return None

    def _figure(self, path: str, thing: Any) -> str | None:
        module = sys.modules.get("matplotlib.figure")
        artist = sys.modules.get("matplotlib.artist")
        if module is None or artist is None:
            return None
        if isinstance(thing, module.Figure):
            from matplotlib.backends.backend_agg import FigureCanvasAgg

            canvas = thing.canvas
            agg = FigureCanvasAgg(thing)
            agg.draw()
            pixels = bytes(agg.buffer_rgba())
            thing.canvas = canvas
            return f"{_name(type(thing))} {len(thing.axes)} axes {agg.get_width_height()} {_hash(pixels)}"
        if isinstance(thing, artist.Artist):
            figure = thing.get_figure()
            if figure is not None:
                self._inside(f"{path}.figure", figure)
                everything = [id(one) for one in figure.findobj()]
                if id(thing) in everything:
                    return f"{_name(type(thing))} number {everything.index(id(thing))} of its figure"
            return f"{_name(type(thing))}"
        if type(thing).__module__.partition(".")[0] == "matplotlib":
            return without_addresses(
                f"{_name(type(thing))} {thing!r}" if "object at 0x" not in repr(thing) else _name(type(thing))
            )
        return None

    # -- the rest

    def _odd(self, path: str, thing: Any) -> str | None:
        if isinstance(thing, (types.GeneratorType, types.CoroutineType, types.AsyncGeneratorType)):
            frame: Any = (
                getattr(thing, "gi_frame", None) or getattr(thing, "cr_frame", None) or getattr(thing, "ag_frame", None)
            )
            if frame is None:
                return f"{type(thing).__name__} {thing.__qualname__}, exhausted"
            self._inside(f"{path}.locals", dict(frame.f_locals))
            return f"{type(thing).__name__} {thing.__qualname__} at {frame.f_lasti}"
        if isinstance(thing, io.IOBase):
            where = None if thing.closed or not thing.seekable() else thing.tell()
            parts = (getattr(thing, "name", None), getattr(thing, "mode", None), thing.closed, where)
            return f"{_name(type(thing))} {parts!r}"
        if isinstance(thing, itertools.cycle):
            # What it gives counts; where it keeps that differs between a first round and a later one.
            self._inside(f"{path}.next", list(itertools.islice(copy.deepcopy(thing), 100)))
            return "cycle"
        if isinstance(thing, weakref.ReferenceType):
            self._inside(f"{path}()", thing())
            return "weakref"
        if isinstance(thing, BaseException):
            self._inside(f"{path}.args", thing.args)
            self._inside(f"{path}.__dict__", dict(thing.__dict__))
            return _name(type(thing))
        if isinstance(thing, memoryview):
            return f"memoryview {thing.format} {thing.shape} {_hash(thing.tobytes())}"
        return None

    def _instance(self, path: str, thing: Any) -> str:
        kind = type(thing)
        self._inside(f"{path}.__class__", kind)
        attributes = getattr(thing, "__dict__", None)
        if isinstance(attributes, dict):
            for name, value in sorted(attributes.items(), key=lambda item: str(item[0])):
                self._inside(f"{path}.{name}", value)
        for base in kind.__mro__:
            for name, slot in base.__dict__.items():
                if name in _POINTERS:
                    continue
                if isinstance(slot, types.MemberDescriptorType) and slot.__objclass__ is base:
                    try:
                        self._inside(f"{path}.{name}", slot.__get__(thing))
                    except AttributeError:
                        continue
        for base in (dict, list, tuple, set, frozenset, int, float, str, bytes):
            if isinstance(thing, base):
                self._inside(f"{path} as {base.__name__}", base(thing))
        if (
            kind.__reduce_ex__ is object.__reduce_ex__
            and kind.__reduce__ is object.__reduce__
            and attributes is not None
        ):
            return _name(kind)
        try:
            reduced = thing.__reduce_ex__(4)
        except Exception as error:  # noqa: BLE001 - reducers raise what they like; the line says what
            return without_addresses(f"{_name(kind)} that can't be taken apart ({type(error).__name__}) {_repr(thing)}")
        if isinstance(reduced, str):
            return f"{_name(kind)} {reduced}"
        for index, part in enumerate(reduced):
            if index in (3, 4) and part is not None:
                part = list(part)
            self._inside(f"{path}.reduced[{index}]", part)
        self._keep.append(reduced)
        return _name(kind)


_FLAGS = (("C", 0x1), ("F", 0x2), ("A", 0x100), ("W", 0x400))
"""Asked by number, since for some arrays asking for ``writeable`` warns."""


def _repr(thing: Any) -> str:
    return "" if type(thing).__repr__ is object.__repr__ else repr(thing)[:200]


def _short(text: str) -> str:
    return text if len(text) <= 120 else f"{text[:60]}… {_hash_text(text)}"


def _bits(numpy: Any, array: Any) -> str:
    if array.dtype.names:
        # Field by field: what lies between them is no value.
        return " ".join(_bits(numpy, array[name]) for name in array.dtype.names)
    return _hash(numpy.ascontiguousarray(_one_nan(numpy, array)).tobytes()) if array.size else ""


def _one_nan(numpy: Any, array: Any) -> Any:
    if array.dtype.kind in "fc" and array.dtype.itemsize <= 16:
        missing = numpy.isnan(array)
        if missing.any():
            array = array.copy()
            array[missing] = numpy.nan
    return array


def _column(series: Any) -> Any:
    array = series.array
    plain = getattr(array, "_ndarray", None)
    return array if plain is None or plain.dtype.kind in "O" or type(array).__name__ != "NumpyExtensionArray" else plain


def _code(code: types.CodeType) -> str:
    constants = [_code(item) if isinstance(item, types.CodeType) else repr(item) for item in code.co_consts]
    constants = [without_addresses(item) if not item.startswith("frozenset") else str(len(item)) for item in constants]
    parts = (code.co_code, constants, code.co_names, code.co_varnames, code.co_freevars, code.co_firstlineno)
    return _hash_text(repr(parts))


def write(namespace: dict[str, Any], path: str) -> None:
    """Write the digest of a session as JSON."""
    import json

    text = json.dumps(digest(namespace))
    with builtins.open(path, "w", encoding="utf-8", errors="surrogatepass") as file:  # noqa: PTH123
        file.write(text)
