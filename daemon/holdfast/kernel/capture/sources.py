"""What functions and classes were compiled from: saved once for each cell, so that code can be shown and made again.

Code is stored as this Python has it. Another minor version can't run that; it compiles the text and picks the code out
of the result by where in the cell it was.
"""

from __future__ import annotations
import __future__

import ast
import importlib
import marshal
import sys
import types
import warnings
import weakref
from collections.abc import Iterable, Iterator
from types import CodeType
from typing import Any

Place = str
"""Where in a cell code is: for each scope around it and for itself ``/name:line:n:of``: its name, its first line, and
which it is of how many with these that differ in what they do."""

MAGIC = int.from_bytes(sys.modules["_frozen_importlib_external"].MAGIC_NUMBER[:2], "little")
"""Number of this Python's bytecode."""

_FUTURE_FLAGS = 0
for _name in __future__.all_feature_names:
    _FUTURE_FLAGS |= getattr(__future__, _name).compiler_flag
_COMPREHENSIONS = frozenset({"<listcomp>", "<dictcomp>", "<setcomp>"})
"""Scopes of their own only before 3.12."""
_FUNCTION = 0x1  # inspect.CO_OPTIMIZED, which inspect takes 10 ms to say
_HAS_QUALIFIED_NAMES = hasattr(CodeType, "co_qualname")
_TYPE_PARAMETERS = "<generic parameters of "


class Source:
    """The text of a cell that was run.

    Attributes:
        first: the line of `filename`, from 0, that is its first one.
        order: later cells have higher numbers.
        flags: the compiler's, for the features imported from ``__future__``.
    """

    __slots__ = ("__weakref__", "_found", "filename", "first", "flags", "order", "text")

    def __init__(self, text: str, filename: str, first: int, order: int, flags: int) -> None:
        self.text = text
        self.filename = filename
        self.first = first
        self.order = order
        self.flags = flags
        self._found: dict[Place, CodeType] | None = None

    def line(self, number: int) -> str | None:
        """Return line `number` (from 1) of the file as it is here, None if it is outside of the cell."""
        lines = self.text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        index = number - 1 - self.first
        return lines[index] if 0 <= index < len(lines) else None

    def find(self, place: Place) -> CodeType | None:
        """Compile the text under this Python and return the code at `place`; None if there is none.

        Raises:
            SyntaxError, ValueError: this Python does not compile it.
        """
        if self._found is None:
            self._found = {}
            flags = (self.flags & _FUTURE_FLAGS) | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                # The empty lines give everything the line numbers that it had.
                whole = compile("\n" * self.first + self.text, self.filename, "exec", flags, dont_inherit=True)
            self._found = dict(_within((whole,), ""))
        return self._found.get(place)


def _within(codes: Iterable[CodeType], around: Place) -> list[tuple[Place, CodeType]]:
    """Return the code in `codes` at all depths and where it is."""
    found: list[tuple[Place, CodeType]] = []
    inner = list(_directly_within(codes))
    if not inner:
        return found
    same: dict[tuple[str, int], list[CodeType]] = {}
    for code in inner:
        same.setdefault((code.co_name, code.co_firstlineno), []).append(code)
    for (name, line), codes_there in same.items():
        numbers = [0] if len(codes_there) == 1 else _numbers(codes_there)
        for number, code in zip(numbers, codes_there, strict=True):
            place = f"{around}/{name}:{line}:{number}:{max(numbers) + 1}"
            found.append((place, code))
            found += _within((code,), place)
    return found


def _numbers(codes: list[CodeType]) -> list[int]:
    """Number codes so that those which do the same have one number; some versions keep only one of them."""
    numbers: dict[Any, int] = {}
    return [numbers.setdefault(_content(code), len(numbers)) for code in codes]


def _content(code: CodeType) -> Any:
    constants = tuple(
        _content(value) if isinstance(value, CodeType) else (type(value), repr(value)) for value in code.co_consts
    )
    variables = (code.co_varnames, code.co_freevars, code.co_cellvars)
    return code.co_code, code.co_names, variables, code.co_argcount, code.co_kwonlyargcount, constants


def _directly_within(codes: Iterable[CodeType]) -> Iterator[CodeType]:
    """Yield the code in `codes`, and that in scopes which not every version has."""
    for code in codes:
        for constant in code.co_consts:
            if type(constant) is CodeType:
                if constant.co_name in _COMPREHENSIONS or constant.co_name.startswith(_TYPE_PARAMETERS):
                    yield from _directly_within((constant,))
                else:
                    yield constant


class _Reference(weakref.ref[Any]):
    """A reference that knows the id of what it referred to."""

    __slots__ = ("key",)

    key: int


