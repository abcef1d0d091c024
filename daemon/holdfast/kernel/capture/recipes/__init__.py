"""How objects of particular types are taken apart: the ones that pickle refuses, copies wrongly, or knows by identity.

A recipe is a function ``(pickler, object) -> reduce value``; `NotImplemented` means: as pickle does. What it returns
names only functions of `rebuild`, and all that the object refers to is in the arguments or the state, as the object
itself: pickle has to meet it to know what the session shares.

- `core` has the types that every session has.
- Other types are found by name in the tables of the files that `registry.TABLES` lists. Such a file is imported when a
  type of its library is met for the first time, and imports nothing of the library at its top.
- `sentinels` knows objects by where a library keeps them.
"""

from __future__ import annotations

from .core import RECIPES, exception
from .registry import Recipe, kind_of, place_of_arrays, plain, recipe_for, shows_memory
from .sentinels import PlainObjects, singletons_of

__all__ = [
    "RECIPES",
    "PlainObjects",
    "Recipe",
    "exception",
    "kind_of",
    "place_of_arrays",
    "plain",
    "recipe_for",
    "shows_memory",
    "singletons_of",
]
