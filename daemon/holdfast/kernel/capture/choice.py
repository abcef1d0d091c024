"""What users choose not to keep: ``__persist__`` and ``__skip_persist__`` in the session, and the settings.

Names, and the sizes of arrays and frames, are judged before anything is pickled. Of other values the size is only known
from their pickle.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import translate
from itertools import pairwise
from typing import Any

from .components import Lost, is_visible
from .kinds import module_of
from .losses import type_name

KEEP, SKIP = "__persist__", "__skip_persist__"
RULES = frozenset({KEEP, SKIP})
"""Variables that say what is kept; they are kept themselves, whatever they say."""
_LISTS = (list, tuple, set, frozenset)
_SECRET_WORDS = frozenset(
    {
        "password",
        "passwords",
        "passwd",
        "pwd",
        "passphrase",
        "secret",
        "secrets",
        "token",
        "tokens",
        "apikey",
        "credential",
        "credentials",
    }
)
_SECRET_KEYS = frozenset({"api", "access", "private", "secret", "auth", "signing", "encryption"})
"""What makes a secret of the word ``key`` behind it."""
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


@dataclass(frozen=True)
class Limits:
    """What the settings say.

    Attributes:
        max_bytes: variables that take more are left out; 0: no limit.
        patterns: glob patterns of names that are left out.
        secrets: whether strings and bytes are left out whose names look like those of secrets.
    """

    max_bytes: int = 0
    patterns: tuple[str, ...] = ()
    secrets: bool = False

    @classmethod
    def from_json(cls, settings: Mapping[str, Any]) -> Limits:
        """Return what a message of the daemon says."""
        return cls(
            int(settings.get("maxVariableBytes") or 0),
            tuple(map(str, settings.get("skipPatterns") or ())),
            bool(settings.get("skipSecrets")),
        )


_NONE = Limits()


class Choice:
    """Knows which variables are to be left out.

    Args:
        namespace: the session's; it may hold ``__persist__`` and ``__skip_persist__``.

    Attributes:
        limits: what the settings say; takes effect with `refresh`.
        is_made: whether anything can be left out at all.
        problems: rules that could not be understood, and are not followed.
    """

    def __init__(self, namespace: Mapping[str, Any]) -> None:
        self.limits = _NONE
        self.is_made = False
        self.problems: list[Lost] = []
        self._namespace = namespace
        self._rules: tuple[Any, ...] = (None, (), self.limits)
        self._kept: Patterns | None = None
        self._skipped = Patterns(())
        self._patterns = Patterns(())

    def refresh(self) -> bool:
        """Read the rules; return whether they are other ones than before."""
        namespace = self._namespace
        self.problems = []
        if KEEP not in namespace and SKIP not in namespace and not self.is_made and self.limits == _NONE:
            return False
        kept = self._names(KEEP) if KEEP in namespace else None
        skipped = self._names(SKIP) if SKIP in namespace else ()
        rules = (kept, skipped or (), self.limits)
        if rules == self._rules:
            return False
        self._rules = rules
        self._kept = None if kept is None else Patterns(kept)
        self._skipped = Patterns(skipped or ())
        self._patterns = Patterns(self.limits.patterns)
        self.is_made = rules != (None, (), _NONE)
        return True

    def _names(self, rule: str) -> tuple[str, ...] | None:
        value = self._namespace[rule]
        if type(value) is str:
            return (value,)
        if type(value) in _LISTS and all(type(name) is str for name in value):
            return tuple(sorted(value))
        reason = "is no list of names, so it is not followed"
        self.problems.append(Lost(rule, type_name(value), reason, f'write it as {rule} = ["name", "pattern_*"]'))
        return None

    def left_out(self, name: str, value: Any) -> Lost | None:
        """Return why a variable is left out, as far as that can be told without pickling it."""
        if not self.is_made or not is_visible(name) or name in RULES:
            return None
        found = self._by_name(name, value)
        if found is not None:
            return Lost(name, type_name(value), f"left out: {found[0]}", found[1])
        if not self.limits.max_bytes:
            return None
        size = known_size(value)
        return None if size is None else self.too_large(name, value, size)

    def _by_name(self, name: str, value: Any) -> tuple[str, str] | None:
        pattern = self._skipped.match(name)
        if pattern is not None:
            return f"{_matches(name, pattern)} {SKIP}", f"take it out of {SKIP} to keep it"
        # Imports hold no data, and the functions that are kept may need them.
        if self._kept is not None and self._kept.match(name) is None and not _is_module(value):
            return f"{KEEP} does not name it", f'add "{name}" to {KEEP} to keep it'
        pattern = self._patterns.match(name)
        if pattern is not None:
            return f"{_matches(name, pattern)} the setting holdfast.skipPatterns", "rename it, or change the setting"
        if self.limits.secrets and issubclass(type(value), (str, bytes, bytearray)) and looks_secret(name):
            remedy = "read it where it is needed, e.g. from os.environ; or rename it, or change the setting"
            return "its name looks like that of a secret, and the setting holdfast.skipSecrets is on", remedy
        return None

    def too_large(self, name: str, value: Any, size: int) -> Lost | None:
        """Return why a variable is left out whose value takes `size` bytes."""
        limit = self.limits.max_bytes
        if not limit or size <= limit or name in RULES:
            return None
        reason = f"left out: it takes {_bytes(size)}, and the setting holdfast.maxVariableBytes is {_bytes(limit)}"
        return Lost(name, type_name(value), reason, "raise the setting, or keep a part of it in a smaller variable")


class Patterns:
    """Glob patterns of names, matched as one."""

    def __init__(self, patterns: tuple[str, ...]) -> None:
        self._patterns = patterns
        self._all = re.compile("|".join(map(translate, patterns))) if patterns else None

    def match(self, name: str) -> str | None:
        """Return the pattern that a name matches."""
        if self._all is None or self._all.match(name) is None:
            return None
        return next(pattern for pattern in self._patterns if re.match(translate(pattern), name))


def looks_secret(name: str) -> bool:
    """Whether a name's words say that it is a password, a token, a key or the like: ``dbPassword``, ``API_KEY``."""
    words = [word.lower() for word in _WORD.findall(name)]
    if not _SECRET_WORDS.isdisjoint(words):
        return True
    return any(word in ("key", "keys") and before in _SECRET_KEYS for before, word in pairwise(words))


