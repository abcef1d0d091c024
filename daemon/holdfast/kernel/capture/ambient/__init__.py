"""State that belongs to a session but lies in no variable: generators, folder, environment, options, hooks, loggers.

Each kind has a provider, and the registry has them all. A state is stored as a hidden member of its own: plain data as
``\\0ambient:<provider>``, and what may hold objects of the session as ``\\0k:ambient:<provider>:<part>``, pickled with
them.
"""

from __future__ import annotations

from .own import ambient
from .registry import PART, Ambient, Changes, named

__all__ = ["PART", "Ambient", "Changes", "ambient", "named"]
