"""How objects of the types that every session has are taken apart; the table is there before the first capture."""

from __future__ import annotations

import copyreg
import dataclasses
import functools
import gc
import os
import sys
import types
import typing
import weakref
from collections import OrderedDict
from pickle import PickleBuffer, PicklingError
from typing import TYPE_CHECKING, Any

from ..._cloudpickle import code_arguments
from .. import rebuild
from ..rebuild import payloads
from ..sources import MAGIC, packed, signature
from .registry import CannotKeep, Recipe

if TYPE_CHECKING:
    from ..pickler import ComponentPickler


def _code(pickler: ComponentPickler, code: types.CodeType) -> Any:
    data = packed(code)
    if data is None:
        return rebuild.packed_code, (MAGIC, code_arguments(code))
    known = pickler.session.sources.place_of(code)
    if known is not None:
        free = code.co_freevars
        return rebuild.sourced_code, (MAGIC, data, *known, free) if free else (MAGIC, data, *known)
    library = pickler.libraries.get(id(code))
    if library is None:
        return rebuild.packed_code, (MAGIC, data)
    return rebuild.library_code, (MAGIC, data, library, signature(code))


def _cell(pickler: ComponentPickler, cell: types.CellType) -> Any:
    if id(cell) in pickler.deferred:
        # The function in whose closure it lies sets the contents, once the function itself is known.
        return rebuild.make_cell, ()
    try:
        contents = cell.cell_contents
    except ValueError:
        return rebuild.make_cell, ()
    pickler.filled.add(id(cell))
    return rebuild.make_cell, (), contents, None, None, rebuild.set_cell


def _method(pickler: ComponentPickler, method: types.MethodType) -> Any:
    return rebuild.bound_method, (method.__func__, method.__self__)


def _wrapped(pickler: ComponentPickler, wrapper: Any) -> Any:
    function = wrapper.__func__
    if type(function) is types.FunctionType and function.__globals__.get(function.__qualname__) is wrapper:
        module = function.__globals__.get("__name__")
        if function.__globals__ is not pickler.session.namespace and type(module) is str and module in sys.modules:
            return pickler.known_as(rebuild.module_entry, (module, function.__qualname__), wrapper)
    state = {name: value for name, value in wrapper.__dict__.items() if name not in functools.WRAPPER_ASSIGNMENTS}
    made = rebuild.wrap_function, (type(wrapper), wrapper.__func__)
    if "__annotations__" in wrapper.__dict__:
        # Taken over from the function: a reference that pickling doesn't meet.
        pickler.weak[id(wrapper.__dict__["__annotations__"])] -= 1  # noqa: RUF063 - the very dict, not a copy
    return (*made, state, None, None, rebuild.set_dict) if state else made


def _property(pickler: ComponentPickler, prop: property) -> Any:
    return rebuild.make_property, (type(prop), (prop.fget, prop.fset, prop.fdel), prop.__doc__)


def _cached_property(pickler: ComponentPickler, prop: Any) -> Any:
    return rebuild.cached_property, (prop.func, prop.attrname, prop.__doc__)


def _cached_function(pickler: ComponentPickler, wrapper: Any) -> Any:
    if pickler.definitions_importable(wrapper):
        pickler.shared.add(id(wrapper))
        return NotImplemented
    parameters = wrapper.cache_parameters()
    arguments = (wrapper.__wrapped__, parameters["maxsize"], parameters["typed"])
    # The wrapper that is made gets a function of that name of its own.
    state = {name: value for name, value in wrapper.__dict__.items() if name != "cache_parameters"}
    return rebuild.cached_function, arguments, state, None, None, rebuild.set_dict


def _new_type(pickler: ComponentPickler, new_type: Any) -> Any:
    if pickler.definitions_importable(new_type):
        pickler.shared.add(id(new_type))
        return NotImplemented
    names = {name: getattr(new_type, name) for name in ("__module__", "__qualname__")}
    return rebuild.new_type, (new_type.__name__, new_type.__supertype__, names)


