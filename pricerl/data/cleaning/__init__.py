"""Cleaning: from checked rows to a contiguous calendar."""
