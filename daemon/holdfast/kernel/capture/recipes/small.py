"""Small things of the standard library that pickle refuses, or whose parts are known by identity."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

from ..rebuild import small as rebuild
from .registry import CannotKeep

if TYPE_CHECKING:
    from ..pickler import ComponentPickler
    from .registry import Recipe


def _match(pickler: ComponentPickler, match: Any) -> Any:
    """Find it again: by the same search, or as one of those that ``finditer`` gives."""
    for method in ("search", "match", "fullmatch"):
        found = getattr(match.re, method)(match.string, match.pos, match.endpos)
        if found is not None and found.regs == match.regs:
            return rebuild.match, (match.re, method, match.string, match.pos, match.endpos, 0)
    for number, found in enumerate(match.re.finditer(match.string, match.pos, match.endpos)):
        if found.regs == match.regs:
            return rebuild.match, (match.re, "finditer", match.string, match.pos, match.endpos, number)
    raise CannotKeep("its string has changed since", "keep what it found: match.group(), match.span()")


def _struct(pickler: ComponentPickler, struct: Any) -> Any:
    return type(struct), (struct.format,)


def _stateless(pickler: ComponentPickler, thing: Any) -> Any:
    return type(thing), ()


def _key_wrapper(pickler: ComponentPickler, wrapper: Any) -> Any:
    return rebuild.key_wrapper, tuple([part for part in gc.get_referents(wrapper) if part is not type(wrapper)])


def _json_scanner(pickler: ComponentPickler, scanner: Any) -> Any:
    names = ("strict", "object_hook", "object_pairs_hook", "parse_float", "parse_int", "parse_constant")
    return rebuild.json_scanner, ({name: getattr(scanner, name) for name in names},)


def _argparse(pickler: ComponentPickler, thing: Any) -> Any:
    return rebuild.bare, (type(thing),), dict(thing.__dict__), None, None, rebuild.set_argparse_state


def _finalizer(pickler: ComponentPickler, finalizer: Any) -> Any:
    pending = finalizer.peek()
    if pending is None:
        return rebuild.dead_finalizer, ()
    thing, function, arguments, keywords = pending
    pickler.weak[id(thing)] += 1
    return rebuild.finalizer, (thing, function, tuple(arguments), dict(keywords or {}), finalizer.atexit)


def _weak_method(pickler: ComponentPickler, reference: Any) -> Any:
    method = reference()
    if method is None:
        return rebuild.dead_weak_method, ()
    pickler.weak[id(method.__self__)] += 1
    return rebuild.weak_method, (method,)


def _ctypes_array(pickler: ComponentPickler, array: Any) -> Any:
    element = array._type_
    if getattr(element, "_type_", None) not in tuple("cbB?hHiIlLqQfdgu") or type(array)._length_ != len(array):
        return NotImplemented
    return rebuild.ctypes_array, (element, len(array), bytes(array))


def _shared_library(pickler: ComponentPickler, library: Any) -> Any:
    raise CannotKeep("a shared library is loaded into one process", "load it in the cell that uses it")


RECIPES: dict[tuple[str, str], Recipe] = {
    ("re", "Match"): _match,
    ("_struct", "Struct"): _struct,
    ("random", "SystemRandom"): _stateless,
    ("functools", "KeyWrapper"): _key_wrapper,
    ("_json", "Scanner"): _json_scanner,
    ("weakref", "finalize"): _finalizer,
    ("weakref", "WeakMethod"): _weak_method,
}
DERIVED: dict[tuple[str, str], Recipe] = {
    ("argparse", "Action"): _argparse,
    ("argparse", "_ActionsContainer"): _argparse,
    ("_ctypes", "Array"): _ctypes_array,
    ("ctypes", "CDLL"): _shared_library,
}
