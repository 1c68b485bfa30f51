"""Platforms: presets that describe their reports, which are summed per product and day, and forms that take prices."""
