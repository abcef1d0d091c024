"""Inspecting one value: its representations, and for tables, arrays and containers one page of rows."""

from __future__ import annotations

import sys
from itertools import islice
from typing import Any, NamedTuple

from . import look
from .display import bundle
from .text import clean, type_module, type_name

DEFAULT_LIMIT = 50
MAX_LIMIT = 10_000
MAX_COLUMNS = 200
_MAX_EXACT_INT = 2**53


class Page(NamedTuple):
    """Which rows are wanted.

    Attributes:
        offset: rows to skip.
        limit: rows to return (50 if None).
        sort: column name, `{column, descending}`, or a list of these.
        filter: for frames and series a pandas query expression; for containers, a substring of the preview.
    """

    offset: int = 0
    limit: int | None = None
    sort: Any = None
    filter: str | None = None

    @property
    def span(self) -> slice:
        """The rows as a slice."""
        limit = DEFAULT_LIMIT if self.limit is None else max(0, min(int(self.limit), MAX_LIMIT))
        start = max(0, int(self.offset))
        return slice(start, start + limit)

    @property
    def order(self) -> list[tuple[str, bool]]:
        """Columns to sort by and whether descending."""
        keys = self.sort if isinstance(self.sort, list) else [self.sort] if self.sort else []
        return [
            (str(key["column"]), bool(key.get("descending"))) if isinstance(key, dict) else (str(key), False)
            for key in keys
        ]


def inspect(value: object, page: Page, *, safe: bool = False) -> dict[str, Any]:
    """Return ``{type, data, rows?, columns?, total?}``.

    Args:
        value: what to look at.
        page: which rows of it.
        safe: a cell is running: no code of the user's may be called.

    Raises:
        Exception: what sorting and filtering with the user's expressions raises.
    """
    table = _table(value, page)
    result: dict[str, Any] = {"type": type_name(value), **(table or {})}
    if safe:
        result["data"] = {"text/plain": look.preview(value)}
    elif table is not None and "html" in result:
        result["data"] = {"text/plain": look.preview(value), "text/html": result["html"]}
    else:
        data, _ = bundle(value)
        result["data"] = data
    result.pop("html", None)
    return result


def _table(value: Any, page: Page) -> dict[str, Any] | None:
    if look.library_base(value, "pandas", "DataFrame"):
        return _frame(value, page)
    if look.library_base(value, "pandas", "Series"):
        name = "value" if value.name is None else value.name
        return _frame(value.to_frame(name=name), page)
    if look.library_base(value, "pandas", "Index"):
        return _frame(value.to_frame(index=False, name=value.name or "value"), page)
    array = look.library_base(value, "numpy", "ndarray")
    if array is not None and value.ndim in (1, 2):
        return _array(value, page)
    if look.library_base(value, "builtins", "dict"):
        return _items(["key", "value"], dict.items(value), page, dict.__len__(value))
    kind = type(value)
    if kind is list or kind is tuple or kind is set or kind is frozenset or kind is range:
        return _items(["index", "value"], enumerate(value), page, len(value))
    return None


def _frame(frame: Any, page: Page) -> dict[str, Any]:
    if page.filter:
        frame = frame.query(page.filter)
    if page.order:
        frame = _sorted_frame(frame, page.order)
    total, width = frame.shape
    shown = frame.iloc[page.span, :MAX_COLUMNS]
    index = shown.index
    columns = [
        {
            "name": clean(str(index.names[level] or "index")),
            "dtype": str(_level_dtype(index, level)),
            "index": True,
        }
        for level in range(index.nlevels)
    ]
    for name, dtype in zip(shown.columns, shown.dtypes, strict=True):
        columns.append({"name": clean(str(name)), "dtype": str(dtype)})
    cells = [shown.iloc[:, i].tolist() for i in range(shown.shape[1])]
    rows = []
    for number, label in enumerate(index.tolist()):
        labels = list(label) if index.nlevels > 1 else [label]
        rows.append([plain(item) for item in labels] + [plain(column[number]) for column in cells])
    result = {"rows": rows, "columns": columns, "total": total, "html": shown._repr_html_()}
    if width > MAX_COLUMNS:
        result["columnsTotal"] = width
    return result


def _level_dtype(index: Any, level: int) -> Any:
    return index.levels[level].dtype if index.nlevels > 1 else index.dtype


