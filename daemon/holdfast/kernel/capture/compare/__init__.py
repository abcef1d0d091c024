"""Whether what was loaded is what was saved; see `walk`."""

from __future__ import annotations

from .walk import Comparison, Difference

__all__ = ["Comparison", "Difference"]