class Sources:
    """Which source each code object and class of the session came from, for as long as these live."""

    def __init__(self) -> None:
        of: dict[int, tuple[_Reference, Source, Place]] = {}

        def forget(reference: weakref.ref[Any]) -> None:
            key: int = reference.key  # type: ignore[attr-defined]
            known = of.get(key)
            if known is not None and known[0] is reference:
                del of[key]

        self._of = of
        self._forget = forget
        self._bodies: dict[str, Source] = {}
        self._top: dict[str, list[weakref.ref[Source]]] = {}
        self._last = 0

    def compiled(self, codes: Iterable[CodeType], text: str, filename: str, first: int, flags: int) -> None:
        """Note that a cell was compiled; for one without functions or classes there is nothing to note."""
        codes = tuple(codes)
        if not any(type(constant) is CodeType for code in codes for constant in code.co_consts):
            return
        source = self._again(text, filename, first, flags)
        if source is None:
            source = Source(text, filename, first, self._last + 1, flags)
            self._enter(source)
        for place, code in _within(codes, ""):
            self._note(code, source, place)
            if not code.co_flags & _FUNCTION:
                # The code of a class's body is gone when it has run.
                self._bodies[_qualified_name(code)] = source

    def restored(self, code: CodeType, source: Source, place: Place) -> None:
        """Note that code came back."""
        self._last = max(self._last, source.order)
        self._note(code, source, place)
        for inner_place, inner in _within((code,), place):
            self._note(inner, source, inner_place)

    def restored_class(self, cls: type, source: Source) -> None:
        """Note that a class came back."""
        self._last = max(self._last, source.order)
        self._note(cls, source, "")

    def of_class(self, cls: type) -> Source | None:
        """Return the source of a class: the last cell that had a class of that name when the class was met first."""
        known = self._of.get(id(cls))
        if known is not None and known[0]() is cls:
            return known[1]
        name = "__qualname__" if _HAS_QUALIFIED_NAMES else "__name__"
        source = self._bodies.get(type.__getattribute__(cls, name))
        if source is not None:
            self._note(cls, source, "")
        return source

    def of(self, code: CodeType) -> Source | None:
        """Return the source of a code object."""
        known = self._of.get(id(code))
        return known[1] if known is not None and known[0]() is code else None

    def place_of(self, code: CodeType) -> tuple[Source, Place] | None:
        """Return the source of a code object and where in it the code is."""
        known = self._of.get(id(code))
        return known[1:] if known is not None and known[0]() is code else None

    def living(self) -> list[Source]:
        """Return the sources of all code and classes that live, the oldest first."""
        found = {id(source): source for _, source, _ in tuple(self._of.values())}
        return sorted(found.values(), key=lambda source: source.order)

    def _note(self, made: CodeType | type, source: Source, place: Place) -> None:
        reference = _Reference(made, self._forget)
        reference.key = id(made)
        self._of[reference.key] = (reference, source, place)

    def _again(self, text: str, filename: str, first: int, flags: int) -> Source | None:
        """Return the source of a cell that is run again as it was; not if another one lies over its lines by now."""
        for reference in self._top.get(filename, ()):
            source = reference()
            if source is not None and source.first == first and source.text == text and source.flags == flags:
                return source
        return None

    def _enter(self, source: Source) -> None:
        self._last = max(self._last, source.order)
        end = source.first + source.text.count("\n")
        top = []
        for reference in self._top.get(source.filename, ()):
            other = reference()
            if other is not None and (other.first > end or other.first + other.text.count("\n") < source.first):
                top.append(reference)
        top.append(weakref.ref(source))
        self._top[source.filename] = top


class MissingCode:
    """Stands for code that this Python can't run and can't make again.

    Attributes:
        reason: why, in words.
        used: whether a function took note of it.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        self.used = False


def packed(code: CodeType) -> bytes | None:
    """Return code in the form of this Python; None if it has constants that no compiler makes."""
    try:
        # Later forms depend on how many references there are to each part.
        return marshal.dumps(code, 2)
    except ValueError:
        return None


def unpacked(data: bytes) -> CodeType:
    """Return code from the form of this Python."""
    code: Any = marshal.loads(data)
    if not isinstance(code, types.CodeType):
        raise TypeError("what was saved as code is none")
    return code


def _qualified_name(code: CodeType) -> str:
    """Return a code's qualified name; before 3.11 its name."""
    name: str = getattr(code, "co_qualname", code.co_name)
    return name


Signature = tuple[str, tuple[str, ...], tuple[str, ...], tuple[str, ...]]


def signature(code: CodeType) -> Signature:
    """Return by what code of a library is known again: its names, arguments, free variables, and the names it uses."""
    count = code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & 4) + bool(code.co_flags & 8)
    return _qualified_name(code), code.co_varnames[:count], code.co_freevars, code.co_names


def compiled_again(source: Source, place: Place, free: tuple[str, ...]) -> CodeType | MissingCode:
    """Return what this Python makes of code that another one compiled from a cell."""
    try:
        code = source.find(place)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return MissingCode(f"this Python does not compile the cell that it was defined in: {error}")
    if code is None:
        return MissingCode("compiled under this Python, the cell that it was defined in has no such function")
    if code.co_freevars != free:
        return MissingCode("compiled under this Python, it uses other variables of the functions around it")
    return code


def found_in_library(module: str, wanted: Signature) -> CodeType | MissingCode:
    """Return the code of a library's function as the library has it here."""
    name, arguments, free, names = wanted
    missing = MissingCode(f"{module} has no function {name} like the one that was saved, under this Python")
    try:
        code: Any = importlib.import_module(module).__spec__.loader.get_code(module)  # type: ignore[union-attr]
    except (ImportError, AttributeError, OSError):
        return missing
    if code is None:
        return missing
    last = name.rpartition(".")[2]
    alike = [
        inner
        for _, inner in _within((code,), "")
        if inner.co_name == last and signature(inner)[1:3] == (arguments, free)
    ]
    exact = [inner for inner in alike if _qualified_name(inner) == name]
    # Before 3.11 code does not know its qualified name.
    found = exact or [inner for inner in alike if inner.co_names == names] or alike
    return found[0] if len(found) == 1 else missing
