"""How functions, classes, enumeration members, modules and type variables of the session are taken apart.

cloudpickle's reducers for these run metaclasses and ``__init_subclass__`` again when they are loaded, drop slots and
the aliases of enumerations, copy globals, and split cells that closures share; hence these.
"""

from __future__ import annotations

import abc
import pickle
import sys
import types
from typing import TYPE_CHECKING, Any

from . import rebuild
from .names import names_of_function
from .recipes.registry import CannotKeep
from .sources import Source

if TYPE_CHECKING:
    from .pickler import ComponentPickler


class Token:
    """Stands in a reduce value for something that the restore supplies."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.reduced = (function, arguments)


def reduce_token(pickler: ComponentPickler, token: Token) -> Any:
    """Return what the token stands for."""
    return token.reduced


def reduce_function(pickler: ComponentPickler, function: types.FunctionType) -> Any:
    """Point at a function of another component; take one of our own apart, over its real cells and globals."""
    if pickler.definitions_importable(function):
        return NotImplemented
    pointer = pickler.point_at(function)
    if pointer is not None:
        return pointer
    code, variables = function.__code__, function.__globals__
    if variables is pickler.session.namespace:
        scope: Any = pickler.session.namespace_token
        used = names_of_function(code)
        pickler.names |= used.names
        pickler.dynamic = pickler.dynamic or used.dynamic
    else:
        name = variables.get("__name__")
        module = sys.modules.get(name) if isinstance(name, str) else None
        known = module is not None and module.__dict__ is variables
        scope = Token(rebuild.module_globals, name) if known else variables
        if known and name is not None:
            pickler.libraries[id(code)] = name
        if not known:
            # A reference that pickling doesn't meet.
            holder: Any = function  # not every version of the type stubs knows the attribute
            pickler.weak[id(holder.__builtins__)] -= 1
    if function.__closure__:
        pickler.deferred.update(map(id, function.__closure__))
    arguments = (code, scope, function.__name__, function.__closure__)
    state = _function_state(pickler, function)
    return rebuild.make_function, arguments, state, None, None, rebuild.set_function_state


def _function_state(pickler: ComponentPickler, function: types.FunctionType) -> dict[str, Any]:
    state: dict[str, Any] = {"__qualname__": function.__qualname__, "__module__": function.__module__}
    if function.__closure__:
        state["cells"] = tuple([_contents(pickler, cell) for cell in function.__closure__])
    for name in ("__defaults__", "__kwdefaults__", "__doc__"):
        value = getattr(function, name)
        if value is not None:
            state[name] = value
    if function.__dict__:
        state["dict"] = function.__dict__
    annotate = getattr(function, "__annotate__", None)
    if annotate is not None:
        # From 3.14 annotations are made when asked for, by a function of their own that only this one points at.
        pickler.own.setdefault(pickler.session.definitions.hidden_of(annotate), annotate)
        state["__annotate__"] = annotate
        state["\0annotations"] = _annotation_texts(annotate, function)
    else:
        annotations = function.__annotations__
        # An empty one may be shared with a wrapper; two references are the function's and this variable's.
        if annotations or sys.getrefcount(annotations) > 3:
            state["__annotations__"] = annotations
    type_params = getattr(function, "__type_params__", None)
    if type_params:
        state["__type_params__"] = type_params
    return state


def _contents(pickler: ComponentPickler, cell: types.CellType) -> tuple[Any, ...]:
    if id(cell) in pickler.filled:
        # One reference, met once: references are counted.
        return ()
    pickler.filled.add(id(cell))
    try:
        return (cell.cell_contents,)
    except ValueError:
        return ()


_BUILTIN_TYPES = {kind: name for name, kind in vars(types).items() if isinstance(kind, type)}
_SINGLETON_TYPES = (type(None), type(...), type(NotImplemented))
# ``__slotnames__`` is a cache of `copyreg`.
_MADE_WITH_CLASS = frozenset({"__dict__", "__weakref__", "__module__", "__qualname__", "_abc_impl", "__slotnames__"})


def reduce_class(pickler: ComponentPickler, cls: Any) -> Any:
    """Point at a class of another component; take one of our own apart: what ``type.__new__`` needs, and the rest."""
    if cls in _SINGLETON_TYPES or pickler.definitions_importable(cls):
        return NotImplemented
    if cls in _BUILTIN_TYPES:
        return rebuild.builtin_type, (_BUILTIN_TYPES[cls],)
    if not cls.__flags__ & 1 << 9:  # Py_TPFLAGS_HEAPTYPE: made by a class statement, not by the interpreter
        for name, value in vars(sys.modules["_collections_abc"]).items():
            if value is cls:
                # It names the types of iterators, which have no other name.
                return rebuild.module_entry, ("_collections_abc", name)
        raise pickle.PicklingError(f"the type {cls.__qualname__} of {cls.__module__} can't be imported")
    pointer = pickler.point_at(cls)
    if pointer is not None:
        return pointer
    if type(cls).__module__ == "_ctypes":
        raise CannotKeep(
            "ctypes makes its classes in a way that can't be repeated",
            "define it in the cell that uses it, and keep the values of its fields",
        )
    made_by_slots = {
        name
        for name, value in cls.__dict__.items()
        if isinstance(value, types.MemberDescriptorType) and value.__objclass__ is cls
    }
    layout: dict[str, Any] = {"__module__": cls.__module__, "__qualname__": cls.__qualname__}
    if "__slots__" in cls.__dict__:
        special = [name for name in ("__dict__", "__weakref__") if name in cls.__dict__]
        layout["__slots__"] = (*_in_order(cls, made_by_slots), *special)
    if type(cls.__dict__.get("__class__")) is property:
        layout["__class__"] = None
    if not isinstance(layout["__module__"], str):
        del layout["__module__"]
    arguments = (type(cls), cls.__name__, cls.__bases__, layout)
    state = {
        name: value
        for name, value in cls.__dict__.items()
        if name not in made_by_slots and name not in _MADE_WITH_CLASS
    }
    if "__module__" not in layout and "__module__" in cls.__dict__:
        state["__module__"] = cls.__dict__["__module__"]
    _adapt_annotations(pickler, cls, state)
    if isinstance(cls, abc.ABCMeta):
        registered = [reference() for reference in abc._get_dump(cls)[0]]  # type: ignore[attr-defined]
        state["\0registered"] = [subclass for subclass in registered if subclass is not None]
        pickler.weak.update(map(id, registered))
    source = pickler.session.sources.of_class(cls)
    if source is not None:
        state["\0source"] = source
    return rebuild.make_class, arguments, state, None, None, rebuild.set_class_state


def _in_order(cls: type, names: set[str]) -> list[str]:
    """Return the names of a class's slots in the order of its namespace."""
    return [name for name in cls.__dict__ if name in names]


