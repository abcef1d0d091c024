"""The functions that pickles name: what a stored component is rebuilt with.

Stored states name these functions, so a name and the meaning of its arguments never change; new needs get new names.
They are pickled under the module name that the package has in the kernel, whatever it was imported as here. What only
a few sessions need lies in submodules, each of which is imported when a pickle names it.
Some of them only stand for what the restore in progress supplies (`member`, `namespace`, `session_module`,
`make_function`): the unpickler replaces them.
"""

from __future__ import annotations

import abc
import builtins
import functools
import importlib
import io
import sys
import threading
import types
import typing
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from .. import sources

MODULE = "_holdfast_kernel.capture.rebuild"
for _depth in range(3):
    # The package and its parents under their name in the kernel; there this changes nothing.
    sys.modules.setdefault(MODULE.rsplit(".", _depth)[0], sys.modules[__name__.rsplit(".", _depth)[0]])


def give_names(variables: dict[str, Any]) -> None:
    """Let the functions of a module of this package be pickled under its name in the kernel; the last thing it does."""
    here: str = variables["__name__"]
    name = MODULE + here[len(__name__) :]
    sys.modules.setdefault(name, sys.modules[here])
    for function in tuple(variables.values()):
        if isinstance(function, types.FunctionType) and function.__module__ == here:
            function.__module__ = name


def find(module: str, name: str) -> Any:
    """Return a function that a pickle names as a global of `module`, a submodule of this one."""
    return getattr(importlib.import_module(__name__ + module[len(MODULE) :]), name)


class Unavailable(Exception):
    """What a saved object stood for is not there any more; the message says so to the user."""


destructive: list[Callable[[], object]] = []
"""How to disarm what the load in progress has made that removes files when it goes, in case the load fails."""
STEP = object()
"""The value of a pickle that is no member of its component, but a step on the way to one; see `deep`."""


# -- supplied by the restore in progress


def member(hidden: str) -> Any:
    """Return the definition with this hidden id."""
    raise RuntimeError(f"{hidden!r} can only be loaded while a session is restored")


def namespace() -> dict[str, Any]:
    """Return the session's namespace."""
    return vars(sys.modules["__main__"])


def session_module() -> types.ModuleType:
    """Return the session's ``__main__``."""
    return sys.modules["__main__"]


# -- functions


def make_code(*arguments: Any) -> types.CodeType:
    """Return a code object from the arguments of this Python version's ``types.CodeType``."""
    return types.CodeType(*arguments)


def make_source(text: str, filename: str, first: int, order: int, flags: int) -> sources.Source:
    """Return the source of a cell."""
    return sources.Source(text, filename, first, order, flags)


def packed_code(magic: int, data: bytes | tuple[Any, ...]) -> types.CodeType | sources.MissingCode:
    """Return code that only the Python with bytecode number `magic` can run.

    Args:
        data: its `marshal` form, or the arguments of ``types.CodeType`` there.
    """
    if magic == sources.MAGIC:
        return types.CodeType(*data) if isinstance(data, tuple) else sources.unpacked(data)
    return sources.MissingCode("it was compiled from something other than a cell, by another version of Python")


def sourced_code(
    magic: int, data: bytes, source: sources.Source, place: sources.Place, free: tuple[str, ...] = ()
) -> types.CodeType | sources.MissingCode:
    """Return code that was compiled from a cell.

    Args:
        free: names of the variables of surrounding functions which it uses, in the order of the closure.
    """
    return sources.unpacked(data) if magic == sources.MAGIC else sources.compiled_again(source, place, free)


def library_code(
    magic: int, data: bytes, module: str, signature: sources.Signature
) -> types.CodeType | sources.MissingCode:
    """Return code of an importable module: under another Python, what that module has under the same name there.

    Args:
        signature: the function's name (qualified, if the Python that saved it knew that), and the names of its
            arguments, of its free variables, and of the globals and attributes that it uses.
    """
    if magic == sources.MAGIC:
        return sources.unpacked(data)
    return sources.found_in_library(module, signature)


def make_cell() -> types.CellType:
    """Return an empty cell."""
    return types.CellType()


