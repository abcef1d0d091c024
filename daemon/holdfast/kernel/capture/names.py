"""Which global names a piece of code can touch, read from its bytecode: no tracing, user code runs at full speed."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Iterable
from dis import opmap
from types import CodeType
from typing import NamedTuple


class CodeNames(NamedTuple):
    """What running a code object can reach by name.

    Attributes:
        names: globals that it loads, stores or deletes, nested code included.
        dynamic: it can reach any name (``globals()``, ``exec``, frames, a star import, …).
        calls: it can run code other than its own, so library state may be involved.
        submodules: what it imports as ``import package.module``.
        assigned: attributes that it sets or deletes, as they stand there: ``("pd", "DataFrame", "total")``.
    """

    names: frozenset[str]
    dynamic: bool
    calls: bool
    submodules: frozenset[str] = frozenset()
    assigned: frozenset[tuple[str, ...]] = frozenset()


_GLOBAL_OPS = ("LOAD_NAME", "LOAD_GLOBAL", "STORE_GLOBAL", "DELETE_GLOBAL", "LOAD_FROM_DICT_OR_GLOBALS")
# In nested code these belong to a class body, whose names are its own.
_MODULE_OPS = ("STORE_NAME", "DELETE_NAME")
_EXTENDED_ARG = opmap["EXTENDED_ARG"]
_NESTED = frozenset(opmap[name] for name in _GLOBAL_OPS if name in opmap)
_TOP = _NESTED | {opmap[name] for name in _MODULE_OPS}
_LOAD_GLOBAL = opmap["LOAD_GLOBAL"]
# From 3.11 the lowest bit of LOAD_GLOBAL's argument says whether a NULL is pushed for the call that follows.
_LOAD_GLOBAL_SHIFT = 1 if "PRECALL" in opmap or "CALL" in opmap else 0
_QUIET = frozenset(
    code
    for name, code in opmap.items()
    if name.startswith(("RETURN_", "BUILD_", "BINARY_OP", "BINARY_ADD", "COMPARE_", "UNARY_", "POP_", "JUMP_"))
    or name
    in [
        "CACHE",
        "RESUME",
        "NOP",
        "LOAD_CONST",
        "LOAD_SMALL_INT",
        "LOAD_NAME",
        "STORE_NAME",
        "LOAD_GLOBAL",
        "STORE_GLOBAL",
        "MAKE_FUNCTION",
        "LIST_EXTEND",
        "SET_UPDATE",
        "DICT_UPDATE",
        "SWAP",
        "COPY",
        "DUP_TOP",
        "ROT_TWO",
        "EXTENDED_ARG",
        "IS_OP",
        "CONTAINS_OP",
    ]
)
"""Instructions that at most run an operator of a value that the code names; all others may call into libraries."""
_STORE_ATTR, _DELETE_ATTR, _LOAD_ATTR = opmap["STORE_ATTR"], opmap["DELETE_ATTR"], opmap["LOAD_ATTR"]
# From 3.12 the lowest bit of LOAD_ATTR's argument says whether it loads a method.
_LOAD_ATTR_SHIFT = 0 if "LOAD_METHOD" in opmap and sys.version_info < (3, 12) else 1
_COPIES = frozenset(opmap[name] for name in ("COPY", "DUP_TOP") if name in opmap)
_CACHE = opmap.get("CACHE")
_STAR_IMPORT = opmap.get("IMPORT_STAR")
_INTRINSIC = opmap.get("CALL_INTRINSIC_1")
_INTRINSIC_STAR_IMPORT = 2

_DYNAMIC_NAMES = frozenset(
    [
        "globals",
        "locals",
        "vars",
        "exec",
        "eval",
        "__builtins__",
        "get_ipython",
        "breakpoint",
        "set_trace",
        "post_mortem",
    ]
)
"""Builtins and the like that reach any name, when loaded as names."""
_DYNAMIC_ANYWHERE = frozenset(
    [
        "_getframe",
        "currentframe",
        "f_globals",
        "f_locals",
        "f_back",
        "__globals__",
        "__main__",
        "tb_frame",
        "_current_frames",
        "gi_frame",
        "cr_frame",
        "get_objects",
        "get_referrers",
        "pickle",
        "cPickle",
        "_pickle",
        "cloudpickle",
        "dill",
        "joblib",
        "unittest",
        "doctest",
        "pdb",
    ]
)
"""As a name, an attribute, an import or a string: ways to frames, to the module's dict, or to unpickling by name."""
_FRAME_EXPRESSIONS = frozenset({"query", "eval"})
"""pandas methods whose ``@name`` in a string reads a variable of the caller, and may call it."""
_BUILTIN_EXECUTION = frozenset({"exec", "eval", "globals", "vars", "locals"})

