"""Exports of platforms and presets that describe them: rows summed per product and day."""
