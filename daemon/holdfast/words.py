"""Numbers as people read them."""

from __future__ import annotations


def size(count: int | None) -> str:
    """Return a number of bytes for people: ``1.2 MB``; "" if it is not known."""
    if count is None:
        return ""
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"
