"""These tests start their daemons in the background, as users do."""

from background import workspace

__all__ = ["workspace"]
