"""Fixtures of a served shop."""

from served_shop import folder, started

__all__ = ["folder", "started"]
