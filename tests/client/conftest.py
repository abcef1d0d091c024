"""These tests have their daemons in the background, as users do."""

from background import cold_workspace, workspace

__all__ = ["cold_workspace", "workspace"]