def known_size(value: Any) -> int | None:
    """Return the bytes that a value takes, where it can say so without being pickled."""
    kind = type(value)
    if issubclass(kind, (bytes, bytearray, str)):
        return len(value)
    if kind is memoryview:
        return int(value.nbytes)
    for base in kind.__mro__:
        measure = _MEASURES.get(module_of(base).partition(".")[0])
        if measure is not None:
            return _measured(measure, value)
    return None


def _measured(measure: Callable[[Any], int | None], value: Any) -> int | None:
    try:
        return measure(value)
    except Exception:  # noqa: BLE001 - an object that does not say; its pickle will
        return None


def _array_bytes(value: Any) -> int | None:
    # A view is kept with all that it views, which may be less (broadcast) or more; a mapped file may be kept as a path.
    if value.base is not None or type(value).__name__ == "memmap":
        return None
    return int(value.nbytes)


def _pandas_bytes(value: Any) -> int | None:
    if not any(base.__name__ in ("DataFrame", "Series") for base in type(value).__mro__):
        return None
    used = value.memory_usage(deep=False)
    return int(used if isinstance(used, int) else used.sum())


_MEASURES: dict[str, Callable[[Any], int | None]] = {
    "numpy": _array_bytes,
    "pyarrow": lambda value: int(value.nbytes),
    "pandas": _pandas_bytes,
    "polars": lambda value: int(value.estimated_size()),
    "torch": lambda value: int(value.element_size() * value.nelement()),
}


def _matches(name: str, pattern: str) -> str:
    return "named in" if name == pattern else f"matches the pattern {pattern} of"


def _is_module(value: Any) -> bool:
    return issubclass(type(value), type(re))


def _bytes(size: int) -> str:
    amount = float(size)
    for unit in ("bytes", "KB", "MB"):
        if amount < 1000:
            return f"{amount:.3g} {unit}"
        amount /= 1000
    return f"{amount:.3g} GB"
