"""The compatibility table: all entries, one file per field."""

from __future__ import annotations

from entry import Entry

from . import beyond, frames, learning, networks, plotting, science, standard, tools

ENTRIES: list[Entry] = [
    *standard.ENTRIES,
    *frames.ENTRIES,
    *plotting.ENTRIES,
    *learning.ENTRIES,
    *science.ENTRIES,
    *networks.ENTRIES,
    *tools.ENTRIES,
    *beyond.ENTRIES,
]