def _sorted_frame(frame: Any, order: list[tuple[str, bool]]) -> Any:
    names = {str(name): name for name in frame.columns}
    levels = {str(name or "index"): number for number, name in enumerate(frame.index.names)}
    if len(order) == 1 and order[0][0] not in names and order[0][0] in levels:
        return frame.sort_index(level=levels[order[0][0]], ascending=not order[0][1], kind="stable")
    unknown = [name for name, _ in order if name not in names]
    if unknown:
        raise KeyError(f"there is no column {unknown[0]!r} to sort by")
    return frame.sort_values(
        [names[name] for name, _ in order],
        ascending=[not descending for _, descending in order],
        kind="stable",
    )


def _array(array: Any, page: Page) -> dict[str, Any]:
    numpy = sys.modules["numpy"]
    # As the base class: a subclass of the user's may compute anything in __getitem__.
    array = array.view(numpy.ndarray)
    numbers = numpy.arange(array.shape[0])
    names = ["value"] if array.ndim == 1 else [str(i) for i in range(array.shape[1])]
    for column, descending in reversed(page.order):
        if column == "index":
            key = numbers
        elif column in names:
            key = array[numbers] if array.ndim == 1 else array[numbers, names.index(column)]
        else:
            raise KeyError(f"there is no column {column!r} to sort by")
        order = numpy.argsort(key, kind="stable")
        numbers = numbers[order[::-1] if descending else order]
    chosen = numbers[page.span]
    content = array[chosen] if array.ndim == 1 else array[chosen, :MAX_COLUMNS]
    rows = [
        [int(number), *([plain(row)] if array.ndim == 1 else [plain(item) for item in row])]
        for number, row in zip(chosen.tolist(), content.tolist(), strict=True)
    ]
    columns = [{"name": "index", "dtype": "int64", "index": True}]
    columns += [{"name": name, "dtype": str(array.dtype)} for name in names[:MAX_COLUMNS]]
    result: dict[str, Any] = {"rows": rows, "columns": columns, "total": int(array.shape[0])}
    if len(names) > MAX_COLUMNS:
        result["columnsTotal"] = len(names)
    return result


def _items(names: list[str], items: Any, page: Page, total: int) -> dict[str, Any]:
    span = page.span
    if page.filter or page.order:
        rows = list(items)
        if page.filter:
            wanted = page.filter.casefold()
            searched = [0, 1] if names[0] == "key" else [1]
            rows = [row for row in rows if any(wanted in look.preview(row[at]).casefold() for at in searched)]
        for column, descending in reversed(page.order):
            if column not in names:
                raise KeyError(f"there is no column {column!r} to sort by")
            at = names.index(column)
            rows.sort(key=lambda row: _sort_key(row[at]), reverse=descending)
        total = len(rows)
        rows = rows[span]
    else:
        rows = list(islice(items, span.start, span.stop))
    columns: list[dict[str, Any]] = [{"name": name, "dtype": "object"} for name in names]
    columns[0]["index"] = True
    return {"rows": [[plain(part) for part in row] for row in rows], "columns": columns, "total": total}


def _sort_key(value: Any) -> tuple[int, Any]:
    """Numbers by value, then everything else by its preview: items of any type can be sorted together."""
    kind = type(value)
    if (kind is int or kind is float or kind is bool) and value == value:
        return 0, value
    return 1, value if type(value) is str else look.preview(value)


def plain(value: Any) -> Any:
    """Return `value` as JSON can hold it exactly, else as text; what is missing or not a number is null."""
    kind = type(value)
    if value is None or kind is bool:
        return value
    if kind is str:
        return clean(value)
    if kind is int:
        return value if abs(value) <= _MAX_EXACT_INT else look.preview(value)
    if kind is float:
        if value != value:
            return None
        return value if abs(value) != float("inf") else str(value)
    if type_name(value) in ("NaTType", "NAType"):
        return None
    module = type_module(value).partition(".")[0]
    if module in ("datetime", "pandas") and type_name(value) in ("datetime", "date", "time", "Timestamp"):
        return value.isoformat()
    if look.library_base(value, "numpy", "generic") and module == "numpy":
        item = value.item()
        return plain(item) if type(item) is not kind else str(item)
    return look.preview(value)