def set_cell(cell: types.CellType, contents: Any) -> None:
    """Fill a cell."""
    cell.cell_contents = contents


def module_globals(name: str) -> dict[str, Any]:
    """Return the namespace of an importable module."""
    return vars(importlib.import_module(name))


def make_function(
    code: types.CodeType, variables: dict[str, Any], name: str, closure: tuple[types.CellType, ...] | None
) -> types.FunctionType:
    """Return a function over `variables`; its cells may still be empty."""
    return types.FunctionType(code, variables, name, None, closure)


def set_function_state(function: types.FunctionType, state: dict[str, Any]) -> None:
    """Set attributes.

    Args:
        state: ``cells`` holds ``(contents,)``, or ``()`` for an empty cell, for each cell of the closure;
            ``"\\0annotations"``, beside ``__annotate__``, the annotations as texts.
    """
    state.pop("\0annotations", None)
    for cell, contents in zip(function.__closure__ or (), state.pop("cells", ()), strict=True):
        if contents:
            cell.cell_contents = contents[0]
    function.__dict__.update(state.pop("dict", {}))
    for name, value in state.items():
        setattr(function, name, value)


# -- classes


def make_class(metaclass: type, name: str, bases: tuple[type, ...], layout: dict[str, Any]) -> type:
    """Return a class with nothing in it; no code of metaclasses or bases runs: it ran when the class was made.

    Args:
        layout: ``__module__``, ``__qualname__`` and, if the class has them, ``__slots__``; ``__class__`` stands for a
            property of that name, which can't be set later.
    """
    if "__class__" in layout:
        layout = {**layout, "__class__": property()}
    with _no_init_subclass(bases):
        made: type = _native_new(metaclass)(metaclass, name, bases, dict(layout))
    if isinstance(made, abc.ABCMeta):
        abc._abc_init(made)  # type: ignore[attr-defined]
    return made


def _native_new(cls: type) -> Callable[..., Any]:
    """Return the ``__new__`` of the nearest base in C: the ones in Python are user code."""
    for base in cls.__mro__:
        new = base.__dict__.get("__new__")
        if isinstance(new, types.BuiltinFunctionType):
            return new
    return object.__new__


_CREATION = threading.RLock()


@contextmanager
def _no_init_subclass(bases: tuple[type, ...]) -> Iterator[None]:
    """Put the bases' ``__init_subclass__`` aside: it has side effects, and the class's body isn't there yet."""
    with _CREATION:
        aside = [
            (owner, owner.__dict__["__init_subclass__"])
            for owner in dict.fromkeys(base for direct in bases for base in direct.__mro__)
            if owner is not object and "__init_subclass__" in owner.__dict__
        ]
        try:
            for owner, _ in aside:
                _set_on_class(owner, "__init_subclass__", classmethod(_ignore))
            yield
        finally:
            for owner, original in aside:
                _set_on_class(owner, "__init_subclass__", original)


def _ignore(cls: type, /, **options: Any) -> None:
    """Stand in for an ``__init_subclass__``."""


def _set_on_class(cls: type, name: str, value: Any) -> None:
    try:
        type.__setattr__(cls, name, value)
    except TypeError:
        # A metaclass in C with its own setattr insists on it.
        setattr(cls, name, value)


def set_class_state(cls: type, state: dict[str, Any]) -> None:
    """Fill a class's namespace.

    Args:
        state: its namespace; ``"\\0registered"`` holds the virtual subclasses of an abstract class, ``"\\0source"`` the
            cell that defined it, if one did, ``"\\0annotations"``, beside ``__annotate__``, the annotations as texts.
    """
    state.pop("\0source", None)
    state.pop("\0annotations", None)
    registered = state.pop("\0registered", ())
    shown = state.pop("__class__", None)
    if shown is not None:
        cls.__dict__["__class__"].__init__(shown.fget, shown.fset, shown.fdel, shown.__doc__)
    for name, value in state.items():
        _set_on_class(cls, name, value)
    for subclass in registered:
        abc._abc_register(cls, subclass)  # type: ignore[attr-defined]


