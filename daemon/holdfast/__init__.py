"""Holdfast: run cells and keep their state."""

__version__ = "0.1.0"