_known: dict[int, tuple[weakref.ref[CodeType], CodeNames]] = {}


def names_of_function(code: CodeType) -> CodeNames:
    """Return the globals that a function with this code can touch; remembered for as long as the code lives."""
    known = _known.get(id(code))
    if known is not None and known[0]() is code:
        return known[1]
    found = _analyse((code,), top=False)
    key = id(code)
    _known[key] = (weakref.ref(code, lambda _: _known.pop(key, None)), found)
    return found


def names_of_run(code: CodeType | Iterable[CodeType]) -> CodeNames:
    """Return the names that running module-level code can touch."""
    return _analyse((code,) if isinstance(code, CodeType) else code, top=True)


def _analyse(codes: Iterable[CodeType], *, top: bool) -> CodeNames:
    names: set[str] = set()
    words: set[str] = set()
    submodules: set[str] = set()
    assigned: set[tuple[str, ...]] = set()
    calls = dynamic = False
    work = [(code, top) for code in codes]
    while work:
        code, top = work.pop()
        called, star = _scan(code, _TOP if top else _NESTED, names)
        calls = calls or called
        dynamic = dynamic or star
        words.update(code.co_names)
        if _STORE_ATTR in code.co_code or _DELETE_ATTR in code.co_code:
            _scan_assignments(code, assigned)
        # Only imports have names with dots.
        submodules.update(name for name in code.co_names if "." in name)
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                work.append((constant, False))
            elif type(constant) is str and len(constant) < 200:
                words.add(constant)
    if "__main__" in words and _is_main_guard(words):
        words.discard("__main__")
    dynamic = (
        dynamic
        or not names.isdisjoint(_DYNAMIC_NAMES)
        or not words.isdisjoint(_DYNAMIC_ANYWHERE)
        or ("modules" in words and ("sys" in words or "modules" in names))
        or ("builtins" in words and not words.isdisjoint(_BUILTIN_EXECUTION))
        or (not words.isdisjoint(_FRAME_EXPRESSIONS) and any("@" in word for word in words))
    )
    return CodeNames(frozenset(names), dynamic, calls, frozenset(submodules), frozenset(assigned))


def _scan_assignments(code: CodeType, assigned: set[tuple[str, ...]]) -> None:
    """Add the attributes of global names, and of attributes of these, that are assigned to."""
    raw, table = code.co_code, code.co_names
    extended = 0
    chain: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    for op, low in zip(raw[::2], raw[1::2], strict=True):
        argument = extended | low
        extended = 0
        if op == _EXTENDED_ARG:
            extended = argument << 8
        elif op in _NESTED:
            chain = (table[argument >> _LOAD_GLOBAL_SHIFT if op == _LOAD_GLOBAL else argument],)
        elif op == _LOAD_ATTR and chain:
            chain = (*chain, table[argument >> _LOAD_ATTR_SHIFT])
        elif op in (_STORE_ATTR, _DELETE_ATTR):
            if chain or before:
                assigned.add((*(chain or before), table[argument]))
            chain = before = ()
        elif op in _COPIES:
            # `a.b += 1` takes a copy of `a`, and puts the result into it.
            before = chain
        elif op != _CACHE:
            chain = ()


def _is_main_guard(words: set[str]) -> bool:
    """``if __name__ == "__main__":`` names the module without reaching it."""
    return "__name__" in words and words.isdisjoint(("import_module", "__import__", "getattr", "run_module"))


def _scan(code: CodeType, wanted: frozenset[int], names: set[str]) -> tuple[bool, bool]:
    raw = code.co_code
    table = code.co_names
    extended = 0
    calls = star = False
    for op, low in zip(raw[::2], raw[1::2], strict=True):
        if op == _EXTENDED_ARG:
            extended = (extended | low) << 8
            continue
        if op in wanted:
            argument = extended | low
            names.add(table[argument >> _LOAD_GLOBAL_SHIFT if op == _LOAD_GLOBAL else argument])
        elif op not in _QUIET:
            calls = True
            star = star or op == _STAR_IMPORT or (op == _INTRINSIC and low == _INTRINSIC_STAR_IMPORT)
        extended = 0
    return calls, star