def _underlying(view: Any) -> Any:
    """Return the mapping that a proxy or a dict view shows."""
    (mapping,) = gc.get_referents(view)
    return mapping


def _mapping_proxy(pickler: ComponentPickler, proxy: Any) -> Any:
    if proxy is _EMPTY_METADATA:
        return pickler.known_as(rebuild.global_object, ("dataclasses", "_EMPTY_METADATA"), proxy)
    return rebuild.mapping_proxy, (_underlying(proxy),)


_EMPTY_METADATA = getattr(dataclasses, "_EMPTY_METADATA", None)


def _dict_view(pickler: ComponentPickler, view: Any) -> Any:
    kind = type(view).__name__.rpartition("_")[2]
    return rebuild.dict_view, (_underlying(view), kind)


def _getset(pickler: ComponentPickler, descriptor: Any) -> Any:
    return rebuild.class_attribute, (descriptor.__objclass__, descriptor.__name__)


def _weak_reference(pickler: ComponentPickler, reference: Any) -> Any:
    referent = reference()
    if referent is None:
        return rebuild.dead_weak_reference, ()
    pickler.weak[id(referent)] += 1
    return rebuild.weak_reference, (referent, reference.__callback__)


def _weak_proxy(pickler: ComponentPickler, proxy: Any) -> Any:
    referent = proxy.__init__.__self__
    pickler.weak[id(referent)] += 1
    return rebuild.weak_proxy, (referent,)


def _weak_set(pickler: ComponentPickler, collection: Any) -> Any:
    members = list(collection)
    pickler.weak.update(map(id, members))
    return rebuild.weak_collection, (type(collection), members)


def _weak_dictionary(pickler: ComponentPickler, collection: Any) -> Any:
    items = list(collection.items())
    pickler.weak.update(id(pair[isinstance(collection, weakref.WeakValueDictionary)]) for pair in items)
    made = rebuild.weak_collection, (type(collection), items)
    if collection.__dict__.get("_dirty_len"):
        # Something was taken out of it. Python notes that, and it stays noted.
        return (*made, {"_dirty_len": True}, None, None, rebuild.set_dict)
    return made


def _dataclass_parameters(pickler: ComponentPickler, parameters: Any) -> Any:
    names = type(parameters).__slots__
    return rebuild.dataclass_parameters, ({name: getattr(parameters, name) for name in names},)


def _field(pickler: ComponentPickler, field: Any) -> Any:
    new: Any = copyreg.__newobj__  # type: ignore[attr-defined]  # not in the stubs
    state = {name: getattr(field, name) for name in type(field).__slots__ if hasattr(field, name)}
    return new, (type(field),), state, None, None, rebuild.set_known_slots


def _field_kind(pickler: ComponentPickler, sentinel: Any) -> Any:
    return pickler.known_as(rebuild.global_object, ("dataclasses", sentinel.name), sentinel)


def _lock(pickler: ComponentPickler, lock: Any) -> Any:
    kind = "RLock" if isinstance(lock, _RLOCK) else "Lock"
    # The only way to know of an RLock in every version whether another thread holds it.
    if repr(lock).startswith("<locked"):
        raise CannotKeep("it is held right now", "release it before the cell ends")
    return rebuild.lock, (kind,)


_LOCK = type(rebuild.lock("Lock"))
_RLOCK = type(rebuild.lock("RLock"))


def _about_python(pickler: ComponentPickler, thing: Any) -> Any:
    """``sys.version_info`` and its like: of the Python that runs, not of the one that ran."""
    for name, value in vars(sys).items():
        if value is thing:
            return pickler.known_as(rebuild.module_entry, ("sys", name), thing)
    return NotImplemented


def _environment(pickler: ComponentPickler, environment: Any) -> Any:
    return (rebuild.global_object, ("os", "environ")) if environment is os.environ else NotImplemented


