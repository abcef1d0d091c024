"""Columns as clients count them: in bytes of UTF-8, code units of UTF-16, or characters (LSP 3.17, 3.16.2)."""

from __future__ import annotations


def units(line: str, column: int, encoding: str) -> int:
    """Return a column, given in characters, as a client counts it."""
    before = line[:column]
    if encoding == "utf-32" or before.isascii():
        return len(before)
    if encoding == "utf-8":
        return len(before.encode("utf-8", "surrogatepass"))
    return len(before.encode("utf-16-le", "surrogatepass")) // 2


def characters(line: str, column: int, encoding: str) -> int:
    """Return a column of a client's in characters; that of the line's end for what lies behind it."""
    if encoding == "utf-32" or line.isascii():
        return min(column, len(line))
    low, high = 0, len(line)
    while low < high:
        middle = (low + high) // 2
        if units(line, middle, encoding) < column:
            low = middle + 1
        else:
            high = middle
    return low
