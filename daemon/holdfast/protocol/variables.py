"""Looking at variables: lists, values, and what differs between two versions or a version and memory."""

from __future__ import annotations

from typing import Any, Literal

import attrs
from lsprotocol.types import TextDocumentIdentifier


@attrs.define
class VariablesParams:
    """List variables whose name matches a glob pattern."""

    text_document: TextDocumentIdentifier
    match: str | None = None


@attrs.define
class Variable:
    """One variable, live or as last saved."""

    name: str
    type: str
    preview: str
    saved: Literal["saved", "saving", "skipped"]
    loaded: bool
    shape: list[int] | None = None
    length: int | None = None
    bytes: int | None = None
    version: int | None = None
    cell: int | None = None


@attrs.define
class SortBy:
    """Order of the rows of an inspected table."""

    column: str
    descending: bool = False


SortOrder = str | SortBy | list[SortBy] | None


@attrs.define
class InspectParams:
    """Look at the value of an expression; ``offset`` and ``limit`` page through rows."""

    text_document: TextDocumentIdentifier
    expression: str
    offset: int | None = None
    limit: int | None = None
    sort: SortOrder = None
    filter: str | None = None


@attrs.define
class Inspection:
    """A look at the value of an expression: a mime bundle, and for tables and arrays a page of rows."""

    type: str
    data: dict[str, Any]
    rows: list[Any] | None = None
    columns: list[Any] | None = None
    total: int | None = None


@attrs.define
class DiffParams:
    """Compare a version with another, or without `to` with memory."""

    text_document: TextDocumentIdentifier
    from_: int
    to: int | None = None
    details: bool = False
    names: list[str] | None = None


@attrs.define
class Look:
    """What a variable is, seen from outside."""

    type: str
    preview: str
    shape: list[int] | None = None
    length: int | None = None
    bytes: int | None = None


@attrs.define
class Difference:
    """A variable that is another one, or has other contents."""

    name: str
    before: Look
    after: Look
    details: dict[str, Any] | None = None
    """What differs inside: ``kind``, ``lines`` for people, and fields that depend on the kind."""


@attrs.define
class Diff:
    """What differs between two versions, or between a version and memory."""

    added: list[str]
    removed: list[str]
    changed: list[Difference]