def _memory_view(pickler: ComponentPickler, view: memoryview) -> Any:
    owner: Any = view.obj
    whole = memoryview(owner)
    if (view.shape, view.strides, view.format) == (whole.shape, whole.strides, whole.format):
        # A part of the same shape would be the whole.
        return rebuild.whole_memory_view, (owner, view.readonly)
    if not view.c_contiguous or view.format.lstrip("@") not in _NATIVE:
        raise PicklingError("a memoryview with steps or of structures can't be saved")
    if view.readonly and isinstance(owner, bytes):
        return payloads.bytes_view, (PickleBuffer(view), view.format, view.shape)
    return rebuild.memory_view, (
        owner, _address(view) - _address(memoryview(owner)), view.nbytes, view.format, view.shape, view.readonly,
    )  # fmt: skip


_NATIVE = frozenset("cbB?hHiIlLqQnNfdP")


def _address(view: memoryview) -> int:
    if not view.nbytes:
        return 0
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        address: int = numpy.frombuffer(view, numpy.uint8).__array_interface__["data"][0]
        return address
    import ctypes

    if view.readonly:
        raise PicklingError("a read-only memoryview of a writable buffer can't be saved")
    return ctypes.addressof(ctypes.c_char.from_buffer(view))


def exception(pickler: ComponentPickler, error: BaseException) -> Any:
    """Take an exception apart: its arguments, attributes, cause and context; the traceback's frames are not kept."""
    cls = type(error)
    if cls.__reduce__ is not BaseException.__reduce__ or cls.__reduce_ex__ is not object.__reduce_ex__:
        return NotImplemented
    if "__setstate__" in vars(cls) or cls.__setstate__ is not BaseException.__setstate__:
        return NotImplemented
    state = {
        "dict": error.__dict__,
        "cause": error.__cause__,
        "context": error.__context__,
        "suppress": error.__suppress_context__,
    }
    if pickler.definitions_importable(cls):
        made: Any = (cls, error.args)
    else:
        made = (rebuild.make_exception, (cls, error.args))
    return (*made, state, None, None, rebuild.chain_exception)


def _generator(pickler: ComponentPickler, generator: Any) -> Any:
    from . import generators

    return generators.reduce_generator(pickler, generator)


RECIPES: dict[type, Recipe] = {
    types.GeneratorType: _generator,
    types.CoroutineType: _generator,
    types.AsyncGeneratorType: _generator,
    types.CodeType: _code,
    types.CellType: _cell,
    types.MethodType: _method,
    staticmethod: _wrapped,
    classmethod: _wrapped,
    property: _property,
    functools.cached_property: _cached_property,
    typing.NewType: _new_type,
    functools._lru_cache_wrapper: _cached_function,
    types.MappingProxyType: _mapping_proxy,
    type({}.keys()): _dict_view,
    type({}.values()): _dict_view,
    type({}.items()): _dict_view,
    type(OrderedDict().keys()): _dict_view,
    type(OrderedDict().values()): _dict_view,
    type(OrderedDict().items()): _dict_view,
    types.GetSetDescriptorType: _getset,
    types.MemberDescriptorType: _getset,
    weakref.ReferenceType: _weak_reference,
    weakref.ProxyType: _weak_proxy,
    weakref.CallableProxyType: _weak_proxy,
    weakref.WeakSet: _weak_set,
    weakref.WeakKeyDictionary: _weak_dictionary,
    weakref.WeakValueDictionary: _weak_dictionary,
    dataclasses._DataclassParams: _dataclass_parameters,  # type: ignore[attr-defined]
    dataclasses.Field: _field,
    type(dataclasses._FIELD): _field_kind,  # type: ignore[attr-defined]
    _LOCK: _lock,
    _RLOCK: _lock,
    type(os.environ): _environment,
    **{
        type(value): _about_python
        for value in (sys.version_info, sys.flags, sys.float_info, sys.int_info, sys.hash_info, sys.thread_info)
    },
    memoryview: _memory_view,
}
"""By exact type."""