def make_enum_member(cls: Any, arguments: tuple[Any, ...]) -> Any:
    """Return a member of an enumeration that is itself just being rebuilt."""
    return _native_new(cls)(cls, *arguments)


def enum_member(cls: Any, name: str) -> Any:
    """Return a member of an enumeration by its name."""
    return cls._member_map_[name]


def class_attribute(cls: type, name: str) -> Any:
    """Return what lies in a class's own namespace, descriptors as they are."""
    return cls.__dict__[name]


def builtin_type(name: str) -> Any:
    """Return a type of the interpreter that only the module `types` names."""
    return getattr(types, name)


def make_type_variable(kind: str, name: str, constraints: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """Return a new ``TypeVar``, ``ParamSpec`` or ``TypeVarTuple``."""
    return getattr(typing, kind)(name, *constraints, **options)


def set_module(variable: Any, module: str) -> None:
    """Set the module a type variable says it comes from."""
    variable.__module__ = module


# -- modules


def import_module(name: str, *submodules: str) -> types.ModuleType:
    """Import a module by its full name, and those of its submodules that are to be its attributes."""
    module = importlib.import_module(name)
    for submodule in submodules:
        importlib.import_module(submodule)
    return module


def new_type(name: str, supertype: Any, names: dict[str, Any]) -> Any:
    """Return what ``typing.NewType`` makes; by itself it is pickled as the variable that it is bound to."""
    make: Any = typing.NewType
    made = make(name, supertype)
    for attribute, value in names.items():
        setattr(made, attribute, value)
    return made


def make_module(name: str, doc: str | None) -> types.ModuleType:
    """Return an empty module that is in no file."""
    module = types.ModuleType(name, doc)
    module.__dict__["__builtins__"] = builtins
    return module


def make_registered_module(name: str, doc: str | None) -> types.ModuleType:
    """Return an empty module that is in no file, and that imports of its name find from now on."""
    module = make_module(name, doc)
    sys.modules[name] = module
    return module


def set_module_state(module: types.ModuleType, state: dict[str, Any]) -> None:
    """Fill a module's namespace."""
    module.__dict__.update(state)


def global_object(module: str, path: str) -> Any:
    """Return an object that is known by where it lives: a sentinel, ``os.environ``."""
    found: Any = importlib.import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    return found


def module_entry(module: str, name: str) -> Any:
    """Return a global of a module by its key, which may be no identifier."""
    return vars(importlib.import_module(module))[name]


def set_known_slots(made: Any, state: dict[str, Any]) -> None:
    """Set the attributes that objects of this type have under this Python."""
    for name, value in state.items():
        if hasattr(type(made), name):
            setattr(made, name, value)


def dataclass_parameters(values: dict[str, bool]) -> Any:
    """Return the options of a dataclass as this Python's `dataclasses` keeps them."""
    import dataclasses

    kind: Any = dataclasses._DataclassParams  # type: ignore[attr-defined]
    return kind(**{name: values.get(name, name == "match_args") for name in kind.__slots__})


# -- small things


def begun_object(cls: Any, attributes: dict[str, Any]) -> Any:
    """Return an instance with some of its attributes; its whole state follows."""
    made = cls.__new__(cls)
    for name, value in attributes.items():
        object.__setattr__(made, name, value)
    return made


def bare_object(cls: Any) -> Any:
    """Return an instance without attributes; no ``__new__`` of Python code runs."""
    return _native_new(cls)(cls)


def native_object(cls: Any, *arguments: Any) -> Any:
    """Return what the nearest ``__new__`` in C makes of arguments; none of Python code runs."""
    return _native_new(cls)(cls, *arguments)


def set_attributes(made: Any, attributes: dict[str, Any]) -> None:
    """Set attributes, those in slots as well, past any ``__setattr__`` and ``__setstate__``."""
    for name, value in attributes.items():
        object.__setattr__(made, name, value)


def set_state(made: Any, state: Any) -> None:
    """Set the state that Python gives objects, a dict and maybe slots, and ask nothing of the object."""
    attributes, slots = state if type(state) is tuple else (state, None)
    if attributes:
        object.__getattribute__(made, "__dict__").update(
            {sys.intern(name) if type(name) is str else name: value for name, value in attributes.items()}
        )
    for name, value in (slots or {}).items():
        object.__setattr__(made, name, value)


def set_contents(made: Any, state: tuple[dict[str, Any], list[Any]]) -> None:
    """Fill a list, dict or set that watches itself: its attributes first, then its items, past its own methods."""
    attributes, items = state
    made.__dict__.update(attributes)
    if isinstance(made, list):
        list.extend(made, items)
    elif isinstance(made, dict):
        dict.update(made, items)
    else:
        set.update(made, items)


def bound_method(function: Any, owner: Any) -> types.MethodType:
    """Return a method bound to its object."""
    return types.MethodType(function, owner)


def nothing() -> None:
    """Return None, in place of what is made again when it is needed."""


def mapping_proxy(mapping: Any) -> Any:
    """Return a read-only view of a mapping."""
    return types.MappingProxyType(mapping)


def dict_view(mapping: dict[Any, Any], kind: str) -> Any:
    """Return ``keys``, ``values`` or ``items`` of a dict."""
    return getattr(mapping, kind)()


def wrap_function(kind: type, function: Any) -> Any:
    """Return a ``staticmethod`` or ``classmethod`` (or subclass) around a function."""
    return kind(function)


def make_property(kind: type, parts: tuple[Any, Any, Any], doc: Any) -> Any:
    """Return a property."""
    return kind(*parts, doc)


def cached_property(function: Any, attribute: str | None, doc: str | None) -> Any:
    """Return a ``functools.cached_property``; its cache lies in the instances."""
    made = functools.cached_property(function)
    made.attrname = attribute
    made.__doc__ = doc
    return made


def cached_function(function: Any, maxsize: int | None, typed: bool) -> Any:
    """Return an ``lru_cache`` wrapper with an empty cache."""
    return functools.lru_cache(maxsize, typed)(function)


def set_dict(made: Any, state: dict[str, Any]) -> None:
    """Set an object's instance dict, past any ``__setstate__``."""
    made.__dict__.update(state)


def weak_reference(referent: Any, callback: Any) -> Any:
    """Return a weak reference; dead at once if nothing else in the session holds the object."""
    return weakref.ref(referent) if callback is None else weakref.ref(referent, callback)


def dead_weak_reference() -> Any:
    """Return a weak reference whose object is gone."""

    class Gone:
        pass

    return weakref.ref(Gone())


def weak_proxy(referent: Any) -> Any:
    """Return a weak proxy."""
    return weakref.proxy(referent)


def weak_collection(kind: type, items: Iterable[Any]) -> Any:
    """Return a ``WeakSet``, ``WeakKeyDictionary`` or ``WeakValueDictionary``."""
    return kind(items)


def memory_view(owner: Any, offset: int, length: int, format: Any, shape: tuple[int, ...], readonly: bool) -> Any:
    """Return a contiguous view of `length` bytes of an object's buffer."""
    view = memoryview(owner).cast("B")[offset : offset + length]
    if readonly:
        view = view.toreadonly()
    return view.cast(format, shape) if format != "B" or len(shape) != 1 else view


def whole_memory_view(owner: Any, readonly: bool) -> memoryview:
    """Return a view of all of an object's buffer."""
    view = memoryview(owner)
    return view.toreadonly() if readonly else view


def lock(kind: str) -> Any:
    """Return a fresh ``Lock`` or ``RLock``; nobody holds it."""
    return getattr(threading, kind)()


def system_stream(name: str) -> io.TextIOBase:
    """Return the process's ``stdout``, ``stderr`` or ``stdin``."""
    stream: io.TextIOBase = getattr(sys, name)
    return stream


def chain_exception(error: BaseException, state: dict[str, Any]) -> None:
    """Set an exception's cause, context and attributes; tracebacks are not kept."""
    error.__dict__.update(state["dict"])
    error.__cause__ = state["cause"]
    error.__context__ = state["context"]
    error.__suppress_context__ = state["suppress"]


def make_exception(cls: type[BaseException], arguments: tuple[Any, ...]) -> BaseException:
    """Return an exception of a session class; its ``__init__`` has run when it was made and takes who knows what."""
    error: BaseException = _native_new(cls)(cls, *arguments)
    error.args = arguments
    return error


def registered(load: Callable[[Any], Any], state: Any) -> Any:
    """Return an object of a type that the user registered, from what the save function returned."""
    return load(state)


# -- arrays


ZERO_COPY_BYTES = 1 << 16
"""Smaller arrays get memory of their own, so that one of them doesn't keep a whole received frame alive."""

mapped: dict[int, weakref.ref[Any]] = {}
"""Arrays that live in received buffers, by id: as far as captures are concerned they own their memory."""


def array(cls: Any, dtype: Any, shape: tuple[int, ...], strides: tuple[int, ...], writeable: bool, buffer: Any) -> Any:
    """Return an array that owns its memory, with the memory layout it had."""
    import numpy

    view = memoryview(buffer)
    made = numpy.ndarray.__new__(cls, shape, dtype, view, 0, strides)
    if view.nbytes >= ZERO_COPY_BYTES and not view.readonly and made.flags.aligned:
        mapped[id(made)] = weakref.ref(made, functools.partial(_forget_mapped, id(made)))
    else:
        made = made.copy(order="K")
    if not writeable:
        made.flags.writeable = False
    return made


def _forget_mapped(key: int, _: Any) -> None:
    mapped.pop(key, None)


def object_array(cls: Any, shape: tuple[int, ...], axes: tuple[int, ...]) -> Any:
    """Return an array of None with the axes laid out in memory in the given order."""
    import numpy

    inverse = sorted(range(len(axes)), key=axes.__getitem__)
    proto = numpy.empty([shape[axis] for axis in axes], dtype=object).transpose(inverse)
    return proto.copy(order="K").view(cls) if cls is not numpy.ndarray else proto.copy(order="K")


def fill_object_array(made: Any, state: tuple[list[Any], bool]) -> None:
    """Set the items, in memory order, and then the writeable flag."""
    items, writeable = state
    flat = made.ravel(order="K")
    for index, item in enumerate(items):
        flat[index] = item
    if not writeable:
        made.flags.writeable = False


def array_view(
    cls: Any,
    root: Any,
    offset: int,
    dtype: Any,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    writeable: bool,
) -> Any:
    """Return a view of `root`, an array that owns its memory or another object with a buffer; `offset` in bytes."""
    import numpy

    if not isinstance(root, numpy.ndarray):
        made = numpy.ndarray.__new__(cls, shape, dtype, root, offset, strides)
    elif dtype.hasobject:
        flat = root.ravel(order="K")[offset // dtype.itemsize :]
        made = numpy.lib.stride_tricks.as_strided(flat, shape, strides)
        made = made if cls is numpy.ndarray else made.view(cls)
    else:
        memory = root.view(numpy.ndarray).ravel(order="K").view(numpy.uint8)
        made = numpy.ndarray.__new__(cls, shape, dtype, memory, offset, strides)
    if made.flags.writeable != writeable:
        _set_writeable(made, root, writeable)
    return made


def _set_writeable(made: Any, root: Any, writeable: bool) -> None:
    """A view may still be writeable when its owner is not any more: open the owner for a moment."""
    if not writeable or getattr(root, "flags", None) is None:
        made.flags.writeable = False
        return
    root.flags.writeable = True
    made.base.flags.writeable = True
    made.flags.writeable = True
    root.flags.writeable = False


def block(make: Callable[..., Any], arguments: tuple[Any, ...], references: Any) -> Any:
    """Return a block of a pandas frame, one of those that share their values if others have the same references."""
    made = make(*arguments)
    if references is not None:
        made.refs = references
        references.add_reference(made)
    return made


def block_references() -> Any:
    """Return pandas' list of the blocks that share their values; None if this pandas has none."""
    internals: Any = importlib.import_module("pandas._libs.internals")
    kind = getattr(internals, "BlockValuesRefs", None)
    return None if kind is None else kind()


def set_index_references(index: Any, references: Any) -> None:
    """Let an index be one of those that share their values."""
    if references is not None and hasattr(index, "_references"):
        index._references = references
        references.add_index_reference(index)


give_names(globals())