def _adapt_annotations(pickler: ComponentPickler, cls: type, state: dict[str, Any]) -> None:
    """From 3.14 a class keeps the function that makes its annotations, and a cache, under names of their own."""
    cached = state.pop("__annotations_cache__", None)
    annotate = state.pop("__annotate_func__", None)
    if annotate is not None:
        pickler.own.setdefault(pickler.session.definitions.hidden_of(annotate), annotate)
        state["__annotate__"] = annotate
        state["\0annotations"] = _annotation_texts(annotate, cls)
    elif cached:
        state["__annotations__"] = cached


def _annotation_texts(annotate: Any, owner: Any) -> dict[str, str]:
    """Return annotations as they are written: what a Python before 3.14 makes its annotations of."""
    import annotationlib  # type: ignore[import-not-found]  # of 3.14

    try:
        texts: dict[str, str] = annotationlib.call_annotate_function(annotate, annotationlib.Format.STRING, owner=owner)
    except Exception:  # noqa: BLE001 - a function of the user's that knows no texts; under this Python it comes back whole
        return {}
    code = getattr(annotate, "__code__", None)
    if code is None:
        return texts
    # What stands in quotes is a constant of the code; what is a name, or made of names, is not.
    literal = {constant for constant in code.co_consts if type(constant) is str} - {*code.co_names, *code.co_freevars}
    return {name: repr(text) if text in literal else text for name, text in texts.items()}


def reduce_enum_member(pickler: ComponentPickler, member: Any) -> Any:
    """Return a member by name from its class, or as an object where the class itself is pickled."""
    cls = type(member)
    definitions = pickler.session.definitions
    if not definitions.importable(cls):
        if definitions.hidden_of(cls) in pickler.own:
            taken_apart: Any = object.__reduce_ex__(member, 2)
            _, (_, *arguments), state, *_ = taken_apart
            return rebuild.make_enum_member, (cls, tuple(arguments)), state, None, None, rebuild.set_dict
        if cls._member_map_.get(member._name_) is member:
            return rebuild.enum_member, (cls, member._name_)
    return NotImplemented


def reduce_module(pickler: ComponentPickler, module: types.ModuleType) -> Any:
    """Return a module by name, the session's own as itself, and one that is in no file by its namespace."""
    if module is pickler.session.module:
        return rebuild.session_module, ()
    if pickler.session.definitions.importable(module):
        pickler.modules.add(module.__name__)
        within = f"{module.__name__}."
        submodules = sorted(name for name in pickler.session.submodules if name.startswith(within))
        return rebuild.import_module, (module.__name__, *submodules)
    pointer = pickler.point_at(module)
    if pointer is not None:
        return pointer
    state = {name: value for name, value in vars(module).items() if name != "__builtins__"}
    # By hand also into `sys.modules`, where an import finds it.
    registered = sys.modules.get(module.__name__) is module
    make = rebuild.make_registered_module if registered else rebuild.make_module
    return make, (module.__name__, module.__doc__), state, None, None, rebuild.set_module_state


def reduce_type_variable(pickler: ComponentPickler, variable: Any) -> Any:
    """Point at a type variable, or take it apart."""
    if pickler.definitions_importable(variable):
        return NotImplemented
    pointer = pickler.point_at(variable)
    if pointer is not None:
        return pointer
    options: dict[str, Any] = {}
    kind = type(variable).__name__
    if kind != "TypeVarTuple":
        options["bound"] = variable.__bound__
        for name in ("covariant", "contravariant"):
            if getattr(variable, f"__{name}__"):
                options[name] = True
        if getattr(variable, "__infer_variance__", False):
            options["infer_variance"] = True
    if getattr(variable, "has_default", bool)():
        options["default"] = variable.__default__
    constraints = getattr(variable, "__constraints__", ())
    arguments = (kind, variable.__name__, constraints, options)
    return rebuild.make_type_variable, arguments, variable.__module__, None, None, rebuild.set_module


def reduce_source(pickler: ComponentPickler, source: Source) -> Any:
    """Point at a source, or take it apart."""
    pointer = pickler.point_at(source)
    if pointer is not None:
        return pointer
    return rebuild.make_source, (source.text, source.filename, source.first, source.order, source.flags)
