"""Values as JSON, exactly: what JSON has no word for is an object with the member ``"$"``, which says what it is.

A value is either told so that reading gives an equal one of the same types, or not at all.
"""

from __future__ import annotations

import base64
import collections
import datetime
import decimal
import fractions
import json
import math
import struct
import sys
import uuid
from collections.abc import Callable, Iterable
from typing import Any

TAG = "$"
SAFE_INTEGER = 2**53
"""Above it, and below its negative, readers that know only floats would lose digits."""
MOST_DEEP = 100
"""Levels of nesting; readers call themselves for each."""
MOST_DIGITS = 4000
"""Decimal digits of a number: reading more takes quadratic time, so Python refuses it."""
LONGEST_DECIMAL = 1 << 20
"""Characters."""
_NAN = struct.pack(">d", math.nan)
_PLAIN = frozenset([str, bool, type(None)])
_NUMBERS = frozenset([*_PLAIN, int, float])


_FACTORIES: dict[str | None, Any] = {
    None: None,
    **{kind.__name__: kind for kind in (list, dict, set, int, float, str, bool, bytes, tuple)},
}


class NotExact(Exception):
    """A value that cannot be told in an open form; the message says why."""


class Damaged(Exception):
    """What is read is no value of the form that it claims to be."""


class MissingLibrary(Exception):
    """A value needs a library that cannot be imported here."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def dump(value: object, *, separate: bool = False) -> bytes:
    """Return a value as JSON text.

    Args:
        separate: tell an object that occurs several times as so many objects.

    Raises:
        NotExact: it would not come back as it is.
    """
    told = Encoder(separate=separate).encode(value)
    try:
        text = json.dumps(told, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode()
    except UnicodeEncodeError:  # half a surrogate pair
        return json.dumps(told, allow_nan=False, separators=(",", ":")).encode()
    except RecursionError:
        raise NotExact("it is nested too deep") from None


class Encoder:
    """Turns one value into what `json` can write."""

    def __init__(self, *, separate: bool = False) -> None:
        self._separate = separate
        self._seen: dict[int, object] = {}
        self._within: set[int] = set()

    def encode(self, value: Any, depth: int = 0) -> Any:
        """Return a value as JSON has it.

        Raises:
            NotExact: it would not come back as it is.
        """
        kind = type(value)
        if kind in _PLAIN:
            return value
        encoder = _ENCODERS.get(kind)
        if encoder is not None:
            return encoder(value)
        container = _CONTAINERS.get(kind)
        if container is None:
            return _numpy_scalar(value)
        if depth >= MOST_DEEP:
            raise NotExact(f"it is nested more than {MOST_DEEP} levels deep")
        mark = id(value)
        if mark in self._within:
            raise NotExact("it contains itself")
        if kind not in (tuple, frozenset):
            if mark in self._seen and not self._separate:
                raise NotExact("an object occurs in it more than once")
            self._seen[mark] = value
        self._within.add(mark)
        try:
            return container(self, value, depth + 1)
        finally:
            self._within.discard(mark)

    def _items(self, values: Iterable[Any], depth: int) -> list[Any]:
        items = list(values)
        kinds = set(map(type, items))
        if kinds <= _NUMBERS and _is_plain(items, kinds):
            return items
        return [self.encode(item, depth) for item in items]

    def _dict(self, value: dict[Any, Any], depth: int) -> Any:
        keys, values = list(value), self._items(value.values(), depth)
        if TAG not in value and set(map(type, keys)) <= {str}:
            return dict(zip(keys, values, strict=True))
        return {TAG: "dict", "items": [[self.encode(key, depth), item] for key, item in zip(keys, values, strict=True)]}

    def _pairs(self, value: dict[Any, Any], depth: int) -> list[Any]:
        if getattr(value, "__dict__", None):
            raise NotExact("it has attributes")
        values = self._items(value.values(), depth)
        return [[self.encode(key, depth), item] for key, item in zip(value, values, strict=True)]

    def _defaultdict(self, value: collections.defaultdict[Any, Any], depth: int) -> Any:
        factory = value.default_factory
        name = None if factory is None else factory.__name__ if isinstance(factory, type) else ""
        if _FACTORIES.get(name, NotExact) is not factory:
            raise NotExact("what makes its defaults is no type of Python's")
        return {TAG: "defaultdict", "factory": name, "items": self._pairs(value, depth)}

    def _deque(self, value: collections.deque[Any], depth: int) -> Any:
        return {TAG: "deque", "items": self._items(value, depth), "maxlen": value.maxlen}

    def _bytearray(self, value: bytearray, depth: int) -> Any:
        return {TAG: "bytearray", "base64": base64.b64encode(value).decode("ascii")}


def _is_plain(items: list[Any], kinds: set[type]) -> bool:
    if int in kinds and not all(-SAFE_INTEGER <= item <= SAFE_INTEGER for item in items if type(item) is int):
        return False
    return float not in kinds or all(math.isfinite(item) for item in items if type(item) is float)


_CONTAINERS: dict[type, Callable[[Encoder, Any, int], Any]] = {
    list: lambda encoder, value, depth: encoder._items(value, depth),
    tuple: lambda encoder, value, depth: {TAG: "tuple", "items": encoder._items(value, depth)},
    set: lambda encoder, value, depth: {TAG: "set", "items": encoder._items(value, depth)},
    frozenset: lambda encoder, value, depth: {TAG: "frozenset", "items": encoder._items(value, depth)},
    dict: Encoder._dict,
    collections.OrderedDict: lambda encoder, value, depth: {TAG: "OrderedDict", "items": encoder._pairs(value, depth)},
    collections.Counter: lambda encoder, value, depth: {TAG: "Counter", "items": encoder._pairs(value, depth)},
    collections.defaultdict: Encoder._defaultdict,
    collections.deque: Encoder._deque,
    bytearray: Encoder._bytearray,
}


def _int(value: int) -> Any:
    if -SAFE_INTEGER <= value <= SAFE_INTEGER:
        return value
    # Hexadecimal digits are written and read in linear time, however many.
    return {TAG: "int", "value": str(value) if value.bit_length() < 3 * MOST_DIGITS else hex(value)}


def _float(value: float) -> Any:
    if math.isfinite(value):
        return value
    if math.isnan(value) and struct.pack(">d", value) != _NAN:
        return {TAG: "float", "bits": struct.pack(">d", value).hex()}
    return {TAG: "float", "value": str(value)}


def _complex(value: complex) -> Any:
    return {TAG: "complex", "real": _float(value.real), "imag": _float(value.imag)}


def _decimal(value: decimal.Decimal) -> Any:
    text = str(value)
    if len(text) > LONGEST_DECIMAL:
        raise NotExact(f"it has more than {LONGEST_DECIMAL} digits")
    return {TAG: "decimal", "value": text}


def _zone(zone: datetime.tzinfo | None) -> Any:
    if zone is None:
        return None
    if type(zone) is datetime.timezone:
        arguments = zone.__getinitargs__()  # type: ignore[attr-defined]
        if len(arguments) == 1:
            return {"offset": _timedelta(arguments[0])}
        return {"offset": _timedelta(arguments[0]), "name": arguments[1]}
    key = getattr(zone, "key", None)
    if type(zone).__module__ in ("zoneinfo", "zoneinfo._zoneinfo") and type(key) is str:
        return {"key": key}
    raise NotExact(f"its time zone is of the type {type(zone).__name__}")


def _datetime(value: datetime.datetime) -> Any:
    told: dict[str, Any] = {TAG: "datetime", "value": value.replace(tzinfo=None, fold=0).isoformat()}
    return _with_zone(told, value)


def _time(value: datetime.time) -> Any:
    return _with_zone({TAG: "time", "value": value.replace(tzinfo=None, fold=0).isoformat()}, value)


def _with_zone(told: dict[str, Any], value: datetime.datetime | datetime.time) -> dict[str, Any]:
    zone = _zone(value.tzinfo)
    if zone is not None:
        told["zone"] = zone
    if value.fold:
        told["fold"] = 1
    return told


def _timedelta(value: datetime.timedelta) -> Any:
    return {TAG: "timedelta", "days": value.days, "seconds": value.seconds, "microseconds": value.microseconds}


def _numpy_scalar(value: Any) -> Any:
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.generic):
        kind = value.dtype
        if kind.kind in "biufcmM" and kind.str[1:] not in ("f16", "c32", "f12", "c24") and kind.type is type(value):
            return {TAG: "numpy", "dtype": kind.str, "base64": base64.b64encode(value.tobytes()).decode("ascii")}
    raise NotExact(f"{type(value).__name__} has no open form")


_ENCODERS: dict[type, Callable[[Any], Any]] = {
    int: _int,
    float: _float,
    complex: _complex,
    bytes: lambda value: {TAG: "bytes", "base64": base64.b64encode(value).decode("ascii")},
    range: lambda value: {TAG: "range", "items": [_int(value.start), _int(value.stop), _int(value.step)]},
    decimal.Decimal: _decimal,
    fractions.Fraction: lambda value: {TAG: "fraction", "items": [_int(value.numerator), _int(value.denominator)]},
    uuid.UUID: lambda value: {TAG: "uuid", "value": str(value)},
    datetime.date: lambda value: {TAG: "date", "value": value.isoformat()},
    datetime.datetime: _datetime,
    datetime.time: _time,
    datetime.timedelta: _timedelta,
}

_FAULTS = (ValueError, TypeError, KeyError, AttributeError, ArithmeticError, RecursionError, MemoryError)


def load(text: bytes | bytearray | memoryview) -> Any:
    """Return the value that JSON text tells.

    Raises:
        Damaged: it is not JSON, or tells no value.
        MissingLibrary: a library is needed that is not here.
    """
    try:
        told = json.loads(bytes(text))
    except (ValueError, RecursionError) as error:
        raise Damaged(f"it is not JSON: {error}") from error
    return decode(told)


def decode(told: Any) -> Any:
    """Return the value of what `json` has read; raises as `load` does."""
    try:
        return _decode(told, 0)
    except _FAULTS as error:
        raise Damaged(f"it tells no value: {type(error).__name__}: {error}"[:300]) from error


def _decode(told: Any, depth: int) -> Any:
    kind = type(told)
    if kind is list:
        if set(map(type, told)) <= _NUMBERS:
            return told
        if depth > MOST_DEEP:
            raise ValueError("it is nested too deep")
        return [_decode(item, depth + 1) for item in told]
    if kind is not dict:
        return told
    if depth > MOST_DEEP:
        raise ValueError("it is nested too deep")
    if TAG not in told:
        return {key: _decode(item, depth + 1) for key, item in told.items()}
    decoder = _DECODERS.get(told[TAG])
    if decoder is None:
        raise ValueError(f"there is no {str(told[TAG])[:40]!r}")
    return decoder(told, depth + 1)


def _decoded(told: Any, depth: int) -> list[Any]:
    items = told["items"]
    if type(items) is not list:
        raise TypeError("items are a list")
    return [_decode(item, depth) for item in items]


def _decode_int(told: Any) -> int:
    text = told["value"]
    if type(text) is not str or (len(text) > MOST_DIGITS and not text.lstrip("-").startswith("0x")):
        raise ValueError("it is no integer")
    return int(text, 0)


def _decode_float(told: Any) -> float:
    if type(told) is not dict:
        return float(told)
    if "bits" in told:
        (value,) = struct.unpack(">d", bytes.fromhex(told["bits"]))
        return float(value)
    return float(told["value"])


def _decode_decimal(told: Any) -> decimal.Decimal:
    text = told["value"]
    if type(text) is not str or len(text) > LONGEST_DECIMAL:
        raise ValueError("it is no decimal number")
    return decimal.Decimal(text)


def _decode_zone(told: Any) -> datetime.tzinfo | None:
    if told is None:
        return None
    if "key" in told:
        import zoneinfo

        try:
            return zoneinfo.ZoneInfo(told["key"])
        except zoneinfo.ZoneInfoNotFoundError:
            raise MissingLibrary("tzdata") from None
    offset = _decode_timedelta(told["offset"])
    if "name" in told:
        return datetime.timezone(offset, told["name"])
    return datetime.timezone(offset) if offset else datetime.timezone.utc


def _decode_datetime(told: Any) -> datetime.datetime:
    value = datetime.datetime.fromisoformat(told["value"])
    return value.replace(tzinfo=_decode_zone(told.get("zone")), fold=told.get("fold", 0))


def _decode_time(told: Any) -> datetime.time:
    value = datetime.time.fromisoformat(told["value"])
    return value.replace(tzinfo=_decode_zone(told.get("zone")), fold=told.get("fold", 0))


def _decode_timedelta(told: Any) -> datetime.timedelta:
    days, seconds, microseconds = (told[name] for name in ("days", "seconds", "microseconds"))
    return datetime.timedelta(int(days), int(seconds), int(microseconds))


def _decode_fraction(told: Any, depth: int) -> fractions.Fraction:
    numerator, denominator = _decoded(told, depth)
    if type(numerator) is not int or type(denominator) is not int:
        raise TypeError("a fraction has two integers")
    if max(numerator.bit_length(), denominator.bit_length()) > 1 << 20:
        raise ValueError("a fraction of such numbers takes too long")
    return fractions.Fraction(numerator, denominator)


def _decode_numpy(told: Any) -> Any:
    try:
        import numpy
    except ImportError:
        raise MissingLibrary("numpy") from None
    kind = numpy.dtype(told["dtype"])
    data = _bytes(told)
    if kind.hasobject or kind.kind not in "biufcmM" or kind.itemsize != len(data):
        raise ValueError("it is no number")
    return numpy.frombuffer(data, kind)[0]


def _bytes(told: Any) -> bytes:
    return base64.b64decode(told["base64"], validate=True)


def _pairs(told: Any, depth: int) -> dict[Any, Any]:
    return {_decode(key, depth): _decode(item, depth) for key, item in told["items"]}


def _decode_defaultdict(told: Any, depth: int) -> collections.defaultdict[Any, Any]:
    return collections.defaultdict(_FACTORIES[told["factory"]], _pairs(told, depth))


def _decode_deque(told: Any, depth: int) -> collections.deque[Any]:
    return collections.deque(_decoded(told, depth), told["maxlen"])


_DECODERS: dict[Any, Callable[[Any, int], Any]] = {
    "tuple": lambda told, depth: tuple(_decoded(told, depth)),
    "set": lambda told, depth: set(_decoded(told, depth)),
    "frozenset": lambda told, depth: frozenset(_decoded(told, depth)),
    "dict": _pairs,
    "OrderedDict": lambda told, depth: collections.OrderedDict(_pairs(told, depth)),
    "Counter": lambda told, depth: collections.Counter(_pairs(told, depth)),
    "defaultdict": _decode_defaultdict,
    "deque": _decode_deque,
    "bytearray": lambda told, depth: bytearray(_bytes(told)),
    "bytes": lambda told, depth: _bytes(told),
    "int": lambda told, depth: _decode_int(told),
    "float": lambda told, depth: _decode_float(told),
    "complex": lambda told, depth: complex(_decode_float(told["real"]), _decode_float(told["imag"])),
    "range": lambda told, depth: range(*_decoded(told, depth)),
    "decimal": lambda told, depth: _decode_decimal(told),
    "fraction": _decode_fraction,
    "uuid": lambda told, depth: uuid.UUID(told["value"]),
    "date": lambda told, depth: datetime.date.fromisoformat(told["value"]),
    "datetime": lambda told, depth: _decode_datetime(told),
    "time": lambda told, depth: _decode_time(told),
    "timedelta": lambda told, depth: _decode_timedelta(told),
    "numpy": lambda told, depth: _decode_numpy(told),
}
